"""How many rows of a window are worth one, where rows of one entity, such as a user, say the same again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.profile.values import is_missing
from modelwatch.records import ROW_COLUMNS, ROW_METADATA, FloatArray, RowChunk

if TYPE_CHECKING:
    from modelwatch.store.queries import StoreQueries

__all__ = ["Repeats", "column_repeats", "entities_of", "stored_repeats", "window_repeats"]


@dataclass(frozen=True)
class Repeats:
    """How often entities come again in some rows.

    Attributes
    ----------
    mean : float
        So many rows are of the entity of a row, itself among them, in the mean over all rows: Kish's design effect of
        clusters whose rows are alike (1965, Survey Sampling). Where all entities come equally often it is how often.
        Where they don't it is more than rows by entity: half of the rows from one robot are one observation.
    rows, known : int
        How many rows were looked at, and how many of them have an entity; the others are of one each.
    names : frozenset of str
        What else could have been the entity, if no row has it.
    """

    mean: float = 1.0
    rows: int = 0
    known: int = 0
    names: frozenset[str] = frozenset()


def window_repeats(
    queries: StoreQueries,
    model_id: str,
    model_version: str,
    entity: str,
    start: float,
    end: float,
    *,
    most: int,
    counted: float = 0.0,
) -> Repeats:
    """Count the repeats in the stored rows of a model version in ``[start, end)``.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    model_id, model_version : str
        Whose rows.
    entity : str
        A feature, or where rows have none of that name, a key of their metadata.
    start, end : float
        Seconds since the epoch.
    most : int
        About so many rows are read, of more some chunks that are spread over the time.
    counted : float
        Rows of the window, of which more may be counted than are read.

    Returns
    -------
    Repeats
        With ``sampling_rate`` below 1, of the rows that were sampled: as counts are.

    Raises
    ------
    StorageError
        If the store can't be read.
    """
    return stored_repeats(queries.row_sample(model_id, model_version, start, end, most), entity, counted)


def stored_repeats(chunks: Iterable[RowChunk], entity: str, counted: float = 0.0) -> Repeats:
    """Count the repeats in rows of which some chunks are known.

    A pair of rows in one chunk is seen as often as the chunk is, a pair in two of them only if both are: of n rows out
    of N with W ordered pairs within chunks and B between, ``1 + (W + B N / n) / n`` is to be expected of all of them
    (Horvitz and Thompson 1952, doi:10.1080/01621459.1952.10483446).

    Parameters
    ----------
    chunks : iterable of RowChunk
        Rows.
    entity : str
        A feature or a key of the metadata.
    counted : float
        How many rows there are in all.

    Examples
    --------
    >>> chunk = RowChunk("m", "1", np.arange(4.0), list("abcd"), {"user": ["ann", "ann", "bob", None]})
    >>> stored_repeats([chunk], "user")
    Repeats(mean=1.5, rows=4, known=3, names=frozenset())
    """
    entities: Counter[Any] = Counter()
    rows = within = 0
    names: set[str] = set()
    for chunk in chunks:
        rows += len(chunk.times)
        mine = _counted(entities_of(chunk, entity))
        names |= _names(chunk)
        within += _pairs(mine)
        entities.update(mine)
    if not rows:
        return Repeats()
    known = sum(entities.values())
    between = _pairs(entities) - within
    mean = 1.0 + (within + between * max(counted / rows, 1.0)) / rows
    return Repeats(min(mean, max(float(rows), counted)), rows, known, frozenset() if known else frozenset(names))


def column_repeats(column: Any) -> Repeats:  # noqa: ANN401 - any column
    """Count the repeats in a column, one entity a row.

    >>> column_repeats(["ann", "bob"] * 5).mean, column_repeats(["ann", "bob", None, None, ""])
    (5.0, Repeats(mean=1.0, rows=5, known=2, names=frozenset()))
    """
    entities, rows = _counted(column), len(column)
    return Repeats(1.0 + _pairs(entities) / rows, rows, sum(entities.values())) if rows else Repeats()


def entities_of(chunk: RowChunk, entity: str) -> list[Any] | FloatArray:
    """Return whose each row is: by the feature of that name, or where there is none by the key of the metadata."""
    if entity in chunk.columns and entity not in ROW_COLUMNS:
        return chunk.columns[entity]
    metadata = chunk.columns.get(ROW_METADATA) or [None] * len(chunk.times)
    return [about.get(entity) if isinstance(about, dict) else None for about in metadata]


def _names(chunk: RowChunk) -> set[str]:
    """Return what an entity could be called: the features, and what the first row has of metadata."""
    about = next((about for about in chunk.columns.get(ROW_METADATA, ()) if isinstance(about, dict)), {})
    return {*chunk.columns, *about}.difference(ROW_COLUMNS)


def _counted(column: Any) -> Counter[Any]:  # noqa: ANN401
    """Return how often each entity comes; what is missing or an empty text is none."""
    if isinstance(column, np.ndarray):
        column = (column[~np.isnan(column)] if column.dtype.kind == "f" else column).tolist()
    given = (value for value in column if not is_missing(value))
    kept: Collection[Any] = [value for value in given if not (isinstance(value, str) and not value)]
    try:
        return Counter(kept)
    except TypeError:  # lists and dicts have no hash
        return Counter(map(repr, kept))


def _pairs(entities: Counter[Any]) -> int:
    """Return how many ordered pairs of rows are of one entity."""
    return sum(many * (many - 1) for many in entities.values())
