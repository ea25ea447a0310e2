"""A metrics endpoint of its own, for processes that serve no HTTP yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import start_http_server

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
        self._server, self._thread = start_http_server(port, addr, registry)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(CLOSE_SECONDS)


def start_metrics_server(port: int, addr: str, registry: CollectorRegistry) -> MetricsServer:
    """
    Expose a registry over HTTP from a thread of its own.

    Raises
    ------
    OSError
        If the port is taken.
    """
    return MetricsServer(port, addr, registry)
