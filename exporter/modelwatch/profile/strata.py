"""Hours that are alike: reference counts by stratum, and the reference that matches a window's own traffic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.alike import same_at_all_hours
from modelwatch.profile.times import wall_hours
from modelwatch.records import CellLayout, FloatArray, IntArray

__all__ = ["LEAST_ROWS", "STRATA", "Pools", "Strata", "StrataKind", "merged", "stratum_of", "stratum_of_hour"]

StrataKind = Literal["48", "168"]
"""Hour of the day × {weekday, weekend}; hour of the week."""
STRATA: dict[StrataKind, int] = {"48": 48, "168": 168}
"""How many strata there are."""
LEAST_ROWS = 200
"""A stratum with fewer reference rows than this is merged with others."""
_WEEKDAYS = 5
_WEEK = 7 * 24


@dataclass(frozen=True, eq=False)
class Strata:
    """Reference counts by stratum.

    Attributes
    ----------
    kind : {"48", "168"}
        48: hour of the day, then the same for weekends. 168: hour of the week, from Monday 0:00.
    timezone : str
        IANA name of the zone whose clock on the wall says which hour it is.
    counts : ndarray of int, shape (strata, layout.size)
        As they were counted. Small strata are merged where they are used. Kept in 32 bits where they fit.

    Examples
    --------
    >>> from modelwatch.records import FeatureCells
    >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(40.0, 80.0)),))
    >>> counts = np.zeros((48, layout.size), dtype=int)
    >>> counts[8, 0], counts[20, 1] = 1000, 1000  # mornings are young, evenings old
    >>> strata = Strata("48", "UTC", counts)
    >>> strata.index(np.array([8.5 * 3600, 20.0 * 3600, 2 * 86400 + 8 * 3600.0])).tolist()  # 1970 began on a Thursday
    [8, 20, 32]
    >>> morning = np.zeros((1, 48))
    >>> morning[0, 8] = 70
    >>> strata.matched(layout, morning)[:2].round(6).tolist()
    [1000.0, 0.0]
    """

    kind: StrataKind
    timezone: str
    counts: IntArray
    _pools: dict[tuple[int, ...], Pools] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", _narrow(self.counts))
        self.counts.setflags(write=False)

    def index(self, seconds: FloatArray) -> IntArray:
        """Return the stratum of each time.

        Parameters
        ----------
        seconds : ndarray, shape (n,)
            Seconds since 1970.

        Returns
        -------
        ndarray of int, shape (n,)
            Of an hour that the clock on the wall shows twice, both times the same; -1 where there is no time.
        """
        return stratum_of(seconds, self.kind, self.timezone)

    def matched(self, layout: CellLayout, rows: FloatArray) -> FloatArray:
        """Return the reference as it would be with the traffic of a window: ``R = P·m_eff`` of drift.md 2.3.

        Parameters
        ----------
        layout : CellLayout
            Of the counts.
        rows : ndarray, shape (..., members, strata)
            Rows of the window by stratum; of a member that was cleared, those since then.

        Returns
        -------
        ndarray, shape (..., layout.size)
            A member without any rows, or that is the same at all hours, has the counts of the whole reference.

        Notes
        -----
        With n_g of n rows of the window in group g of strata, whose m_g reference rows have the counts R_gb:
        ``P_b = sum_g n_g R_gb / m_g / n`` and ``m_eff = n² / sum_g (n_g² / m_g)``, as for any stratified estimate.
        Added up one stratum after the other, so that no digit depends on what other members there are.
        """
        pools = self.pools(layout)
        if pools.flat.all():
            return np.tile(pools.whole, (*np.shape(rows)[:-2], 1))
        return self._weighed(layout, rows, pools.moving, pools.moved)

    def by_hour(self, layout: CellLayout, rows: FloatArray) -> FloatArray:
        """Return the same of the rows of those hours alone, also of members that are the same at all hours."""
        pools = self.pools(layout)
        return self._weighed(layout, rows, np.arange(layout.size), pools.counts)

    def _weighed(self, layout: CellLayout, rows: FloatArray, moving: IntArray, moved: NDArray[Any]) -> FloatArray:
        """Match some cells, whose counts by stratum are given; others have those of the whole reference."""
        pools = self.pools(layout)
        rows = np.asarray(rows, dtype=np.float64)
        # Nearly always all members have the same rows, and what is worked out for one of them holds for all.
        alike = pools.alike and bool((rows == rows[..., :1, :]).all())
        mine = slice(0, 1) if alike else slice(None)
        known = pools.rows[mine]
        rows = rows[..., mine, :] * (known > 0)
        weights = rows / np.where(known > 0, known, 1)
        n = rows.sum(axis=-1)
        spread = (weights * pools.together(rows)).sum(axis=-1)
        scale = n / np.where(spread > 0, spread, 1.0)
        if alike:
            out = np.tile(pools.whole, (*rows.shape[:-2], 1))
            out[..., moving] = np.where(n > 0, _weighted(weights, moved, pools.sizes) * scale, pools.whole[moving])
            return out
        out = _weighted(weights, pools.counts, pools.sizes)
        n, scale = np.repeat(n, pools.sizes, axis=-1), np.repeat(scale, pools.sizes, axis=-1)
        moves = np.zeros(layout.size, dtype=np.bool_)
        moves[moving] = True
        return np.where((n > 0) & moves, out * scale, pools.whole)

    def pools(self, layout: CellLayout) -> Pools:
        """Return the counts with small strata merged, which is worked out once."""
        found = self._pools.get(layout.offsets)
        if found is None:
            found = self._pools[layout.offsets] = Pools(layout, self.counts, self.kind)
        return found


class Pools:
    """Counts with small strata merged; each stratum has those of its whole group.

    Attributes
    ----------
    groups : ndarray of int, shape (members, strata)
        Strata of one group have the same number, that of the first of them.
    counts : ndarray, shape (strata, layout.size)
    rows : ndarray, shape (members, strata)
    whole : ndarray, shape (layout.size,)
        All strata together.
    sizes : ndarray of int, shape (members,)
        How many cells each has.
    alike : bool
        Whether all members have the same rows.
    flat : ndarray of bool, shape (members,)
        Which members are the same at all hours, so that the whole reference is what any window is compared with.
    moving : ndarray of int
        The cells of all others.
    moved : ndarray, shape (strata, moving cells)
        Their counts.

    Parameters
    ----------
    layout : CellLayout
        Of the counts.
    counts : ndarray, shape (strata, layout.size)
        As they were counted.
    kind : {"48", "168"} or None
        None: what there is, is one group.
    """

    def __init__(self, layout: CellLayout, counts: IntArray, kind: StrataKind | None) -> None:
        own = np.add.reduceat(counts, np.array(layout.offsets), axis=1).T
        alike, which = np.unique(own, axis=0, return_inverse=True)
        tables = np.array([merged(kind, rows) if kind else np.zeros_like(rows) for rows in alike])
        self.groups: IntArray = tables[which.reshape(-1)]
        # Members nearly always have the same rows, and so one table of who belongs together.
        self._same = (tables[:, :, None] == tables[:, None, :]).astype(np.float64)
        self._which = which.reshape(-1)
        self.sizes: IntArray = np.array([member.size for member in layout.members])
        self.counts: NDArray[Any] = counts
        if (self._same != np.eye(len(counts))).any():
            pooled = np.empty(counts.shape)
            for table, same in enumerate(self._same):
                cells = np.repeat(self._which == table, self.sizes)
                pooled[:, cells] = same @ counts[:, cells]
            self.counts = _narrow(pooled)
        self.rows: FloatArray = self.together(own.astype(np.float64))
        self.alike = len(self._same) == 1 and bool((self.rows == self.rows[:1]).all())
        self.whole: FloatArray = counts.sum(axis=0).astype(np.float64)
        self.flat: NDArray[np.bool_] = same_at_all_hours(layout, counts, self.groups)
        self.moving: IntArray = np.flatnonzero(~np.repeat(self.flat, self.sizes))
        self.moved: NDArray[Any] = self.counts[:, self.moving] if self.flat.any() else self.counts

    def together(self, rows: FloatArray) -> FloatArray:
        """Return for each stratum the rows of its whole group; shape (..., members, strata)."""
        if len(self._same) == 1:
            return np.asarray(rows @ self._same[0])
        return np.asarray((rows[..., None, :] @ self._same[self._which])[..., 0, :])


def _narrow(counts: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers in 32 bits, if they fit: strata are most of what a profile takes in memory."""
    return counts.astype(np.int32, copy=False) if counts.max(initial=0) <= np.iinfo(np.int32).max else counts


def _weighted(weights: FloatArray, counts: NDArray[Any], sizes: IntArray) -> FloatArray:
    """Return ``sum_g weights_g counts_g`` for each cell, with the weights of the member that it belongs to.

    Window by window, and for all cells at once: so a digit depends on no other window and no other member.
    """
    windows = weights.reshape(-1, *weights.shape[-2:])
    out = np.empty((len(windows), counts.shape[1]))
    counts = counts.astype(np.float64)
    for own, sums in zip(windows, out, strict=True):
        if len(own) == 1 or (own == own[:1]).all():
            there = np.flatnonzero(own[0])  # a window of an hour has traffic in one stratum or two
            used = slice(there[0], there[-1] + 1) if len(there) else slice(0, 1)
            np.einsum("s,sc->c", own[0, used], counts[used], out=sums)
            continue
        patterns, which = np.unique(own, axis=0, return_inverse=True)
        cells = np.repeat(which.reshape(-1), sizes)
        for place, pattern in enumerate(patterns):
            mine = cells == place
            sums[mine] = np.einsum("s,sc->c", pattern, counts)[mine]
    return out.reshape(*weights.shape[:-2], counts.shape[1])


def stratum_of(seconds: FloatArray, kind: StrataKind, timezone: str | None) -> IntArray:
    """Return the stratum of each time; -1 for NaN.

    >>> stratum_of(np.array([0.0, 2 * 86400.0, np.nan]), "168", "UTC").tolist()  # a Thursday, a Saturday
    [72, 120, -1]
    """
    return stratum_of_hour(wall_hours(seconds, timezone), kind)


def stratum_of_hour(hours: IntArray, kind: StrataKind) -> IntArray:
    """Return the stratum of hours as `wall_hours` counts them."""
    of_week = (hours - 24) % _WEEK  # the first day of the year 1 was a Monday, and is day 1
    found = of_week if kind == "168" else of_week % 24 + 24 * (of_week >= _WEEKDAYS * 24)
    return np.where(hours < 0, -1, found)


def merged(kind: StrataKind, rows: IntArray) -> IntArray:
    """Say which strata are merged, so that each group has `LEAST_ROWS` rows if all together have.

    A small stratum goes together with neighbouring hours of the same kind of day. Where a whole kind of day has too
    few rows, it goes with the other one hour by hour.

    Parameters
    ----------
    kind : {"48", "168"}
        Which strata.
    rows : ndarray of int, shape (strata,)
        Their reference rows.

    Returns
    -------
    ndarray of int, shape (strata,)
        The first stratum of the group that each belongs to.

    Examples
    --------
    >>> merged("48", np.array([500] * 3 + [150] * 2 + [500] * 43))[:6].tolist()
    [0, 1, 2, 3, 3, 5]
    >>> merged("48", np.array([500] * 24 + [8] * 24)).tolist() == [*range(24), *range(24)]
    True
    """
    by_day = np.asarray(rows).reshape(-1, 24)
    out = np.empty(by_day.shape, dtype=np.int64)
    for days in _ring(by_day.sum(axis=1).tolist()):
        for hours in _ring(by_day[days].sum(axis=0).tolist()):
            out[np.ix_(days, hours)] = min(days) * 24 + min(hours)
    return out.reshape(-1)


def _ring(rows: Sequence[float]) -> Iterator[list[int]]:
    """Yield neighbours on a ring in groups of enough rows: the smallest joins the smaller one beside it."""
    groups: list[list[int]] = [[place] for place in range(len(rows))]
    sums: list[Any] = list(rows)
    while len(groups) > 1 and min(sums) < LEAST_ROWS:
        small = sums.index(min(sums))
        before, after = (small - 1) % len(groups), (small + 1) % len(groups)
        beside = before if sums[before] < sums[after] else after
        sums[beside] += sums[small]
        groups[beside] += groups[small]
        del sums[small], groups[small]
    yield from groups
