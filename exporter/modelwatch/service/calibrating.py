"""Learning normal variation from production, where the reference has no timestamps to learn it from (drift.md 2.4).

Counts are added up by hour in a file beside the profile. After 14 days on which no drift was found, each hour's offset
from production's own mean and each feature's variation are learnt from them, by whoever runs the checks, and followed
by all who do. Segments are learnt in the same way: each is another than the whole by nature.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.learnt import WHOLE, Learnt, Part
from modelwatch.profile.natural import LEAST_DAYS
from modelwatch.profile.times import wall_hours
from modelwatch.recorder.segments import MAX_SEGMENTS
from modelwatch.service.sound_counts import alarms_of, days_of_alarms, usable

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.records import IntArray
    from modelwatch.store import StoreWriter
    from modelwatch.store.queries import StoreQueries

__all__ = ["Calibration", "Calibrator", "read_learnt"]

logger = logging.getLogger("modelwatch")

DAY = 86400.0
STEP_SECONDS = 3600.0
SETTLED_SECONDS = 900.0
"""Intervals that are younger may still be counted in."""
MOST_DAYS = 2 * LEAST_DAYS
"""As many days are kept until enough of them are without drift."""


@dataclass(frozen=True)
class Calibration:
    """How far learning the normal variation of one model has come.

    >>> Calibration(9).words
    'normal variation is being learnt, day 9 of 14'
    """

    day: int

    @property
    def words(self) -> str:
        """The progress as a phrase."""
        return f"normal variation is being learnt, day {self.day} of {LEAST_DAYS}"


def read_learnt(store: StoreWriter, profile: ReferenceProfile, model_id: str) -> Learnt | None:
    """Return what production has taught of a profile so far; what is damaged is worth nothing, and begun anew."""
    data = store.load_learnt(profile.id, model_id)
    try:
        learnt = None if data is None else Learnt.from_bytes(data)
    except ProfileError as error:
        logger.warning("%s learns its normal variation anew: %s", model_id, error)
        return None
    return learnt if learnt is not None and learnt.fits(profile.layout) else None


class Calibrator:
    """
    Learns normal variation of the models of one storage; used by whoever runs its checks, one thread at a time.

    Parameters
    ----------
    store
        Where it is kept.
    queries
        Returns the reading side of the store.
    profile
        Returns a profile of the store by its id, as it stands in its file.
    timezone
        Name of the time zone of the file; None for UTC. That in which a model's learning has begun stays.
    """

    def __init__(
        self,
        store: StoreWriter,
        queries: Callable[[], StoreQueries],
        profile: Callable[[str], ReferenceProfile | None],
        timezone: Callable[[], str | None],
    ) -> None:
        self._store = store
        self._queries = queries
        self._profile = profile
        self._timezone = timezone
        self._due: dict[str, float] = {}
        self._calibrations: dict[str, Calibration] = {}

    def round(
        self,
        configs: Iterable[ModelMonitoringConfig],
        now: float,
        *,
        mine: Callable[[str], bool] = lambda model_id: True,
    ) -> None:
        """
        Add what was recorded since the last round, once an hour, and learn what can be learnt.

        Parameters
        ----------
        configs
            The models, one configuration each.
        now
            Seconds since the epoch.
        mine
            Asked before each model, whether it is still this process's to look after.

        Raises
        ------
        StorageError
            If the store can't be used; what is not done yet is done next time.
        """
        for config in {config.model_id: config for config in configs}.values():
            due = self._due.get(config.model_id, now)
            # A clock that was set back must not stop it.
            if (now >= due or due > now + STEP_SECONDS) and mine(config.model_id):
                self._look_at(config, now)
                self._due[config.model_id] = now + STEP_SECONDS

    def of(self, model_id: str) -> Calibration | None:
        """Return how far a model has come; None if nothing is being learnt, or it is not this process's to do."""
        return self._calibrations.get(model_id)

    def _look_at(self, config: ModelMonitoringConfig, now: float) -> None:
        model_id = config.model_id
        self._calibrations.pop(model_id, None)
        began: dict[str, float] = {}
        for _, profile_id, first, _ in self._queries().subjects(model_id, now - MOST_DAYS * DAY):
            began[profile_id] = min(first, began.get(profile_id, first))
        for profile_id, first in began.items():
            profile = self._profile(profile_id)
            if profile is None:
                continue
            segments = self._queries().segments(model_id, profile_id, now - DAY)[:MAX_SEGMENTS]
            if not profile.calibrated or segments:
                self._learn(config, profile, segments, max(first, now - MOST_DAYS * DAY), now)

    def _learn(
        self,
        config: ModelMonitoringConfig,
        profile: ReferenceProfile,
        segments: Sequence[str],
        first: float,
        now: float,
    ) -> None:
        learnt = read_learnt(self._store, profile, config.model_id)
        parts = dict(learnt.parts) if learnt is not None else {}
        before = {name for name, part in parts.items() if part.done}
        zone = config.drift.timezone or self._timezone() or profile.timezone
        wanted = {*segments} - before if profile.calibrated else {WHOLE, *segments} - before
        for name in wanted:
            part = parts.get(name)
            if part is None or part.until > now + STEP_SECONDS:  # of a clock that was ahead
                part = Part(_nothing(profile, zone), first, first)
            parts[name] = self._settled(config, self._counted(config, profile, name, part, now), now)
        if wanted:
            self._store.save_learnt(profile.id, config.model_id, Learnt(parts).to_bytes())
        if not profile.calibrated and WHOLE not in before:
            self._tell(config, parts[WHOLE], now)

    def _tell(self, config: ModelMonitoringConfig, whole: Part, now: float) -> None:
        if whole.done:
            logger.info(
                "modelwatch learnt the normal variation of %s from %d days of production: all windows are scored, and"
                " nothing is capped at warning any more", config.model_id, whole.hours.days,
            )  # fmt: skip
            return
        days = self._sound(config, whole, now)
        self._calibrations[config.model_id] = Calibration(min(max(len(days), 1), LEAST_DAYS))

    def _counted(
        self, config: ModelMonitoringConfig, profile: ReferenceProfile, segment: str, part: Part, now: float
    ) -> Part:
        """Return a part with what was recorded since; a day at a time, so that little is in memory."""
        hours, until, end = part.hours, part.until, now - SETTLED_SECONDS
        while until < end:
            step = min(until + DAY, end)
            series = self._queries().interval_counts(
                config.model_id, profile.id, until, step, segment=segment or None, size=profile.layout.size
            )
            taken = usable(series, profile, until, step)
            cells = np.asarray(series.cells[taken], dtype=np.int64)
            hours = hours.plus(HourCounts.gathered(series.starts[taken], cells, hours.timezone))
            until = step
        return replace(part, hours=hours, until=until)

    def _sound(self, config: ModelMonitoringConfig, part: Part, now: float) -> IntArray:
        """Return the days on which no drift was found."""
        hold = max(config.drift.window_seconds.values()) if config.drift.windows_written else DAY
        records = self._queries().drift_history(config.model_id, part.since, now)
        alarms = alarms_of(records, standing=False)
        days = np.unique(part.hours.hours // 24)
        return np.setdiff1d(days, days_of_alarms(alarms, hold, part.hours.timezone))

    def _settled(self, config: ModelMonitoringConfig, part: Part, now: float) -> Part:
        """Return a part as learnt if there are days enough, else without those that are too old."""
        days = self._sound(config, part, now)
        # The checks of a day later tell whether anything was wrong with a day.
        last = int(wall_hours(np.array([now - DAY]), part.hours.timezone)[0]) // 24
        past = days[days < last]
        if len(past) >= LEAST_DAYS and part.until - part.since >= LEAST_DAYS * DAY:
            return replace(part, hours=_of_days(part.hours, past), done=True)
        return replace(part, hours=_of_days(part.hours, np.unique(part.hours.hours // 24)[-MOST_DAYS:]))


def _nothing(profile: ReferenceProfile, zone: str | None) -> HourCounts:
    return HourCounts(zone, np.zeros(0, dtype=np.int64), np.zeros((0, profile.layout.size), dtype=np.int64))


def _of_days(hours: HourCounts, days: IntArray) -> HourCounts:
    kept = np.isin(hours.hours // 24, days)
    return hours if kept.all() else HourCounts(hours.timezone, hours.hours[kept], hours.cells[kept])
