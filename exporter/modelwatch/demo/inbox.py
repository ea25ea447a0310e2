"""Where the demo's messages arrive: the log, the mail server and the Slack endpoint of this machine."""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from email.message import EmailMessage
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Protocol

from modelwatch.demo.script import Arrival

__all__ = ["Inbox"]

# What an alert is about, in the words of its text: the same whether it fires or is over, whatever else has changed.
_SUBJECT = re.compile(r"inputs?\b|predictions\b|latency\b|drift check\b")
_MESSAGE = re.compile(r'message=("(?:[^"\\]|\\.)*")')


class MailServer(Protocol):
    """A `SmtpSink`, as far as it matters here."""

    @property
    def messages(self) -> Sequence[EmailMessage]:
        """All e-mails so far."""


class SlackServer(Protocol):
    """A `SlackSink`, as far as it matters here."""

    @property
    def messages(self) -> Sequence[dict[str, Any]]:
        """All accepted bodies so far."""


class Inbox:
    """Collects what the three channels deliver, in the order in which it arrives.

    Parameters
    ----------
    smtp : MailServer
        The mail server.
    slack : SlackServer
        The Slack endpoint.
    log_lines : callable, optional
        Returns the new lines of the ``log`` channel where another process, the sidecar, writes it.

    Notes
    -----
    While it is open, the package's log lines come here and no longer go to standard error.
    """

    def __init__(
        self, smtp: MailServer, slack: SlackServer, log_lines: Callable[[], Iterable[str]] | None = None
    ) -> None:
        self._smtp = smtp
        self._slack = slack
        self._log_lines = log_lines
        self._log = _LogTap()
        self._logger = logging.getLogger("modelwatch")
        self._mails_read = 0
        self._posts_read = 0
        self._notes: list[str] = []
        self.arrivals: list[Arrival] = []

    def __enter__(self) -> Inbox:
        self._before = (self._logger.level, self._logger.propagate)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self._log)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._logger.removeHandler(self._log)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)

    def collect(self, now: float) -> list[Arrival]:
        """Return what has arrived since the last call; it counts as having arrived `now`."""
        found = [*self._from_log(now), *self._from_sidecar(now), *self._from_mail(now), *self._from_slack(now)]
        self.arrivals += found
        return found

    def notes(self) -> list[str]:
        """Return the warnings that the package has logged since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _from_log(self, now: float) -> Iterator[Arrival]:
        for record in self._log.take():
            alert = getattr(record, "alert", None)
            if isinstance(alert, dict):
                headline = str(alert.get("message", "")).partition("\n")[0]
                told = f"[{record.levelname}] {headline}"
                if alert.get("level") == "info":
                    self._notes.append(f"In the log: {told}")
                    continue
                line = f"{record.levelname} {record.name} {record.getMessage()}"
                yield Arrival("log", now, alert.get("status") == "firing", _subject(headline), told, line)
            elif record.levelno >= logging.WARNING:
                self._notes.append(f"In the log: {record.levelname} {record.name} {record.getMessage()}")

    def _from_sidecar(self, now: float) -> Iterator[Arrival]:
        for line in self._log_lines() if self._log_lines is not None else ():
            message = _MESSAGE.search(line)
            if message is not None and "level=info" not in line:
                headline = str(json.loads(message[1])).partition(" | ")[0]
                level = next((word for word in ("ERROR", "CRITICAL") if f"level={word.lower()}" in line), "WARNING")
                firing = "status=firing" in line
                told = f"[{level if firing else 'RESOLVED'}] {headline}"
                yield Arrival("log", now, firing, _subject(headline), told, line.strip())

    def _from_mail(self, now: float) -> Iterator[Arrival]:
        new = self._smtp.messages[self._mails_read :]
        self._mails_read += len(new)
        for mail in new:
            subject = str(mail["Subject"])
            body = mail.get_body(preferencelist=("plain",))
            text = "" if body is None else str(body.get_content()).strip()
            shown = f"Subject: {subject}\n\n{text}"
            yield Arrival("email", now, _is_firing(subject), _subject(subject), subject, shown)

    def _from_slack(self, now: float) -> Iterator[Arrival]:
        new = self._slack.messages[self._posts_read :]
        self._posts_read += len(new)
        for post in new:
            title, text = _slack_texts(post)
            yield Arrival("slack", now, _is_firing(title), _subject(title), title, text)


def _slack_texts(post: dict[str, Any]) -> tuple[str, str]:
    """Return the title and the text of a Slack message: ours has blocks, Alertmanager's has attachments."""
    attached = [part for part in post.get("attachments", ()) if isinstance(part, dict)]
    if attached:
        title = html.unescape(str(attached[0].get("title", "")))
        return title, "\n".join([title, html.unescape(str(attached[0].get("text", "")))])
    title = str(post.get("text", ""))
    blocks = [block.get("text", {}).get("text", "") for block in post.get("blocks", ())]
    return title, html.unescape("\n".join(blocks) or title)


class _LogTap(logging.Handler):
    """Keeps log records until they are taken, from whatever thread they come."""

    def __init__(self) -> None:
        super().__init__()
        self._records: SimpleQueue[logging.LogRecord] = SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self._records.put(record)

    def take(self) -> Iterator[logging.LogRecord]:
        while True:
            try:
                yield self._records.get_nowait()
            except Empty:
                return


def _is_firing(subject: str) -> bool:
    return not subject.startswith("[RESOLVED]")


def _subject(text: str) -> str:
    found = _SUBJECT.search(text)
    return found[0].removesuffix("s") if found else text
