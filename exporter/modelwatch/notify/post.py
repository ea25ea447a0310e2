"""One POST of JSON by the standard library, whose errors say what happened but not where to."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from modelwatch.notify.errors import NotifyError, reason_of
from modelwatch.notify.secret_files import usable_address

__all__ = ["post_json", "split_user"]

_MAX_ANSWER = 65536
_SHOWN_ANSWER = 80
_HOPELESS = frozenset({400, 413, 422})
"""The message itself was refused. 401, 403 and 404 are not here: the secret's file may be put right meanwhile."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET, which delivers nothing and still looks like success."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        """Refuse: the 3xx answer then surfaces as an error."""
        return


def post_json(
    url: str,
    payload: dict[str, Any] | list[Any],
    *,
    what: str,
    timeout: float,
    bearer: str = "",
    secrets: Sequence[str] = (),
) -> str:
    """POST `payload` and return the body of a 2xx answer.

    Parameters
    ----------
    url : str
        An http(s) address, with ``user:password@`` for basic authentication. It is a secret for many receivers and
        appears in no error.
    payload : dict or list
        JSON-ready values.
    what : str
        Who is called, for messages: ``Slack webhook``.
    timeout : float
        Seconds for connecting and for each read.
    bearer : str
        A token for the ``Authorization`` header.
    secrets : sequence of str
        What the payload holds and no error may repeat.

    Raises
    ------
    NotifyError
        With ``retry_after`` from the receiver's header; ``permanent`` where the message itself was refused.
    """
    hidden = [secret for secret in (url, bearer, *secrets, *split_user(url)[2]) if secret]
    request = _request(url, payload, what, bearer)
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=timeout) as answer:
            body: bytes = answer.read(_MAX_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, what, hidden) from None  # the error object knows the URL
    except urllib.error.URLError as error:
        reason = error.reason if isinstance(error.reason, BaseException) else NotifyError(str(error.reason))
        raise NotifyError(f"{what} cannot be reached: {reason_of(reason, hidden)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotifyError(f"{what} failed: {reason_of(error, hidden)}") from None
    return body.decode("utf-8", "replace")


def split_user(url: str) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """Return an address without user name and password, the header that carries them instead, and both, decoded.

    urllib would take "user:password@host" for the name of the host.

    >>> split_user("http://me:s%40@am:9093/x")
    ('http://am:9093/x', {'Authorization': 'Basic bWU6c0A='}, ('me', 's@'))
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, {}, ()
    if "@" not in parts.netloc:
        return url, {}, ()
    user = unquote(parts.username or ""), unquote(parts.password or "")
    header = {"Authorization": f"Basic {base64.b64encode(':'.join(user).encode()).decode()}"}
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), header, user


def _request(url: str, payload: dict[str, Any] | list[Any], what: str, bearer: str) -> urllib.request.Request:
    if not usable_address(url):  # urllib would also open file: and ftp:
        msg = f"{what} has no usable address: an http(s) URL is needed"
        raise NotifyError(msg)
    if not bearer.isprintable():
        msg = f"{what} has no usable token: it must be one line"
        raise NotifyError(msg)
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "modelwatch"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    else:
        url, credentials, _ = split_user(url)
        headers |= credentials
    body = json.dumps(payload).encode()
    return urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - scheme checked above


def _refusal(error: urllib.error.HTTPError, what: str, secrets: list[str]) -> NotifyError:
    try:
        answer = error.read(_MAX_ANSWER).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        answer = ""
    said = reason_of(NotifyError(answer), secrets)[:_SHOWN_ANSWER] if answer.strip() else ""
    message = f"{what} answered {error.code}" + (f": {said}" if said else "")
    return NotifyError(message, permanent=error.code in _HOPELESS, retry_after=_retry_after(error))


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    value = (error.headers.get("Retry-After") or "").strip()
    return float(value) if value.isdecimal() else None
