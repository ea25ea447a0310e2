"""The recorder as others see it: models, the request path, flushing, reading."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import modelwatch.profile.serial  # noqa: F401 - as no thread may import anything while another one forks
from modelwatch.exceptions import InputError, ModelwatchError, UnknownModelError, did_you_mean
from modelwatch.profile import ReferenceProfile
from modelwatch.recorder.blocks import SlotTotals
from modelwatch.recorder.engine import MAX_QUEUE_BYTES, Engine, RecorderClosedError
from modelwatch.recorder.ids import remember, sampled
from modelwatch.recorder.inputs import IMMUTABLE, Actual, Fault, MetricUpdate, snapshot
from modelwatch.recorder.many import BatchRecording
from modelwatch.recorder.models import ModelEntry, RecordedModel, VersionEntry
from modelwatch.recorder.pending import Sink
from modelwatch.recorder.text import id_text, label_text
from modelwatch.recorder.worker import NO_MODEL

if TYPE_CHECKING:
    from modelwatch.records import CellLayout

logger = logging.getLogger("modelwatch")

CLOSE_SECONDS = 10.0
ANSWER: dict[str, Any] = {"status": "success", "model_id": "", "prediction_id": "", "sampled": True}
FULL_WARNING = "the queue is full: this prediction is counted, but its features are not looked at"


class Recorder(BatchRecording):
    """
    Counts predictions in the background, exactly, across the workers of one storage folder.

    Calls on the request path neither raise nor block: one look-up, one bounded append.

    Parameters
    ----------
    storage
        The storage folder. Made when there is something to write.
    sink
        Who stores flushes (the store's writer); None to count only.
    clock
        Seconds since 1970.
    flush_interval
        Seconds between two flushes.
    max_queue, max_queue_bytes
        Predictions that may wait, and about how many bytes they may hold. Beyond it features are not looked at, which
        is counted; attempts always count.
    start_thread
        False for tests and batch jobs: then only :meth:`flush` does the work, in the caller's thread.
    prepare
        Called in the background before what is queued is counted; must not raise.
    """

    def __init__(
        self,
        storage: Path,
        sink: Sink | None,
        *,
        clock: Callable[[], float] = time.time,
        flush_interval: float = 1.0,
        max_queue: int = 8192,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
        start_thread: bool = True,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._storage = Path(storage)
        self._clock = clock
        self._models: dict[str, ModelEntry] = {}
        self._retired: frozenset[str] = frozenset()
        self._layouts: dict[str, CellLayout | None] = {}
        self._tasks: dict[str, str | None] = {}
        self._engine = Engine(
            self._storage,
            sink,
            clock,
            self.entries,
            interval=flush_interval,
            max_queue=max_queue,
            max_bytes=max_queue_bytes,
            threaded=start_thread,
            prepare=prepare,
        )

    # --- models ------------------------------------------------------------------------------------------------

    def add_model(self, model: RecordedModel) -> None:
        """Register a model version, or update it; the version becomes the one that is meant when none is named."""
        self._retired -= {model.model_id}
        known = self._models.get(model.model_id)
        if known is None:
            self._models[model.model_id] = ModelEntry(model)
        else:
            known.add(model)
        if model.profile is not None:
            self._know(model.profile)

    def retire(self, model_ids: Collection[str]) -> None:
        """Know these models no more, and show no counters of theirs; all others are no longer retired."""
        for model_id in model_ids:
            self._models.pop(model_id, None)
        self._retired = frozenset(model_ids)

    def set_profile(self, model_id: str, model_version: str | None, profile: ReferenceProfile) -> None:
        """
        Bin by another profile from now on; `model_version` None means all versions.

        Raises
        ------
        UnknownModelError
            If no model of that id, or no such version of it, is registered.
        """
        model = self._models.get(model_id)
        chosen = [] if model is None else [e for v, e in model.versions.items() if model_version in (None, v)]
        if not chosen:
            raise UnknownModelError(self._unknown(model_id)["error"])
        self._know(profile)
        for entry in chosen:
            entry.set_profile(profile)

    def _know(self, profile: ReferenceProfile) -> None:
        self._layouts[profile.id], self._tasks[profile.id] = profile.layout, profile.task

    def entries(self) -> list[VersionEntry]:
        """Return all known model versions."""
        return [entry for model in list(self._models.values()) for entry in list(model.versions.values())]

    def layout(self, profile_id: str) -> CellLayout | None:
        """Return the layout of a profile that counts are kept of; other workers' profiles are read from the storage."""
        if profile_id not in self._layouts:
            path = self._storage / "profiles" / f"{profile_id}.json"
            if not profile_id.isalnum() or not path.is_file():
                return None
            profile = _load(path)
            self._layouts[profile_id] = None if profile is None else profile.layout
            self._tasks[profile_id] = None if profile is None else profile.task
        return self._layouts[profile_id]

    def task(self, profile_id: str) -> str | None:
        """Return the task of a profile that counts are kept of, if it says one."""
        self.layout(profile_id)
        return self._tasks.get(profile_id)

    # --- the request path --------------------------------------------------------------------------------------

    def record(  # noqa: C901 - it stands in one piece, as each call of our own would cost a fifteenth more
        self,
        model_id: str,
        prediction: Any,  # noqa: ANN401 - a model may return anything
        features: Any,  # noqa: ANN401 - and take anything
        actual: Any = None,  # noqa: ANN401 - like a prediction
        metadata: Any = None,  # noqa: ANN401 - a dict, but nobody is told off here
        latency_ms: Any = None,  # noqa: ANN401 - a number, as above
        prediction_id: Any = None,  # noqa: ANN401 - becomes text
        timestamp: Any = None,  # noqa: ANN401 - seconds, datetime or ISO 8601 text
        model_version: Any = None,  # noqa: ANN401 - becomes text
        error: object = None,
        copy: bool = True,
        counted_only: bool = False,
    ) -> dict[str, Any]:
        """
        Record one attempted prediction.

        Parameters
        ----------
        model_id
            A registered model.
        prediction, features
            What the model returned and what it was given. Unreadable ones are counted, never refused.
        actual
            Ground truth, if it is known already.
        metadata
            A dict to be stored with the row.
        latency_ms
            How long the prediction took, in milliseconds.
        prediction_id
            An id of the caller's; without it a new one.
        timestamp
            When the prediction was made; without it now.
        model_version
            Without it the version registered last.
        error
            Anything but None and False: the attempt failed. It counts, its features are not looked at.
        copy
            False promises that features and prediction are not changed later.
        counted_only
            True: the attempt and its latency count, nothing else is looked at.

        Returns
        -------
        dict
            ``status, model_id, prediction_id, sampled``, perhaps ``warnings``; or ``status, error``.
        """
        try:
            entry = self._models[model_id].default
            if model_version is not None:
                entry = self._models[model_id].version(model_version)
            engine = self._engine
            if prediction_id is not None:
                prediction_id = id_text(prediction_id)
            if not prediction_id:
                try:
                    prediction_id = engine.ready_ids.pop()
                except IndexError:
                    prediction_id = engine.ids.new()
            remember(prediction_id)
            if timestamp is None:
                timestamp = self._clock()
            queue = engine.queue
            full = len(queue) >= engine.attention and engine.attend()
            if full or counted_only or error is not None or entry.rate < 1.0:
                failed = error is not None and error is not False
                looked_at = not (failed or counted_only) and sampled(prediction_id, entry.rate)
                if full or not looked_at:
                    return self._count_only(entry, prediction_id, timestamp, latency_ms, failed, looked_at)
            if copy:
                # The usual case stands here, as a call of our own would cost as much as the copy.
                features = features.copy() if type(features) is dict else self._snapshot(entry, features)
                if type(prediction) not in IMMUTABLE:
                    prediction = self._snapshot(entry, prediction)
                if metadata is not None:
                    metadata = self._snapshot(entry, metadata)
            queue.append((entry, prediction_id, timestamp, latency_ms, prediction, features, actual, metadata))
        except Exception as fault:  # noqa: BLE001 - the recorder boundary: nothing of ours may reach a predict
            return self._refused(model_id, fault)
        answer = ANSWER.copy()  # and two changes: less than to make one
        answer["model_id"], answer["prediction_id"] = model_id, prediction_id
        return answer

    def _count_only(
        self,
        entry: VersionEntry,
        prediction_id: str,
        when: Any,  # noqa: ANN401 - as in record
        latency_ms: Any,  # noqa: ANN401 - as in record
        failed: bool,
        dropped: bool,
    ) -> dict[str, Any]:
        """Count an attempt whose features are not looked at; `dropped` if they should have been."""
        queue = self._engine.queue
        if len(queue) < self._engine.light_limit:
            queue.append([entry, when, latency_ms, failed, dropped])
        else:
            entry.overflow_attempts.add()
            if failed:
                entry.overflow_errors.add()
            if dropped:
                entry.overflow_dropped.add()
        result = {"status": "success", "model_id": entry.model_id, "prediction_id": prediction_id, "sampled": False}
        return {**result, "warnings": [FULL_WARNING]} if dropped else result

    def _snapshot(self, entry: VersionEntry, value: Any) -> Any:  # noqa: ANN401 - anything
        try:
            return snapshot(value)
        except Exception:  # noqa: BLE001 - the recorder boundary: the copying of an arbitrary object may raise anything
            self.count_fault(entry.model_id, "snapshot")
            return value

    def _refused(self, model_id: object, fault: Exception) -> dict[str, Any]:
        if isinstance(fault, RecorderClosedError):
            return {"status": "error", "error": str(fault)}
        if not self._knows(model_id):
            return self._unknown(model_id)
        self.count_fault(model_id, "record")
        if isinstance(fault, InputError):
            return {"status": "error", "error": f"not recorded: {fault}"}
        return {"status": "error", "error": f"not recorded: {label_text(fault)}"}

    def _knows(self, model_id: object) -> TypeGuard[str]:
        return isinstance(model_id, str) and model_id in self._models

    def _unknown(self, model_id: object) -> dict[str, Any]:
        text = label_text(model_id)
        if isinstance(model_id, str) and model_id in self._retired:
            return {"status": "error", "error": f"model {text!r} is retired: register it again to record it"}
        hint = did_you_mean(text, sorted(self._models))
        return {"status": "error", "error": f"no model {text!r} is registered{hint}"}

    def record_actual(
        self,
        model_id: str,
        prediction_id: Any,  # noqa: ANN401 - becomes text
        actual: Any,  # noqa: ANN401 - like a prediction
    ) -> dict[str, Any]:
        """
        Keep ground truth for the store, under the id of its prediction.

        Returns
        -------
        dict
            ``status, model_id, prediction_id``; or ``status, error``.
        """
        try:
            entry = self._models[model_id].default
            text = id_text(prediction_id)
            if not text:
                return {"status": "error", "error": "ground truth needs the prediction_id that it belongs to"}
            engine = self._engine
            if len(engine.queue) >= engine.attention and engine.attend():
                entry.overflow_actuals.add()
                return {"status": "error", "error": "the queue is full: this ground truth is not stored"}
            engine.queue.append(Actual(entry.labels, text, self._snapshot(entry, actual), self._clock()))
        except Exception as fault:  # noqa: BLE001 - the recorder boundary: nothing of ours may reach the caller
            return self._refused(model_id, fault)
        return {"status": "success", "model_id": model_id, "prediction_id": text}

    def set_metric(
        self, model_id: str, metric: str, value: float, timestamp: float, metadata: dict[str, Any] | None = None
    ) -> None:
        """Set a gauge of a registered model and keep the value for the store; does nothing once closed."""
        model = self._models.get(model_id)
        if model is None or self._engine.closed:
            return
        kept = None if metadata is None else dict(metadata)
        self._engine.put(MetricUpdate(model.default, label_text(metric), float(value), timestamp, kept))

    def count_fault(self, model_id: object, reason: str) -> None:
        """Count a fault on the way here (``modelwatch_recorder_errors_total``); never raises."""
        engine = self._engine
        labels = self._models[model_id].default.labels if self._knows(model_id) else NO_MODEL
        if not engine.closed and len(engine.queue) < engine.light_limit:
            engine.put(Fault(labels, label_text(reason)))

    # --- life --------------------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = 10.0) -> bool:
        """
        Wait until all that was recorded so far is in slot and sink.

        Parameters
        ----------
        timeout
            Seconds to wait at most; None for ever.

        Returns
        -------
        bool
            True if it is there: a kill of the process loses none of it. False if that failed or takes longer; it
            is tried again in the background.
        """
        return self._engine.flush(timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Flush, stop the thread, give up the slot; safe to call again. Later records answer with an error."""
        self._engine.close(timeout)

    # --- reading -----------------------------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        """How much waits in this process for the background thread."""
        return len(self._engine.queue)

    @property
    def shared(self) -> bool:
        """Whether this process shares counters with the other workers of its storage; False if it counts alone."""
        return not self._engine.worker.alone

    def snapshot(self) -> SlotTotals:
        """
        Return the counters of all workers of the storage, living and dead, as of their last flushes.

        Those of retired models are left out whole; they stay in the slots, so that a model that comes back counts on.
        """
        totals, retired = self._engine.worker.read(), self._retired
        if retired:
            totals.forget(retired)
        return totals

    def admitted(self, kind: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of a kind that have series of their own, over all workers, in order of admission."""
        return self._engine.worker.admitted(kind)


def _load(path: Path) -> ReferenceProfile | None:
    try:
        return ReferenceProfile.load(path)
    except (ModelwatchError, OSError) as error:
        logger.warning("modelwatch: counts of a profile in the storage can't be shown: %s", error)
        return None
