"""A prediction that is no function is recorded in a with block, wherever the block begins and ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from modelwatch import monitor
from modelwatch.decorator import ModelMonitor
from modelwatch.exceptions import InputError

if TYPE_CHECKING:
    from .conftest import Recorded, Watched


def monitored(recorded: Recorded | None, **options: Any) -> ModelMonitor:
    picks = options.pop("picks", {})
    return ModelMonitor(lambda: recorded, picks, options.pop("ignore_errors", ()), options.pop("batch", None))


def predict_and_raise(monitored: ModelMonitor, features: Any, error: Exception) -> None:
    with monitored as call:
        call.features, call.prediction = features, 0.5
        raise error


def test_what_is_set_in_the_block_is_recorded_at_its_end(recorded: Recorded) -> None:
    with monitored(recorded) as call:
        call.features, call.prediction = {"a": 1.0}, 0.5
        call.prediction_id, call.metadata, call.timestamp, call.segment = "r-7", {"user": 7}, 1.7e9, "web"
        assert recorded.calls == []
    (found,) = recorded.calls
    assert found.pop("latency_ms") >= 0
    assert found == {
        "features": {"a": 1.0},
        "prediction": 0.5,
        "outcome": "ok",
        "prediction_id": "r-7",
        "metadata": {"user": 7},
        "timestamp": 1.7e9,
        "segment": "web",
    }


def test_the_latency_is_the_time_from_the_beginning_of_the_block_to_its_end(recorded: Recorded) -> None:
    async def main() -> float:
        loop, until = asyncio.get_running_loop(), asyncio.Event()
        with monitored(recorded) as call:
            begin = loop.time()
            loop.call_later(0.02, until.set)
            await until.wait()
            call.prediction = 0.5
            return loop.time() - begin

    waited = asyncio.run(main())
    assert recorded.calls[0]["latency_ms"] >= 0.9 * min(waited, 0.02) * 1000


def test_an_exception_in_the_block_is_an_error_and_goes_on_unchanged(recorded: Recorded) -> None:
    error = ZeroDivisionError("mine")
    with pytest.raises(ZeroDivisionError) as caught:
        predict_and_raise(monitored(recorded), {"a": 1.0}, error)
    assert caught.value is error
    assert [(c["outcome"], c["prediction"]) for c in recorded.calls] == [("error", None)]


@pytest.mark.parametrize("error", [KeyError("no such user"), asyncio.CancelledError(), GeneratorExit(), SystemExit(0)])
def test_what_is_ignored_or_ends_the_block_from_outside_is_an_attempt_and_no_error(
    recorded: Recorded, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught, monitored(recorded, ignore_errors=(LookupError,)):
        raise error
    assert caught.value is error
    assert [c["outcome"] for c in recorded.calls] == ["ignored"]


def test_a_block_without_a_prediction_is_an_attempt_only_and_none_is_a_prediction(recorded: Recorded) -> None:
    with monitored(recorded):
        assert recorded.calls == []
    with monitored(recorded) as call:
        call.prediction = None
    assert [c["outcome"] for c in recorded.calls] == ["ignored", "ok"]


def test_a_misspelt_field_is_told_at_once(recorded: Recorded) -> None:
    with pytest.raises(AttributeError, match="predicton"), monitored(recorded) as call:
        call.predicton = 0.5  # type: ignore[attr-defined]


@pytest.mark.parametrize("pick", ["features", "prediction", "metadata"])
def test_names_of_arguments_are_refused_where_there_are_none(recorded: Recorded, pick: str) -> None:
    with pytest.raises(InputError, match=f"{pick}= is for a decorated function; in the block say call.{pick} ="):
        monitored(recorded, picks={pick: "row"}).__enter__()
    assert recorded.calls == []


def test_where_recording_is_off_the_block_runs() -> None:
    with monitored(None) as call:
        call.features, call.prediction = {"a": 1.0}, 0.5
    assert call.prediction == 0.5


def test_one_object_may_be_entered_again_while_it_is_open(recorded: Recorded) -> None:
    scoring = monitored(recorded)
    with scoring as outer:
        outer.features = {"n": 0}
        with scoring as inner:
            inner.features, inner.prediction = {"n": 1}, 0.1
        with pytest.raises(ValueError, match="mine"):
            predict_and_raise(scoring, {"n": 2}, ValueError("mine"))
        outer.prediction = 0.0
    assert [(c["features"]["n"], c["outcome"]) for c in recorded.calls] == [(1, "ok"), (2, "error"), (0, "ok")]


def test_blocks_of_two_models_lie_in_each_other_as_they_like(recorded: Recorded) -> None:
    first, second = monitored(recorded), monitored(recorded)
    with first as a, second as b, first as c:
        for n, call in enumerate((a, b, c)):
            call.features, call.prediction = {"n": n}, float(n)
    assert [(call["features"]["n"], call["prediction"]) for call in recorded.calls] == [(2, 2.0), (1, 1.0), (0, 0.0)]


def test_threads_share_an_object_and_keep_their_blocks_apart(recorded: Recorded) -> None:
    scoring, together = monitored(recorded), threading.Barrier(8)

    def predict(n: int) -> None:
        for turn in range(50):
            with scoring as call:
                if turn == 0:
                    together.wait(10)
                call.features = call.prediction = n * 100 + turn

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(predict, range(8)))
    assert sorted(c["features"] for c in recorded.calls) == sorted(n * 100 + t for n in range(8) for t in range(50))
    assert all(c["features"] == c["prediction"] for c in recorded.calls)
    assert scoring._open == []


def test_tasks_share_an_object_and_keep_their_blocks_apart(recorded: Recorded) -> None:
    scoring = monitored(recorded)

    async def predict(n: int) -> None:
        with scoring as call:
            call.features = n
            for _ in range(10 - n):  # the first to begin is the last to end
                await asyncio.sleep(0)
            call.prediction = n

    async def main() -> None:
        with scoring as around:
            around.features = around.prediction = 10
            await asyncio.gather(*map(predict, range(10)))

    asyncio.run(main())
    assert [c["features"] for c in recorded.calls] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 10]
    assert all(c["features"] == c["prediction"] for c in recorded.calls)


def test_a_block_may_end_in_another_thread_than_it_began_in(recorded: Recorded) -> None:
    """As that of a generator which a web framework steps in whatever thread is free."""

    def dependency() -> Iterator[Any]:
        with monitored(recorded) as call:
            call.features = {"a": 1.0}
            yield call

    steps: Any = dependency()
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        call = first.submit(lambda: contextvars.copy_context().run(next, steps)).result()
        call.prediction = 0.5
        second.submit(lambda: contextvars.copy_context().run(next, steps, None)).result()
    assert [(c["features"], c["prediction"]) for c in recorded.calls] == [({"a": 1.0}, 0.5)]


def test_a_block_in_a_context_manager_of_ones_own_works(recorded: Recorded) -> None:
    @contextmanager
    def traced(row: dict[str, float]) -> Iterator[Any]:
        with monitored(recorded) as call:
            call.features = row
            yield call

    with traced({"a": 1.0}) as outer, traced({"a": 2.0}) as inner:
        outer.prediction, inner.prediction = 0.1, 0.2
    assert [c["prediction"] for c in recorded.calls] == [0.2, 0.1]


def test_leaving_a_block_that_was_never_entered_does_nothing(recorded: Recorded) -> None:
    monitored(recorded).__exit__(None, None, None)
    assert recorded.calls == []


@pytest.mark.parametrize("made", [lambda w: w.service.monitor("m"), lambda w: monitor("m")], ids=["service", "default"])
def test_both_monitors_are_blocks_too_and_the_id_is_known_afterwards(
    watched: Watched, made: Callable[[Watched], ModelMonitor]
) -> None:
    with made(watched) as call:
        call.features, call.prediction, call.prediction_id = {"age": 1.0, "city": "Oslo"}, 0.5, "r-7"
    assert monitor.last_prediction_id() == "r-7"
    monitor.close()
