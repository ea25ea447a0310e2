"""The log channel: one structured line per alert, on the logger ``modelwatch.alerts``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from modelwatch.notify.messages import text_of
from modelwatch.notify.wording import clean

__all__ = ["LogHandler"]

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "critical": logging.CRITICAL}


class LogHandler:
    """Write an alert as one line of ``key=value``; strings are JSON strings, so that no name can end a line or field.

    The record has the alert dict as attribute ``alert``, for formatters that write JSON.
    """

    synchronous = True
    """Delivered in the caller's thread: a log line neither waits nor fails."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("modelwatch.alerts")

    def __call__(self, alert: Mapping[str, Any]) -> None:
        """Log one alert: at its own level if firing, at INFO if resolved."""
        resolved = alert.get("status") == "resolved"
        level = logging.INFO if resolved else _LEVELS.get(str(alert.get("level")), logging.WARNING)
        self._logger.log(level, "%s", line_of(alert), extra={"alert": dict(alert)})


def line_of(alert: Mapping[str, Any]) -> str:
    """Return the log line of an alert.

    >>> line_of({"status": "firing", "level": "error", "model_id": "ad_score", "type": "x", "message": "it is off"})
    'status=firing level=error model_id="ad_score" type="x" message="ad_score: it is off"'
    """
    text = text_of(alert)
    parts = [f"{key}={clean(alert[key]).replace(' ', '_')}" for key in ("status", "level") if alert.get(key)]
    named = ("model_id", "type", "alert_id", "fingerprint", "starts_at")
    parts += [f"{key}={_quoted(alert[key])}" for key in named if alert.get(key)]
    parts.append(f"message={_quoted(' | '.join((text.headline, *text.lines)))}")
    return " ".join(parts)


def _quoted(value: object) -> str:
    return json.dumps(clean(value), ensure_ascii=False)
