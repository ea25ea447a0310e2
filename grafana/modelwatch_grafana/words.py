"""Numbers of gauges as words and colours, the same on every panel."""

from __future__ import annotations

from collections.abc import Sequence

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_grafana.elements import Json, Step, value_mapping

__all__ = [
    "CALIBRATED",
    "NOISY",
    "NOISY_STEPS",
    "NOT_CHECKED",
    "NO_CHECK",
    "NO_RECORDINGS",
    "NO_REFERENCE",
    "NO_RESULTS",
    "NO_RULES",
    "NO_SIDECAR",
    "NO_TARGET",
    "REFERENCES",
    "RELOADS",
    "SEVERITIES",
    "SEVERITY_STEPS",
    "SHARING",
    "STATES",
    "STATE_STEPS",
    "UP",
    "background",
]

NO_CHECK = "no check yet: the first one runs within its interval"
NO_REFERENCE = "no reference: learning, or attach a profile"

NO_TARGET = "no modelwatch target is scraped: see scrape_configs of `modelwatch rules generate`"
NO_RESULTS = "nobody runs checks: no sidecar is scraped, and no application that checks by itself"
NO_RECORDINGS = "no target exposes recordings"
NO_SIDECAR = "no sidecar is scraped: applications have no file to reload"
NO_RULES = "the rules are not loaded in this Prometheus: modelwatch rules generate"
NOT_CHECKED = -1
"""Stands in a column of severities or states for a model that no check has looked at."""
_NOT_CHECKED_WORDS = ("not checked yet", "text")

_SEVERITY_COLORS = {
    Severity.NONE: "green",
    Severity.INFO: "blue",
    Severity.WARNING: "yellow",
    Severity.ERROR: "orange",
    Severity.CRITICAL: "red",
}
SEVERITIES: Json = value_mapping(
    {int(s): (s.label, color) for s, color in _SEVERITY_COLORS.items()} | {NOT_CHECKED: _NOT_CHECKED_WORDS}
)
SEVERITY_STEPS = tuple(
    Step(None if severity is Severity.NONE else float(severity), color) for severity, color in _SEVERITY_COLORS.items()
)

_STATE_WORDS = {
    "ok": ("within tolerance", "green"),
    "drift": ("drift", "orange"),
    "held": ("drift, held: no new rows to score", "orange"),
    "learning": ("learning", "blue"),
    "warming_up": ("warming up: no window is full yet", "blue"),
    "insufficient_data": ("needs more rows", "purple"),
    "insufficient_labels": ("needs labels", "purple"),
    "no_reference": ("no reference", "purple"),
    "failed": ("check failed", "red"),
}
STATES: Json = value_mapping(
    {code: _STATE_WORDS[state] for code, state in enumerate(c.DRIFT_STATES)} | {NOT_CHECKED: _NOT_CHECKED_WORDS}
)
STATE_STEPS = tuple(
    Step(float(code) if code else None, _STATE_WORDS[state][1]) for code, state in enumerate(c.DRIFT_STATES)
)
CALIBRATED: Json = value_mapping(
    {0: ("default tolerances: up to warning, gross changes error", "blue"), 1: ("learnt from the reference", "green")}
)
NOISY: Json = value_mapping({0: ("watched", "green"), 1: ("noisy: its mean", "yellow")})
NOISY_STEPS = (Step(None, "green"), Step(1.0, "yellow"))
REFERENCES: Json = value_mapping({1: ("learnt", "green"), 2: ("given", "green")})
UP: Json = value_mapping({0: ("down", "red"), 1: ("up", "green")})
SHARING: Json = value_mapping({0: ("counts alone", "yellow"), 1: ("shares counters", "green")})
RELOADS: Json = value_mapping({0: ("failed: the one before is in use", "red"), 1: ("ok", "green")})


def background(mapping: Json, steps: Sequence[Step]) -> tuple[Json, ...]:
    """Return properties of a table's cells: words instead of numbers, on their colour."""
    return (
        {"id": "mappings", "value": [mapping]},
        {"id": "thresholds", "value": {"mode": "absolute", "steps": [step.to_json() for step in steps]}},
        {"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}},
    )
