"""Sums between marks say of any window what its rows would say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwatch.drift.multivariate import measure, measure_sums
from modelwatch.profile import ReferenceProfile
from modelwatch.windows.together import Together


def trips(rng: np.random.Generator, n: int) -> dict[str, Any]:
    km = rng.lognormal(1.5, 0.5, n)
    return {
        "km": km,
        "price": 2.0 * km + rng.normal(0.0, 2.0, n),
        "kind": rng.choice(["day", "night"], n),
    }


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    return ReferenceProfile.build(trips(np.random.default_rng(1), 5_000))


def together(profile: ReferenceProfile, marks: Any, *pieces: tuple[Any, dict[str, Any]]) -> Together:
    assert profile.correlation is not None
    return Together(profile, profile.correlation, marks, pieces)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(1, 10), st.integers(1, 4))
def test_a_window_measures_as_its_rows_do(
    profile: ReferenceProfile, seed: int, first: int, length: int, parts: int
) -> None:
    rng = np.random.default_rng(seed)
    times, rows = rng.uniform(0.0, 10.0, 3_000), trips(rng, 3_000)
    cut = np.array_split(rng.permutation(3_000), parts)
    sums = together(profile, range(11), *[(times[some], {n: c[some] for n, c in rows.items()}) for some in cut])
    last = min(first + length, 10)
    inside = (times >= first) & (times < last)
    found = measure_sums(sums.constants, sums.between(first, last), ["km", "price", "kind"], "w")
    expected = measure(profile, {n: c[inside] for n, c in rows.items()}, int(inside.sum()), "w")
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert (found.n, found.pairs) == (expected.n, expected.pairs)
    np.testing.assert_allclose(found.now, expected.now, atol=1e-9)
    assert found.p_value(0.05) == pytest.approx(expected.p_value(0.05), rel=1e-6)


def test_rows_without_a_time_or_beyond_the_marks_do_not_count(profile: ReferenceProfile) -> None:
    rng = np.random.default_rng(2)
    times = np.array([np.nan, -1.0, 0.0, 4.9, 5.0, 9.9, 10.0, 11.0])
    sums = together(profile, [0.0, 5.0, 10.0], (times, trips(rng, len(times))))
    assert [sums.between(*span).n for span in ((0.0, 5.0), (5.0, 10.0), (0.0, 10.0), (-9.0, 99.0))] == [2, 2, 4, 4]
    assert sums.rows == 4


def test_features_that_are_left_out_are_in_no_pair(profile: ReferenceProfile) -> None:
    rng = np.random.default_rng(3)
    sums = together(profile, [0.0, 1.0], (np.zeros(500), trips(rng, 500)))
    found = measure_sums(sums.constants, sums.between(0.0, 1.0), ["km", "price"], "w")
    assert found is not None
    assert found.pairs == 1
    assert measure_sums(sums.constants, sums.between(0.0, 1.0), ["km"], "w") is None


def test_a_feature_that_no_row_has_says_nothing(profile: ReferenceProfile) -> None:
    rows = trips(np.random.default_rng(4), 500)
    del rows["price"]
    sums = together(profile, [0.0, 1.0], (np.zeros(500), rows))
    found = measure_sums(sums.constants, sums.between(0.0, 1.0), ["km", "price", "kind"], "w")
    assert found is not None
    assert found.pairs == 1


def test_what_the_hour_makes_of_features_is_taken_off_as_it_is_of_rows() -> None:
    rng = np.random.default_rng(5)
    at = np.sort(rng.uniform(0.0, 28 * 86400.0, 40_000))
    cycle = np.sin(2.0 * np.pi * at / 86400.0)
    columns = {"a": cycle + rng.normal(size=len(at)), "b": cycle + rng.normal(size=len(at))}
    profile = ReferenceProfile.build(columns, timestamps=at)
    constants = profile.correlation_by_hour
    assert constants is not None
    evening = (at >= 20 * 86400.0 + 18 * 3600.0) & (at < 21 * 86400.0)
    rows = {name: column[evening] for name, column in columns.items()}
    expected = measure(profile, rows, int(evening.sum()), "w", seconds=at[evening])
    sums = Together(profile, constants, [0.0, 20 * 86400.0 + 18 * 3600.0, 21 * 86400.0], [(at, columns)])
    found = measure_sums(constants, sums.between(20 * 86400.0 + 18 * 3600.0, 21 * 86400.0), ["a", "b"], "w")
    assert found is not None
    assert expected is not None
    assert found.n == expected.n
    np.testing.assert_allclose(found.now, expected.now, atol=1e-9)
    assert abs(found.before[0]) < 0.05
    assert abs(found.now[0]) < 0.2
