"""Latencies and error ratios above their limits, where there are enough requests to say so.

The short window is looked at where it holds enough requests, else the long one; as it is done for direct alerts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwatch import conventions as c
from modelwatch.conventions import MODEL_ID, MODEL_LABELS
from modelwatch_rules.naming import quantile_name, record_name
from modelwatch_rules.promql import RecordingRule, indent, select
from modelwatch_rules.recording import QUANTILE, THRESHOLD, Window, quantiles_in_use, windows

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig
    from modelwatch_rules.timing import Timing

__all__ = ["ERRORS_ABOVE_LIMIT", "LATENCY_ABOVE_LIMIT", "MIN_ERRORS", "MIN_REQUESTS", "above_limit_records"]

MIN_REQUESTS, MIN_ERRORS = 100, 5
"""Fewer requests say nothing about a rate, unless as many as that fail."""

ERRORS_ABOVE_LIMIT = record_name(MODEL_LABELS, c.PREDICTION_ERRORS, "ratio_above_limit")
_PAIR = ", ".join(MODEL_LABELS)


LATENCY_ABOVE_LIMIT = record_name(MODEL_LABELS, c.PREDICTION_LATENCY, "above_limit")


def latency_above_limit(quantile: float) -> str:
    """Return the name of the latencies that are above the limit, in seconds; whatever quantile the limit is for."""
    return record_name(MODEL_LABELS, c.PREDICTION_LATENCY, f"{quantile_name(quantile)}_above_limit")


def above_limit_records(config: MonitoringConfig, timing: Timing) -> list[RecordingRule]:
    """Return what is above its limit: each model's latency at the quantile that the limit is for, and error ratios."""
    short, long = windows(timing)
    quantiles = quantiles_in_use(config)
    latencies = [RecordingRule(latency_above_limit(q), _latency(q, short, long)) for q in quantiles]
    own = (f"{latency_above_limit(q)} and on ({MODEL_ID}) {QUANTILE} == {q!r}" for q in quantiles)
    return [
        *latencies,
        RecordingRule(LATENCY_ABOVE_LIMIT, "\nor\n".join(own)),
        RecordingRule(ERRORS_ABOVE_LIMIT, _error_ratio(short, long)),
    ]


def _latency(quantile: float, short: Window, long: Window) -> str:
    enough = {w: f"{select(w.latency_buckets, le='+Inf')} >= {MIN_REQUESTS}" for w in (short, long)}
    over = {w: f"(\n{indent(_too_slow(quantile, w))}\n)" for w in (short, long)}
    return _either(over[short], enough[short], over[long], enough[long])


def _too_slow(quantile: float, window: Window) -> str:
    """Return the quantiles above their limit.

    Beyond the last bound `histogram_quantile` returns just that bound. Where the limit is the last bound, nothing would
    ever be above it, so it is also looked at whether enough requests are below the last bound at all.
    """
    value, limit = window.latency(quantile), f"{select(THRESHOLD, metric='latency_ms', bound='max')} / 1000"
    within = f'max by ({_PAIR}) ({window.latency_buckets}{{le!="+Inf"}})'
    enough = f"{quantile!r} * max by ({_PAIR}) ({select(window.latency_buckets, le='+Inf')})"
    return (
        f"{_above(value, '>', limit)}\nor\n{_above(value, '>=', limit)}\n"
        f"and on ({_PAIR})\n  (\n    {within}\n    < on ({_PAIR})\n    {enough}\n  )"
    )


def _error_ratio(short: Window, long: Window) -> str:
    limit = select(THRESHOLD, metric="error_rate", bound="max")
    some = f"({long.predictions} >= {MIN_REQUESTS} or {long.errors} >= {MIN_ERRORS})"
    enough = f"{short.predictions} >= {MIN_REQUESTS}"
    return _either(_above(short.error_ratio, ">", limit), enough, _above(long.error_ratio, ">", limit), some)


def _above(value: str, operator: str, limit: str) -> str:
    return f"{value}\n  {operator} on ({MODEL_ID}) group_left ()\n  {limit}"


def _either(short: str, enough: str, long: str, some: str) -> str:
    """Return what holds in the short window, or in the long one where the short one does not hold enough."""
    first = f"{short}\nand on ({_PAIR})\n  {enough}"
    second = f"{long}\nand on ({_PAIR})\n  {some}\nunless on ({_PAIR})\n  {enough}"
    return f"{first}\nor\n(\n{indent(second)}\n)"
