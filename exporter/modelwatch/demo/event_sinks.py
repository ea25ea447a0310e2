"""PagerDuty and a webhook on the loopback interface: they take what the real ones take, and refuse the rest."""

from __future__ import annotations

import base64
import json
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from typing_extensions import Self

from modelwatch.demo.received import HOST, Received

__all__ = ["PagerDutySink", "WebhookSink"]

_MAX_BODY = 512 * 1024
_STOP_SECONDS = 10.0
Answer = tuple[int, dict[str, Any]]


class _JsonSink(ABC):
    """An HTTP server that takes JSON by POST."""

    what = "message"
    host = HOST

    def __init__(self) -> None:
        self._inbox: Received[dict[str, Any]] = Received(self.what)
        self._failures: list[tuple[int, float | None]] = []
        self._lock = threading.Lock()
        self.requests = 0
        """POSTs so far, refused ones included."""
        self._server = _Server((HOST, 0), _Request)
        self._server.sink = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="event-sink", daemon=True
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
        """Return status and body of the answer to a request."""

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


class PagerDutySink(_JsonSink):
    """The Events API v2 of PagerDuty: which incidents are open, by deduplication key.

    Parameters
    ----------
    routing_key : str
        The only integration key that it knows.

    Examples
    --------
    >>> from urllib.request import Request, urlopen
    >>> with PagerDutySink() as sink:
    ...     event = {"routing_key": sink.routing_key, "event_action": "trigger", "dedup_key": "k",
    ...              "payload": {"summary": "it is off", "severity": "critical", "source": "ad_score"}}
    ...     head = {"Content-Type": "application/json"}
    ...     with urlopen(Request(sink.url, data=json.dumps(event).encode(), headers=head)) as answer:
    ...         print(answer.status, sorted(sink.open_incidents))
    202 ['k']
    """

    what = "event"

    def __init__(self, routing_key: str = "0123456789abcdef0123456789abcdef") -> None:
        self.routing_key = routing_key
        self.open_incidents: dict[str, dict[str, Any]] = {}
        """The last trigger of each, by deduplication key."""
        super().__init__()

    @property
    def url(self) -> str:
        """The address that events are posted to."""
        return f"http://{self.host}:{self.port}/v2/enqueue"

    def take(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Take an event, or refuse it with the words of PagerDuty."""
        if path != "/v2/enqueue":
            return 404, {"status": "not found"}
        try:
            event = json.loads(raw)
        except ValueError:
            return 400, {"status": "Unrecognized object", "message": "Event object format is unrecognized",
                         "errors": ["JSON parse error"]}  # fmt: skip
        errors = _event_errors(event, self.routing_key)
        if errors:
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
        key = str(event.get("dedup_key") or f"key-{self.requests}")
        with self._lock:
            if event["event_action"] == "trigger":
                self.open_incidents[key] = event
            elif event["event_action"] == "resolve":
                self.open_incidents.pop(key, None)
        self._inbox.add(event)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}


class WebhookSink(_JsonSink):
    """An address that takes any JSON object, and can insist on basic authentication.

    Parameters
    ----------
    credentials : tuple of str and str, or None
        User name and password that it insists on.
    """

    what = "call"

    def __init__(self, credentials: tuple[str, str] | None = None) -> None:
        self._credentials = credentials
        super().__init__()

    @property
    def url(self) -> str:
        """The address, whose path is a secret."""
        return f"http://{self.host}:{self.port}/hook/S3CRET"

    def take(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Take a JSON object."""
        if path != "/hook/S3CRET":
            return 404, {"error": "no such hook"}
        if self._credentials is not None:
            expected = f"Basic {base64.b64encode(':'.join(self._credentials).encode()).decode()}"
            if headers.get("Authorization") != expected:
                return 401, {"error": "who are you?"}
        try:
            body = json.loads(raw)
        except ValueError:
            return 400, {"error": "no JSON"}
        if not isinstance(body, dict):
            return 400, {"error": "no object"}
        self._inbox.add(body)
        return 200, {}


def _event_errors(event: object, routing_key: str) -> list[str]:
    """Return what PagerDuty would refuse an event for."""
    if not isinstance(event, dict):
        return ["Event object is not an object"]
    errors = []
    key = event.get("routing_key")
    if not isinstance(key, str) or len(key) != 32:
        errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    elif key != routing_key:
        errors.append("'routing_key' is invalid")
    action = event.get("event_action")
    if action not in ("trigger", "acknowledge", "resolve"):
        errors.append("'event_action' is missing or invalid")
    dedup_key = event.get("dedup_key", "")
    if not isinstance(dedup_key, str) or len(dedup_key) > 255 or (action != "trigger" and not dedup_key):
        errors.append("'dedup_key' is missing, or longer than 255 characters")
    if action == "trigger":
        errors += _payload_errors(event.get("payload"))
        links = event.get("links", [])
        if not isinstance(links, list) or not all(
            isinstance(link, dict) and re.match("https?://", str(link.get("href"))) for link in links
        ):
            errors.append("'links' must be a list of objects with an 'href'")
    return errors


def _payload_errors(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    errors = []
    summary = payload.get("summary")
    if not isinstance(summary, str) or not 1 <= len(summary) <= 1024:
        errors.append("'payload.summary' must be 1 to 1024 characters")
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        errors.append("'payload.severity' is invalid (must be one of critical, warning, error, info)")
    if not isinstance(payload.get("source"), str) or not payload["source"]:
        errors.append("'payload.source' is missing or blank")
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("'payload.custom_details' must be an object")
    try:
        datetime.fromisoformat(str(payload.get("timestamp", "2026-01-01T00:00:00+00:00")).replace("Z", "+00:00"))
    except ValueError:
        errors.append("'payload.timestamp' is no ISO-8601 time")
    return errors


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sink: _JsonSink


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0

    def do_POST(self) -> None:
        """Hand the request to the sink, unless it is to fail."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else 0
        raw = self.rfile.read(min(size, _MAX_BODY))
        failure = self.server.sink.next_failure()
        if failure is not None:
            status, retry_after = failure
            self.close_connection = True
            if status:
                self._answer(status, {"status": "sick"}, retry_after)
        elif size > _MAX_BODY:
            self._answer(413, {"status": "too large"})
        elif self.headers.get_content_type() != "application/json":
            self._answer(400, {"status": "invalid event", "errors": ["Content-Type must be application/json"]})
        else:
            self._answer(*self.server.sink.take(self.path, dict(self.headers), raw))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Keep quiet: paths and keys are secrets."""

    def _answer(self, status: int, said: dict[str, Any], retry_after: float | None = None) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", f"{retry_after:g}")
        self.end_headers()
        self.wfile.write(body)
