"""Queued attempts on their way from rows to columns: read in small slices, counted in large ones.

Reading needs the interpreter, which a predict may be waiting for, so that it goes by slices of `SLICE` rows. Counting
is numpy's work, and the more rows it gets at once the less it costs a row: up to `BLOCK` of one model version.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from modelwatch.recorder.batch import BatchSlice, Table
from modelwatch.recorder.columns import MAX_COLUMNS, to_columns
from modelwatch.recorder.inputs import Attempt, LightAttempt
from modelwatch.recorder.models import VersionEntry
from modelwatch.recorder.outcomes import Values, floats_or_list, holds_any
from modelwatch.recorder.uniform import Columns, merged, merged_column

SLICE = 512
"""Rows between two chances for other threads to run, half a millisecond: 128 cost a tenth more, 1024 gain nothing."""
BLOCK = 2048
"""Rows that are counted at once."""

logger = logging.getLogger("modelwatch")

_entry_of = itemgetter(0)
_NOTHING: tuple[Any, ...] = ()


class Gathering:
    """The attempts of one drain by model version; used by one thread."""

    def __init__(self) -> None:
        self._open: dict[VersionEntry, _Open] = {}
        self._touched: set[_Open] = set()

    def take(self, items: Sequence[Any]) -> list[Any]:
        """Take some items of the queue, one at least; return those that are no attempts."""
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

    def _of(self, entry: VersionEntry) -> _Open:
        found = self._open.get(entry)
        if found is None:
            found = self._open[entry] = _Open(entry)
        self._touched.add(found)
        return found

    def ready(self) -> Iterator[tuple[VersionEntry, BatchSlice]]:
        """Return the slices that are large enough to be counted; call it after each :meth:`take`."""
        touched, self._touched = self._touched, set()
        for held in touched:
            if len(held.rows) >= SLICE:
                held.read()
            if held.size >= BLOCK:
                yield held.entry, held.slice()
            if len(held.light) >= BLOCK:
                yield held.entry, held.light_slice()

    def rest(self) -> Iterator[tuple[VersionEntry, BatchSlice]]:
        """Return all that is left."""
        for held in self._open.values():
            if held.rows:
                held.read()
            if held.size:
                yield held.entry, held.slice()
            if held.light:
                yield held.entry, held.light_slice()


class _Open:
    """The attempts of one model version: rows that are not read yet, parts that are, and those that only count."""

    def __init__(self, entry: VersionEntry) -> None:
        self.entry = entry
        self.rows: list[Attempt] = []
        self.light: list[LightAttempt] = []
        self.parts: list[_Part] = []
        self.size = 0

    def read(self) -> None:
        rows, self.rows = self.rows, []
        self.parts.append(_Part(rows, self.entry))
        self.size += len(rows)

    def slice(self) -> BatchSlice:
        parts, self.parts, self.size = self.parts, [], 0
        ids = [prediction_id for part in parts for prediction_id in part.ids]
        features = merged([(part.size, part.features) for part in parts], MAX_COLUMNS)
        return BatchSlice(
            ids,
            merged_column([(part.size, part.times) for part in parts]),
            _optional([(part.size, part.latencies) for part in parts]),
            merged_column([(part.size, part.predictions) for part in parts]),
            Table(features),
            _listed([(part.size, part.actuals) for part in parts]),
            _listed([(part.size, part.metadata) for part in parts]),
            None,
            None,
            unreadable=sum(part.unreadable for part in parts),
        )

    def light_slice(self) -> BatchSlice:
        light, self.light = self.light, []
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


class _Part:
    """Some attempts as columns. What nobody gave is an empty tuple."""

    __slots__ = ("actuals", "features", "ids", "latencies", "metadata", "predictions", "size", "times", "unreadable")

    def __init__(self, rows: Sequence[Attempt], entry: VersionEntry) -> None:
        _, self.ids, times, latencies, predictions, features, actuals, metadata = zip(*rows, strict=True)
        self.size = len(rows)
        names = () if entry.binning is None else entry.binning.names_hint
        self.features: Columns = {}
        self.unreadable = self.size
        try:
            self.features, self.unreadable = to_columns(features, names)
        except Exception:  # the recorder boundary: even the key of a dict may raise; attempts count anyway
            logger.debug("modelwatch: features of %d predictions can't be read", self.size, exc_info=True)
        self.times: Values = floats_or_list(times)
        self.latencies = _given(latencies)
        self.predictions: Values = floats_or_list(predictions)
        self.actuals: Sequence[Any] = actuals if holds_any(actuals) else _NOTHING
        self.metadata: Sequence[Any] = metadata if holds_any(metadata) else _NOTHING


def _given(values: tuple[Any, ...]) -> Values | None:
    return floats_or_list(values) if holds_any(values) else None


def _optional(parts: Sequence[tuple[int, Values | None]]) -> Values:
    return [] if all(part is None for _, part in parts) else merged_column(parts)


def _listed(parts: Sequence[tuple[int, Sequence[Any]]]) -> list[Any]:
    if not any(values for _, values in parts):
        return []
    return [value for size, values in parts for value in (values or [None] * size)]
