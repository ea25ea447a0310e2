"""A model that is trained again every week does not learn what is normal for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelwatch.exceptions import ProfileError
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.divergence import d_to_js, divergence

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def donor(seasonal: Make) -> ReferenceProfile:
    rows = seasonal(28, 200, calm=0.0, wild=0.4)
    rows.columns["city"] = np.where(np.sin(rows.seconds / 86400 * 2 * np.pi) > 0, "Rome", "Oslo")
    profile: ReferenceProfile = rows.build(predictions=1 / (1 + np.exp(-rows.columns["calm"])), timezone="UTC")
    return profile


def retrained(**more: Any) -> dict[str, Any]:
    """Rows of a later training, without times, as they are over all hours."""
    rng = np.random.default_rng(1)
    hours = np.sin(2 * np.pi * rng.integers(0, 24, 8000) / 24)
    columns = {"wild": rng.normal(size=8000), "calm": 0.5 * hours + rng.normal(size=8000)}
    return {**columns, "city": np.where(hours > 0, "Rome", "Oslo"), **more}


def distance(one: Any, other: Any) -> float:
    o, r = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    n, m = o.sum(keepdims=True), r.sum(keepdims=True)
    d, k = divergence(o[None], r[None], n, m, np.ones(1))
    return float(d_to_js(d - k * (1 / n + 1 / m))[0])


def test_tolerances_go_by_the_name_of_the_feature(donor: ReferenceProfile) -> None:
    data = retrained()
    profile = ReferenceProfile.build(data, 1 / (1 + np.exp(-data["calm"])), inherit=donor)
    assert profile.feature_names == ("wild", "calm", "city") != donor.feature_names
    order = [donor.feature_names.index(name) for name in profile.feature_names] + [len(donor.feature_names)]
    for window, natural in donor.natural.items():
        np.testing.assert_array_equal(profile.natural[window].v, natural.v[order])
        np.testing.assert_array_equal(profile.natural[window].correlation, natural.correlation[order])
        np.testing.assert_array_equal(profile.natural[window].mean_v, natural.mean_v[order])
    assert (profile.calibrated, profile.natural_days, profile.days) == (True, 28, 0)
    assert profile.verdict == "FULL: 8 000 rows, tolerances inherited"
    assert profile.options["inherited_from"] == donor.id
    assert ReferenceProfile.from_json(profile.to_json()) == profile


def test_hours_differ_from_the_new_whole_as_they_did_from_the_old(donor: ReferenceProfile) -> None:
    profile = ReferenceProfile.build(retrained(), inherit=donor)
    assert profile.strata is not None
    calm, offset = profile.member("calm"), profile.layout.offsets[1]
    assert calm.edges != donor.member("calm").edges
    whole = profile.counts_of("calm")[: calm.shape_size]
    rng = np.random.default_rng(2)
    for hour in (6, 18):  # where the cycle is at its ends
        truth = 0.5 * np.sin(2 * np.pi * hour / 24) + rng.normal(size=20_000)
        seen = np.histogram(truth, [-np.inf, *calm.edges[:-1], np.inf])[0]
        assert distance(seen, whole) > 0.15
        assert distance(seen, profile.strata.counts[hour, offset : offset + calm.shape_size]) < 0.05


def test_the_same_reference_has_the_same_hours(seasonal: Make) -> None:
    rows = seasonal(28, 50, calm=0.0)
    rows.columns["city"] = np.where(np.sin(rows.seconds / 86400 * 2 * np.pi) > 0, "Rome", "Oslo")
    known = rows.build(timezone="Europe/Rome")
    again = rows.build(timestamps=None, inherit=known)
    assert (again.strata.kind, again.strata.timezone) == ("48", "Europe/Rome")
    np.testing.assert_allclose(again.strata.counts, known.strata.counts, atol=1)


def test_categories_go_by_their_names(seasonal: Make) -> None:
    rows = seasonal(28, 50, calm=0.0)
    night = np.sin(rows.seconds / 86400 * 2 * np.pi) < 0
    rows.columns["city"] = np.where(night, "Oslo", "Rome")
    known = rows.build(timezone="UTC")
    profile = ReferenceProfile.build({"city": ["Lima"] * 1000 + ["Oslo"] * 3000 + ["Rome"] * 3000}, inherit=known)
    assert profile.strata is not None
    morning = dict(zip(profile.member("city").categories, profile.strata.counts[6].tolist(), strict=False))
    rest = morning.pop("Lima") / sum(profile.strata.counts[6])
    assert morning["Oslo"] == 0
    assert 0.1 < rest < 0.4  # nothing is known of it, so that it is as it is over all hours


def test_what_training_and_production_differ_in_stays_to_be_seen(donor: ReferenceProfile) -> None:
    skewed = retrained()
    skewed["calm"] = skewed["calm"] * 0.6
    profile = ReferenceProfile.build(skewed, inherit=donor)
    assert profile.strata is not None
    calm, offset = profile.member("calm"), profile.layout.offsets[1]
    live = donor.moments["calm"].sd * np.random.default_rng(3).normal(size=20_000)
    seen = np.histogram(live, [-np.inf, *calm.edges[:-1], np.inf])[0]
    matched = profile.strata.counts[:24, offset : offset + calm.shape_size].sum(axis=0)
    assert distance(seen, matched) > 0.1


def test_every_member_has_the_same_rows_in_an_hour(donor: ReferenceProfile) -> None:
    profile = ReferenceProfile.build(retrained(fresh=np.arange(8000) % 7), inherit=donor)
    assert profile.strata is not None
    rows = np.add.reduceat(profile.strata.counts, np.array(profile.layout.offsets), axis=1)
    assert (rows == rows[:, :1]).all()
    assert 7900 <= rows[:, 0].sum() <= 8000
    assert (profile.strata.counts.sum(axis=0) <= profile.counts + 48).all()


def test_what_the_donor_does_not_know_is_said_and_taken_as_it_is(donor: ReferenceProfile) -> None:
    profile = ReferenceProfile.build(retrained(fresh=np.arange(8000) % 7, city=np.arange(8000) % 2), inherit=donor)
    assert f"inherit: profile {donor.label} knows nothing of 'city', 'fresh'" in profile.warnings
    fresh = profile.feature_names.index("fresh")
    assert profile.natural["24h"].v[fresh].tolist() == [0.0, 0.0, 0.0]
    assert np.asarray(profile.natural["24h"].clustered)[:, fresh].tolist() == [0.0, 0.0, 0.0]


def test_what_a_profile_has_learnt_itself_stays(donor: ReferenceProfile, seasonal: Make) -> None:
    own = seasonal(14, 20, calm=0.05)
    assert own.build(inherit=donor).strata.counts.tolist() == own.build().strata.counts.tolist()
    assert own.build(inherit=donor).natural_days == 14


def test_a_profile_of_few_days_inherits_too(donor: ReferenceProfile, seasonal: Make) -> None:
    week = seasonal(7, 50, calm=0.05).build(inherit=donor)
    assert (week.calibrated, week.days, week.natural_days) == (True, 7, 28)


def test_of_nothing_learnt_nothing_is_inherited() -> None:
    plain = ReferenceProfile.build(retrained())
    profile = ReferenceProfile.build(retrained(), inherit=plain)
    assert not profile.calibrated
    assert any("has learnt no tolerances" in text for text in profile.warnings)


def test_only_a_profile_can_be_inherited_from() -> None:
    with pytest.raises(ProfileError, match=r"inherit is of type str; give a ReferenceProfile"):
        ReferenceProfile.build(retrained(), inherit="old.json")  # type: ignore[arg-type]
