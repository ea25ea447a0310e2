"""Pieces of PromQL, and the two kinds of rules."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelwatch.conventions import MODEL_ID, Metric
from modelwatch.policy import Severity
from modelwatch_rules.timing import prometheus_duration

__all__ = [
    "AlertingRule", "Group", "RecordingRule", "Style", "bridged", "indent", "largest", "literal", "of_model", "quote",
    "select",
]  # fmt: skip


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


def of_model(model_id: str) -> str:
    """Return a vector that has one series, of a model.

    >>> of_model("ads")
    'label_replace(vector(1), "model_id", "ads", "", "")'
    """
    # "$" begins a group's name in the replacement; "$$" is one dollar sign.
    return f'label_replace(vector(1), "{MODEL_ID}", {quote(model_id.replace("$", "$$"))}, "", "")'


def indent(expr: str, levels: int = 1) -> str:
    """Return an expression two spaces further to the right for each level."""
    return textwrap.indent(expr, "  " * levels)


@dataclass(frozen=True)
class Style:
    """What alerts of a site have in common.

    Attributes
    ----------
    runbook_base : str
        Alerts link to ``<runbook_base>/<alertname>.md``.
    dashboard_base : str or None
        Address of a Grafana with our dashboards; None for no links.
    severities : mapping of Severity to str
        What severities are called there.
    """

    runbook_base: str
    dashboard_base: str | None = None
    severities: Mapping[Severity, str] = field(default_factory=lambda: {level: level.label for level in Severity})

    def tiers(self, levels: Iterable[Severity]) -> list[Severity]:
        """Return, ascending, the least level of each name: what two levels are called alike fires from the lower up."""
        least: dict[str, Severity] = {}
        for level in sorted(levels):
            least.setdefault(self.severities[level], level)
        return list(least.values())


def dashboard_url(base: str, alert: str) -> str:
    """Return a template of the address of the dashboard that an alert is about.

    >>> dashboard_url("https://grafana.example.com/", "ModelwatchDown")
    'https://grafana.example.com/d/modelwatch-monitoring'
    """
    root = base.rstrip("/")
    if not alert.startswith("MLModel"):
        return f"{root}/d/modelwatch-monitoring"
    version = "{{ with $labels.model_version }}&var-model_version={{ . | urlquery }}{{ end }}"
    return f"{root}/d/modelwatch-model?var-model_id={{{{ $labels.model_id | urlquery }}}}{version}"


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

    def as_dict(self, style: Style) -> dict[str, Any]:
        """Return it as rule files have it."""
        out: dict[str, Any] = {"alert": self.alert, "expr": self.expr}
        if self.hold:
            out["for"] = prometheus_duration(self.hold)
        if self.keep_firing:
            out["keep_firing_for"] = prometheus_duration(self.keep_firing)
        out["labels"] = {"severity": style.severities[self.severity], **self.labels}
        out["annotations"] = {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": f"{style.runbook_base.rstrip('/')}/{self.alert}.md",
        }
        if style.dashboard_base is not None:
            out["annotations"]["dashboard_url"] = dashboard_url(style.dashboard_base, self.alert)
        return out


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, at one time: what a rule reads comes before it.

    `interval` is in seconds; None is that of the server.
    """

    name: str
    rules: tuple[RecordingRule | AlertingRule, ...]
    interval: float | None = None

    def as_dict(self, style: Style) -> dict[str, Any]:
        """Return it as rule files have it."""
        rules = [r.as_dict(style) if isinstance(r, AlertingRule) else r.as_dict() for r in self.rules]
        interval = {} if self.interval is None else {"interval": prometheus_duration(self.interval)}
        return {"name": self.name, **interval, "rules": rules}
