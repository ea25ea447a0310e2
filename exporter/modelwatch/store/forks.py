"""Keep SQLite and ``fork`` apart.

A child that inherits an open SQLite connection also inherits SQLite's own record of the locks it believes to hold, so
that even a *new* connection of the child may work without a lock, and the parent may then delete the write-ahead log
under it (https://www.sqlite.org/howtocorrupt.html, 2.6). So, before a fork, work in progress is waited for and idle
connections are closed; both sides open new ones when they next need them. Where that takes too long, or the hooks
are not run, the child abandons what it inherited.

The state here is the process's, because forking is: it can't be passed as an argument.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["GATE", "ForkGate"]

_PATIENCE_SECONDS = 1.0


class _Closable(Protocol):
    def close_idle(self) -> None: ...


class ForkGate:
    """Knows whether any thread of this process is working on a database, and makes a fork wait for it.

    Parameters
    ----------
    patience
        How long a fork waits at most, in seconds.
    """

    def __init__(self, patience: float = _PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._condition = threading.Condition(threading.Lock())
        self._active = 0
        self._members: weakref.WeakSet[_Closable] = weakref.WeakSet()
        self._locked = False
        self._forking = False

    def add(self, member: _Closable) -> None:
        """Have ``member.close_idle()`` called before every fork, for as long as it lives."""
        with self._condition:
            self._members.add(member)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Mark this thread as working on a database."""
        with self._condition:
            # Else threads that always have work would keep a fork waiting until it gives up.
            self._condition.wait_for(lambda: not self._forking, 2 * self._patience)
            self._active += 1
        try:
            yield
        finally:
            with self._condition:
                self._active = max(0, self._active - 1)
                self._condition.notify_all()

    def before_fork(self) -> None:
        """Wait for work in progress, close idle connections, and let no new work begin until the fork is done."""
        self._locked = self._condition.acquire(timeout=self._patience)
        if not self._locked:
            return
        self._forking = True
        if self._condition.wait_for(lambda: self._active == 0, self._patience):
            for member in list(self._members):
                member.close_idle()

    def after_fork_in_parent(self) -> None:
        """Let work go on."""
        if self._locked:
            self._forking = False
            self._condition.notify_all()
            self._condition.release()

    def after_fork_in_child(self) -> None:
        """Start afresh: the threads that were at work do not exist here."""
        self._condition = threading.Condition(threading.Lock())
        self._active = 0
        self._forking = False


GATE = ForkGate()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=GATE.before_fork,
        after_in_parent=GATE.after_fork_in_parent,
        after_in_child=GATE.after_fork_in_child,
    )
