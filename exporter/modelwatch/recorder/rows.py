"""Sampled rows of one flush, gathered into columns, as the store keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelwatch.recorder.columns import MAX_COLUMNS
from modelwatch.recorder.outcomes import Values, finite_or_none, holds_any
from modelwatch.recorder.segments import as_dict
from modelwatch.recorder.uniform import Columns, merged
from modelwatch.records import (
    PREDICTION_SCORE,
    ROW_LATENCY,
    ROW_METADATA,
    ROW_PREDICTION,
    ActualChunk,
    FloatArray,
    RowChunk,
)

_PLAIN = 8
_OBJECT = 64
"""Rough bytes of one value in an array and in a list, for the bound on what waits for the store."""


MAX_CHUNK_ROWS = 1 << 15
"""Rows of one chunk, unless one slice has more: readers hold some chunks in memory."""
MAX_TEXT = 1000
"""Characters of one text that are kept in a stored row."""
_TEXTS = (str, bytes)


class RowBuffer:
    """
    Rows of one model version, slice by slice; slices may have different columns.

    Parameters
    ----------
    labels
        model_id and model_version.
    """

    def __init__(self, labels: tuple[str, str]) -> None:
        self._labels = labels
        self._times: list[FloatArray] = []
        self._ids: list[str] = []
        self._slices: list[tuple[int, Columns]] = []

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(map(len, self._times))

    def add(self, times: FloatArray, ids: Sequence[str], columns: Columns) -> None:
        """Add one slice: times of shape (n,), n ids, columns of length n; long texts are cut to `MAX_TEXT`."""
        self._times.append(times)
        self._ids.extend(ids)
        self._slices.append((len(ids), {name: _cut(column) for name, column in columns.items()}))

    def chunk(self) -> RowChunk:
        """Return all rows as one chunk; None stands where a slice had no such column."""
        return self._chunk(slice(None), self._ids)

    def chunks(self) -> list[RowChunk]:
        """Return all rows as chunks of a bounded length."""
        done, first, position, rows = [], 0, 0, 0
        for place, (size, _) in enumerate(self._slices):
            if rows and rows + size > MAX_CHUNK_ROWS:
                done.append(self._chunk(slice(first, place), self._ids[position - rows : position]))
                first, rows = place, 0
            rows, position = rows + size, position + size
        return [*done, self._chunk(slice(first, None), self._ids[position - rows :])]

    def _chunk(self, some: slice, ids: list[str]) -> RowChunk:
        slices = self._slices[some]
        return RowChunk(*self._labels, np.concatenate(self._times[some]), ids, merged(slices, MAX_COLUMNS))


def _cut(column: list[Any] | FloatArray) -> list[Any] | FloatArray:
    """Return a column without long texts: a store of rows is no store of documents, and memory has bounds."""
    if isinstance(column, np.ndarray):
        return column
    try:
        if max(map(len, column), default=0) <= MAX_TEXT:
            return column
    except Exception:  # noqa: BLE001 - the recorder boundary: numbers and None have no length, others' may raise
        if not any(type(value) in _TEXTS and len(value) > MAX_TEXT for value in column):
            return column
    return [value[:MAX_TEXT] if type(value) in _TEXTS and len(value) > MAX_TEXT else value for value in column]


def prediction_columns(predictions: Values, scores: FloatArray | None) -> Columns:
    """Return the columns of predictions and of the scores of predicted classes, those that hold anything."""
    columns: Columns = {}
    if holds_any(predictions):
        columns[ROW_PREDICTION] = predictions
    if scores is not None:
        columns[PREDICTION_SCORE] = scores
    return columns


def outcome_columns(
    predictions: Columns, latencies: Sequence[Any] | FloatArray, metadata: Sequence[Any], keys: tuple[str, ...] | None
) -> tuple[Columns, int]:
    """Return the columns of a row chunk that are no features, but for empty ones; and how many metadata are no dict.

    Of metadata only `keys` are kept; None for all.
    """
    columns = dict(predictions)
    unreadable = 0
    if holds_any(latencies):
        columns[ROW_LATENCY] = finite_or_none(latencies)
    if holds_any(metadata):
        read = [as_dict(value) for value in metadata]
        unreadable = sum(value is None for value in read) - sum(value is None for value in metadata)
        kept = read if keys is None else [_chosen(value, keys) for value in read]
        if holds_any(kept):
            columns[ROW_METADATA] = kept
    return columns, unreadable


def _chosen(metadata: dict[Any, Any] | None, keys: tuple[str, ...]) -> dict[Any, Any] | None:
    return None if metadata is None else {key: metadata[key] for key in keys if key in metadata} or None


def actual_chunk(labels: tuple[str, str], items: list[tuple[float, str, Any]]) -> ActualChunk:
    """Return ground truth of one model version, each with its time and the id of its prediction."""
    times, ids, values = zip(*items, strict=True)
    model_id, version = labels
    return ActualChunk(model_id, np.array(times, np.float64), list(ids), list(values), version)


def rough_bytes(chunk: RowChunk) -> int:
    """Return about how much memory a chunk holds."""
    widths = (_PLAIN if isinstance(column, np.ndarray) else _OBJECT for column in chunk.columns.values())
    return len(chunk.ids) * (_OBJECT + _PLAIN + sum(widths))
