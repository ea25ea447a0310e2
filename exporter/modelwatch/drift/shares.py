"""Shares of missing and of novel values: whether they lie beyond a tolerance, by an exact test.

Of a share that was nothing or next to nothing, a handful of rows tells; a noncentral chi-square, which is right for
many rows in each cell, would wait for five times as many.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincinv

from modelwatch.records import HIGH, LOW, MISSING, TAIL_CELLS, FloatArray, IntArray

__all__ = ["PASSED", "share_gate", "share_lower", "shares_at"]

PASSED = 0.05
"""What the test of many rows finds no more significant than this is rejected at no level that a check has."""
_STEPS = 16


def share_gate(share: ArrayLike, expected: ArrayLike, s: ArrayLike, tau: ArrayLike) -> FloatArray:
    """Return the p-value of "the share differs by no more than the tolerance".

    Parameters
    ----------
    share, expected : array_like
        Shares of the window and of the reference, 0 to 1.
    s : array_like
        ``1/n + 1/m``: so many rows, ``1/s``, of a window beside a reference without end say as much.
    tau : array_like
        Tolerances on the scale of d.

    Returns
    -------
    ndarray
        The probability that ``1/s`` rows hold as many as the share says, or more (or as few, where it has fallen), if
        the share is the one whose distance from the expected one is `tau`: a binomial tail (Clopper and Pearson 1934,
        doi:10.1093/biomet/26.4.404), as an incomplete beta function also where counts are fractions. Together with the
        test of "there is no difference" it keeps the level, as an intersection–union test does.

    Examples
    --------
    Nine of sixty are missing, where none was: at JS 0.05 half a percent would be tolerated.

    >>> from modelwatch.drift.statistics import js_to_d
    >>> bool(share_gate(9 / 60, 0.0, 1 / 60, js_to_d(0.05)) < 1e-9)
    True
    """
    q, p, s, tau = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (share, expected, s, tau)))
    fallen = q < p
    q, p = np.where(fallen, 1.0 - q, q), np.where(fallen, 1.0 - p, p)
    rows = 1.0 / s
    edge, some = np.ones(q.shape), np.asarray(_distance(q, p) > tau)
    edge[some] = _edge(q[some], p[some], tau[some])
    held = q * rows
    beyond = q > edge
    tail = betainc(np.where(beyond, held, 1.0), np.where(beyond, rows - held + 1.0, 1.0), np.where(beyond, edge, 1.0))
    return np.where(beyond, tail, 1.0)


def _edge(q: FloatArray, p: FloatArray, tau: FloatArray) -> FloatArray:
    """Return the share above p whose distance from it is tau; q lies beyond.

    The distance is convex in the share, so that Newton's steps come down to it from above and do not overshoot.
    """
    for _ in range(_STEPS):
        half = (q + p) / 2.0
        log_odds = np.log(np.maximum(q, _LEAST) / np.maximum(half, _LEAST))
        log_rest = np.log(np.maximum(1.0 - q, _LEAST) / np.maximum(1.0 - half, _LEAST))
        slope = np.maximum(4.0 * (log_odds - log_rest), _FLAT)
        q = np.minimum(q, np.maximum(q - (_distance(q, p) - tau) / slope, p))
    return q


_LEAST, _FLAT = 1e-300, 1e-15


def _distance(q: FloatArray, p: FloatArray) -> FloatArray:
    """Return ``8·JSD`` of two shares of two cells each."""
    half = (q + p) / 2.0
    rest = 1.0 - half
    terms = _plogr(q, half) + _plogr(1.0 - q, rest) + _plogr(p, half) + _plogr(1.0 - p, rest)
    return np.maximum(4.0 * terms, 0.0)


def _plogr(p: FloatArray, half: FloatArray) -> FloatArray:
    positive = (p > 0) & (half > 0)
    return np.where(positive, p * np.log(np.where(positive, p, 1.0) / np.where(positive, half, 1.0)), 0.0)


def share_lower(share: ArrayLike, expected: ArrayLike, s: ArrayLike, level: ArrayLike) -> FloatArray:
    """Return the largest tolerance, on the scale of d, that :func:`share_gate` rejects at a level; 0 if it does none.

    Parameters
    ----------
    share, expected, s
        As of :func:`share_gate`.
    level : array_like
        Of the test.

    Examples
    --------
    >>> tau = share_lower(9 / 60, 0.0, 1 / 60, 0.001)
    >>> round(float(share_gate(9 / 60, 0.0, 1 / 60, tau)), 6)
    0.001
    """
    q, p, s, level = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (share, expected, s, level)))
    fallen = q < p
    q, p = np.where(fallen, 1.0 - q, q), np.where(fallen, 1.0 - p, p)
    rows = 1.0 / s
    some = q > 0
    low = np.where(some, betaincinv(np.where(some, q * rows, 1.0), (1.0 - q) * rows + 1.0, level), 0.0)
    return np.where(low > p, _distance(low, p), 0.0)


def shares_at(
    tails: IntArray,
    counts: tuple[FloatArray, FloatArray],
    sides: tuple[FloatArray, FloatArray],
    effect: FloatArray,
    at: tuple[IntArray, IntArray, IntArray],
) -> tuple[FloatArray, FloatArray]:
    """Return the shares, observed and expected, of some tests of missing or novel values.

    What is expected of the next rows is ``(r + 1) / (m + 2)``, Laplace's rule of succession: that two thousand rows
    held none does not say that there are none. With ``r / m`` four times as many tests were rejected as should be,
    where the reference holds a handful; with this no more than should be.

    Parameters
    ----------
    tails : ndarray of int, shape (features,)
        Where the cells of each feature begin that are not of its shape.
    counts : (ndarray, ndarray), each of shape (windows, layout.size) or (1, layout.size)
        Observed, and of the reference.
    sides : (ndarray, ndarray), each of shape (windows, features, tests)
        Rows of each test on both sides.
    effect : ndarray, same shape
        So many of them are worth one.
    at : tuple of ndarray of int
        Windows, features and tests, 1 for missing and 2 for novel.
    """
    w, f, t = at
    first = tails[f]
    held = []
    for cells in counts:
        row = w if len(cells) > 1 else np.zeros_like(w)
        missing = cells[row, first + MISSING]
        for invalid in range(MISSING + 1, TAIL_CELLS):
            missing = missing + cells[row, first + invalid]
        held.append(np.where(t == _MISSING_TEST, missing, cells[row, first + LOW] + cells[row, first + HIGH]))
    n, m = (rows[at] for rows in sides)
    return held[0] / n, (held[1] + effect[at]) / (m + 2.0 * effect[at])


_MISSING_TEST = 1
