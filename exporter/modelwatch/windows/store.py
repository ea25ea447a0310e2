"""Windows from the store: the counts of its intervals, summed over the last hour, day or whatever is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelwatch.records import WindowCounts
from modelwatch.windows.scored import EXTENDED_SECONDS
from modelwatch.windows.sums import RunningSums

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.strata import Strata
    from modelwatch.store.queries import StoreQueries

__all__ = ["LOOK_BACK_SECONDS", "recording_began", "window_counts"]

LOOK_BACK_SECONDS = 86400.0


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
    since = now - 2.0 * longest - LOOK_BACK_SECONDS
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
    strata: Strata | None = None,
    least_rows: float = 0.0,
    segment: str | None = None,
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
    strata : Strata or None
        By which rows are counted for each member, where the windows are to be compared with hours like their own.
    least_rows : float
        If the longest window holds any rows, but fewer than these, it goes back 30 days.
    segment : str or None
        Whose rows are counted; None for all.

    Returns
    -------
    list of WindowCounts
        One for each window, ascending, empty ones included. ``rows`` are those of the whole window, whatever was
        cleared since.
    """

    def sums(seconds: float) -> RunningSums:
        of_segment = {} if segment is None else {"segment": segment}
        series = queries.interval_counts(
            model_id, profile.id, now - seconds, now, model_version, size=profile.layout.size, **of_segment
        )
        return RunningSums(series, profile, strata)

    found = sums(max(windows.values()))
    out = found.windows(windows, now, began, cleared_at)
    if 0 < out[-1].rows < least_rows:
        found = sums(EXTENDED_SECONDS)
        out = found.windows(windows, now, began, cleared_at, least_rows)
    return out
