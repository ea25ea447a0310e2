"""Exposes what was recorded, by all workers of a storage (contract 2.1)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from modelwatch import __version__
from modelwatch import conventions as c
from modelwatch.collector.cells import CellSeries
from modelwatch.collector.families import Families
from modelwatch.collector.folding import Fold, blocks_by_version, histogram_series
from modelwatch.collector.lines import Exemplar, LineCache
from modelwatch.collector.parts import OwnCollector
from modelwatch.config import DEFAULT_MAX_SERIES
from modelwatch.exceptions import StorageError
from modelwatch.recorder.models import RecordedModel, VersionEntry
from modelwatch.recorder.segments import SEGMENT_ALL

if TYPE_CHECKING:
    from modelwatch.recorder import Recorder, SlotTotals
    from modelwatch.recorder.exemplars import Exemplars

logger = logging.getLogger("modelwatch")

FAULTS_OF_A_MODEL = ("features", "internal", "latency", "metadata", "prediction", "record", "snapshot", "timestamp")
FAULTS_OF_A_PROCESS = ("disk_full", "slot_write", "slots_unusable", "store")
LEARNING_FAMILIES = ("learning_missing", "learning_invalid")
NO_PROFILE = ""
"""The label of counts that were made before a reference was learnt."""
DROP_REASONS = ("actuals", "counts", "metrics", "queue_full", "store")


class RecordingCollector(OwnCollector):
    """
    A `prometheus_client` collector over one recorder's storage.

    Parameters
    ----------
    recorder
        Any worker's recorder: each exposes the sum over all.
    storage_id
        Returns the random id of the storage, for ``modelwatch_storage_info``; without it that has no sample.
    models
        Returns the models of the storage, those of other processes too; each is shown from the start.
    before
        Called before each scrape is answered: to learn what has changed.
    max_series
        Returns how many series one model version may have.
    """

    def __init__(
        self,
        recorder: Recorder,
        storage_id: Callable[[], str] | None = None,
        *,
        models: Callable[[], Iterable[RecordedModel]] = tuple,
        before: Callable[[], object] = bool,
        max_series: Callable[[], int] = lambda: DEFAULT_MAX_SERIES,
    ) -> None:
        self._max_series = max_series
        self._recorder = recorder
        self._models = models
        self._others: list[VersionEntry] = []
        self._before = before
        self._storage_id = storage_id
        self._complained = False
        self._lines = LineCache()
        self._cells: dict[tuple[str, str, str, str], CellSeries] = {}

    def scrape(self) -> list[Families]:
        """Return all families; a fault of ours is logged once and shown as a recorder error, the scrape goes on."""
        try:
            families = self._families()
        except Exception:  # the recorder boundary: a scrape serves others too
            if not self._complained:
                self._complained = True
                logger.exception("modelwatch could not collect what was recorded")
            fault = Families([c.RECORDER_ERRORS])
            fault.add(c.RECORDER_ERRORS, ("", "", "collector"), 1)
            return [fault]
        self._complained = False
        return [families]

    def _families(self) -> Families:
        self._before()
        out = Families(c.RECORDING_METRICS, self._lines)
        totals = self._recorder.snapshot()
        # Versions that nobody registered may be counted as one.
        entries = list({entry.labels: entry for entry in self._recorder.entries() if entry.settled}.values())
        others = self._entries_of_others({entry.labels for entry in entries})
        for entry in (*entries, *others):
            _start_at_zero(totals, entry)
        _add_process(out, self._recorder)
        if self._storage_id is not None:
            out.add(c.STORAGE_INFO, (self._storage_id(),), 1)
        for entry in entries:
            profile = "" if entry.binning is None else entry.binning.profile.id[:8]
            out.add(c.MODEL_INFO, (*entry.labels, entry.config.task or "", profile), 1)
        newest = _newest_profiles(totals) if others else {}
        for entry in others:
            profile_id = newest.get(entry.labels, "")
            task = entry.config.task or self._recorder.task(profile_id) or ""
            out.add(c.MODEL_INFO, (*entry.labels, task, profile_id[:8]), 1)
        fold = self._fold(totals, (*entries, *others))
        known = [entry.labels for entry in (*entries, *others)]
        for model_id, version in dict.fromkeys([*known, *(key[:2] for key in fold.series)]):
            for reason in c.FOLD_REASONS:
                amount = fold.series.get((model_id, version, reason), 0)
                out.add(c.FOLDED_SERIES, (model_id, version, reason), amount)
        _add_totals(out, totals)
        _add_names(out, totals)
        self._add_profiles(out, totals, fold)
        return out

    def _fold(self, totals: SlotTotals, entries: Iterable[VersionEntry]) -> Fold:
        """Leave out of `totals` what is too much of each model version."""
        fold, limit = Fold(), self._max_series()
        configured = {entry.labels: entry.config for entry in entries}
        of_model = {model_id: config for (model_id, _), config in configured.items()}
        for version, blocks in blocks_by_version(totals).items():
            model = configured.get(version) or of_model.get(version[0]) or RecordedModel(*version)
            if not model.task:  # as for whoever has its profile: it must not hang on who is asked what is shown
                model = replace(model, task=self._recorder.task(blocks.latest_profile(totals)))
            ranks = {name: rank for rank, name in enumerate(self._recorder.admitted(("segments", version[0])))}
            room = limit - fixed_series(model) - _metrics_and_learnt(totals, version, model)
            fold.version(totals, blocks, (model, ranks, room), self._recorder.layout)
        return fold

    def _entries_of_others(self, known: set[tuple[str, str]]) -> list[VersionEntry]:
        """Return the models that other processes of the storage registered: series must not hang on who is asked."""
        with contextlib.suppress(StorageError):  # a scrape does not fail with the store: what was known is shown
            self._others = [VersionEntry(model, model.model_version) for model in self._models()]
        return [entry for entry in self._others if entry.labels not in known]

    def _add_profiles(self, out: Families, totals: SlotTotals, fold: Fold) -> None:
        cells: dict[tuple[str, str, str, str], CellSeries] = {}
        for key, block in totals.vectors.items():
            family, *labels = key
            if family != "profile":
                continue
            model_id, version, profile_id, segment = labels
            layout = self._recorder.layout(profile_id)
            if layout is None or layout.id != block.layout or layout.size + 1 != len(block.ints):
                continue  # another worker's profile that is not in the storage: its counts stay in the slot
            shown = (model_id, version, profile_id[:8], segment)
            hidden = fold.hidden.get(key, frozenset())
            known = self._cells.get(shown)
            if known is None or known.layout is not layout or known.hidden != hidden:
                known = CellSeries(shown, layout, hidden)
            cells[shown] = known
            known.add_to(out, block)
        self._cells = cells


def fixed_series(model: RecordedModel) -> int:
    """Return how many series one model version has whatever is recorded of it."""
    totals = (c.PREDICTIONS, c.PREDICTION_ERRORS, c.SAMPLED_PREDICTIONS, c.LAST_PREDICTION, c.MODEL_INFO)
    reasons = (*DROP_REASONS, *FAULTS_OF_A_MODEL, *c.FOLD_REASONS)
    return len(totals) + histogram_series(model.all_latency_bounds) + len(reasons)


def _metrics_and_learnt(totals: SlotTotals, labels: tuple[str, str], model: RecordedModel) -> int:
    """Return how many series a version has of metrics, and of what was counted before there was a reference."""
    gauges = totals.gauges.get(("metrics", *labels))
    learnt = (totals.names.get((family, *labels, SEGMENT_ALL)) for family in LEARNING_FAMILIES)
    given = 0 if gauges is None else len(gauges.values)
    return max(model.metrics, given) + sum(len(block.counts) for block in learnt if block is not None)


def _newest_profiles(totals: SlotTotals) -> dict[tuple[str, str], str]:
    """Return the id of the profile by which each model was counted last, by model_id and version."""
    counted = sorted((block.touched, key[3], key[1:3]) for key, block in totals.vectors.items() if key[0] == "profile")
    return {(model_id, version): profile_id for _, profile_id, (model_id, version) in counted}


def _start_at_zero(totals: SlotTotals, entry: VersionEntry) -> None:
    """Add the blocks of a model that has not been recorded yet, so that its first prediction is a rise."""
    labels, bounds = entry.labels, entry.bounds
    latency = ("latency", *labels)
    if latency not in totals.vectors:
        totals.vector(latency, ",".join(map(repr, bounds)), len(bounds) + 1, 1, 0.0)
    if ("totals", *labels) not in totals.vectors:
        totals.vector(("totals", *labels), "", 3, 0, 0.0)
    if entry.binning is not None:
        profile = entry.binning.profile
        key = ("profile", *labels, profile.id, "")
        if key not in totals.vectors:
            totals.vector(key, profile.layout.id, profile.layout.size + 1, len(profile.layout.members), 0.0)
    totals.know(("dropped", *labels), DROP_REASONS)
    totals.know(("faults", *labels), FAULTS_OF_A_MODEL)
    classes = ("classes", *labels, "")
    if classes not in totals.names:
        totals.know(classes, entry.classes[: entry.config.max_classes])


def _add_process(out: Families, recorder: Recorder) -> None:
    out.add(c.BUFFERED_RECORDS, (), recorder.buffered)
    out.add(c.SHARED_COUNTERS, (), float(recorder.shared))
    out.add(c.BUILD_INFO, (__version__,), 1)


def _add_totals(out: Families, totals: SlotTotals) -> None:
    for (family, *labels), block in totals.vectors.items():
        if family == "totals":
            attempts, errors, looked_at = block.ints.tolist()
            out.add(c.PREDICTIONS, labels, attempts)
            out.add(c.PREDICTION_ERRORS, labels, errors)
            out.add(c.SAMPLED_PREDICTIONS, labels, looked_at)
            if block.touched > 0:
                out.add(c.LAST_PREDICTION, labels, block.touched)
        elif family == "latency":
            seen = totals.exemplars.get(("latency", *labels))
            shown = dict if seen is None or seen.layout != block.layout else partial(_shown, seen)
            bounds, total = _bounds(block.layout), float(block.floats[0])
            out.add_histogram(c.PREDICTION_LATENCY, labels, bounds, block.ints, total, shown)
    for (_, *labels), gauges in totals.gauges.items():
        out.add_each(c.METRIC_VALUE, labels, {name: value for name, (_, value) in gauges.values.items()})


def _shown(seen: Exemplars) -> dict[int, Exemplar]:
    return {
        place: Exemplar(name.decode(errors="replace"), value, at) for place, (at, value, name) in seen.latest.items()
    }


@lru_cache(maxsize=256)
def _bounds(layout: str) -> tuple[float, ...]:
    """Return the bucket bounds that a latency block's layout lists."""
    return tuple(map(float, layout.split(",")))


def _add_names(out: Families, totals: SlotTotals) -> None:
    totals.know(("faults", "", ""), FAULTS_OF_A_PROCESS)
    metrics = {"classes": c.PREDICTION_CLASS, "dropped": c.DROPPED_RECORDS, "faults": c.RECORDER_ERRORS}
    for (family, *labels), block in totals.names.items():
        if family in metrics:
            out.add_each(metrics[family], labels, block.counts)
            continue
        for name, count in block.counts.items():
            _add_learning(out, family, labels, name, count)


def _add_learning(out: Families, family: str, labels: list[str], name: str, count: int) -> None:
    """Add what was counted of a feature before there was a profile."""
    model_id, version, segment = labels
    shown = (model_id, version, NO_PROFILE, segment, name)
    if family == "learning_missing":
        out.add(c.FEATURE_MISSING, shown, count)
    else:
        out.add(c.FEATURE_INVALID, (*shown, c.INVALID_REASONS[0]), count)
