"""What the background thread does: score every model version, tell the alert engine, check operations."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelwatch.conventions import ALERT_CHECK_FAILING, DRIFT_ALERTS
from modelwatch.exceptions import MissingPackageError
from modelwatch.notify import messages
from modelwatch.notify.engine import AlertEngine, Condition
from modelwatch.policy import Severity, alert_severity
from modelwatch.records import CheckResult
from modelwatch.service import metric_alerts, operational
from modelwatch.service.batch_check import load_checks
from modelwatch.service.calibrating import Calibrator
from modelwatch.service.check_leases import CheckLeases
from modelwatch.service.drift_jobs import DriftJobs
from modelwatch.service.learning import AUTO, Learner
from modelwatch.service.operational import Situation
from modelwatch.service.schedule import next_due
from modelwatch.service.stored_profiles import StoredProfiles

if TYPE_CHECKING:
    from modelwatch.checks import Absence
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.service.models import ModelBook, RegisteredModel
    from modelwatch.store import StoreWriter, TotalSeries
    from modelwatch.store.queries import StoreQueries

logger = logging.getLogger("modelwatch")

SIDECAR_LEASE = "sidecar"
CLOSE_SECONDS = 30.0
"""How long the alerts of a retired model are one process's to end."""
CHECK_ALERTNAMES = (*DRIFT_ALERTS.values(), ALERT_CHECK_FAILING)
FAILURES_BEFORE_ALERT = 3


class Jobs:
    """Scheduled work over one store; used by one thread at a time."""

    def __init__(
        self,
        book: ModelBook,
        store: StoreWriter,
        engine: AlertEngine,
        *,
        open_queries: Callable[[], StoreQueries],
        timezone: str | None,
        started_at: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._book = book
        self._store = store
        self._engine = engine
        self._open_queries = open_queries
        self.timezone = timezone
        self._started_at = started_at
        self._queries: StoreQueries | None = None
        self._queries_pid = os.getpid()
        self._failures: dict[str, int] = {}
        self._operations: dict[str, tuple[str, ...]] = {}
        self.leases = CheckLeases(store, lambda: {m.config.model_id for m in book.all()}, clock)
        self._lock = threading.Lock()
        self.learner = Learner(store, self.queries, lambda: self.timezone)
        self._profiles = StoredProfiles(store, book)
        self.profile = self._profiles.get
        self.calibrator = Calibrator(store, self.queries, self.profile, lambda: self.timezone)
        self._drift = DriftJobs(
            book,
            store,
            engine,
            queries=self.queries,
            profiles=self._profiles,
            absence=self.absence,
            calibration=self.calibrator.of,
            timezone=lambda: self.timezone,
            operations=self._operations,
            started_at=started_at,
        )

    # ── the lease ────────────────────────────────────────────────────────────────────────────────────────────────

    def _mine_only(self) -> list[RegisteredModel]:
        return [m for m in self._book.all() if self.leases.holds(m.config.model_id)]

    def close_retired(self, now: float) -> None:
        """End the alerts of retired models, unless that is up to another process; who was told of them is told why."""
        retired = self._store.retired_models()
        if not retired:
            return
        open_alerts = (*self._store.active_alerts(), *self._store.ended_alerts())
        for model_id in {alert.model_id for alert in open_alerts} & set(retired):
            if self.leases.take(model_id, now, CLOSE_SECONDS):
                self._engine.retire(model_id, now)

    def sidecar_runs(self, now: float) -> bool:
        """Return whether a sidecar has taken over the checks of this storage."""
        return self._store.lease_holder(SIDECAR_LEASE, now) is not None

    def intervals(self) -> dict[str, float]:
        """Return how often each model that is this process's to check is checked, in seconds, by model_id."""
        return {m.config.model_id: m.config.interval_seconds for m in self._mine_only()}

    def due_after(self, model_id: str, due: float, now: float) -> float:
        """Return when a model's check is due after one that was due at `due`."""
        return next_due(self._book.get(model_id).config, self.timezone, due, now)

    def latest_due(self, model_id: str, now: float) -> float:
        """Return by when a model's next check must be due: later only a clock that was ahead would have said."""
        return now + self._book.get(model_id).config.longest_interval_seconds

    def first_due(self, model_id: str, started_at: float, delay: float) -> float:
        """Return when a model's first check is due: after `delay` seconds or its interval, or by its schedule."""
        config = self._book.get(model_id).config
        if config.cron is not None:
            return next_due(config, self.timezone, started_at, started_at)
        return started_at + min(delay, config.interval_seconds)

    # ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────

    def check(self, model_id: str, now: float) -> list[CheckResult]:
        """Score every live version of a model, store the results and tell the alert engine."""
        model = self._book.get(model_id)
        try:
            results = self._drift.score(model, now)
        except MissingPackageError:
            raise
        except Exception as error:
            self._count_failure(model, error, now)
            raise
        self._failures.pop(model_id, None)
        conditions = [c for result in results for c in self._drift.conditions(model, result, now)]
        self._engine.update(model_id, conditions, now, alertnames=CHECK_ALERTNAMES)
        return results

    def absence(self, config: ModelMonitoringConfig) -> Absence:
        """Return state and reason of a model that has no reference yet."""
        if config.reference != AUTO:
            no_reference: Absence = load_checks().NO_REFERENCE
            return no_reference
        return "learning", f"no reference yet: {self.learner.progress(config.model_id).words}"

    def learn(self, now: float) -> None:
        """Learn references from what is recorded, and read again those that have grown."""
        models = [m for m in self._mine_only() if m.profile is None or m.followed is not None]
        self.learner.round([m.config for m in models], now, mine=self.leases.still_holds)
        self._profiles.refresh()
        self.calibrator.round([m.config for m in self._mine_only()], now, mine=self.leases.still_holds)

    def compared_with(self, model: RegisteredModel) -> ReferenceProfile | None:
        """Return what batches of a model are compared with: its profile, with what production has taught of it."""
        if model.profile is None or model.profile.calibrated:
            return model.profile
        return self._profiles.taught(model.profile.id, model.config.model_id) or model.profile

    def look(self, model: RegisteredModel, now: float) -> CheckResult:
        """Score a model's recorded windows for somebody who asks; nothing is stored and nobody is told."""
        results = [result for result, _ in self._drift.checked(model, now)]
        mine = [r for r in results if r.model_version == model.config.model_version]
        return (mine or results)[0]

    def _count_failure(self, model: RegisteredModel, error: Exception, now: float) -> None:
        """Count a failed check; from the third in a row on it is an alert of its own."""
        config = model.config
        for version, state in self._checked_last(config).items():
            self._store.save_result(
                config.model_id, version, now, False, 0.0, None, state, config.longest_interval_seconds
            )
        failures = self._failures[config.model_id] = self._failures.get(config.model_id, 0) + 1
        severity = alert_severity(config, ALERT_CHECK_FAILING)
        if failures < FAILURES_BEFORE_ALERT or severity is Severity.NONE:
            return
        text = messages.check_failing_text(
            messages.ModelFacts.of(config), severity=severity, failures=failures, error=str(error), now=now,
            timezone=self.timezone,
        )  # fmt: skip
        condition = Condition(
            alertname=ALERT_CHECK_FAILING,
            model_id=config.model_id,
            model_version=config.model_version,
            type="monitoring",
            severity=severity,
            text=text,
            data={"model_id": config.model_id, "failures": failures},
            since=now,
            checked_every=config.longest_interval_seconds,
        )
        self._engine.update(config.model_id, [condition], now, alertnames=(ALERT_CHECK_FAILING,))

    def _checked_last(self, config: ModelMonitoringConfig) -> dict[str, dict[str, Any]]:
        """Return the versions that the check before was about, each with the state that it left."""
        known = [r for r in self._store.latest_results() if r.model_id == config.model_id]
        newest = max((r.checked_at for r in known), default=0.0)
        return {r.model_version: r.state for r in known if r.checked_at == newest} or {config.model_version: {}}

    # ── operations ───────────────────────────────────────────────────────────────────────────────────────────────

    def operational(self, now: float) -> None:
        """Look at latency, errors, silence and given metrics of every model; one that can't be read stops no other."""
        active = self._store.active_versions(now - operational.LONG_WINDOW)
        latest: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
        for given in self._store.latest_metrics():
            latest.setdefault((given.model_id, given.model_version), {})[given.metric] = (given.value, given.at)
        limits: dict[str, float | None] = {}
        faults: list[Exception] = []
        try:
            self.learn(now)
        except Exception as error:  # noqa: BLE001 - the background-job boundary: raised below, after the models
            faults.append(error)
        for model_id in dict.fromkeys(m.config.model_id for m in self._mine_only()):
            if not self.leases.still_holds(model_id):
                continue
            try:
                limits[model_id] = self._operations_of(model_id, active.get(model_id, []), latest, now)
            except Exception as error:  # noqa: BLE001 - the background-job boundary: raised below, after the others
                faults.append(error)
        self._store.set_silence_limits(limits)
        if faults:
            raise faults[0]

    def _operations_of(
        self,
        model_id: str,
        active: list[str],
        latest: Mapping[tuple[str, str], Mapping[str, tuple[float, float]]],
        now: float,
    ) -> float | None:
        """Look at one model; return how long its silence is normal."""
        config = self._book.get(model_id).config
        series = self.queries().totals(model_id, now - operational.GAP_HISTORY, now)
        limit = operational.silence_limit(series)
        found = operational.silence_condition(self._situation(config, now), series, limit)
        for version in active or [config.model_version]:
            mine = self._book.get(model_id, version).config.model_copy(update={"model_version": version})
            recent = series if len(active) < 2 else self._recent(model_id, version, now)
            found += operational.traffic_conditions(self._situation(mine, now), recent)
        for model in self._book.all():
            given = latest.get((model_id, model.config.model_version), {})
            if model.config.model_id == model_id and given:
                found += self._metric_conditions(model.config, given, now)
        prefix = f"{model_id}: "
        self._operations[model_id] = tuple(condition.text.headline.removeprefix(prefix) for condition in found)
        self._engine.update(model_id, found, now, alertnames=(*operational.ALERTNAMES, *metric_alerts.ALERTNAMES))
        return limit

    def _recent(self, model_id: str, version: str, now: float) -> TotalSeries:
        return self.queries().totals(model_id, now - operational.LONG_WINDOW, now, version)

    def _situation(self, config: ModelMonitoringConfig, now: float) -> Situation:
        return Situation(
            config,
            now,
            self.timezone,
            lambda name: self._engine.active_since(name, config.model_id, config.model_version),
        )

    def _metric_conditions(
        self, config: ModelMonitoringConfig, given: Mapping[str, tuple[float, float]], now: float
    ) -> list[Condition]:
        def since_of(name: str, metric: str) -> float | None:
            return self._engine.active_since(name, config.model_id, config.model_version, metric)

        return metric_alerts.metric_conditions(config, given, now, self.timezone, since_of)

    # ── shared ───────────────────────────────────────────────────────────────────────────────────────────────────

    def queries(self) -> StoreQueries:
        """Return the reading side of the store, opened on first use and again after a fork."""
        if self._queries_pid != os.getpid():
            # A lock that another thread held at the fork would never be given back.
            self._lock, self._queries, self._queries_pid = threading.Lock(), None, os.getpid()
        with self._lock:
            if self._queries is None:
                try:
                    self._queries = self._open_queries()
                except ModuleNotFoundError as error:
                    msg = f"what is stored is read with {error.name}: pip install {error.name}"
                    raise MissingPackageError(msg) from error
            return self._queries

    def close(self) -> None:
        """Close the reading side of the store."""
        with self._lock:
            if self._queries is not None and self._queries_pid == os.getpid():
                self._queries.close()
            self._queries = None
