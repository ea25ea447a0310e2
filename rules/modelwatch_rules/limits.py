"""Latencies and error ratios above their limits, where there are enough requests to say so.

The short window is looked at where it holds enough requests, else the long one; as it is done for direct alerts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwatch import conventions as c
from modelwatch.conventions import MODEL_ID, MODEL_LABELS
from modelwatch_rules.naming import quantile_name, record_name
from modelwatch_rules.promql import RecordingRule, select
from modelwatch_rules.recording import QUANTILE, THRESHOLD, Window, quantiles_in_use, windows

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig
    from modelwatch_rules.timing import Timing

__all__ = [
    "ERRORS_ABOVE_LIMIT",
    "ERROR_RATIO_JUDGED",
    "LATENCY_ABOVE_LIMIT",
    "MIN_ERRORS",
    "MIN_REQUESTS",
    "WITHIN_BOUNDS_JUDGED",
    "above_limit_records",
    "latency_above_limit",
    "latency_judged",
]

MIN_REQUESTS, MIN_ERRORS = 100, 5
"""Fewer requests say nothing about a rate, unless as many as that fail."""

ERROR_RATIO_JUDGED = record_name(MODEL_LABELS, c.PREDICTION_ERRORS, "ratio_judged")
ERRORS_ABOVE_LIMIT = record_name(MODEL_LABELS, c.PREDICTION_ERRORS, "ratio_above_limit")
LATENCY_ABOVE_LIMIT = record_name(MODEL_LABELS, c.PREDICTION_LATENCY, "above_limit")
WITHIN_BOUNDS_JUDGED = record_name(MODEL_LABELS, c.PREDICTION_LATENCY, "within_bounds_ratio_judged")
"""Share of the requests that took no longer than the last bound of the histogram."""

_PAIR = ", ".join(MODEL_LABELS)
_LATENCY_LIMIT = f"{select(THRESHOLD, metric='latency_ms', bound='max')} / 1000"


def latency_judged(quantile: float) -> str:
    """Return the name of a latency quantile in the window that is looked at."""
    return record_name(MODEL_LABELS, c.PREDICTION_LATENCY, f"{quantile_name(quantile)}_judged")


def latency_above_limit(quantile: float) -> str:
    """Return the name of the latencies that are above the limit, in seconds; whatever quantile the limit is for."""
    return record_name(MODEL_LABELS, c.PREDICTION_LATENCY, f"{quantile_name(quantile)}_above_limit")


def above_limit_records(config: MonitoringConfig, timing: Timing) -> list[RecordingRule]:
    """Return what is above its limit: each model's latency at the quantile that the limit is for, and error ratios."""
    short, long = windows(timing)
    quantiles = quantiles_in_use(config)
    timed = _enough_timed(short), _enough_timed(long)
    within = _within_bounds(short), _within_bounds(long)
    many = (
        f"{short.predictions} >= {MIN_REQUESTS}",
        f"({long.predictions} >= {MIN_REQUESTS} or {long.errors} >= {MIN_ERRORS})",
    )
    own = (f"{latency_above_limit(q)} and on ({MODEL_ID}) {QUANTILE} == {q!r}" for q in quantiles)
    limit = select(THRESHOLD, metric="error_rate", bound="max")
    return [
        *(RecordingRule(latency_judged(q), _judged((short.latency(q), long.latency(q)), timed)) for q in quantiles),
        RecordingRule(WITHIN_BOUNDS_JUDGED, _judged(within, timed)),
        *(RecordingRule(latency_above_limit(q), _too_slow(q)) for q in quantiles),
        RecordingRule(LATENCY_ABOVE_LIMIT, "\nor\n".join(own)),
        RecordingRule(ERROR_RATIO_JUDGED, _judged((short.error_ratio, long.error_ratio), many)),
        RecordingRule(ERRORS_ABOVE_LIMIT, _above(ERROR_RATIO_JUDGED, ">", limit)),
    ]


def _judged(values: tuple[str, str], enough: tuple[str, str]) -> str:
    """Return a value in the short window where that holds enough requests, else in the long one if that does."""
    return "\nor\n".join(
        f"  {value}\n  and on ({_PAIR})\n    {some}" for value, some in zip(values, enough, strict=True)
    )


def _enough_timed(window: Window) -> str:
    return f"{select(window.latency_buckets, le='+Inf')} >= {MIN_REQUESTS}"


def _within_bounds(window: Window) -> str:
    bounded = f'max by ({_PAIR}) ({window.latency_buckets}{{le!="+Inf"}})'
    return f"{bounded} / on ({_PAIR}) {select(window.latency_buckets, le='+Inf')}"


def _too_slow(quantile: float) -> str:
    """Return the quantiles above their limit.

    Beyond the last bound `histogram_quantile` returns just that bound. Where the limit is the last bound, nothing would
    ever be above it, so it is also looked at whether enough requests are below the last bound at all.
    """
    value = latency_judged(quantile)
    return (
        f"{_above(value, '>', _LATENCY_LIMIT)}\nor\n{_above(value, '>=', _LATENCY_LIMIT)}\n"
        f"and on ({_PAIR})\n  {WITHIN_BOUNDS_JUDGED} < {quantile!r}"
    )


def _above(value: str, operator: str, limit: str) -> str:
    return f"{value}\n  {operator} on ({MODEL_ID}) group_left ()\n  {limit}"
