"""The parts of a service and how they are wired: recorder, store, outbox, engine, loop, collectors."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.collector import RecordingCollector, ResultsCollector, multiprocess_warning
from modelwatch.config import (
    MonitoringConfig,
    default_storage_path,
)
from modelwatch.exceptions import StorageError
from modelwatch.notify.engine import AlertEngine
from modelwatch.notify.outbox import Outbox
from modelwatch.recorder import Recorder
from modelwatch.records import FlushBatch
from modelwatch.service.claims import Claims
from modelwatch.service.cleanup import Cleanup
from modelwatch.service.errands import Errands
from modelwatch.service.exposing import Exposing
from modelwatch.service.follow import Follower, Retirement
from modelwatch.service.jobs import Jobs
from modelwatch.service.loop import CheckLoop
from modelwatch.service.models import ModelBook, RegisteredModel
from modelwatch.service.references import References
from modelwatch.service.registration import Registrar, recorded
from modelwatch.service.routes import LOG, AlertRoutes
from modelwatch.service.shared_file import SharedFile
from modelwatch.service.stored import StoredConfigs
from modelwatch.service.upkeep import Upkeep
from modelwatch.store import StoreWriter

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from modelwatch.store.queries import StoreQueries

logger = logging.getLogger("modelwatch")
CLOSE_SECONDS = 5.0


class _WakingSink:
    """The store as the recorder sees it; every flush, in a forked process too, first does what waits for the store."""

    def __init__(self, store: StoreWriter, before: Callable[[], None]) -> None:
        self._store = store
        self._before = before
        self.problem = ""

    def commit(self, batch: FlushBatch) -> None:
        """Save what is not saved yet and make sure that somebody looks at the counts, then write the batch."""
        self._before()
        try:
            self._store.commit(batch)
        except StorageError as error:
            self.problem = str(error)
            raise
        self.problem = ""


class Parts:
    """Everything a service is made of; the façade above it only translates calls."""

    def __init__(
        self,
        config: MonitoringConfig,
        storage_path: str | Path | None,
        alert_handlers: Mapping[str, Callable[[dict[str, Any]], Any]],
        registry: CollectorRegistry | None,
        clock: Callable[[], float],
        *,
        background: bool,
    ) -> None:
        self.config = config
        self.clock = clock
        # Absolute once and for all: servers that daemonize change their working directory later.
        given = str(storage_path) if storage_path is not None else None
        self.folder = default_storage_path(given, config).resolve()
        self.book = ModelBook({(m.model_id, m.model_version): m for m in config.models})
        self.store, self.storage_problem = open_store(self.folder, clock)
        self.outbox = Outbox(on_result=self._count_notification)
        self.routes = AlertRoutes(config, self.book, self.outbox)
        for channel, handler in alert_handlers.items():
            for warning in self.add_handler(channel, handler):
                logger.warning("%s", warning)
        self.routes.log_problems()
        self.jobs: Jobs | None = None
        self.cleanup: Cleanup | None = None
        self.loop: CheckLoop | None = None
        self.claims: Claims | None = None
        if self.store is not None:
            self._wire_checks(self.store, background=background)
        self._sink = _WakingSink(self.store, self._before_flush) if self.store is not None else None
        self.recorder = Recorder(self.folder, self._sink, clock=clock, prepare=lambda: self.follower())
        self.registrar = Registrar(self.book, self.recorder, self.store, clock)
        self.references = References(self.store, self.book, self.registrar.follow, clock)
        self.follower = Follower(clock)
        if self.store is not None:
            self.follower.add(self.references.follow)
            self.follower.add(Retirement(self.store, self.book, self.recorder, self.registrar))
            self.follower.add(SharedFile(self.store, self.book, self.registrar))
        self.exposing = Exposing(self._make_collectors(), registry, self.folder)
        warning = multiprocess_warning(self.exposing.registry)
        if warning:
            logger.warning("%s", warning)
        self.errands = Errands()
        self._lock = threading.Lock()
        self.closed = False

    def _wire_checks(self, store: StoreWriter, *, background: bool) -> None:
        self.engine = AlertEngine(
            store,
            self.outbox,
            self.routes.route,
            rests=self.routes.rests,
            repeat_interval=self.config.alerting.repeat_interval_seconds,
            hourly_cap=self.config.alerting.hourly_cap,
            quiet=self.config.alerting.mode == "prometheus",
            clock=self.clock,
        )
        self.jobs = Jobs(
            self.book,
            store,
            self.engine,
            open_queries=self._open_queries,
            timezone=self.config.timezone,
            started_at=self.clock(),
            clock=self.clock,
        )
        self.cleanup = Cleanup(self.book, store, lambda: self.config.storage.max_bytes)
        if background:
            self.claims = Claims(store, self.outbox, lambda: self.routes.channels - {LOG})
            upkeep = Upkeep(self.cleanup, store)
            self.loop = CheckLoop(self.jobs, self.claims, upkeep, clock=self.clock, before=lambda: self.follower())

    def _open_queries(self) -> StoreQueries:
        from modelwatch.store.queries import StoreQueries

        return StoreQueries(self.folder)

    @property
    def write_problem(self) -> str:
        """Why the store refused what this process wrote last; "" if it did not."""
        flushed = self._sink.problem if self._sink is not None else ""
        return flushed or self.registrar.problem

    def storage_warnings(self) -> list[str]:
        """Return a sentence if nothing is stored at all, or what was written last is kept in memory only."""
        if self.store is None:
            return [f"nothing is stored: {self.storage_problem}"]
        if self.write_problem:
            return [f"recordings are kept in memory for now, the store refuses them: {self.write_problem}"]
        return []

    def _before_flush(self) -> None:
        self.registrar.save_waiting()
        self.wake()

    def wake(self) -> None:
        """Start the check loop of this process, if it should have one and has none."""
        if self.loop is not None and not self.closed:
            self.loop.ensure_running()

    # ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def add_handler(self, channel: str, handler: Callable[[dict[str, Any]], Any]) -> list[str]:
        """Send a channel's alerts to a callable; return what has to be said about that."""
        self.routes.add_handler(channel, handler)
        if self.config.alerting.mode == "direct":
            return []
        return [
            f"alerting.mode is 'prometheus': what scheduled checks find is told by Alertmanager, and the handler of"
            f" channel {channel!r} gets only what send_alert sends"
        ]

    def _count_notification(self, channel: str, ok: bool) -> None:
        if self.store is not None:
            self.store.count_notification(channel, ok)

    # ── exposition and life ──────────────────────────────────────────────────────────────────────────────────────

    def _make_collectors(self) -> list[Any]:
        if self.store is None:
            return [RecordingCollector(self.recorder, before=self.follower, max_series=self._max_series)]
        configs = StoredConfigs(self.store)
        recordings = RecordingCollector(
            self.recorder,
            self._storage_id(),
            models=lambda: [recorded(RegisteredModel(config, 0.0)) for config in configs()],
            before=self.follower,
            max_series=self._max_series,
        )
        jobs = self.jobs
        assert jobs is not None
        results = ResultsCollector(
            self.store,
            models=configs,
            learned=lambda: jobs.learner.ratios(configs()),
            stand_by=self.sidecar_runs,
        )
        return [recordings, results]

    def _max_series(self) -> int:
        return self.config.expose.max_series_per_model

    def _storage_id(self) -> Callable[[], str] | None:
        """Return who knows the storage's id: read once, since a scrape must not fail with the store."""
        if self.store is None:
            return None
        try:
            known = self.store.storage_id()
        except StorageError:
            return None
        return lambda: known

    def sidecar_runs(self) -> bool:
        """Return whether a sidecar has the checks of this storage, and exposes their results."""
        try:
            return self.jobs is not None and self.jobs.sidecar_runs(self.clock())
        except StorageError:
            return False

    def close(self) -> None:
        """Stop everything in the order in which it depends on each other."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
        if self.claims is not None:
            self.claims.closing = True
        if self.loop is not None:
            self.loop.close()
        self.recorder.close()
        self.errands.close(CLOSE_SECONDS)
        self.outbox.close(CLOSE_SECONDS)
        self.exposing.close()
        if self.jobs is not None:
            self.jobs.close()
        if self.store is not None:
            self.store.close()


def open_store(folder: Path, clock: Callable[[], float] = time.time) -> tuple[StoreWriter | None, str]:
    """Open the store; an unusable folder costs history and drift, never predictions."""
    try:
        return StoreWriter(folder, clock), ""
    except StorageError as error:
        logger.warning("%s. Predictions are counted in this process only.", str(error).rstrip("."))
        return None, str(error)
