"""What production teaches of a reference without timestamps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwatch.exceptions import ProfileError
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.profile.divergence import d_to_js, divergence
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.learnt import Learnt, OffsetStrata, Part, segment_taught, taught
from modelwatch.profile.times import wall_hours

TUESDAY = 1_790_035_200.0
"""Tuesday, 22 September 2026, 0:00 UTC."""
HOUR = 3600.0


@pytest.fixture(scope="module")
def reference() -> ReferenceProfile:
    rng = np.random.default_rng(1)
    daily = np.sin(np.arange(20_000) * 2 * np.pi / 24)
    return ReferenceProfile.build({"load": rng.normal(size=20_000) + daily, "still": rng.normal(size=20_000)})


def production(reference: ReferenceProfile, days: int = 14, rows: int = 400, skew: float = 0.0) -> HourCounts:
    rng = np.random.default_rng(2)
    assigner = CellAssigner(reference.layout)
    cells = [
        assigner.bin(
            {"load": rng.normal(size=rows) + np.sin(hour * 2 * np.pi / 24) + skew, "still": rng.normal(size=rows)}, rows
        ).cells
        for hour in range(24 * days)
    ]
    starts = np.asarray(TUESDAY + np.arange(len(cells)) * HOUR, dtype=np.float64)
    return HourCounts.gathered(starts, np.array(cells), "UTC")


def distance(reference: ReferenceProfile, observed: np.ndarray, matched: np.ndarray, name: str) -> float:
    place = reference.layout.offsets[[m.name for m in reference.layout.members].index(name)]
    cells = slice(place, place + reference.member(name).shape_size)
    o, r = observed[cells].astype(float), matched[cells]
    n, m = np.array(o.sum()), np.array(r.sum())
    d, k = divergence(o, r, n, m, np.array(True))
    return float(d_to_js(d - k * (1 / n + 1 / m)))


def window(profile: ReferenceProfile, hours: HourCounts, taken: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of some hours, and what they are compared with."""
    assert isinstance(profile.strata, OffsetStrata)
    rows = np.zeros((len(profile.layout.members), 48))
    # The first days are no weekend.
    for place in range(*taken.indices(len(hours.hours))):
        rows[:, int(hours.hours[place] % 24)] += hours.cells[place].sum() / len(profile.layout.members)
    return hours.cells[taken].sum(axis=0), profile.strata.matched(profile.layout, rows)


def test_an_hour_is_compared_with_such_hours(reference: ReferenceProfile) -> None:
    hours = production(reference)
    profile = taught(reference, hours)
    observed, matched = window(profile, hours, slice(30, 31))  # 6:00, where the cycle is highest
    assert distance(reference, observed, reference.counts, "load") > 0.25
    assert distance(reference, observed, matched, "load") < 0.05


def test_a_difference_between_training_and_serving_still_shows(reference: ReferenceProfile) -> None:
    """Every hour of production is off: that is no season, and is not learnt."""
    hours = production(reference, skew=0.5)
    observed, matched = window(taught(reference, hours), hours, slice(24, 48))
    day, unmatched = hours.cells[24:48].sum(axis=0), reference.counts
    assert distance(reference, observed, matched, "load") == pytest.approx(
        distance(reference, day, unmatched, "load"), abs=0.02
    )
    assert distance(reference, observed, matched, "load") > 0.1


def test_it_is_calibrated_by_the_days_that_it_was_learnt_from(reference: ReferenceProfile) -> None:
    profile = taught(reference, production(reference))
    assert profile.calibrated
    assert profile.natural_days == 14
    assert set(profile.natural) == {"1h", "24h", "168h"}
    assert profile.natural["24h"].v[:, 0].max() < 0.001, "what is the same every day does not vary"
    assert profile.id == reference.id


def test_a_segment_is_compared_with_its_own_production(reference: ReferenceProfile) -> None:
    segment = production(reference, skew=1.0)
    profile = segment_taught(reference, segment, done=True)
    assert profile is not None
    assert profile.calibrated
    assert profile.strata is not None
    rows = np.zeros((len(profile.layout.members), 48))
    rows[:, :24] = 400.0
    matched = profile.strata.matched(profile.layout, rows)
    observed = segment.cells[24:48].sum(axis=0)
    assert distance(reference, observed, matched, "load") < 0.05
    assert distance(reference, observed, reference.counts, "load") > 0.2


@given(scale=st.integers(1, 60), hour=st.integers(0, 23))
@settings(max_examples=20, deadline=None)
def test_no_more_is_known_than_was_counted_on_either_side(reference: ReferenceProfile, scale: int, hour: int) -> None:
    hours = production(reference, days=14, rows=scale)
    profile = taught(reference, hours)
    assert profile.strata is not None
    rows = np.zeros((len(profile.layout.members), 48))
    rows[:, hour] = 100.0
    matched = profile.strata.matched(profile.layout, rows)
    assert (matched >= 0).all()
    per_member = np.add.reduceat(matched, np.array(profile.layout.offsets))
    assert (per_member <= min(reference.rows, 14 * 24 * scale) + 1e-6).all()
    assert (per_member > 0).all()


def test_a_member_without_rows_in_the_window_has_the_whole_reference(reference: ReferenceProfile) -> None:
    profile = taught(reference, production(reference))
    assert profile.strata is not None
    matched = profile.strata.matched(profile.layout, np.zeros((len(profile.layout.members), 48)))
    shares = np.add.reduceat(matched, np.array(profile.layout.offsets))
    np.testing.assert_allclose(matched[: len(profile.counts_of("load"))] / shares[0],
                               profile.counts_of("load") / reference.rows, atol=0.005)  # fmt: skip


def test_what_was_counted_survives_its_file(reference: ReferenceProfile) -> None:
    hours = production(reference, days=2)
    learnt = Learnt(
        {"": Part(hours, TUESDAY, TUESDAY + 48 * HOUR), "de": Part(hours, TUESDAY, TUESDAY + HOUR, done=True)}
    )
    again = Learnt.from_bytes(learnt.to_bytes())
    assert again.fits(reference.layout)
    assert again.parts[""].hours.hours.tolist() == hours.hours.tolist() == wall_hours(
        np.asarray(TUESDAY + np.arange(48) * HOUR, dtype=np.float64), "UTC"
    ).tolist()  # fmt: skip
    assert (again.parts["de"].hours.cells == hours.cells).all()
    assert [(p.since, p.until, p.done) for p in again.parts.values()] == [
        (p.since, p.until, p.done) for p in learnt.parts.values()
    ]


@pytest.mark.parametrize("damage", [b"", b"no zip", "half"])
def test_a_damaged_file_is_told_as_such(reference: ReferenceProfile, damage: bytes | str) -> None:
    whole = Learnt({"": Part(production(reference, days=1), 0.0, 1.0)}).to_bytes()
    with pytest.raises(ProfileError, match="what was learnt from production is damaged"):
        Learnt.from_bytes(whole[: len(whole) // 2] if isinstance(damage, str) else damage)
