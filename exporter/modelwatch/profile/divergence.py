"""How far two sets of counts are apart: Jensen–Shannon on the scale ``d = 8·JSD`` in nats, with numpy alone.

Below the statistics of the tests, so that a profile can be built with it where nothing but numpy is loaded.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwatch.records import FloatArray

__all__ = [
    "D_PER_JS2",
    "cell_divergence",
    "cell_sum",
    "d_to_js",
    "divergence",
    "expected",
    "js_to_d",
    "paired",
    "sampling",
    "shares",
]

D_PER_JS2 = 8.0 * float(np.log(2.0))
_TINY = 1e-300
"""Less than any share or ratio of shares, and no 0: cheaper than to ask of each cell whether it is empty."""


def js_to_d(js: ArrayLike) -> FloatArray:
    """Turn a Jensen–Shannon distance (base 2) into ``d = 8 ln 2 · JS²``.

    >>> [round(float(js_to_d(js)), 4) for js in (0.05, 0.1, 0.2)]
    [0.0139, 0.0555, 0.2218]
    """
    return np.asarray(D_PER_JS2 * np.square(np.asarray(js, dtype=np.float64)))


def d_to_js(d: ArrayLike) -> FloatArray:
    """Turn ``d`` into a Jensen–Shannon distance; negative values, as debiasing leaves them, become 0.

    >>> round(float(d_to_js(js_to_d(0.3))), 12)
    0.3
    """
    return np.sqrt(np.maximum(np.asarray(d, dtype=np.float64), 0.0) / D_PER_JS2)


def paired(observed: ArrayLike, reference: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both as floats of one shape."""
    o, r = np.asarray(observed, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if o.shape != r.shape:
        o, r = np.broadcast_arrays(o, r)
    return o, r


def sampling(n: FloatArray, m: FloatArray, scored: ArrayLike) -> FloatArray:
    """Return ``s = 1/n + 1/m``, and 1 where that has no meaning."""
    return np.asarray(1.0 / np.where(scored, n, 2.0) + 1.0 / np.where(scored, m, 2.0))


def shares(counts: FloatArray, total: FloatArray) -> FloatArray:
    """Return counts over their total; 0 where there is none."""
    return np.asarray(counts / np.where(total > 0, total, 1.0)[..., None])


def cell_sum(values: NDArray[Any]) -> FloatArray:
    """Return the sum over cells.

    Of two cells by one addition: numpy takes ten times as long to add up many short rows, to the same bits.

    >>> float(cell_sum(np.array([1.5, 2.0]))), float(cell_sum(np.array([True, True, False])))
    (3.5, 2.0)
    """
    if values.shape[-1] == 2:
        return np.asarray(np.add(values[..., 0], values[..., 1], dtype=np.float64))
    return np.asarray(np.add.reduce(values, axis=-1, dtype=np.float64))


def divergence(
    o: FloatArray, r: FloatArray, n: FloatArray, m: FloatArray, scored: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """
    Return `d` and its degrees of freedom under no change, where ``d/s ~ chi2(k)``.

    Parameters
    ----------
    o, r : ndarray, shape (..., cells)
        Observed and reference counts.
    n, m : ndarray
        Their sums.
    scored : ndarray of bool
        Where neither side is empty; elsewhere `d` is 0.

    Returns
    -------
    d, k : ndarray
        `k` is the number of cells that hold anything on either side, less one; at least 1.

    Examples
    --------
    >>> o, r = np.array([50.0, 50.0]), np.array([500.0, 500.0])
    >>> d, k = divergence(o, r, o.sum(), r.sum(), np.True_)
    >>> float(d), float(k)
    (0.0, 1.0)
    """
    raw, held = cell_divergence(shares(o, n), shares(r, m))
    return np.where(scored, np.minimum(np.maximum(raw, 0.0), D_PER_JS2), 0.0), np.maximum(held - 1.0, 1.0)


def cell_divergence(q: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return `d` of two sets of shares as the cells add up to it, and how many cells hold anything.

    >>> raw, held = cell_divergence(np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.5, 0.0]))
    >>> float(raw), float(held)
    (0.0, 2.0)
    """
    half = p + q
    held = cell_sum(half > 0)
    np.maximum(half, _TINY, out=half)
    half /= 2.0
    each = _plogr(p, half)
    each += _plogr(q, half)
    return 8.0 * (cell_sum(each) / 2.0), held


def _plogr(p: FloatArray, half: FloatArray) -> FloatArray:
    """Return ``p log(p / half)``, which is 0 where p is."""
    out = p / half
    np.maximum(out, _TINY, out=out)
    np.log(out, out=out)
    out *= p
    return out


def expected(o: FloatArray, r: FloatArray, n: FloatArray, m: FloatArray, scored: FloatArray) -> FloatArray:
    """
    Return what `d` is on average where nothing has changed, also where cells hold few rows or none.

    For large counts this is ``k·s``. Cells in which one to ten rows are expected add up to a quarter more, rarer ones
    less. One window does not tell the difference, a mean over a thousand hours is made of it: of 50 rows in 20 cells
    it would be taken for natural variation of JS 0.1.

    Parameters
    ----------
    o, r, n, m, scored
        As for :func:`divergence`; without change the shares of both sides are those of both together.

    Returns
    -------
    ndarray
        ``sum_b (1 - p_b) (rho(n p_b)/n + rho(m p_b)/m)``, where rho(x) is what a count of mean x adds to d, relative to
        its variance; 1 for large x.

    Examples
    --------
    >>> many, few = np.full(20, 1e4), np.full(20, 2.5)
    >>> [round(float(expected(c, many, c.sum(), many.sum(), np.True_) * c.sum()), 1) for c in (many, few)]
    [38.0, 23.8]
    """
    safe_n, safe_m = np.where(scored, n, 1.0)[..., None], np.where(scored, m, 1.0)[..., None]
    p = (o + r) / (safe_n + safe_m)
    each = (1.0 - p) * (_rho(safe_n * p) / safe_n + _rho(safe_m * p) / safe_m)
    return np.where(scored, each.sum(axis=-1), 0.0)


def _rho(mean: FloatArray) -> FloatArray:
    means, values = _rho_table()
    rho = np.interp(np.log(np.maximum(mean, means[0])), np.log(means), values)
    return np.asarray(rho * np.minimum(mean / means[0], 1.0))


@cache
def _rho_table() -> tuple[FloatArray, FloatArray]:
    """Return means, and ``mean · E f(O/mean)`` of a Poisson count O, with ``f(q) = 8·JSD`` of a cell of share 1."""
    means = np.geomspace(0.01, 400.0, 160)
    counts = np.arange(1000.0)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    weight = np.exp(counts * np.log(means)[:, None] - means[:, None] - log_factorial)
    q = counts / means[:, None]
    half = (1.0 + q) / 2.0
    return means, means * (weight * 4.0 * (-np.log(half) + _plogr(q, half))).sum(axis=1)
