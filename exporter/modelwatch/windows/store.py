"""Windows from the store: the counts of its intervals, summed over the last hour, day or whatever is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.records import FloatArray, WindowCounts

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.queries import StoreQueries
    from modelwatch.store.values import CountSeries

__all__ = ["recording_began", "window_counts"]

_LOOK_BACK_SECONDS = 86400.0


def recording_began(
    queries: StoreQueries, model_id: str, model_version: str, profile_id: str, longest: float, now: float
) -> float | None:
    """Return when recording of a model version by a profile began, as far as it matters.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    model_id, model_version, profile_id : str
        Whose counts.
    longest : float
        Length of the longest window in seconds. Twice as far back and a day more is looked at, so that a gap in the
        traffic where a window begins is not taken for the beginning.
    now : float
        Seconds since the epoch.

    Returns
    -------
    float or None
        Seconds since the epoch; None if there are no counts.
    """
    since = now - 2.0 * longest - _LOOK_BACK_SECONDS
    for version, profile, first, _ in queries.subjects(model_id, since):
        if version == model_version and profile == profile_id:
            return float(first)
    return None


def window_counts(
    queries: StoreQueries,
    model_id: str,
    model_version: str,
    profile: ReferenceProfile,
    windows: Mapping[str, float],
    now: float,
    cleared_at: Mapping[str, float],
    *,
    began: float | None,
) -> list[WindowCounts]:
    """Sum the counts of a model version over windows that end now.

    A window holds the intervals that began in it, so that no row is older than the window is long.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    model_id, model_version : str
        Whose counts.
    profile : ReferenceProfile
        The reference whose cells the counts are over.
    windows : mapping of str to float
        Length in seconds by label, ascending.
    now : float
        Seconds since the epoch.
    cleared_at : mapping of str to float
        By feature: only intervals that began then or later count for it. "" is the prediction.
    began : float or None
        When recording began; None if nothing is recorded.

    Returns
    -------
    list of WindowCounts
        One for each window, ascending, empty ones included. ``rows`` are those of the whole window, whatever was
        cleared since.
    """
    longest = max(windows.values())
    series = queries.interval_counts(
        model_id, profile.id, now - longest, now, model_version, size=profile.layout.size
    )  # fmt: skip
    sums = _Sums(series, profile, cleared_at)
    return [sums.over(label, now - seconds, now, began) for label, seconds in windows.items()]


class _Sums:
    """Running sums over time: the counts of any window that ends now are a difference of two rows."""

    def __init__(self, series: CountSeries, profile: ReferenceProfile, cleared_at: Mapping[str, float]) -> None:
        self._starts = series.starts
        members = profile.layout.members
        self._rows, self._cells = _running(series.rows), _running(series.cells)
        # An empty series doesn't know how many members there are.
        self._sums = _running(series.sums if series.sums.shape[1] else np.zeros((len(series.starts), len(members))))
        cleared = np.array([cleared_at.get(member.name, -np.inf) for member in members], dtype=np.float64)
        self._first_of_member = np.searchsorted(series.starts, cleared, side="left")
        self._first_of_cell = np.repeat(self._first_of_member, [member.size for member in members])

    def over(self, label: str, start: float, end: float, began: float | None) -> WindowCounts:
        """Return the counts from `start` on."""
        first = int(np.searchsorted(self._starts, start, side="left"))
        full = began is not None and began <= start
        return WindowCounts(
            window=label,
            start=start if full or began is None else min(began, end),
            end=end,
            rows=float(self._rows[-1] - self._rows[first]),
            cells=_since(self._cells, np.maximum(self._first_of_cell, first)),
            full=full,
            sums=_since(self._sums, np.maximum(self._first_of_member, first)),
        )


def _running(values: FloatArray) -> FloatArray:
    """Cumulative sums over time with a row of zeros in front."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])


def _since(running: FloatArray, first: np.ndarray) -> FloatArray:
    """Return, by column, what came from a row on."""
    return np.asarray(running[-1] - running[first, np.arange(running.shape[1])])
