"""A mailbox and a chat room on the loopback interface, that show and check what they are sent.

The demonstration lets people see their alerts with them; the tests send to the same ones.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from modelwatch.exceptions import MissingPackageError

if TYPE_CHECKING:
    import ssl

__all__ = ["SlackSink", "SmtpSink"]

T = TypeVar("T")
HOST = "127.0.0.1"
_START_SECONDS = 10.0
_MAX_BODY = 1_000_000


class _Inbox(Generic[T]):
    """What arrived, in order, with a way to wait for more."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._arrived: list[T] = []
        self._changed = threading.Condition()

    def add(self, item: T) -> None:
        with self._changed:
            self._arrived.append(item)
            self._changed.notify_all()

    def all(self) -> list[T]:
        with self._changed:
            return list(self._arrived)

    def wait_for(self, predicate: Callable[[T], bool], timeout: float) -> T:
        deadline = time.monotonic() + timeout
        seen = 0
        with self._changed:
            while True:
                for item in self._arrived[seen:]:
                    if predicate(item):
                        return item
                seen = len(self._arrived)
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    msg = f"no such {self._what} within {timeout:g} s; {seen} others arrived"
                    raise TimeoutError(msg)


class SmtpSink:
    r"""An SMTP server on an ephemeral port that keeps the e-mails it receives, as parsed messages.

    Parameters
    ----------
    tls_context : ssl.SSLContext or None
        Offer STARTTLS with this certificate.
    implicit_tls : bool
        Speak TLS from the first byte instead.
    credentials : (str, str) or None
        User name and password to insist on; accepted over TLS only.
    refuse : callable(address) -> bool or None
        Recipients to refuse with 550.

    Raises
    ------
    MissingPackageError
        If aiosmtpd is not installed.

    Examples
    --------
    >>> import smtplib
    >>> with SmtpSink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
    ...     _ = client.sendmail("a@example.com", ["b@example.com"], "Subject: hello\r\n\r\nworld\r\n")
    ...     sink.wait_for(lambda message: True, timeout=5)["Subject"]
    'hello'
    """

    host = HOST

    def __init__(
        self,
        *,
        tls_context: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        credentials: tuple[str, str] | None = None,
        refuse: Callable[[str], bool] | None = None,
    ) -> None:
        try:
            from aiosmtpd.smtp import SMTP, AuthResult
        except ImportError as error:
            msg = "the SMTP sink needs aiosmtpd: pip install 'modelwatch[demo]'"
            raise MissingPackageError(msg) from error
        self._smtp, self._auth_result = SMTP, AuthResult
        self._tls_context = tls_context
        self._implicit_tls = implicit_tls
        self._credentials = credentials
        self._refuse = refuse
        self._inbox: _Inbox[EmailMessage] = _Inbox("e-mail")
        self.recipients: list[list[str]] = []
        """Envelope recipients of each e-mail."""
        # Bound before the thread starts: the port is known, and connections made early wait in the backlog.
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="smtp-sink", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            msg = "the SMTP sink did not start"
            raise TimeoutError(msg)

    @property
    def address(self) -> str:
        """``host:port``, as a receiver's ``smtp`` takes it."""
        return f"{self.host}:{self.port}"

    @property
    def messages(self) -> list[EmailMessage]:
        """All e-mails so far."""
        return self._inbox.all()

    def wait_for(self, predicate: Callable[[EmailMessage], bool], timeout: float = 10.0) -> EmailMessage:
        """Return the first e-mail that fits, also one that is here already.

        Raises
        ------
        TimeoutError
            If none fits within `timeout` seconds.
        """
        return self._inbox.wait_for(predicate, timeout)

    def close(self) -> None:
        """Stop serving; idempotent."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        self._thread.join(_START_SECONDS)
        self._listener.close()

    def __enter__(self) -> SmtpSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ── what aiosmtpd calls ──────────────────────────────────────────────────────────────────────────────────────

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        server: Any,  # noqa: ANN401 - aiosmtpd has no types
        session: Any,  # noqa: ANN401
        envelope: Any,  # noqa: ANN401
        address: str,
        options: list[str],
    ) -> str:
        """Accept a recipient, or refuse it."""
        if self._refuse is not None and self._refuse(address):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self,
        server: Any,  # noqa: ANN401
        session: Any,  # noqa: ANN401
        envelope: Any,  # noqa: ANN401
    ) -> str:
        """Keep a message."""
        message = message_from_bytes(envelope.content, policy=default_policy)
        self.recipients.append(list(envelope.rcpt_tos))
        self._inbox.add(message)
        return "250 OK"

    def _authenticate(
        self,
        server: Any,  # noqa: ANN401
        session: Any,  # noqa: ANN401
        envelope: Any,  # noqa: ANN401
        mechanism: str,
        given: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        login = getattr(given, "login", b"").decode(), getattr(given, "password", b"").decode()
        # "handled" would mean that this method has answered the client itself.
        return self._auth_result(success=login == self._credentials, handled=False)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        options: dict[str, Any] = {"hostname": "sink.example.com", "loop": loop, "enable_SMTPUTF8": True}
        if self._tls_context is not None and not self._implicit_tls:
            options["tls_context"] = self._tls_context
        if self._credentials is not None:
            # With TLS from the first byte aiosmtpd sees a plain stream, on which it would not authenticate.
            plain = self._implicit_tls
            options |= {
                "authenticator": self._authenticate,
                "auth_required": not plain,
                "auth_require_tls": not plain,
            }
        server = await loop.create_server(
            lambda: self._smtp(self, **options),
            sock=self._listener,
            ssl=self._tls_context if self._implicit_tls else None,
        )
        self._loop = loop
        self._ready.set()
        await self._stop.wait()
        server.close()


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
        self._inbox: _Inbox[dict[str, Any]] = _Inbox("Slack message")
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
        self._thread.join(_START_SECONDS)

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
