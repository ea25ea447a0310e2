"""Secrets that stand in files, read anew at each use, so that a rotated one needs no restart."""

from __future__ import annotations

from pathlib import Path

from modelwatch.notify.errors import NotifyError

__all__ = ["read_address", "read_secret"]

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
