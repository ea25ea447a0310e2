"""Which recorded counts may be learnt from: those that are whole, and of times in which no drift was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.policy import Severity
from modelwatch.profile.times import wall_hours

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.records import FloatArray, IntArray
    from modelwatch.store import CountSeries
    from modelwatch.store.values import DriftRecord

__all__ = ["alarms_of", "days_of_alarms", "in_alarm", "usable"]

BoolArray = NDArray[np.bool_]


def usable(series: CountSeries, profile: ReferenceProfile, start: float, end: float) -> BoolArray:
    """Tell the intervals that begin in the time and in which every member was counted in every row."""
    inside = (series.starts >= start) & (series.starts < end)
    if not len(series.starts):
        return np.asarray(inside, dtype=np.bool_)
    per_member = np.add.reduceat(series.cells, np.array(profile.layout.offsets), axis=1)
    return np.asarray(inside & (per_member == series.rows[:, None]).all(axis=1))


def in_alarm(starts: FloatArray, alarms: FloatArray, hold: float) -> BoolArray:
    """Tell the intervals that lay in a window in which drift was found."""
    if not len(alarms):
        return np.zeros(len(starts), dtype=np.bool_)
    following = np.searchsorted(alarms, starts)
    next_alarm = np.append(alarms, np.inf)[following]
    return np.asarray(next_alarm - starts <= hold)


def alarms_of(records: Sequence[DriftRecord], *, standing: bool = True) -> FloatArray:
    """Return when drift was found, ascending.

    Parameters
    ----------
    records : sequence of DriftRecord
        Of one model, oldest first.
    standing : bool
        If false, drift that was there from the first check that could see it, and never ended, is left out: that is a
        difference between training and serving, and no event.
    """
    found = [record.checked_at for record in records if record.severity >= Severity.WARNING]
    if found and not standing:
        others = [r for r in records if r.ok and r.severity < Severity.WARNING]
        if not any(record.checked_at > found[0] or _was_scored(record) for record in others):
            return np.zeros(0)
    return np.array(sorted(found), dtype=np.float64)


def _was_scored(record: DriftRecord) -> bool:
    families: Any = record.summary.get("families", {})
    return any(family.get("state") == "ok" for family in families.values())


def days_of_alarms(alarms: FloatArray, hold: float, timezone: str | None) -> IntArray:
    """Return the days, as `HourCounts` counts them, of which rows lay in a window in which drift was found."""
    if not len(alarms):
        return np.zeros(0, dtype=np.int64)
    first, last = (wall_hours(times, timezone) // 24 for times in (alarms - hold, alarms))
    days = [np.arange(a, b + 1) for a, b in set(zip(first.tolist(), last.tolist(), strict=True))]
    return np.unique(np.concatenate(days)).astype(np.int64)
