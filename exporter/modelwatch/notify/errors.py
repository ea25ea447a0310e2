"""The error of a notification that could not be delivered, and the removal of secrets from its words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from modelwatch.exceptions import ModelwatchError

__all__ = ["NotifyError", "reason_of", "redact"]

# "with url: /services/T0/B0/x" is how urllib3 names the path of a webhook when a connection fails.
_URLS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+|(?<=\burl: )\S+|/services/\S+", re.IGNORECASE)
_MAX_REASON = 300


class NotifyError(ModelwatchError):
    """A notification could not be delivered. The message never holds a URL, token or password.

    Parameters
    ----------
    message : str
        What went wrong, for a person.
    permanent : bool
        The same message will never get through: trying again is useless.
    retry_after : float or None
        Seconds for which the receiver asked to be left alone.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without the given secrets and without any URL (a webhook's URL is its password).

    >>> redact("refused by https://hooks.example.com/services/T0/B0/x: hunter2", ["hunter2"])
    'refused by <url> ***'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _URLS.sub("<url>", text)


def reason_of(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Return one short redacted line that says what went wrong.

    >>> reason_of(ValueError("cannot reach https://hooks.example.com/services/T0"))
    'ValueError: cannot reach <url>'
    >>> reason_of(NotifyError("no route to host"))
    'no route to host'
    """
    words = " ".join(redact(_text_of(error), secrets).split())[:_MAX_REASON]
    if isinstance(error, ModelwatchError):
        return words or type(error).__name__
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error of foreign code, whose __str__ is foreign too
        return "(its text can't be read)"
