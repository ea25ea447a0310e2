"""Timing a coroutine that a plain function returned until its answer is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType
from typing import Any

Ended = Callable[[object, "BaseException | None", float], None]
"""Told of the result, or the exception, and the seconds since it began to run."""


class TimedCoroutine(Coroutine[Any, Any, Any]):
    """
    A coroutine that runs another one, step by step, and tells when it ends.

    It is no coroutine of its own, so that closing it, or never awaiting it, does to the other what it did without us.

    Parameters
    ----------
    inner
        The coroutine that is run.
    ended
        Called once if it has begun to run and ends by a result, an exception, or being closed.
    """

    __slots__ = ("__weakref__", "_ended", "_inner", "_start")

    def __init__(self, inner: CoroutineType[Any, Any, Any], ended: Ended) -> None:
        self._inner = inner
        self._ended: Ended | None = ended
        self._start: float | None = None

    def send(self, value: Any) -> Any:  # noqa: ANN401 - whatever an event loop sends
        """Run to the next point at which it waits."""
        return self._step(self._inner.send, value)

    def throw(self, *raised: Any) -> Any:  # noqa: ANN401 - whatever an event loop raises
        """Raise an exception where it waits."""
        return self._step(self._inner.throw, *raised)

    def close(self) -> None:
        """End it where it waits."""
        try:
            self._inner.close()
        finally:
            self._tell(None, GeneratorExit())

    def __await__(self) -> Generator[Any, Any, Any]:
        """Run it to its end."""
        self._begin()
        try:
            result = yield from self._inner.__await__()
        except BaseException as error:
            self._tell(None, error)
            raise
        self._tell(result, None)
        return result

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what debuggers and event loops read: cr_code, __name__
        return getattr(self._inner, name)

    def _step(self, run: Callable[..., Any], *given: Any) -> Any:  # noqa: ANN401 - whatever it waits for next
        self._begin()
        try:
            return run(*given)
        except StopIteration as end:
            self._tell(end.value, None)
            raise
        except BaseException as error:
            self._tell(None, error)
            raise

    def _begin(self) -> None:
        if self._start is None:
            self._start = time.perf_counter()

    def _tell(self, result: object, error: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None and self._start is not None:
            ended(result, error, time.perf_counter() - self._start)
