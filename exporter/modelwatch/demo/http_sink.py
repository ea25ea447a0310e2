"""What the HTTP sinks share: a server on the loopback interface that keeps what it took, and fails when told to."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from typing_extensions import Self

from modelwatch.demo.received import HOST, Received

__all__ = ["Answer", "HttpSink", "is_json"]

_MAX_BODY = 1_000_000
_STOP_SECONDS = 10.0
Answer = tuple[int, "str | dict[str, Any]"]
"""Status and body: a dict goes as JSON, a text as plain text."""


class HttpSink(ABC):
    """An HTTP server that takes JSON by POST.

    Parameters
    ----------
    address : tuple of str and int
        Where to listen; by default any free port of this machine.
    """

    what = "message"
    host = HOST

    def __init__(self, address: tuple[str, int] = (HOST, 0)) -> None:
        self._inbox: Received[dict[str, Any]] = Received(self.what)
        self._failures: list[tuple[int, float | None]] = []
        self._lock = threading.Lock()
        self.requests = 0
        """POSTs so far, refused ones included."""
        self._server = _Server(address, _Request)
        self._server.sink = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="http-sink", daemon=True
        )
        self._thread.start()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The bodies that were accepted."""
        return self._inbox.all()

    def wait_for(self, predicate: Callable[[dict[str, Any]], bool], timeout: float = 10.0) -> dict[str, Any]:
        """Return the first accepted body that fits, also one that is here already.

        Raises
        ------
        TimeoutError
            If none fits within `timeout` seconds.
        """
        return self._inbox.wait_for(predicate, timeout)

    def fail(self, status: int, *, times: int = 1, retry_after: float | None = None) -> None:
        """Answer the next `times` requests with `status`; 0 hangs up without an answer."""
        with self._lock:
            self._failures += [(status, retry_after)] * times

    def next_failure(self) -> tuple[int, float | None] | None:
        """Take one of the failures that were asked for, and count the request."""
        with self._lock:
            self.requests += 1
            return self._failures.pop(0) if self._failures else None

    @abstractmethod
    def take(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Return status and body of the answer to a POST; `headers` has its names in lower case."""

    @abstractmethod
    def too_large(self) -> Answer:
        """Return the answer to a body that is too large to be read."""

    @abstractmethod
    def sick(self, status: int) -> Answer:
        """Return the answer to a request that is to fail."""

    def close(self) -> None:
        """Stop serving; idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def is_json(headers: Mapping[str, str]) -> bool:
    """Return whether a request says that it is JSON."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sink: HttpSink


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0

    def do_POST(self) -> None:
        """Hand the request to the sink, unless it is to fail."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else 0
        raw = self.rfile.read(min(size, _MAX_BODY))
        sink = self.server.sink
        failure = sink.next_failure()
        if failure is not None:
            status, retry_after = failure
            self.close_connection = True
            if status:
                self._answer(sink.sick(status), retry_after)
        elif size > _MAX_BODY:
            self.close_connection = True  # what was not read is no next request
            self._answer(sink.too_large())
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(sink.take(self.path, headers, raw))

    def do_GET(self) -> None:
        """Refuse: messages come by POST."""
        self._answer((405, "http_method_not_allowed"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Keep quiet: paths and keys are secrets."""

    def _answer(self, answer: Answer, retry_after: float | None = None) -> None:
        status, said = answer
        kind, text = ("text/plain", said) if isinstance(said, str) else ("application/json", json.dumps(said))
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", f"{retry_after:g}")
        self.end_headers()
        self.wfile.write(body)
