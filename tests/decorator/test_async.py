"""An async predict function is recorded when its answer is there, and its caller sees no difference."""

from __future__ import annotations

import asyncio
import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch import ProductionMonitoringService, monitor
from modelwatch.decorator import wrap
from modelwatch.exceptions import InputError

if TYPE_CHECKING:
    from .conftest import Recorded


async def twice(features: dict[str, float]) -> float:
    """Say how likely."""
    await asyncio.sleep(0)
    return features["a"] * 2


def test_the_answer_is_recorded_not_the_promise_of_one(recorded: Recorded) -> None:
    assert asyncio.run(wrap(twice, lambda: recorded)({"a": 2.0})) == 4.0
    (call,) = recorded.calls
    assert (call["prediction"], call["features"], call["outcome"]) == (4.0, {"a": 2.0}, "ok")


def test_frameworks_see_an_async_function_with_its_signature(recorded: Recorded) -> None:
    wrapped = wrap(twice, lambda: recorded)
    assert inspect.iscoroutinefunction(wrapped)
    assert (wrapped.__name__, wrapped.__doc__) == ("twice", "Say how likely.")
    assert inspect.signature(wrapped) == inspect.signature(twice)


def test_a_call_that_nobody_awaits_yet_has_not_happened(recorded: Recorded) -> None:
    begun = wrap(twice, lambda: recorded)({"a": 2.0})
    assert recorded.calls == []
    begun.close()
    assert recorded.calls == []


def test_the_latency_is_the_time_until_the_answer_is_there(recorded: Recorded) -> None:
    async def held(features: object, until: asyncio.Event) -> float:
        await until.wait()
        return 0.5

    async def main() -> float:
        until, loop = asyncio.Event(), asyncio.get_running_loop()
        waiting = asyncio.create_task(wrap(held, lambda: recorded, features="features")({"a": 1.0}, until))
        await asyncio.sleep(0)
        begin = loop.time()
        loop.call_later(0.02, until.set)
        await waiting
        return loop.time() - begin

    waited = asyncio.run(main())
    assert recorded.calls[0]["latency_ms"] >= 0.9 * min(waited, 0.02) * 1000


def test_an_exception_is_counted_and_raised_unchanged(recorded: Recorded) -> None:
    error = ZeroDivisionError("mine")

    async def predict(features: object) -> float:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        asyncio.run(wrap(predict, lambda: recorded)(1))
    assert caught.value is error
    assert [call["outcome"] for call in recorded.calls] == ["error"]


def test_an_ignored_exception_is_no_error(recorded: Recorded) -> None:
    async def predict(features: object) -> float:
        raise KeyError(features)

    with pytest.raises(KeyError):
        asyncio.run(wrap(predict, lambda: recorded, ignore_errors=(LookupError,))(1))
    assert [call["outcome"] for call in recorded.calls] == ["ignored"]


def test_a_cancelled_call_is_no_error_of_the_model_and_stays_cancelled(recorded: Recorded) -> None:
    async def predict(features: object) -> float:
        await asyncio.Event().wait()
        return 0.5

    async def main() -> bool:
        task = asyncio.ensure_future(wrap(predict, lambda: recorded)(1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    assert [call["outcome"] for call in recorded.calls] == ["ignored"]


def test_a_broken_extractor_hurts_nobody(recorded: Recorded) -> None:
    assert asyncio.run(wrap(twice, lambda: recorded, features=lambda features: 1 / 0)({"a": 2.0})) == 4.0
    assert recorded.faults == ["extract"]


def test_while_recording_is_off_it_answers_all_the_same() -> None:
    assert asyncio.run(wrap(twice, lambda: None)({"a": 2.0})) == 4.0


class _Model:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    async def __call__(self, features: dict[str, float]) -> float:
        return features["a"] * self.factor


@pytest.mark.parametrize(
    "function", [_Model(3), _Model(3).__call__, functools.partial(_Model(3)), functools.partial(_Model(3).__call__)]
)
def test_objects_methods_and_partials_are_awaited_too(function: Any, recorded: Recorded) -> None:
    assert asyncio.run(wrap(function, lambda: recorded)({"a": 2.0})) == 6.0
    assert [(call["prediction"], call["features"]) for call in recorded.calls] == [(6.0, {"a": 2.0})]


def test_a_decorated_method_records_without_self(recorded: Recorded) -> None:
    class Model:
        async def predict(self, features: dict[str, float]) -> float:
            return features["a"]

        predict = wrap(predict, lambda: recorded)

    assert asyncio.run(Model().predict({"a": 2.0})) == 2.0
    assert recorded.calls[0]["features"] == {"a": 2.0}


def test_a_wrong_argument_name_is_refused_at_decoration(recorded: Recorded) -> None:
    with pytest.raises(InputError, match="twice has no such argument"):
        wrap(twice, lambda: recorded, features="rows")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.none() | st.floats() | st.text() | st.lists(st.integers()))
def test_whatever_goes_in_comes_out_as_it_would_undecorated(recorded: Recorded, value: Any) -> None:
    async def identity(features: Any) -> Any:
        return features

    assert asyncio.run(wrap(identity, lambda: recorded)(value)) is value


def test_tasks_at_once_each_know_their_own_prediction(tmp_path: Path) -> None:
    with ProductionMonitoringService(storage_path=tmp_path, background=False) as service:

        @service.monitor("ad_score", prediction_id="request")
        async def predict(request: str) -> float:
            await asyncio.sleep(0)
            return 0.5

        async def answer(request: str) -> str | None:
            await predict(request)
            await asyncio.sleep(0)
            return monitor.last_prediction_id()

        async def main() -> list[str | None]:
            return await asyncio.gather(*(answer(f"request {n}") for n in range(5)))

        assert asyncio.run(main()) == [f"request {n}" for n in range(5)]
