"""What the queue holds, and snapshots of what the caller may change after the call."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwatch.recorder.columns import Columns, to_columns
from modelwatch.recorder.models import VersionEntry

IMMUTABLE = frozenset(
    {type(None), bool, int, float, complex, str, bytes, tuple, frozenset, np.float64, np.float32, np.int64}
)


Attempt = tuple[VersionEntry, "str | None", Any, Any, Any, Any, Any, Any, bool, bool]
"""
One attempted prediction in the queue: entry, prediction_id, when, latency_ms, prediction, features, actual, metadata,
failed, dropped. A plain tuple, since the request path builds one per call. A light one (prediction_id None) counts as
an attempt only: it was not sampled, failed, or was dropped.
"""


class Attempts(NamedTuple):
    """Attempts as columns."""

    entries: tuple[VersionEntry, ...]
    ids: tuple[str | None, ...]
    times: tuple[Any, ...]
    latencies: tuple[Any, ...]
    predictions: tuple[Any, ...]
    features: tuple[Any, ...]
    actuals: tuple[Any, ...]
    metadata: tuple[Any, ...]
    failed: tuple[bool, ...]
    dropped: tuple[bool, ...]

    @classmethod
    def of(cls, rows: Iterable[Attempt]) -> Attempts:
        """Return rows, of which there must be one at least, as columns."""
        return cls(*zip(*rows, strict=True))

    @property
    def errors(self) -> int:
        """How many attempts failed."""
        return self.failed.count(True)

    @property
    def lost(self) -> int:
        """How many should have been looked at, and can't be."""
        return self.dropped.count(True)

    def chosen(self, mask: NDArray[np.bool_]) -> Attempts:
        """Return some of them."""
        return Attempts(*(tuple(compress(column, mask)) for column in self))

    def columns(self, names: Sequence[str]) -> tuple[Columns, int]:
        """Return the features as columns, and how many rows can't be read."""
        return to_columns(self.features, names)


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
