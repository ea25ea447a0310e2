"""Numbers of gauges as words and colours, the same on every panel."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_grafana.elements import Json, Step, value_mapping

__all__ = ["CALIBRATED", "NO_CHECK", "NO_REFERENCE", "SEVERITIES", "SEVERITY_STEPS", "STATES", "STATE_STEPS"]

NO_CHECK = "no check yet: the first one runs within its interval"
NO_REFERENCE = "no reference: learning, or attach a profile"

_SEVERITY_COLORS = {
    Severity.NONE: "green",
    Severity.INFO: "blue",
    Severity.WARNING: "yellow",
    Severity.ERROR: "orange",
    Severity.CRITICAL: "red",
}
SEVERITIES: Json = value_mapping({int(s): (s.label, color) for s, color in _SEVERITY_COLORS.items()})
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
STATES: Json = value_mapping({code: _STATE_WORDS[state] for code, state in enumerate(c.DRIFT_STATES)})
STATE_STEPS = tuple(
    Step(float(code) if code else None, _STATE_WORDS[state][1]) for code, state in enumerate(c.DRIFT_STATES)
)
CALIBRATED: Json = value_mapping(
    {0: ("default tolerances: up to warning, gross changes error", "blue"), 1: ("learnt from the reference", "green")}
)
