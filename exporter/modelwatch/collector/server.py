"""A metrics endpoint of its own, for processes that serve no HTTP yet; of several workers one has it at a time."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from errno import EADDRINUSE
from pathlib import Path
from typing import Any

from modelwatch.collector.apps import Source, make_wsgi_app
from modelwatch.collector.connections import HttpServer
from modelwatch.collector.turns import GUARD, NoTurnsError, Turn
from modelwatch.exceptions import InputError

__all__ = ["MetricsServer", "start_metrics_server"]

logger = logging.getLogger("modelwatch")

CLOSE_SECONDS = 5.0
STAND_BY_SECONDS = 0.5
"""How often a worker that stands by asks for its turn."""
BIND_SECONDS = 0.1
"""How long a port may still be in use after its owner's lock is gone: the system closes one after the other."""
COMPLAIN_SECONDS = 5.0
"""After how long a worker whose turn it is says that somebody else has the port."""
ANSWER_SECONDS = 2.0
"""How long closing waits for requests under way."""
MAX_PORT = 65535


class MetricsServer:
    """
    An endpoint that this worker serves, or will serve when the worker that does is gone.

    Parameters
    ----------
    port
        0 for any free one.
    addr
        The address to listen on.
    source
        What is exposed, asked at each request.
    storage
        The folder whose workers take turns; None to listen at once or not at all.

    Raises
    ------
    InputError
        If it is this worker's turn and the port is taken, or the address is none of this machine's.
    """

    def __init__(self, port: int, addr: str, source: Source, storage: Path | None = None) -> None:
        _check_address(port, addr)
        self._addr, self._asked = addr, port
        self._bound = port
        self._app = make_wsgi_app(source)
        self._turn = Turn(storage, addr, port) if storage is not None and port else None
        self._family, self._address = self._resolve()
        self._stop = threading.Event()
        self._http: HttpServer | None = None
        self._pid = os.getpid()
        GUARD.add(self)
        serves = self._first_try()
        target = self._serve if serves else self._stand_by
        self._thread = threading.Thread(target=target, name="modelwatch-metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on, by this worker or by the one whose turn it is."""
        return self._bound

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host = f"[{self._addr}]" if ":" in self._addr else self._addr
        return f"http://{host}:{self.port}/metrics"

    @property
    def alive(self) -> bool:
        """Whether this process serves or stands by: not after it was closed, nor in the child of a fork."""
        return self._pid == os.getpid() and not self._stop.is_set()

    @property
    def serving(self) -> bool:
        """Whether this process serves now."""
        return self.alive and self._http is not None

    def close(self) -> None:
        """Stop listening, or waiting to, which makes it another worker's turn; requests under way are answered."""
        if not self.alive:
            return  # in the child of a fork the thread that serves is the parent's
        with GUARD.held():
            self._stop.set()
            http = self._http
        if http is not None:
            http.finish()
        self._thread.join(CLOSE_SECONDS)
        with GUARD.held():
            if self._turn is not None:
                self._turn.give_back()
        if http is not None:
            http.wait_idle(ANSWER_SECONDS)  # who closes us may close next what they read

    def let_go(self) -> None:
        """In the child of a fork: close what was inherited, or port and turn would be taken as long as it lives."""
        if self._http is not None:
            self._http.socket.close()
            self._http = None
        if self._turn is not None:
            self._turn.forget()

    # ── taking turns ─────────────────────────────────────────────────────────────────────────────────────────────

    def _first_try(self) -> bool:
        deadline = time.monotonic() + BIND_SECONDS
        while True:
            try:
                return self._try()
            except OSError as error:
                if error.errno == EADDRINUSE and self._asked and time.monotonic() < deadline:
                    self._stop.wait(BIND_SECONDS / 5)
                    continue
                if self._turn is not None:
                    self._turn.give_back()
                raise InputError(self._refusal(error)) from error

    def _try(self) -> bool:
        """
        Listen if it is our turn; return whether we do.

        Raises
        ------
        OSError
            If it is our turn, and nobody can listen there.
        """
        with GUARD.held():
            if self._stop.is_set() or not self._my_turn():
                return False
            self._http = HttpServer(self._family, self._address, self._app)
            self._bound = self._http.server_port
        return True

    def _my_turn(self) -> bool:
        if self._turn is None:
            return True
        try:
            return self._turn.take()
        except NoTurnsError as error:
            logger.debug("%s; whoever can listen on the port serves the metrics", error)
            return True

    def _stand_by(self) -> None:
        since: float | None = None
        complained = False
        while not self._stop.wait(STAND_BY_SECONDS):
            try:
                if self._try():
                    logger.info("this worker serves the metrics now: %s", self.url)
                    self._serve()
                    return
                since = None
            except OSError as error:
                since = since or time.monotonic()
                mine = self._turn is not None and self._turn.held
                if mine and not complained and time.monotonic() - since >= COMPLAIN_SECONDS:
                    complained = True
                    logger.warning("%s; it is tried again", self._refusal(error))

    def _serve(self) -> None:
        http = self._http
        if http is not None:
            http.serve_forever()

    # ── words ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _resolve(self) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
        """Look the address up once, here: a thread that stands by must not import codecs while another one forks."""
        try:
            found = socket.getaddrinfo(self._addr, self._asked, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:
            raise InputError(self._refusal(error)) from error
        family, _, _, _, address = found[0]
        return family, address

    def _refusal(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or error
        text = f"metrics can't be served on {self._addr}:{self._asked}: {reason}"
        if getattr(error, "errno", None) == EADDRINUSE:
            text += "; another program has that port"
            if self._turn is not None:
                text += f", or a modelwatch application with another storage than {self._turn.storage}"
            text += ": take another port"
        return text


def _check_address(port: object, addr: object) -> None:
    if not isinstance(addr, str):
        msg = f"addr must be text, such as '127.0.0.1', got {addr!r:.50}"
        raise InputError(msg)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= MAX_PORT:
        msg = f"port must be a whole number from 0 (any free one) to {MAX_PORT}, got {port!r:.50}"
        raise InputError(msg)


def start_metrics_server(port: int, addr: str, source: Source, storage: Path | None = None) -> MetricsServer:
    """
    Expose a registry over HTTP from a thread of its own; workers of one storage folder take turns.

    Parameters
    ----------
    port, addr
        Where to listen; port 0 takes any free one, and no turns.
    source
        Returns the registry, at each request.
    storage
        The storage folder of the workers that take turns, if there are others.

    Raises
    ------
    InputError
        If the port is taken by somebody else, or the address is none of this machine's.
    """
    return MetricsServer(port, addr, source, storage)
