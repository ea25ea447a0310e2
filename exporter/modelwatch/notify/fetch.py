"""One GET by the standard library, whose errors say what happened but not where."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from modelwatch.notify.errors import NotifyError, reason_of, redact
from modelwatch.notify.post import split_user
from modelwatch.notify.secret_files import usable_address

__all__ = ["get_json", "get_text", "in_short"]

MAX_ANSWER = 64 * 2**20


def get_text(
    url: str, *, what: str, timeout: float, query: Mapping[str, str] | None = None, agent: str = "modelwatch"
) -> str:
    """GET an address and return the body of a 2xx answer.

    Parameters
    ----------
    url : str
        An http(s) address, with ``user:password@`` for basic authentication; it appears in no error.
    what : str
        Who is asked, for messages.
    timeout : float
        Seconds for connecting and for each read.
    query : mapping, optional
        Fields to ask with.
    agent : str
        What the request calls itself.

    Raises
    ------
    NotifyError
        If there is no such answer.
    """
    if not usable_address(url):  # urllib would also open file: and ftp:
        msg = f"{what} has no usable address: an http(s) URL is needed"
        raise NotifyError(msg)
    bare, headers, user = split_user(url)
    hidden = [secret for secret in (url, *user) if secret]
    asked = f"{bare}?{urlencode(query)}" if query else bare
    request = urllib.request.Request(asked, headers={"User-Agent": agent, **headers})  # noqa: S310 - scheme checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - as above
            body: bytes = answer.read(MAX_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            raise NotifyError(f"{what} answered {error.code}") from None  # the error object knows the URL
    except urllib.error.URLError as error:
        reason = error.reason if isinstance(error.reason, BaseException) else NotifyError(str(error.reason))
        raise NotifyError(f"{what} can't be reached: {in_short(reason, hidden)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotifyError(f"{what} failed: {in_short(error, hidden)}") from None
    return body.decode("utf-8", "replace")


def in_short(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Return what went wrong in the words of the operating system, where it has any.

    >>> in_short(ConnectionRefusedError(111, "Connection refused")), in_short(TimeoutError("timed out"))
    ('Connection refused', 'TimeoutError: timed out')
    """
    words = error.strerror if isinstance(error, OSError) else None
    return redact(words, secrets) if words else reason_of(error, secrets)


def get_json(url: str, *, what: str, timeout: float, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401
    """GET an address and return what its JSON holds; as :func:`get_text`.

    Raises
    ------
    NotifyError
        If there is no such answer, or it is no JSON.
    """
    try:
        return json.loads(get_text(url, what=what, timeout=timeout, query=query))
    except ValueError:
        raise NotifyError(f"{what} does not answer in JSON: is it another program?") from None
