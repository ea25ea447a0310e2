"""Stored counts of many workers summed into one series over time. Arrays in, arrays out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modelwatch.exceptions import StorageError
from modelwatch.records import FloatArray, IntArray
from modelwatch.store.cells import unpack_counts, unpack_floats
from modelwatch.store.values import CountSeries, TotalSeries

__all__ = ["CountRow", "TotalRow", "sum_counts", "sum_totals"]


class CountRow(NamedTuple):
    """One stored ``interval_counts`` row."""

    start: float
    length: float
    rows: int
    layout_size: int
    cells: bytes
    sums: bytes


class TotalRow(NamedTuple):
    """One stored ``interval_totals`` row."""

    start: float
    length: float
    attempts: int
    errors: int
    sampled: int
    latency_bounds: bytes
    latency_cells: bytes
    latency_sum: float | None
    first_at: float
    last_at: float
    prediction_count: int
    prediction_sum: float | None


def sum_counts(rows: Sequence[CountRow], size: int | None = None) -> CountSeries:
    """Sum counts by interval.

    Parameters
    ----------
    rows
        In any order.
    size
        The layout size to keep; None for the one that most rows have. Rows of another size, or with another number of
        members, can't be added: they are left out and counted in ``ignored``.

    Raises
    ------
    StorageError
        A stored count vector does not fit its layout size.
    """
    shapes = Counter((r.layout_size, len(r.sums)) for r in rows if size is None or r.layout_size == size)
    if not shapes:
        nothing = np.zeros(0)
        return CountSeries(nothing, nothing, nothing, np.zeros((0, size or 0)), np.zeros((0, 0)), len(rows))
    shape = shapes.most_common(1)[0][0]
    kept = sorted((r for r in rows if (r.layout_size, len(r.sums)) == shape), key=lambda r: r.start)
    starts, firsts = np.unique(np.array([r.start for r in kept]), return_index=True)
    sums = np.frombuffer(b"".join([r.sums for r in kept]), dtype="<f8").reshape(len(kept), -1)
    return CountSeries(
        starts,
        _reduce(np.maximum, np.array([r.length for r in kept]), firsts),
        _reduce(np.add, np.array([r.rows for r in kept], dtype=np.float64), firsts),
        _reduce(np.add, unpack_counts([r.cells for r in kept], shape[0]), firsts),
        _reduce(np.add, sums, firsts),
        len(rows) - len(kept),
    )


def sum_totals(rows: Sequence[TotalRow]) -> TotalSeries:
    """Sum totals by interval; rows in any order.

    Raises
    ------
    StorageError
        Stored latency counts do not fit their bounds.
    """
    ordered = sorted(rows, key=lambda r: r.start)
    starts, firsts = np.unique(np.array([r.start for r in ordered], dtype=np.float64), return_index=True)
    bounds, cells = _common_latency(ordered)

    def over(ufunc: np.ufunc, name: str) -> FloatArray:
        values = [getattr(r, name) for r in ordered]
        numbers = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        return _reduce(ufunc, numbers, firsts)

    return TotalSeries(
        starts=starts,
        lengths=over(np.maximum, "length"),
        attempts=over(np.add, "attempts"),
        errors=over(np.add, "errors"),
        sampled=over(np.add, "sampled"),
        latency_bounds=bounds,
        latency_cells=_reduce(np.add, cells, firsts),
        latency_sum=over(np.add, "latency_sum"),
        first_at=over(np.minimum, "first_at"),
        last_at=over(np.maximum, "last_at"),
        prediction_count=over(np.add, "prediction_count"),
        prediction_sum=over(np.add, "prediction_sum"),
    )


def _common_latency(rows: Sequence[TotalRow]) -> tuple[tuple[float, ...], FloatArray]:
    """Return the bounds that all rows share, and every row's counts between those: cells only ever merge."""
    own = {blob: unpack_floats(blob) for blob in {r.latency_bounds for r in rows}}
    sets = [set(values.tolist()) for values in own.values()]
    bounds = tuple(sorted(set.intersection(*sets))) if sets else ()
    out = np.zeros((len(rows), len(bounds) + 1))
    for blob, values in own.items():
        places = [i for i, r in enumerate(rows) if r.latency_bounds == blob]
        size = len(values) + 1
        blobs = [rows[i].latency_cells for i in places]
        if any(len(cells) % size for cells in blobs):
            raise StorageError(f"stored latency counts do not fit their {len(values)} bounds and the cell above them")
        # A cell (a, b] belongs to the first common bound that is at least b.
        target = np.searchsorted(np.array(bounds), np.append(values, np.inf), side="left")
        merged = np.zeros((len(places), len(bounds) + 1))
        np.add.at(merged.T, target, unpack_counts(blobs, size).T)
        out[places] = merged
    return bounds, out


def _reduce(ufunc: np.ufunc, values: FloatArray, firsts: IntArray) -> FloatArray:
    """Reduce each run of rows that begins at ``firsts``; a run of one, which most are, costs nothing."""
    if len(firsts) == len(values):
        return values
    out: FloatArray = ufunc.reduceat(values, firsts, axis=0)
    return out
