"""A chat room on the loopback interface that answers as Slack does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from modelwatch.demo.received import HOST, Received

__all__ = ["SlackSink"]

_MAX_BODY = 1_000_000
_STOP_SECONDS = 10.0


class SlackSink:
    """An HTTP server that behaves as Slack does, towards an incoming webhook and ``chat.postMessage``.

    Bodies that Slack would refuse are refused, with Slack's words. :meth:`fail` makes it a sick Slack.

    Parameters
    ----------
    token : str
        The bot token that ``chat.postMessage`` insists on.
    address : tuple of str and int
        Where to listen; by default any free port of this machine.

    Examples
    --------
    >>> from urllib.request import Request, urlopen
    >>> with SlackSink() as sink:
    ...     head = {"Content-Type": "application/json"}
    ...     with urlopen(Request(sink.url, data=b'{"text": "hello"}', headers=head)) as answer:
    ...         print(answer.read().decode(), sink.messages)
    ok [{'text': 'hello'}]
    """

    host = HOST

    def __init__(
        self,
        *,
        token: str = "xoxb-sink",  # noqa: S107 - it opens nothing but this sink
        address: tuple[str, int] = (HOST, 0),
    ) -> None:
        self.token = token
        self._inbox: Received[dict[str, Any]] = Received("Slack message")
        self._failures: list[tuple[int, float | None]] = []
        self._lock = threading.Lock()
        self.requests = 0
        """POSTs so far, refused ones included."""
        self._server = _Server(address, _SlackRequest)
        self._server.sink = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="slack-sink", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the incoming webhook."""
        return f"http://{self.host}:{self.port}/services/T000/B000/sink"

    @property
    def api_url(self) -> str:
        """The address of ``chat.postMessage``."""
        return f"http://{self.host}:{self.port}/api/chat.postMessage"

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

    def close(self) -> None:
        """Stop serving; idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_STOP_SECONDS)

    def __enter__(self) -> SlackSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def next_failure(self) -> tuple[int, float | None] | None:
        """Take one of the failures that were asked for, and count the request."""
        with self._lock:
            self.requests += 1
            return self._failures.pop(0) if self._failures else None

    def accept(self, body: dict[str, Any]) -> None:
        """Keep a message."""
        self._inbox.add(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sink: SlackSink


class _SlackRequest(BaseHTTPRequestHandler):
    """One request; answers with the words that Slack uses."""

    server: _Server
    timeout = 10.0

    def do_POST(self) -> None:
        """Take a message, or refuse it."""
        length = self.headers.get("Content-Length", "")
        raw = self.rfile.read(min(int(length), _MAX_BODY)) if length.isdecimal() else b""
        failure = self.server.sink.next_failure()
        if failure is not None:
            self._fail(*failure)
        elif self.path == "/api/chat.postMessage":
            self._as_api(raw)
        elif self.path.startswith("/services/"):
            self._as_webhook(raw)
        else:
            self._answer(404, "no_service")

    def do_GET(self) -> None:
        """Refuse: Slack takes POST."""
        self._answer(405, "http_method_not_allowed")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Keep quiet: the path of a webhook is a secret."""

    def _as_webhook(self, raw: bytes) -> None:
        body = self._message(raw)
        if isinstance(body, str):
            self._answer(400, body)
            return
        self.server.sink.accept(body)
        self._answer(200, "ok")

    def _as_api(self, raw: bytes) -> None:
        body = self._message(raw)
        if self.headers.get("Authorization") != f"Bearer {self.server.sink.token}":
            body = "invalid_auth"
        elif isinstance(body, dict) and not body.get("channel"):
            body = "channel_not_found"
        if isinstance(body, dict):
            self.server.sink.accept(body)
        said = {"ok": True, "ts": "1"} if isinstance(body, dict) else {"ok": False, "error": body}
        self._answer(200, json.dumps(said), content_type="application/json; charset=utf-8")

    def _message(self, raw: bytes) -> dict[str, Any] | str:
        """Return the body, or Slack's word for what is wrong with it."""
        if self.headers.get_content_type() != "application/json":
            return "invalid_payload"
        try:
            body = json.loads(raw)
        except ValueError:
            return "invalid_payload"
        if not isinstance(body, dict):
            return "invalid_payload"
        if not any(body.get(key) for key in ("text", "blocks", "attachments")):
            return "no_text"
        return body if _blocks_are_valid(body.get("blocks", [])) else "invalid_blocks"

    def _fail(self, status: int, retry_after: float | None) -> None:
        self.close_connection = True
        if status:
            self._answer(status, "rate_limited" if status == 429 else "server_error", retry_after=retry_after)

    def _answer(
        self,
        status: int,
        text: str,
        *,
        retry_after: float | None = None,
        content_type: str = "text/plain; charset=utf-8",
    ) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if retry_after is not None:
            self.send_header("Retry-After", f"{retry_after:g}")
        self.end_headers()
        self.wfile.write(body)


def _blocks_are_valid(blocks: object) -> bool:
    """Check the limits that Slack documents: 50 blocks, sections of 1 to 3000 characters."""
    if not isinstance(blocks, list) or len(blocks) > 50:
        return False
    for block in blocks:
        if not isinstance(block, dict) or "type" not in block:
            return False
        text = block.get("text")
        if block["type"] == "section" and not (
            isinstance(text, dict)
            and text.get("type") in ("mrkdwn", "plain_text")
            and isinstance(text.get("text"), str)
            and 1 <= len(text["text"]) <= 3000
        ):
            return False
    return True
