"""What a sink has received, and waiting for more of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["HOST", "Received"]

T = TypeVar("T")
HOST = "127.0.0.1"


class Received(Generic[T]):
    """What arrived, in order, with a way to wait for more."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._arrived: list[T] = []
        self._changed = threading.Condition()

    def add(self, item: T) -> None:
        """Take one more, and wake those who wait."""
        with self._changed:
            self._arrived.append(item)
            self._changed.notify_all()

    def all(self) -> list[T]:
        """Return all so far."""
        with self._changed:
            return list(self._arrived)

    def wait_for(self, predicate: Callable[[T], bool], timeout: float) -> T:
        """Return the first that fits, also one that is here already; TimeoutError if none comes in time."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._changed:
            while True:
                for item in self._arrived[seen:]:
                    if predicate(item):
                        return item
                seen = len(self._arrived)
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    msg = f"no such {self._what} within {timeout:g} s; {seen} others arrived"
                    raise TimeoutError(msg)
