"""What may take seconds, done on one thread, in order, for callers that can't wait."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["CAPACITY", "Errands"]

CAPACITY = 1000
"""How many errands may be under way; the queue of an alert channel holds as many."""

Errand = Callable[[], Callable[[], object]]
"""Begins something and returns how to finish it, for which it may wait."""


class Errands:
    """
    A bounded queue and the daemon thread that empties it, started with the first errand.

    All that wait are begun before any is finished: who waits for a dead channel holds up no other's beginning.

    Parameters
    ----------
    capacity
        How many may be under way; what comes beyond is refused.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._new: deque[Errand] = deque()
        self._begun: deque[Callable[[], object]] = deque()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._closing = False
        self._pid = os.getpid()

    def put(self, errand: Errand) -> bool:
        """Take an errand and return at once; False if too many are under way, or it is closed."""
        if self._pid != os.getpid():
            self._reset()  # threads do not survive a fork, and what waited is the parent's
        with self._changed:
            if self._closing or self._under_way() >= self._capacity:
                return False
            self._new.append(errand)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="modelwatch-errands", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return True

    def close(self, timeout: float) -> bool:
        """Take no more, and wait for those under way; False if `timeout` seconds were too short."""
        if self._pid != os.getpid():
            return True
        deadline = time.monotonic() + timeout
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._under_way(), max(0.0, deadline - time.monotonic()))

    def _under_way(self) -> int:
        return len(self._new) + len(self._begun) + self._busy

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._new or self._begun or self._closing)
                if not self._new and not self._begun:
                    return
                begin = self._new.popleft() if self._new else None
                finish = self._begun.popleft() if begin is None else None
                self._busy = True
            try:
                if begin is not None:
                    self._begun.append(begin())
                elif finish is not None:
                    finish()
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
