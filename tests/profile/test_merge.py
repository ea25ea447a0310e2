"""Parts of a reference that were counted apart add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.exceptions import ProfileError
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.strata import Strata

Make = Callable[..., Any]
WHEN = datetime(2026, 3, 1, tzinfo=timezone.utc)


def part(seed: int, rows: int = 200, **options: Any) -> ReferenceProfile:
    """A profile whose cells do not depend on the seed: few values, all of them there."""
    rng = np.random.default_rng(seed)
    data = {
        "stops": np.concatenate([np.arange(5), rng.integers(0, 5, rows)]),
        "city": np.array((["Rome"] * 4 + ["Oslo"]) * (rows // 5 + 1)),
    }
    return ReferenceProfile.build(data, **{"created": WHEN, **options})


def same(one: ReferenceProfile, other: ReferenceProfile) -> None:
    np.testing.assert_array_equal(one.counts, other.counts)
    assert (one.rows, one.id, one.revision) == (other.rows, other.id, other.revision)
    for name, moments in one.moments.items():
        theirs = other.moments[name]
        assert (moments.minimum, moments.maximum) == (theirs.minimum, theirs.maximum)
        assert (moments.mean, moments.sd) == pytest.approx((theirs.mean, theirs.sd))


@given(seeds=st.lists(st.integers(0, 10_000), min_size=3, max_size=3))
def test_it_does_not_matter_in_which_order_parts_are_merged(seeds: list[int]) -> None:
    a, b, c = (part(seed) for seed in seeds)
    same(a.merge(b).merge(c), a.merge(b.merge(c)))
    same(a.merge(b), b.merge(a))


@given(seed=st.integers(0, 10_000), cut=st.integers(120, 280))
def test_merged_parts_are_the_profile_of_all_rows(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    stops = np.concatenate([np.arange(4), rng.integers(0, 4, cut - 4), np.arange(4), rng.integers(0, 4, 396 - cut)])
    scores = rng.choice([0.0, 1.0], 400)
    scores[[0, cut]], scores[[1, cut + 1]] = 0.0, 1.0

    def build(rows: slice) -> ReferenceProfile:
        return ReferenceProfile.build(
            {"stops": stops[rows]}, scores[rows], scores[rows], task="regression", created=WHEN
        )

    merged = build(slice(0, cut)).merge(build(slice(cut, None)))
    whole = build(slice(None))
    same(merged, replace(whole, revision=2))
    assert merged.labelled_rows == whole.labelled_rows == 400


@pytest.mark.parametrize("cut", [150, 2000, 3800])
def test_parts_counted_over_the_cells_of_the_first_are_the_profile_of_all_rows(cut: int) -> None:
    rng = np.random.default_rng(4)
    age = rng.normal(40, 10, 4000)
    age[5::50] = np.nan
    data = {"age": age, "city": rng.choice(["Rome", "Oslo", "Lima"], 4000)}
    scores, answers = rng.random(4000), rng.integers(0, 2, 4000)

    def build(rows: slice, like: ReferenceProfile | None = None) -> ReferenceProfile:
        columns = {name: column[rows] for name, column in data.items()}
        return ReferenceProfile.build(columns, scores[rows], answers[rows], created=WHEN, like=like)

    first = build(slice(0, cut))
    merged = first.merge(build(slice(cut, None), first))
    same(merged, replace(build(slice(None), first), revision=2))
    for name, exact in (("age", age[~np.isnan(age)]), ("", scores)):
        moments = merged.moments[name]
        assert (moments.mean, moments.sd) == pytest.approx((exact.mean(), exact.std()))
        assert moments.quantiles["q50"] == pytest.approx(np.median(exact), abs=0.05 * exact.std())
        assert moments.quantiles["q99"] == pytest.approx(np.quantile(exact, 0.99), abs=0.4 * exact.std())


def test_a_part_without_a_number_of_a_feature_adds_none() -> None:
    first = ReferenceProfile.build({"age": np.arange(200.0), "b": [0, 1] * 100})
    merged = first.merge(ReferenceProfile.build({"age": [None] * 100, "b": [0, 1] * 50}, like=first))
    assert merged.moments["age"].mean == first.moments["age"].mean
    assert merged.counts_of("age").sum() == 300


@pytest.mark.parametrize(
    ("data", "predictions", "message"),
    [
        ({"agee": [1.0] * 100}, [0.5] * 100, "has the feature 'age', X has no such column .did you mean 'agee'"),
        ({"age": [1.0] * 100}, None, "has predictions; pass them"),
        ({"age": [1.0] * 100}, [0.5] * 99, "predictions has 99 rows"),
    ],
)
def test_a_part_has_what_the_other_has(data: Any, predictions: Any, message: str) -> None:
    first = ReferenceProfile.build({"age": np.arange(200.0)}, np.linspace(0, 1, 200))
    with pytest.raises(ProfileError, match=message):
        ReferenceProfile.build(data, predictions, like=first)


def test_the_quantiles_of_equal_parts_are_theirs(seasonal: Make) -> None:
    one = seasonal(2, 500, a=0.05).build()
    assert one.merge(one).moments["a"].quantiles == pytest.approx(dict(one.moments["a"].quantiles))


def test_quantiles_of_parts_that_differ_lie_between() -> None:
    low, high = (part(seed, 5000) for seed in (0, 1))
    shifted = replace(high, moments={"stops": replace(high.moments["stops"], mean=3.0)})
    moments = low.merge(shifted).moments["stops"]
    assert low.moments["stops"].mean < moments.mean < 3.0
    assert moments.sd > low.moments["stops"].sd
    values = list(moments.quantiles.values())
    assert values == sorted(values)


def test_strata_and_natural_variation_add_up(seasonal: Make) -> None:
    rows = seasonal(28, 50, a=0.05)
    one = rows.build(timezone="UTC")
    later = replace(one, time_range=tuple(end + 28 * 86400 for end in one.time_range))
    both = one.merge(later)
    np.testing.assert_array_equal(both.strata.counts, 2 * one.strata.counts)
    for part in ("weighted", "weight", "noise", "clustered", "means"):
        np.testing.assert_allclose(getattr(both.natural["24h"], part), 2 * getattr(one.natural["24h"], part))
    assert both.natural["24h"].weight.sum() == pytest.approx(2 * one.natural["24h"].weight.sum())
    assert (both.calibrated, both.days, both.natural_days) == (True, 56, 56)
    assert both.verdict == "FULL: 56 days, 67 200 rows"
    assert ReferenceProfile.from_json(both.to_json()) == both


def test_parts_of_the_same_days_have_no_more_days(seasonal: Make) -> None:
    one = seasonal(28, 50, a=0.05).build()
    assert one.merge(one).days == one.merge(one).natural_days == 28
    middle = one.time_range[0] + 14.5 * 86400
    first = replace(one, days=15, natural_days=15, time_range=(one.time_range[0], middle - 1))
    second = replace(one, days=14, natural_days=14, time_range=(middle, one.time_range[1]))
    assert first.merge(second).days == second.merge(first).natural_days == 28


def test_a_part_too_short_to_learn_from_does_not_take_away_what_is_learnt(seasonal: Make) -> None:
    one = seasonal(28, 50, a=0.05).build()
    short = replace(one, strata=None, natural={}, natural_days=0, calibrated=False)
    for both in (one.merge(short), short.merge(one)):
        assert (both.calibrated, both.natural_days) == (True, 28)
        np.testing.assert_array_equal(both.strata.counts, one.strata.counts)


def test_a_warning_about_few_rows_goes_with_the_reason_for_it() -> None:
    one = part(0, 600)
    assert any("small changes" in text or "gross changes" in text for text in one.warnings)
    merged = one
    for seed in range(9):
        merged = merged.merge(part(seed, 600))
    assert merged.rows > 5000
    assert merged.warnings == ()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda p: part(0, exclude=["city"]), "only the first has 'city'"),
        (lambda p: part(0, predictions=np.linspace(0, 1, 205)), "only the second has the prediction"),
        (lambda p: part(0, categorical=["stops"]), "'stops' has other cells"),
        (lambda p: p.to_json(), "a str is no ReferenceProfile"),
    ],
)
def test_other_cells_do_not_add_up(other: Callable[[ReferenceProfile], Any], message: str) -> None:
    profile = part(0)
    with pytest.raises(ProfileError, match=message):
        profile.merge(other(profile))


def test_features_in_another_order_do_not_add_up() -> None:
    one = ReferenceProfile.build({"a": [0, 1] * 50, "b": [0, 1] * 50})
    other = ReferenceProfile.build({"b": [0, 1] * 50, "a": [0, 1] * 50})
    with pytest.raises(ProfileError, match="another order"):
        one.merge(other)


def test_hours_of_two_clocks_do_not_add_up(seasonal: Make) -> None:
    one = seasonal(28, 50, a=0.05).build()
    other = replace(one, strata=Strata("48", "Asia/Tokyo", one.strata.counts.copy()))
    with pytest.raises(ProfileError, match=r"48 strata of UTC in one profile and as 48 strata of Asia/Tokyo"):
        one.merge(other)
