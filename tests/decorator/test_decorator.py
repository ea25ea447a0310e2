"""The wrapper changes nothing that the caller can see, and records what happened."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch import ProductionMonitoringService, monitor
from modelwatch.decorator import check_reference_path, wrap
from modelwatch.exceptions import InputError

if TYPE_CHECKING:
    from .conftest import Recorded


def test_result_features_and_latency_of_a_call_are_recorded(recorded: Recorded) -> None:
    def predict(features: dict[str, float]) -> float:
        return features["a"] * 2

    wrapped = wrap(predict, lambda: recorded)

    assert wrapped({"a": 2.0}) == 4.0
    (call,) = recorded.calls
    assert (call["prediction"], call["features"], call["outcome"]) == (4.0, {"a": 2.0}, "ok")
    assert call["latency_ms"] >= 0


def test_name_docstring_signature_and_annotations_survive(recorded: Recorded) -> None:
    def predict(features: dict[str, float], *, scale: float = 1.0) -> float:
        """Say how likely."""
        return scale

    wrapped = wrap(predict, lambda: recorded)

    assert (wrapped.__name__, wrapped.__doc__) == ("predict", "Say how likely.")
    assert inspect.signature(wrapped) == inspect.signature(predict)


def test_an_exception_is_counted_and_raised_unchanged(recorded: Recorded) -> None:
    error = ZeroDivisionError("mine")

    def predict(features: object) -> float:
        raise error

    with pytest.raises(ZeroDivisionError) as caught:
        wrap(predict, lambda: recorded)(1)
    assert caught.value is error
    assert recorded.calls[0]["outcome"] == "error"


def test_an_ignored_exception_is_an_attempt_but_not_an_error(recorded: Recorded) -> None:
    def predict(features: object) -> float:
        raise KeyError("no such user")

    with pytest.raises(KeyError):
        wrap(predict, lambda: recorded, ignore_errors=(KeyError,))(1)
    assert recorded.calls[0]["outcome"] == "ignored"


def test_several_arguments_are_features_by_name_with_defaults(recorded: Recorded) -> None:
    def predict(age: int, income: float, country: str = "NL") -> float:
        return 0.5

    wrap(predict, lambda: recorded)(30, income=1000.0)
    assert recorded.calls[0]["features"] == {"age": 30, "income": 1000.0, "country": "NL"}


def test_an_argument_that_is_named_for_something_else_is_no_feature(recorded: Recorded) -> None:
    def predict(age: int, request_id: str, country: str = "NL", *, user: str = "u1") -> float:
        return 0.5

    def score(row: dict[str, int], *, request_id: str) -> float:
        return 0.5

    wrap(predict, lambda: recorded, prediction_id="request_id", segment="user")(30, "r-7")
    wrap(score, lambda: recorded, prediction_id="request_id")({"a": 1}, request_id="r-8")
    wrap(score, lambda: recorded, metadata="row", prediction_id="request_id")({"a": 1}, request_id="r-9")
    assert [call["features"] for call in recorded.calls] == [
        {"age": 30, "country": "NL"},
        {"a": 1},
        {"row": {"a": 1}, "request_id": "r-9"},
    ]
    assert [call["prediction_id"] for call in recorded.calls] == ["r-7", "r-8", "r-9"]
    assert [call["segment"] for call in recorded.calls] == ["u1", None, None]


def test_methods_leave_self_out(recorded: Recorded) -> None:
    def predict(self: object, features: dict[str, int]) -> float:
        return 0.5

    scorer = type("Scorer", (), {"predict": wrap(predict, lambda: recorded)})
    scorer().predict({"a": 1})
    scorer().predict(features={"a": 2})
    assert [c["features"] for c in recorded.calls] == [{"a": 1}, {"a": 2}]


def test_values_are_picked_by_argument_name_or_callable(recorded: Recorded) -> None:
    def predict(request: dict[str, Any], request_id: str) -> dict[str, float]:
        return {"score": 0.9}

    wrapped = wrap(
        predict,
        lambda: recorded,
        features=lambda request, request_id: request["row"],
        prediction="score",
        prediction_id="request_id",
        metadata=lambda request, request_id: {"user": request["user"]},
    )
    wrapped({"row": {"a": 1}, "user": "u1"}, "r-7")
    (call,) = recorded.calls
    assert (call["features"], call["prediction"]) == ({"a": 1}, 0.9)
    assert (call["prediction_id"], call["metadata"]) == ("r-7", {"user": "u1"})


def test_a_broken_extractor_is_counted_and_hurts_nobody(recorded: Recorded) -> None:
    def predict(features: dict[str, int]) -> float:
        return 0.5

    assert wrap(predict, lambda: recorded, prediction="score")({"a": 1}) == 0.5
    assert recorded.faults == ["extract"]
    assert recorded.calls[0]["outcome"] == "ok"


def test_recording_switched_off_costs_nothing_and_changes_nothing() -> None:
    def predict(features: int) -> int:
        return features + 1

    assert wrap(predict, lambda: None)(1) == 2


def test_an_argument_name_that_does_not_exist_is_refused_at_decoration(recorded: Recorded) -> None:
    def predict(features: object) -> float:
        return 0.5

    with pytest.raises(InputError, match=r"features='rows'.*no such argument; it has \['features'\]"):
        wrap(predict, lambda: recorded, features="rows")


def _generator(features: object) -> Iterator[float]:
    yield 0.5


async def _async_generator(features: object) -> AsyncIterator[float]:
    yield 0.5


@pytest.mark.parametrize("function", [_generator, _async_generator, functools.partial(_generator)])
def test_what_answers_bit_by_bit_is_refused_at_decoration(function: Any, recorded: Recorded) -> None:
    with pytest.raises(InputError, match="generator has no one answer to record; decorate what makes each"):
        wrap(function, lambda: recorded)


def test_something_that_is_no_function_is_refused(recorded: Recorded) -> None:
    with pytest.raises(InputError, match="not callable"):
        wrap("predict", lambda: recorded)  # type: ignore[arg-type]


@given(
    st.recursive(
        st.none() | st.floats() | st.text() | st.binary(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_goes_in_comes_out_as_it_would_undecorated(recorded: Recorded, value: Any) -> None:
    def identity(features: Any) -> Any:
        return features

    assert wrap(identity, lambda: recorded)(value) is value
    assert value is recorded.calls[-1]["predictions" if "rows" in recorded.calls[-1] else "prediction"]


@pytest.mark.parametrize("function", [max, dict])
def test_a_function_whose_arguments_python_cannot_tell_is_refused_with_what_to_do(
    function: Any, recorded: Recorded
) -> None:
    with pytest.raises(InputError, match=f"@monitor on {function.__name__}: .* decorate a function of your own"):
        wrap(function, lambda: recorded)


@pytest.mark.parametrize("above", [classmethod, staticmethod, property])
def test_above_a_classmethod_it_says_where_it_belongs(above: Any, recorded: Recorded) -> None:
    def predict(features: object) -> float:
        return 0.5

    with pytest.raises(InputError, match=f"put @monitor below @{above.__name__}"):
        wrap(above(predict), lambda: recorded)


def test_below_a_classmethod_or_staticmethod_it_records(recorded: Recorded) -> None:
    class Model:
        @classmethod
        def first(cls, features: object) -> float:
            return 0.5

        second = staticmethod(wrap(lambda features: 0.25, lambda: recorded))

    Model.first = classmethod(wrap(Model.first.__func__, lambda: recorded))  # type: ignore[attr-defined,method-assign,assignment]
    assert (Model.first({"a": 1}), Model.second({"a": 2}), Model().second({"a": 3})) == (0.5, 0.25, 0.25)
    assert [call["features"] for call in recorded.calls] == [{"a": 1}, {"a": 2}, {"a": 3}]


@pytest.mark.parametrize(
    ("reference", "got"), [(5, "int"), ({}, "dict"), (b"x.json", "bytes"), ("", "an empty text"), (["x"], "list")]
)
def test_a_reference_that_is_no_path_is_refused_by_both_decorators(reference: Any, got: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"reference=…\) takes the path of a reference profile, .*got {got}"):
        monitor("m", reference=reference)
    with (
        ProductionMonitoringService(storage_path=tmp_path, background=False) as service,
        pytest.raises(InputError, match=f"got {got}"),
    ):
        service.monitor("m", reference=reference)
    check_reference_path(tmp_path / "profile.json")
    check_reference_path("auto")
    check_reference_path(None)
