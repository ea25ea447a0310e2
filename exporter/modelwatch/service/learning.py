"""Learning a reference from production (``reference: auto``): once per storage, however many workers there are.

Until 24 h and 5 000 rows are recorded (or 14 days with 1 000) nothing is known and nothing is guessed. Then the cells
are fixed, once; the profile is saved and published in the store, and every worker follows it. Up to the 14th day later
rows are added to its counts, but for those in which drift was found, and never before they are old enough to have left
the windows that are compared with it.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.calibration import calibrate
from modelwatch.profile.class_scores import TopClasses
from modelwatch.profile.columns import fill_numbers
from modelwatch.profile.kinds import SCORED_SHARE
from modelwatch.profile.learnt import WHOLE
from modelwatch.profile.times import read_zone
from modelwatch.profile.values import is_missing
from modelwatch.recorder.rows import RowBuffer
from modelwatch.records import PREDICTION_SCORE, ROW_COLUMNS, ROW_PREDICTION
from modelwatch.service.calibrating import read_learnt
from modelwatch.service.sound_counts import alarms_of, in_alarm, usable
from modelwatch.store.columns import TYPE_KEY
from modelwatch.store.references import LEARNT

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.records import RowChunk
    from modelwatch.store import RecordedRows, StoredReference, StoreWriter
    from modelwatch.store.queries import StoreQueries

__all__ = ["Learner", "Progress", "follows", "reference_words"]

logger = logging.getLogger("modelwatch")

DAY = 86400.0
AUTO = "auto"
ENOUGH_ROWS, ENOUGH_SECONDS = 5000, DAY
PATIENT_ROWS, PATIENT_SECONDS = 1000, 14 * DAY
"""What a reference is learnt from: a day and as many rows as tell small changes from noise, or what two weeks give."""
MOST_ROWS = 100_000
"""Rows that cells are fixed from; of more, every second, third … is taken."""
GROWN_SECONDS = 14 * DAY
GROWTH_STEP_SECONDS = 3600.0
RETRY_SECONDS = 3600.0


@dataclass(frozen=True)
class Progress:
    """How far learning one model's reference has come.

    >>> Progress(1240, 3 * 3600.0).words, Progress(640, 3 * DAY).words
    ('learning, 1 240 of 5 000 rows, 3 of 24 h', 'learning, 640 of 1 000 rows, day 4 of 14')
    """

    rows: int
    seconds: float
    problem: str = ""

    @classmethod
    def of(cls, recorded: RecordedRows | None, problem: str = "") -> Progress:
        """Return the progress of a model of which so much was recorded."""
        if recorded is None:
            return cls(0, 0.0, problem)
        return cls(recorded.rows, max(0.0, recorded.last_at - recorded.first_at), problem)

    @property
    def complete(self) -> bool:
        """Whether a reference can be learnt now."""
        enough = self.rows >= ENOUGH_ROWS and self.seconds >= ENOUGH_SECONDS
        return enough or (self.rows >= PATIENT_ROWS and self.seconds >= PATIENT_SECONDS)

    @property
    def ratio(self) -> float:
        """The share of what is needed that is there, 0 to 1."""
        soon = min(self.rows / ENOUGH_ROWS, self.seconds / ENOUGH_SECONDS)
        late = min(self.rows / PATIENT_ROWS, self.seconds / PATIENT_SECONDS)
        return min(max(soon, late), 1.0)

    @property
    def words(self) -> str:
        """The progress as a phrase."""
        rows = _thousands(self.rows)
        if self.problem:
            return f"learning from {rows} rows failed: {self.problem}"
        if self.complete:
            return f"learning, {rows} rows are enough: it is learnt with the next look at the model"
        if self.seconds < ENOUGH_SECONDS:
            wanted = f" of {_thousands(ENOUGH_ROWS)}" if self.rows < ENOUGH_ROWS else ""
            return f"learning, {rows}{wanted} rows, {int(self.seconds / 3600)} of 24 h"
        enough = _thousands(PATIENT_ROWS if self.rows < PATIENT_ROWS else ENOUGH_ROWS)
        if self.seconds >= PATIENT_SECONDS:
            return f"learning, {rows} of {enough} rows, after 14 days still too few"
        return f"learning, {rows} of {enough} rows, day {_day(self.seconds)} of 14"


def follows(reference: StoredReference | None, written: str) -> bool:
    """Return whether a model whose configuration says `written` is compared with what the store knows."""
    return reference is not None and reference.written == written


def reference_words(reference: StoredReference, now: float) -> str:
    """Return what a model is compared with by the store: ``learning, day 3 of 14: profile 1a2b3c4d``."""
    profile = f"profile {reference.profile_id[:8]}"
    if reference.origin != LEARNT or reference.learning_since is None:
        return f"{profile}, given by a call"
    age = now - reference.learning_since
    return f"learning, day {_day(age)} of 14: {profile}" if age < GROWN_SECONDS else f"{profile}, learnt"


class Learner:
    """
    Learns references of the models of one storage; used by whoever runs its checks, one thread at a time.

    Parameters
    ----------
    store
        Where references are published.
    queries
        Returns the reading side of the store.
    timezone
        Name of the time zone that days are counted in; None for UTC.
    """

    def __init__(
        self, store: StoreWriter, queries: Callable[[], StoreQueries], timezone: Callable[[], str | None]
    ) -> None:
        self._store = store
        self._queries = queries
        self._timezone = timezone
        self._problems: dict[str, tuple[str, float]] = {}
        self._marks: dict[str, tuple[int, int]] = {}

    def round(
        self,
        configs: Iterable[ModelMonitoringConfig],
        now: float,
        *,
        mine: Callable[[str], bool] = lambda model_id: True,
    ) -> None:
        """
        Learn what can be learnt now, and let learnt references grow.

        Parameters
        ----------
        configs
            The models without a profile of their own, one configuration each.
        now
            Seconds since the epoch.
        mine
            Asked before each model, which may take a second: whether it is still this process's to look after.

        Raises
        ------
        StorageError
            If the store can't be used; what is not done yet is done next time.
        """
        wanted = {config.model_id: config for config in configs if config.reference == AUTO}
        known = self._store.references()
        missing = [model_id for model_id in wanted if not follows(known.get(model_id), AUTO)]
        recorded = self._store.recorded_rows(missing)
        for model_id in missing:
            _, retry_at = self._problems.get(model_id, ("", 0.0))
            found = recorded.get(model_id)
            if found is not None and Progress.of(found).complete and now >= retry_at and mine(model_id):
                self._learn(wanted[model_id], found, now)
        for model_id in wanted.keys() - set(missing):
            reference = known[model_id]
            if reference.origin == LEARNT and mine(model_id):
                self._grow(wanted[model_id], reference, now)

    def progress(self, model_id: str) -> Progress:
        """Return how far learning a model has come."""
        problem, _ = self._problems.get(model_id, ("", 0.0))
        return Progress.of(self._store.recorded_rows([model_id]).get(model_id), problem)

    def ratios(self, configs: Iterable[ModelMonitoringConfig]) -> dict[str, float]:
        """Return by model_id the share of what is needed to learn a reference that is there; 1 once it is learnt."""
        wanted = {config.model_id for config in configs if config.reference == AUTO}
        known = {m: r for m, r in self._store.references().items() if m in wanted and follows(r, AUTO)}
        recorded = self._store.recorded_rows(wanted - known.keys())
        out = {model_id: Progress.of(recorded.get(model_id)).ratio for model_id in wanted - known.keys()}
        return out | {model_id: 1.0 for model_id, reference in known.items() if reference.origin == LEARNT}

    # ── the first profile ────────────────────────────────────────────────────────────────────────────────────────

    def _learn(self, config: ModelMonitoringConfig, recorded: RecordedRows, now: float) -> None:
        chunk = gather_rows(self._queries(), config.model_id, recorded.first_at, recorded.last_at)
        try:
            profile = build(config, chunk, self._timezone(), now)
        except ProfileError as error:
            if config.model_id not in self._problems:
                logger.warning("no reference of %s can be learnt yet: %s", config.model_id, error)
            self._problems[config.model_id] = (str(error), now + RETRY_SECONDS)
            return
        self._problems.pop(config.model_id, None)
        since, until = profile.time_range or (now, now)
        self._store.save_profile(profile.id, profile.to_json())
        if not self._store.publish_learnt(config.model_id, profile.id, written=AUTO, at=now, since=since, until=until):
            return
        self._store.drop_learning_rows(config.model_id)
        logger.info(
            "modelwatch learnt the reference of %s from %s rows: profile %s; drift is scored from now on, and what "
            "comes until day 14 is added to it%s",
            config.model_id,
            _thousands(profile.rows),
            profile.label,
            "".join(f"; {warning}" for warning in profile.warnings),
        )

    # ── until the 14th day ───────────────────────────────────────────────────────────────────────────────────────

    def _grow(self, config: ModelMonitoringConfig, reference: StoredReference, now: float) -> None:
        # Of workers that followed a moment later.
        self._store.drop_learning_rows(config.model_id)
        since, done = reference.learning_since, reference.counted_until
        if since is None or done is None:
            return
        if done >= since + GROWN_SECONDS:
            self._settle(config, reference, done)
            return
        hold = max(config.drift.window_seconds.values()) if config.drift.windows_written else DAY
        until = min(now - hold, since + GROWN_SECONDS)
        if until - done < GROWTH_STEP_SECONDS and until < since + GROWN_SECONDS:
            return
        text = self._store.load_profile(reference.profile_id)
        if text is None:
            return
        profile = ReferenceProfile.from_json(text)
        # The file says itself how far it was counted: killed between file and row, nothing is counted twice.
        counted = max(done, profile.time_range[1] if profile.time_range else done)
        grown = self._add(config.model_id, profile, (counted, until), hold, now)
        self._store.save_profile(grown.id, grown.to_json())
        self._store.note_growth(config.model_id, grown.id, until)

    def _settle(self, config: ModelMonitoringConfig, reference: StoredReference, done: float) -> None:
        """Give a profile that has grown up the strata and the normal variation of 14 sound days, and their counts."""
        mark = self._store.learnt_mark(reference.profile_id, config.model_id)
        if mark is None or self._marks.get(config.model_id) == mark:
            return
        self._marks[config.model_id] = mark
        text = self._store.load_profile(reference.profile_id)
        profile = None if text is None else ReferenceProfile.from_json(text)
        if profile is None or profile.calibrated:
            return
        learnt = read_learnt(self._store, profile, config.model_id)
        whole = None if learnt is None else learnt.parts.get(WHOLE)
        if whole is None or not whole.done:
            return
        counts = whole.hours.cells.sum(axis=0)
        grown = replace(
            profile,
            counts=counts,
            rows=int(np.add.reduceat(counts, np.array(profile.layout.offsets)).max()),
            timezone=whole.hours.timezone,
            revision=profile.revision + 1,
        )
        settled = calibrate(grown, whole.hours)
        self._store.save_profile(settled.id, settled.to_json())
        self._store.note_growth(config.model_id, settled.id, done)

    def _add(
        self, model_id: str, profile: ReferenceProfile, span: tuple[float, float], hold: float, now: float
    ) -> ReferenceProfile:
        """Return the profile with the counts of the intervals that lie in a span of time and hold no drift."""
        queries, (start, end) = self._queries(), span
        series = queries.interval_counts(model_id, profile.id, start, end, size=profile.layout.size)
        alarms = alarms_of(queries.drift_history(model_id, start, now))
        taken = usable(series, profile, start, end) & ~in_alarm(series.starts, alarms, hold)
        first = profile.time_range[0] if profile.time_range else start
        return replace(
            profile,
            counts=profile.counts + series.cells[taken].sum(axis=0).astype(np.int64),
            rows=profile.rows + int(series.rows[taken].sum()),
            time_range=(first, end),
            days=_days(first, end, self._timezone()),
            revision=profile.revision + 1,
        )


def gather_rows(queries: StoreQueries, model_id: str, first_at: float, last_at: float) -> RowChunk | None:
    """Return the rows of a time as one chunk, thinned out evenly to some `MOST_ROWS`; None without any."""
    total = queries.stored_rows(model_id)
    step = max(1, -(-total // MOST_ROWS))
    buffer, seen = RowBuffer((model_id, "")), 0
    for chunk in queries.rows_to_learn_from(model_id, first_at, math.nextafter(last_at, math.inf)):
        places = slice(-seen % step, None, step)
        seen += len(chunk.ids)
        times, ids = chunk.times[places], chunk.ids[places]
        if len(ids):
            buffer.add(times, ids, {name: column[places] for name, column in chunk.columns.items()})
    return buffer.chunk() if buffer.rows else None


def build(config: ModelMonitoringConfig, chunk: RowChunk | None, zone: str | None, now: float) -> ReferenceProfile:
    """
    Build the profile of what was recorded.

    Raises
    ------
    ProfileError
        If it holds nothing that could be watched, or too few rows.
    """
    if chunk is None or len(chunk.ids) < PATIENT_ROWS:
        msg = f"only {0 if chunk is None else len(chunk.ids)} of the recorded rows are stored"
        raise ProfileError(msg)
    columns = {name: column for name, column in chunk.columns.items() if name not in ROW_COLUMNS}
    odd = {name: kind for name, column in columns.items() if (kind := _odd_kind(column))}
    columns = {name: column for name, column in columns.items() if name not in odd}
    if not columns:
        msg = "no inputs were recorded" if not odd else f"{', '.join(odd)}: neither numbers nor categories"
        raise ProfileError(msg)
    options: dict[str, Any] = {
        "timestamps": chunk.times,
        "decision_threshold": config.decision_threshold,
        "timezone": zone,
        "bins": config.drift.bins,
        "categorical": [name for name in config.features.categorical if name in columns],
        "exclude": [name for name in config.features.exclude if name in columns],
        "model_id": config.model_id,
        "created": datetime.fromtimestamp(int(now), timezone.utc),
    }
    told = [f"{name!r} is left out: it holds {kind} values; derive numbers or categories" for name, kind in odd.items()]
    profile, problem = _build(columns, _predictions(chunk, config.task), config.task, options)
    told += [f"predictions are left out: {problem}"] if problem else []
    return replace(profile, warnings=(*profile.warnings, *told))


def _predictions(chunk: RowChunk, task: str | None) -> Any:  # noqa: ANN401 - a column
    """Return the predictions of recorded rows, with the scores of predicted classes where nearly all have one."""
    labels, given = chunk.columns.get(ROW_PREDICTION), chunk.columns.get(PREDICTION_SCORE)
    if labels is None or given is None or task not in (None, "multiclass"):
        return labels
    scores = np.empty(len(given))
    fill_numbers(given, scores)
    predicted = sum(not is_missing(label) for label in labels)
    return TopClasses(labels, scores) if np.isfinite(scores).sum() >= SCORED_SHARE * predicted else labels


def _build(
    columns: dict[str, Any],
    predictions: Any,  # noqa: ANN401 - a column
    task: str | None,
    options: dict[str, Any],
) -> tuple[ReferenceProfile, str]:
    """Build with predictions if they can be a part of it; return why not, else ""."""
    if predictions is None:
        return ReferenceProfile.build(columns, **options), ""
    try:
        return ReferenceProfile.build(columns, predictions, task=task, **options), ""
    except ProfileError as error:
        return ReferenceProfile.build(columns, **options), str(error)


def _odd_kind(column: Any) -> str:  # noqa: ANN401 - a column
    """Return what a column mostly holds if that is neither numbers nor categories; "" else."""
    if isinstance(column, np.ndarray):
        return ""
    kinds = Counter(value[TYPE_KEY] for value in column if isinstance(value, dict) and TYPE_KEY in value)
    readable = sum(value is not None for value in column) - kinds.total()
    return kinds.most_common(1)[0][0] if kinds and kinds.total() > readable else ""


def _days(first: float, last: float, zone: str | None) -> int:
    zoned = read_zone(zone)
    return (datetime.fromtimestamp(last, zoned).date() - datetime.fromtimestamp(first, zoned).date()).days + 1


def _day(seconds: float) -> int:
    return int(seconds // DAY) + 1


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", " ")
