"""One thread for what takes long: scoring, one job at a time, off the event loop."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Worker"]

_Task = tuple["concurrent.futures.Future[Any]", Callable[[], Any]]


class Worker:
    """
    A daemon thread with a queue: a job that hangs doesn't keep the process from ending.

    Examples
    --------
    >>> worker = Worker()
    >>> worker.submit(lambda: 6 * 7).result(5), worker.close(5)
    (42, True)
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="modelwatch-worker", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], Any]) -> concurrent.futures.Future[Any]:
        """Queue a job; return the future of its result, cancelled if the worker is closed."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        if self._closed:
            future.cancel()
        else:
            self._tasks.put((future, job))
        return future

    def close(self, timeout: float) -> bool:
        """Let the job under way end, cancel those that wait; False if it did not end within `timeout` seconds."""
        self._closed = True
        self._tasks.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, job = task
            if self._closed or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - handed to who waits for the result
                future.set_exception(error)
            else:
                future.set_result(result)
