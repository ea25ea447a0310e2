"""Features and results of every form count as the same rows do in plain dicts, one by one or all at once."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest

if TYPE_CHECKING:
    from .conftest import Watched

AGES = [5.0, 15.0, None, 50.0, float("nan"), -3.0]
CITIES = ["Oslo", "Rome", "Bern", "Paris", None, "Oslo"]
SCORES = [0.125, 0.875, 0.5, 0.25, 0.75, 0.375]


class Named(NamedTuple):
    age: float | None
    city: str | None


@dataclasses.dataclass
class Record:
    age: float | None
    city: str | None


class Model(pydantic.BaseModel):
    age: float | None
    city: str | None


class Scored(pydantic.BaseModel):
    score: float
    model: str = "m"


@dataclasses.dataclass
class Answer:
    label: str
    prediction: float


class Ranked(NamedTuple):
    score: float
    rank: int


class Priced(NamedTuple):
    price: float
    currency: str


def _array(rows: list[tuple[Any, Any]]) -> Any:
    return np.array([list(row) for row in rows], object)


def _frame(rows: list[tuple[Any, Any]]) -> Any:
    return pd.DataFrame(rows, columns=["age", "city"])


def _polars(rows: list[tuple[Any, Any]]) -> Any:
    return pl.DataFrame({"age": [row[0] for row in rows], "city": [row[1] for row in rows]}, strict=False)


def _arrow(rows: list[tuple[Any, Any]]) -> Any:
    ages = pa.array([row[0] for row in rows], pa.float64())
    return pa.table({"age": ages, "city": pa.array([row[1] for row in rows], pa.string())})


def _columns(rows: list[tuple[Any, Any]], kind: Callable[[list[Any]], Any] = list) -> dict[str, Any]:
    return {"age": kind([row[0] for row in rows]), "city": kind([row[1] for row in rows])}


def _structured(rows: list[tuple[Any, Any]]) -> Any:
    return np.array(rows, [("age", object), ("city", object)])


ROWS = list(zip(AGES, CITIES, strict=True))
ONE_ROW: dict[str, Callable[[Any, Any], Any]] = {
    "a dict": lambda age, city: {"age": age, "city": city},
    "a mapping": lambda age, city: MappingProxyType(OrderedDict(age=age, city=city)),
    "a list": lambda age, city: [age, city],
    "a tuple": lambda age, city: (age, city),
    "a named tuple": Named,
    "a dataclass": Record,
    "a pydantic model": lambda age, city: Model(age=age, city=city),
    "a 1-D array": lambda age, city: np.array([age, city], object),
    "a pandas Series": lambda age, city: pd.Series({"age": age, "city": city}, dtype=object),
    "a 2-D array of one row": lambda age, city: _array([(age, city)]),
    "a pandas DataFrame of one row": lambda age, city: _frame([(age, city)]),
    "a polars DataFrame of one row": lambda age, city: _polars([(age, city)]),
    "a pyarrow table of one row": lambda age, city: _arrow([(age, city)]),
    "a pyarrow batch of one row": lambda age, city: _arrow([(age, city)]).to_batches()[0],
    "a list of one dict": lambda age, city: [{"age": age, "city": city}],
    "a list of one pydantic model": lambda age, city: [Model(age=age, city=city)],
}
TABLES: dict[str, Callable[[list[tuple[Any, Any]]], Any]] = {
    "a pandas DataFrame": _frame,
    "a polars DataFrame": _polars,
    "a pyarrow table": _arrow,
    "a pyarrow record batch": lambda rows: _arrow(rows).combine_chunks().to_batches()[0],
    "a 2-D array": _array,
    "a structured array": _structured,
    "a dict of lists": _columns,
    "a dict of arrays": lambda rows: _columns(rows, lambda column: np.array(column, object)),
    "a dict of Series": lambda rows: _columns(rows, lambda column: pd.Series(column, dtype=object)),
    "a list of dicts": lambda rows: [{"age": age, "city": city} for age, city in rows],
    "a tuple of dicts": lambda rows: tuple({"age": age, "city": city} for age, city in rows),
    "a list of lists": lambda rows: [list(row) for row in rows],
    "a list of tuples": list,
    "a list of arrays": lambda rows: list(_array(rows)),
    "a list of Series": lambda rows: [pd.Series({"age": age, "city": city}, dtype=object) for age, city in rows],
    "a list of named tuples": lambda rows: [Named(*row) for row in rows],
    "a list of dataclasses": lambda rows: [Record(*row) for row in rows],
    "a list of pydantic models": lambda rows: [Model(age=age, city=city) for age, city in rows],
}
ONE_ANSWER: dict[str, Callable[[float], Any]] = {
    "a number": float,
    "a numpy scalar": np.float64,
    "a single-precision scalar": np.float32,
    "an array of none": np.array,
    "an array of one": lambda score: np.array([score]),
    "a matrix of one row": lambda score: np.array([[1 - score, score]]),
    "probabilities of two classes": lambda score: [1 - score, score],
    "a list of one": lambda score: [score],
    "a pandas Series of one": lambda score: pd.Series([score]),
    "a polars Series of one": lambda score: pl.Series([score]),
    "a pyarrow array of one": lambda score: pa.array([score]),
    "a dict with a score": lambda score: {"label": "yes", "score": score, "rank": 3},
    "a dict with one number": lambda score: {"currency": "EUR", "price": score, "offered": True},
    "a pydantic model": lambda score: Scored(score=score),
    "a dataclass": lambda score: Answer("yes", score),
    "a named tuple with a score": lambda score: Ranked(score, 3),
}
ANSWERS: dict[str, Callable[[list[float]], Any]] = {
    "a list": list,
    "a tuple": tuple,
    "a 1-D array": np.array,
    "a column": lambda scores: np.array(scores).reshape(-1, 1),
    "probabilities of two classes": lambda scores: np.array([[1 - s, s] for s in scores]),
    "lists of probabilities": lambda scores: [[1 - s, s] for s in scores],
    "a pandas Series": lambda scores: pd.Series(scores, index=range(7, 7 + len(scores))),
    "a DataFrame of probabilities": lambda scores: pd.DataFrame({"no": [1 - s for s in scores], "yes": scores}),
    "a polars Series": pl.Series,
    "a pyarrow array": pa.array,
    "a dict of columns": lambda scores: {"prediction": np.array(scores), "model": "m2"},
    "a list of dicts": lambda scores: [{"label": "yes", "score": s} for s in scores],
    "a list of pydantic models": lambda scores: [Scored(score=s) for s in scores],
}


@pytest.fixture
def expected(watch: Callable[[], Watched]) -> dict[str, Any]:
    """What the rows count as, each by itself in a dict."""
    watched = watch()
    for (age, city), score in zip(ROWS, SCORES, strict=True):
        watched.service.record_prediction("m", score, {"age": age, "city": city}, latency_ms=1.0)
    counts = watched.counts()
    assert counts["vectors"]["totals"] == [6, 0, 6]
    assert watched.faults() == {}
    return counts


def one_by_one(watched: Watched, features: Callable[..., Any], answer: Callable[[float], Any]) -> dict[str, Any]:
    @watched.service.monitor("m", features="features")
    def score_one(features: Any, score: float) -> Any:
        return answer(score)

    for (age, city), score in zip(ROWS, SCORES, strict=True):
        score_one(features(age, city), score)
    return watched.counts()


def at_once(watched: Watched, table: Callable[..., Any], answers: Callable[[list[float]], Any]) -> dict[str, Any]:
    @watched.service.monitor("m", features="features")
    def score_all(features: Any, scores: list[float]) -> Any:
        return answers(scores)

    score_all(table(ROWS), SCORES)
    return watched.counts()


@pytest.mark.parametrize("form", ONE_ROW)
def test_one_row_of_any_form_counts_as_the_dict_does(watched: Watched, expected: dict[str, Any], form: str) -> None:
    assert one_by_one(watched, ONE_ROW[form], float) == expected


@pytest.mark.parametrize("form", ONE_ANSWER)
def test_one_answer_of_any_form_counts_as_the_number_does(
    watched: Watched, expected: dict[str, Any], form: str
) -> None:
    assert one_by_one(watched, ONE_ROW["a dict"], ONE_ANSWER[form]) == expected


@pytest.mark.parametrize("form", [*ONE_ROW, "a dict of columns of one"])
def test_one_row_in_a_table_may_be_answered_like_a_batch_of_one(
    watched: Watched, expected: dict[str, Any], form: str
) -> None:
    row = ONE_ROW.get(form, lambda age, city: {"age": [age], "city": [city]})
    assert one_by_one(watched, row, lambda score: np.array([score])) == expected


@pytest.mark.parametrize("form", TABLES)
def test_a_table_of_any_form_counts_as_its_rows_do(watched: Watched, expected: dict[str, Any], form: str) -> None:
    assert at_once(watched, TABLES[form], np.array) == expected


@pytest.mark.parametrize("form", ANSWERS)
def test_answers_of_any_form_count_as_the_numbers_do(watched: Watched, expected: dict[str, Any], form: str) -> None:
    assert at_once(watched, TABLES["a pandas DataFrame"], ANSWERS[form]) == expected


@pytest.mark.parametrize("answers", [ANSWERS["a 1-D array"], ANSWERS["probabilities of two classes"]])
@pytest.mark.parametrize("form", ["a list of dicts", "a 2-D array", "a pyarrow table"])
def test_the_same_holds_in_a_with_block(
    watched: Watched, expected: dict[str, Any], form: str, answers: Callable[[list[float]], Any]
) -> None:
    with watched.service.monitor("m") as call:
        call.features, call.prediction = TABLES[form](ROWS), answers(SCORES)
    assert watched.counts() == expected


@pytest.mark.parametrize("answer", [{"a": 1.0, "b": 2.0}, {"text": "yes"}, Priced(9.5, "EUR")._asdict() | {"n": 1}])
def test_a_result_in_which_no_field_is_the_answer_is_an_unreadable_prediction(watched: Watched, answer: Any) -> None:
    one_by_one(watched, ONE_ROW["a dict"], lambda score: answer)
    assert watched.attempts() == (6, 0, 6)
    assert watched.faults() == {"prediction": 6}


@pytest.mark.parametrize(
    ("pick", "answers"),
    [
        ("price", lambda scores: [{"price": s, "n": 1} for s in scores]),
        ("price", lambda scores: [Priced(s, "EUR") for s in scores]),
        ("price", lambda scores: pd.DataFrame({"n": 1, "price": scores})),
        ("price", lambda scores: pl.DataFrame({"n": 1, "price": scores})),
        ("price", lambda scores: pa.table({"n": [1] * len(scores), "price": scores})),
        ("price", lambda scores: {"price": scores, "model": "m2"}),
        (lambda found: found[:, 1], lambda scores: np.array([[7.0, s] for s in scores])),
    ],
    ids=["dicts", "named tuples", "pandas", "polars", "pyarrow", "dict of columns", "a callable"],
)
def test_the_answers_to_a_batch_are_picked_by_name_or_callable(
    watched: Watched, expected: dict[str, Any], pick: Any, answers: Callable[[list[float]], Any]
) -> None:
    @watched.service.monitor("m", prediction=pick)
    def predict(features: Any) -> Any:
        return answers(SCORES)

    predict(TABLES["a list of dicts"](ROWS))
    assert watched.counts() == expected
