"""Arbitrary objects go in and come out: the decorated function does what the undecorated one does, and nothing else."""

from __future__ import annotations

import asyncio
import copy
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch import monitor
from modelwatch.decorator import ModelMonitor
from modelwatch.store.queries import StoreQueries

if TYPE_CHECKING:
    from .conftest import Watched

QUESTIONS = (
    "__eq__", "__hash__", "__len__", "__iter__", "__bool__", "__getattr__", "__copy__", "__deepcopy__", "__reduce_ex__",
    "__float__", "__str__", "__repr__", "__getitem__", "__contains__", "__array__", "__class__", "keys", "shape",
    "ndim", "columns", "iloc", "num_rows", "to_numpy", "model_fields", "_fields", "__instancecheck__",
)  # fmt: skip


class Hostile(Exception):  # noqa: N818 - what an object raises, not an error of ours
    """Raised by objects that don't want to be asked."""


def hostile(questions: list[str], base: type) -> Any:
    """Return an object that raises when it is asked any of these."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise Hostile(args[1:])

    members = {q: property(refuse) if q in PROPERTIES else refuse for q in questions}
    made = type("Hostile" + base.__name__.title(), (base,), {"__hash__": base.__hash__, **members})
    return made.__new__(made)  # type: ignore[call-overload] # a class of its own, as mypy cannot know


PROPERTIES = frozenset({"__class__", "shape", "ndim", "columns", "iloc", "num_rows", "model_fields", "_fields"})


class HostileKind(type):
    """A type that raises when it is asked for anything that it has not."""

    def __getattr__(cls, name: str) -> Any:
        raise Hostile(name)


def of_hostile_kind() -> Any:
    return HostileKind("OfHostileKind", (), {})()  # made here, as pytest looks into the classes of a module


@dataclass
class Stream:
    """An iterator that counts how far it was read."""

    read: int = 0

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> int:
        self.read += 1
        return self.read


def generator() -> Iterator[int]:
    yield from range(100)


def circle() -> list[Any]:
    found: list[Any] = [1.0]
    found.append(found)
    return found


def ring() -> dict[str, Any]:
    found: dict[str, Any] = {"a": 1.0}
    found["self"] = found
    return found


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(5000):
        found = [found]
    return found


STRANGE: st.SearchStrategy[Any] = st.one_of(
    st.builds(hostile, st.lists(st.sampled_from(QUESTIONS), unique=True), st.sampled_from([object, list, dict, str])),
    st.builds(Stream),
    st.builds(generator),
    st.builds(lambda: iter([1.0, 2.0])),
    st.builds(lambda: map(abs, [1.0, 2.0])),
    st.builds(circle),
    st.builds(ring),
    st.builds(deep),
    st.builds(object),
    st.builds(of_hostile_kind),
    st.sampled_from([type, len, print, Ellipsis, NotImplemented, float, np.float64, pd.NA, pd.NaT, np.ma.masked]),
)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(), st.binary(), st.decimals(),
    st.datetimes(), st.fractions(),
)  # fmt: skip
TABLES = st.one_of(
    st.integers(0, 3).flatmap(lambda n: st.lists(st.floats(), min_size=n, max_size=n)).map(np.array),
    st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda shape: np.ones(shape)),
    st.integers(0, 3).map(lambda n: pd.DataFrame({"age": range(n), "city": ["Oslo"] * n})),
    st.integers(0, 3).map(lambda n: pd.Series(range(n))),
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    PLAIN | STRANGE | TABLES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
        st.sampled_from(["age", "city"]).flatmap(lambda name: st.fixed_dictionaries({name: inner})),
    ),
    max_leaves=6,
)


@dataclass
class Model:
    """A predict function that answers or raises, and what it did."""

    answer: Any = None
    error: BaseException | None = None
    log: list[Any] = field(default_factory=list)

    def predict(self, features: Any) -> Any:
        self.log.append(id(features))
        if self.error is not None:
            raise self.error
        return self.answer

    async def predict_later(self, features: Any) -> Any:
        await asyncio.sleep(0)
        return self.predict(features)


@dataclass
class Seen:
    """What a caller can see of a call."""

    result: Any = None
    error: BaseException | None = None
    frames: tuple[str, ...] = ()


def call(function: Callable[[Any], Any], features: Any, *, to_await: bool) -> Seen:
    try:
        return Seen(asyncio.run(function(features)) if to_await else function(features))
    except (Hostile, ZeroDivisionError, KeyboardInterrupt) as error:
        seen = Seen(None, error, tuple(frame.name for frame in traceback.extract_tb(error.__traceback__)))
        error.__traceback__ = None
        return seen


@pytest.fixture
def monitors(watched: Watched) -> Iterator[dict[bool | None, ModelMonitor]]:
    yield {batch: watched.service.monitor("m", batch=batch) for batch in (None, True, False)}
    assert watched.service.flush()
    assert "internal" not in watched.faults(), "what was recorded could not be looked at"


SLOW = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(features=ANYTHING, answer=ANYTHING, batch=st.sampled_from([None, True, False]), to_await=st.booleans())
def test_the_result_is_the_very_same_object_and_nothing_was_done_with_it(
    monitors: dict[bool | None, ModelMonitor], features: Any, answer: Any, batch: bool | None, to_await: bool
) -> None:
    model = Model(answer)
    decorated = monitors[batch](model.predict_later if to_await else model.predict)
    seen = call(decorated, features, to_await=to_await)
    assert seen.result is answer
    assert model.log == [id(features)]
    assert monitor.last_prediction_id() is not None or to_await
    for stream in (features, answer):
        if type(stream) is Stream:
            assert stream.read == 0
        elif type(stream) is type(generator()):
            assert next(stream) == 0
        elif type(stream) in (type(iter([])), map):
            assert list(stream) == [1.0, 2.0]


@SLOW
@given(
    features=ANYTHING,
    error=st.sampled_from([Hostile("mine"), ZeroDivisionError("mine"), KeyboardInterrupt()]),
    batch=st.sampled_from([None, True, False]),
    to_await=st.booleans(),
)
def test_the_exception_is_the_very_same_with_its_traceback_below_the_wrapper(
    monitors: dict[bool | None, ModelMonitor], features: Any, error: BaseException, batch: bool | None, to_await: bool
) -> None:
    if to_await and isinstance(error, KeyboardInterrupt):
        error = Hostile("an event loop treats an interrupt in its own way")
    model = Model(error=error)
    plain = model.predict_later if to_await else model.predict
    expected = call(plain, features, to_await=to_await)
    seen = call(monitors[batch](plain), features, to_await=to_await)
    assert seen.error is expected.error is error
    assert error.__context__ is None
    assert error.__cause__ is None
    assert [name for name in seen.frames if name != "wrapper"] == list(expected.frames)
    assert seen.frames.count("wrapper") == 1
    assert model.log == [id(features)] * 2


@SLOW
@given(features=ANYTHING, answer=ANYTHING, details=st.tuples(ANYTHING, ANYTHING, ANYTHING, ANYTHING))
def test_whatever_is_set_in_a_with_block_or_picked_from_a_call_does_no_harm(
    monitors: dict[bool | None, ModelMonitor], watched: Watched, features: Any, answer: Any, details: tuple[Any, ...]
) -> None:
    prediction_id, metadata, timestamp, segment = details
    with monitors[None] as block:
        block.features, block.prediction = features, answer
        block.prediction_id, block.metadata, block.timestamp, block.segment = details
    assert block.prediction is answer
    picked = watched.service.monitor(
        "m",
        features=lambda x: features,
        prediction=lambda x: answer,
        prediction_id=lambda x: prediction_id,
        metadata=lambda x: metadata,
        timestamp=lambda x: timestamp,
        segment=lambda x: segment,
    )
    assert picked(lambda x: x)(7) == 7


PLACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "a feature": lambda odd: {"features": {"age": odd, "city": "Oslo"}},
    "features": lambda odd: {"features": odd},
    "a prediction": lambda odd: {"prediction": odd},
    "metadata": lambda odd: {"metadata": odd},
    "a value in metadata": lambda odd: {"metadata": {"x": [odd]}},
    "an id": lambda odd: {"prediction_id": odd},
    "a time": lambda odd: {"timestamp": odd},
}


@pytest.mark.parametrize("place", PLACES)
def test_an_object_that_raises_when_it_is_asked_keeps_no_row_from_the_store(watched: Watched, place: str) -> None:
    odd = [hostile([q], base) for q in QUESTIONS for base in (object, list, dict, str)]
    row = {"features": {"age": 5.0, "city": "Oslo"}, "prediction": 0.5}
    for said in (*({**row, **PLACES[place](value)} for value in (*odd, of_hostile_kind())), row):
        with watched.service.monitor("m") as block:
            for name, value in said.items():
                setattr(block, name, value)
    assert watched.service.flush()
    with StoreQueries(watched.service.storage) as queries:
        stored = sum(len(chunk.ids) for chunk in queries.row_chunks("m", 0.0, 4e9))
    assert watched.attempts()[0] == len(odd) + 2
    # A list that raises when it is asked for its length can't be told from a batch that can't be read.
    assert len(odd) - 8 < stored <= len(odd) + 2


@SLOW
@given(features=st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_what_was_passed_is_not_changed(monitors: dict[bool | None, ModelMonitor], features: Any) -> None:
    before = copy.deepcopy(features)
    monitors[None](lambda features: [0.5, 0.5])(features)
    assert repr(features) == repr(before)


def test_what_the_caller_changes_afterwards_does_not_change_what_was_recorded(watched: Watched) -> None:
    row, table = {"age": 5.0, "city": "Oslo"}, np.array([[1.0, 2.0], [3.0, 4.0]])
    watched.service.monitor("m")(lambda row: 0.5)(row)
    answers = np.array([0.25, 0.75])
    watched.service.monitor("m")(lambda table: answers)(table)
    row.clear()
    table.fill(np.nan)
    answers.fill(9.0)
    counts = watched.counts()
    assert counts["sums"]["profile"][0] == 5.0 + 1.0 + 3.0
    assert counts["sums"]["profile"][-1] == 0.5 + 0.25 + 0.75
