"""The cells of each test, gathered from flat counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.divergence import cell_sum
from modelwatch.records import HIGH, LOW, MISSING, TAIL_CELLS, CellLayout, FloatArray

__all__ = ["gathered"]

_GROUP = 8
"""numpy adds up 128 numbers or fewer by eights: rows padded to whole eights keep their sums to the last bit."""
_LAYOUTS = 2_048
"""Of so many it is remembered where the cells of their tests lie: some 10 KB each, of 50 members."""


class _Places(NamedTuple):
    """Where the cells of some members lie."""

    shapes: NDArray[np.intp]
    """Shape (members, cells); where `inside` is 0, any."""
    inside: FloatArray
    tails: NDArray[np.intp]


@lru_cache(maxsize=_LAYOUTS)
def _places(offsets: tuple[int, ...], shape_sizes: tuple[int, ...], members: tuple[int, ...]) -> _Places:
    at = np.array(members, dtype=np.intp)
    sizes, starts = (np.array(of_all, dtype=np.intp)[at] for of_all in (shape_sizes, offsets))
    width = max(_GROUP, -(-int(sizes.max(initial=0)) // _GROUP) * _GROUP)
    ramp = np.arange(width)
    inside = ramp < sizes[:, None]
    tails = (starts + sizes)[:, None] + np.arange(TAIL_CELLS)
    return _Places(np.where(inside, starts[:, None] + ramp, 0), inside.astype(np.float64), tails)


def gathered(
    layout: CellLayout, members: Sequence[int], counts: Sequence[FloatArray]
) -> list[tuple[FloatArray, FloatArray]]:
    """Return for each of some counts the cells of their tests.

    Parameters
    ----------
    layout : CellLayout
        Where the cells lie.
    members : sequence of int
        Which members.
    counts : sequence of ndarray, each of shape (windows, layout.size)
        Flat counts.

    Returns
    -------
    list of (ndarray, ndarray)
        Shapes, (windows, members, cells), padded with zeros to whole eights; and, in two cells each, missing against
        the rest and novel against the rest of what is not missing: (windows, members, 2, 2).

    Examples
    --------
    >>> from modelwatch.records import FeatureCells
    >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0, 30.0)),))
    >>> [(shapes, pairs)] = gathered(layout, [0], [np.array([[5.0, 4.0, 3.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0]])])
    >>> shapes[0, 0, :4].tolist(), pairs[0, 0].tolist()
    ([5.0, 4.0, 3.0, 0.0], [[2.0, 14.0], [2.0, 12.0]])
    """
    places = _places(layout.offsets, layout.shape_sizes, tuple(members))
    out = []
    for cells in counts:
        shapes = cells.take(places.shapes, axis=1)
        shapes *= places.inside
        tail = cells.take(places.tails, axis=1)
        pairs = np.empty((*tail.shape[:2], 2, 2))
        missing, novel = pairs[:, :, 0], pairs[:, :, 1]
        missing[..., 0] = tail[..., MISSING:].sum(axis=-1)
        np.add(tail[..., LOW], tail[..., HIGH], out=novel[..., 0])
        novel[..., 1] = shapes.sum(axis=-1)
        missing[..., 1] = cell_sum(novel)
        out.append((shapes, pairs))
    return out
