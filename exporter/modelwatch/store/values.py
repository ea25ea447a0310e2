"""What comes out of the store: plain frozen values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelwatch.policy import Severity
from modelwatch.records import Alert, FloatArray

__all__ = [
    "ActiveAlert",
    "CountSeries",
    "DriftRecord",
    "LatestMetric",
    "QueuedDelivery",
    "RecordedRows",
    "Silence",
    "StoredAlert",
    "StoredModel",
    "StoredReference",
    "StoredResult",
    "TotalSeries",
]


@dataclass(frozen=True)
class StoredModel:
    """A registered model. Times are seconds since the epoch."""

    model_id: str
    model_version: str
    config: dict[str, Any]
    registered_at: float
    last_prediction_at: float | None = None
    updated_at: float = 0.0
    """When it was registered last: each start of an application does so."""
    retired_at: float | None = None
    """Since when it is watched no more."""


@dataclass(frozen=True)
class RecordedRows:
    """How many rows of a model were looked at, and the times of the first and the last, in seconds since the epoch."""

    rows: int
    first_at: float
    last_at: float


@dataclass(frozen=True)
class StoredReference:
    """What a model is compared with, all its versions. Times are seconds since the epoch."""

    model_id: str
    profile_id: str
    origin: str
    """"given" by a call, or "learnt" from production."""
    written: str
    """The `reference` of the model's configuration when this was set."""
    set_at: float
    revision: int
    """Rises with every change."""
    learning_since: float | None = None
    counted_until: float | None = None


@dataclass(frozen=True)
class StoredResult:
    """The latest check of one model version, and how many there were.

    ``result`` is that of the last check that succeeded (the dict of ``check_result_to_json``), also after a failed one;
    ``ok`` says whether the last one succeeded. ``checks`` and ``failures`` only rise.
    """

    model_id: str
    model_version: str
    checked_at: float
    last_success_at: float | None
    checks: int
    failures: int
    duration: float
    interval: float
    result: dict[str, Any] | None
    state: dict[str, Any]
    ok: bool = True


@dataclass(frozen=True)
class DriftRecord:
    """One entry of the drift history: what a check found, without the numbers behind it."""

    model_id: str
    model_version: str
    checked_at: float
    ok: bool
    duration: float
    severity: Severity
    summary: dict[str, Any]


@dataclass(frozen=True)
class ActiveAlert:
    """An alert that is firing now, by its fingerprint. Times are seconds since the epoch."""

    fingerprint: str
    alertname: str
    model_id: str
    model_version: str
    type: str
    severity: Severity
    starts_at: float
    last_notified_at: float | None
    last_seen_at: float
    alert_id: str
    message: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Silence:
    """What nobody is told of for a while. Times are seconds since the epoch; ``""`` stands for every model or alert."""

    silence_id: str
    model_id: str
    alertname: str
    starts_at: float
    ends_at: float
    created_by: str = ""
    comment: str = ""

    def matches(self, model_id: str, alertname: str) -> bool:
        """Return whether it is about an alert of a model.

        >>> Silence("s", "ad_score", "", 0.0, 1.0).matches("ad_score", "MLModelDataDrift")
        True
        """
        return self.model_id in ("", model_id) and self.alertname in ("", alertname)


@dataclass(frozen=True)
class LatestMetric:
    """The last value that somebody gave to a metric of a model version, and when, in seconds since the epoch."""

    model_id: str
    model_version: str
    metric: str
    at: float
    value: float


@dataclass(frozen=True)
class QueuedDelivery:
    """An alert dict that waits for, or was claimed by, an application that serves a channel."""

    delivery_id: int
    channel: str
    alert: dict[str, Any]


@dataclass(frozen=True)
class StoredAlert:
    """An alert of the history and what became of it on each channel."""

    alert: Alert
    channels: dict[str, str]


@dataclass(frozen=True)
class CountSeries:
    """Binned counts over time, summed over workers, parts and (unless one was asked for) versions.

    Attributes
    ----------
    starts, lengths
        Shape (T,), seconds; ascending and without repeats. Intervals in which nothing was recorded are absent.
    rows
        Shape (T,), sampled rows.
    cells
        Shape (T, layout size).
    sums
        Shape (T, members): sums of the in-range values.
    ignored
        Stored counts that were left out because their layout has another size.
    """

    starts: FloatArray
    lengths: FloatArray
    rows: FloatArray
    cells: FloatArray
    sums: FloatArray
    ignored: int = 0


@dataclass(frozen=True)
class TotalSeries:
    """What was counted over time, summed over workers, parts and (unless one was asked for) versions.

    All arrays have shape (T,), but ``latency_cells``: (T, B + 1) for B ``latency_bounds`` in seconds, the last cell
    holding what lies above all bounds. Where workers counted with different bounds, the common ones are kept.
    """

    starts: FloatArray
    lengths: FloatArray
    attempts: FloatArray
    errors: FloatArray
    sampled: FloatArray
    latency_bounds: tuple[float, ...]
    latency_cells: FloatArray
    latency_sum: FloatArray
    first_at: FloatArray
    last_at: FloatArray
    prediction_count: FloatArray
    prediction_sum: FloatArray

    def metrics(self) -> dict[str, list[tuple[float, float, int]]]:
        """Return ``{metric: [(interval start, value, observations behind it), …]}`` for what can be told from counts.

        ``predictions`` (attempts), ``error_rate`` (0 to 1), ``latency_ms`` (mean), ``prediction_mean``.
        """
        milliseconds = self.latency_sum * 1e3
        return {
            "predictions": _points(self.starts, self.attempts, np.ones_like(self.starts), self.attempts),
            "error_rate": _points(self.starts, self.errors, self.attempts, self.attempts),
            "latency_ms": _points(self.starts, milliseconds, self.latency_cells.sum(axis=1)),
            "prediction_mean": _points(self.starts, self.prediction_sum, self.prediction_count),
        }


def _points(
    starts: FloatArray, numerator: FloatArray, denominator: FloatArray, observations: FloatArray | None = None
) -> list[tuple[float, float, int]]:
    behind = denominator if observations is None else observations
    return [
        (float(start), float(top / bottom), int(count))
        for start, top, bottom, count in zip(starts, numerator, denominator, behind, strict=True)
        if bottom > 0 and count > 0 and math.isfinite(top)
    ]
