"""Decorated functions may call each other and themselves, in threads and tasks, and return what must be awaited."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from modelwatch import monitor
from modelwatch.decorator import wrap

if TYPE_CHECKING:
    from .conftest import Recorded, Watched


def test_a_decorated_function_may_call_another_and_each_call_counts(recorded: Recorded) -> None:
    base = wrap(lambda row: row["a"] / 10, lambda: recorded)
    stacked = wrap(lambda row: base(row) + base({"a": 5.0}), lambda: recorded)
    assert stacked({"a": 1.0}) == 0.6
    assert [call["prediction"] for call in recorded.calls] == [0.1, 0.5, 0.6]


def test_a_decorated_function_may_call_itself(recorded: Recorded) -> None:
    @functools.partial(wrap, recorder=lambda: recorded)
    def countdown(n: int) -> int:
        return 0 if n == 0 else countdown(n - 1) + 1

    assert countdown(5) == 5
    assert [(call["features"], call["prediction"]) for call in recorded.calls] == [(n, n) for n in range(6)]


def test_recursion_without_end_ends_as_it_would_undecorated(recorded: Recorded) -> None:
    def forever(n: int) -> int:
        return wrapped(n + 1)

    wrapped = wrap(forever, lambda: recorded)
    with pytest.raises(RecursionError):
        wrapped(0)
    assert {call["outcome"] for call in recorded.calls} == {"error"}
    assert len(recorded.calls) > 100


def test_the_last_id_is_that_of_the_call_that_ended_last_in_this_context(watched: Watched) -> None:
    @watched.service.monitor("m", prediction_id="n")
    def predict(n: int) -> float:
        if n:
            predict(n - 1)
            assert monitor.last_prediction_id() == str(n - 1)
        return 0.5

    predict(3)
    assert monitor.last_prediction_id() == "3"


def test_threads_at_once_each_know_their_own_prediction(watched: Watched) -> None:
    together = threading.Barrier(4)

    @watched.service.monitor("m", prediction_id="request")
    def predict(request: str) -> float:
        return 0.5

    def answer(request: str) -> str | None:
        predict(request)
        together.wait(10)  # all have predicted before anybody asks
        return monitor.last_prediction_id()

    requests = [f"request {n}" for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(answer, requests)) == requests


def test_a_call_in_a_task_of_its_own_does_not_change_what_its_maker_asks_for(watched: Watched) -> None:
    @watched.service.monitor("m", prediction_id="request")
    async def predict(request: str) -> float:
        return 0.5

    async def main() -> str | None:
        await predict("mine")
        await asyncio.create_task(predict("the task's"))
        return monitor.last_prediction_id()

    assert asyncio.run(main()) == "mine"


# ── what a plain function returns to be awaited ──────────────────────────────────────────────────────────────────────


async def later(features: float) -> float:
    await asyncio.sleep(0)
    if features < 0:
        raise ValueError(f"negative: {features}")
    return features * 2


def deferred(recorded: Recorded | None) -> Any:
    return wrap(lambda features: later(features), lambda: recorded)


def test_a_coroutine_is_timed_until_its_answer_is_there(recorded: Recorded) -> None:
    async def main() -> float:
        promise = deferred(recorded)(2.0)
        assert recorded.calls == []
        return float(await promise)

    assert asyncio.run(main()) == 4.0
    assert [(c["prediction"], c["features"], c["outcome"]) for c in recorded.calls] == [(4.0, 2.0, "ok")]


@pytest.mark.parametrize("run", ["run", "task", "wait_for", "shield", "gather"])
def test_event_loops_take_it_as_a_coroutine(recorded: Recorded, run: str) -> None:
    async def main() -> Any:
        promise = deferred(recorded)(2.0)
        if run == "task":
            return await asyncio.create_task(promise)
        if run == "wait_for":
            return await asyncio.wait_for(promise, 10)
        return (await asyncio.gather(promise))[0] if run == "gather" else await asyncio.shield(promise)

    assert asyncio.run(deferred(recorded)(2.0) if run == "run" else main()) == 4.0
    assert [c["outcome"] for c in recorded.calls] == ["ok"]


def test_its_exception_is_an_error_and_comes_as_it_would(recorded: Recorded) -> None:
    with pytest.raises(ValueError, match="negative: -1") as caught:
        asyncio.run(deferred(recorded)(-1.0))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "later"
    assert [c["outcome"] for c in recorded.calls] == ["error"]


def test_cancelled_it_is_an_attempt_and_no_error(recorded: Recorded) -> None:
    async def main() -> bool:
        task = asyncio.ensure_future(wrap(lambda features: asyncio.sleep(60), lambda: recorded)(1.0))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    assert [c["outcome"] for c in recorded.calls] == ["ignored"]


def test_closed_on_its_way_it_is_an_attempt_and_no_error(recorded: Recorded) -> None:
    promise = deferred(recorded)(2.0)
    promise.send(None)
    promise.close()
    promise.close()
    assert [c["outcome"] for c in recorded.calls] == ["ignored"]


def test_what_is_thrown_into_it_arrives_inside(recorded: Recorded) -> None:
    promise = deferred(recorded)(2.0)
    promise.send(None)
    with pytest.raises(KeyError, match="thrown"):
        promise.throw(KeyError("thrown"))
    assert [c["outcome"] for c in recorded.calls] == ["error"]


@pytest.mark.parametrize("end", ["closed", "forgotten"])
def test_never_awaited_it_has_not_happened_and_python_says_what_it_would(recorded: Recorded, end: str) -> None:
    def said(make: Callable[[float], Any]) -> list[str]:
        promise = make(2.0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if end == "closed":
                promise.close()
            del promise
            gc.collect()
        return [str(warning.message) for warning in caught]

    assert said(deferred(recorded)) == said(later)
    assert recorded.calls == []


def test_it_passes_for_the_coroutine_and_has_its_name_and_code(recorded: Recorded) -> None:
    promise: Any = deferred(recorded)(2.0)
    assert [is_one(promise) for is_one in (asyncio.iscoroutine, inspect.isawaitable)] == [True, True]
    assert (promise.__name__, promise.cr_code) == ("later", later.__code__)
    promise.close()


def test_awaited_a_second_time_it_refuses_as_any_coroutine(recorded: Recorded) -> None:
    async def main() -> None:
        promise = deferred(recorded)(2.0)
        await promise
        await promise

    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        asyncio.run(main())
    assert [c["outcome"] for c in recorded.calls] == ["ok"]


def test_a_task_is_the_callers_own_and_only_its_attempt_counts(recorded: Recorded) -> None:
    async def main() -> float:
        task = wrap(lambda features: asyncio.ensure_future(later(features)), lambda: recorded)(2.0)
        assert isinstance(task, asyncio.Task)
        return await task

    assert asyncio.run(main()) == 4.0
    assert [(c["outcome"], c["prediction"]) for c in recorded.calls] == [("ignored", None)]
    assert recorded.faults == ["awaitable"]


def test_a_future_is_returned_as_it_is(recorded: Recorded) -> None:
    future: Future[float] = Future()
    assert wrap(lambda features: future, lambda: recorded)(1.0) is future
    assert [c["prediction"] for c in recorded.calls] == [None]
    assert recorded.faults == ["awaitable"]
