"""The HTTP server behind a metrics endpoint: few threads, and none for long for those who say nothing."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import socketserver
import threading
import time
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["MOST_THREADS", "HttpServer"]

logger = logging.getLogger("modelwatch")

MOST_THREADS = 16
"""How many requests are read or answered at once."""
READ_SECONDS = 5.0
"""How long a client may say nothing before its request is there."""
WRITE_SECONDS = 30.0
"""How long a client may take to read its answer."""
GRACE_SECONDS = 0.1
"""For how long a client may say nothing in any case."""
PATIENCE_SECONDS = 1.0
"""How long a new connection waits until one of those before it has its answer."""
CROWDED = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"


class _Handler(WSGIRequestHandler):
    timeout = READ_SECONDS
    server: HttpServer

    def parse_request(self) -> bool:
        """Read the head of the request; once it is there, the connection is no silent one any more."""
        complete = super().parse_request()
        if complete:
            self.connection.settimeout(WRITE_SECONDS)
            self.server.has_asked(self.connection)
        return complete

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Log nothing: a scrape is no event."""


class HttpServer(socketserver.ThreadingMixIn, WSGIServer):
    """
    Answers each request in a thread, :data:`MOST_THREADS` at a time.

    Where there is no room, the connection that has said nothing for the longest time is closed for the new one: a
    scrape gets through however many connections are opened and left alone. Only if all others are being answered, and
    none is done soon, the new one is told to come again (503).

    Parameters
    ----------
    family, address
        Where to listen.
    app
        Answers the requests.
    """

    daemon_threads = True
    # What a dead worker's connections left behind must not keep its port; two living servers on one port must not be.
    allow_reuse_address = os.name == "posix"
    allow_reuse_port = False
    request_queue_size = 32

    def __init__(self, family: socket.AddressFamily, address: tuple[Any, ...], app: WSGIApplication) -> None:
        self.address_family = family
        self._answering = 0
        self._silent: dict[socket.socket, float] = {}
        """Connections whose request is not there yet, oldest first, and since when."""
        self._changed = threading.Condition()
        super().__init__(address[:2], _Handler)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind without asking the name service who we are, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Answer in a thread; counted here already, so that none is missed that was accepted."""
        if not self._make_room():
            with contextlib.suppress(OSError):
                request.settimeout(0)
                request.send(CROWDED)
            self.shutdown_request(request)
            return
        with self._changed:
            self._answering += 1
            self._silent[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._end(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._end(request)

    def has_asked(self, request: socket.socket) -> None:
        """Close this connection for no other: its request is there."""
        with self._changed:
            self._silent.pop(request, None)

    def _make_room(self) -> bool:
        """Return whether there is room for one more; if there is none, close the oldest silent connection for it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        closed = False
        with self._changed:
            while self._answering >= MOST_THREADS:
                now = time.monotonic()
                if now >= deadline:
                    return False
                oldest = None if closed else next((r for r in self._silent if not _has_sent(r)), None)
                until = deadline if oldest is None else min(self._silent[oldest] + GRACE_SECONDS, deadline)
                if oldest is not None and until <= now:
                    closed = self._close_silent(oldest)
                else:
                    self._changed.wait(until - now)
        return True

    def _close_silent(self, request: socket.socket) -> bool:
        """Wake up the thread that waits for a request, which ends then."""
        del self._silent[request]
        with contextlib.suppress(OSError):  # the client may have hung up
            request.shutdown(socket.SHUT_RDWR)
        return True

    def _end(self, request: socket.socket) -> None:
        with self._changed:
            self._answering -= 1
            self._silent.pop(request, None)
            self._changed.notify_all()

    def finish(self) -> None:
        """Stop listening; who has connected by then is answered still, rather than cut off."""
        self.shutdown()
        self.timeout = 0
        for _ in range(self.request_queue_size):
            self.handle_request()
        self.server_close()

    def wait_idle(self, timeout: float) -> None:
        """Wait for the requests under way, but for none that hangs."""
        with self._changed:
            self._changed.wait_for(lambda: self._answering == 0, timeout)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Say nothing on standard error: mostly the client hung up."""
        logger.debug("a request for metrics from %s failed", client_address, exc_info=True)


def _has_sent(request: socket.socket) -> bool:
    """Return whether something of a request waits to be read: its thread is about to."""
    readable, _, _ = select.select([request], [], [], 0)
    return bool(readable)
