"""Two profiles differ in what is real and beyond tolerance, whether or not they have the same cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch.drift.between import Difference, compare_profiles
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.natural import LENGTHS, Natural


def profile(seed: int, n: int = 20_000, **columns: Any) -> ReferenceProfile:
    rng = np.random.default_rng(seed)
    plain = {
        "age": rng.normal(40, 10, n),
        "skewed": rng.lognormal(size=n),
        "zeros": np.where(rng.random(n) < 0.6, 0.0, rng.gamma(2.0, size=n)),
        "few": rng.integers(0, 5, n),
        "city": rng.choice(["Rome", "Oslo", "Lima"], n, p=[0.6, 0.3, 0.1]),
        "gaps": np.where(rng.random(n) < 0.05, np.nan, rng.normal(size=n)),
    }
    return ReferenceProfile.build({**plain, **columns}, rng.random(n))


def beyond(found: list[Difference]) -> list[tuple[str, str]]:
    return [(one.feature, one.what) for one in found if one.beyond]


def test_a_profile_does_not_differ_from_itself() -> None:
    one = profile(0)
    assert compare_profiles(one, one) == []


@pytest.mark.parametrize("seed", range(5))
def test_two_samples_of_the_same_are_alike_though_their_cells_differ(seed: int) -> None:
    one, other = profile(2 * seed), profile(2 * seed + 1, n=100_000)
    assert one.id != other.id
    assert beyond(compare_profiles(one, other)) == []


RNG = np.random.default_rng(99)
N = 20_000


@pytest.mark.parametrize(
    ("column", "values", "tests", "js"),
    [
        ("age", RNG.normal(45, 10, N), ["shape"], 0.21),
        ("age", RNG.normal(40, 20, N), ["novel", "shape"], None),
        ("skewed", RNG.lognormal(size=N) * 1.3, ["shape"], 0.11),
        ("zeros", np.where(RNG.random(N) < 0.3, 0.0, RNG.gamma(2.0, size=N)), ["shape"], 0.25),
        ("few", RNG.integers(1, 5, N), ["shape"], 0.15),
        ("city", RNG.choice(["Rome", "Oslo", "Lima"], N, p=[0.3, 0.6, 0.1]), ["shape"], 0.26),
        ("city", RNG.choice(["Rome", "Oslo", "Lima", "Bonn"], N, p=[0.5, 0.25, 0.08, 0.17]), ["novel"], None),
        ("gaps", np.where(RNG.random(N) < 0.3, np.nan, RNG.normal(size=N)), ["missing"], 0.29),
    ],
)
def test_each_change_is_found_by_its_test(column: str, values: Any, tests: list[str], js: float | None) -> None:
    found = compare_profiles(profile(0), profile(1, **{column: values}))
    assert sorted(beyond(found)) == [(column, test) for test in tests]
    if js is not None:
        assert next(one.score for one in found if one.beyond) == pytest.approx(js, abs=0.03)


def test_over_the_same_cells_counts_are_compared_exactly() -> None:
    one = profile(0)
    counts = one.counts.copy()
    place = one.layout.offsets[0]
    counts[place] += counts[place + 1]
    counts[place + 1] = 0
    found = compare_profiles(one, replace(one, counts=counts))
    assert beyond(found) == [("age", "shape")]
    # 5 % moved into the cell beside it: JSD = 0.05 ln 2 + …, by hand from shares 0.05, 0.05 and 0.1, 0.
    p, q = np.array([0.05, 0.05]), np.array([0.1, 0.0])
    middle = (p + q) / 2
    jsd = (p * np.log(p / middle)).sum() / 2 + 0.1 * np.log(0.1 / middle[0]) / 2
    assert found[0].score == pytest.approx(np.sqrt(jsd / np.log(2)), abs=0.005)


def test_what_varies_by_itself_is_tolerated() -> None:
    one, other = profile(0), profile(1, age=np.random.default_rng(3).normal(42, 10, 20_000))
    assert beyond(compare_profiles(one, other)) == [("age", "shape")]
    v = np.zeros((7, 3))
    v[0, 0] = 0.02
    natural = dict.fromkeys(LENGTHS, Natural(v, np.ones_like(v)))
    tolerant = replace(one, natural=natural, natural_days=56)
    assert beyond(compare_profiles(tolerant, other)) == []
    told = compare_profiles(tolerant, other)[0]
    assert (told.feature, round(told.tolerance, 2)) == ("age", 0.28)


def test_features_that_come_go_or_turn_into_something_else_are_told_first_profile_first() -> None:
    one = ReferenceProfile.build({"a": np.arange(500.0), "b": np.arange(500.0), "c": np.arange(500.0)})
    other = ReferenceProfile.build({"c": ["x", "y"] * 250, "d": np.arange(500.0), "a": np.arange(500.0)})
    found = compare_profiles(one, other)
    assert [(d.feature, d.what, d.words) for d in found] == [
        ("b", "only in the first", ""),
        ("c", "kind", "numeric → categorical"),
        ("d", "only in the second", ""),
    ]
    assert all(d.beyond for d in found)


@pytest.mark.parametrize(
    ("mine", "theirs", "differs"),
    [
        ([5.0], [5.0], False),
        ([5.0], [6.0], True),
        ([-1e308, 1e308], [-1e308, -1e308, 1e308], True),
        ([0.0, 5e-324], [0.0, 1e-323], True),
        ([0.0, 1.0], [0.0, 1.0, 2.0], True),
    ],
)
def test_extreme_columns_are_compared_without_trouble(mine: list[float], theirs: list[float], differs: bool) -> None:
    def repeated(values: list[float]) -> ReferenceProfile:
        return ReferenceProfile.build({"x": np.resize(values, 3000)})

    found = compare_profiles(repeated(mine), repeated(theirs))
    assert bool(found) == differs
    assert all(0.0 <= one.score <= 1.0 for one in found)
