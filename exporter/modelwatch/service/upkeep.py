"""When a store is cleaned up: once an hour, by one of those who run scheduled checks, one step after another."""

from __future__ import annotations

import os
import time
import uuid
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
LEASE = "cleanup"
LEASE_SECONDS = 120.0
"""For how long nobody else begins a cleanup if this process is killed in one, or is held up."""


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
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._holder = f"cleanup-{self._pid}-{uuid.uuid4().hex[:12]}"
        self._steps: Iterator[None] | None = None
        self._due: float | None = None
        self._renew_at = 0.0

    @property
    def running(self) -> bool:
        """Whether a cleanup has begun and is not done."""
        return self._steps is not None

    def due_at(self, started_at: float, now: float) -> float:
        """
        Return when there is something to do, for a process that began to be in charge at `started_at`.

        Raises
        ------
        StorageError
            If the store can't be used.
        """
        if self._pid != os.getpid():
            self._begin_anew()
        if self.running:
            return now
        if self._due is None or self._due <= now:  # another process may have cleaned up since it was planned
            planned = started_at + FIRST_SECONDS if self._due is None else self._due
            last = self._store.last_cleanup()
            done_at = 0.0 if last is None else epoch_seconds(last["at"])
            # One that was done later than now was done under another clock.
            self._due = max(planned, done_at + INTERVAL_SECONDS) if done_at <= now else planned
        # Looked at each time, as the clock may be set back by any time at all.
        self._due = min(self._due, now + INTERVAL_SECONDS)
        return self._due

    def step(self, now: float) -> bool:
        """
        Begin a cleanup, or do the next bounded step of the one that has begun; return whether there is more to do.

        Nothing is begun while another process is at it; one that another has taken over meanwhile is left to that.

        Raises
        ------
        StorageError
            If the store can't be used; it is tried again when the next one is due.
        """
        steps, self._steps = self._steps, None
        if steps is None:
            self._due = now + INTERVAL_SECONDS
        if steps is None or time.monotonic() >= self._renew_at:
            if not self._store.acquire_lease(LEASE, self._holder, LEASE_SECONDS, now):
                return False
            self._renew_at = time.monotonic() + LEASE_SECONDS / 4
        steps = self._cleanup.steps(now, Report()) if steps is None else steps
        try:
            for _ in steps:
                self._steps = steps
                break
        finally:
            if self._steps is None:
                self._store.release_lease(LEASE, self._holder)
        return self.running

    def advance(self, now: float) -> None:
        """Do steps for a moment."""
        deadline = time.monotonic() + SLICE_SECONDS
        while self.step(now) and time.monotonic() < deadline:
            pass
