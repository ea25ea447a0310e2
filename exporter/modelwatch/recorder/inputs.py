"""What the queue holds, and snapshots of what the caller may change after the call."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np

from modelwatch.recorder.models import VersionEntry
from modelwatch.recorder.segments import Segmented

IMMUTABLE = frozenset(
    {type(None), bool, int, float, complex, str, bytes, tuple, frozenset, np.float64, np.float32, np.int64, Segmented}
)


Attempt = tuple[VersionEntry, str, Any, Any, Any, Any, Any, Any]
"""
A prediction in the queue that is looked at: entry, prediction_id, when, latency_ms, prediction, features, actual,
metadata. A plain tuple, since the request path builds one per call.
"""

LightAttempt = list[Any]
"""
An attempt in the queue that only counts, as it was not sampled, failed, or was dropped: entry, when, latency_ms,
failed, dropped. A list, which tells it from the other kind at no cost.
"""


@dataclass(frozen=True)
class Actual:
    """Late ground truth in the queue."""

    labels: tuple[str, str]
    prediction_id: str
    value: Any
    when: float


@dataclass(frozen=True)
class MetricUpdate:
    """A value given to update_model_metric in the queue."""

    entry: VersionEntry
    metric: str
    value: float
    when: float
    metadata: dict[str, Any] | None


@dataclass(frozen=True)
class Fault:
    """Something that went wrong in the caller's thread, to be counted."""

    labels: tuple[str, str]
    reason: str


@dataclass
class Barrier:
    """Set once all that was queued before it is in slot and sink (`ok`), or could not be put there."""

    done: Event = field(default_factory=Event)
    ok: bool = False


def snapshot(value: Any) -> Any:  # noqa: ANN401 - anything a model takes or returns
    """Return a shallow copy of what may change after the call; raises whatever the value's own copying raises."""
    kind = type(value)
    if kind in IMMUTABLE:
        return value
    if kind is list or kind is dict or kind is np.ndarray:
        return value.copy()
    if isinstance(value, np.generic):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(kind, "iloc"):  # pandas: copy.copy() would share the values
        return value.copy()
    return copy.copy(value)
