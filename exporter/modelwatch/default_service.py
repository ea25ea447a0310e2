"""The default service of a process, and how its metrics are exposed.

It is made on the first decorated call or the first scrape, from the environment (``MODELWATCH_CONFIG``,
``MODELWATCH_STORAGE``, ``MODELWATCH_MODEL_VERSION``). Nothing is read at import; and what a service is made of is
imported with it, or when its metrics are exposed, as decorating a function shall cost next to nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from modelwatch.exceptions import RegistryTakenError
from modelwatch.names import VERSION_VARIABLE

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from modelwatch.collector import SourceCollector
    from modelwatch.service import ProductionMonitoringService
    from modelwatch.service.call import ModelCaller

__all__ = ["RETRY_SECONDS", "DefaultService"]

logger = logging.getLogger("modelwatch")

RETRY_SECONDS = 30.0
"""How long a predict function that can't be recorded goes on before it is tried again."""


class DefaultService:
    """Holds the one default service of this process, and knows how its metrics are exposed."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = time.time
        """Seconds since 1970, for the service that is made next."""
        self._lock = threading.RLock()
        self._service: ProductionMonitoringService | None = None
        self._retry_at = 0.0
        self._said: set[str] = set()
        self._announced: set[str] = set()
        self._ways: list[str] = []
        self._collector: SourceCollector | None = None
        self._in_default_registry = False
        self._exiting = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_child)

    def _begin_child(self) -> None:
        # Another thread may hold the lock at the moment of a fork; in the child nobody would ever release it.
        self._lock = threading.RLock()
        self._announced.clear()

    @property
    def current(self) -> ProductionMonitoringService | None:
        """The service, if there is one."""
        return self._service

    def service(self, *, served: bool = False) -> ProductionMonitoringService:
        """Return the default service; make it on first use. `served`: its metrics are about to be exposed."""
        with self._lock:
            if self._service is None:
                from modelwatch.config import find_config
                from modelwatch.service import ProductionMonitoringService

                self._service = ProductionMonitoringService(find_config(), clock=self.clock)
                self._expose_by_default(warn=not served and not self._ways)
                atexit.unregister(self._close_at_exit)
                atexit.register(self._close_at_exit)
            return self._service

    def available(self) -> ProductionMonitoringService | None:
        """Return the service for a scrape; None if it can't be made now, to be asked again a while later."""
        if self._service is None and (self._exiting or time.monotonic() < self._retry_at):
            return None
        try:
            return self.service(served=True)
        except Exception as error:  # noqa: BLE001 - the recorder boundary: a scrape serves others too
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._say_once(f"there are no metrics to expose: {error}")
            return None

    def caller(self, model_id: str, version: str | None, reference: str | Path | None) -> ModelCaller | None:
        """Return who records a model's calls; None if that can't be known now, to be asked again a while later."""
        try:
            if self._service is None and time.monotonic() < self._retry_at:
                return None
            service = self.service()
            known = service.knows(model_id)
            made = service.caller(model_id, version or os.environ.get(VERSION_VARIABLE), reference)
            self._announce(service, model_id, known=known)
        except Exception as error:  # noqa: BLE001 - the recorder boundary: predict goes on unrecorded
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._say_once(f"{model_id} is not recorded: {error}")
            return None
        return made

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            logger.warning("%s", text)

    def _announce(self, service: ProductionMonitoringService, model_id: str, *, known: bool) -> None:
        """Say once per process and model what is done and where things are."""
        with self._lock:
            if model_id in self._announced:
                return
            self._announced.add(model_id)
        by_itself = "" if known else " (registered by itself)"
        text = "modelwatch records %s%s; storage %s; reference: %s; metrics: %s"
        reference = service.reference_of(model_id)
        logger.info(text, model_id, by_itself, service.storage, reference, self._where(service))

    def _where(self, service: ProductionMonitoringService) -> str:
        places = [*service.metrics_places(), *self._ways]
        if not places and self._in_default_registry:
            return "the prometheus_client registry"
        return ", ".join(places) or "nowhere yet: call start_metrics_server(), or mount make_asgi_app()"

    # ── exposition ───────────────────────────────────────────────────────────────────────────────────────────────

    def registry(self) -> CollectorRegistry | None:
        """Return what mounted applications expose; the service is made on the first request, if it can be."""
        service = self.available()
        return None if service is None else service.registry

    def exposed(self, way: str) -> None:
        """Remember how the metrics are exposed, for the log line; load what will be needed, before workers fork."""
        import_module("modelwatch.service")
        if way not in self._ways:
            self._ways.append(way)

    def register_in(self, registry: CollectorRegistry) -> None:
        """Expose the metrics in a registry; does nothing the second time."""
        from modelwatch.collector import SourceCollector, claim_registry

        claim_registry(registry, self)
        if self._collector is None:
            self._collector = SourceCollector(self.registry)
        registry.register(self._collector)

    def _expose_by_default(self, *, warn: bool) -> None:
        from prometheus_client import REGISTRY

        from modelwatch.collector import multiprocess_warning

        try:
            self.register_in(REGISTRY)
        except RegistryTakenError as error:
            logger.warning("%s; start_metrics_server() still serves what decorated functions record", error)
            return
        self._in_default_registry = True
        warning = multiprocess_warning(REGISTRY)
        if warning and warn:
            logger.warning("%s", warning)

    # ── end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _close_at_exit(self) -> None:
        self._exiting = True
        self.close()

    def flush(self, timeout: float) -> bool:
        """Wait for the service; without one, return whether there was nothing to record."""
        service = self._service
        return self._retry_at == 0.0 if service is None else service.flush(timeout)

    def close(self) -> None:
        """Flush and stop the default service; the next decorated call or scrape makes a new one."""
        with self._lock:
            service, self._service, self._retry_at = self._service, None, 0.0
            self._announced.clear()
            if self._in_default_registry and self._collector is not None:
                from prometheus_client import REGISTRY

                from modelwatch.collector import release_registry

                self._in_default_registry = False
                with contextlib.suppress(KeyError):  # taken out by the user
                    REGISTRY.unregister(self._collector)
                release_registry(REGISTRY)
        if service is not None:
            service.close()
