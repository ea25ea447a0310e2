"""How much each feature varies by itself: what it does between days on which nothing is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelwatch.profile.alike import SURE, by_test
from modelwatch.profile.divergence import d_to_js, divergence, expected, js_to_d, sampling
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.means import mean_shift, normal_scores
from modelwatch.profile.strata import STRATA, Pools, StrataKind, stratum_of_hour
from modelwatch.records import CellLayout, FloatArray, IntArray

LENGTHS = {"1h": 3600.0, "24h": 86400.0, "168h": 7 * 86400.0}
"""The lengths of window for which natural variation is learnt."""
TESTS = 3
"""shape, missing, novel."""
LEAST_DAYS = 14
"""Natural variation is learnt from so many days on."""
LEAST_WEEKS = 8
"""That of windows of a week is learnt from so many weeks on; of fewer it is taken to be half that of a day."""
HOUR_ROWS = 50
"""An hour with fewer rows says nothing about hours."""
DIGITS = 6
"""Significant digits of sums: more says nothing, and makes a third of a profile's file."""
NOISY = 0.25
"""A feature whose natural Jensen-Shannon distance is larger can't raise an alarm by its shape."""


@dataclass(frozen=True, eq=False)
class Natural:
    """Natural variation in windows of one length, on the scale of d: ``v = max(0, weighted - 2 sqrt(noise)) / weight``.

    The first term alone would be right on average, and half the features that don't vary at all would seem to: times
    c(D), as much as would make them deaf where windows are small (20 000 rows of 28 days: to JS 0.12 in a day).

    Attributes
    ----------
    weighted : ndarray, shape (members, 3)
        ``sum_w (d_w - E d_w) / s_w²`` over windows of the reference, by test: shape, missing, novel. E d_w is what
        chance alone makes of d: ``k s_w``, or more exactly what `divergence.expected` returns.
    weight : ndarray, shape (members, 3)
        ``sum_w 1 / s_w²``.
    noise : ndarray, shape (members, 3), or 0 where windows are taken for endless
        ``sum_w 2 k / s_w²``, the variance of `weighted` by chance. All three add up over parts of a reference.
    clustered : ndarray, shape (3, members), or 0 where rows are taken for independent
        How alike the rows of a window are at the ends of the range, as three sums of the same kind: what its count
        there is off beyond chance, how much there is to be off by, and the variance of the first by chance.
    means : ndarray, shape (3, members), or 0 where they were not learnt
        `weighted`, `weight` and `noise` of the squared shift of the mean, of normal scores in their standard
        deviations: near the same scale, since a small shift by x is a distance d of x² or a little less.
    """

    weighted: FloatArray
    weight: FloatArray
    noise: FloatArray | float = 0.0
    clustered: FloatArray | float = 0.0
    means: FloatArray | float = 0.0

    @property
    def v(self) -> FloatArray:
        """Mean squared natural distance beyond what chance may have made; 0 where nothing is known. Shape (members, 3).

        >>> sums, weights = np.array([[4e6, 4e6, 0.0]]), np.array([[1e9, 1e9, 1e9]])
        >>> Natural(sums, weights, np.array([[9e12, 1e12, 0.0]])).v.tolist()
        [[0.0, 0.002, 0.0]]
        """
        sure = np.maximum(self.weighted - SURE * np.sqrt(self.noise), 0.0)
        return np.asarray(sure / np.where(self.weight > 0, self.weight, 1.0))

    @property
    def js(self) -> FloatArray:
        """The same as a Jensen-Shannon distance."""
        return d_to_js(self.v)

    def tolerance(self, days: float, level: float) -> FloatArray:
        """Return what is tolerated where `level` is, as a Jensen-Shannon distance: ``max(level, c(D)·v)`` in d.

        >>> natural = Natural(np.array([[0.0, 0.0, 0.002]]), np.ones((1, 3)))
        >>> natural.tolerance(56, 0.05).round(3).tolist()
        [[0.05, 0.05, 0.09]]
        """
        return d_to_js(np.maximum(js_to_d(level), tolerance_factor(days) * self.v))

    @property
    def correlation(self) -> FloatArray:
        """How alike rows of one window are at the ends of the range, from 0 to 1; 0 of categories. Shape (members,).

        The intraclass correlation, as a moment estimate from the variance between windows (Kish 1965, Survey sampling,
        5.4): under one sky all flights of an hour have the coldest temperature of the year, or none has. Two standard
        deviations of chance are taken off here too.

        >>> nothing = np.zeros((2, 3))
        >>> sums, weights, noise = [90.0, 9.0], [100.0, 100.0], [25.0, 25.0]
        >>> Natural(nothing, nothing, clustered=np.array([sums, weights, noise])).correlation.tolist()
        [0.8, 0.0]
        """
        sums, weight, noise = np.broadcast_to(self.clustered, (3, len(self.weight)))
        sure = np.maximum(sums - SURE * np.sqrt(noise), 0.0)
        return np.asarray(np.minimum(sure / np.where(weight > 0, weight, 1.0), 1.0))

    @property
    def mean_v(self) -> FloatArray:
        """Mean squared natural shift of the mean beyond what chance may have made; inf where unknown. Shape (members,).

        >>> nothing = np.zeros((2, 3))
        >>> sums, weights, noise = [4e6, 0.0], [1e8, 0.0], [1e12, 0.0]
        >>> Natural(nothing, nothing, means=np.array([sums, weights, noise])).mean_v.tolist()
        [0.02, inf]
        """
        sums, weight, noise = np.broadcast_to(self.means, (3, len(self.weight)))
        sure = np.maximum(sums - SURE * np.sqrt(noise), 0.0)
        return np.asarray(np.where(weight > 0, sure / np.where(weight > 0, weight, 1.0), np.inf))

    def plus(self, other: Natural) -> Natural:
        """Return what both parts of a reference know together."""
        return Natural(
            self.weighted + other.weighted, self.weight + other.weight, self.noise + other.noise,
            self.clustered + other.clustered, self.means + other.means,
        )  # fmt: skip


def tolerance_factor(days: float) -> float:
    """Return ``c(D) = 16 (1 + 10/D)²``: how many times `v` is natural still; of few days, more.

    >>> round(tolerance_factor(14) ** 0.5, 1), round(tolerance_factor(56) ** 0.5, 1)
    (6.9, 4.7)
    """
    return float(16.0 * (1.0 + 10.0 / days) ** 2)


def learn_natural(layout: CellLayout, hours: HourCounts, kind: StrataKind | None) -> Mapping[str, Natural]:
    """Learn natural variation by leaving out one day after the other (drift.md 2.4).

    Each day, hour and week of the reference is a window: how far it is from the reference of the same hours on all
    other days, free of sampling noise, and weighted by what it can tell.

    Parameters
    ----------
    layout : CellLayout
        Of the counts.
    hours : HourCounts
        The reference by hours.
    kind : {"48", "168"} or None
        The strata in which windows are compared; None compares with all hours.

    Returns
    -------
    mapping of window to Natural
        For each of :data:`LENGTHS`. A week, of which there are fewer than :data:`LEAST_WEEKS`, is taken to vary half
        as much as a day.

    Examples
    --------
    >>> from modelwatch.records import FeatureCells
    >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(40.0, 80.0)),))
    >>> cells = np.zeros((14, layout.size), dtype=int)
    >>> cells[:, 0], cells[:, 1] = [600, 400] * 7, [400, 600] * 7  # every other day is another
    >>> days = HourCounts.gathered(np.arange(14) * 86400.0, cells, None)
    >>> {window: round(float(found.js[0, 0]), 2) for window, found in learn_natural(layout, days, None).items()}
    {'1h': 0.09, '24h': 0.09, '168h': 0.06}
    """
    strata = stratum_of_hour(hours.hours, kind) if kind else np.zeros_like(hours.hours)
    counts = np.zeros((STRATA[kind] if kind else 1, layout.size), dtype=np.int64)
    np.add.at(counts, strata, hours.cells)
    pools = Pools(layout, counts, kind)
    days = hours.hours // 24 - hours.hours[:1].sum() // 24
    weeks = days // 7
    whole_weeks = len(np.unique(weeks[weeks < (days.max(initial=-1) + 1) // 7]))
    scores = normal_scores(layout, hours.cells.sum(axis=0))
    sums = {window: _Sums(layout, scores) for window in LENGTHS}
    plans: dict[bytes, tuple[_LeftOut, _LeftOut]] = {}
    for index, (member, offset) in enumerate(zip(layout.members, layout.offsets, strict=True)):
        groups = np.zeros_like(strata) if pools.flat[index] else pools.groups[index][strata]
        key = groups.tobytes()  # nearly always the same for all members
        if key not in plans:
            plans[key] = _LeftOut(days, groups), _LeftOut(weeks, groups)
        by_day, by_week = plans[key]
        mine = slice(offset, offset + member.size)
        cells = hours.cells[:, mine].astype(np.float64)
        pool = pools.whole[None, mine] if pools.flat[index] else pools.counts[:, mine]
        sums["1h"].add(index, *by_day.hours(cells, pool), least=HOUR_ROWS)
        sums["24h"].add(index, *by_day.blocks(cells, pool))
        if whole_weeks >= LEAST_WEEKS:
            weekly = (side[:whole_weeks] for side in by_week.blocks(cells, pool))
            sums["168h"].add(index, *weekly)
    if whole_weeks < LEAST_WEEKS:
        sums["168h"] = sums["24h"].halved()
    return {window: found.natural() for window, found in sums.items()}


class _Sums:
    """What adds up to natural variation in windows of one length, for each member and test."""

    def __init__(self, layout: CellLayout, scores: Sequence[FloatArray | None]) -> None:
        self._layout = layout
        self._scores = scores
        self._shapes = [member.shape_size for member in layout.members]
        self.weighted, self.weight, self.noise = (np.zeros((len(layout.members), TESTS)) for _ in range(3))
        self.clustered, self.means = (np.zeros((3, len(layout.members))) for _ in range(2))

    def halved(self) -> _Sums:
        """Return what says that windows vary half as much, and is as sure of it; their rows are as much alike."""
        out = _Sums(self._layout, self._scores)
        out.weighted, out.weight, out.noise = self.weighted / 2.0, self.weight.copy(), self.noise / 4.0
        out.clustered = self.clustered.copy()
        out.means = self.means * np.array([0.5, 1.0, 0.25])[:, None]
        return out

    def natural(self) -> Natural:
        """Return what was learnt, in as many digits as a file keeps."""
        parts = (self.weighted, self.weight, self.noise, self.clustered, self.means)
        return Natural(*(significant(part, DIGITS) for part in parts))

    def add(self, index: int, observed: FloatArray, reference: FloatArray, *, least: float = 1.0) -> None:
        """Add windows of one member: their counts, and those that they are compared with."""
        shape = self._shapes[index]
        for test, (o, r) in enumerate(zip(by_test(observed, shape), by_test(reference, shape), strict=True)):
            n, m = o.sum(axis=-1), r.sum(axis=-1)
            scored = (n >= least) & (m > 0)
            s = sampling(n, m, scored)
            d, k = divergence(o, r, n, m, scored)
            weight = np.where(scored, 1.0 / s**2, 0.0)
            self.weighted[index, test] += ((d - expected(o, r, n, m, scored)) * weight).sum()
            self.weight[index, test] += weight.sum()
            self.noise[index, test] += (2.0 * k * weight).sum()
        scores = self._scores[index]
        if scores is not None:
            o, r = observed[:, :shape], reference[:, :shape]
            scored = (o.sum(axis=1) >= max(least, 2.0)) & (r.sum(axis=1) > 0)
            self.clustered[:, index] += _clustered(o[scored], r[scored])
            self.means[:, index] += _means(o[scored], r[scored], scores)


def significant(values: FloatArray, digits: int) -> FloatArray:
    """Round to so many significant digits.

    >>> significant(np.array([0.0, 123456.0, -0.00123456]), 3).tolist()
    [0.0, 123000.0, -0.00123]
    """
    return np.array([float(f"{value:.{digits - 1}e}") for value in values.ravel().tolist()]).reshape(values.shape)


def _clustered(o: FloatArray, r: FloatArray) -> FloatArray:
    """Return the three sums that tell how alike the rows of a window are in the lowest and in the highest cell.

    The reference has no novel rows by which to tell: its range is its own. Who is next to have a value beyond it is
    among those in its outermost cells.
    """
    n, m = o.sum(axis=1)[:, None], r.sum(axis=1)[:, None]
    ends = [0, -1]
    o, r = o[:, ends], r[:, ends]
    pooled = (o + r) / (n + m)
    rows = n * pooled * (1.0 - pooled)
    chance = rows * (1.0 + n / m)
    beyond = (o - n * r / m) ** 2 - chance
    return np.array([beyond.sum(), (rows * (n - 1.0)).sum(), (2.0 * chance**2 + chance).sum()])


def _means(o: FloatArray, r: FloatArray, scores: FloatArray) -> FloatArray:
    """Return the three sums of the squared shift of the mean: what is off beyond chance, its weight, and its noise."""
    square, s = mean_shift(o, r, scores)
    return np.array([((square - s) / s**2).sum(), (1.0 / s**2).sum(), (2.0 / s**2).sum()])


class _LeftOut:
    """The hours of a reference in blocks (days, weeks), each to be compared with all others.

    Parameters
    ----------
    blocks : ndarray of int, shape (hours,)
        The block of each hour, ascending.
    groups : ndarray of int, shape (hours,)
        The group of strata of each hour.
    """

    def __init__(self, blocks: IntArray, groups: IntArray) -> None:
        size = int(groups.max(initial=0)) + 1
        pairs, self._pair_of = np.unique(blocks * size + groups, return_inverse=True)
        self._pair_of = self._pair_of.reshape(-1)
        self._order = np.argsort(self._pair_of, kind="stable")
        self._starts = np.searchsorted(self._pair_of[self._order], np.arange(len(pairs)))
        self._group = pairs % size
        _, self._first = np.unique(pairs // size, return_index=True)

    def _others(self, cells: FloatArray, pool: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the counts of each block in each of its groups, and those of all other blocks in that group."""
        own = np.add.reduceat(cells[self._order], self._starts, axis=0)
        return own, np.maximum(pool[self._group] - own, 0.0)

    def hours(self, cells: FloatArray, pool: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the counts of each hour, and those of its group on other days."""
        return cells, self._others(cells, pool)[1][self._pair_of]

    def blocks(self, cells: FloatArray, pool: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the counts of each block, and the reference that matches it without that block."""
        own, others = self._others(cells, pool)
        m = others.sum(axis=1)
        n = np.where(m > 0, own.sum(axis=1), 0.0)  # what no other block has, can't be compared
        weight = n / np.where(m > 0, m, 1.0)
        sums = [np.add.reduceat(part, self._first) for part in (n, n * weight)]
        total, spread = sums[0], np.where(sums[1] > 0, sums[1], 1.0)
        observed = np.add.reduceat(own * (m > 0)[:, None], self._first, axis=0)
        matched = np.add.reduceat(others * weight[:, None], self._first, axis=0)
        return observed, matched * (total / spread)[:, None]


def by_length(natural: Mapping[str, Natural], members: int) -> FloatArray:
    """Return v for windows of each of `LENGTHS`, (lengths, members, 3); 0 where nothing is known.

    Where it is not learnt for a length, the next longer one says it. An hour varies no less than its day does, which
    can often be told when that of the hour can't. Of weeks too few to tell, half that of a day.
    """
    nothing = Natural(np.zeros((members, TESTS)), np.zeros((members, TESTS)))
    out = np.zeros((len(LENGTHS), members, TESTS))
    longer = natural.get("24h", nothing).v / 2.0
    for place, label in reversed(list(enumerate(LENGTHS))):
        learnt = natural.get(label, nothing)
        longer = out[place] = np.where(learnt.weight > 0, learnt.v, longer)
    hour, day = (list(LENGTHS).index(label) for label in ("1h", "24h"))
    out[hour] = np.maximum(out[hour], out[day])
    return out


def correlation_by_length(natural: Mapping[str, Natural], members: int) -> FloatArray:
    """Return how alike rows are in windows of each of `LENGTHS`, (lengths, members); 0 where nothing is known.

    Where it is not learnt for a length, the next longer one says it.
    """
    out = np.zeros((len(LENGTHS), members))
    longer = np.zeros(members)
    for place, label in reversed(list(enumerate(LENGTHS))):
        if label in natural:
            known = np.broadcast_to(natural[label].clustered, (3, members))[1] > 0
            longer = np.where(known, natural[label].correlation, longer)
        out[place] = longer
    return out


def means_by_length(natural: Mapping[str, Natural], members: int) -> FloatArray:
    """Return `Natural.mean_v` in windows of each of `LENGTHS`, (lengths, members); inf where it is not known."""
    out = np.full((len(LENGTHS), members), np.inf)
    for place, label in enumerate(LENGTHS):
        if label in natural:
            out[place] = natural[label].mean_v
    return out
