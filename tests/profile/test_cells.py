"""Every value has one place, whichever way it comes and however large the batch is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelwatch.profile.cells import BLOCK_VALUES, CellAssigner
from modelwatch.records import (
    HIGH,
    INVALID_PARSE,
    INVALID_TOO_BIG,
    INVALID_TYPE,
    LOW,
    MISSING,
    PREDICTION_SCORE,
    CellLayout,
    FeatureCells,
    IntArray,
)

AGE = FeatureCells("age", "numeric", minimum=0.0, edges=(1.0, 2.5, 10.0))
CARRIER = FeatureCells("carrier", "categorical", categories=("UA", "1", "True"), known=frozenset({"ZZ"}))
SCORE = FeatureCells("", "numeric", minimum=0.0, edges=(0.5, 1.0))
LAYOUT = CellLayout((AGE, CARRIER), SCORE)


class Color(Enum):
    UNITED = "UA"
    ONE = 1


class Hostile:
    def __bool__(self) -> NoReturn:
        raise RuntimeError

    def __float__(self) -> NoReturn:
        raise RuntimeError

    def __str__(self) -> NoReturn:
        raise RuntimeError

    def __eq__(self, other: object) -> NoReturn:
        raise RuntimeError

    def __hash__(self) -> NoReturn:
        raise RuntimeError

    def __len__(self) -> NoReturn:
        raise RuntimeError


class HostileContainer:
    def __iter__(self) -> NoReturn:
        raise RuntimeError

    def __len__(self) -> NoReturn:
        raise RuntimeError

    def to_numpy(self) -> NoReturn:
        raise RuntimeError


class Reading:
    def __float__(self) -> float:
        return 2.0


def cells_of(member: FeatureCells, column: Any, n: int, **options: int) -> IntArray:
    return CellAssigner(CellLayout((member,)), **options).bin({member.name: column}, n).cells


def place_of(member: FeatureCells, value: Any) -> int:
    cells = cells_of(member, [value], 1)
    assert cells.sum() == 1
    return int(np.flatnonzero(cells)[0]) - member.shape_size


NUMERIC_PLACES: list[tuple[Any, int]] = [
    (0.0, -3), (-0.0, -3), (1.0, -3), (1, -3), (True, -3), (False, -3), (np.bool_(True), -3),
    (math.nextafter(1.0, 2), -2), (2.5, -2), ("2.5", -2), (" 2 ", -2), (Decimal("2.5"), -2), (Fraction(5, 2), -2),
    (np.float32(2.5), -2), (np.int8(2), -2), (np.longdouble(2), -2), (np.array(2.0), -2), (np.array([2.0]), -2),
    (Reading(), -2), (10.0, -1), (np.uint64(3), -1), (Color.ONE, -3),
    (-1e-300, LOW), (-math.inf, LOW), ("-inf", LOW), (-5e-324, LOW),
    (math.nextafter(10.0, 11), HIGH), (math.inf, HIGH), (Decimal("Infinity"), HIGH), (np.float64("inf"), HIGH),
    (10**300, HIGH), ("inf", HIGH),
    (None, MISSING), (math.nan, MISSING), (pd.NA, MISSING), (pd.NaT, MISSING), (np.float32("nan"), MISSING),
    (np.datetime64("NaT"), MISSING), (Decimal("NaN"), MISSING), (Decimal("sNaN"), MISSING), ("nan", MISSING),
    (np.ma.masked, MISSING),
    (b"1.0", INVALID_TYPE), (np.bytes_(b"1"), INVALID_TYPE), ([1.0], INVALID_TYPE), ({}, INVALID_TYPE),
    ({"a": 1}, INVALID_TYPE), (1j, INVALID_TYPE), (np.complex64(1), INVALID_TYPE), (object(), INVALID_TYPE),
    (datetime(2026, 1, 1, tzinfo=timezone.utc), INVALID_TYPE), (date(2026, 1, 1), INVALID_TYPE),
    (np.datetime64("2026-01-01", "ns"), INVALID_TYPE), (np.timedelta64(3, "s"), INVALID_TYPE),
    (pd.Timestamp("2026-01-01"), INVALID_TYPE), (np.array([1.0, 2.0]), INVALID_TYPE), (Hostile(), INVALID_TYPE),
    (float, INVALID_TYPE),
    ("", INVALID_PARSE), ("n/a", INVALID_PARSE), ("1_0", INVALID_PARSE), ("1" * 201, INVALID_PARSE),
    (10**400, INVALID_TOO_BIG), (-(10**400), INVALID_TOO_BIG), ("1e400", INVALID_TOO_BIG),
    (Decimal("1e400"), INVALID_TOO_BIG), (Fraction(10**400), INVALID_TOO_BIG),
]  # fmt: skip

CATEGORY_PLACES: list[tuple[Any, int]] = [
    ("UA", -4), (np.str_("UA"), -4), (Color.UNITED, -4), (1, -3), (1.0, -3), ("1", -3), (np.int64(1), -3),
    (np.float32(1), -3), (Decimal("1.0"), -3), (Color.ONE, -3), (np.array("UA"), -4), (True, -2), ("True", -2),
    (np.bool_(True), -2), ("ZZ", -1),
    ("ua", LOW), (False, LOW), (0.5, LOW), (math.inf, LOW), ("x" * 300, LOW), (10**5000, LOW), ("", LOW),
    ("\ud800", LOW),
    (None, MISSING), (math.nan, MISSING), (pd.NA, MISSING), (pd.NaT, MISSING), (Decimal("NaN"), MISSING),
    (np.datetime64("NaT"), MISSING), (np.ma.masked, MISSING),
    (b"UA", INVALID_TYPE), (["UA"], INVALID_TYPE), ({}, INVALID_TYPE), (("UA",), INVALID_TYPE),
    (Hostile(), INVALID_TYPE), (object(), INVALID_TYPE), (date(2026, 1, 1), INVALID_TYPE),
    (np.array(["UA", "AA"]), INVALID_TYPE),
]  # fmt: skip


@pytest.mark.parametrize(("value", "place"), NUMERIC_PLACES, ids=lambda v: type(v).__name__)
def test_every_object_has_its_place_in_a_numeric_feature(value: Any, place: int) -> None:
    assert place_of(AGE, value) == place


@pytest.mark.parametrize(("value", "place"), CATEGORY_PLACES, ids=lambda v: type(v).__name__)
def test_every_object_has_its_place_in_a_categorical_feature(value: Any, place: int) -> None:
    assert place_of(CARRIER, value) == place


@pytest.mark.parametrize(("member", "places"), [(AGE, NUMERIC_PLACES), (CARRIER, CATEGORY_PLACES)])
@pytest.mark.parametrize("repeat", [1, 20])
def test_a_value_s_place_does_not_depend_on_its_company(
    member: FeatureCells, places: list[tuple[Any, int]], repeat: int
) -> None:
    expected = np.zeros(member.size, dtype=np.int64)
    for _, place in places:
        expected[member.shape_size + place] += repeat
    assert cells_of(member, [v for v, _ in places] * repeat, len(places) * repeat).tolist() == expected.tolist()


def test_an_unknown_category_is_other_where_the_vocabulary_was_too_large_to_keep() -> None:
    member = FeatureCells("carrier", "categorical", categories=("UA",), vocabulary_complete=False)
    assert place_of(member, "new") == -1


def test_true_and_one_are_different_categories() -> None:
    cells = cells_of(CARRIER, [True, 1, 1.0, False, None], 5)
    assert cells.tolist() == [0, 2, 1, 0, 1, 0, 1, 0, 0, 0]


edges_strategy = st.lists(st.integers(-50, 50), min_size=1, max_size=12, unique=True).map(sorted)


@given(
    cuts=edges_strategy,
    values=st.lists(
        st.one_of(st.integers(-60, 60), st.floats(), st.floats(-60, 60), st.none(), st.booleans()), max_size=40
    ),
)
def test_both_ways_of_binning_equal_one_value_at_a_time(cuts: list[int], values: list[Any]) -> None:
    edges = tuple(float(cut) for cut in cuts)
    member = FeatureCells("x", "numeric", minimum=edges[0] - 1, edges=edges)
    values = values + [float(edge) for edge in edges]
    expected = [0] * member.size
    for value in values:
        expected[_oracle(member, value)] += 1
    for sort_rows in (0, 10**9):
        assert cells_of(member, values, len(values), sort_rows=sort_rows).tolist() == expected
    inside = [float(v) for v in values if v is not None and member.minimum <= v <= edges[-1]]
    sums = CellAssigner(CellLayout((member,))).bin({"x": values}, len(values)).sums
    assert sums[0] == pytest.approx(math.fsum(inside))


def _oracle(member: FeatureCells, value: Any) -> int:
    if value is None or math.isnan(value):
        return member.shape_size + MISSING
    if value < member.minimum:
        return member.shape_size + LOW
    for place, edge in enumerate(member.edges):
        if value <= edge:
            return place
    return member.shape_size + HIGH


any_object = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.decimals(), st.fractions(),
    st.datetimes(), st.lists(st.integers(), max_size=3), st.dictionaries(st.text(), st.none(), max_size=2),
    st.complex_numbers(), st.builds(Hostile), st.sampled_from([pd.NA, pd.NaT, np.float32(1), np.int8(1), 10**400]),
)  # fmt: skip


@given(values=st.lists(any_object, max_size=30), predictions=st.lists(any_object, max_size=30))
def test_counts_add_up_to_the_rows_for_any_objects(values: list[Any], predictions: list[Any]) -> None:
    n = len(values)
    batch = CellAssigner(LAYOUT).bin({"age": values, "carrier": values}, n, predictions)
    assert batch.rows == n
    for offset, member in zip(LAYOUT.offsets, LAYOUT.members, strict=True):
        assert batch.cells[offset : offset + member.size].sum() == n
    assert (batch.cells >= 0).all()
    assert np.isfinite(batch.sums).all()


AS_CONTAINER: Mapping[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "float array": lambda v: np.array(v, dtype=float),
    "object array": lambda v: np.array(v, dtype=object),
    "column of a matrix": lambda v: np.array(v, dtype=float).reshape(-1, 1),
    "series": pd.Series,
    "nullable series": lambda v: pd.Series(v, dtype="Float64"),
    "masked array": lambda v: np.ma.array(
        [0.0 if x is None else x for x in v], mask=[x is None for x in v], dtype=float
    ),
    "values view": lambda v: dict(enumerate(v)).values(),
}


@pytest.mark.parametrize("convert", AS_CONTAINER.values(), ids=AS_CONTAINER.keys())
@pytest.mark.parametrize("repeat", [1, 100])
def test_every_container_is_read_alike(convert: Callable[[list[Any]], Any], repeat: int) -> None:
    values = [0.5, 1.0, 2.0, 99.0, -1.0, None] * repeat
    expected = [2 * repeat, repeat, 0, repeat, repeat, repeat, 0, 0, 0]
    assert cells_of(AGE, convert(values), len(values)).tolist() == expected


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.bool_, np.float16, np.float32, np.longdouble, np.str_])
def test_every_dtype_is_read_as_numbers(dtype: type) -> None:
    column: NDArray[Any] = np.array([0, 1, 1], dtype=np.int8).astype(dtype)
    if dtype is np.str_:
        column = np.array(["0", "1", "1"])
    assert cells_of(AGE, column, 3).tolist() == [3, 0, 0, 0, 0, 0, 0, 0, 0]


def test_dates_bytes_and_complex_arrays_are_invalid_and_gaps_in_them_missing() -> None:
    for column in (np.array(["2026-01-01", "NaT"], dtype="datetime64[ns]"), np.array([1, "NaT"], dtype="m8[s]")):
        assert cells_of(AGE, column, 2)[3:].tolist() == [0, 0, 1, 1, 0, 0]
        assert cells_of(CARRIER, column, 2)[4:].tolist() == [0, 0, 1, 1, 0, 0]
    for other in (np.array([b"1", b"2"]), np.array([1j, 2j])):
        assert cells_of(AGE, other, 2)[3 + INVALID_TYPE] == 2


@pytest.mark.parametrize("column", ["ab", b"ab", 7, {"a": 1}, object(), HostileContainer(), np.array(1.0)])
def test_what_is_no_column_is_invalid_in_every_row(column: Any) -> None:
    assert cells_of(AGE, column, 2)[3 + INVALID_TYPE] == 2
    assert cells_of(CARRIER, column, 2)[4 + INVALID_TYPE] == 2


def test_a_column_that_is_absent_or_too_short_is_missing_and_a_longer_one_cut() -> None:
    assert CellAssigner(LAYOUT).bin({}, 3).cells[3 + MISSING] == 3
    assert cells_of(AGE, [1.0], 3).tolist() == [1, 0, 0, 0, 0, 2, 0, 0, 0]
    assert cells_of(AGE, np.ones(5), 3).tolist() == [3, 0, 0, 0, 0, 0, 0, 0, 0]


def test_predictions_are_counted_last_and_stay_zero_when_none_are_given() -> None:
    assigner = CellAssigner(LAYOUT)
    start = LAYOUT.offsets[-1]
    assert assigner.bin({}, 3, [0.5, 0.51, None]).cells[start:].tolist() == [1, 1, 0, 0, 1, 0, 0, 0]
    assert assigner.bin({}, 3, np.array([[0.1], [0.2], [2.0]])).cells[start:].tolist() == [2, 0, 0, 1, 0, 0, 0, 0]
    assert assigner.bin({"": [1, 1, 1]}, 3).cells[start:].sum() == 0
    assert CellAssigner(CellLayout((AGE,))).bin({"age": [1.0]}, 1, [0.5]).cells.sum() == 1


def test_labels_are_counted_as_categories() -> None:
    layout = CellLayout((), FeatureCells("", "categorical", categories=("yes", "no")))
    assert CellAssigner(layout).bin({}, 4, ["no", "no", "maybe", None]).cells.tolist() == [0, 2, 0, 1, 0, 1, 0, 0, 0]


def test_a_constant_feature_has_below_equal_above() -> None:
    member = FeatureCells("c", "numeric", minimum=7.0, edges=(7.0,))
    for sort_rows in (0, 100):
        assert cells_of(member, [7, 6.999, 7.001, 7.0], 4, sort_rows=sort_rows).tolist() == [2, 1, 1, 0, 0, 0, 0]


def test_a_layout_without_edges_or_members_does_no_harm() -> None:
    assert cells_of(FeatureCells("e", "numeric"), [1.0, None, -math.inf], 3).tolist() == [1, 1, 1, 0, 0, 0]
    empty = CellAssigner(CellLayout(())).bin({"x": [1]}, 1, [1])
    assert (empty.rows, empty.cells.size, empty.sums.size) == (1, 0, 0)
    assert CellAssigner(LAYOUT).bin({}, 0).cells.sum() == 0


def test_a_batch_larger_than_a_block_is_counted_in_full() -> None:
    n = BLOCK_VALUES // 2 + 1
    layout = CellLayout(tuple(FeatureCells(f"f{i}", "numeric", 0.0, (0.5, 1.0)) for i in range(3)))
    column = np.tile([0.25, 0.75], n)[:n]
    batch = CellAssigner(layout).bin({f"f{i}": column for i in range(3)}, n)
    assert batch.cells.reshape(3, -1)[:, :2].tolist() == [[(n + 1) // 2, n // 2]] * 3
    assert batch.sums == pytest.approx([column.sum()] * 3)


def test_sums_stay_finite_at_the_end_of_the_float_range() -> None:
    member = FeatureCells("x", "numeric", minimum=-1.7e308, edges=(1.7e308,))
    assert np.isfinite(CellAssigner(CellLayout((member,))).bin({"x": [1.7e308] * 4}, 4).sums).all()


@pytest.mark.parametrize(
    ("columns", "predictions", "cells"),
    [
        ({}, ["a", "b"], [0] * 8),
        ({PREDICTION_SCORE: [0.4, 0.6]}, ["a", "b"], [1, 1, 0, 0, 0, 0, 0, 0]),
        ({PREDICTION_SCORE: None}, ["a", "b"], [0, 0, 0, 0, 2, 0, 0, 0]),
        ({PREDICTION_SCORE: [0.4, 0.6]}, None, [0] * 8),
    ],
    ids=["labels alone", "both", "none has a score", "no predictions"],
)
def test_scores_that_nobody_gave_are_unknown_and_those_of_rows_that_have_none_are_missing(
    columns: dict[str, Any], predictions: Any, cells: list[int]
) -> None:
    score = FeatureCells(PREDICTION_SCORE, "numeric", minimum=0.0, edges=(0.5, 1.0))
    layout = CellLayout((), FeatureCells("", "categorical", categories=("a", "b")), score)
    assigner, first = CellAssigner(layout), layout.offsets[1]
    (grouped,) = assigner.bin_groups(columns, np.zeros(2, dtype=np.int64), 1, predictions)
    for batch in (assigner.bin(columns, 2, predictions), grouped):
        assert batch.cells[first:].tolist() == cells
        assert batch.cells[:first].sum() == (2 if predictions else 0)
