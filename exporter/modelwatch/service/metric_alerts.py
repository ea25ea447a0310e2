"""Conditions about values that somebody gave to ``update_model_metric``: below a floor, above a ceiling."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelwatch.config import ModelMonitoringConfig
from modelwatch.conventions import ALERT_ABOVE_CEILING, ALERT_BELOW_FLOOR
from modelwatch.notify import messages
from modelwatch.notify.engine import Condition
from modelwatch.performance import MetricVerdict, verdicts
from modelwatch.policy import Severity

ALERTNAMES = (ALERT_BELOW_FLOOR, ALERT_ABOVE_CEILING)


def metric_conditions(
    config: ModelMonitoringConfig,
    latest: Mapping[str, tuple[float, float]],
    now: float,
    timezone: str | None,
    since_of: Callable[[str, str], float | None],
) -> list[Condition]:
    """
    Return the floors and ceilings of one model version that are broken now.

    Parameters
    ----------
    config
        The model version.
    latest
        ``{metric: (value, seconds since the epoch)}``.
    now
        Seconds since the epoch.
    timezone
        Name of the time zone in which texts give times; None for the machine's.
    since_of
        Returns since when an alert name fires already for a metric, or None.
    """
    found = [verdict for verdict in verdicts(config, latest) if verdict.severity > Severity.NONE]
    return [_condition(config, verdict, now, timezone, since_of) for verdict in found]


def _condition(
    config: ModelMonitoringConfig,
    verdict: MetricVerdict,
    now: float,
    timezone: str | None,
    since_of: Callable[[str, str], float | None],
) -> Condition:
    assert verdict.limit is not None
    below = verdict.bound == "min"
    alertname = ALERT_BELOW_FLOOR if below else ALERT_ABOVE_CEILING
    since = since_of(alertname, verdict.metric) or min(verdict.at, now)
    text = messages.performance_text(
        messages.ModelFacts.of(config),
        severity=verdict.severity,
        metric=verdict.metric,
        value=verdict.value,
        limit=verdict.limit,
        below=below,
        written=verdict.written,
        measured_at=verdict.at,
        now=now,
        timezone=timezone,
        since=since,
    )
    return Condition(
        alertname=alertname,
        model_id=config.model_id,
        model_version=config.model_version,
        type="performance",
        severity=verdict.severity,
        text=text,
        data={
            "model_id": config.model_id,
            "metric": verdict.metric,
            "value": verdict.value,
            "threshold": verdict.limit,
            "bound": verdict.bound,
        },
        since=since,
        subject=verdict.metric,
    )
