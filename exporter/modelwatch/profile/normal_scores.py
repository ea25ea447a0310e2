"""Values as normal scores: where a value lies in the reference, as the quantile of a normal distribution.

So that correlations between features of any kind and scale can be compared: a cell is worth the normal quantile of the
middle of its cumulative share. Categories have no order of their own; they are put in that of their shares. What is
missing or invalid is worth 0, the middle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.columns import as_column, fill_numbers
from modelwatch.profile.values import read_category
from modelwatch.records import HIGH, INVALID_TYPE, LOW, MISSING, FeatureCells, FloatArray, IntArray

__all__ = ["MOST_CELLS", "Codes", "cells_of", "score_table"]

Codes = NDArray[np.uint8]
MOST_CELLS = 255
FURTHEST = 3.0
"""What lies beyond the whole reference is worth no more: a few odd rows must not make a correlation."""
_DECIMALS = 4
_NORMAL = NormalDist()


def score_table(member: FeatureCells, counts: IntArray) -> FloatArray:
    """Return what each cell of a feature is worth.

    Parameters
    ----------
    member : FeatureCells
        The feature.
    counts : ndarray of int, shape (member.size,)
        Rows of the reference by cell.

    Returns
    -------
    ndarray, shape (member.size,)
        Normal scores, rounded, so that they are the same once written and read.

    Examples
    --------
    >>> member = FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0, 30.0))
    >>> score_table(member, np.array([100, 100, 100, 0, 0, 0, 0, 0, 0])).tolist()
    [-0.963, 0.0, 0.963, -2.9362, 2.9362, 0.0, 0.0, 0.0, 0.0]
    """
    shape = member.shape_size
    if member.kind == "numeric":
        order = [shape + LOW, *range(shape), shape + HIGH]
    else:
        # Stable: categories of equal share stay in the order of the cells, unseen ones are the rarest.
        order = sorted([*range(shape), shape + LOW], key=lambda cell: -int(counts[cell]))
    table = np.zeros(member.size)
    total = float(counts[order].sum()) + 1.0
    below = 0.5
    for cell in order:
        count = float(counts[cell])
        score = _NORMAL.inv_cdf((below + count / 2.0) / total)
        table[cell] = round(max(-FURTHEST, min(FURTHEST, score)), _DECIMALS)
        below += count
    return table


def cells_of(member: FeatureCells, column: Any, n: int) -> Codes:  # noqa: ANN401 - any column
    """Return the cell of each row of a column; never raises, whatever the column holds.

    Parameters
    ----------
    member : FeatureCells
        The feature, of at most :data:`MOST_CELLS` cells.
    column : list, array, or anything with ``to_numpy``; or None
        Values as the reference knows them; None is missing in every row.
    n : int
        Rows.

    Returns
    -------
    ndarray of uint8, shape (n,)

    Examples
    --------
    >>> member = FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0))
    >>> cells_of(member, [5, 10.0, 11, -1, 99, None, "x"], 7).tolist()
    [0, 0, 1, 2, 3, 4, 4]
    >>> member = FeatureCells("city", "categorical", categories=("Rome", "1"), known=frozenset({"Oslo"}))
    >>> cells_of(member, ["Rome", 1.0, "Oslo", "?", None, []], 6).tolist()
    [0, 1, 2, 3, 5, 6]
    """
    missing = member.shape_size + MISSING
    values = None if column is None else as_column(column, n)
    if values is None:
        return np.full(n, missing, dtype=np.uint8)
    if member.kind == "numeric":
        return _numeric_cells(member, values, n)
    return _categorical_cells(member, values, n)


def _numeric_cells(member: FeatureCells, values: NDArray[Any] | list[Any], n: int) -> Codes:
    """Look the values up as the counts do; an invalid one is read as NaN, and is worth the same as a missing one."""
    numbers = np.empty(n)
    fill_numbers(values, numbers)
    shape = member.shape_size
    cuts = np.array([math.nextafter(member.minimum, -math.inf), *member.edges, math.inf])
    cells = np.array([shape + LOW, *range(shape), shape + HIGH, shape + MISSING], dtype=np.uint8)
    return np.asarray(cells[cuts.searchsorted(numbers, side="left")])


def _categorical_cells(member: FeatureCells, values: NDArray[Any] | list[Any], n: int) -> Codes:
    plain: Iterable[Any] = values
    if isinstance(values, np.ndarray):
        plain = list(values) if values.dtype.kind in "mMcV" else values.tolist()
    known = _Known(member)
    return np.fromiter(map(known.cell, plain), dtype=np.uint8, count=n)


class _Known:
    """The cells of a categorical feature; remembers what it was asked."""

    def __init__(self, member: FeatureCells) -> None:
        self._member = member
        self._places = {text: place for place, text in enumerate(member.categories)}
        # By type as well, because 1 == True == 1.0 and yet they are different categories.
        self._seen: dict[tuple[type, Any], int] = {}

    def cell(self, value: object) -> int:
        """Return the cell of one value."""
        key = (type(value), value)
        try:
            found = self._seen.get(key)
            if found is None:
                found = self._seen[key] = self._read(value)
        except Exception:  # noqa: BLE001 - part of the recorder boundary: what can't be hashed, or raises when it is
            return self._read(value)
        return found

    def _read(self, value: object) -> int:
        text, tail = read_category(value)
        shape = self._member.shape_size
        if text is None:
            return shape + (INVALID_TYPE if tail is None else tail)
        place = self._places.get(text)
        if place is not None:
            return place
        is_other = text in self._member.known or not self._member.vocabulary_complete
        return shape - 1 if is_other else shape + LOW
