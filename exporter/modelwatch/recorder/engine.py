"""The queue between request path and background thread, and the life of that thread."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from modelwatch.recorder.batch import Backlog
from modelwatch.recorder.ids import IdSource
from modelwatch.recorder.inputs import Barrier
from modelwatch.recorder.models import VersionEntry
from modelwatch.recorder.pending import Sink
from modelwatch.recorder.sizes import rough_size
from modelwatch.recorder.worker import Worker

logger = logging.getLogger("modelwatch")

WAKE_SHARE = 4
"""The thread is woken once the queue holds this part of what it may hold."""
LIGHT_FACTOR = 4
"""A full queue takes no more rows; attempts alone, which hold next to nothing, up to this multiple of the bound."""
MAX_QUEUE_BYTES = 64 * 2**20
"""About how much memory the predictions of one process that wait may hold."""
PROBE_ROWS = 128
"""After how many calls the size of what waits is estimated: the newest row stands for those since the last time."""
BLIND_ROWS = 16
"""The same where the newest item is no row."""
EXIT_SECONDS = 2.0
FORK_SECONDS = 1.0
"""How long a fork waits at most for the background thread."""
LAST = -1000
"""Whatever else a process does at its end may predict once more."""


class RecorderClosedError(Exception):
    """The recorder was closed; on the request path this becomes an error result."""


class Engine:
    """
    Queue, worker and thread of one recorder in one process; set up anew in the child of a fork.

    Parameters
    ----------
    storage, sink, clock
        As for the worker.
    entries
        Returns all model versions.
    interval
        Seconds between two flushes.
    max_queue, max_bytes
        Rows that may wait, and about how many bytes they may hold.
    threaded
        Whether a thread does the work; if not, :meth:`flush` does it in the caller's.
    prepare
        Called before the queue is drained, without a lock that a fork waits for.
    """

    def __init__(
        self,
        storage: Path,
        sink: Sink | None,
        clock: Callable[[], float],
        entries: Callable[[], Sequence[VersionEntry]],
        *,
        interval: float,
        max_queue: int,
        threaded: bool,
        max_bytes: int = MAX_QUEUE_BYTES,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.storage = storage
        self._sink = sink
        self._clock = clock
        self._entries = entries
        self._interval = interval
        self._threaded = threaded
        self._prepare = prepare
        self.max_queue = max_queue
        self._max_bytes = max_bytes
        self.light_limit = LIGHT_FACTOR * max_queue
        self.closed = False
        self._multiprocessing = False
        self._begin()
        _live.add(self)
        self._join_multiprocessing()

    def _begin(self) -> None:
        """Set up all that belongs to one process."""
        self.ids = ids = IdSource()
        self.ready_ids = ids.ready
        self.queue: deque[Any] = deque()
        self.backlog, self.light_backlog = Backlog(), Backlog()
        self.worker = Worker(self.storage, self._sink, ids.worker, self._clock)
        self._thread: threading.Thread | None = None
        self._stop = False
        self._wake = threading.Event()
        self._state_lock = threading.Lock()
        self._work_lock = threading.Lock()
        # Held while counting and at the slot, which a fork waits for; not while the sink works, which may have to wait
        # for the fork itself.
        self._quiet_lock = threading.RLock()
        self._forking: set[int] = set()
        # Queue length from which a call takes the slow way, to see to the thread and the memory that is held.
        self.attention = -1
        self._probed, self._bytes = 0, 0

    def attend(self) -> bool:
        """
        Start or wake the thread where that is due, and estimate what waits; whether the queue is full.

        Raises
        ------
        RecorderClosedError
            If the recorder was closed.
        """
        if self.closed:
            msg = "the recorder is closed"
            raise RecorderClosedError(msg)
        if self._threaded and self._thread is None:
            self._start()
        waiting = len(self.queue)
        full = self._estimate(waiting)
        if (full or waiting >= self.max_queue // WAKE_SHARE) and not self._wake.is_set():
            self._wake.set()
        return full

    def _estimate(self, waiting: int) -> bool:
        """Return whether what waits is too much; the next estimate is due sooner the larger rows are."""
        if waiting < self._probed:
            self._probed, self._bytes = 0, 0  # it was drained since
        try:
            newest = self.queue[-1]
        except IndexError:
            newest = None
        size = sum(map(rough_size, newest[4:])) if type(newest) is tuple else 0
        self._bytes += size * (waiting - self._probed)
        self._probed = waiting
        full = waiting >= self.max_queue or self._bytes >= self._max_bytes
        rows = max(1, min(PROBE_ROWS, self._max_bytes // PROBE_ROWS // size)) if size else min(waiting, BLIND_ROWS) or 1
        self.attention = min(waiting + (0 if full else rows), self.max_queue)
        return full

    def put(self, item: object) -> None:
        """
        Append what is not a prediction, whether the queue is full or not.

        Raises
        ------
        RecorderClosedError
            If the recorder was closed.
        """
        if len(self.queue) >= self.attention:
            self.attend()
        self.queue.append(item)

    def hurry(self) -> None:
        """Let the thread drain the queue now rather than at its next flush."""
        self._wake.set()

    def _start(self) -> None:
        with self._state_lock:
            if self._thread is not None or self.closed:
                return
            thread = threading.Thread(target=self._run, name="modelwatch-recorder", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is going down, or the system has no threads left
                logger.warning("modelwatch: no background thread can be started; flush() does its work")
                self._threaded = False
                return
            self._thread = thread

    def _run(self) -> None:
        due = time.monotonic() + self._interval
        while not self._stop:
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            late = time.monotonic() >= due
            self._cycle(flush=late)
            if late:
                due = time.monotonic() + self._interval

    def _cycle(self, *, flush: bool) -> bool:
        """Drain, and flush if asked to or if somebody waits for it; whether all is in slot and sink."""
        with self._work_lock:
            barriers: list[Barrier] = []
            ok = False
            try:
                if self._prepare is not None:
                    self._prepare()
                with self._quiet_lock:
                    entries = self._entries()
                    barriers = self.worker.drain(self.queue, entries)
                    self.ids.refill()
                    if not self.closed:
                        self.attention = 1  # what comes now may be of another size
                    flush = flush or bool(barriers)
                    if flush:
                        self.worker.keep_profiles(entries)
                    in_slot = flush and self.worker.write_slot()
                if flush:
                    ok = self.worker.commit() and in_slot
            except Exception:  # the recorder boundary: a fault of ours must not end the thread
                logger.exception("modelwatch: the recorder's background work failed")
            for barrier in barriers:
                barrier.ok = ok
                barrier.done.set()
            return ok

    def flush(self, timeout: float | None) -> bool:
        """Wait until all that was queued so far is in slot and sink; False if that failed or takes longer."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return self._cycle(flush=True)
        barrier = Barrier()
        self.queue.append(barrier)
        self._wake.set()
        return barrier.done.wait(timeout) and barrier.ok

    def close(self, timeout: float) -> None:
        """Flush, stop the thread, give up the slot; safe to call again."""
        with self._state_lock:
            if self.closed:
                return
            self.closed = True
            self.attention = -1
        _live.discard(self)
        deadline = time.monotonic() + timeout
        if not self.flush(timeout):
            logger.warning("modelwatch: not all that was recorded could be stored before the recorder was closed")
        self._stop = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._work_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            self.worker.release()
            self._work_lock.release()

    def _join_multiprocessing(self) -> None:
        """
        Be closed at the end of a child of `multiprocessing`: it ends without `atexit`.

        At its beginning such a child forgets all that was to be done at its end, and then does what is to be done after
        a fork: what is to be done at the end is said only then. In a child that has begun it is said at once.
        """
        util = sys.modules.get("multiprocessing.util")  # loaded by whoever can have such children
        if util is not None and not self._multiprocessing:
            self._multiprocessing = True
            util.register_after_fork(self, Engine._close_at_its_end)
            if sys.modules["multiprocessing.process"].parent_process() is not None:
                self._close_at_its_end()

    def _close_at_its_end(self) -> None:
        sys.modules["multiprocessing.util"].Finalize(None, _close_at_exit, exitpriority=LAST)

    def before_fork(self) -> None:
        """
        Wait until the background thread neither counts nor is at the slot.

        Its open files and their locks would go on in the child, where nobody gives them up: a folder's lock, for one.
        """
        self._join_multiprocessing()
        if self._quiet_lock.acquire(timeout=FORK_SECONDS):
            self._forking.add(threading.get_ident())

    def after_fork_in_parent(self) -> None:
        """Let the background thread go on."""
        if threading.get_ident() in self._forking:
            self._forking.discard(threading.get_ident())
            self._quiet_lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew in the child: the parent keeps its slot, its queue and its thread."""
        self.worker.release()
        for entry in self._entries():
            entry.reset_overflow()
        self._begin()


# Fork and exit concern whole processes, so that this one list can't hang on any object.
_live: WeakSet[Engine] = WeakSet()


def flush_storage(storage: Path, timeout: float) -> bool:
    """Flush every recorder of this process that records to a storage; False if that takes longer than `timeout` s."""
    deadline = time.monotonic() + timeout
    mine = [engine for engine in list(_live) if engine.storage == storage]
    return all([engine.flush(max(0.0, deadline - time.monotonic())) for engine in mine])


def _before_fork() -> None:
    for engine in list(_live):
        engine.before_fork()


def _after_fork_in_parent() -> None:
    for engine in list(_live):
        engine.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for engine in list(_live):
        engine.after_fork_in_child()


def _close_at_exit() -> None:
    for engine in list(_live):
        engine.close(EXIT_SECONDS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
atexit.register(_close_at_exit)
