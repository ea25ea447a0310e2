"""Where the metrics of one service can be read: registries, a server, mounted applications."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from prometheus_client import CollectorRegistry

from modelwatch.collector import MetricsServer, claim_registry, release_registry, start_metrics_server
from modelwatch.exceptions import InputError
from modelwatch.service.answers import CLOSED

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Exposing", "check_registry"]


class Exposing:
    """
    All ways in which the collectors of one service are exposed.

    Parameters
    ----------
    collectors
        What is exposed: each shows all workers of the storage.
    registry
        A registry of the user's to expose them in; None for one of the service's own.
    storage
        The storage folder, whose workers take turns to serve a port.

    Raises
    ------
    RegistryTakenError
        If another service exposes its metrics in that registry.
    """

    def __init__(self, collectors: Sequence[Any], registry: CollectorRegistry | None, storage: Path) -> None:
        self._collectors = tuple(collectors)
        self._storage = storage
        self._servers: dict[tuple[str, int], MetricsServer] = {}
        self._shown_in: WeakSet[CollectorRegistry] = WeakSet()
        self._lock, self._pid = threading.Lock(), os.getpid()
        self.closed = False
        self.registry = CollectorRegistry() if registry is None else registry
        self.add_to(self.registry)
        # What else is in a user's registry is exposed by the user already: twice would be double.
        self._own = self.registry if registry is None else CollectorRegistry()
        for collector in self._collectors:
            self._own.register(collector)

    def add_to(self, registry: CollectorRegistry) -> None:
        """
        Expose the metrics in a registry; again does nothing, and the registry may be gone any time.

        Raises
        ------
        InputError
            If this is no registry.
        RegistryTakenError
            If another service exposes its metrics there.
        """
        check_registry(registry)
        claim_registry(registry, self)
        with self._guard():
            if registry in self._shown_in:
                return
            self._shown_in.add(registry)
            for collector in self._collectors:
                registry.register(collector)

    def serve(self, port: int, addr: str) -> int:
        """
        Serve the registry over HTTP, or stand by where another worker of the storage does; return the port.

        Raises
        ------
        InputError
            If the port is taken by somebody else, the address is none of this machine's, or the service is closed.
        """
        with self._guard():
            if self.closed:
                raise InputError(CLOSED)
            known = self._servers.get((addr, port)) if port else None
            if known is not None and known.alive:
                return known.port
            server = start_metrics_server(port, addr, self._whole, self._storage)
            self._servers[(addr, server.port)] = server
        return server.port

    def places(self) -> list[str]:
        """Return the addresses that are served, and by whom, in words."""
        servers = list(self._servers.values())
        return [server.url if server.serving else f"served by another worker on {server.url}" for server in servers]

    def source(self) -> CollectorRegistry | None:
        """Return what mounted applications expose: these collectors alone; None once closed."""
        return None if self.closed else self._own

    def _whole(self) -> CollectorRegistry:
        return self.registry

    def _guard(self) -> threading.Lock:
        if self._pid != os.getpid():
            # A lock that another thread held at the fork would never be given back.
            self._lock, self._pid = threading.Lock(), os.getpid()
        return self._lock

    def close(self) -> None:
        """Stop serving, and take the collectors out of all registries."""
        self.closed = True
        with self._guard():
            servers, registries = list(self._servers.values()), list(self._shown_in)
            self._servers.clear()
            self._shown_in.clear()
        for server in servers:
            server.close()
        for registry in registries:
            for collector in self._collectors:
                with contextlib.suppress(KeyError):  # taken out by the user
                    registry.unregister(collector)
            release_registry(registry)


def check_registry(registry: object) -> None:
    """Refuse what is no registry, with a sentence."""
    if not isinstance(registry, CollectorRegistry):
        msg = f"registry must be a prometheus_client CollectorRegistry, got {type(registry).__name__}"
        raise InputError(msg)
