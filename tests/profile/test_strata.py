"""A window is compared with reference traffic of the same hours, as many of each as it has itself."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelwatch.profile.strata import LEAST_ROWS, STRATA, Strata, StrataKind, merged
from modelwatch.records import MISSING, CellLayout, FeatureCells

LAYOUT = CellLayout(
    (
        FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0, 30.0)),
        FeatureCells("city", "categorical", categories=("Rome", "Oslo")),
    )
)
AGE, CITY = slice(0, 9), slice(9, 18)
ROME = "Europe/Rome"


def at(zone: str, *when: int, fold: int = 0) -> float:
    return datetime(*when, fold=fold, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[misc,arg-type]


def counted(kind: StrataKind = "48", rows: int = 1000, seed: int = 0) -> NDArray[np.int64]:
    """Counts of as many rows in each stratum, by shares that differ between strata."""
    rng = np.random.default_rng(seed)
    out = np.zeros((STRATA[kind], LAYOUT.size), dtype=np.int64)
    for stratum in out:
        for cells, offset in ((3, 0), (3, 9)):
            stratum[offset : offset + cells] = rng.multinomial(rows, rng.dirichlet(np.ones(cells)))
    return out


def traffic(**by_stratum: float) -> NDArray[np.float64]:
    """Rows of a window by stratum, the same for both members: ``traffic(s8=30)``."""
    out = np.zeros((2, 48))
    for name, rows in by_stratum.items():
        out[:, int(name[1:])] = rows
    return out


@pytest.mark.parametrize(
    ("kind", "when", "stratum"),
    [
        ("48", (2026, 3, 2, 8, 59), 8),  # a Monday
        ("48", (2026, 3, 6, 23, 59), 23),  # a Friday
        ("48", (2026, 3, 7, 0, 0), 24),  # a Saturday
        ("48", (2026, 3, 8, 23, 0), 47),  # a Sunday
        ("168", (2026, 3, 2, 0, 0), 0),
        ("168", (2026, 3, 8, 23, 59), 167),
    ],
)
def test_the_stratum_is_the_hour_on_the_wall_and_the_kind_of_day(
    kind: StrataKind, when: tuple[int, ...], stratum: int
) -> None:
    for zone in (ROME, "Asia/Kathmandu", "UTC"):
        strata = Strata(kind, zone, counted(kind))
        assert strata.index(np.array([at(zone, *when)])).tolist() == [stratum]


def test_friday_night_in_utc_is_saturday_in_rome() -> None:
    late = np.array([at("UTC", 2026, 3, 6, 23, 30)])
    assert Strata("48", "UTC", counted()).index(late).tolist() == [23]
    assert Strata("48", ROME, counted()).index(late).tolist() == [24]


def test_an_hour_that_comes_twice_is_one_stratum_and_one_that_is_skipped_has_no_rows() -> None:
    strata = Strata("48", ROME, counted())
    back = at(ROME, 2026, 10, 25, 0, 0) + 3600.0 * np.arange(5.0)  # a Sunday of 25 hours
    assert strata.index(back).tolist() == [24, 25, 26, 26, 27]
    forward = at(ROME, 2026, 3, 29, 0, 0) + 3600.0 * np.arange(4.0)  # a Sunday of 23 hours
    assert strata.index(forward).tolist() == [24, 25, 27, 28]


def test_what_has_no_time_has_no_stratum() -> None:
    assert Strata("48", "UTC", counted()).index(np.array([np.nan, 0.0, np.inf])).tolist() == [-1, 0, -1]
    assert Strata("48", "UTC", counted()).index(np.array([])).tolist() == []


def test_the_matched_reference_has_the_mix_of_hours_of_the_window() -> None:
    counts = counted(rows=1000)
    matched = Strata("48", "UTC", counts).matched(LAYOUT, traffic(s8=30, s9=90))
    shares = (0.25 * counts[8] + 0.75 * counts[9]) / 1000
    m_eff = 120**2 / (30**2 / 1000 + 90**2 / 1000)
    np.testing.assert_allclose(matched, shares * m_eff, rtol=1e-12)
    assert matched[AGE].sum() == pytest.approx(m_eff)


def test_traffic_like_that_of_the_reference_has_the_whole_reference() -> None:
    rng = np.random.default_rng(1)
    counts = counted() * rng.integers(1, 9, (48, 1))
    rows = np.tile(counts[:, AGE].sum(axis=1) * 0.01, (2, 1))
    np.testing.assert_allclose(Strata("48", "UTC", counts).matched(LAYOUT, rows), counts.sum(axis=0), rtol=1e-12)


def test_a_member_without_rows_has_the_whole_reference() -> None:
    counts = counted()
    rows = traffic(s8=30)
    rows[1] = 0
    matched = Strata("48", "UTC", counts).matched(LAYOUT, rows)
    np.testing.assert_allclose(matched[AGE], counts[8, AGE])
    np.testing.assert_array_equal(matched[CITY], counts[:, CITY].sum(axis=0))


def test_windows_are_matched_one_by_one() -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 50, (4, 3, 2, 48)).astype(float)
    strata = Strata("48", "UTC", counted())
    together = strata.matched(LAYOUT, rows)
    for i, j in np.ndindex(4, 3):
        np.testing.assert_array_equal(together[i, j], strata.matched(LAYOUT, rows[i, j]))


def test_no_digit_of_a_member_depends_on_the_others() -> None:
    rows = np.random.default_rng(3).random((2, 2, 48))
    rows[1, 1] = rows[1, 0]
    counts = counted()
    both = Strata("48", "UTC", counts).matched(LAYOUT, rows)
    alone = Strata("48", "UTC", counts[:, CITY].copy()).matched(CellLayout((LAYOUT.features[1],)), rows[:, 1:])
    np.testing.assert_array_equal(both[:, CITY], alone)


def test_strata_without_traffic_change_no_digit() -> None:
    strata, rows = Strata("48", "UTC", counted(seed=4)), traffic(s8=31.3, s11=17.1)
    pools = strata.pools(LAYOUT)
    weights = rows[0] / pools.rows[0]
    spread = (weights * pools.together(rows[:1])[0]).sum()
    expected = np.einsum("s,sc->c", weights, pools.counts) * (rows[0].sum() / spread)
    np.testing.assert_array_equal(strata.matched(LAYOUT, rows), expected)


def test_a_small_stratum_is_matched_with_its_neighbours() -> None:
    counts = counted(rows=1000)
    counts[3] //= 10
    counts[4] //= 5
    pooled = counts[3] + counts[4]
    matched = Strata("48", "UTC", counts).matched(LAYOUT, traffic(s3=40))
    np.testing.assert_allclose(matched[AGE] / matched[AGE].sum(), pooled[AGE] / pooled[AGE].sum())
    assert matched[AGE].sum() == pytest.approx(pooled[AGE].sum())


def test_strata_of_one_group_are_one_sample_however_the_window_divides() -> None:
    counts = counted(rows=100)
    strata = Strata("48", "UTC", counts)
    [group] = [np.flatnonzero(row == row[0]) for row in strata.pools(LAYOUT).groups[:1]]
    assert len(group) >= 2
    one, other = (
        traffic(**{f"s{s}": rows for s, rows in zip(group, split, strict=False)}) for split in ((60, 0), (20, 40))
    )
    np.testing.assert_allclose(strata.matched(LAYOUT, one), strata.matched(LAYOUT, other))


def test_members_with_other_rows_have_groups_of_their_own() -> None:
    counts = counted(rows=1000)
    counts[:, CITY] //= 8
    strata = Strata("48", "UTC", counts)
    matched = strata.matched(LAYOUT, traffic(s8=30))
    np.testing.assert_allclose(matched[AGE], counts[8, AGE])
    groups = strata.pools(LAYOUT).groups
    mine = counts[groups[1] == groups[1, 8]].sum(axis=0)[CITY]
    np.testing.assert_allclose(matched[CITY], mine)
    assert mine.sum() >= LEAST_ROWS


@given(kind=st.sampled_from(["48", "168"]), data=st.data())
def test_every_group_is_large_enough_or_everything(kind: StrataKind, data: st.DataObject) -> None:
    size = STRATA[kind]
    rows = np.array(data.draw(st.lists(st.sampled_from([0, 1, 40, 199, 200, 900]), min_size=size, max_size=size)))
    groups = merged(kind, rows)
    totals = {int(g): int(rows[groups == g].sum()) for g in np.unique(groups)}
    assert all(total >= LEAST_ROWS for total in totals.values()) or len(totals) == 1
    assert all(groups[g] == g for g in totals)
    if (rows >= LEAST_ROWS).all():
        assert groups.tolist() == list(range(size))


def test_hours_go_around_midnight() -> None:
    rows = np.array([150] + [1000] * 22 + [150] + [1000] * 24)
    assert merged("48", rows)[[0, 23]].tolist() == [0, 0]


def test_a_weekend_without_traffic_is_matched_with_the_same_hour_of_weekdays() -> None:
    counts = counted()
    counts[24:] = 0
    matched = Strata("48", "UTC", counts).matched(LAYOUT, traffic(s32=10))
    np.testing.assert_allclose(matched[AGE], counts[8, AGE])


def same_everywhere(rows: int, seed: int, member: slice = AGE) -> NDArray[np.int64]:
    """Counts as `counted` makes them, but for one member that has the same shares at all hours."""
    out = counted(rows=rows, seed=seed)
    out[:, member] = 0
    out[:, member.start : member.start + 3] = np.random.default_rng(seed).multinomial(rows, [0.5, 0.3, 0.2], size=48)
    return out


@pytest.mark.parametrize("rows", [250, 2000])
def test_what_is_the_same_at_all_hours_is_compared_with_the_whole_reference(rows: int) -> None:
    strata = Strata("48", "UTC", same_everywhere(rows, seed=1))
    found = strata.matched(LAYOUT, traffic(s8=70, s9=20)[None])[0]
    np.testing.assert_array_equal(found[AGE], strata.counts[:, AGE].sum(axis=0))
    alone = Strata("48", "UTC", counted(rows=rows, seed=1)).matched(LAYOUT, traffic(s8=70, s9=20)[None])[0]
    np.testing.assert_array_equal(found[CITY], alone[CITY])
    assert found[CITY].sum() < 2 * rows


def test_it_does_not_matter_for_that_which_members_stand_beside_it() -> None:
    one = Strata("48", "UTC", same_everywhere(500, seed=1, member=AGE))
    other = Strata("48", "UTC", same_everywhere(500, seed=1, member=CITY))
    rows = traffic(s3=10, s30=90)[None]
    both = one.counts.copy()
    both[:, CITY] = other.counts[:, CITY]
    found = Strata("48", "UTC", both).matched(LAYOUT, rows)[0]
    np.testing.assert_array_equal(found[AGE], one.matched(LAYOUT, rows)[0][AGE])
    np.testing.assert_array_equal(found[CITY], other.matched(LAYOUT, rows)[0][CITY])
    uneven = rows.copy()
    uneven[:, 1] *= 0.5  # a member that was cleared has fewer rows than the other
    np.testing.assert_array_equal(one.matched(LAYOUT, uneven)[0][AGE], found[AGE])


@pytest.mark.parametrize("rows", [250, 20_000])
def test_chance_makes_hardly_any_hour_seem_another(rows: int) -> None:
    seen = [Strata("48", "UTC", same_everywhere(rows, seed=seed)).pools(LAYOUT).flat[0] for seed in range(60)]
    assert np.mean(seen) > 0.85


def test_an_hour_that_differs_by_what_would_be_an_alarm_is_told_apart() -> None:
    """One hour in the day with a shift of JS 0.1, in a reference of 20 000 rows."""
    told = []
    for seed in range(20):
        counts = same_everywhere(416, seed=seed)
        counts[[12, 36], :3] = np.random.default_rng(seed).multinomial(416, [0.62, 0.28, 0.10], size=2)
        told.append(not Strata("48", "UTC", counts).pools(LAYOUT).flat[0])
    assert np.mean(told) > 0.9


def test_hours_that_differ_in_missing_values_alone_are_told_apart() -> None:
    counts = same_everywhere(1000, seed=2)
    counts[:12, 3 + MISSING] = 80
    assert Strata("48", "UTC", counts).pools(LAYOUT).flat.tolist() == [False, False]
