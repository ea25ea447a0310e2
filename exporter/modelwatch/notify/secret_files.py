"""Secrets that stand in files, read anew at each use, so that a rotated one needs no restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelwatch.notify.errors import NotifyError

if TYPE_CHECKING:
    from modelwatch.config.alerting import Receiver

__all__ = ["read_address", "read_secret", "secret_problem", "usable_address"]

_FILES = ("url_file", "token_file", "routing_key_file", "password_file")

_MAX_BYTES = 65536


def read_secret(path: str | Path, what: str) -> str:
    """Return what a file holds, without white space around it.

    Parameters
    ----------
    path : str or Path
        The file; its name may appear in errors, its content never does.
    what : str
        The configuration key, for the message.

    Raises
    ------
    NotifyError
        If the file cannot be read, is empty or is no text.
    """
    try:
        with Path(path).open("rb") as file:
            secret = file.read(_MAX_BYTES).decode().strip()
    except OSError as error:
        msg = f"{what} {str(path)!r} cannot be read: {error.strerror or type(error).__name__}"
        raise NotifyError(msg) from error
    except UnicodeDecodeError:
        msg = f"{what} {str(path)!r} is not UTF-8 text"
        raise NotifyError(msg) from None  # the error object carries the file's bytes
    if not secret:
        msg = f"{what} {str(path)!r} is empty"
        raise NotifyError(msg)
    return secret


def read_address(url: str | None, url_file: str | None) -> str:
    """Return the address of a receiver: written out, or from its file.

    Raises
    ------
    NotifyError
        If the file cannot be read, or there is neither.
    """
    if url is not None:
        return url
    if url_file is None:
        msg = "the receiver has neither url nor url_file"
        raise NotifyError(msg, permanent=True)
    return read_secret(url_file, "url_file")


def usable_address(url: str) -> bool:
    """Return whether alerts can be posted to an address: http(s), one line, and the name of a server.

    >>> usable_address("https://hooks.example.com/services/x"), usable_address("not a url"), usable_address("file:///x")
    (True, False, False)
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    # A line break in a URL would be a second request.
    return usable and url.isprintable() and " " not in url


def secret_problem(receiver: Receiver) -> str:
    """Return why a receiver can't deliver with the secret files that it names; "" if they look right now.

    The names of files are told, never what they hold.
    """
    for key in _FILES:
        path = getattr(receiver, key, None)
        if path is None:
            continue
        try:
            secret = read_secret(path, key)
        except NotifyError as error:
            return str(error)
        if key == "url_file" and not usable_address(secret):
            return f"{key} {path!r} holds no http(s) address"
        if not secret.isprintable():
            return f"{key} {path!r} must hold one line"
    return ""
