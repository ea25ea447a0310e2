"""Queued attempts on their way from rows to columns: read in small slices, counted in large ones.

Reading needs the interpreter, which a predict may be waiting for, so that it goes by slices of `SLICE` rows. Counting
is numpy's work, and the more rows it gets at once the less it costs a row: up to `BLOCK` of one model version.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from modelwatch.profile.class_scores import TopClasses
from modelwatch.recorder.batch import Answers, BatchSlice, BoolArray, Matrix, Table, named_matrix
from modelwatch.recorder.columns import MAX_COLUMNS, to_columns
from modelwatch.recorder.ids import JoinedIds, LazyIds
from modelwatch.recorder.inputs import Attempt, LightAttempt
from modelwatch.recorder.models import VersionEntry
from modelwatch.recorder.outcomes import Values, floats_or_list, holds_any
from modelwatch.recorder.uniform import Columns, merged, merged_column

SLICE = 512
"""Rows between two chances for other threads to run, half a millisecond: 128 cost a tenth more, 1024 gain nothing."""
BLOCK = 8192
"""Rows that are counted at once."""
BLOCK_VALUES = 1 << 18
"""The same for wide rows: numbers that fit into the cache."""

logger = logging.getLogger("modelwatch")

_entry_of = itemgetter(0)
_NOTHING: tuple[Any, ...] = ()


def block_rows(width: int) -> int:
    """
    Return how many rows of `width` values are counted at once.

    >>> block_rows(25), block_rows(2000)
    (8192, 131)
    """
    return max(1, min(BLOCK, BLOCK_VALUES // max(width, 1)))


class Gathering:
    """The attempts of one drain by model version; used by one thread."""

    def __init__(self) -> None:
        self._open: dict[VersionEntry, _Open] = {}
        self._touched: set[_Open] = set()

    def take(self, items: Sequence[Any]) -> list[Any]:
        """Take some items of the queue, one at least; return those that are no single attempts."""
        if set(map(type, items)) == {tuple}:
            entries = list(map(_entry_of, items))
            if entries.count(entries[0]) == len(items):  # the usual case: all of one model
                self._of(entries[0]).rows.extend(items)
                return []
        others = []
        for item in items:
            if type(item) is tuple:
                self._of(item[0]).rows.append(item)
            elif type(item) is list:
                self._of(item[0]).light.append(item)
            else:
                others.append(item)
        return others

    def take_slice(self, entry: VersionEntry, rows: BatchSlice) -> None:
        """Take a slice of a batch: small ones are counted together."""
        held = self._of(entry)
        if rows.ids[0] is None:
            held.light_parts.append(rows)
            held.size += len(rows.ids)
        else:
            held.add(_Part.of_slice(rows, _names(entry)))

    def _of(self, entry: VersionEntry) -> _Open:
        found = self._open.get(entry)
        if found is None:
            found = self._open[entry] = _Open(entry)
        self._touched.add(found)
        return found

    def ready(self) -> Iterator[tuple[VersionEntry, BatchSlice]]:
        """Return what is enough to be counted; call it each time that something was taken."""
        touched, self._touched = self._touched, set()
        for held in touched:
            if len(held.rows) >= SLICE:
                held.read()
            if held.size + len(held.light) >= BLOCK or held.values >= BLOCK_VALUES:
                yield from held.slices()

    def rest(self) -> Iterator[tuple[VersionEntry, BatchSlice]]:
        """Return all that is left."""
        for held in self._open.values():
            if held.rows:
                held.read()
            yield from held.slices()


class _Open:
    """The attempts of one model version: rows that are not read yet, parts that are, and those that only count."""

    def __init__(self, entry: VersionEntry) -> None:
        self.entry = entry
        self.rows: list[Attempt] = []
        self.light: list[LightAttempt] = []
        self.parts: list[_Part] = []
        self.light_parts: list[BatchSlice] = []
        self.size = self.values = 0
        """Rows in parts, and values in them."""

    def add(self, part: _Part) -> None:
        self.parts.append(part)
        self.size += part.size
        self.values += part.size * part.width

    def read(self) -> None:
        rows, self.rows = self.rows, []
        self.add(_Part.of_rows(rows, _names(self.entry)))

    def slices(self) -> Iterator[tuple[VersionEntry, BatchSlice]]:
        parts, self.parts, self.size, self.values = self.parts, [], 0, 0
        light_parts, self.light_parts = self.light_parts, []
        light, self.light = self.light, []
        if parts:
            yield self.entry, _joined(parts, _names(self.entry))
        if light:
            light_parts.append(_light_slice(light))
        if light_parts:
            yield self.entry, _joined_light(light_parts)


@dataclass(frozen=True)
class _Part:
    """Some attempts as columns. What nobody gave is empty."""

    size: int
    ids: Sequence[Any]
    times: Values
    latencies: Values | None
    predictions: Answers
    features: Columns | Matrix
    unreadable: int
    actuals: Sequence[Any]
    metadata: Sequence[Any]
    given: Sequence[Any] = _NOTHING

    @property
    def width(self) -> int:
        """How many values one row holds."""
        return self.features.width if isinstance(self.features, Matrix) else len(self.features)

    @classmethod
    def of_rows(cls, rows: Sequence[Attempt], names: Sequence[str]) -> _Part:
        _, ids, times, latencies, predictions, features, actuals, metadata = zip(*rows, strict=True)
        return cls(
            len(rows),
            ids,
            floats_or_list(times),
            floats_or_list(latencies) if holds_any(latencies) else None,
            floats_or_list(predictions),
            *_read(lambda: to_columns(features, names), len(rows)),
            _given(actuals),
            _given(metadata),
        )

    @classmethod
    def of_slice(cls, rows: BatchSlice, names: Sequence[str]) -> _Part:
        size = len(rows.ids)
        features: Columns | Matrix
        if isinstance(rows.features, Matrix):
            features, unreadable = rows.features, 0
        else:
            features, unreadable = _read(lambda: rows.columns(names), size)
        return cls(
            size,
            rows.ids,
            floats_or_list(rows.times),
            floats_or_list(rows.latencies) if len(rows.latencies) else None,
            rows.predictions,
            features,
            unreadable,
            _given(rows.actuals),
            _given(rows.metadata),
            _given(rows.given),
        )


def _names(entry: VersionEntry) -> Sequence[str]:
    return () if entry.binning is None else entry.binning.names_hint


def _read(columns: Callable[[], tuple[Columns, int]], size: int) -> tuple[Columns, int]:
    """Return the features as columns, and how many can't be read."""
    try:
        return columns()
    except Exception:  # the recorder boundary: even the key of a dict may raise; attempts count anyway
        logger.debug("modelwatch: features of %d predictions can't be read", size, exc_info=True)
        return {}, size


def _given(values: Sequence[Any]) -> Sequence[Any]:
    return values if holds_any(values) else _NOTHING


def _joined_features(parts: Sequence[_Part], names: Sequence[str]) -> Columns:
    matrices = [part.features for part in parts if isinstance(part.features, Matrix)]
    if len(matrices) == len(parts) and len({(m.values.shape[1], m.values.dtype) for m in matrices}) == 1:
        return named_matrix(matrices, names)
    columns = [
        (part.size, part.features.named(names)[0] if isinstance(part.features, Matrix) else part.features)
        for part in parts
    ]
    return merged(columns, MAX_COLUMNS)


def _joined(parts: Sequence[_Part], names: Sequence[str]) -> BatchSlice:
    return BatchSlice(
        _joined_ids([part.ids for part in parts]),
        merged_column([(part.size, part.times) for part in parts]),
        _optional([(part.size, part.latencies) for part in parts]),
        _joined_answers([part.predictions for part in parts]),
        Table(_joined_features(parts, names)),
        _listed([(part.size, part.actuals) for part in parts]),
        _listed([(part.size, part.metadata) for part in parts]),
        None,
        None,
        unreadable=sum(part.unreadable for part in parts),
        given=_listed([(part.size, part.given) for part in parts]),
    )


def _joined_answers(parts: Sequence[Answers]) -> Answers:
    tops = [part for part in parts if isinstance(part, TopClasses)]
    if len(tops) < len(parts):
        return merged_column([(len(p), p.rows() if isinstance(p, TopClasses) else p) for p in parts])
    labels = list(chain.from_iterable(top.labels for top in tops))
    return TopClasses(labels, np.concatenate([top.scores for top in tops]))


def _joined_ids(parts: Sequence[Sequence[str]]) -> Sequence[str]:
    return JoinedIds(parts) if any(isinstance(part, LazyIds) for part in parts) else list(chain.from_iterable(parts))


def _light_slice(light: Sequence[LightAttempt]) -> BatchSlice:
    _, times, latencies, failed, dropped = zip(*light, strict=True)
    return BatchSlice(
        [None] * len(light),
        floats_or_list(times),
        floats_or_list(latencies),
        [],
        Table({}),
        [],
        [],
        np.array(failed, np.bool_) if True in failed else None,
        np.array(dropped, np.bool_) if True in dropped else None,
    )


def _joined_light(parts: Sequence[BatchSlice]) -> BatchSlice:
    sizes = [len(part.ids) for part in parts]

    def flags(given: Sequence[BoolArray | None]) -> BoolArray | None:
        if all(some is None for some in given):
            return None
        return np.concatenate(
            [np.zeros(size, np.bool_) if some is None else some for some, size in zip(given, sizes, strict=True)]
        )

    times = [(size, floats_or_list(part.times)) for part, size in zip(parts, sizes, strict=True)]
    latencies = [
        (size, floats_or_list(part.latencies) if len(part.latencies) else None)
        for part, size in zip(parts, sizes, strict=True)
    ]
    failed, dropped = flags([part.failed for part in parts]), flags([part.dropped for part in parts])
    columns = merged_column(times), _optional(latencies)
    return BatchSlice([None] * sum(sizes), *columns, [], Table({}), [], [], failed, dropped)


def _optional(parts: Sequence[tuple[int, Values | None]]) -> Values:
    return [] if all(part is None for _, part in parts) else merged_column(parts)


def _listed(parts: Sequence[tuple[int, Sequence[Any]]]) -> list[Any]:
    if not any(len(values) for _, values in parts):
        return []
    return [value for size, values in parts for value in (values if len(values) else [None] * size)]
