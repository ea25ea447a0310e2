"""What a value of a performance metric is worth: floors and ceilings, and how bad it is to break them.

The one place that knows, read by scheduled alerts, by the severity gauges and through them by the generated rules, so
that all ways of alerting agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from modelwatch.policy import OPERATIONAL_METRICS, Severity, threshold_severity

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, Threshold

__all__ = ["OPERATIONAL_METRICS", "Bound", "MetricVerdict", "bounds_of", "judge", "threshold_severity", "verdicts"]

Bound = Literal["min", "max"]


@dataclass(frozen=True)
class MetricVerdict:
    """
    One value of a metric beside its threshold.

    Attributes
    ----------
    metric : str
    value : float
    at : float
        When the value was given, in seconds since the epoch.
    severity : Severity
        NONE where no bound is broken.
    bound : {"min", "max"} or None
        Which bound is broken.
    limit : float or None
        That bound.
    written : bool
        False for a default that nobody wrote.
    """

    metric: str
    value: float
    at: float
    severity: Severity = Severity.NONE
    bound: Bound | None = None
    limit: float | None = None
    written: bool = True


def bounds_of(threshold: Threshold) -> list[tuple[Bound, float]]:
    """Return the bounds that a threshold has."""
    found: tuple[tuple[Bound, float | None], ...] = (("min", threshold.min), ("max", threshold.max))
    return [(bound, limit) for bound, limit in found if limit is not None]


def judge(threshold: Threshold, value: float, at: float) -> MetricVerdict:
    """
    Return what a value is worth.

    Parameters
    ----------
    threshold : Threshold
        As resolved by the configuration.
    value : float
        Of its metric. NaN breaks nothing.
    at : float
        When it was given, in seconds since the epoch.

    Examples
    --------
    >>> from modelwatch.config import Threshold
    >>> floor = Threshold(metric="auc", min=0.85)
    >>> judge(floor, 0.81, at=0.0).bound, judge(floor, 0.85, at=0.0).bound
    ('min', None)
    """
    for bound, limit in bounds_of(threshold):
        if value < limit if bound == "min" else value > limit:
            severity = threshold_severity(threshold)
            return MetricVerdict(threshold.metric, value, at, severity, bound, limit, threshold.written)
    return MetricVerdict(threshold.metric, value, at, written=threshold.written)


def verdicts(config: ModelMonitoringConfig, latest: Mapping[str, tuple[float, float]]) -> list[MetricVerdict]:
    """
    Return what the latest values of a model's metrics are worth.

    Parameters
    ----------
    config : ModelMonitoringConfig
        Its thresholds; latency and errors are left out, see :data:`OPERATIONAL_METRICS`.
    latest : mapping
        ``{metric: (value, seconds since the epoch)}``.

    Returns
    -------
    list of MetricVerdict
        One for each metric that has both a threshold and a value, in the order of the thresholds.
    """
    return [judge(threshold, *latest[metric]) for metric, threshold in _judged(config) if metric in latest]


def _judged(config: ModelMonitoringConfig) -> Iterable[tuple[str, Threshold]]:
    return ((metric, t) for metric, t in config.thresholds.items() if metric not in OPERATIONAL_METRICS)
