"""A batch that comes in pieces is counted as the whole is, and its times say which hours it holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from modelwatch.exceptions import InputError
from modelwatch.profile import ReferenceProfile
from modelwatch.windows.dataframe import Times, count_batch, count_pieces

RNG = np.random.default_rng(0)
ROWS = 2000
TABLE: dict[str, Any] = {
    "age": np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(40.0, 10.0, ROWS)),
    "city": RNG.choice(["Rome", "Oslo"], ROWS).tolist(),
    "other": RNG.random(ROWS),
}
SCORES = RNG.random(ROWS)
AT = 1.7e9 + RNG.uniform(0.0, 20 * 86400.0, ROWS)


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    return ReferenceProfile.build({name: TABLE[name] for name in ("age", "city")}, predictions=SCORES, timestamps=AT)


def pieces(size: int, table: dict[str, Any] = TABLE) -> Iterator[tuple[dict[str, Any], Any]]:
    for first in range(0, ROWS, size):
        at = slice(first, first + size)
        yield {name: column[at] for name, column in table.items()}, SCORES[at]


@pytest.mark.parametrize("size", [1, 333, ROWS])
def test_pieces_of_any_size_are_counted_as_the_whole(profile: ReferenceProfile, size: int) -> None:
    whole, parts = count_batch(profile, TABLE, SCORES), count_pieces(profile, pieces(size))
    assert parts.counts.cells.tolist() == whole.counts.cells.tolist()
    assert parts.counts.rows == whole.counts.rows
    assert (parts.absent, parts.unknown, parts.unlike) == (whole.absent, whole.unknown, whole.unlike)


def test_what_the_whole_says_of_its_columns_the_pieces_say(profile: ReferenceProfile) -> None:
    table = {"age": ["old"] * ROWS, "town": TABLE["city"]}
    whole, parts = count_batch(profile, table, SCORES), count_pieces(profile, pieces(500, table))
    assert parts.absent == whole.absent == ("city",)
    assert parts.unknown == whole.unknown == ("town",)
    assert parts.unlike == whole.unlike == ("age holds no numbers, the reference does",)


def test_no_rows_are_a_mistake(profile: ReferenceProfile) -> None:
    with pytest.raises(InputError, match="no rows"):
        count_pieces(profile, [({"age": []}, [])])
    with pytest.raises(InputError, match="predictions hold no numbers"):
        count_pieces(profile, [({"age": [1.0]}, ["yes"])])


@pytest.mark.parametrize("size", [100, ROWS])
def test_times_say_how_many_rows_each_stratum_has(profile: ReferenceProfile, size: int) -> None:
    strata = profile.strata
    assert strata is not None
    times = Times(strata)
    for first in range(0, ROWS, size):
        times.add(AT[first : first + size])
    batch = times.of(count_batch(profile, TABLE, SCORES), 3)
    assert batch.counts.strata is not None
    assert batch.counts.strata.shape == (3, len(strata.counts))
    assert batch.counts.strata[0].tolist() == np.bincount(strata.index(AT), minlength=len(strata.counts)).tolist()
    assert (batch.counts.start, batch.counts.end) == (AT.min(), AT.max())


def test_rows_without_any_time_are_a_batch_without_times(profile: ReferenceProfile) -> None:
    times = Times(profile.strata)
    times.add(np.full(ROWS, np.nan))
    batch = count_batch(profile, TABLE, SCORES)
    assert times.of(batch, 3) is batch


def test_a_time_for_each_row_is_needed(profile: ReferenceProfile) -> None:
    times = Times(None)
    times.add(AT[:5])
    with pytest.raises(InputError, match="timestamps has 5 values, the data have 2000 rows"):
        times.of(count_batch(profile, TABLE, SCORES), 3)
