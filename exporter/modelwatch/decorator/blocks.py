"""What ``monitor("model_id")`` returns: a decorator, and a ``with`` block around one prediction."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar

from modelwatch.decorator.observing import CallRecorder, Outcome, observe
from modelwatch.decorator.picks import Pick, check_batch, exception_types
from modelwatch.decorator.wrapping import wrap
from modelwatch.exceptions import InputError

P = ParamSpec("P")
R = TypeVar("R")

NOT_GIVEN: Final = object()


class Call:
    """
    One prediction in a ``with`` block; set what is known of it before the block ends.

    Attributes
    ----------
    features, prediction
        What the model is given and what it answers: a row and its answer, or a batch. Without a prediction only the
        attempt and its latency count.
    prediction_id, metadata, timestamp, segment
        As in ``record_prediction``; of a batch one for all, or a column.
    """

    __slots__ = (
        "_monitor",
        "_outer",
        "_recorder",
        "_start",
        "features",
        "metadata",
        "prediction",
        "prediction_id",
        "segment",
        "timestamp",
    )

    def __init__(self, monitor: ModelMonitor, outer: Call | None, recorder: CallRecorder | None) -> None:
        self.features: Any = None
        self.prediction: Any = NOT_GIVEN
        self.prediction_id: Any = None
        self.metadata: Any = None
        self.timestamp: Any = None
        self.segment: Any = None
        self._monitor: ModelMonitor | None = monitor
        self._outer = outer
        self._recorder = recorder
        self._start = time.perf_counter()


_innermost: ContextVar[Call | None] = ContextVar("modelwatch_open_call", default=None)
"""The innermost open block of this thread or task; each links to the one around it."""


class ModelMonitor:
    """
    Records the calls of one model: decorate its predict function, or put a ``with`` block around each prediction.

    Parameters
    ----------
    recorder
        Called at each call; returns who records, or None if recording is off.
    picks
        Where :func:`~modelwatch.decorator.wrapping.wrap` finds features, prediction and all else in a decorated call.
    ignore_errors
        Exceptions that are an answer rather than a failure.
    batch
        Whether calls are batches; None to tell by types and lengths.
    """

    def __init__(
        self,
        recorder: Callable[[], CallRecorder | None],
        picks: dict[str, Pick],
        ignore_errors: tuple[type[BaseException], ...],
        batch: bool | None,
    ) -> None:
        check_batch(batch)
        self._recorder = recorder
        self._picks = {name: pick for name, pick in picks.items() if pick is not None}
        self._ignored = exception_types(ignore_errors)
        self._batch = batch
        self._open: list[Call] = []

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return `function` with every call recorded; it behaves as before."""
        return wrap(function, self._recorder, **self._picks, ignore_errors=self._ignored, batch=self._batch)

    def __enter__(self) -> Call:
        """Begin to time a prediction; safe in threads, tasks, and blocks within blocks."""
        if self._picks:
            first = next(iter(self._picks))
            msg = f"with monitor(…): {first}= is for a decorated function; in the block say call.{first} = …"
            raise InputError(msg)
        call = Call(self, _innermost.get(), self._recorder())
        self._open.append(call)
        _innermost.set(call)
        return call

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Record the prediction; an exception is counted, and goes on."""
        end = time.perf_counter()
        call = self._closed()
        if call is None or call._recorder is None:
            return
        outcome: Outcome = "ok"
        if error is not None:
            # What is no Exception, such as a cancellation, is somebody else's end of the block.
            mine = isinstance(error, Exception) and not isinstance(error, self._ignored)
            outcome = "error" if mine else "ignored"
        elif call.prediction is NOT_GIVEN:
            outcome = "ignored"
        details = (call.prediction_id, call.metadata, call.timestamp, call.segment)
        answer = call.prediction if outcome == "ok" else None
        observe(call._recorder, call.features, answer, (end - call._start) * 1000.0, outcome, self._batch, details)

    def _closed(self) -> Call | None:
        """Take the block that ends here out of those that are open."""
        call = _innermost.get()
        while call is not None and call._monitor is not self:
            call = call._outer
        if call is None and self._open:
            call = self._open[-1]  # a generator's block may end in another thread or task than it began in
        if call is None:
            return None
        self._open.remove(call)
        call._monitor = None
        innermost = _innermost.get()
        while innermost is not None and innermost._monitor is None:
            innermost = innermost._outer
        _innermost.set(innermost)
        return call
