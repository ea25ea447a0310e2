"""Rows that are alike take a fast way to columns; what they count as is what they count as one by one."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.profile.cells import CellAssigner
from modelwatch.recorder.columns import to_columns
from modelwatch.recorder.uniform import dict_columns, merged, sequence_columns
from modelwatch.records import CellLayout, FeatureCells, IntArray

NAMES = ("a", "b", "c")
ASSIGNER = CellAssigner(
    CellLayout(
        (
            FeatureCells("a", "numeric", minimum=0.0, edges=(1.0, 2.0, 5.0)),
            FeatureCells("b", "numeric", minimum=-1e9, edges=(0.0, 1e9)),
            FeatureCells("c", "categorical", categories=("1", "x", "True")),
        )
    )
)
values = st.one_of(
    st.floats(),
    st.floats().map(np.float64),
    st.floats(width=32).map(np.float32),
    st.integers(),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.booleans(),
    st.booleans().map(np.bool_),
    st.none(),
    st.sampled_from(["x", "1", "1e400", "", "nan"]),
    st.decimals(),
    st.fractions(),
    st.complex_numbers().map(np.complex128),
    st.sampled_from([np.timedelta64(5, "s"), np.datetime64("2026-01-01"), np.array([1.5]), np.array(2.0), {}, [1.0]]),
    st.sampled_from([10**400, np.longdouble("1e4000"), Decimal("1e400"), Decimal("sNaN"), Fraction(1, 3)]),
)
floats_mostly = st.one_of(st.floats(), st.floats(), st.floats(), values)


def cells(columns: Any, n: int) -> IntArray:
    return ASSIGNER.bin(columns, n).cells


@given(st.lists(st.tuples(floats_mostly, floats_mostly, values), min_size=1, max_size=12))
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_rows_read_together_count_as_those_read_one_by_one(rows: list[tuple[Any, ...]]) -> None:
    alone = [cells({name: [value] for name, value in zip(NAMES, row, strict=True)}, 1) for row in rows]
    for given_as in (
        [dict(zip(NAMES, row, strict=True)) for row in rows],
        [{name: row[NAMES.index(name)] for name in reversed(NAMES)} for row in rows],
        [list(row) for row in rows],
        rows,
    ):
        columns, unreadable = to_columns(given_as, NAMES)
        assert unreadable == 0
        assert cells(columns, len(rows)).tolist() == np.sum(alone, axis=0).tolist()


def test_a_column_of_floats_is_an_array_and_a_whole_number_in_it_one_more_float() -> None:
    columns = dict_columns([{"a": 0.5, "b": 1.5, "n": 3}, {"a": 2, "b": np.float64(4), "n": 4}], 9)
    assert columns is not None
    assert {name: type(column) for name, column in columns.items()} == {"a": np.ndarray, "b": np.ndarray, "n": list}
    assert columns["a"].tolist() == [0.5, 2.0]  # type: ignore[union-attr]
    assert columns["n"] == [3, 4]


@pytest.mark.parametrize("odd", [None, "1.5", 1j, Decimal("1.5"), [1.5], np.array([1.5])], ids=repr)
def test_one_odd_value_changes_no_other_column(odd: Any) -> None:
    columns = dict_columns([{"a": 0.5, "b": 1.5}, {"a": 0.5, "b": odd}], 9)
    assert columns is not None
    assert columns["a"].tolist() == [0.5, 0.5]  # type: ignore[union-attr]
    assert columns["b"][0] == 1.5
    assert columns["b"][1] is odd


class Rude:
    """Adds up to nothing good."""

    def __radd__(self, other: object) -> float:
        raise KeyError("rude")

    def __float__(self) -> float:
        raise RuntimeError("rude")


def test_an_object_that_can_not_be_added_up_is_kept_as_it_is() -> None:
    rude = Rude()
    columns, unreadable = to_columns([{"a": 0.5, "b": 1.5}, {"a": rude, "b": 2.5}])
    assert unreadable == 0
    assert columns["a"][1] is rude
    assert list(columns["b"]) == [1.5, 2.5]


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1.0, "b": 1.0}, {"a": 1.0}],
        [{"a": 1.0, "b": 1.0}, {"a": 1.0, "c": 1.0}],
        [{1: 1.0, "b": 1.0}, {1: 1.0, "b": 1.0}],
        [{"a\n": 1.0}],
        [{}],
    ],
    ids=str,
)
def test_dicts_that_are_not_alike_take_the_other_way(rows: Any) -> None:
    assert dict_columns(rows, 9) is None


def test_arrays_of_numbers_are_stacked_and_others_read_one_by_one() -> None:
    stacked = sequence_columns([np.array([1, 2]), np.array([3, 4])], ["a"], 9)
    assert stacked == {"a": [1, 3], "f1": [2, 4]}
    assert sequence_columns([np.array([1.0]), np.array([1.0, 2.0])], [], 9) is None
    assert sequence_columns([np.array(["x"])], [], 9) is None
    assert sequence_columns([np.array([[1.0]])], [], 9) is None
    mixed = sequence_columns([np.array([1.0, 2.0]), np.array([1, 2])], [], 9)
    assert mixed is None


def test_slices_with_other_columns_have_none_where_there_were_none() -> None:
    parts: list[Any] = [(2, {"a": np.array([1.0, 2.0])}), (1, {"b": ["x"]}), (1, {"a": [None], "b": ["y"]})]
    assert merged(parts, 9) == {"a": [1.0, 2.0, None, None], "b": [None, None, "x", "y"]}
    assert list(merged(parts, 1)) == ["a"]
