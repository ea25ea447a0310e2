"""Metrics by minute from sums by minute, as values and as the points that the API answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwatch.records import DAY_SECONDS, MINUTE_SECONDS, FloatArray, IntArray

RECORDED = "recorded"
_DAY_MINUTES = DAY_SECONDS // MINUTE_SECONDS
_TIMES = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:00+00:00" for minute in range(_DAY_MINUTES))


@dataclass(frozen=True)
class MinuteMetric:
    """How a metric follows from sums: `value` of `total` and `count`, where the count isn't 0."""

    total: str
    count: str
    value: Callable[[FloatArray, FloatArray], FloatArray]


def _ratio(total: FloatArray, count: FloatArray) -> FloatArray:
    return total / count


def _root(total: FloatArray, count: FloatArray) -> FloatArray:
    out: FloatArray = np.sqrt(total / count)
    return out


def _number(_: FloatArray, count: FloatArray) -> FloatArray:
    return count


MINUTE_METRICS = {
    "latency_ms": MinuteMetric("latency_ms_sum", "latency_count", _ratio),
    "error_rate": MinuteMetric("errors", "attempts", _ratio),
    "prediction_mean": MinuteMetric("prediction_sum", "prediction_count", _ratio),
    "predictions": MinuteMetric("attempts", "attempts", _number),
    "accuracy": MinuteMetric("correct", "labelled", _ratio),
    "mae": MinuteMetric("absolute_error_sum", "pairs", _ratio),
    "rmse": MinuteMetric("squared_error_sum", "pairs", _root),
}
"""What the recorder knows of every minute, by metric."""
ALWAYS = ("latency_ms", "error_rate", "prediction_mean", "predictions")
"""Those that need no actuals."""


def minute_values(metric: MinuteMetric, sums: dict[str, FloatArray]) -> tuple[IntArray, FloatArray, FloatArray]:
    """
    Return a metric by minute.

    Parameters
    ----------
    metric
        Which.
    sums
        By field, shape (T,).

    Returns
    -------
    tuple
        The places of the minutes that have a value, their values, and how many observations each is of.
    """
    places = np.flatnonzero(sums[metric.count] > 0)
    count = sums[metric.count][places]
    values = metric.value(sums[metric.total][places], count)
    finite = np.isfinite(values)
    return (places, values, count) if finite.all() else (places[finite], values[finite], count[finite])


def minute_texts(minutes: IntArray) -> list[str]:
    """
    Return minutes since 1970 as ISO-8601 in UTC.

    >>> minute_texts(np.array([0, 1441]))
    ['1970-01-01T00:00:00+00:00', '1970-01-02T00:01:00+00:00']
    """
    days, rest = np.divmod(minutes, _DAY_MINUTES)
    distinct, places = np.unique(days, return_inverse=True)
    names = np.datetime_as_string(distinct.astype("datetime64[D]")).tolist()
    return [names[day] + _TIMES[minute] for day, minute in zip(places.tolist(), rest.tolist(), strict=True)]


def moment_texts(seconds: FloatArray) -> list[str]:
    """
    Return seconds since 1970 as ISO-8601 in UTC, as :func:`~modelwatch.service.times.iso` writes them.

    >>> moment_texts(np.array([0.0, 0.5]))
    ['1970-01-01T00:00:00+00:00', '1970-01-01T00:00:00.500000+00:00']
    """
    whole = np.floor(seconds)
    microseconds = whole.astype(np.int64) * 1_000_000 + np.rint((seconds - whole) * 1e6).astype(np.int64)
    moments = microseconds.astype("datetime64[us]")
    texts: list[str] = np.datetime_as_string(moments).tolist()
    return [text.removesuffix(".000000") + "+00:00" for text in texts]


def minute_points(texts: list[str], values: FloatArray, counts: FloatArray) -> list[dict[str, Any]]:
    """Return points as the API answers with; `texts` are their times."""
    about = [{"source": RECORDED, "count": count} for count in counts.astype(np.int64).tolist()]
    rows = zip(texts, values.tolist(), about, strict=True)
    return [{"timestamp": text, "value": value, "metadata": metadata} for text, value, metadata in rows]
