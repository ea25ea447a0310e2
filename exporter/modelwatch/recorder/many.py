"""Recording many predictions by one call: read, decide what is looked at, append."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.exceptions import InputError
from modelwatch.recorder import reading
from modelwatch.recorder.batch import ActualsBatch, Batch, BoolArray, Column, Features, Table, pick, words_of_answer
from modelwatch.recorder.ids import MadeIds, remember
from modelwatch.recorder.outcomes import epoch_seconds
from modelwatch.recorder.sizes import words_each

if TYPE_CHECKING:
    from modelwatch.recorder.engine import Engine
    from modelwatch.recorder.models import ModelEntry, VersionEntry

HURRY_ROWS = 2048
"""Batches of so many rows are counted at once rather than at the next flush."""
ACTUALS_FULL = "the queue is full: this ground truth is not stored"


@dataclass(frozen=True)
class _Many:
    """A batch as it was read, not copied yet."""

    entry: VersionEntry
    ids: list[str]
    made_ids: MadeIds | None
    """The same, where all were made here."""
    times: Any
    latencies: Any
    predictions: Column
    features: Features
    actuals: Column
    metadata: Any
    segments: Any
    failed: BoolArray | None
    counted_only: bool


class BatchRecording(ABC):
    """The part of the recorder that takes many predictions at once."""

    _models: dict[str, ModelEntry]
    _engine: Engine
    _clock: Callable[[], float]

    def record_many(
        self,
        model_id: str,
        predictions: Any,  # noqa: ANN401 - a column of whatever a model returns
        features: Any,  # noqa: ANN401 - any table
        *,
        actuals: Any = None,  # noqa: ANN401 - a column
        metadata: Any = None,  # noqa: ANN401 - a dict for all, or a list of dicts
        latency_ms: Any = None,  # noqa: ANN401 - a number for all together, or a column
        prediction_ids: Any = None,  # noqa: ANN401 - a column
        timestamps: Any = None,  # noqa: ANN401 - a time for all, or a column
        segment: Any = None,  # noqa: ANN401 - one for all, or a column
        model_version: Any = None,  # noqa: ANN401 - becomes text
        errors: Any = None,  # noqa: ANN401 - one for all, or a column
        copy: bool = True,
        counted_only: bool = False,
    ) -> dict[str, Any]:
        """
        Record many attempted predictions, each as :meth:`Recorder.record` would; one item of the queue holds them all.

        Returns
        -------
        dict
            ``status, model_id, prediction_ids, sampled, recorded``, perhaps ``warnings``; or ``status, error``.
        """
        try:
            entry = self._models[model_id].default
            if model_version is not None:
                entry = self._models[model_id].version(model_version)
            engine = self._engine
            full = len(engine.queue) >= engine.attention and engine.attend()
            column = None if predictions is None else reading.read_predictions(predictions)
            rows = reading.rows_without_predictions(features) if column is None else len(column)
            base = engine.ids.new()
            many = _Many(
                entry,
                reading.read_ids(prediction_ids, rows, base),
                MadeIds(base, rows) if prediction_ids is None else None,
                self._when(timestamps, rows),
                reading.share_of(latency_ms, rows) if rows else None,
                [None] * rows if column is None else column,
                reading.read_features(features, rows),
                [] if actuals is None else reading.read_column(actuals, rows, "actuals"),
                reading.read_metadata(metadata, rows),
                reading.read_optional(segment, rows, "segment"),
                reading.failed_rows(errors, rows) if rows else None,
                counted_only,
            )
            looked_at, dropped = self._append(many, full, copy)
            if rows:
                remember(many.ids[-1])
        except Exception as fault:  # noqa: BLE001 - the recorder boundary: nothing of ours may reach a predict
            return self._refused(model_id, fault)
        result = {
            "status": "success",
            "model_id": model_id,
            "prediction_ids": many.ids,
            "sampled": looked_at,
            "recorded": rows,
        }
        return {**result, "warnings": [full_warning(dropped)]} if dropped else result

    def _when(self, timestamps: Any, rows: int) -> Any:  # noqa: ANN401 - as above
        if timestamps is None:
            return self._clock()
        given = reading.read_optional(timestamps, rows, "timestamps")
        if isinstance(given, (list, np.ndarray)):
            return given
        seconds = epoch_seconds(given, self._clock())
        return given if seconds is None else seconds

    def _append(self, many: _Many, full: bool, copy: bool) -> tuple[int, int]:
        """Queue what is looked at and what only counts; return how many are looked at, and how many should be."""
        rows = len(many.ids)
        wanted = reading.sampled_rows(many.ids, many.entry.rate)
        if many.failed is not None:
            wanted = ~many.failed if wanted is None else wanted & ~many.failed
        if many.counted_only:
            wanted = np.zeros(rows, np.bool_)
        chosen = rows if wanted is None else int(np.count_nonzero(wanted))
        segments = words_each(many.segments) if isinstance(many.segments, (list, np.ndarray)) else 0
        width = many.features.width + segments + words_of_answer(many.predictions)
        granted = 0 if full else self._engine.backlog.reserve(chosen, width)
        release = partial(self._engine.backlog.release, granted * width)
        dropped = None
        with _released_on_failure(release):
            if granted < chosen:
                rank = np.arange(1, rows + 1) if wanted is None else np.cumsum(wanted)
                dropped = (rank > granted) if wanted is None else wanted & (rank > granted)
                wanted = rank <= granted if wanted is None else wanted & (rank <= granted)
            looked_at = self._looked_at(many, wanted, granted, release, copy) if granted else None
        if looked_at is not None:
            self._engine.queue.append(looked_at)
        if granted < rows:
            self._count_many(many, None if wanted is None else ~wanted, rows - granted, dropped)
        if rows >= HURRY_ROWS:
            self._engine.hurry()
        return granted, chosen - granted

    def _looked_at(
        self, many: _Many, mask: BoolArray | None, size: int, release: Callable[[], None], copy: bool
    ) -> Batch:
        def some(column: Any) -> Any:  # noqa: ANN401 - a column, or one value for all
            if mask is not None:
                return pick(column, mask)
            return reading.copied(column) if copy and isinstance(column, (list, np.ndarray)) else column

        # Texts that nobody will store are left to the caller: they need not lie about until rows are counted.
        lazy = mask is None and many.made_ids is not None and not many.entry.config.log_predictions
        return Batch(
            many.entry,
            size,
            many.made_ids if lazy else some(many.ids),
            some(many.times),
            some(many.latencies),
            some(many.predictions),
            reading.kept_features(many.features, mask, copy=copy),
            some(many.actuals),
            some(many.metadata),
            release=release,
            segments=some(many.segments),
        )

    def _count_many(self, many: _Many, mask: BoolArray | None, size: int, dropped: BoolArray | None) -> None:
        """Count attempts that are not looked at: they failed, are not sampled, or there is no room for them."""
        entry, engine = many.entry, self._engine
        failed = many.failed if mask is None or many.failed is None else many.failed[mask]
        lost = dropped if mask is None or dropped is None else dropped[mask]
        if len(engine.queue) < engine.light_limit and engine.light_backlog.reserve_all(size):
            release = partial(engine.light_backlog.release, size)
            none: list[Any] = []
            with _released_on_failure(release):
                times, latencies = (v if mask is None else pick(v, mask) for v in (many.times, many.latencies))
                batch = Batch(entry, size, None, times, latencies, none, Table({}), none, none, failed, lost, release)
            engine.queue.append(batch)
            return
        entry.overflow_attempts.add_many(size)
        entry.overflow_errors.add_many(0 if failed is None else int(failed.sum()))
        entry.overflow_dropped.add_many(0 if lost is None else int(lost.sum()))

    def record_actuals(
        self,
        model_id: str,
        prediction_ids: Any,  # noqa: ANN401 - a column
        actuals: Any,  # noqa: ANN401 - a column
    ) -> dict[str, Any]:
        """
        Keep ground truth of many predictions for the store.

        Returns
        -------
        dict
            ``status, model_id, recorded``; or ``status, error``.
        """
        try:
            entry, engine = self._models[model_id].default, self._engine
            full = len(engine.queue) >= engine.attention and engine.attend()
            rows = reading.rows_of(prediction_ids, "prediction_ids")
            ids = reading.read_ids(prediction_ids, rows, "")
            values = reading.read_column(actuals, rows, "actuals", of="prediction_ids")
            if "" in ids:
                raise InputError(f"ground truth needs the ids of its predictions: {ids.count('')} of them are missing")
            if full or not engine.backlog.reserve_all(rows):
                entry.overflow_actuals.add_many(rows)
                return {"status": "error", "error": ACTUALS_FULL}
            release = partial(engine.backlog.release, rows)
            with _released_on_failure(release):
                batch = ActualsBatch(entry.labels, ids, reading.copied(values), self._clock(), release)
            engine.queue.append(batch)
        except Exception as fault:  # noqa: BLE001 - the recorder boundary: nothing of ours may reach the caller
            return self._refused(model_id, fault)
        return {"status": "success", "model_id": model_id, "recorded": rows}

    @abstractmethod
    def _refused(self, model_id: object, fault: Exception) -> dict[str, Any]:
        """Return the answer to a call that failed; part of the recorder proper."""


def full_warning(dropped: int) -> str:
    """Return what is said of predictions that there was no room for."""
    return f"the queue is full: {dropped:,} predictions are counted, but their features are not looked at"


@contextmanager
def _released_on_failure(release: Callable[[], None]) -> Iterator[None]:
    """Give room back that was made for what can't be queued after all."""
    try:
        yield
    except BaseException:
        release()
        raise
