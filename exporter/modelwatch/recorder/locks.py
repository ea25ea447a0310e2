"""Waiting for a lock on a file for a while, since whoever holds it may be stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # not a POSIX system: every process counts alone
    HAVE_LOCKS = False
else:
    HAVE_LOCKS = True

__all__ = ["HAVE_LOCKS", "locked"]

RETRY_SECONDS = 0.005


@contextmanager
def locked(fd: int, patience: float) -> Iterator[None]:
    """
    Hold the ``flock`` of an open file.

    Parameters
    ----------
    fd
        Its descriptor; stays open.
    patience
        Seconds to wait at most.

    Raises
    ------
    BlockingIOError
        If somebody else holds it for longer.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(RETRY_SECONDS)
    try:
        yield
    finally:
        # Closing alone would not free it if the process was forked meanwhile: the child has the file open as well.
        fcntl.flock(fd, fcntl.LOCK_UN)
