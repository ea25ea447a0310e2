"""Cells are fine where the data is, and never too thin to be known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.conventions import OTHER, UNSEEN
from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.edges import MAX_VOCABULARY, MIN_CELL_SHARE, category_cells, numeric_cells
from modelwatch.records import CellLayout, FeatureCells, FloatArray


def shape_counts(cells: FeatureCells, values: FloatArray) -> list[int]:
    counts: list[int] = CellAssigner(CellLayout((cells,))).bin({cells.name: values}, len(values)).cells.tolist()
    assert sum(counts[cells.shape_size :]) == 0, "every reference value is in range"
    return counts[: cells.shape_size]


def test_few_distinct_values_have_a_cell_each() -> None:
    values = np.array([3.0] * 5 + [1.0] * 3 + [2.0] * 2)
    cells = numeric_cells("x", values, 20)
    assert (cells.minimum, cells.edges) == (1.0, (1.5, 2.5, 3.0))
    assert shape_counts(cells, values) == [3, 2, 5]


def test_a_constant_has_one_cell() -> None:
    cells = numeric_cells("x", np.full(1000, 7.0), 20)
    assert (cells.minimum, cells.edges) == (7.0, (7.0,))


def test_many_distinct_values_are_cut_at_lower_quantiles() -> None:
    values = np.random.default_rng(1).normal(size=10_001)
    cells = numeric_cells("x", values, 20)
    expected = np.quantile(values, np.arange(1, 21) / 20, method="lower")
    assert cells.edges == tuple(expected.tolist())


def test_a_frequent_value_has_a_cell_of_its_own() -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([np.zeros(6000), rng.exponential(size=3000), np.full(1000, 2.0)])
    cells = numeric_cells("x", values, 20)
    counts = shape_counts(cells, values)
    assert counts[0] == 6000
    assert 1000 in counts
    assert min(counts) >= MIN_CELL_SHARE * len(values)


def test_neighbouring_floats_keep_their_cells() -> None:
    low = 1.0
    high = float(np.nextafter(low, 2))
    cells = numeric_cells("x", np.array([low, high] * 50), 20)
    assert shape_counts(cells, np.array([low, high])) == [1, 1]


def test_the_ends_of_the_float_range_make_no_infinite_edge() -> None:
    assert numeric_cells("x", np.array([-1.7e308, 1.7e308]), 20).edges == (0.0, 1.7e308)


def test_minus_zero_is_zero() -> None:
    first, second = (numeric_cells("x", np.array([zero, 1.0]), 20) for zero in (0.0, -0.0))
    assert CellLayout((first,)).id == CellLayout((second,)).id


def test_a_kept_value_is_an_edge_unless_it_lies_outside_or_every_value_has_its_cell() -> None:
    values = np.random.default_rng(3).beta(1, 30, size=5000)
    threshold = float(np.quantile(values, 0.9999))
    assert threshold in numeric_cells("", values, 50, keep=(threshold,)).edges
    assert 5.0 not in numeric_cells("", values, 50, keep=(5.0,)).edges
    assert numeric_cells("", np.array([0.1, 0.9]), 50, keep=(0.5,)).edges == (0.5, 0.9)
    assert numeric_cells("", np.array([0.1, 0.9]), 50, keep=(0.3,)).edges == (0.5, 0.9)


@given(
    values=st.lists(
        st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 5).map(float)),
        min_size=1,
        max_size=300,
    ),
    bins=st.integers(10, 64),
    keep=st.floats(-6, 6),
)
def test_edges_ascend_and_hold_every_value(values: list[float], bins: int, keep: float) -> None:
    array = np.array(values)
    cells = numeric_cells("x", array, bins, keep=(keep,))
    assert cells.minimum == array.min()
    assert cells.edges[-1] == array.max()
    assert all(a < b for a, b in zip(cells.edges, cells.edges[1:], strict=False))
    counts = shape_counts(cells, array)
    if len(set(values)) <= bins:
        assert sorted(counts) == sorted(Counter(array + 0.0).values())
    assert len(counts) <= 3 * bins + 1


def test_the_fifty_most_frequent_categories_have_cells_and_ties_go_by_name() -> None:
    counted = Counter({f"c{i:02}": 1 for i in range(60)} | {"zz": 9})
    cells = category_cells("x", counted)
    assert cells.categories == ("zz", *(f"c{i:02}" for i in range(49)))
    assert cells.known == {f"c{i:02}" for i in range(49, 60)}
    assert cells.vocabulary_complete


def test_a_huge_vocabulary_is_not_kept() -> None:
    cells = category_cells("x", Counter(f"c{i}" for i in range(MAX_VOCABULARY + 1)))
    assert (cells.known, cells.vocabulary_complete) == (frozenset(), False)


@pytest.mark.parametrize("text", ["a\nb", "x" * 201, "\ud800", "\x1b[31m"])
def test_what_cannot_be_shown_is_no_category(text: str) -> None:
    cells = category_cells("x", Counter({text: 5, "ok": 1}))
    assert (cells.categories, cells.known) == (("ok",), frozenset())


def test_names_of_our_own_cells_can_only_be_other() -> None:
    cells = category_cells("x", Counter({OTHER: 5, UNSEEN: 4, "ok": 1}))
    assert (cells.categories, cells.known) == (("ok",), frozenset({OTHER, UNSEEN}))
