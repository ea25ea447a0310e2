"""Severities, and who is told what. Also read by the rule generator, so that both ways of alerting agree."""

from __future__ import annotations

from enum import Enum, IntEnum

__all__ = ["AlertLevel", "Severity"]


class AlertLevel(str, Enum):
    """How bad an alert is, as the public API names it."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    def __str__(self) -> str:
        return self.value


class Severity(IntEnum):
    """A severity as a number, the value of the severity gauges: 0 none … 4 critical."""

    NONE = 0
    INFO = 1
    WARNING = 2
    ERROR = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The lower-case name: ``"none"`` … ``"critical"``."""
        return self.name.lower()
