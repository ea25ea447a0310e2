"""A mailbox on the loopback interface that speaks SMTP."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from types import TracebackType
from typing import TYPE_CHECKING, Any

from modelwatch.demo.received import HOST, Received
from modelwatch.exceptions import MissingPackageError

if TYPE_CHECKING:
    import ssl

__all__ = ["SmtpSink"]

_START_SECONDS = 10.0


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
        self._inbox: Received[EmailMessage] = Received("e-mail")
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
