"""Which worker's turn it is to serve a port: whoever holds an ``flock`` on a file in the storage folder.

Never a process id, which means nothing across containers: the system itself takes the lock from a worker that dies,
however it dies. The child of a fork shares its parent's open files, and would keep a lock alive that the parent held.
So nothing is opened while a fork happens, and the child closes at once what it inherited.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

try:
    import fcntl
except ImportError:  # not a POSIX system
    HAVE_LOCKS = False
else:
    HAVE_LOCKS = True

__all__ = ["GUARD", "ForkGuard", "NoTurnsError", "Turn"]

FOLDER = "ports"
FOLDER_MODE, FILE_MODE = 0o770, 0o660
FORK_SECONDS = 1.0
"""How long a fork waits at most."""
_HELD = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})


class NoTurnsError(OSError):
    """Nothing can be locked in this folder."""


class Turn:
    """
    The turn to serve one address; taken and given back by one thread at a time, under the :data:`GUARD`.

    Parameters
    ----------
    storage
        The storage folder.
    addr, port
        The address.
    """

    def __init__(self, storage: Path, addr: str, port: int) -> None:
        self.storage = storage
        # Letters, digits and dots only, and never first a dot: an address is text that somebody typed.
        self.path = storage / FOLDER / f"at_{re.sub(r'[^0-9A-Za-z.]', '_', addr)[:100]}_{port}.lock"
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether it is ours."""
        return self._fd is not None

    def take(self) -> bool:
        """
        Take the turn; return whether it is ours now, or was already.

        Raises
        ------
        NoTurnsError
            If nothing can be locked in the storage folder.
        """
        if self._fd is not None:
            return True
        if not HAVE_LOCKS:
            msg = "this system has no file locks"
            raise NoTurnsError(msg)
        try:
            self.path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
            fd = os.open(self.path, flags, FILE_MODE)
        except OSError as error:
            raise NoTurnsError(error.errno, f"{self.path} can't be opened: {error}") from error
        try:
            taken = self._lock(fd)
        except BaseException:
            os.close(fd)
            raise
        if taken:
            self._fd = fd
        else:
            os.close(fd)
        return taken

    def _lock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here, there = os.fstat(fd), os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False  # somebody has just cleared the folder; the next try makes a new file
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise NoTurnsError(error.errno, f"{self.path} can't be locked: {error}") from error
        return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)

    def give_back(self) -> None:
        """Let another worker have it; does nothing if it is not ours."""
        fd, self._fd = self._fd, None
        if fd is not None:
            # Closing alone would not free it where a process was forked that has the file open as well.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def forget(self) -> None:
        """In the child of a fork: leave it to the parent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


class _Inherited(Protocol):
    def let_go(self) -> None: ...


class ForkGuard:
    """Keeps forks away from threads that open files which no child may inherit unknown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forking: set[int] = set()
        self._members: WeakSet[_Inherited] = WeakSet()

    def add(self, member: _Inherited) -> None:
        """Have ``member.let_go()`` called in the child of every fork, for as long as it lives."""
        self._members.add(member)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make forks wait; only for what takes no time."""
        with self._lock:
            yield

    def before_fork(self) -> None:
        """Wait for work in progress."""
        if self._lock.acquire(timeout=FORK_SECONDS):
            self._forking.add(threading.get_ident())

    def after_fork_in_parent(self) -> None:
        """Let work go on."""
        if threading.get_ident() in self._forking:
            self._forking.discard(threading.get_ident())
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Close what was inherited; its threads are the parent's."""
        self._lock = threading.Lock()
        self._forking.clear()
        for member in list(self._members):
            member.let_go()


# A fork concerns the whole process, so that this one guard can't hang on any object.
GUARD = ForkGuard()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=GUARD.before_fork,
        after_in_parent=GUARD.after_fork_in_parent,
        after_in_child=GUARD.after_fork_in_child,
    )
