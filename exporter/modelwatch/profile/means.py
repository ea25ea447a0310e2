"""The mean of a feature, as normal scores of its cells: what is left to tell where its shape says nothing."""

from __future__ import annotations

import numpy as np

from modelwatch.profile.divergence import D_PER_JS2
from modelwatch.profile.normal_scores import score_table
from modelwatch.records import CellLayout, FloatArray, IntArray

__all__ = ["mean_shift", "normal_scores"]


def normal_scores(layout: CellLayout, counts: IntArray) -> tuple[FloatArray | None, ...]:
    """Return what the shape cells of each member are worth in a mean; None for categories, which have none.

    Parameters
    ----------
    layout : CellLayout
        Of the counts.
    counts : ndarray of int, shape (layout.size,)
        Rows of the reference.

    Examples
    --------
    >>> from modelwatch.records import FeatureCells
    >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0, 30.0)),))
    >>> [scores.tolist() for scores in normal_scores(layout, np.array([100, 100, 100, 0, 0, 0, 0, 0, 0]))]
    [[-0.963, 0.0, 0.963]]
    """
    return tuple(
        score_table(member, counts[offset : offset + member.size])[: member.shape_size]
        if member.kind == "numeric"
        else None
        for member, offset in zip(layout.members, layout.offsets, strict=True)
    )


def mean_shift(observed: FloatArray, reference: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the squared shift of the mean in squared standard deviations of the reference, and its variance by chance.

    Parameters
    ----------
    observed, reference : ndarray, shape (windows, cells)
        Counts of shape cells; no window is empty, on either side.
    scores : ndarray, shape (cells,)
        What each cell is worth.

    Returns
    -------
    square, s : ndarray, shape (windows,)
        ``square / s`` is chi-square with one degree of freedom under no change. No square is more than a Jensen-Shannon
        distance of 1 is on the scale of d; it is 0 where the reference has one value only.

    Examples
    --------
    >>> scores = np.array([-1.0, 0.0, 1.0])
    >>> square, s = mean_shift(np.array([[0.0, 50.0, 50.0]]), np.array([[25.0, 50.0, 25.0]]), scores)
    >>> float(square[0]), float(s[0])
    (0.5, 0.02)
    """
    n, m = observed.sum(axis=1), reference.sum(axis=1)
    mean = (reference * scores).sum(axis=1) / m
    variance = (reference * scores**2).sum(axis=1) / m - mean**2
    shift = (observed * scores).sum(axis=1) / n - mean
    square = np.where(variance > _FLAT, shift**2 / np.where(variance > _FLAT, variance, 1.0), 0.0)
    return np.minimum(square, D_PER_JS2), 1.0 / n + 1.0 / m


_FLAT = 1e-9
