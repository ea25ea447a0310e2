"""Rows that are alike take a fast way to columns; what they count as is what they count as one by one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.profile.cells import CellAssigner
from modelwatch.recorder import uniform
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
compiled = pytest.mark.skipif(
    uniform._rows is None and not os.environ.get("CI"), reason="no C compiler was there when modelwatch was installed"
)


@pytest.fixture(autouse=True, scope="module", params=[pytest.param("compiled", marks=compiled), "python"])
def reader(request: pytest.FixtureRequest) -> Iterator[str]:
    """Whether rows are read by compiled code: what comes out is the same."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "python":
            patched.setattr(uniform, "_rows", None)
        else:
            assert uniform._rows is not None
        yield request.param


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


class Shy:
    """A key that is like one of ours, and can't be compared."""

    def __hash__(self) -> int:
        return hash("b")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("shy")


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 0.5, "b": 1.5}, {"a": 0.5, "c": 1.5, "b": 2.5}],
        [{"a": 0.5, "b": 1.5}, [0.5, 1.5]],
        [{"a": 0.5, "b": 1.5}, None],
    ],
    ids=["more keys", "a list among dicts", "nothing among dicts"],
)
def test_a_row_unlike_the_others_costs_no_other_row(rows: Any) -> None:
    columns, _ = to_columns(rows, ["a", "b"])
    assert columns["a"][0] == 0.5
    assert columns["b"][0] == 1.5


def test_what_a_key_raises_comes_out() -> None:
    with pytest.raises(RuntimeError, match="shy"):
        dict_columns([{"a": 0.5, "b": 1.5}, {"a": 0.5, Shy(): 1.5}], 9)


def test_nothing_that_was_read_is_held_on_to() -> None:
    odd, text, number = [1.5], "a text of its own", 1e300
    held = [sys.getrefcount(value) for value in (odd, text, number, None, True, False, "a", "b")]
    for _ in range(2000):
        dict_columns([{"a": number, "b": 1.5, "c": text}, {"a": 2.5, "b": odd, "c": text}], 9)
        dict_columns([{"a": number, "b": 1.5}, {"a": number}], 9)
        dict_columns([{"a": number, "b": 1.5}, {"a": number, "c": odd}], 9)
    now = [sys.getrefcount(value) for value in (odd, text, number, None, True, False, "a", "b")]
    assert all(after - before < 100 for before, after in zip(held, now, strict=True))


@compiled
@pytest.mark.parametrize(
    "wrong",
    [(), ([], (), b"", np.empty(0), float), (({},), ("a",), b"", np.empty(0), float), ((), (), b"", np.empty(0), 1)],
    ids=["nothing", "a list", "too few kinds", "no type"],
)
def test_the_compiled_reader_refuses_what_it_can_not_read(wrong: tuple[Any, ...], reader: str) -> None:
    if reader == "compiled":
        assert uniform._rows is not None
        with pytest.raises(TypeError, match="read takes"):
            uniform._rows.read(*wrong)


@compiled
def test_the_compiled_reader_writes_nowhere_but_into_its_matrix(reader: str) -> None:
    if reader == "compiled":
        assert uniform._rows is not None
        for matrix in (np.empty(1), np.empty((2, 2)), np.empty((4, 1))[::2]):
            with pytest.raises((ValueError, BufferError)):
                uniform._rows.read(({"a": 1.0}, {"a": 1.0}), ("a",), b"\1", matrix, np.float64)
