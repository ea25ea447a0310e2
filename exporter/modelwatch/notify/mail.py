"""The e-mail channel: one message per alert, plain text and HTML, by SMTP with STARTTLS or TLS."""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid, parseaddr
from typing import TYPE_CHECKING, Any

from modelwatch.notify.errors import NotifyError, reason_of
from modelwatch.notify.messages import text_of
from modelwatch.notify.secret_files import read_secret
from modelwatch.notify.wording import clean

if TYPE_CHECKING:
    from modelwatch.config import EmailReceiver

__all__ = ["EmailHandler"]

logger = logging.getLogger("modelwatch")

_TLS_PORT = 465
DEFAULT_TIMEOUT = 15.0


class EmailHandler:
    """Send an alert by e-mail.

    Parameters
    ----------
    receiver : EmailReceiver
        Addresses, server, credentials (the password only as a file, read at each send) and kind of TLS.
    tls_context : ssl.SSLContext or None
        Trusted certificates; None is the system's (``SSL_CERT_FILE`` is honoured).
    timeout : float
        Seconds that one step of the conversation may take.
    """

    def __init__(
        self, receiver: EmailReceiver, *, tls_context: ssl.SSLContext | None = None, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self._receiver = receiver
        self._host, self._port = receiver.host, receiver.port
        self._sender = receiver.from_ or _default_sender(receiver.username)
        self._tls_context = tls_context
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._host}:{self._port}, to {len(self._receiver.to)} addresses)"

    def __call__(self, alert: Mapping[str, Any]) -> None:
        """Send one alert.

        Raises
        ------
        NotifyError
            If no recipient was reached; the message holds neither user name nor password.
        """
        receiver = self._receiver
        password = read_secret(receiver.password_file, "password_file") if receiver.password_file else ""
        secrets = [secret for secret in (password, receiver.username) if secret]
        message = compose(alert, sender=self._sender, to=receiver.to)
        # The envelope takes bare addresses: a name such as "Zoë <zoe@example.com>" belongs in the header only.
        sender, to = parseaddr(self._sender)[1], [parseaddr(address)[1] for address in receiver.to]
        with _explained(f"e-mail by {self._host}:{self._port}", secrets), self._connect() as server:
            if receiver.username:
                server.login(receiver.username, password)
            refused = server.send_message(message, from_addr=sender, to_addrs=to)
        if refused:
            # Some got it: sending again would tell them twice.
            logger.warning("e-mail: %d of %d recipients were refused by the server", len(refused), len(receiver.to))

    def _connect(self) -> smtplib.SMTP:
        """Return a connection that is as private as it is configured to be, or raise."""
        tls = self._receiver.tls
        context = self._tls_context or ssl.create_default_context()
        # Left to itself smtplib looks up the host's full name, which takes seconds where there is no DNS.
        name = _host_name()
        if tls == "tls" or (tls == "auto" and self._port == _TLS_PORT):
            return smtplib.SMTP_SSL(self._host, self._port, local_hostname=name, timeout=self._timeout, context=context)
        server = smtplib.SMTP(self._host, self._port, local_hostname=name, timeout=self._timeout)
        try:
            server.ehlo_or_helo_if_needed()
            # "auto" with a password insists: else whoever strips the offer on the way would read it.
            if tls == "starttls" or (tls == "auto" and (self._receiver.username or server.has_extn("starttls"))):
                server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server


def compose(alert: Mapping[str, Any], *, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return the e-mail of an alert: every header on one line, a text part and an HTML part."""
    text = text_of(alert)
    message = EmailMessage(policy=SMTP)
    message["Subject"] = clean(text.subject)
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(idstring="modelwatch", domain=_domain(sender))
    message["Auto-Submitted"] = "auto-generated"
    fingerprint = str(alert.get("fingerprint") or "")
    if fingerprint.isalnum() and fingerprint.isascii():
        # Mail programs then show firing, repeated and resolved as one thread.
        message["References"] = f"<modelwatch-{fingerprint}@{_domain(sender)}>"
    body = "\n".join((clean(text.headline), "", *(clean(line) for line in text.lines)))
    message.set_content(f"{body}\n")
    page = f'<html><body style="font-family:sans-serif">\n{text.html}\n</body></html>\n'
    message.add_alternative(_encodable(page), subtype="html")
    return message


def _default_sender(username: str | None) -> str:
    return username if username and "@" in username else f"modelwatch@{_host_name()}"


def _host_name() -> str:
    name = socket.gethostname()
    return name if name.isascii() and name.replace(".", "").replace("-", "").isalnum() else "localhost"


def _domain(sender: str) -> str:
    domain = sender.rpartition("@")[2].strip("> ")
    return domain if domain.isascii() and domain.replace(".", "").replace("-", "").isalnum() else "localhost"


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def _explained(what: str, secrets: list[str]) -> Iterator[None]:
    """Turn whatever smtplib and the network raise into one sentence without secrets."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        msg = f"{what} failed: all recipients were refused ({', '.join(map(str, codes))})"
        raise NotifyError(msg, permanent=all(code >= 500 for code in codes)) from None
    except smtplib.SMTPAuthenticationError as error:
        msg = f"{what} failed: user name or password was not accepted ({error.smtp_code})"
        raise NotifyError(msg) from None
    except smtplib.SMTPNotSupportedError as error:
        msg = f"{what} failed: {reason_of(error, secrets)} (`tls: none` if the server is not meant to offer it)"
        raise NotifyError(msg) from None
    except smtplib.SMTPResponseException as error:
        answer = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
        msg = f"{what} failed: the server said {error.smtp_code} {reason_of(NotifyError(answer), secrets)}"
        raise NotifyError(msg, permanent=isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        # ssl.SSLError is an OSError; ValueError is what smtplib says of a name or password it cannot encode.
        raise NotifyError(f"{what} failed: {reason_of(error, secrets)}") from None
