"""PromQL about all models together: how bad each is, in which state, and what fires."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_grafana.promql import TARGET_MATCHERS, bridged, quoted, select_any, state_code
from modelwatch_grafana.words import NOT_CHECKED

__all__ = [
    "BY_MODEL",
    "BY_VERSION",
    "alerts",
    "drift_over_time",
    "drifted_inputs",
    "firing",
    "loaded_rules",
    "modelwatch_targets",
    "performance_over_time",
    "severity",
    "state",
    "targets_up",
    "unscored",
    "versions",
    "worst",
]

BY_MODEL = c.MODEL_ID
BY_VERSION = ", ".join(c.MODEL_LABELS)
BY_INPUT = f"{BY_VERSION}, {c.FEATURE}"
WHOLE_MODEL = '=""'
AN_INPUT = '!=""'
OUR_ALERTS = 'alertname=~"MLModel.+|Modelwatch.+"'
TARGET_MEMORY = "1d"
"""A target that exposed modelwatch so recently is missed if it is down."""


def worst(metric: c.Metric, by: str, /, **matchers: str) -> str:
    """Return the largest value of a gauge by labels; several targets may expose the same result."""
    return f"max by ({by}) ({bridged(select_any(metric, **matchers))})"


def versions() -> str:
    """Return 1 for every version of a model that anything is known of, be it the application or the checks."""
    known = " or ".join(
        bridged(select_any(metric)) for metric in (c.MODEL_INFO, c.LAST_PREDICTION, c.DRIFT_CHECK_INTERVAL)
    )
    return f"group by ({BY_VERSION}) ({known})"


def severity(by: str = BY_VERSION) -> str:
    """Return the worst severity of drift and performance by labels."""
    drift = bridged(select_any(c.DRIFT_SEVERITY, feature=WHOLE_MODEL))
    return f"max by ({by}) ({drift} or {bridged(select_any(c.PERFORMANCE_SEVERITY))})"


def drift_over_time() -> str:
    """Return severities of drift as they were exposed, so that a gap is a gap."""
    return select_any(c.DRIFT_SEVERITY, feature=WHOLE_MODEL)


def performance_over_time() -> str:
    """Return severities of performance as they were exposed."""
    return select_any(c.PERFORMANCE_SEVERITY)


def state() -> str:
    """Return the state of the check of inputs by model and version, as a number that words stand for."""
    return state_code(select_any, BY_VERSION, drift_type=quoted("data"))


def unscored() -> str:
    """Return the state of versions whose inputs can't be scored, and of those that were never checked."""
    waiting = c.DRIFT_STATES.index("learning")
    checked = f"group by ({BY_VERSION}) ({bridged(select_any(c.DRIFT_STATE))})"
    return f"({state()} >= {waiting}) or {NOT_CHECKED} * ({versions()} unless {checked})"


def drifted_inputs() -> str:
    """Return the severity of the inputs at warning or above, by model, version and feature."""
    return (
        f"{worst(c.DRIFT_SEVERITY, BY_INPUT, drift_type=quoted('data'), feature=AN_INPUT)} >= {int(Severity.WARNING)}"
    )


# ── alerts: made by Prometheus' rules, so no target has exposed them ─────────────────────────────────────────────────


def alerts(*matchers: str) -> str:
    """Return a selector of our firing alerts but for the one that always fires."""
    fires = ('alertstate="firing"', OUR_ALERTS, f'alertname!="{c.ALERT_WATCHDOG}"', 'model_id=~"$model_id"')
    return f"ALERTS{{{','.join([*fires, *matchers])}}}"


def firing(by: str) -> str:
    """Return the severity of what fires as a number; an alert that fires at several is told once, at the worst."""
    tiers = " or ".join(f"{int(tier)} * {alerts(f'severity{quoted(tier.label)}')}" for tier in Severity if tier)
    return f"max by ({by}) ({tiers})"


def loaded_rules() -> str:
    """Return something while our rules are loaded: their dead man's switch."""
    return f'ALERTS{{alertstate="firing",alertname="{c.ALERT_WATCHDOG}"}}'


# ── targets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def modelwatch_targets() -> str:
    """Return 1 for every target that has lately exposed something of modelwatch."""
    return f"group by (job, instance) (last_over_time({select_any(c.BUILD_INFO)}[{TARGET_MEMORY}]))"


def targets_up() -> str:
    """Return whether each of our targets could be scraped, 0 or 1."""
    return f"max by (job, instance) (up{{{TARGET_MATCHERS}}} and on (job, instance) {modelwatch_targets()})"
