"""What the background thread does with queued attempts: columns, cells, counters, intervals, rows for the store."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from modelwatch.conventions import OTHER
from modelwatch.recorder.admission import Admission
from modelwatch.recorder.batch import ActualsBatch, BatchSlice, pick
from modelwatch.recorder.blocks import Key, NamesBlock, SlotTotals
from modelwatch.recorder.columns import Columns, storable
from modelwatch.recorder.exemplars import timed_rows
from modelwatch.recorder.inputs import Actual, MetricUpdate
from modelwatch.recorder.intervals import AttemptSums, Intervals
from modelwatch.recorder.learning import RowBudget, names_and_counts
from modelwatch.recorder.minutes import Minutes, MinuteSheet
from modelwatch.recorder.models import Binning, VersionEntry
from modelwatch.recorder.outcomes import (
    Values,
    count_classes,
    epoch_seconds,
    finite_numbers,
    finite_sum,
    floats_or_list,
    holds_any,
    is_missing,
    plain_prediction,
    plain_predictions,
    scored_predictions,
    seconds_of,
)
from modelwatch.recorder.pending import ACTUALS, COUNTS, METRICS, STORE
from modelwatch.recorder.rows import RowBuffer, actual_chunk, outcome_columns, prediction_columns
from modelwatch.recorder.segments import MAX_SEGMENTS, SEGMENT_ALL, Split
from modelwatch.recorder.truth import compare
from modelwatch.records import (
    PREDICTION_SCORE,
    FloatArray,
    FlushBatch,
    MetricPoint,
)

logger = logging.getLogger("modelwatch")

MAX_GAUGES = 200
MAX_REASONS = 50
MAX_LEARNING_FEATURES = 500
TOTALS_LAYOUT = "attempts,errors,sampled"
QUEUE_FULL = "queue_full"
DROP_REASONS = (ACTUALS, COUNTS, METRICS, QUEUE_FULL, STORE)


class Aggregator:
    """
    The counters and unsent rows of one worker. Used by one thread at a time.

    Parameters
    ----------
    for_store
        Whether anybody takes rows, ground truth and metric values; if not, they aren't kept.
    admission
        Which names become label values; by default this worker decides alone.
    """

    def __init__(self, *, for_store: bool = True, admission: Admission | None = None) -> None:
        self.totals = SlotTotals()
        self._admission = Admission() if admission is None else admission
        self.intervals = Intervals()
        self.minutes = Minutes()
        self._for_store = for_store
        self.dirty = False
        self._rows: dict[tuple[str, str], RowBuffer] = {}
        self._learning: dict[tuple[str, str], RowBuffer] = {}
        self._budget = RowBudget()
        self._actuals: dict[tuple[str, str], list[tuple[float, str, Any]]] = {}
        self._metrics: list[MetricPoint] = []

    # --- attempts ----------------------------------------------------------------------------------------------

    def add(self, entry: VersionEntry, attempts: BatchSlice, now: float) -> None:
        """Count attempts of one model version; there must be one at least."""
        self.fault(entry.labels, "features", now, attempts.unreadable)
        times = self._times(entry, attempts.times, now)
        length = entry.config.count_interval
        first, last = (float(at // length) * length for at in (times.min(), times.max()))
        if first == last:
            self._add_to_interval(entry, attempts, times, first, now)
            return
        starts = np.floor(times / length) * length
        for start in np.unique(starts):
            chosen = starts == start
            self._add_to_interval(entry, attempts.chosen(chosen), times[chosen], float(start), now)

    def _times(self, entry: VersionEntry, given: Sequence[Any] | FloatArray, now: float) -> FloatArray:
        times = floats_or_list(given)
        if isinstance(times, np.ndarray) and times.min() >= 0 and times.max() <= now:
            return times
        read = [epoch_seconds(value, now) for value in given]
        unreadable = sum(value is None for value in read)
        if unreadable:
            self.fault(entry.labels, "timestamp", now, unreadable)
        return np.array([now if value is None else value for value in read], np.float64)

    def _add_to_interval(
        self,
        entry: VersionEntry,
        attempts: BatchSlice,
        times: FloatArray,
        start: float,
        now: float,
    ) -> None:
        sheet = MinuteSheet(times)
        sums, seconds, buckets = self._count_attempts(entry, attempts, sheet, now)
        try:
            if sums.sampled:
                if len(seconds):
                    latest = self.totals.exemplars_of(("latency", *entry.labels), latency_layout(entry.bounds))
                    latest.keep(buckets, attempts.ids, seconds, times, timed_rows(attempts.latencies, len(seconds)))
                self._look_at(entry, attempts, times, start, sums, sheet, now)
        except Exception:  # the recorder boundary: whatever was handed in must not stop the counting
            logger.exception("modelwatch could not look at rows of %r", entry.model_id)
            self.fault(entry.labels, "internal", now, sums.sampled)
        self.intervals.add_attempts(entry, start, sums, now)
        self.minutes.add(entry.labels, sheet, now)

    def _count_attempts(
        self, entry: VersionEntry, attempts: BatchSlice, sheet: MinuteSheet, now: float
    ) -> tuple[AttemptSums, FloatArray, NDArray[np.intp]]:
        """Return sums, and the latencies in seconds with the places of their buckets."""
        seconds, invalid = seconds_of(attempts.latencies)
        if invalid:
            self.fault(entry.labels, "latency", now, invalid)
        buckets = np.searchsorted(entry.bounds, seconds, side="left")
        cells = np.bincount(buckets, minlength=len(entry.bounds) + 1)
        sums = AttemptSums(
            attempts=len(attempts.ids),
            errors=attempts.errors,
            sampled=0 if attempts.ids[0] is None else len(attempts.ids),
            latency_cells=cells.astype(np.int64),
            latency_sum=finite_sum(seconds),
            first_at=sheet.first_at,
            last_at=sheet.last_at,
        )
        sheet.add_attempts(sums.attempts, sums.errors, attempts.failed)
        sheet.add_latencies(attempts.latencies, len(seconds), sums.latency_sum * 1000.0)
        self._count_totals(entry, sums.attempts, sums.errors, sums.sampled, now)
        latency = self.totals.vector(("latency", *entry.labels), latency_layout(entry.bounds), len(cells), 1, now)
        latency.ints += cells
        latency.floats[0] += sums.latency_sum
        latency.touched = now
        self.dropped(entry.labels, QUEUE_FULL, attempts.lost, now)
        return sums, seconds, buckets

    def _count_totals(self, entry: VersionEntry, attempts: int, errors: int, sampled: int, now: float) -> None:
        block = self.totals.vector(("totals", *entry.labels), TOTALS_LAYOUT, 3, 0, now)
        block.ints += (attempts, errors, sampled)
        block.touched = now
        self.dirty = True

    def add_overflow(self, entry: VersionEntry, now: float) -> None:
        """Count what did not fit in the queue: ground truth, and attempts that lack latency and a time of their own."""
        self.dropped(entry.labels, ACTUALS, entry.overflow_actuals.take(), now)
        attempts, errors, lost = (
            t.take() for t in (entry.overflow_attempts, entry.overflow_errors, entry.overflow_dropped)
        )
        if not attempts and not errors and not lost:
            return
        length = entry.config.count_interval
        none = np.zeros(len(entry.bounds) + 1, np.int64)
        sums = AttemptSums(attempts, errors, 0, none, 0.0, now, now)
        self._count_totals(entry, attempts, errors, 0, now)
        self.intervals.add_attempts(entry, float(np.floor(now / length) * length), sums, now)
        self.minutes.add_attempts(entry.labels, attempts, errors, now)
        self.dropped(entry.labels, QUEUE_FULL, lost, now)

    # --- sampled rows ------------------------------------------------------------------------------------------

    def _look_at(
        self,
        entry: VersionEntry,
        attempts: BatchSlice,
        times: FloatArray,
        start: float,
        sums: AttemptSums,
        sheet: MinuteSheet,
        now: float,
    ) -> None:
        ids = cast("Sequence[str]", attempts.ids)
        predictions, scores, unreadable = scored_predictions(attempts.predictions)
        self.fault(entry.labels, "prediction", now, unreadable)
        split = self._split(entry, attempts)
        self._count_predictions(entry, predictions, sums, split, now)
        sheet.add_predictions(predictions, sums.prediction_count, sums.prediction_sum)
        if holds_any(attempts.actuals):
            _compare(entry, predictions, attempts.actuals, sheet)
            self._add_actuals(entry.labels, times.tolist(), ids, attempts.actuals)
        binning, config = entry.binning, entry.config
        keep_rows = config.log_predictions and self._for_store
        columns, unreadable = attempts.columns(binning.names_hint if binning is not None else ())
        self.fault(entry.labels, "features", now, unreadable)
        for name in config.exclude:
            columns.pop(name, None)
        if binning is not None:
            scored = columns if binning.profile.layout.score is None else {**columns, PREDICTION_SCORE: scores}
            self._count_cells(entry, binning, (scored, predictions, split, len(ids)), start, now)
        if keep_rows or binning is None:
            columns = storable(columns)
        answers = prediction_columns(predictions, scores)
        if binning is None:
            self._count_missing(entry, columns, now)
            if config.learning:
                self._learn(entry, times, {**columns, **answers}, start)
        if keep_rows:
            metadata = attempts.stored_metadata()
            outcome, unreadable = outcome_columns(answers, attempts.latencies, metadata, config.metadata_keys)
            self.fault(entry.labels, "metadata", now, unreadable)
            columns.update(outcome)
            buffer = self._rows.setdefault(entry.labels, RowBuffer(entry.labels))
            buffer.add(times, ids, columns)

    def _count_missing(self, entry: VersionEntry, columns: Columns, now: float) -> None:
        """Count what can be told without a reference."""
        found, scope = names_and_counts(columns), ("learning", *entry.labels)
        for place, family in enumerate(("learning_missing", "learning_invalid")):
            amounts = {name: both[place] for name, both in found.items()}
            self._count_names((family, *entry.labels, SEGMENT_ALL), scope, amounts, MAX_LEARNING_FEATURES, now)

    def _learn(self, entry: VersionEntry, times: FloatArray, columns: Columns, start: float) -> None:
        """Keep rows to learn a reference from if nobody else keeps them."""
        if entry.config.log_predictions or not self._for_store:
            return
        kept = self._budget.take(entry.labels, start, len(times))
        if kept:
            taken = {name: column[:kept] for name, column in columns.items()}
            buffer = self._learning.setdefault(entry.labels, RowBuffer(entry.labels))
            buffer.add(times[:kept], [""] * kept, taken)

    def _split(self, entry: VersionEntry, attempts: BatchSlice) -> Split | None:
        """Divide rows by segment; None where all are in none, as is usual."""
        texts = attempts.segments(entry.config.segments)
        if texts is None:
            return None
        shown = self._admission.shown(("segments", entry.model_id), dict.fromkeys(texts), MAX_SEGMENTS)
        split = Split.of(texts, shown)
        return None if split.names == (SEGMENT_ALL,) else split

    def _count_predictions(
        self, entry: VersionEntry, predictions: Values, sums: AttemptSums, split: Split | None, now: float
    ) -> None:
        numbers = finite_numbers(predictions)
        sums.prediction_count, sums.prediction_sum = len(numbers), finite_sum(numbers)
        if split is None:
            self._count_classes(entry, SEGMENT_ALL, predictions, numbers, now)
            return
        for place, segment in enumerate(split.names):
            some = pick(predictions, split.places == place)
            self._count_classes(entry, segment, some, finite_numbers(some), now)

    def _count_classes(
        self, entry: VersionEntry, segment: str, predictions: Values, numbers: FloatArray, now: float
    ) -> None:
        classes = count_classes(predictions, numbers, entry.config.task, entry.config.class_threshold)
        if classes:
            key, scope = ("classes", *entry.labels, segment), ("classes", *entry.labels)
            limit = entry.config.max_classes
            self._start_names(key, scope, entry.classes[:limit], limit, now)
            self._count_names(key, scope, classes, limit, now)

    def _start_names(self, key: Key, scope: Key, names: Sequence[str], limit: int, now: float) -> None:
        """Let names start at zero, as far as they are told apart, so that the first of each is a rise."""
        known = self.totals.names.get(key, NamesBlock()).counts
        shown = self._admission.shown(scope, [name for name in names if name not in known], limit)
        for name in [name for name in shown if shown[name] == name]:
            self.totals.count(key, name, 0, now, 2**31, OTHER)

    def _count_names(self, key: Key, scope: Key, amounts: Mapping[str, int], limit: int, now: float) -> None:
        """Count by name; of a scope, over all workers and segments, only the first `limit` names by themselves."""
        known = self.totals.names.get(key, NamesBlock()).counts
        # What this worker counts by itself already stays so, whoever else was admitted meanwhile.
        shown = self._admission.shown(scope, [name for name in amounts if name not in known], limit)
        for name, amount in amounts.items():
            self.totals.count(key, shown.get(name, name), amount, now, 2**31, OTHER)

    def _count_cells(
        self,
        entry: VersionEntry,
        binning: Binning,
        rows: tuple[Mapping[str, Any], Values, Split | None, int],
        start: float,
        now: float,
    ) -> None:
        profile, (columns, predictions, split, size) = binning.profile, rows
        names = (SEGMENT_ALL,) if split is None else split.names
        if split is None or len(names) == 1:
            batches = {names[0]: binning.assigner.bin(columns, size, predictions)}
        else:
            grouped = binning.assigner.bin_groups(columns, split.places, len(names), predictions)
            batches = dict(zip(names, grouped, strict=True))
        for segment, batch in batches.items():
            key = ("profile", *entry.labels, profile.id, segment)
            block = self.totals.vector(key, profile.layout.id, len(batch.cells) + 1, len(batch.sums), now)
            block.ints[:-1] += batch.cells
            block.ints[-1] += batch.rows
            block.floats += batch.sums
            block.touched = now
            self.intervals.add_cells(entry, profile.id, segment, start, batch, now)

    def touch_profiles(self, entries: Iterable[VersionEntry], now: float) -> None:
        """Say of the profiles by which models are counted that they still are, whether any prediction came or not."""
        for entry in entries:
            if entry.binning is not None:
                layout = entry.binning.profile.layout
                key = ("profile", *entry.labels, entry.binning.profile.id, SEGMENT_ALL)
                self.totals.vector(key, layout.id, layout.size + 1, len(layout.members), now).touched = now
                self.dirty = True

    # --- all else ----------------------------------------------------------------------------------------------

    def add_actual(self, actual: Actual) -> None:
        """Keep late ground truth for the store."""
        if self._for_store:
            item = (actual.when, actual.prediction_id, _plain(actual.value))
            self._actuals.setdefault(actual.labels, []).append(item)

    def add_actuals(self, batch: ActualsBatch) -> None:
        """Keep late ground truth of many predictions for the store."""
        values = batch.values.tolist() if isinstance(batch.values, np.ndarray) else batch.values
        self._add_actuals(batch.labels, [batch.when] * len(batch.ids), batch.ids, values)

    def _add_actuals(
        self, labels: tuple[str, str], times: Sequence[float], ids: Sequence[str], values: Sequence[Any]
    ) -> None:
        """Keep what is known of the ground truth; None and NaN say that it is not."""
        if self._for_store:
            known = [
                (when, prediction_id, plain)
                for when, prediction_id, plain in zip(times, ids, map(_plain, values), strict=True)
                if not is_missing(plain)
            ]
            if known:
                self._actuals.setdefault(labels, []).extend(known)

    def add_metric(self, update: MetricUpdate, now: float) -> None:
        """Set a gauge, and keep the value for the store."""
        key, name = ("metrics", *update.entry.labels), update.metric
        held = self.totals.gauges.get(key)
        known = held is not None and name in held.values
        if known or self._admission.shown(key, [name], MAX_GAUGES)[name] == name:
            self.totals.set_gauge(key, name, update.value, update.when, 2**31)
        else:
            self.fault(update.entry.labels, "too_many_metrics", now)
        if self._for_store:
            point = MetricPoint(*update.entry.labels, update.metric, update.when, update.value, update.metadata)
            self._metrics.append(point)
        self.dirty = True

    def fault(self, labels: tuple[str, str], reason: str, now: float, amount: int = 1) -> None:
        """Count a fault of the recorder."""
        if amount:
            self.totals.count(("faults", *labels), reason, amount, now, MAX_REASONS, OTHER)
            self.dirty = True

    def dropped(self, labels: tuple[str, str], reason: str, amount: int, now: float) -> None:
        """Count predictions that were counted but not looked at, and whatever was not stored."""
        if amount:
            self.totals.count(("dropped", *labels), reason, amount, now, MAX_REASONS, OTHER)
            self.dirty = True

    def take(self, worker: str, now: float) -> FlushBatch:
        """Return what the store has not been given yet, and forget it."""
        totals, counts = self.intervals.collect(now)
        rows = [chunk for buffer in self._rows.values() for chunk in buffer.chunks()]
        actuals = [actual_chunk(labels, items) for labels, items in self._actuals.items()]
        learning = [buffer.chunk() for buffer in self._learning.values()]
        metrics, self._metrics, self._rows, self._actuals, self._learning = self._metrics, [], {}, {}, {}
        return FlushBatch(worker, totals, counts, rows, actuals, metrics, learning, self.minutes.collect(now))


@lru_cache(maxsize=256)
def latency_layout(bounds: tuple[float, ...]) -> str:
    """Return the layout text of a latency block: its bounds in seconds, so that any reader can render it."""
    return ",".join(map(repr, bounds))


def _compare(entry: VersionEntry, predictions: Values, given: Sequence[Any], sheet: MinuteSheet) -> None:
    """Compare predictions with the ground truth that came with them."""
    actuals, _ = plain_predictions(given)
    if len(predictions) != len(actuals):
        return
    config = entry.config
    right, differences = compare(predictions, actuals, config.task, config.decision_threshold, config.positive_class)
    if right is not None:
        sheet.add_right(right)
    if differences is not None:
        sheet.add_differences(differences)


def _plain(value: Any) -> Any:  # noqa: ANN401 - ground truth is whatever a prediction can be
    try:
        return plain_prediction(value)
    except Exception:  # noqa: BLE001 - the recorder boundary: the parts of an arbitrary object may raise anything
        return None
