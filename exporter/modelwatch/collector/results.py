"""Exposes the results of scheduled checks, as they stand in the store (contract 2.2)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from modelwatch import conventions as c
from modelwatch.collector.drift_results import SEGMENT_ALL, add_result
from modelwatch.collector.families import Families
from modelwatch.collector.lines import LineCache, bound_text
from modelwatch.collector.parts import OwnCollector
from modelwatch.collector.readers import is_scrape
from modelwatch.exceptions import ModelwatchError
from modelwatch.performance import bounds_of, threshold_severity, verdicts
from modelwatch.profile import ReferenceProfile
from modelwatch.records import PREDICTIONS, FeatureCells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelwatch.config import ModelMonitoringConfig

logger = logging.getLogger("modelwatch")

MAX_PROFILES = 64
PROFILE_SECONDS = 600.0
"""For how long a profile is shown as it was read."""
MAX_REFERENCE_SERIES = 50_000
"""References are constant and a convenience: beyond this many series none is exposed."""
SAME_CHECK_SECONDS = 1e-3
"""Versions of a model are checked together, at one moment."""


class CheckedModel(Protocol):
    """What is read of the latest check of one model version."""

    @property
    def model_id(self) -> str: ...  # noqa: D102 - the name says it
    @property
    def model_version(self) -> str: ...  # noqa: D102
    @property
    def checked_at(self) -> float: ...  # noqa: D102
    @property
    def last_success_at(self) -> float | None: ...  # noqa: D102
    @property
    def checks(self) -> int: ...  # noqa: D102
    @property
    def failures(self) -> int: ...  # noqa: D102
    @property
    def duration(self) -> float: ...  # noqa: D102
    @property
    def interval(self) -> float: ...  # noqa: D102
    @property
    def result(self) -> dict[str, Any] | None: ...  # noqa: D102


class MetricValue(Protocol):
    """What is read of the last value that somebody gave to a metric."""

    @property
    def model_id(self) -> str: ...  # noqa: D102 - the name says it
    @property
    def model_version(self) -> str: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> float: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102


class ResultsStore(Protocol):
    """What is read of the store."""

    def latest_results(self) -> Sequence[CheckedModel]:
        """Return the latest check of every model version."""

    def notification_counts(self) -> Mapping[str, tuple[int, int]]:
        """Return ``{channel: (delivered, given up)}``."""

    def load_profile(self, profile_id: str) -> str | None:
        """Return a saved profile as JSON."""

    def latest_metrics(self) -> Sequence[MetricValue]:
        """Return the last value of each metric of each model version."""

    def silence_limits(self) -> Mapping[str, float]:
        """Return the silence that is still normal, in seconds, by model_id."""

    def size_bytes(self) -> int:
        """Return the size of the storage."""


class ResultsCollector(OwnCollector):
    """
    A `prometheus_client` collector over the results in a store.

    Parameters
    ----------
    store
        The store that the checks write to.
    clock
        Seconds since 1970.
    models
        Returns the configurations of the models that are in use, for the families that rules compare with.
    learned
        Returns by model_id the share of what is needed to learn a reference that is there, 0 to 1.
    stand_by
        Whether somebody else exposes the results now, so that nothing is to be exposed here.
    """

    def __init__(
        self,
        store: ResultsStore,
        clock: Callable[[], float] = time.time,
        *,
        models: Callable[[], Iterable[ModelMonitoringConfig]] = tuple,
        learned: Callable[[], Mapping[str, float]] = dict,
        stand_by: Callable[[], bool] = bool,
    ) -> None:
        self._store = store
        self._clock = clock
        self._models = models
        self._learned = learned
        self._stand_by = stand_by
        self._last_scrape = 0.0
        self._complained = False
        self._too_many = False
        self._profiles: dict[str, tuple[float, ReferenceProfile]] = {}
        self._damaged: set[str] = set()
        self._lines = LineCache()

    def scrape(self) -> list[Families]:
        """
        Return all families, or none while standing by.

        None either if the store can't be read, which is logged once and shows by their absence.
        """
        try:
            families = [] if self._stand_by() else [self._families()]
        except Exception:  # the recorder boundary: a scrape serves others too
            if not self._complained:
                self._complained = True
                logger.exception("modelwatch could not collect the results of checks")
            return []
        self._complained = False
        return families

    def check(self) -> None:
        """
        Collect for nobody, which counts as no scrape.

        Raises
        ------
        StorageError
            If the results can't be exposed now.
        """
        self._read()

    def _families(self) -> Families:
        families = self._read()
        if is_scrape():
            self._last_scrape = self._clock()
        return families

    def _read(self) -> Families:
        out = Families(c.RESULT_METRICS, self._lines)
        out.add(c.LAST_SCRAPE, (), self._last_scrape)
        out.add(c.STORE_SIZE, (), self._store.size_bytes())
        for channel, (delivered, given_up) in sorted(self._store.notification_counts().items()):
            out.add(c.NOTIFICATIONS, (channel,), delivered)
            out.add(c.NOTIFICATION_FAILURES, (channel,), given_up)
        self._add_thresholds(out)
        for model_id, ratio in sorted(self._learned().items()):
            out.add(c.REFERENCE_LEARNED, (model_id,), ratio)
        references: list[tuple[tuple[str, str], str, ReferenceProfile | None]] = []
        for checked in _in_use(self._store.latest_results()):
            labels = (checked.model_id, checked.model_version)
            _add_checks(out, labels, checked)
            if checked.result is not None:
                add_result(out, labels, checked.result)
                profile_id = str(checked.result.get("profile_id") or "")
                references.append((labels, profile_id, self._profile(profile_id)))
        self._add_references(out, [(labels, name, profile) for labels, name, profile in references if profile])
        return out

    def _add_thresholds(self, out: Families) -> None:
        """Add what rules compare recordings and metrics with."""
        for model_id, limit in self._store.silence_limits().items():
            out.add(c.SILENCE_LIMIT, (model_id,), limit)
        latest: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
        for given in self._store.latest_metrics():
            latest.setdefault((given.model_id, given.model_version), {})[given.metric] = (given.value, given.at)
        for config in self._models():
            labels = (config.model_id, config.model_version)
            out.add(c.LATENCY_QUANTILE, labels, config.latency_quantile)
            for metric, threshold in config.thresholds.items():
                for bound, limit in bounds_of(threshold):
                    out.add(c.PERFORMANCE_THRESHOLD, (*labels, metric, bound), limit)
                    out.add(c.THRESHOLD_SEVERITY, (*labels, metric, bound), threshold_severity(threshold))
            _add_objective(out, labels, config)
            for verdict in verdicts(config, latest.get(labels, {})):
                out.add(c.PERFORMANCE_SEVERITY, (*labels, verdict.metric, SEGMENT_ALL), verdict.severity)

    def _add_references(self, out: Families, known: list[tuple[tuple[str, str], str, ReferenceProfile]]) -> None:
        """Add the references as constant histograms, all or none."""
        # About as many as buckets with their sums, and the bins once more.
        series = sum(2 * member.size + 3 for _, _, profile in known for member in profile.layout.members)
        if series > MAX_REFERENCE_SERIES:
            if not self._too_many:
                logger.warning("references would be %d series (limit %d): not exposed", series, MAX_REFERENCE_SERIES)
            self._too_many = True
            return
        self._too_many = False
        for labels, profile_id, profile in known:
            for member, offset in zip(profile.layout.members, profile.layout.offsets, strict=True):
                shape = profile.counts[offset : offset + member.shape_size]
                _add_reference_member(out, (*labels, profile_id[:8]), member, np.asarray(shape), profile)

    def _profile(self, profile_id: str) -> ReferenceProfile | None:
        if not profile_id:
            return None
        now = self._clock()
        read_at, profile = self._profiles.get(profile_id, (float("-inf"), None))
        # A learnt one grows for two weeks.
        if profile is None or not 0.0 <= now - read_at < PROFILE_SECONDS:
            fresh = self._load(profile_id)
            if fresh is None:
                return profile
            if len(self._profiles) >= MAX_PROFILES:
                self._profiles.clear()
            profile = fresh
            self._profiles[profile_id] = now, profile
        return profile

    def _load(self, profile_id: str) -> ReferenceProfile | None:
        """Read a profile; one that is damaged costs its own families, and not the results of all models."""
        try:
            text = self._store.load_profile(profile_id)
            return None if text is None else ReferenceProfile.from_json(text)
        except ModelwatchError as error:
            if profile_id not in self._damaged:
                self._damaged.add(profile_id)
                logger.warning("the reference %s can't be exposed: %s", profile_id[:8], error)
            return None


def _in_use(results: Iterable[CheckedModel]) -> list[CheckedModel]:
    """
    Return the results of versions that are still checked.

    Once a version's last window is over, it is checked no more; its last result would stand, and go stale, for ever.
    """
    found = list(results)
    newest: dict[str, float] = {}
    for checked in found:
        newest[checked.model_id] = max(checked.checked_at, newest.get(checked.model_id, 0.0))
    return [checked for checked in found if checked.checked_at >= newest[checked.model_id] - SAME_CHECK_SECONDS]


def _add_reference_member(
    out: Families,
    labels: tuple[str, str, str],
    member: FeatureCells,
    shape: np.ndarray[Any, np.dtype[np.int64]],
    profile: ReferenceProfile,
) -> None:
    rows = int(shape.sum())
    if member.kind == "numeric":
        # Every finite value of the reference is in its range, so that mean times rows is their sum.
        moments = profile.moments.get(member.name)
        total = moments.mean * rows if moments is not None else 0.0
        if member.name in PREDICTIONS:
            out.add_histogram(c.PREDICTION_REFERENCE, labels, member.edges, shape, total)
        else:
            out.add_histogram(c.FEATURE_REFERENCE, (*labels, member.name), member.edges, shape, total)
            bounds = ["-Inf", *map(bound_text, member.edges), "+Inf"]
            for lower, upper in pairwise(bounds):
                out.add(c.FEATURE_BIN_INFO, (*labels, member.name, lower, upper), 1)
        return
    for name, count in zip((*member.categories, c.OTHER), shape.tolist(), strict=True):
        out.add(c.FEATURE_REFERENCE_CATEGORY, (*labels, member.name, name), count / rows if rows else 0.0)


def _add_objective(out: Families, labels: tuple[str, str], config: ModelMonitoringConfig) -> None:
    objective = config.objective
    if objective is None:
        return
    out.add(c.OBJECTIVE_WINDOW, labels, objective.window_seconds)
    if objective.error_rate is not None:
        out.add(c.OBJECTIVE, (*labels, "error_rate", ""), objective.error_rate)
    if objective.latency_ms is not None:
        # What is slower than the quantile may be slow; rounded, so that 0.05 does not become 0.050000000000000044.
        allowed = round(1.0 - config.latency_quantile, 12)
        out.add(c.OBJECTIVE, (*labels, "latency_ms", bound_text(objective.latency_ms / 1000.0)), allowed)


def _add_checks(out: Families, labels: tuple[str, str], checked: CheckedModel) -> None:
    out.add(c.DRIFT_CHECKS, labels, checked.checks)
    out.add(c.DRIFT_CHECK_FAILURES, labels, checked.failures)
    out.add(c.DRIFT_CHECK_DURATION, labels, checked.duration)
    out.add(c.DRIFT_CHECK_INTERVAL, labels, checked.interval)
    if checked.last_success_at is not None:
        out.add(c.DRIFT_LAST_SUCCESS, labels, checked.last_success_at)
