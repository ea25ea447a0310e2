"""A metrics endpoint of its own, for processes that serve no HTTP yet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

from prometheus_client import start_http_server

from modelwatch.exceptions import InputError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

CLOSE_SECONDS = 5.0


class MetricsServer:
    """
    A running endpoint.

    Parameters
    ----------
    port
        0 for any free one.
    addr
        The address to listen on.
    registry
        What is exposed.
    """

    def __init__(self, port: int, addr: str, registry: CollectorRegistry) -> None:
        try:
            self._server, self._thread = start_http_server(port, addr, registry)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            msg = f"metrics can't be served on {addr}:{port}: {reason}"
            raise InputError(msg) from error
        self._pid = os.getpid()
        _listening.add(self)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        _listening.discard(self)
        if self._pid != os.getpid():
            return  # the thread that serves is the parent's; our copy of the socket went at the fork
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(CLOSE_SECONDS)

    def _let_go(self) -> None:
        """Close a forked child's copy of the socket, or the port would stay taken for as long as the child lives."""
        self._server.socket.close()


# A fork concerns the whole process, so that this one list can't hang on any object.
_listening: WeakSet[MetricsServer] = WeakSet()


def _close_inherited_sockets() -> None:
    for server in list(_listening):
        server._let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited_sockets)


def start_metrics_server(port: int, addr: str, registry: CollectorRegistry) -> MetricsServer:
    """
    Expose a registry over HTTP from a thread of its own.

    Raises
    ------
    InputError
        If the port is taken, or the address is none of this machine's.
    """
    return MetricsServer(port, addr, registry)
