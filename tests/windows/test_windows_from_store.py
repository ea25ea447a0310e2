"""Windows summed from stored intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.profile import ReferenceProfile
from modelwatch.profile.strata import Strata
from modelwatch.records import WindowCounts
from modelwatch.store.values import CountSeries
from modelwatch.windows.store import recording_began, window_counts

NAMES = ("a", "b")


@dataclass
class Store:
    """Stands in for StoreQueries."""

    series: CountSeries
    began: float | None = 0.0

    def interval_counts(
        self, model_id: str, profile_id: str, start: float, end: float, model_version: str, *, size: int
    ) -> CountSeries:
        keep = (self.series.starts + self.series.lengths > start) & (self.series.starts < end)
        s = self.series
        return CountSeries(s.starts[keep], s.lengths[keep], s.rows[keep], s.cells[keep], s.sums[keep])

    def subjects(self, model_id: str, since: float) -> list[tuple[str, str, float, float]]:
        return [] if self.began is None else [("v0", "p", 1.0, 2.0), ("v1", "p", max(self.began, since), 9.0)]


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    rng = np.random.default_rng(0)
    return ReferenceProfile.build({name: rng.normal(size=500) for name in NAMES}, predictions=rng.random(500))


def series(profile: ReferenceProfile, intervals: int, length: float = 2.0) -> CountSeries:
    """Intervals from 0 on; every cell of interval i holds i + 1."""
    values = np.arange(1.0, intervals + 1)
    starts = np.arange(intervals, dtype=np.float64) * length
    cells = np.repeat(values[:, None], profile.layout.size, axis=1)
    sums = np.repeat(values[:, None], len(profile.layout.members), axis=1)
    return CountSeries(starts, np.full(intervals, length), values, cells, sums)


def of(
    profile: ReferenceProfile,
    store: Store,
    windows: dict[str, float],
    now: float,
    strata: Strata | None = None,
    least_rows: float = 0.0,
    **cleared: float,
) -> list[WindowCounts]:
    cleared_at = {name.removeprefix("_"): at for name, at in cleared.items()}
    return window_counts(
        cast(Any, store), "m", "v1", profile, windows, now, cleared_at,
        began=store.began, strata=strata, least_rows=least_rows,
    )  # fmt: skip


def test_a_window_holds_the_intervals_that_began_in_it(profile: ReferenceProfile) -> None:
    short, long = of(profile, Store(series(profile, 10)), {"5s": 5.0, "10s": 10.0}, 20.0)
    assert short.rows == 9 + 10
    assert long.rows == 6 + 7 + 8 + 9 + 10
    assert set(short.cells) == {19.0}
    assert (long.start, long.end, long.full) == (10.0, 20.0, True)
    assert long.sums is not None
    assert long.sums.tolist() == [40.0] * 3


def test_a_cleared_feature_counts_only_what_came_later(profile: ReferenceProfile) -> None:
    (found,) = of(profile, Store(series(profile, 10)), {"20s": 20.0}, 20.0, b=13.0, _=16.0)
    layout = profile.layout
    a, b, prediction = (
        set(found.cells[o : o + m.size]) for o, m in zip(layout.offsets, layout.members, strict=True)
    )  # fmt: skip
    assert (a, b, prediction) == ({55.0}, {8.0 + 9 + 10}, {9.0 + 10})
    assert found.rows == 55.0
    assert found.full
    assert found.sums is not None
    assert found.sums.tolist() == [55.0, 27.0, 19.0]


def test_a_feature_cleared_before_the_window_began_counts_as_any(profile: ReferenceProfile) -> None:
    (found,) = of(profile, Store(series(profile, 10)), {"6s": 6.0}, 20.0, a=2.0)
    assert set(found.cells) == {27.0}


def test_a_window_is_full_once_recording_began_before_it(profile: ReferenceProfile) -> None:
    store = Store(series(profile, 10), began=12.0)
    short, long = of(profile, store, {"5s": 5.0, "10s": 10.0}, 20.0)
    assert (short.full, short.start) == (True, 15.0)
    assert (long.full, long.start) == (False, 12.0)


def test_nothing_recorded_is_an_empty_window(profile: ReferenceProfile) -> None:
    nothing = np.zeros(0)
    store = Store(CountSeries(nothing, nothing, nothing, np.zeros((0, profile.layout.size)), np.zeros((0, 0))), None)
    (found,) = of(profile, store, {"5s": 5.0}, 20.0, a=1.0)
    assert (found.rows, found.cells.sum(), found.full) == (0.0, 0.0, False)


@given(
    seconds=st.lists(st.floats(0.5, 40), min_size=1, max_size=4, unique=True),
    cleared=st.dictionaries(st.sampled_from(["a", "b", ""]), st.floats(0, 30)),
    seed=st.integers(0, 9),
)
def test_running_sums_are_plain_sums(
    profile: ReferenceProfile, seconds: list[float], cleared: dict[str, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    whole = series(profile, 12)
    mixed = CountSeries(
        whole.starts, whole.lengths, whole.rows, rng.integers(0, 9, whole.cells.shape).astype(float), whole.sums
    )
    windows = {f"{s}": s for s in sorted(seconds)}
    store = cast(Any, Store(mixed))
    found = window_counts(store, "m", "v1", profile, windows, 24.0, cleared, began=0.0)
    names = np.repeat([m.name for m in profile.layout.members], [m.size for m in profile.layout.members])
    since = np.array([cleared.get(name, -np.inf) for name in names])
    for got, length in zip(found, windows.values(), strict=True):
        keep = mixed.starts[:, None] >= np.maximum(24.0 - length, since)
        np.testing.assert_array_equal(got.cells, np.where(keep, mixed.cells, 0.0).sum(axis=0))


def test_rows_are_counted_by_the_hour_that_their_interval_began_in_and_by_member(profile: ReferenceProfile) -> None:
    strata = Strata("48", "UTC", np.zeros((48, profile.layout.size), dtype=np.int64))
    store = Store(series(profile, 4, length=1800.0))  # 1970 began on a Thursday
    short, long = of(profile, store, {"1h": 3600.0, "2h": 7200.0}, 7200.0, strata, b=5000.0)
    assert short.strata is not None
    assert short.strata.shape == (3, 48)
    assert short.strata[0].tolist() == [0.0, 3.0 + 4.0, *[0.0] * 46]
    assert long.strata is not None
    assert long.strata[:, :2].tolist() == [[1.0 + 2.0, 3.0 + 4.0], [0.0, 4.0], [1.0 + 2.0, 3.0 + 4.0]]
    assert long.since is not None
    assert long.since.tolist() == [0.0, 5000.0, 0.0]
    assert short.since is not None
    assert of(profile, store, {"1h": 3600.0}, 7200.0, strata, b=3600.0)[0].since is None
    assert of(profile, store, {"1h": 3600.0}, 7200.0)[0].strata is None


def test_where_a_week_holds_too_few_rows_the_longest_window_goes_back_a_month(profile: ReferenceProfile) -> None:
    now, day = 100 * 86400.0, 86400.0
    store = Store(series(profile, 100, length=day))  # day i has i + 1 rows

    def rows(least_rows: float, **cleared: float) -> list[WindowCounts]:
        return of(profile, store, {"1h": 3600.0, "168h": 7 * day}, now, None, least_rows, **cleared)

    week, month = sum(range(94, 101)), sum(range(71, 101))
    assert [w.rows for w in rows(week)] == [0.0, week]
    short, long = rows(week + 1)
    assert (short.rows, long.rows, long.window) == (0.0, month, "168h")
    assert (long.start, long.end, long.full) == (now - 30 * day, now, True)
    long = rows(week + 1, a=now - 10 * day)[1]
    assert set(long.cells[: profile.layout.members[0].size]) == {sum(range(91, 101))}


def test_a_month_without_rows_in_its_last_week_is_not_looked_at(profile: ReferenceProfile) -> None:
    store = Store(series(profile, 10, length=86400.0))
    assert of(profile, store, {"168h": 7 * 86400.0}, 20 * 86400.0, None, 50.0)[0].rows == 0.0


def test_a_young_recording_that_is_extended_begins_where_it_did(profile: ReferenceProfile) -> None:
    store = Store(series(profile, 9, length=86400.0))
    (found,) = of(profile, store, {"168h": 7 * 86400.0}, 9 * 86400.0, None, 1000.0)
    assert (found.start, found.rows, found.full) == (0.0, 45.0, True)


def test_recording_began_is_asked_for_the_version_and_the_profile(profile: ReferenceProfile) -> None:
    store = cast(Any, Store(series(profile, 1), began=7.0))
    assert recording_began(store, "m", "v1", "p", 10.0, 100.0) == 7.0
    assert recording_began(store, "m", "v1", "other", 10.0, 100.0) is None
