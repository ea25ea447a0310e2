"""Pieces of PromQL, and the two kinds of rules."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelwatch.conventions import Metric
from modelwatch.policy import Severity
from modelwatch_rules.timing import prometheus_duration

__all__ = ["AlertingRule", "Group", "RecordingRule", "bridged", "indent", "largest", "literal", "quote", "select"]


def quote(text: str) -> str:
    r"""Return `text` as a PromQL string, whatever is in it.

    >>> quote('a "b" \\ {{ $value }}')
    '"a \\"b\\" \\\\ {{ $value }}"'
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def literal(text: str) -> str:
    """Return a template that says `text`, whatever is in it.

    >>> literal("plain"), literal("{{ $value }}")
    ('plain', '{{ "{{ $value }}" }}')
    """
    return f"{{{{ {quote(text)} }}}}" if "{{" in text else text


def select(metric: Metric | str, suffix: str = "", /, **labels: str) -> str:
    """Return a selector with equality matchers.

    >>> select("up", job="app")
    'up{job="app"}'
    """
    name = (metric if isinstance(metric, str) else metric.name) + suffix
    inner = ",".join(f"{label}={quote(value)}" for label, value in labels.items())
    return f"{name}{{{inner}}}" if inner else name


def bridged(selector: str, seconds: float) -> str:
    """Return the last sample of the last `seconds`, so that a failed scrape or a short restart hides nothing."""
    return f"last_over_time({selector}[{prometheus_duration(seconds)}])"


def largest(labels: Iterable[str], expr: str) -> str:
    """Return the maximum by labels: several targets may expose the same result."""
    return f"max by ({', '.join(labels)}) ({expr})"


def indent(expr: str, levels: int = 1) -> str:
    """Return an expression two spaces further to the right for each level."""
    return textwrap.indent(expr, "  " * levels)


@dataclass(frozen=True)
class RecordingRule:
    """A series that is computed once for all that use it."""

    record: str
    expr: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as rule files have it."""
        return {"record": self.record, "expr": self.expr}


@dataclass(frozen=True)
class AlertingRule:
    """A condition that somebody is told of.

    Attributes
    ----------
    alert : str
        Its name, one of the contract.
    expr : str
        PromQL; each series of its result is an alert.
    severity : Severity
        Becomes a label; NONE stands for what nobody is to be woken by.
    hold, keep_firing : float
        Seconds: how long the condition must hold, and how long be gone, before the alert fires or resolves.
    summary, description : str
        Templates: one sentence, and all facts, one a line.
    labels : mapping
        More labels, which are templates too.
    """

    alert: str
    expr: str
    severity: Severity
    summary: str
    description: str
    hold: float = 0
    keep_firing: float = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self, runbook_base: str) -> dict[str, Any]:
        """Return it as rule files have it."""
        out: dict[str, Any] = {"alert": self.alert, "expr": self.expr}
        if self.hold:
            out["for"] = prometheus_duration(self.hold)
        if self.keep_firing:
            out["keep_firing_for"] = prometheus_duration(self.keep_firing)
        out["labels"] = {"severity": self.severity.label, **self.labels}
        out["annotations"] = {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": f"{runbook_base.rstrip('/')}/{self.alert}.md",
        }
        return out


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, at one time: what a rule reads comes before it."""

    name: str
    rules: tuple[RecordingRule | AlertingRule, ...]

    def as_dict(self, runbook_base: str) -> dict[str, Any]:
        """Return it as rule files have it."""
        rules = [r.as_dict(runbook_base) if isinstance(r, AlertingRule) else r.as_dict() for r in self.rules]
        return {"name": self.name, "rules": rules}
