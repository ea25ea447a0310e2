"""Running sums over time of the counts of intervals: any window is a difference of two rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwatch.records import FloatArray, WindowCounts
from modelwatch.windows.scored import EXTENDED_SECONDS

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.strata import Strata

__all__ = ["RunningSums", "Series"]


class Series(Protocol):
    """Counts by interval, as a store returns them: ``starts`` ascending, ``rows``, ``cells``, ``sums``."""

    @property
    def starts(self) -> FloatArray: ...  # noqa: D102

    @property
    def rows(self) -> FloatArray: ...  # noqa: D102

    @property
    def cells(self) -> FloatArray: ...  # noqa: D102

    @property
    def sums(self) -> FloatArray: ...  # noqa: D102


class RunningSums:
    """Sums of the intervals up to each.

    Parameters
    ----------
    series : Series
        Counts by interval over the cells of the profile.
    profile : ReferenceProfile
        The reference.
    strata : Strata or None
        By which rows are counted for each member as well: those of an interval belong to the hour in which it began.
    times : array_like or None
        Windows begin and end, and features were cleared, at these times only: saves memory; None for any time.
    """

    def __init__(
        self,
        series: Series,
        profile: ReferenceProfile,
        strata: Strata | None = None,
        times: ArrayLike | None = None,
    ) -> None:
        self._starts = series.starts
        marks = np.arange(len(self._starts) + 1)
        if times is not None:
            marks = np.unique(np.append(np.searchsorted(self._starts, np.asarray(times)), [0, len(self._starts)]))
        self._marks = marks
        self._members = profile.layout.members
        self._sizes = [member.size for member in self._members]
        self._rows, self._cells = _running(series.rows, marks), _running(series.cells, marks)
        # An empty series doesn't know how many members there are, and one without sums knows none.
        self._sums = _running(series.sums, marks) if series.sums.shape[1] else None
        self._strata = None if strata is None else _running(_by_stratum(series, strata), marks)

    def windows(
        self,
        lengths: Mapping[str, float],
        now: float,
        began: float | None,
        cleared_at: Mapping[str, float],
        least_rows: float = 0.0,
    ) -> list[WindowCounts]:
        """Return the windows that end now, as :func:`~modelwatch.windows.store.window_counts` does."""
        since = np.array([cleared_at.get(member.name, -np.inf) for member in self._members], dtype=np.float64)
        found = [self._over(label, now - seconds, now, began, since) for label, seconds in lengths.items()]
        if 0 < found[-1].rows < least_rows:
            found[-1] = self._extended(found[-1], since)
        return found

    def _extended(self, window: WindowCounts, since: FloatArray) -> WindowCounts:
        """Return a window that goes back further under its old name; it is as full as it was."""
        start = max(window.end - EXTENDED_SECONDS, min(float(self._starts[0]), window.start))
        return replace(self._over(window.window, start, window.end, start, since), full=window.full)

    def _over(self, label: str, start: float, end: float, began: float | None, since: FloatArray) -> WindowCounts:
        """Return the counts of the intervals that began from `start` on and before `end`, and were not cleared."""
        first, last = self._place(start), self._place(end)
        members = np.minimum(np.maximum(self._place(since), first), last)
        full = began is not None and began <= start
        if not full and began is not None:
            start = min(began, end)
        return WindowCounts(
            window=label,
            start=start,
            end=end,
            rows=float(self._rows[last] - self._rows[first]),
            cells=_between(self._cells, np.repeat(members, self._sizes), last),
            full=full,
            sums=None if self._sums is None else _between(self._sums, members, last),
            strata=None if self._strata is None else self._strata[last] - self._strata[members],
            since=np.clip(since, start, end) if (since > start).any() else None,
        )

    def _place(self, times: ArrayLike) -> NDArray[np.intp]:
        """Return the row that holds what began before each time."""
        return np.searchsorted(self._marks, np.searchsorted(self._starts, times, side="left"))


def _by_stratum(series: Series, strata: Strata) -> FloatArray:
    """Return the rows of each interval in the column of its stratum."""
    out = np.zeros((len(series.starts), len(strata.counts)))
    out[np.arange(len(out)), strata.index(series.starts)] = series.rows
    return out


def _running(values: FloatArray, marks: NDArray[np.intp]) -> FloatArray:
    """Return the sums over time up to each mark, the first of which is 0."""
    out = np.zeros((len(marks), *values.shape[1:]))
    if len(marks) > len(values):
        np.cumsum(values, axis=0, dtype=np.float64, out=out[1:])
    else:
        np.cumsum(np.add.reduceat(values, marks[:-1], axis=0, dtype=np.float64), axis=0, out=out[1:])
    return out


def _between(running: FloatArray, first: NDArray[np.intp], last: NDArray[np.intp]) -> FloatArray:
    """Return, by column, what came from a row on."""
    return np.asarray(running[last] - running[first, np.arange(running.shape[1])])
