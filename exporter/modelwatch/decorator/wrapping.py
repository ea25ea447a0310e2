"""Wrapping a predict function so that every call is recorded.

The wrapper adds one clock pair and one record call. Whatever goes wrong on our side, the wrapped function's result or
exception reaches the caller unchanged; the fault is counted (``modelwatch_recorder_errors_total``).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar, cast

from modelwatch.callables import ASYNC_FUNCTION, kind_that_waits
from modelwatch.decorator.awaiting import TimedCoroutine
from modelwatch.decorator.observing import NO_DETAILS, CallRecorder, Details, Outcome, observe
from modelwatch.decorator.picks import Arguments, Pick, Reader, check_batch, exception_types, name_of, result_reader
from modelwatch.decorator.rows import ONE_ANSWER, surely_one_row
from modelwatch.exceptions import InputError

P = ParamSpec("P")
R = TypeVar("R")
Record = Callable[[CallRecorder, "tuple[Any, ...]", "dict[str, Any]", object, float, Outcome], None]
"""Records a call by its arguments, result, seconds and outcome; never raises."""


def wrap(
    function: Callable[P, R],
    recorder: Callable[[], CallRecorder | None],
    *,
    features: Pick = None,
    prediction: Pick = None,
    prediction_id: Pick = None,
    metadata: Pick = None,
    timestamp: Pick = None,
    segment: Pick = None,
    ignore_errors: tuple[type[BaseException], ...] = (),
    batch: bool | None = None,
) -> Callable[P, R]:
    """
    Return `function` with every call recorded; signature, docstring and types survive.

    Parameters
    ----------
    function
        The predict function: a function or a method, async or not, of one row or of many (see
        :mod:`modelwatch.decorator.rows`). Of an async one the latency is the time until its answer is there, and a call
        that is cancelled counts as an attempt, neither as an answer nor as an error; so it is with a function that
        returns a coroutine. Generators are refused.
    recorder
        Called at each call; returns who records, or None if recording is off.
    features, prediction_id, metadata, timestamp, segment
        The name of an argument of `function`, or a callable that gets the call's arguments. By default the features
        are the function's only argument, or all its arguments by name if there are several; those that are named for
        something else are none. Of a batch, all but the features may be one value for all rows, or a column.
    prediction
        The name of a key or attribute of the result, or a callable that gets the result. By default the result itself.
    ignore_errors
        Exceptions that are an answer rather than a failure: counted as an attempt, not as an error.
    batch
        Whether a call is a batch; None to tell by the types and lengths of features and result.

    Raises
    ------
    InputError
        If an argument name is not an argument of `function`, or `function` is none, has no readable signature, or is a
        generator; or if `batch` or `ignore_errors` is of another type.
    """
    is_async = _check_what_can_be_timed(function)
    check_batch(batch)
    arguments = Arguments(function)
    details: dict[str, Pick] = {
        "prediction_id": prediction_id,
        "metadata": metadata,
        "timestamp": timestamp,
        "segment": segment,
    }
    record = _recording(
        arguments.features([pick for pick in details.values() if isinstance(pick, str)])
        if features is None
        else arguments.reader(features, "features"),
        result_reader(prediction),
        [None if pick is None else arguments.reader(pick, name) for name, pick in details.items()],
        batch,
    )
    ignored = exception_types(ignore_errors)
    if is_async:
        waiting = cast("Callable[P, Awaitable[object]]", function)
        return cast("Callable[P, R]", _async_wrapper(waiting, recorder, record, ignored))
    return _sync_wrapper(function, recorder, record, ignored)


def _recording(
    read_features: Reader,
    read_prediction: Callable[[Any], Any] | None,
    read_details: Sequence[Reader | None],
    batch: bool | None,
) -> Record:
    """Return what records a call: one that is surely about one row the short way."""
    plain, detect = frozenset[type]() if batch else ONE_ANSWER, batch is None
    read_id, read_metadata, read_timestamp, read_segment = read_details

    def record(
        who: CallRecorder,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: object,
        seconds: float,
        outcome: Outcome,
    ) -> None:
        try:
            details: Details = (
                None if read_id is None else read_id(args, kwargs),
                None if read_metadata is None else read_metadata(args, kwargs),
                None if read_timestamp is None else read_timestamp(args, kwargs),
                None if read_segment is None else read_segment(args, kwargs),
            )
            if outcome == "ok" and read_prediction is not None:
                result = read_prediction(result)
            given = read_features(args, kwargs)
        except Exception:  # noqa: BLE001 - the recorder boundary: a broken extractor must not break predict
            who.count_fault("extract")
            details, result, given = NO_DETAILS, None, None
        if outcome == "ok" and (type(result) in plain or (detect and surely_one_row(given, result))):
            who.record_call(result, given, seconds * 1000.0, outcome, *details)
        else:
            observe(who, given, result, seconds * 1000.0, outcome, batch, details)

    def record_by_features(
        who: CallRecorder,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: object,
        seconds: float,
        outcome: Outcome,
    ) -> None:
        try:
            given = read_features(args, kwargs)
        except Exception:  # noqa: BLE001 - the recorder boundary: as above
            who.count_fault("extract")
            result = given = None
        if outcome == "ok" and (type(result) in plain or (detect and surely_one_row(given, result))):
            who.record_call(result, given, seconds * 1000.0, outcome)
        else:
            observe(who, given, result, seconds * 1000.0, outcome, batch, NO_DETAILS)

    return record_by_features if read_prediction is None and not any(read_details) else record


def _sync_wrapper(
    function: Callable[P, R],
    recorder: Callable[[], CallRecorder | None],
    record: Record,
    ignored: tuple[type[BaseException], ...],
) -> Callable[P, R]:
    clock = time.perf_counter

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        who = recorder()
        if who is None:
            return function(*args, **kwargs)
        start = clock()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            outcome: Outcome = "ignored" if isinstance(error, ignored) else "error"
            record(who, args, kwargs, None, clock() - start, outcome)
            raise
        seconds = clock() - start
        if type(result) is CoroutineType:
            return cast("R", timed(cast("CoroutineType[Any, Any, Any]", result), who, args, kwargs, seconds))
        record(who, args, kwargs, result, seconds, "ok")
        return result

    def timed(
        coroutine: CoroutineType[Any, Any, Any],
        who: CallRecorder,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        begun: float,
    ) -> TimedCoroutine:
        def ended(result: object, error: BaseException | None, seconds: float) -> None:
            record(who, args, kwargs, result, begun + seconds, "ok" if error is None else _outcome_of(error, ignored))

        return TimedCoroutine(coroutine, ended)

    return wrapper


def _async_wrapper(
    function: Callable[P, Awaitable[object]],
    recorder: Callable[[], CallRecorder | None],
    record: Record,
    ignored: tuple[type[BaseException], ...],
) -> Callable[P, Awaitable[object]]:
    clock = time.perf_counter

    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> object:
        who = recorder()
        if who is None:
            return await function(*args, **kwargs)
        start = clock()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            record(who, args, kwargs, None, clock() - start, _outcome_of(error, ignored))
            raise
        record(who, args, kwargs, result, clock() - start, "ok")
        return result

    return wrapper


def _outcome_of(error: BaseException, ignored: tuple[type[BaseException], ...]) -> Outcome:
    """Return what it was that ended something awaited."""
    # What is no Exception, such as a cancellation, is somebody else's end of the call: the model did not fail.
    return "ignored" if isinstance(error, ignored) or not isinstance(error, Exception) else "error"


def _check_what_can_be_timed(function: object) -> bool:
    """Refuse what has no moment at which its answer is there; return whether the answer must be awaited."""
    name = name_of(function)
    if isinstance(function, (classmethod, staticmethod, property)):
        above = type(function).__name__
        msg = f"@monitor on {name}: put @monitor below @{above}, next to the function"
        raise InputError(msg)
    if not callable(function):
        msg = f"@monitor goes on a predict function; {name} is not callable"
        raise InputError(msg)
    kind = kind_that_waits(function)
    if kind not in ("", ASYNC_FUNCTION):
        msg = f"@monitor on {name}: {kind} has no one answer to record; decorate what makes each prediction"
        raise InputError(msg)
    return kind == ASYNC_FUNCTION
