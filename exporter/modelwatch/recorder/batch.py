"""Many predictions as one item of the queue, and slices of it as columns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.class_scores import TopClasses, top_of_matrix
from modelwatch.recorder.columns import Columns, to_columns
from modelwatch.recorder.ids import LazyIds
from modelwatch.recorder.models import VersionEntry
from modelwatch.recorder.outcomes import Values, is_missing, plain_values
from modelwatch.recorder.segments import row_segments, with_segment
from modelwatch.recorder.sizes import words_each
from modelwatch.records import FloatArray

Column = NDArray[Any] | list[Any]
BoolArray = NDArray[np.bool_]
Answers = Values | TopClasses
"""Predictions on their way to being counted."""

MAX_WAITING_WORDS = 1 << 24
"""Words of 8 bytes of batches that may wait in one process: 128 MiB."""


class Backlog:
    """How many words of batches wait in this process; the lock is held for an addition only."""

    def __init__(self, limit: int = MAX_WAITING_WORDS) -> None:
        self._limit = limit
        self._waiting = 0
        self._lock = threading.Lock()

    def reserve(self, rows: int, width: int) -> int:
        """Make room for rows of `width` words, as far as there is any; return for how many.

        >>> backlog = Backlog(10)
        >>> backlog.reserve(3, 2), backlog.reserve(3, 2), backlog.release(6), backlog.reserve(3, 2)
        (3, 2, None, 3)
        """
        with self._lock:
            granted = max(0, min(rows, (self._limit - self._waiting) // max(width, 1)))
            self._waiting += granted * max(width, 1)
        return granted

    def reserve_all(self, values: int) -> bool:
        """Make room for all of `values` words, or for nothing; return whether there is room.

        >>> backlog = Backlog(10)
        >>> backlog.reserve_all(11), backlog.reserve_all(10), backlog.reserve_all(1)
        (False, True, False)
        """
        with self._lock:
            fits = self._waiting + values <= self._limit
            if fits:
                self._waiting += values
        return fits

    @property
    def waiting(self) -> int:
        """How many words wait now."""
        return self._waiting

    def release(self, values: int) -> None:
        """Give room back."""
        with self._lock:
            self._waiting -= values


@dataclass(frozen=True)
class Rows:
    """Features as one object per prediction."""

    objects: Sequence[Any]

    @property
    def width(self) -> int:
        """About how many words of 8 bytes one row holds."""
        return words_each(self.objects)

    def chosen(self, mask: BoolArray) -> Rows:
        """Return some rows."""
        return Rows(list(compress(self.objects, mask)))

    def part(self, some: slice) -> Rows:
        """Return a slice."""
        return Rows(self.objects[some])

    def named(self, names: Sequence[str]) -> tuple[Columns, int]:
        """Return all as columns, and how many rows can't be read; nameless values get `names`."""
        return to_columns(self.objects, names)


@dataclass(frozen=True)
class Table:
    """Features as columns; those of a plain array have no names."""

    columns: dict[str, Column]
    has_names: bool = True

    @property
    def width(self) -> int:
        """About how many words of 8 bytes one row holds: as many as it has values, if they are numbers."""
        return max(1, sum(map(words_each, self.columns.values())))

    def chosen(self, mask: BoolArray) -> Table:
        """Return some rows."""
        return Table({name: pick(column, mask) for name, column in self.columns.items()}, self.has_names)

    def part(self, some: slice) -> Table:
        """Return a slice of all columns."""
        return Table({name: column[some] for name, column in self.columns.items()}, self.has_names)

    def named(self, names: Sequence[str]) -> tuple[Columns, int]:
        """Return the columns; all can be read. Nameless ones get `names`, in order."""
        if self.has_names:
            return dict(self.columns), 0
        return dict(zip(_named(self.columns, names), self.columns.values(), strict=True)), 0


@dataclass(frozen=True)
class Matrix:
    """Features as a plain array of numbers, shape (rows, columns)."""

    values: NDArray[Any]

    @property
    def width(self) -> int:
        """How many words of 8 bytes one row holds."""
        return max(1, int(self.values.shape[1]))

    def chosen(self, mask: BoolArray) -> Matrix:
        """Return some rows."""
        return Matrix(self.values[mask])

    def part(self, some: slice) -> Matrix:
        """Return a slice."""
        return Matrix(self.values[some])

    def named(self, names: Sequence[str]) -> tuple[Columns, int]:
        """Return the columns, each with its values side by side; they get `names`, in order."""
        return named_matrix([self], names), 0


def named_matrix(parts: Sequence[Matrix], names: Sequence[str]) -> Columns:
    """
    Return the columns of arrays of as many columns and one dtype, each with its values side by side.

    >>> named_matrix([Matrix(np.array([[1.0, 2.0]])), Matrix(np.array([[3.0, 4.0]]))], ["a"])
    {'a': array([1., 3.]), 'f1': array([2., 4.])}
    """
    first, end = parts[0].values, 0
    columns = np.empty((first.shape[1], sum(len(part.values) for part in parts)), first.dtype)
    for part in parts:
        begin, end = end, end + len(part.values)
        columns[:, begin:end] = part.values.T
    return dict(zip(_named(nameless(len(columns)), names), columns, strict=True))


Features = Rows | Table | Matrix


@lru_cache(maxsize=64)
def nameless(size: int) -> tuple[str, ...]:
    """Return what columns without names are called."""
    return tuple(f"f{i}" for i in range(size))


def _named(columns: Iterable[str], names: Sequence[str]) -> list[str]:
    return [names[i] if i < len(names) else given for i, given in enumerate(columns)]


@dataclass(frozen=True)
class BatchSlice:
    """Attempts of one model version, as columns: all of them looked at, or (ids None) none."""

    ids: Sequence[str | None]
    times: Sequence[Any] | FloatArray
    latencies: Sequence[Any] | FloatArray
    predictions: Answers
    features: Features
    actuals: Sequence[Any]
    metadata: Sequence[Any]
    failed: BoolArray | None
    dropped: BoolArray | None
    unreadable: int = 0
    """How many of them have features that can't be read, as far as that is known already."""
    given: Sequence[Any] = ()
    """Segments that were given with the call, one per row; empty if none were."""

    @property
    def errors(self) -> int:
        """How many attempts failed."""
        return 0 if self.failed is None else int(np.count_nonzero(self.failed))

    @property
    def lost(self) -> int:
        """How many should have been looked at, and can't be."""
        return 0 if self.dropped is None else int(np.count_nonzero(self.dropped))

    def chosen(self, mask: BoolArray) -> BatchSlice:
        """Return some of them."""
        return BatchSlice(
            pick(self.ids, mask),
            pick(self.times, mask),
            pick(self.latencies, mask),
            pick(self.predictions, mask),
            self.features.chosen(mask),
            pick(self.actuals, mask),
            pick(self.metadata, mask),
            None if self.failed is None else self.failed[mask],
            None if self.dropped is None else self.dropped[mask],
            given=pick(self.given, mask),
        )

    def segments(self, keys: Sequence[str]) -> list[str] | None:
        """Return the segment of each row, by these keys of the metadata; None if nobody named any."""
        if not self.metadata and not self.given:
            return None
        return row_segments(keys, self.metadata or [None] * len(self.ids), self.given or None)

    def stored_metadata(self) -> Sequence[Any]:
        """Return the metadata as they are stored, one per row: with the segments that were given beside them."""
        if not self.given:
            return self.metadata
        pairs = zip(self.metadata or [None] * len(self.ids), self.given, strict=True)
        return [with_segment(metadata, None if is_missing(segment) else segment) for metadata, segment in pairs]

    def columns(self, names: Sequence[str]) -> tuple[Columns, int]:
        """Return the features as columns, and how many rows can't be read."""
        return self.features.named(names)


@dataclass(frozen=True)
class Batch:
    """Predictions that were recorded by one call: all of them looked at, or (`ids` None) none.

    A sequence that is empty says that nothing was given; times and latencies may be one value for all.
    """

    entry: VersionEntry
    size: int
    ids: Sequence[str] | None
    times: Any
    latencies: Any
    predictions: Column
    features: Features
    actuals: Column
    metadata: Any
    failed: BoolArray | None = None
    dropped: BoolArray | None = None
    release: Callable[[], None] = lambda: None
    """Called once nothing of it waits any more."""
    segments: Any = None
    """One for all, or a column."""

    @property
    def width(self) -> int:
        """How many values one row has, of its features or of the scores of its classes."""
        return max(self.features.width, words_of_answer(self.predictions))

    def slices(self, rows: int) -> Iterator[BatchSlice]:
        """Return it in slices of at most so many rows."""
        for first in range(0, self.size, rows):
            last = min(first + rows, self.size)
            some = slice(first, last)
            yield BatchSlice(
                self._ids(some),
                _spread(self.times, some),
                _spread(self.latencies, some),
                _answers(self.predictions[some]),
                self.features.part(some),
                _unboxed(self.actuals[some]),
                self._metadata(some),
                None if self.failed is None else self.failed[some],
                None if self.dropped is None else self.dropped[some],
                given=_each(self.segments, some),
            )

    def _ids(self, some: slice) -> Sequence[str | None]:
        if self.ids is None:
            return [None] * (some.stop - some.start)
        return self.ids if some == slice(0, self.size) else self.ids[some]

    def _metadata(self, some: slice) -> Sequence[Any]:
        if self.metadata is None:
            return []
        return self.metadata[some] if isinstance(self.metadata, list) else [self.metadata] * (some.stop - some.start)


@dataclass(frozen=True)
class ActualsBatch:
    """Late ground truth of many predictions in the queue."""

    labels: tuple[str, str]
    ids: Sequence[str]
    values: Column
    when: float
    release: Callable[[], None] = lambda: None


def pick(column: Any, mask: BoolArray) -> Any:  # noqa: ANN401 - a column, or one value for all rows
    """Return some rows of a column; what is empty or one value for all stays as it is."""
    if isinstance(column, TopClasses):
        return column.chosen(mask)
    if isinstance(column, np.ndarray):
        return column[mask] if column.ndim else column
    return list(compress(column, mask)) if isinstance(column, (list, tuple, LazyIds)) and column else column


def words_of_answer(predictions: Column) -> int:
    """Return how many words of 8 bytes one prediction holds: one, or one per class where each has its score.

    >>> words_of_answer([0.5]), words_of_answer(np.zeros((2, 7)))
    (1, 7)
    """
    return int(predictions.shape[1]) if isinstance(predictions, np.ndarray) and predictions.ndim > 1 else 1


def _answers(predictions: Column) -> Answers:
    """Return predictions as plain values, and the scores of classes as the classes that they are for."""
    if not isinstance(predictions, np.ndarray) or predictions.ndim == 1:
        return plain_values(predictions)
    return top_of_matrix(predictions)


def _unboxed(column: Column) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _each(value: Any, some: slice) -> list[Any]:  # noqa: ANN401 - one value for all, or a column
    if isinstance(value, (list, np.ndarray)):
        return _unboxed(value[some])
    return [] if value is None else [value] * (some.stop - some.start)


def _spread(value: Any, some: slice) -> Sequence[Any] | FloatArray:  # noqa: ANN401 - one value for all, or a column
    if isinstance(value, (list, np.ndarray)):
        return plain_values(value[some])
    size = some.stop - some.start
    if value is None:
        return ()
    return np.full(size, value) if type(value) is float else [value] * size
