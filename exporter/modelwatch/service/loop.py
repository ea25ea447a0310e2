"""The background thread that runs scheduled checks where no sidecar does, and else delivers what a sidecar queued.

One process per model does it, by a lease in the store; the others stand by and take over when it stops renewing.
Nothing here runs on a predict path. A fault in one model's check is counted, logged once, and stops no other.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelwatch.exceptions import MissingPackageError

if TYPE_CHECKING:
    from modelwatch.service.claims import Claims
    from modelwatch.service.jobs import Jobs
    from modelwatch.service.upkeep import Upkeep

logger = logging.getLogger("modelwatch")

LEASE_SECONDS = 30.0
OPERATIONAL_INTERVAL = 60.0
STAND_BY_SECONDS = 2.0
"""How soon a process that leaves the checks to a sidecar looks again: for alerts to deliver, and whether it is gone."""
START_DELAY = 60.0
"""Model servers have better things to do while they start."""


class CheckLoop:
    """Runs what is due, under the store's lease; started lazily, and again in a forked child."""

    def __init__(
        self,
        jobs: Jobs,
        claims: Claims | None = None,
        upkeep: Upkeep | None = None,
        *,
        clock: Callable[[], float] = time.time,
        before: Callable[[], object] = bool,
    ) -> None:
        self._jobs = jobs
        self._claims = claims
        self._upkeep = upkeep
        self._clock = clock
        self._before = before
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._started_at = clock()
        self._due: dict[str, float] = {}
        self._operational_due: float | None = None
        self._said: set[str] = set()
        self.owner = False
        self.closed = False

    def ensure_running(self) -> None:
        """Start the thread if this process has none yet; cheap enough to call once a second."""
        if self.closed or (self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()):
            return
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._started_at = self._clock()
        self._thread = threading.Thread(target=self._run, name="modelwatch-checks", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 10.0) -> None:
        """Stop the thread and give the lease back; idempotent."""
        self.closed = True
        self._stop.set()
        thread = self._thread
        if thread is not None and self._pid == os.getpid() and thread is not threading.current_thread():
            thread.join(timeout)
        if self.owner and self._pid == os.getpid():
            self._guarded("lease", self._jobs.leases.release)
            self.owner = False

    def _run(self) -> None:
        stop = self._stop
        while not stop.is_set():
            wait = self.tick(self._clock())
            stop.wait(wait)

    def tick(self, now: float) -> float:
        """Run what is due at `now`; return in how many seconds to look again."""
        self._guarded("following the store", self._before)
        if self._sidecar_runs(now):
            return self._stand_by(now)
        acquired: list[bool] = []
        self._guarded("lease", lambda: acquired.append(self._jobs.leases.acquire(now, LEASE_SECONDS)))
        self.owner = bool(acquired and acquired[0])
        if not self.owner:
            return LEASE_SECONDS / 3
        self._guarded("alerts of retired models", lambda: self._jobs.close_retired(now))
        intervals = self._jobs.intervals()
        for model_id in intervals:
            self._guarded(f"check of {model_id!r}", lambda m=model_id: self._check_if_due(m, now))  # type: ignore[misc]
        self._due = {model_id: due for model_id, due in self._due.items() if model_id in intervals}
        if self._operational_due is None:
            self._operational_due = self._started_at + min([START_DELAY, *intervals.values()])
        self._operational_due = min(self._operational_due, now + max(OPERATIONAL_INTERVAL, START_DELAY))
        if now >= self._operational_due:
            self._guarded("operational checks", lambda: self._jobs.operational(now))
            self._operational_due = now + OPERATIONAL_INTERVAL
        cleanup_due = self._clean_up(now)
        soonest = min([*self._due.values(), self._operational_due, cleanup_due, now + LEASE_SECONDS / 3])
        return max(0.05, soonest - self._clock())

    def _clean_up(self, now: float) -> float:
        """Clean up for a moment if that is due; return when to go on."""
        upkeep, due = self._upkeep, [math.inf]
        if upkeep is not None:
            self._guarded("cleanup", lambda: due.append(upkeep.due_at(self._started_at, now)))
            if due[-1] <= now:
                self._guarded("cleanup", lambda: upkeep.advance(now))
                self._guarded("cleanup", lambda: due.append(upkeep.due_at(self._started_at, now)))
        return due[-1]

    def _check_if_due(self, model_id: str, now: float) -> None:
        if model_id not in self._due:
            self._due[model_id] = self._jobs.first_due(model_id, self._started_at, START_DELAY)
        # Due times are wall times, and a clock may have been ahead.
        due = self._due[model_id] = min(self._due[model_id], self._jobs.latest_due(model_id, now) + START_DELAY)
        if now >= due and self._jobs.leases.still_holds(model_id):
            self._due[model_id] = self._jobs.due_after(model_id, due, now)
            self._jobs.check(model_id, now)

    def _sidecar_runs(self, now: float) -> bool:
        found: list[bool] = []
        self._guarded("lease of the sidecar", lambda: found.append(self._jobs.sidecar_runs(now)))
        return bool(found and found[0])

    def _stand_by(self, now: float) -> float:
        """Leave the checks to a sidecar, and deliver what it queued for handlers of this process."""
        if self.owner:
            self._guarded("lease", self._jobs.leases.release)
            self.owner = False
        claims = self._claims
        if claims is not None:
            self._guarded("alerts of the sidecar", lambda: claims.round(now))
        return STAND_BY_SECONDS

    def _guarded(self, what: str, job: Callable[[], object]) -> None:
        """Run a job; count nothing here (jobs count their own failures), log each kind of fault once."""
        try:
            job()
        except MissingPackageError as error:
            self._say_once(what, f"this process only records: {error}")
        except Exception as error:  # noqa: BLE001 - the background-job boundary: one fault stops no other job
            self._say_once(f"{what}{type(error).__name__}", f"{what} failed: {error}", exc_info=True)

    def _say_once(self, key: str, text: str, *, exc_info: bool = False) -> None:
        if key not in self._said:
            self._said.add(key)
            logger.warning("%s (said once)", text, exc_info=exc_info)
