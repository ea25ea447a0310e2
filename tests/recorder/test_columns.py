"""Features of every supported type become the same columns; predictions and times are read whatever they are."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections import OrderedDict
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest

from modelwatch.recorder.columns import MAX_COLUMNS, to_columns
from modelwatch.recorder.outcomes import class_of, epoch_seconds, finite, plain_prediction, plain_predictions
from modelwatch.recorder.text import label_text

NAMES = ("age", "city")


class Named(NamedTuple):
    age: float
    city: str


@dataclasses.dataclass
class Record:
    age: float
    city: str


class Model(pydantic.BaseModel):
    age: float
    city: str


@pytest.mark.parametrize(
    "row",
    [
        {"age": 5.0, "city": "Oslo"},
        OrderedDict(age=5.0, city="Oslo"),
        MappingProxyType({"age": 5.0, "city": "Oslo"}),
        [5.0, "Oslo"],
        (5.0, "Oslo"),
        [[5.0, "Oslo"]],
        np.array([5.0, "Oslo"], object),
        np.array([[5.0, "Oslo"]], object),
        Named(5.0, "Oslo"),
        Record(5.0, "Oslo"),
        Model(age=5.0, city="Oslo"),
        pd.Series({"age": 5.0, "city": "Oslo"}),
        pd.DataFrame({"age": [5.0], "city": ["Oslo"]}),
    ],
    ids=lambda row: type(row).__name__,
)
def test_one_row_of_any_type_gives_the_same_columns(row: Any) -> None:
    for rows in ([row], [row, row], [row, {"age": 5.0, "city": "Oslo"}]):
        columns, unreadable = to_columns(rows, NAMES)
        assert unreadable == 0
        assert {name: list(column) for name, column in columns.items()} == {
            "age": [5.0] * len(rows),
            "city": ["Oslo"] * len(rows),
        }


def test_nameless_values_take_names_from_the_hint_and_then_by_position() -> None:
    assert to_columns([np.array([1.0, 2.0, 3.0])], ("a",)) == ({"a": [1.0], "f1": [2.0], "f2": [3.0]}, 0)
    assert to_columns([7, "x"], ("a",)) == ({"a": [7, "x"]}, 0)


def test_rows_with_different_keys_have_none_where_a_key_is_missing() -> None:
    columns, _ = to_columns([{"a": 1, "b": 2}, {"a": 3}, {"c": 4}, None])
    assert columns == {"a": [1, 3, None, None], "b": [2, None, None, None], "c": [None, None, 4, None]}
    assert to_columns([{"a": 1, "b": 2}, {"a": 3, "c": 4}])[0]["b"] == [2, None]


def test_keys_become_printable_text() -> None:
    columns, unreadable = to_columns([{1: "x", "a\nb": "y", None: "z"}, {1: "x", "a\nb": "y", None: "z"}])
    assert list(columns) == ["1", "a\ufffdb", "None"]
    assert unreadable == 0


@pytest.mark.parametrize("row", [{1, 2}, object(), iter([1]), pd.DataFrame({"a": [1, 2]}), np.zeros((2, 2, 2)), int])
def test_what_is_no_row_is_counted_as_unreadable(row: Any) -> None:
    assert to_columns([row, {"a": 1}]) == ({"a": [None, 1]}, 1)


def test_a_list_that_holds_itself_is_unreadable_not_endless() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert to_columns([endless])[1] == 1
    assert plain_predictions([endless])[1] in (0, 1)


def test_keys_that_never_repeat_do_not_make_columns_without_end() -> None:
    columns, _ = to_columns([{f"key {i}": 1} for i in range(3 * MAX_COLUMNS)])
    assert len(columns) == MAX_COLUMNS


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (0.5, 0.5),
        (np.float32(0.5), 0.5),
        (np.array(0.5), 0.5),
        (np.array([0.5]), 0.5),
        (np.array([[0.25, 0.75]]), 0.75),
        ([0.1, 0.2, 0.7], "2"),
        (pd.Series([3]), 3),
        (np.str_("yes"), "yes"),
        ([], None),
        (None, None),
    ],
)
def test_predictions_become_plain_values(given: Any, plain: Any) -> None:
    assert plain_prediction(given) == plain


@pytest.mark.parametrize(
    ("value", "task", "name"),
    [
        ("spam", None, "spam"),
        (True, "binary", "True"),
        (1, "binary", "1"),
        (0.7, "binary", None),
        (3, None, None),
        (3.0, "multiclass", "3"),
        (None, "multiclass", None),
        (2, "score", None),
    ],
)
def test_a_prediction_is_a_class_by_its_type_and_the_task(value: Any, task: str | None, name: str | None) -> None:
    assert class_of(value, task) == name


def test_only_finite_numbers_are_numbers() -> None:
    good = [1, 2.5, Decimal("3.5"), np.int8(4), np.float64(5)]
    assert [finite(value) for value in good] == [1.0, 2.5, 3.5, 4.0, 5.0]
    bad: list[Any] = [True, "1", None, math.nan, math.inf, 10**400, 1j, object()]
    assert [finite(value) for value in bad] == [None] * len(bad)


def test_times_are_read_as_seconds() -> None:
    moment = dt.datetime(2024, 5, 1, 12, tzinfo=dt.timezone.utc)
    seconds, now = moment.timestamp(), moment.timestamp() + 60
    naive = dt.datetime.fromtimestamp(seconds)  # noqa: DTZ006 - a naive datetime is local time, by the contract
    given = [seconds, int(seconds), moment, naive, "2024-05-01T12:00:00Z", np.datetime64("2024-05-01T12:00:00")]
    assert [epoch_seconds(value, now) for value in given] == [seconds] * len(given)


def test_label_text_is_short_and_printable() -> None:
    assert label_text("x" * 999) == "x" * 200
    assert label_text("tab\there") == "tab\ufffdhere"
    assert label_text("🚀 ünï") == "🚀 ünï"
