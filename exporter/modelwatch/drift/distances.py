"""Further distances between binned counts, beside the Jensen–Shannon distance: for those who compare by another.

Every one is told debiased: less what chance alone makes of it, at least 0. With counts of any size under no change it
is then near 0, where the plain one would grow as rows get fewer, and a fixed limit such as "PSI above 0.2" keeps its
meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwatch.profile.divergence import paired, sampling, shares
from modelwatch.records import FloatArray

__all__ = ["METHODS", "scores"]

CHUNK_CELLS = 80_000
"""So many cells are worked on at a time, which bounds memory and stays in a core's cache."""
SMOOTHING = 0.5
"""Added to each cell before a logarithm of a ratio is taken: the Jeffreys prior of a proportion."""
KOLMOGOROV_MEAN = float(np.sqrt(np.pi / 2.0) * np.log(2.0))
"""Expectation of Kolmogorov's limit law; that of the largest gap at a few edges is a little smaller."""


@dataclass(frozen=True)
class _Sides:
    """Both sides of some tests: counts (tests, cells), which cells exist, and the widths of the cells."""

    o: FloatArray
    r: FloatArray
    exists: NDArray[np.bool_]
    widths: FloatArray | None

    @cached_property
    def n(self) -> FloatArray:
        return np.asarray(self.o.sum(axis=-1))

    @cached_property
    def m(self) -> FloatArray:
        return np.asarray(self.r.sum(axis=-1))

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        return np.asarray((self.n > 0) & (self.m > 0))

    @cached_property
    def s(self) -> FloatArray:
        return sampling(self.n, self.m, self.scored)

    @cached_property
    def q(self) -> FloatArray:
        return shares(self.o, self.n)

    @cached_property
    def p(self) -> FloatArray:
        return shares(self.r, self.m)

    @cached_property
    def pool(self) -> FloatArray:
        """Shares of both sides taken together: the best guess at the common ones if nothing changed."""
        return shares(self.o + self.r, self.n + self.m)

    @cached_property
    def k(self) -> FloatArray:
        """Cells that hold anything on either side, less one."""
        return np.asarray(np.maximum((self.pool > 0).sum(axis=-1) - 1.0, 0.0))

    @cached_property
    def smoothed(self) -> tuple[FloatArray, FloatArray]:
        """Shares with something in every cell that exists; elsewhere 1 on both sides, which adds nothing."""
        cells = self.exists.sum(axis=-1)
        q, p = (
            np.where(self.exists, (counts + SMOOTHING) / np.maximum(total + SMOOTHING * cells, SMOOTHING)[..., None], 1)
            for counts, total in ((self.o, self.n), (self.r, self.m))
        )
        return q, p

    @cached_property
    def gaps(self) -> FloatArray:
        """Differences of the cumulative shares at the upper end of each cell."""
        return np.cumsum(self.q - self.p, axis=-1)


_Pair = tuple[FloatArray, FloatArray]
"""A distance as it is, and debiased."""


def _psi(x: _Sides) -> _Pair:
    """Σ (q-p) ln(q/p), of which chance makes (B-1)s (Yurdakul & Naranjo 2020, doi:10.21314/JRMV.2020.227)."""
    q, p = x.smoothed
    raw = ((q - p) * np.log(q / p)).sum(axis=-1)
    return raw, raw - np.maximum(x.exists.sum(axis=-1) - 1.0, 0.0) * x.s


def _kl(x: _Sides) -> _Pair:
    """Σ q ln(q/p) in nats, of which chance makes (B-1)s/2: to second order it is half the PSI."""
    q, p = x.smoothed
    raw = np.maximum((q * np.log(q / p)).sum(axis=-1), 0.0)
    return raw, raw - np.maximum(x.exists.sum(axis=-1) - 1.0, 0.0) * x.s / 2.0


def _chi2(x: _Sides) -> FloatArray:
    pool = np.where(x.pool > 0, x.pool, 1.0)
    return np.asarray(((x.q - x.p) ** 2 / pool).sum(axis=-1) / x.s)


def _chi_square(x: _Sides) -> _Pair:
    """Pearson's statistic of the 2 x B table; chance makes k of it."""
    raw = _chi2(x)
    return raw, raw - x.k


def _cramers_v(x: _Sides) -> _Pair:
    """sqrt(chi2/(n+m)), of a table with two rows also Cohen's w (Cohen 1988)."""
    raw, total = _chi2(x), np.where(x.scored, x.n + x.m, 1.0)
    return np.sqrt(raw / total), np.sqrt(np.maximum(raw - x.k, 0.0) / total)


def _hellinger(x: _Sides) -> _Pair:
    """sqrt(1 - Σ sqrt(pq)); 8H²/s follows chi2(k) if nothing changed."""
    square = np.clip(((np.sqrt(x.q) - np.sqrt(x.p)) ** 2).sum(axis=-1) / 2.0, 0.0, 1.0)
    return np.sqrt(square), np.sqrt(np.maximum(square - x.k * x.s / 8.0, 0.0))


def _total_variation(x: _Sides) -> _Pair:
    """Σ|q-p|/2; each difference is about normal, so that chance makes sqrt(2/pi) of its standard deviation."""
    raw = np.minimum(np.abs(x.q - x.p).sum(axis=-1) / 2.0, 1.0)
    noise = np.sqrt(2.0 / np.pi * x.pool * (1.0 - x.pool) * x.s[..., None]).sum(axis=-1) / 2.0
    return raw, raw - noise


def _ks(x: _Sides) -> _Pair:
    """Largest gap between the cumulative shares at the edges; chance makes at most sqrt(s) times Kolmogorov's law."""
    raw = np.clip(np.abs(x.gaps).max(axis=-1), 0.0, 1.0)
    return raw, raw - KOLMOGOROV_MEAN * np.sqrt(x.s)


def _wasserstein(x: _Sides) -> _Pair:
    """∫|F_q - F_p|, linear between edges; the gap is about normal, as in a Brownian bridge."""
    if x.widths is None:
        raise ValueError("wasserstein needs the widths of the cells")
    end = x.gaps
    start = np.concatenate([np.zeros_like(end[..., :1]), end[..., :-1]], axis=-1)
    size = np.abs(start) + np.abs(end)
    # Where the gap changes its sign within a cell, two triangles are left of the trapezium.
    crossing = (start * start + end * end) / (2.0 * np.where(size > 0, size, 1.0))
    raw = (np.where(start * end < 0, crossing, size / 2.0) * x.widths).sum(axis=-1)
    below = np.clip(np.cumsum(x.pool, axis=-1), 0.0, 1.0)
    spread = np.sqrt(below * (1.0 - below))
    middle = (spread + np.concatenate([np.zeros_like(spread[..., :1]), spread[..., :-1]], axis=-1)) / 2.0
    noise = np.sqrt(2.0 / np.pi * x.s) * (middle * x.widths).sum(axis=-1)
    return raw, raw - noise


METHODS: Mapping[str, Callable[[_Sides], _Pair]] = MappingProxyType(
    {
        "psi": _psi,
        "chi_square": _chi_square,
        "cramers_v": _cramers_v,
        "hellinger": _hellinger,
        "total_variation": _total_variation,
        "kl": _kl,
        "ks": _ks,
        "wasserstein": _wasserstein,
    }
)
"""The distances by name; ``ks`` and ``wasserstein`` need cells in the order of their values."""


def scores(
    method: str,
    observed: ArrayLike,
    reference: ArrayLike,
    *,
    sizes: ArrayLike | None = None,
    widths: ArrayLike | None = None,
    debiased: bool = True,
) -> FloatArray:
    """Return a distance between counts, for many tests at once.

    Parameters
    ----------
    method : str
        One of :data:`METHODS`.
    observed, reference : array_like, shape (..., cells)
        Counts, 0 or more, possibly fractional. They broadcast against one another.
    sizes : array_like of int, optional
        How many leading cells of each test exist; the others are padding. Default all. It matters where a cell that
        is empty on both sides does: to ``psi`` and ``kl``, which put half a row into each.
    widths : array_like, optional
        For ``wasserstein``: widths of the cells, in the unit that the distance is wanted in.
    debiased : bool
        Less what chance makes of it, and at least 0.

    Returns
    -------
    ndarray
        NaN where a side is empty.

    Raises
    ------
    ValueError
        If the method is unknown, or ``wasserstein`` has no widths.

    Examples
    --------
    >>> now, before = [130.0, 270.0, 600.0], [2000.0, 4000.0, 4000.0]
    >>> [round(float(scores(name, now, before)), 3) for name in ("psi", "hellinger", "total_variation", "ks")]
    [0.159, 0.141, 0.182, 0.171]
    >>> round(float(scores("wasserstein", now, before, widths=[1.0, 1.0, 1.0], debiased=False)), 3)
    0.27
    """
    if method not in METHODS:
        raise ValueError(f"{method!r} is not one of {', '.join(METHODS)}")
    o, r = paired(observed, reference)
    lead, cells = o.shape[:-1], o.shape[-1]
    flat_o, flat_r = o.reshape(-1, cells), r.reshape(-1, cells)
    sizes = np.broadcast_to(np.asarray(cells if sizes is None else sizes), lead).reshape(-1)
    wide = None if widths is None else np.broadcast_to(np.asarray(widths, np.float64), o.shape).reshape(-1, cells)
    out = np.empty(len(flat_o))
    step = max(1, CHUNK_CELLS // max(cells, 1))
    for i in range(0, len(out), step):
        part = slice(i, i + step)
        exists = np.arange(cells) < sizes[part, None]
        sides = _Sides(flat_o[part], flat_r[part], exists, None if wide is None else wide[part])
        raw, less = METHODS[method](sides)
        out[part] = np.where(sides.scored, np.maximum(less, 0.0) if debiased else raw, np.nan)
    return out.reshape(lead)
