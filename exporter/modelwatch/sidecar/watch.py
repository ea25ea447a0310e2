"""What a sidecar watches: one storage, its models, and who is told. Knows nothing of HTTP and of schedules."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.config import ModelMonitoringConfig, MonitoringConfig, default_storage_path, find_config, load_config
from modelwatch.exceptions import ConfigError
from modelwatch.notify.engine import AlertEngine
from modelwatch.notify.outbox import Outbox
from modelwatch.service.claims import served_since
from modelwatch.service.cleanup import Cleanup
from modelwatch.service.jobs import SIDECAR_LEASE, Jobs
from modelwatch.service.models import LoadedProfile, ModelBook, RegisteredModel, load_profile
from modelwatch.service.references import References
from modelwatch.service.routes import LOG, AlertRoutes
from modelwatch.service.shared_file import file_text
from modelwatch.service.stored import StoredConfigs
from modelwatch.service.upkeep import Upkeep
from modelwatch.sidecar.settings import Settings
from modelwatch.store import StoreWriter

if TYPE_CHECKING:
    from modelwatch.store.queries import StoreQueries

__all__ = ["Watch"]

logger = logging.getLogger("modelwatch")

DELIVERY_SECONDS = 24 * 3600.0
"""For how long an alert waits for the application that serves its channel."""

Key = tuple[str, str]


class Watch:
    """
    One storage and everything that is known of it; safe to use from several threads, but for :attr:`jobs`.

    Parameters
    ----------
    settings
        Where configuration and storage are.
    clock
        Seconds since the epoch.

    Raises
    ------
    ConfigError
        If the configuration is wrong.
    StorageError
        If the storage can't be used.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self.clock = clock
        self.config = self._load()
        self.folder = default_storage_path(settings.storage, self.config).absolute()
        self.store = StoreWriter(self.folder, clock)
        self.book = ModelBook(_by_key(self.config), _profile_if_there)
        self.outbox = Outbox(on_result=self._count_notification)
        self.routes = AlertRoutes(self.config, self.book, self.outbox)
        self.routes.log_problems()
        self.engine = AlertEngine(
            self.store,
            self.outbox,
            self.routes.route,
            rests=self.routes.rests,
            repeat_interval=self.config.alerting.repeat_interval_seconds,
            hourly_cap=self.config.alerting.hourly_cap,
            quiet=self.config.alerting.mode == "prometheus",
            clock=clock,
        )
        self.jobs = Jobs(
            self.book,
            self.store,
            self.engine,
            open_queries=self._open_queries,
            timezone=self.config.timezone,
            started_at=clock(),
            clock=clock,
        )
        self.references = References(self.store, self.book, lambda model: None, clock)
        self.upkeep = Upkeep(Cleanup(self.book, self.store, lambda: self.config.storage.max_bytes), self.store)
        self.configs = StoredConfigs(self.store)
        self.owner = False
        """Whether the scheduled checks of this storage are this sidecar's."""
        self._published: str | None = None
        self.retired: frozenset[str] = frozenset()
        """Models that are watched no more, though the file may list them."""
        self.started_at = self.loaded_at = clock()
        self.reload_ok = True
        self.refreshed_at: float | None = None
        self._holder = f"sidecar-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._registered: list[tuple[Key, ModelMonitoringConfig]] = []
        self._lock = threading.Lock()

    def _load(self) -> MonitoringConfig:
        path = self._settings.config_path or find_config()
        return load_config(path) if path is not None else MonitoringConfig()

    def _open_queries(self) -> StoreQueries:
        from modelwatch.store.queries import StoreQueries

        return StoreQueries(self.folder)

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────────

    def models(self) -> list[RegisteredModel]:
        """Return the models that are watched."""
        return self.book.all()

    def refresh(self) -> None:
        """
        Look which models there are, and which channels applications serve.

        Raises
        ------
        StorageError
            If the storage can't be read now; what was known stays.
        """
        with self._lock:
            self._refresh(self.clock())

    def _refresh(self, now: float) -> None:
        stored = self.configs()
        self.retired = frozenset(self.store.retired_models())
        elsewhere = {config.model_id for config in stored} | self.retired
        listed = [*stored, *(config for config in self.config.models if config.model_id not in elsewhere)]
        wanted = [((config.model_id, config.model_version), config) for config in listed]
        # Registering again is for what changed only: it reads files, and says what it finds wrong.
        if [(key, id(config)) for key, config in wanted] != [(key, id(config)) for key, config in self._registered]:
            for _, config in wanted:
                self.book.register(config, now)
            self.book.retain({key for key, _ in wanted})
            self._registered = wanted
        self.references.follow()
        if self.owner:
            self._publish_file()
            self.jobs.close_retired(now)
        self._serve_channels(now)
        self.refreshed_at = now

    def _publish_file(self) -> None:
        """Let applications on this storage know what the configuration file says of their models."""
        text = file_text(self.config.models)
        if text != self._published:
            self.store.publish_file(text)
            self._published = text

    def _serve_channels(self, now: float) -> None:
        """Queue for applications what goes to channels that only they serve."""
        own = {LOG, *self.routes.receivers}
        elsewhere = set(self.store.announced_channels(served_since(now))) - own
        for channel in elsewhere - self.routes.handlers:
            self.routes.add_handler(channel, partial(self._enqueue, channel))
        for channel in self.routes.handlers - elsewhere:
            self.routes.remove_handler(channel)
        for channel in self.store.expire_deliveries(now - DELIVERY_SECONDS):
            self.store.count_notification(channel, ok=False)

    def _enqueue(self, channel: str, alert: dict[str, Any]) -> None:
        self.store.enqueue_delivery(channel, alert, self.clock())

    def _count_notification(self, channel: str, ok: bool) -> None:
        # What was queued for an application is counted there, when it is delivered.
        if channel not in self.routes.handlers or not ok:
            self.store.count_notification(channel, ok)

    # ── the configuration ────────────────────────────────────────────────────────────────────────────────────────

    def reload(self) -> None:
        """
        Take over the configuration file as it is now.

        Raises
        ------
        ConfigError
            If it is wrong; then everything stays as it was, and :attr:`reload_ok` says so.
        """
        try:
            config = self._load()
            with self._lock:
                self._take_over(config)
        except ConfigError:
            self.reload_ok = False
            raise
        self.loaded_at, self.reload_ok = self.clock(), True
        if default_storage_path(self._settings.storage, config).absolute() != self.folder:
            logger.warning("the storage folder can't change while the sidecar runs: it stays %s", self.folder)

    def _take_over(self, config: MonitoringConfig) -> None:
        self.routes.configure(config)  # may raise, before anything has changed
        self.routes.log_problems()
        alerting = config.alerting
        self.engine.configure(
            repeat_interval=alerting.repeat_interval_seconds,
            hourly_cap=alerting.hourly_cap,
            quiet=alerting.mode == "prometheus",
        )
        self.book.replace_file(_by_key(config))
        self.jobs.timezone = config.timezone
        self.config = config
        self._registered = []

    # ── the right to check ───────────────────────────────────────────────────────────────────────────────────────

    def renew_leases(self) -> bool:
        """Take or renew the right to run the checks of this storage; return whether this sidecar has it now."""
        now, ttl = self.clock(), self._settings.lease_seconds
        try:
            # First this one: an application that holds others sees it, and gives those back.
            first = self.store.acquire_lease(SIDECAR_LEASE, self._holder, ttl, now)
            self.owner = first and self.jobs.leases.acquire_all(now, ttl)
        except Exception:
            self.owner = False
            raise
        return self.owner

    def close(self) -> None:
        """Deliver what waits, give back the leases, close the store."""
        self.outbox.close()
        try:
            self.jobs.leases.release()
            self.store.release_lease(SIDECAR_LEASE, self._holder)
        finally:
            self.owner = False
            self.jobs.close()
            self.store.close()


def _by_key(config: MonitoringConfig) -> dict[Key, ModelMonitoringConfig]:
    return {(model.model_id, model.model_version): model for model in config.models}


def _profile_if_there(config: ModelMonitoringConfig) -> LoadedProfile:
    """Load a profile that this host has; usually only the application does, and its copy stands with the counts."""
    return load_profile(config) if config.reference != "auto" and Path(config.reference).is_file() else (None, ())
