"""Sampled rows of one flush, gathered into columns, as the store keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelwatch.recorder.columns import MAX_COLUMNS, Columns
from modelwatch.records import FloatArray, RowChunk

_PLAIN = 8
_OBJECT = 64
"""Rough bytes of one value in an array and in a list, for the bound on what waits for the store."""


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

    def add(self, times: FloatArray, ids: Sequence[str], columns: Columns) -> None:
        """Add one slice: times of shape (n,), n ids, columns of length n; long texts are cut to `MAX_TEXT`."""
        self._times.append(times)
        self._ids.extend(ids)
        self._slices.append((len(ids), {name: _cut(column) for name, column in columns.items()}))

    def chunk(self) -> RowChunk:
        """Return all rows as one chunk; None stands where a slice had no such column."""
        names = list(dict.fromkeys(name for _, columns in self._slices for name in columns))[:MAX_COLUMNS]
        return RowChunk(*self._labels, np.concatenate(self._times), self._ids, {n: self._column(n) for n in names})

    def _column(self, name: str) -> list[Any] | FloatArray:
        parts = [columns.get(name) for _, columns in self._slices]
        arrays = [part for part in parts if isinstance(part, np.ndarray)]
        if len(arrays) == len(parts):
            return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        out: list[Any] = []
        for part, (size, _) in zip(parts, self._slices, strict=True):
            out.extend([None] * size if part is None else part.tolist() if isinstance(part, np.ndarray) else part)
        return out


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


def rough_bytes(chunk: RowChunk) -> int:
    """Return about how much memory a chunk holds."""
    widths = (_PLAIN if isinstance(column, np.ndarray) else _OBJECT for column in chunk.columns.values())
    return len(chunk.ids) * (_OBJECT + _PLAIN + sum(widths))
