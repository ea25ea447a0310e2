"""What a feature does between days on which nothing is wrong is learnt from its reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from modelwatch.exceptions import ProfileError
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.divergence import divergence, expected
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.natural import Natural, learn_natural, tolerance_factor
from modelwatch.profile.strata import stratum_of_hour
from modelwatch.records import LOW, MISSING, CellLayout, FeatureCells

Make = Callable[..., Any]

BEGIN = 1_767_225_600.0
LAYOUT = CellLayout((FeatureCells("x", "numeric", minimum=0.0, edges=tuple(np.arange(1.0, 11.0))),))


def hourly(shares: NDArray[np.float64], rows: int = 1000, seed: int = 0) -> HourCounts:
    """Counts of so many rows an hour, of which each hour has its own shares of the cells of a feature."""
    rng = np.random.default_rng(seed)
    cells = np.array([rng.multinomial(rows, share) for share in shares])
    return HourCounts.gathered(BEGIN + 3600.0 * np.arange(float(len(cells))), cells, "UTC")


def shares_of(hours: int, **tails: Any) -> NDArray[np.float64]:
    out = np.zeros((hours, LAYOUT.size))
    out[:, :10] = 0.1
    for name, share in tails.items():
        out[:, 10 + {"low": LOW, "missing": MISSING}[name]] = share
    out /= out.sum(axis=1, keepdims=True)
    return out


@pytest.mark.parametrize("rows", [50, 200, 2000])
def test_data_that_only_chance_varies_has_no_natural_variation(rows: int) -> None:
    found = learn_natural(LAYOUT, hourly(shares_of(56 * 24, low=0.01, missing=0.02), rows), "48")
    assert list(found) == ["1h", "24h", "168h"]
    for natural in found.values():
        assert natural.js.max() < (0.05 if rows == 50 else 0.02)


def test_few_rows_do_not_make_a_feature_deaf() -> None:
    """Of 20 000 rows in 28 days chance alone makes a mean that, times c(28), is a distance of 0.1, in half of them."""
    same = shares_of(28 * 24)
    found = [learn_natural(LAYOUT, hourly(same, rows=30, seed=seed), "48")["24h"] for seed in range(40)]
    assert np.mean([natural.tolerance(28, 0.05)[0, 0] > 0.05 for natural in found]) <= 0.1


@pytest.mark.parametrize("noise", [0.05, 0.15])
def test_day_noise_is_learnt_as_the_distance_that_it_makes(seasonal: Make, noise: float) -> None:
    features = {f"f{i}": noise for i in range(6)}
    found = seasonal(56, 200, **features).build().natural
    # drift.md, "Units": a small shift by x standard deviations is a distance of 0.425 x.
    for window in ("1h", "24h"):
        typical = np.sqrt(np.square(found[window].js[:, 0]).mean())
        assert typical == pytest.approx(0.425 * noise, rel=0.3)
    assert found["168h"].js[:, 0].mean() < found["24h"].js[:, 0].mean()


def test_the_daily_cycle_is_no_natural_variation_unless_all_hours_are_one(seasonal: Make) -> None:
    rows = seasonal(28, 100, cycle=1.0, a=0.0)
    assert rows.build().natural["1h"].js[0, 0] < 0.05
    flat = rows.build(strata="none")
    assert (flat.calibrated, flat.strata) == (True, None)
    assert flat.natural["1h"].js[0, 0] > 0.2


@pytest.mark.parametrize(("days", "root"), [(14, 6.9), (28, 5.4), (56, 4.7)])
def test_fewer_days_are_trusted_less(days: int, root: float) -> None:
    assert tolerance_factor(days) ** 0.5 == pytest.approx(root, abs=0.05)


def test_every_test_learns_from_its_own_cells() -> None:
    days = np.repeat(np.arange(28), 24)
    missing = np.where(days % 2, 0.10, 0.01)
    natural = learn_natural(LAYOUT, hourly(shares_of(28 * 24, missing=missing, low=0.01)), "48")["24h"]
    shape, gaps, novel = natural.js[0]
    assert gaps > 0.05
    assert max(shape, novel) < 0.01


def one_by_one(hours: HourCounts) -> tuple[float, float]:
    """Return the sums for the shape of days, with the matching that checks use."""
    days = hours.hours // 24
    weighted = weight = 0.0
    for day in np.unique(days):
        mine, others = hours.cells[days == day], days != day
        rest = HourCounts(hours.timezone, hours.hours[others], hours.cells[others]).strata("48")
        rows = np.zeros((1, 48))
        np.add.at(rows[0], stratum_of_hour(hours.hours[days == day], "48"), mine.sum(axis=1))
        o, r = mine.sum(axis=0)[:10].astype(float), rest.matched(LAYOUT, rows)[:10]
        n, m = o.sum(keepdims=True), r.sum(keepdims=True)
        args = o[None], r[None], n, m, np.ones(1)
        s = 1 / n[0] + 1 / m[0]
        weighted += float((divergence(*args)[0] - expected(*args))[0]) / s**2
        weight += 1 / s**2
    return weighted, weight


def test_it_is_what_comparing_each_day_with_its_matched_reference_gives() -> None:
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(10), size=21 * 24)
    hours = hourly(np.pad(shares, ((0, 0), (0, 6))), rows=500)
    natural = learn_natural(LAYOUT, hours, "48")["24h"]
    weighted, weight = one_by_one(hours)
    assert natural.weighted[0, 0] == pytest.approx(weighted)
    assert natural.weight[0, 0] == pytest.approx(weight)


def test_a_week_varies_half_as_much_as_a_day_until_there_are_eight() -> None:
    shares = shares_of(57 * 24)
    shares[:, 0] *= 1 + 0.5 * np.repeat(np.arange(57) % 2, 24)
    shares /= shares.sum(axis=1, keepdims=True)
    short, long = (learn_natural(LAYOUT, hourly(shares[: days * 24]), "48") for days in (55, 57))
    np.testing.assert_allclose(short["168h"].v, short["24h"].v / 2, rtol=1e-5)
    assert long["168h"].v[0, 0] < long["24h"].v[0, 0] / 20


def test_hours_with_few_rows_say_nothing_about_hours() -> None:
    found = learn_natural(LAYOUT, hourly(shares_of(28 * 24), rows=49), "48")
    assert found["1h"].weight.max() == 0
    assert found["24h"].weight[0, 0] > 0


def test_an_hour_that_no_other_day_has_is_not_compared() -> None:
    cells = np.zeros((20, LAYOUT.size), dtype=np.int64)
    cells[:, 0] = 300
    cells[19, :2] = 0, 900
    seconds = BEGIN + 86400.0 * 7 * np.arange(20.0) + np.where(np.arange(20) == 19, 43200.0, 0.0)
    apart = HourCounts.gathered(seconds, cells, "UTC")
    found = learn_natural(LAYOUT, apart, "168")
    assert found["24h"].v.max() == 0


def test_chance_is_known_also_of_cells_that_hold_next_to_nothing() -> None:
    rng = np.random.default_rng(0)
    for n, p in ((50, np.full(50, 0.02)), (200, np.full(20, 0.05)), (50, np.array([0.01, 0.99]))):
        o, r = rng.multinomial(n, p, 20_000).astype(float), rng.multinomial(3000, p, 20_000).astype(float)
        args = o, r, o.sum(axis=1), r.sum(axis=1), np.ones(len(o), dtype=bool)
        assert expected(*args).mean() == pytest.approx(divergence(*args)[0].mean(), rel=0.03)


def test_a_known_tolerance_is_the_larger_of_level_and_nature() -> None:
    natural = Natural(np.array([[0.0, 0.002, -1.0]]), np.array([[1.0, 1.0, 2.0]]))
    assert natural.tolerance(56, 0.05)[0].tolist() == pytest.approx([0.05, 0.0895, 0.05], abs=1e-3)
    assert natural.tolerance(56, 0.20)[0].tolist() == pytest.approx([0.20] * 3)


def test_it_takes_less_than_a_second() -> None:
    layout = CellLayout(tuple(FeatureCells(f"f{i}", "numeric", edges=tuple(np.arange(1.0, 21.0))) for i in range(25)))
    cells = np.random.default_rng(0).poisson(20, (56 * 24, layout.size))
    for first, last in pairwise([*layout.offsets, layout.size]):
        cells[:, first] += 1000 - cells[:, first:last].sum(axis=1)
    hours = HourCounts.gathered(BEGIN + 3600.0 * np.arange(float(len(cells))), cells, "Europe/Rome")
    began = time.process_time()
    learn_natural(layout, hours, "48")
    assert time.process_time() - began < 1.0


def test_a_profile_of_14_days_is_calibrated_and_one_of_13_says_what_is_missing(seasonal: Make) -> None:
    rows = seasonal(14, 20, a=0.05)
    full, short = rows.build(), rows.build(slice(0, 13 * 24 * 20))
    assert (full.calibrated, full.natural_days, full.strata.kind) == (True, 14, "48")
    assert full.verdict == "FULL: 14 days, 6 720 rows"
    assert (short.calibrated, short.natural_days, short.strata, dict(short.natural)) == (False, 0, None, {})
    assert "timestamps cover 13 days: tolerances are learnt from 14 days on" in short.warnings
    assert short.verdict.startswith("LIMITED: 13 days, 6 240 rows; tolerances are learnt from 14 days on;")


def test_counts_by_hour_are_those_of_the_rows_that_have_a_time(seasonal: Make) -> None:
    rows = seasonal(14, 20, a=0.05)
    timeless = rows.seconds.copy()
    timeless[::10] = np.nan
    profile = rows.build(timestamps=timeless)
    assert profile.counts.sum() == len(timeless)
    assert profile.strata.counts.sum() == np.isfinite(timeless).sum()
    assert profile.counts.tolist() == rows.build().counts.tolist()
    np.testing.assert_array_equal(rows.build().strata.counts.sum(axis=0), profile.counts)


def test_hours_are_those_of_the_business(seasonal: Make) -> None:
    rows = seasonal(14, 20, a=0.05)
    tokyo, utc = rows.build(timezone="Asia/Tokyo"), rows.build()
    assert (tokyo.strata.timezone, utc.strata.timezone) == ("Asia/Tokyo", "UTC")
    np.testing.assert_array_equal(tokyo.strata.counts[9], utc.strata.counts[0])  # of the same day


@pytest.mark.parametrize(("month", "day", "hours"), [(10, 25, 25), (3, 29, 23)])
def test_a_day_on_which_clocks_change_is_one_day(month: int, day: int, hours: int) -> None:
    begin = datetime(2026, month, day, tzinfo=ZoneInfo("Europe/Rome")).timestamp()
    cells = np.ones((hours, 2), dtype=np.int64)
    found = HourCounts.gathered(begin + 3600.0 * np.arange(float(hours)), cells, "Europe/Rome")
    assert found.days == 1
    twice = [2] if hours > 24 else []
    assert (found.hours % 24).tolist() == [h for h in range(24) if hours >= 24 or h != 2]
    assert [h for h in range(len(found.cells)) if found.cells[h, 0] == 2] == twice
    assert found.strata("48").counts[24:].sum() == cells.sum()  # both are Sundays


def test_counts_by_hour_add_up(seasonal: Make) -> None:
    rows = seasonal(3, 20, a=0.05)
    cells = np.ones((len(rows.seconds), 4), dtype=np.int64)
    whole = HourCounts.gathered(rows.seconds, cells, "UTC")
    parts = [HourCounts.gathered(rows.seconds[some], cells[some], "UTC") for some in (slice(0, 777), slice(777, None))]
    for both in (parts[0].plus(parts[1]), parts[1].plus(parts[0])):
        np.testing.assert_array_equal(both.hours, whole.hours)
        np.testing.assert_array_equal(both.cells, whole.cells)


def test_hours_that_differ_ask_for_a_timezone(seasonal: Make) -> None:
    rows = seasonal(14, 50, cycle=1.0, calm=0.0)
    [told] = [text for text in rows.build().warnings if "pass timezone" in text]
    assert "most in 'calm' at " in told
    assert not any("pass timezone" in text for text in rows.build(timezone="UTC").warnings)
    even = seasonal(14, 50, cycle=0.0, weekend=0.0, calm=0.0)
    assert not any("pass timezone" in text for text in even.build().warnings)


def test_hours_of_the_week_need_eight_weeks(seasonal: Make) -> None:
    long = seasonal(56, 20, a=0.05)
    assert long.build(strata="168").strata.kind == "168"
    short = long.build(slice(0, 55 * 24 * 20), strata=168)
    assert short.strata.kind == "48"
    assert any("hours of the week (168) need 8 weeks" in text for text in short.warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strata": "24"}, "must be one of auto, none, 48, 168"),
        ({"strata": "atuo"}, "did you mean 'auto'"),
        ({"strata": True}, "strata is 'True'"),
        ({"strata": "48", "timestamps": None}, "no timestamps"),
        ({"timestamps": np.full(6720, 1.7e15)}, "milliseconds"),
    ],
)
def test_a_mistake_about_times_is_a_sentence(seasonal: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        seasonal(14, 20, a=0.05).build(**options)


def test_the_summary_says_what_is_tolerated_and_what_is_too_noisy(seasonal: Make) -> None:
    lines = seasonal(28, 200, calm=0.01, wild=2.0).build(timezone="UTC").summary().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("Tolerated"))
    assert lines[head].split()[-3:] == ["1h", "24h", "168h"]
    assert lines[head + 1].split()[::2] == ["calm", "0.05"]
    assert lines[head + 2].split()[:3] == ["wild", "noisy", "noisy"]
    assert lines[head + 3].startswith("noisy: ")


def test_the_summary_says_where_the_mean_can_still_alarm() -> None:
    """A week is only seven weathers, and no week's shape like another's; but seven means have one mean."""
    rng = np.random.default_rng(6)
    days = np.repeat(np.arange(70), 24 * 30)
    values = rng.normal(size=70)[days] + 0.1 * rng.normal(size=len(days))
    profile = ReferenceProfile.build({"temp": values}, timestamps=BEGIN + np.arange(len(days)) * 120.0)
    lines = profile.summary().splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("Tolerated"))
    assert lines[head + 1].split() == ["temp", "noisy", "noisy", "mean"]
    assert [line.partition(":")[0] for line in lines[head + 2 : head + 4]] == ["noisy", "mean"]


def in_hours(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the cells by hour, of which the lowest cell has the given one."""
    out = shares_of(len(share))
    out[:, 0] = share
    out[:, 1:10] = (1.0 - share[:, None]) / 9.0
    return out


@pytest.mark.parametrize("rows", [50, 2000])
def test_rows_that_are_independent_have_nothing_in_common(rows: int) -> None:
    for found in learn_natural(LAYOUT, hourly(shares_of(56 * 24), rows), "48").values():
        assert rows * found.correlation[0] < 1.0


@pytest.mark.parametrize("rows", [50, 2000])
def test_how_alike_the_rows_of_an_hour_are_is_learnt_however_many_they_are(rows: int) -> None:
    """Of a share that varies with variance V about its mean P, it is V / P(1 - P)."""
    share = np.where(np.random.default_rng(4).random(56 * 24) < 0.1, 0.6, 0.05)
    found = learn_natural(LAYOUT, hourly(in_hours(share), rows), "48")
    both = np.array([share, (1.0 - share) / 9.0])  # the ends: the lowest cell and the highest
    mean = both.mean(axis=1)
    expected = both.var(axis=1).sum() / (mean * (1.0 - mean)).sum()
    assert found["1h"].correlation[0] == pytest.approx(expected, rel=0.2)
    assert found["24h"].correlation[0] < expected / 10.0, "hours are independent of one another"


def test_weeks_too_few_to_tell_are_as_alike_as_days() -> None:
    share = np.repeat(np.random.default_rng(5).choice([0.02, 0.4], 28), 24)
    found = learn_natural(LAYOUT, hourly(in_hours(share)), "48")
    assert found["24h"].correlation[0] > 0.1
    np.testing.assert_array_equal(found["168h"].correlation, found["24h"].correlation)


def test_categories_have_no_ends() -> None:
    layout = CellLayout((FeatureCells("x", "categorical", categories=tuple("abcdefghi")),))
    share = np.repeat(np.random.default_rng(5).choice([0.02, 0.4], 28), 24)
    assert layout.size == LAYOUT.size
    assert learn_natural(layout, hourly(in_hours(share)), "48")["24h"].correlation.tolist() == [0.0]


@pytest.mark.parametrize("noise", [0.2, 0.8])
def test_how_far_the_mean_moves_between_days_is_learnt_in_standard_deviations(seasonal: Make, noise: float) -> None:
    found = seasonal(56, 200, **{f"f{i}": noise for i in range(6)}).build().natural
    learnt = found["24h"].mean_v / (noise**2 / (1.0 + noise**2))  # of the variance of all rows
    assert learnt.mean() == pytest.approx(1.0, rel=0.25)
    assert (found["168h"].mean_v < 0.6 * found["24h"].mean_v).all(), "days come and go in a week"


def test_the_mean_of_what_only_chance_varies_does_not_vary() -> None:
    for found in learn_natural(LAYOUT, hourly(shares_of(56 * 24), 200), "48").values():
        assert found.mean_v[0] < 0.002


def test_the_mean_of_a_week_varies_half_as_much_as_a_days_until_there_are_eight() -> None:
    shares = in_hours(np.repeat(0.1 + 0.1 * (np.arange(28) % 2), 24))
    found = learn_natural(LAYOUT, hourly(shares), "48")
    assert found["168h"].mean_v[0] == pytest.approx(found["24h"].mean_v[0] / 2, rel=1e-5)
