"""When a store is cleaned up: once an hour, by whoever runs the scheduled checks, one bounded step after another."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelwatch.service.cleanup import Cleanup, Report
from modelwatch.store.alerts import epoch_seconds

if TYPE_CHECKING:
    from modelwatch.store import StoreWriter

INTERVAL_SECONDS = 3600.0
FIRST_SECONDS = 600.0
"""How long after the start the first cleanup is due: model servers have better things to do while they start."""
SLICE_SECONDS = 0.2
"""How long to clean up before looking whether something else is due."""


class Upkeep:
    """
    The cleanup of one store as scheduled work; used by one thread at a time.

    Parameters
    ----------
    cleanup
        What is to be done.
    store
        Knows when it was done last, by whomever.
    """

    def __init__(self, cleanup: Cleanup, store: StoreWriter) -> None:
        self._cleanup = cleanup
        self._store = store
        self._steps: Iterator[None] | None = None
        self._due: float | None = None
        self._pid = os.getpid()

    @property
    def running(self) -> bool:
        """Whether a cleanup has begun and is not done."""
        return self._steps is not None

    def due_at(self, started_at: float, now: float) -> float:
        """Return when there is something to do, for a process that began to be in charge at `started_at`."""
        if self._pid != os.getpid():
            self._pid, self._steps, self._due = os.getpid(), None, None
        if self.running:
            return now
        if self._due is None:
            last = self._store.last_cleanup()
            after_last = 0.0 if last is None else epoch_seconds(last["at"]) + INTERVAL_SECONDS
            # Not by a time far ahead: it was written under another clock.
            self._due = max(started_at + FIRST_SECONDS, min(after_last, now + INTERVAL_SECONDS))
        return self._due

    def step(self, now: float) -> bool:
        """
        Begin a cleanup, or do the next bounded step of the one that has begun; return whether there is more to do.

        Raises
        ------
        StorageError
            If the store can't be used; it is tried again when the next one is due.
        """
        if self._steps is None:
            self._due = now + INTERVAL_SECONDS
            self._steps = self._cleanup.steps(now, Report())
        steps, self._steps = self._steps, None
        for _ in steps:
            self._steps = steps
            break
        return self.running

    def advance(self, now: float) -> None:
        """Do steps for a moment."""
        deadline = time.monotonic() + SLICE_SECONDS
        while self.step(now) and time.monotonic() < deadline:
            pass
