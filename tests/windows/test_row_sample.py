"""Of rows that come in pieces a part is kept, whatever the pieces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.windows.row_sample import RowSample


def sampled(ends: list[int], rows: int, most: int) -> RowSample:
    sample = RowSample(most)
    places = [0, *sorted(ends), rows]
    for start, end in pairwise(places):
        numbers = np.arange(start, end)
        sample.add({"number": numbers.astype(float), "text": [f"row {i}" for i in numbers]}, end - start)
    return sample


@given(ends=st.lists(st.integers(0, 1000), max_size=6), most=st.integers(20, 1500))
def test_the_pieces_make_no_difference(ends: list[int], most: int) -> None:
    assert sampled(ends, 1000, most).columns == sampled([], 1000, most).columns


def test_all_rows_are_kept_while_they_are_few() -> None:
    assert sampled([300], 1000, 1000).columns["number"] == list(range(1000))


def test_rows_stay_whole_and_come_from_everywhere() -> None:
    sample = sampled([10_000, 30_000], 100_000, 5_000)
    numbers = np.array(sample.columns["number"])
    assert 1_250 < sample.rows <= 5_000
    assert sample.columns["text"] == [f"row {i:.0f}" for i in numbers]
    by_tenth = np.bincount((numbers // 10_000).astype(int), minlength=10)
    assert by_tenth.min() > 0.8 * sample.rows / 10
