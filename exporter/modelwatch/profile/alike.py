"""Features that are the same at all hours: their reference needs no strata, and has as many times the rows without.

A window of an hour, compared with the reference's rows of that hour alone, meets a fortieth of them. Where hours do not
differ, that is a price for nothing: of 20 000 rows some 500 are left, whose own noise hides whatever is small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.divergence import divergence, expected, sampling
from modelwatch.records import HIGH, LOW, MISSING, CellLayout, FloatArray, IntArray

__all__ = ["SURE", "by_test", "same_at_all_hours"]

SURE = 2.0
"""So many standard deviations of chance are taken off, before something is called a difference."""


def same_at_all_hours(layout: CellLayout, counts: NDArray[Any], groups: IntArray) -> NDArray[np.bool_]:
    """Return which members show no difference between groups of strata beyond chance, in any of their tests.

    Each group is a window on all others. Chance hides one hour among forty-eight that differs a little; so what a check
    finds of such a feature has to differ from the rows of its own hours too (drift/table.py).

    Parameters
    ----------
    layout : CellLayout
        Of the counts.
    counts : ndarray, shape (strata, layout.size)
        As they were counted.
    groups : ndarray of int, shape (members, strata)
        Strata that belong together have the same number.

    Returns
    -------
    ndarray of bool, shape (members,)

    Examples
    --------
    >>> from modelwatch.records import FeatureCells
    >>> layout = CellLayout(tuple(FeatureCells(name, "numeric", minimum=0.0, edges=(1.0, 2.0)) for name in "ab"))
    >>> counts = np.zeros((48, layout.size), dtype=int)
    >>> counts[:, [0, 1, 8, 9]] = 500
    >>> counts[8, 0], counts[8, 1] = 700, 300  # mornings, of the first
    >>> same_at_all_hours(layout, counts, np.tile(np.arange(48), (2, 1))).tolist()
    [False, True]
    """
    out = np.zeros(len(layout.members), dtype=np.bool_)
    for index, (member, offset) in enumerate(zip(layout.members, layout.offsets, strict=True)):
        own = counts[:, offset : offset + member.size].astype(np.float64)
        _, which = np.unique(groups[index], return_inverse=True)
        cells = np.zeros((which.max() + 1, member.size))
        np.add.at(cells, which, own)
        others = cells.sum(axis=0) - cells
        tests = zip(by_test(cells, member.shape_size), by_test(others, member.shape_size), strict=True)
        out[index] = len(cells) > 1 and not any(_differs(o, r) for o, r in tests)
    return out


def _differs(o: FloatArray, r: FloatArray) -> bool:
    n, m = o.sum(axis=-1), r.sum(axis=-1)
    scored = (n > 0) & (m > 0)
    s = sampling(n, m, scored)
    d, k = divergence(o, r, n, m, scored)
    weight = np.where(scored, 1.0 / s**2, 0.0)
    beyond = float(((d - expected(o, r, n, m, scored)) * weight).sum())
    return beyond > SURE * float(np.sqrt((2.0 * k * weight).sum()))


def by_test(cells: FloatArray, shape: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the cells of shape, missing and novel of one member, as the checks compare them (drift.md 1.4)."""
    regular = cells[:, :shape].sum(axis=1)
    novel = cells[:, shape + LOW] + cells[:, shape + HIGH]
    missing = cells[:, shape + MISSING :].sum(axis=1)
    return (
        cells[:, :shape],
        np.column_stack([missing, regular + novel]),
        np.column_stack([novel, regular]),
    )
