"""Wrapping a predict function so that every call is recorded.

The wrapper adds one clock pair and one record call. Whatever goes wrong on our side, the wrapped function's result or
exception reaches the caller unchanged; the fault is counted (``modelwatch_recorder_errors_total``).
"""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, cast

from modelwatch.callables import ASYNC_FUNCTION, kind_that_waits
from modelwatch.exceptions import InputError

Outcome = Literal["ok", "error", "ignored"]
P = ParamSpec("P")
R = TypeVar("R")
Pick = str | Callable[..., Any] | None
"""Where a value comes from: the name of an argument, or a callable that is given the call's arguments."""


class CallRecorder(Protocol):
    """What the wrapper needs to know of whoever records."""

    def record_call(
        self,
        prediction: Any,  # noqa: ANN401 - a model may return anything
        features: Any,  # noqa: ANN401 - and take anything
        *,
        metadata: dict[str, Any] | None,
        latency_ms: float,
        prediction_id: str | None,
        timestamp: Any,  # noqa: ANN401 - seconds or a datetime
        outcome: Outcome,
    ) -> None:
        """Record one call; never raises."""

    def count_fault(self, reason: str) -> None:
        """Count a fault of our own making; never raises."""


def wrap(
    function: Callable[P, R],
    recorder: Callable[[], CallRecorder | None],
    *,
    features: Pick = None,
    prediction: Pick = None,
    prediction_id: Pick = None,
    metadata: Pick = None,
    timestamp: Pick = None,
    ignore_errors: tuple[type[BaseException], ...] = (),
) -> Callable[P, R]:
    """
    Return `function` with every call recorded; signature, docstring and types survive.

    Parameters
    ----------
    function
        The predict function: a function or a method, async or not. Of an async one the latency is the time until its
        answer is there, and a call that is cancelled counts as an attempt, neither as an answer nor as an error.
        Generators are refused.
    recorder
        Called at each call; returns who records, or None if recording is off.
    features, prediction_id, metadata, timestamp
        The name of an argument of `function`, or a callable that gets the call's arguments. By default the features
        are the function's only argument, or all its arguments by name if there are several.
    prediction
        The name of a key or attribute of the result, or a callable that gets the result. By default the result itself.
    ignore_errors
        Exceptions that are an answer rather than a failure: counted as an attempt, not as an error.

    Raises
    ------
    InputError
        If an argument name is not an argument of `function`, or `function` is none, has no readable signature, or is a
        generator.
    """
    is_async = _check_what_can_be_timed(function)
    arguments = _Arguments(function)
    pick_features = arguments.features if features is None else arguments.picker(features, "features")
    picks = {
        name: arguments.picker(pick, name)
        for name, pick in (("prediction_id", prediction_id), ("metadata", metadata), ("timestamp", timestamp))
        if pick is not None
    }
    read_prediction = _result_reader(prediction)
    ignored = _exception_types(ignore_errors)
    clock = time.perf_counter

    def record(
        who: CallRecorder,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: object,
        seconds: float,
        outcome: Outcome,
    ) -> None:
        try:
            extra = {name: pick(args, kwargs) for name, pick in picks.items()} if picks else {}
            value = read_prediction(result) if outcome == "ok" else None
            given = pick_features(args, kwargs)
        except Exception:  # noqa: BLE001 - the recorder boundary: a broken extractor must not break predict
            who.count_fault("extract")
            extra, value, given = {}, None, None
        who.record_call(
            value,
            given,
            metadata=extra.get("metadata"),
            latency_ms=seconds * 1000.0,
            prediction_id=extra.get("prediction_id"),
            timestamp=extra.get("timestamp"),
            outcome=outcome,
        )

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
        record(who, args, kwargs, result, clock() - start, "ok")
        return result

    @functools.wraps(function)
    async def async_wrapper(*args: P.args, **kwargs: P.kwargs) -> object:
        who = recorder()
        if who is None:
            return await awaited(*args, **kwargs)
        start = clock()
        try:
            result = await awaited(*args, **kwargs)
        except BaseException as error:
            # What is no Exception, such as a cancellation, is somebody else's end of the call: the model did not fail.
            outcome: Outcome = "ignored" if isinstance(error, ignored) or not isinstance(error, Exception) else "error"
            record(who, args, kwargs, None, clock() - start, outcome)
            raise
        record(who, args, kwargs, result, clock() - start, "ok")
        return result

    awaited = cast("Callable[P, Awaitable[object]]", function)
    return cast("Callable[P, R]", async_wrapper) if is_async else wrapper


def _check_what_can_be_timed(function: object) -> bool:
    """Refuse what has no moment at which its answer is there; return whether the answer must be awaited."""
    name = _name_of(function)
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


def _name_of(function: object) -> str:
    return getattr(function, "__qualname__", None) or f"{function!r:.200}"


def check_reference_path(reference: object) -> None:
    """Refuse, at decoration, a reference that names no profile.

    Raises
    ------
    InputError
        If it is neither a path nor "auto".
    """
    if reference is None or (isinstance(reference, (str, os.PathLike)) and str(reference).strip()):
        return
    got = "an empty text" if isinstance(reference, str) else type(reference).__name__
    msg = f"@monitor(reference=…) takes the path of a reference profile, or 'auto', got {got}"
    raise InputError(msg)


def _exception_types(given: object) -> tuple[type[BaseException], ...]:
    """Return the exceptions to ignore, whatever they came in; checked now, as inside a call it would be too late."""
    kinds = (given,) if isinstance(given, type) else given
    if not isinstance(kinds, (tuple, list, set, frozenset)):
        msg = f"@monitor(ignore_errors=…) takes exception classes, got {type(given).__name__}"
        raise InputError(msg)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            msg = f"@monitor(ignore_errors=…) takes exception classes, got {kind!r:.80}"
            raise InputError(msg)
    return tuple(kinds)


class _Arguments:
    """How to find the features, and named arguments, in a call of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function_name = _name_of(function)
        try:
            self.signature = inspect.signature(function)
        except (ValueError, TypeError) as error:
            msg = (
                f"@monitor on {self.function_name}: Python can't tell its arguments; decorate a function of your own"
                " that calls it"
            )
            raise InputError(msg) from error
        names = list(self.signature.parameters)
        # A plain function that becomes a method has no other mark than this convention.
        self.skip = 1 if names[:1] in (["self"], ["cls"]) else 0
        self.names = names[self.skip :]

    def features(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        """Return the only argument, or all arguments by name if there are several."""
        if len(self.names) == 1:
            return args[self.skip] if len(args) > self.skip else kwargs[self.names[0]]
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return {name: bound.arguments[name] for name in self.names if name in bound.arguments}

    def picker(self, pick: Pick, what: str) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
        """Return how to read what `pick` names from a call."""
        if callable(pick):
            return lambda args, kwargs: pick(*args[self.skip :], **kwargs)
        if pick not in self.names:
            msg = f"@monitor({what}={pick!r}): {self.function_name} has no such argument; it has {self.names}"
            raise InputError(msg)

        def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
            bound = self.signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return bound.arguments[pick]

        return read


def _result_reader(pick: Pick) -> Callable[[Any], Any]:
    if pick is None:
        return lambda result: result
    if callable(pick):
        return pick

    def read(result: object) -> object:
        return result[pick] if isinstance(result, Mapping) else getattr(result, pick)

    return read
