"""Rows of a window from the store: for what counts by feature can't tell, which is how features go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.records import FloatArray
from modelwatch.windows.repeats import column_repeats, entities_of

if TYPE_CHECKING:
    from modelwatch.records import RowChunk
    from modelwatch.store.queries import StoreQueries

__all__ = ["MOST_ROWS", "WindowRows", "window_rows"]

MOST_ROWS = 20_000
"""More rows of a window are not looked at, but a part of them that is spread over it."""


@dataclass(frozen=True)
class WindowRows:
    """Stored rows of a window.

    Attributes
    ----------
    rows : int
    columns : dict of str to column
        Values by feature; features that no row has are left out.
    times : ndarray, shape (rows,)
        When each was, seconds since the epoch.
    repeats : float
        So many rows are worth one, as rows of one entity repeat it; 1 where nobody asked.
    """

    rows: int
    columns: dict[str, list[Any] | FloatArray]
    times: FloatArray
    repeats: float = 1.0

    @property
    def independent(self) -> float:
        """Rows without the repeats."""
        return self.rows / self.repeats


def window_rows(
    queries: StoreQueries,
    model_id: str,
    model_version: str,
    features: Sequence[str],
    start: float,
    end: float,
    *,
    most: int = MOST_ROWS,
    entity: str | None = None,
) -> WindowRows:
    """Read the stored rows of a model version in ``[start, end)``.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    model_id, model_version : str
        Whose rows.
    features : sequence of str
        The columns that are wanted.
    start, end : float
        Seconds since the epoch.
    most : int
        At most so many rows, of more a part that is spread evenly: the hours of a day weigh as they do in the whole.
    entity : str or None
        A feature or a key of the metadata by which rows repeat one another.

    Returns
    -------
    WindowRows

    Raises
    ------
    StorageError
        If the store can't be read.
    """
    chunks = list(queries.row_sample(model_id, model_version, start, end, most))
    total = sum(len(chunk.times) for chunk in chunks)
    kept = np.linspace(0, total - 1, most).astype(np.intp) if total > most else None
    repeats = 1.0
    if entity is not None and chunks:
        whose = [value for chunk in chunks for value in entities_of(chunk, entity)]
        repeats = column_repeats(whose if kept is None else _picked(whose, kept)).mean
    columns = {}
    for name in features:
        if any(name in chunk.columns for chunk in chunks):
            column = _joined(name, chunks)
            columns[name] = column if kept is None else _picked(column, kept)
    times = np.concatenate([chunk.times for chunk in chunks]) if chunks else np.zeros(0)
    return WindowRows(min(total, most), columns, times if kept is None else times[kept], repeats)


def _joined(name: str, chunks: Sequence[RowChunk]) -> list[Any] | FloatArray:
    parts = [chunk.columns.get(name) for chunk in chunks]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    out: list[Any] = []
    for part, chunk in zip(parts, chunks, strict=True):
        out += [None] * len(chunk.times) if part is None else list(part)
    return out


def _picked(column: list[Any] | FloatArray, kept: np.ndarray) -> list[Any] | FloatArray:
    return column[kept] if isinstance(column, np.ndarray) else [column[i] for i in kept.tolist()]
