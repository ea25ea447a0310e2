"""The statistics of one drift test, vectorised over tests: arrays in, arrays out.

Every function takes counts of shape ``(..., cells)``, padded with zero cells where tests have different numbers of
them: a cell that is empty on both sides contributes nothing. Counts may be fractional. The scales: ``d = 8·JSD`` in
nats, locally the population stability index, and the Jensen–Shannon distance ``JS = sqrt(d / (8 ln 2))``, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, chdtr, chdtrc, ndtri

from modelwatch.drift.noncentral import (
    CONFIDENCE,
    js_bounds,
    js_lower,
    js_upper,
    noncentral_sf,
    sankaran_terms,
)
from modelwatch.profile.divergence import (
    D_PER_JS2,
    cell_divergence,
    cell_sum,
    d_to_js,
    js_to_d,
    paired,
    sampling,
    shares,
)
from modelwatch.records import FloatArray

__all__ = [
    "GateResult",
    "d_to_js",
    "gates",
    "js_bounds",
    "js_lower",
    "js_to_d",
    "js_upper",
    "large_gate",
    "no_change_probability",
    "noncentral_sf",
    "real_gate",
    "two_gate",
    "within_tolerance",
]

BoolArray = NDArray[np.bool_]
RARE_EXPECTATION = 2.0
"""Cells that expect fewer rows than this in the window leave the chi-square for an exact binomial test."""
CACHED_CELLS = 80_000
"""So many cells are worked on at a time: what is made of them then stays in a core's cache."""


@dataclass(frozen=True)
class GateResult:
    """What two_gate finds; every array has the shape of the tests.

    Attributes
    ----------
    p, p_real, p_large : ndarray
        p-values; ``p = max(p_real, p_large)``. 1 where a side is empty.
    score : ndarray
        Debiased Jensen–Shannon distance, 0 to 1; NaN where a side is empty.
    d : ndarray
        ``8·JSD`` in nats, not debiased; 0 where a side is empty.
    k : ndarray
        Degrees of freedom of `d`: cells that hold anything on either side, less one; at least 1.
    n, m : ndarray
        Sums of the observed and of the reference counts.
    """

    p: FloatArray
    p_real: FloatArray
    p_large: FloatArray
    score: FloatArray
    d: FloatArray
    k: FloatArray
    n: FloatArray
    m: FloatArray


def two_gate(observed: ArrayLike, reference: ArrayLike, tau: ArrayLike) -> GateResult:
    """Test whether a difference is real (beyond sampling noise) and large (beyond a tolerance).

    The null hypothesis is "no difference, or one within tolerance": an intersection–union test (Berger 1982,
    doi:10.1080/00401706.1982.10487790), so the larger of the two p-values keeps the level.

    Parameters
    ----------
    observed, reference : array_like, shape (..., cells)
        Counts, 0 or more, possibly fractional. They broadcast against one another.
    tau : array_like
        Tolerances on the scale of d (see :func:`js_to_d`), broadcast to the tests; 0 leaves significance alone.

    Returns
    -------
    GateResult

    Notes
    -----
    ``d/s ~ chi2(k)`` under no change, ``s = 1/n + 1/m``, and noncentral with ``tau/s`` at the tolerance: the
    sample-size-aware form of "PSI above c" (Potgieter et al. 2023, arXiv:2307.11878).

    Examples
    --------
    >>> found = two_gate([[520.0, 480.0], [800.0, 200.0]], [[5000.0, 5000.0]], js_to_d(0.05))
    >>> (found.p < 1e-6).tolist(), found.score.round(2).tolist()
    ([False, True], [0.01, 0.27])
    """
    [found] = gates([(observed, reference, tau)])
    return GateResult(*found)


def gates(parts: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]]) -> list[FloatArray]:
    """Make tests of different numbers of cells at once, each as :func:`two_gate` makes it, to the bit.

    In a check of one model numpy takes longer to be called than to calculate.

    Parameters
    ----------
    parts : sequence of (observed, reference, tau)
        Each as two_gate takes them.

    Returns
    -------
    list of ndarray, each of shape (fields of GateResult, ...)
        For each part what two_gate finds, field by field.

    Examples
    --------
    >>> shapes = [[520.0, 480.0, 0.0], [800.0, 200.0, 0.0]], [[5000.0, 4000.0, 1000.0]], 0.0
    >>> shape, missing = gates([shapes, ([20.0, 980.0], [20.0, 9980.0], 0.0)])
    >>> (GateResult(*shape).p < 1e-3).tolist(), bool(GateResult(*missing).p < 1e-3)
    ([True, True], True)
    """
    flat, leads = [], []
    for observed, reference, tau in parts:
        o, r = paired(observed, reference)
        lead, level = o.shape[:-1], np.asarray(tau, dtype=np.float64)
        level = level if level.shape == lead else np.broadcast_to(level, lead)
        flat.append((o.reshape(-1, o.shape[-1]), r.reshape(-1, o.shape[-1]), level.reshape(-1)))
        leads.append(lead)
    if sum(o.size for o, _, _ in flat) <= CACHED_CELLS:
        done = _gates(flat)
    else:
        # The same numbers in two thirds of the time, and memory for one step only.
        done = _joined([_gates([step]) for part in flat for step in _steps(*part)], axis=1)
    out, end = [], 0
    for (_, _, level), lead in zip(flat, leads, strict=True):
        out.append(done[:, end : end + len(level)].reshape(len(done), *lead))
        end += len(level)
    return out


_Part = tuple[FloatArray, FloatArray, FloatArray]


def _steps(o: FloatArray, r: FloatArray, tau: FloatArray) -> Iterator[_Part]:
    step = max(1, CACHED_CELLS // o.shape[1])
    for first in range(0, len(tau), step):
        rows = slice(first, first + step)
        yield o[rows], r[rows], tau[rows]


def _gates(parts: Sequence[_Part]) -> FloatArray:
    """Return the fields of GateResult for the tests of all parts, one part after the other."""
    # Parts of as many cells, if they follow one another, are one.
    alike = [list(group) for _, group in groupby(parts, key=lambda part: part[0].shape[1])]
    sums = [_in_cells(_joined([o for o, _, _ in group]), _joined([r for _, r, _ in group])) for group in alike]
    found = _Sums(*_joined(sums, axis=1))
    tau = _joined([tau for _, _, tau in parts])
    n, m = found.n, found.m
    scored = (n > 0) & (m > 0)
    s = sampling(n, m, scored)
    d = np.where(scored, np.minimum(np.maximum(found.d, 0.0), D_PER_JS2), 0.0)
    k = np.maximum(found.held - 1.0, 1.0)
    p_real = _real(found, s, scored)
    p_large = np.where(scored, large_gate(d, k, s, tau), 1.0)
    score = np.where(scored, d_to_js(d - k * s), np.nan)
    return _stacked(np.maximum(p_real, p_large), p_real, p_large, score, d, k, n, m)


def real_gate(observed: ArrayLike, reference: ArrayLike) -> FloatArray:
    """Return the p-value of "both are drawn from one distribution".

    A pooled two-sample chi-square over the cells that expect at least two rows in the window; the others are pooled
    into one exact binomial test for too many rows. With both, twice the smaller p-value (Bonferroni).

    Parameters
    ----------
    observed, reference : array_like, shape (..., cells)
        Counts, 0 or more, possibly fractional.

    Returns
    -------
    ndarray
        One p-value a test; 1 where a side is empty.

    Examples
    --------
    >>> round(float(real_gate([30.0, 70.0], [500.0, 500.0])), 5)  # scipy.stats.chi2_contingency without correction
    0.00014
    >>> round(float(real_gate([95.0, 5.0], [10000.0, 0.0])) * 1e10, 2)  # 5 of 100 in a cell that 10 000 never entered
    1.9
    """
    o, r = paired(observed, reference)
    sums = _Sums(*_in_cells(*(side.reshape(-1, o.shape[-1]) for side in (o, r))))
    scored = (sums.n > 0) & (sums.m > 0)
    return _real(sums, sampling(sums.n, sums.m, scored), scored).reshape(o.shape[:-1])


def large_gate(d: ArrayLike, k: ArrayLike, s: ArrayLike, tau: ArrayLike) -> FloatArray:
    """Return the p-value of "the true difference is at most `tau`", given the measured `d`.

    Parameters
    ----------
    d, k : array_like
        As in :class:`GateResult`.
    s : array_like
        ``1/n + 1/m``.
    tau : array_like
        Tolerance on the scale of d, 0 or more.

    Returns
    -------
    ndarray
        ``sf(d/s; k, tau/s)`` of the noncentral chi-square.

    Examples
    --------
    >>> large_gate(0.05, 19, 0.0011, js_to_d([0.05, 0.1])).round(4).tolist()
    [0.0807, 0.9518]
    """
    d, k, s, tau = (np.asarray(v, dtype=np.float64) for v in (d, k, s, tau))
    return noncentral_sf(d / s, k, tau / s)


def within_tolerance(d: ArrayLike, k: ArrayLike, s: ArrayLike, tau: ArrayLike) -> FloatArray:
    """Return whether the upper 95 % bound of the distance lies below the tolerance, without solving for the bound.

    Parameters
    ----------
    d, k, s, tau : array_like
        As in :func:`large_gate`; broadcast.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> within_tolerance([0.05, 0.02], 19, 0.0011, js_to_d(0.055)).tolist()
    [False, True]
    """
    return np.asarray(large_gate(d, k, s, tau) > CONFIDENCE)


def no_change_probability(k: ArrayLike, s: ArrayLike, tau: ArrayLike) -> FloatArray:
    """Return how probable it is that, if nothing changed, a window is :func:`within_tolerance`.

    Parameters
    ----------
    k, s, tau : array_like
        As in :func:`large_gate`; ``tau > 0``.

    Returns
    -------
    ndarray
        0 to 1. Near 1 once a window holds enough rows to show that it is clean.

    Examples
    --------
    >>> no_change_probability(19, [1 / 500 + 1 / 20000, 1 / 2500 + 1 / 20000], js_to_d(0.05)).round(2).tolist()
    [0.22, 0.96]
    """
    k, s, tau = (np.asarray(v, dtype=np.float64) for v in (k, s, tau))
    nc = tau / s
    h, scale, centre = sankaran_terms(k, nc)
    quantile = (k + nc) * np.maximum(centre + float(ndtri(1.0 - CONFIDENCE)) * scale, 0.0) ** (1.0 / h)
    return np.asarray(chdtr(k, quantile))


class _Sums(NamedTuple):
    """What the cells of tests add up to; all else is made of it."""

    n: FloatArray
    m: FloatArray
    d: FloatArray
    held: FloatArray
    chi: FloatArray
    """Of the cells that are not rare, and how many these are."""
    common: FloatArray
    o_rare: FloatArray
    r_rare: FloatArray


def _joined(arrays: Sequence[FloatArray], axis: int = 0) -> FloatArray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=axis)


def _stacked(*rows: FloatArray) -> FloatArray:
    out = np.empty((len(rows), *rows[0].shape))
    for place, row in enumerate(rows):
        out[place] = row
    return out


def _in_cells(o: FloatArray, r: FloatArray) -> FloatArray:
    """Return `_Sums` of counts of shape (tests, cells), stacked."""
    if o.shape[-1] == 2:  # all first cells, then all second ones: numpy is slow at many short rows
        o, r = np.asfortranarray(o), np.asfortranarray(r)
    n, m = cell_sum(o), cell_sum(r)
    q, p = shares(o, n), shares(r, m)
    d, held = cell_divergence(q, p)
    pool = o + r
    pool /= np.where((n > 0) & (m > 0), n + m, 1.0)[..., None]
    common = n[..., None] * pool >= RARE_EXPECTATION
    q -= p
    q *= q
    q /= np.where(common, pool, np.inf)
    chi, kept = cell_sum(q), cell_sum(common)
    return _stacked(n, m, d, held, chi, kept, *_rare(o, r, common, held > kept))


def _rare(o: FloatArray, r: FloatArray, common: BoolArray, some: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the sums over cells that are not common, of tests of which `some` have such."""
    if o.shape[-1] == 2:
        return cell_sum(np.where(common, 0.0, o)), cell_sum(np.where(common, 0.0, r))
    o_rare, r_rare = np.zeros(some.shape), np.zeros(some.shape)
    if some.any():  # hardly any of many rows
        rare = ~common[some]
        o_rare[some], r_rare[some] = cell_sum(o[some] * rare), cell_sum(r[some] * rare)
    return o_rare, r_rare


def _real(sums: _Sums, s: FloatArray, scored: BoolArray) -> FloatArray:
    p = np.asarray(chdtrc(np.maximum(sums.common - 1.0, 1.0), sums.chi / s))
    some = scored & (sums.o_rare > 0)
    if some.any():
        n = sums.n[some]
        p_rare = betainc(sums.o_rare[some], sums.r_rare[some] + 1.0, n / (n + sums.m[some]))
        p[some] = np.minimum(1.0, 2.0 * np.minimum(p[some], p_rare))
    return np.where(scored, p, 1.0)
