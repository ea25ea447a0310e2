"""Whatever a feature's value is, it has one place in the counts, alone or among others, and nothing is raised."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from .conftest import Watched

LOW, HIGH, MISSING, TYPE, PARSE, TOO_BIG = (
    "low",
    "high",
    "missing",
    "invalid: type",
    "invalid: parse",
    "invalid: too big",
)
IN_RANGE, KNOWN, UNSEEN = "in range", "known", "unseen"
TAILS = {"age": (LOW, HIGH, MISSING, TYPE, PARSE, TOO_BIG), "city": (UNSEEN, HIGH, MISSING, TYPE, PARSE, TOO_BIG)}


class City(Enum):
    OSLO = "Oslo"


class Odd:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __float__(self) -> float:
        raise RuntimeError("float")

    def __str__(self) -> str:
        raise RuntimeError("str")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __len__(self) -> int:
        raise RuntimeError("len")


# A value, its place in the numeric feature "age" (0 to 99 in the reference) and in the categorical one "city".
VALUES: list[tuple[Any, str, str]] = [
    (5.0, IN_RANGE, UNSEEN),
    ("Oslo", PARSE, KNOWN),
    (float("nan"), MISSING, MISSING),
    (float("inf"), HIGH, UNSEEN),
    (float("-inf"), LOW, UNSEEN),
    (None, MISSING, MISSING),
    (pd.NA, MISSING, MISSING),
    (pd.NaT, MISSING, MISSING),
    (np.ma.masked, MISSING, MISSING),
    (True, IN_RANGE, UNSEEN),
    (False, IN_RANGE, UNSEEN),
    (np.bool_(True), IN_RANGE, UNSEEN),
    (Decimal("5.5"), IN_RANGE, UNSEEN),
    (Decimal("NaN"), MISSING, MISSING),
    (Decimal("1e400"), TOO_BIG, UNSEEN),
    (Fraction(1, 3), IN_RANGE, TYPE),
    (dt.datetime(2026, 1, 31, tzinfo=dt.timezone.utc), TYPE, TYPE),
    (dt.date(2026, 1, 31), TYPE, TYPE),
    (dt.timedelta(days=1), TYPE, TYPE),
    (np.datetime64("2026-01-31"), TYPE, TYPE),
    (np.datetime64("NaT"), MISSING, MISSING),
    (pd.Timestamp("2026-01-31"), TYPE, TYPE),
    (np.float32(5.5), IN_RANGE, UNSEEN),
    (np.int64(5), IN_RANGE, UNSEEN),
    (np.str_("Oslo"), PARSE, KNOWN),
    (np.array(5.0), IN_RANGE, UNSEEN),
    (np.array([5.0]), IN_RANGE, UNSEEN),
    (np.array([5.0, 6.0]), TYPE, TYPE),
    (10**20, HIGH, UNSEEN),
    (-(10**20), LOW, UNSEEN),
    (10**400, TOO_BIG, UNSEEN),
    ("5.5", IN_RANGE, UNSEEN),
    ("1e400", TOO_BIG, UNSEEN),
    ("1_000", PARSE, UNSEEN),
    ("", PARSE, UNSEEN),
    ("x" * 1000, PARSE, UNSEEN),
    ("\ud800", PARSE, UNSEEN),
    (b"Oslo", TYPE, TYPE),
    (1j, TYPE, TYPE),
    (City.OSLO, PARSE, KNOWN),
    (["Oslo"], TYPE, TYPE),
    ({"city": "Oslo"}, TYPE, TYPE),
    ({"Oslo"}, TYPE, TYPE),
    (lambda: "Oslo", TYPE, TYPE),
    (object(), TYPE, TYPE),
    (Odd(), TYPE, TYPE),
]


def places(watched: Watched, feature: str) -> dict[str, int]:
    """Return how many values lie in which place of a feature."""
    cells = watched.counts()["vectors"]["profile"]
    layout = watched.profile.layout
    (member, start), *_ = [(m, at) for m, at in zip(layout.members, layout.offsets, strict=True) if m.name == feature]
    tail = dict(zip(TAILS[feature], cells[start + member.shape_size : start + member.size], strict=True))
    inside = {KNOWN if feature == "city" else IN_RANGE: sum(cells[start : start + member.shape_size])}
    return {place: int(count) for place, count in {**inside, **tail}.items() if count}


def expected(feature: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, numeric, category in VALUES:
        place = category if feature == "city" else numeric
        found[place] = found.get(place, 0) + 1
    return found


def named(value: Any) -> str:
    return type(value).__name__


@pytest.mark.parametrize("feature", ["age", "city"])
@pytest.mark.parametrize(("value", "number", "category"), VALUES, ids=named)
def test_each_value_has_its_place(watched: Watched, feature: str, value: Any, number: str, category: str) -> None:
    watched.service.monitor("m")(lambda row: 0.5)({"age": 1.0, "city": "Rome", feature: value})
    assert places(watched, feature) == {number if feature == "age" else category: 1}
    assert watched.faults() == {}


def column(feature: str) -> list[Any]:
    return [value for value, _, _ in VALUES]


def objects(values: list[Any]) -> Any:
    array = np.empty(len(values), object)
    for n, value in enumerate(values):
        array[n] = value
    return array


TOGETHER: dict[str, Callable[[str, list[Any]], Any]] = {
    "a list of dicts": lambda feature, values: [{feature: value, "other": 1} for value in values],
    "a dict of lists": lambda feature, values: {feature: values},
    "a dict of arrays": lambda feature, values: {feature: objects(values)},
    "a DataFrame": lambda feature, values: pd.DataFrame({feature: objects(values)}),
}


@pytest.mark.parametrize("feature", ["age", "city"])
@pytest.mark.parametrize("form", TOGETHER)
def test_its_company_in_a_batch_does_not_change_its_place(watched: Watched, feature: str, form: str) -> None:
    watched.service.monitor("m")(lambda rows: [0.5] * len(VALUES))(TOGETHER[form](feature, column(feature)))
    assert places(watched, feature) == expected(feature)
    assert watched.faults() == {}


@pytest.mark.parametrize("feature", ["age", "city"])
def test_a_feature_whose_type_changes_from_call_to_call_is_counted_value_by_value(
    watched: Watched, feature: str
) -> None:
    predict = watched.service.monitor("m")(lambda row: 0.5)
    for value in column(feature):
        predict({feature: value, "other": 1})
    assert places(watched, feature) == expected(feature)
    assert watched.faults() == {}


def test_missing_keys_are_missing_and_extra_ones_change_nothing(watched: Watched) -> None:
    predict = watched.service.monitor("m")(lambda row: 0.5)
    for row in ({"age": 5.0}, {"city": "Oslo"}, {}, {"age": 5.0, "city": "Oslo", "new": object(), 7: 1, ("a", "b"): 2}):
        predict(row)
    assert places(watched, "age") == {IN_RANGE: 2, MISSING: 2}
    assert places(watched, "city") == {KNOWN: 2, MISSING: 2}
    assert watched.faults() == {}


@pytest.mark.parametrize(
    "prediction",
    [
        float("nan"),
        float("inf"),
        None,
        True,
        Decimal("0.5"),
        10**400,
        dt.date(2026, 1, 1),
        {1, 2},
        b"x",
        object(),
        "yes",
    ],
    ids=named,
)
def test_an_odd_prediction_is_an_attempt_that_is_looked_at_and_never_an_exception(
    watched: Watched, prediction: Any
) -> None:
    assert watched.service.monitor("m")(lambda row: prediction)({"age": 5.0, "city": "Oslo"}) is prediction
    assert watched.attempts() == (1, 0, 1)
    assert places(watched, "age") == {IN_RANGE: 1}
    assert watched.faults() == {}


@pytest.mark.parametrize(
    "row", [iter([1.0, "Oslo"]), (x for x in (1.0, "Oslo")), object(), Odd(), {1, 2}, max], ids=named
)
def test_what_is_no_row_is_an_attempt_and_a_fault(watched: Watched, row: Any) -> None:
    assert watched.service.monitor("m")(lambda row: 0.5)(row) == 0.5
    assert watched.attempts() == (1, 0, 1)
    assert watched.faults()["features"] == 1
