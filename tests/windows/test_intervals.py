"""Rows with times are counted by interval as the store would have them, whichever way they come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest

from modelwatch.exceptions import InputError
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.windows.intervals import count_intervals

RNG = np.random.default_rng(0)
ROWS = 3000
TABLE: dict[str, Any] = {
    "age": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(40.0, 10.0, ROWS)),
    "city": RNG.choice(["Rome", "Oslo"], ROWS).tolist(),
    "score": RNG.random(ROWS),
    "at": RNG.uniform(0.0, 7200.0, ROWS),
}


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    return ReferenceProfile.build({name: TABLE[name] for name in ("age", "city")}, predictions=TABLE["score"])


def pieces(size: int, order: np.ndarray | None = None) -> Iterator[dict[str, Any]]:
    order = np.arange(ROWS) if order is None else order
    for first in range(0, ROWS, size):
        at = order[first : first + size]
        yield {n: [c[i] for i in at] if isinstance(c, list) else c[at] for n, c in TABLE.items()}


def test_all_rows_of_all_intervals_are_those_of_the_whole(profile: ReferenceProfile) -> None:
    series = count_intervals(profile, pieces(ROWS), 900.0, timestamps="at", predictions="score")
    whole = CellAssigner(profile.layout).bin(TABLE, ROWS, TABLE["score"])
    assert series.starts.tolist() == [900.0 * i for i in range(8)]
    assert series.cells.sum(axis=0).tolist() == whole.cells.tolist()
    assert series.rows.tolist() == np.histogram(TABLE["at"], np.arange(9) * 900.0)[0].tolist()
    assert series.sums.sum(axis=0) == pytest.approx(whole.sums)


def test_neither_pieces_nor_order_matter(profile: ReferenceProfile) -> None:
    expected = count_intervals(profile, pieces(ROWS), 900.0, timestamps="at", predictions="score")
    for size, order in ((7, None), (1000, RNG.permutation(ROWS))):
        found = count_intervals(profile, pieces(size, order), 900.0, timestamps="at", predictions="score")
        np.testing.assert_array_equal(found.cells, expected.cells)
        np.testing.assert_array_equal(found.rows, expected.rows)


def test_naive_times_are_in_the_zone_that_is_named(profile: ReferenceProfile) -> None:
    rows = {"age": [30.0], "city": ["Rome"], "at": ["2026-07-01T09:00"]}
    series = count_intervals(profile, [rows], 900.0, timestamps="at", timezone="Europe/Rome")
    assert series.starts[0] == datetime(2026, 7, 1, 7, tzinfo=timezone.utc).timestamp()


def test_of_a_feature_without_a_column_nothing_is_counted(profile: ReferenceProfile) -> None:
    series = count_intervals(profile, [{"age": [1.0, 2.0], "at": [0.0, 1.0]}], 900.0, timestamps="at")
    size = profile.member("age").size
    assert series.cells[:, :size].sum() == 2.0
    assert series.cells[:, size:].sum() == 0.0


def test_rows_without_a_time_are_left_out_and_counted(profile: ReferenceProfile) -> None:
    rows = {"age": [1.0, 2.0, 3.0], "city": ["Rome", "Oslo", None], "at": [0.0, np.nan, 5.0]}
    series = count_intervals(profile, [rows], 900.0, timestamps="at")
    assert (series.rows.tolist(), series.ignored) == ([2.0], 1)


@pytest.mark.parametrize(
    ("times", "message"), [([np.nan], "no row has a time"), (list(np.arange(250_000) * 9e3), "are these times")]
)
def test_what_can_not_be_times_is_said(profile: ReferenceProfile, times: list[float], message: str) -> None:
    rows = {"age": [1.0] * len(times), "at": times}
    with pytest.raises(InputError, match=message):
        count_intervals(profile, [rows], 900.0, timestamps="at")


def test_of_labels_in_a_file_the_scores_that_a_reference_knows_are_unknown_not_missing() -> None:
    scores = np.random.default_rng(0).dirichlet([4.0, 2.0, 1.0], 500)
    profile = ReferenceProfile.build({"age": np.arange(500.0)}, scores)
    piece = {"age": [1.0, 2.0], "at": [10.0, 70.0], "label": ["0", "1"]}
    series = count_intervals(profile, [piece], 60.0, timestamps="at", predictions="label")
    answers = series.cells[:, profile.layout.offsets[1] :].sum(axis=1)
    assert answers.tolist() == [1.0, 1.0]
