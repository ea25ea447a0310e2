"""What is tolerated of each feature, and where that is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig, ModelMonitoringConfig
from modelwatch.drift.blind_spots import blind_spots
from modelwatch.drift.family import ScoredFamily, score_family
from modelwatch.drift.family import test_results as results_of
from modelwatch.drift.shifts import family_shifts
from modelwatch.drift.statistics import d_to_js, js_to_d
from modelwatch.drift.table import MISSING_TEST, NOVEL_TEST, SHAPE_TEST, _gates
from modelwatch.drift.tolerance import likeness_of, tolerances_of
from modelwatch.drift.tracking import clear_tiers, track, verdict_of
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.natural import Natural, tolerance_factor
from modelwatch.records import HIGH, WindowCounts

Window = Callable[..., WindowCounts]
Rows = Callable[..., dict[str, Any]]
DAYS = 30
HOUR, DAY, WEEK = 3600.0, 86400.0, 7 * 86400.0


def varying(profile: ReferenceProfile, *, member: int = 0, **js: float) -> ReferenceProfile:
    """The same reference, with the natural distance of one shape: ``varying(profile, _1h=0.02)``."""
    natural = {}
    for label, distance in js.items():
        v = np.zeros((len(profile.layout.members), 3))
        v[member, SHAPE_TEST] = js_to_d(distance)
        natural[label.removeprefix("_")] = Natural(v, np.ones_like(v))
    return replace(profile, natural=natural, natural_days=DAYS, calibrated=True)


def tolerated(profile: ReferenceProfile, seconds: float, **drift: Any) -> float:
    """Jensen-Shannon distance that is tolerated of the shape of the first feature."""
    config = DriftMonitoringConfig.model_validate(drift)
    tau = tolerances_of(profile, config, [0], np.array([[seconds]])).tau
    return float(d_to_js(tau[0, 0, 0, SHAPE_TEST]))


def natural(js: float) -> float:
    return float(js * tolerance_factor(DAYS) ** 0.5)


def test_each_length_of_window_has_its_own_natural_variation(profile: ReferenceProfile) -> None:
    learnt = varying(profile, _1h=0.04, _24h=0.03, _168h=0.02)
    assert tolerated(learnt, HOUR) == pytest.approx(natural(0.04))
    assert tolerated(learnt, 11.9 * HOUR) == pytest.approx(natural(0.04))
    assert tolerated(learnt, 12 * HOUR) == pytest.approx(natural(0.03))
    assert tolerated(learnt, 3.4 * DAY) == pytest.approx(natural(0.03))
    assert tolerated(learnt, WEEK) == pytest.approx(natural(0.02))


def test_what_is_not_learnt_of_a_length_is_taken_from_the_day(profile: ReferenceProfile) -> None:
    learnt = varying(profile, _24h=0.04)
    assert tolerated(learnt, HOUR) == pytest.approx(natural(0.04))
    assert tolerated(learnt, WEEK) == pytest.approx(natural(0.04) / 2**0.5)


def test_what_varies_little_is_tolerated_up_to_the_level(profile: ReferenceProfile) -> None:
    learnt = varying(profile, _24h=0.001)
    config = DriftMonitoringConfig()
    tau = tolerances_of(learnt, config, [0, 1], np.array([[DAY]])).tau
    np.testing.assert_allclose(d_to_js(tau[:, 0, 0, SHAPE_TEST]), [0.05, 0.10, 0.20])
    np.testing.assert_allclose(d_to_js(tau[:, 0, 1, MISSING_TEST]), [0.05, 0.10, 0.20])


def test_the_levels_of_the_tiers_are_each_raised_to_what_is_natural(profile: ReferenceProfile) -> None:
    tau = tolerances_of(varying(profile, _24h=0.024), DriftMonitoringConfig(), [0], np.array([[DAY]])).tau
    expected = [natural(0.024), natural(0.024), 0.20]
    np.testing.assert_allclose(d_to_js(tau[:, 0, 0, SHAPE_TEST]), expected)


def test_a_cap_limits_what_is_natural_but_not_the_level(profile: ReferenceProfile) -> None:
    learnt = varying(profile, _24h=0.05)
    assert tolerated(learnt, DAY, tolerance={"a": 0.12}) == pytest.approx(0.12)
    assert tolerated(learnt, DAY, tolerance={"a": 0.01}) == pytest.approx(0.05)
    assert tolerated(learnt, DAY, tolerance={"b": 0.01}) == pytest.approx(natural(0.05))


@pytest.mark.parametrize("days", [0, DAYS])
def test_what_is_written_goes_over_what_is_learnt_also_where_it_is_more(profile: ReferenceProfile, days: int) -> None:
    learnt = varying(profile, _24h=0.02) if days else profile
    assert tolerated(learnt, DAY, tolerance={"a": 0.3}) == pytest.approx(0.3)
    assert tolerated(learnt, DAY, tolerance={"b": 0.3}) == pytest.approx(natural(0.02) if days else 0.05)


@pytest.fixture
def score(window: Window, config: DriftMonitoringConfig) -> Callable[..., ScoredFamily]:
    def make(
        profile: ReferenceProfile, columns: dict[str, Any], config: DriftMonitoringConfig = config
    ) -> ScoredFamily:
        return score_family("data", profile, [window(columns)], config, 1 / 720, members=range(4), only_full=False)

    return make


def test_a_shift_that_is_natural_does_not_alarm_and_one_that_is_not_does(
    profile: ReferenceProfile, score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    columns = rows(5000, a=0.5, b=0.5)
    found = score(varying(profile, _1h=0.05), columns)
    severity = found.severity.max(axis=(0, 2))
    assert severity[0] == Severity.INFO
    assert severity[1] >= Severity.ERROR
    thresholds = {r.feature: r.threshold for r in results_of(found, found.severity)}
    assert thresholds["a"] == pytest.approx(natural(0.05))
    assert thresholds["b"] == 0.05


@pytest.fixture
def alike(profile: ReferenceProfile) -> ReferenceProfile:
    """The same reference, in which half of what the first feature has at its ends is the hour's, not the row's."""
    nothing = np.zeros((len(profile.layout.members), 3))
    clustered = np.zeros((3, len(nothing)))
    clustered[:2, 0] = 5.0, 10.0
    hour = Natural(nothing, nothing, clustered=clustered)
    return replace(profile, natural={"1h": hour}, natural_days=DAYS, calibrated=True)


def test_a_record_that_all_rows_of_an_hour_share_is_one_observation(
    alike: ReferenceProfile, score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    columns = rows(400)
    columns["a"] = np.where(np.arange(400) < 100, 1e6, columns["a"])
    columns["b"] = np.where(np.arange(400) < 100, 1e6, columns["b"])
    found = score(alike, columns)
    severity = found.severity[0, :, NOVEL_TEST]
    assert severity[0] == Severity.NONE
    assert severity[1] >= Severity.ERROR, "rows of the others are independent"
    assert found.table is not None
    assert found.table.effect[0, :, NOVEL_TEST].tolist() == [1.0 + 0.5 * 399, 1.0, 1.0, 1.0]
    assert (found.table.effect[..., :NOVEL_TEST] == 1.0).all()
    assert found.table.score[0, 0, NOVEL_TEST] == pytest.approx(found.table.score[0, 1, NOVEL_TEST]), "it is shown"
    first, second = (r for r in results_of(found, found.severity) if r.feature in ("a", "b"))
    assert first.score_low < 0.05 < second.score_low


def test_a_test_on_rows_that_are_alike_is_that_of_as_many_rows_as_they_are_worth(
    profile: ReferenceProfile, alike: ReferenceProfile
) -> None:
    """An effect of 200 on 40 000 rows, of 400 that are worth a row each, is what 200 independent ones say."""
    layout, tau = profile.layout, np.full((1, 1, 3), js_to_d(0.05))
    observed, reference = (np.zeros((1, layout.size)) for _ in range(2))
    size = layout.members[0].shape_size
    observed[0, 0], observed[0, size + HIGH] = 30_000.0, 10_000.0
    reference[0, 0], reference[0, size + HIGH] = 9e6, 1e6
    found, effect = _gates(layout, [0], observed, reference, tau, np.array([[199.0 / 39_999.0]]))
    fewer, _ = _gates(layout, [0], observed / 200.0, reference / 200.0, tau, None)
    assert effect[0, 0].tolist() == pytest.approx([1.0, 1.0, 200.0])
    assert found.p[0, 0, NOVEL_TEST] == pytest.approx(fewer.p[0, 0, NOVEL_TEST])
    assert found.p_large[0, 0, NOVEL_TEST] == pytest.approx(fewer.p_large[0, 0, NOVEL_TEST])
    assert found.n[0, 0, NOVEL_TEST] == 40_000.0
    assert likeness_of(alike, [0], np.array([[HOUR]])) == 0.5
    assert likeness_of(alike, [0], np.array([[DAY]])) == 0.0, "nothing is known of days"


def test_attribution_counts_what_lies_beyond_each_features_own_tolerance(
    profile: ReferenceProfile, score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    found = score(varying(profile, _1h=0.04), rows(20_000, a=1.0, b=1.0))
    shifts = {s.feature: s.attribution for s in family_shifts(profile, found, verdict_of(found), {})}
    assert 0.3 < shifts["a"] < shifts["b"] - 0.05


def test_a_severity_clears_against_the_tolerance_of_its_own_test(
    profile: ReferenceProfile, score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    still = rows(20_000, a=0.3, b=0.3)
    found = score(varying(profile, _1h=0.05), still)
    assert found.table is not None
    clear, _ = clear_tiers(found.table, found.severity * 0)
    assert clear[0, SHAPE_TEST].tolist() == [True, True, True]
    assert clear[1, SHAPE_TEST].tolist() == [False, False, True]


def test_an_hour_that_tolerates_what_the_day_has_found_does_not_end_it(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    learnt = varying(profile, _1h=0.04, _24h=0.01)
    config = DriftMonitoringConfig(windows=("1h", "24h"))
    state: dict[str, Any] = {}
    seen = []
    bad = rows(24_000, a=0.3)
    for step in range(8):
        hour = window(rows(4000, a=0.3 if step < 5 else 0.0), "1h", seconds=HOUR, end=step * HOUR)
        day = window(bad, "24h", seconds=DAY, end=step * HOUR)
        found = score_family("data", learnt, [hour, day], config, 1 / 720, members=range(4))
        assert found.severity[0, 0].max() < Severity.WARNING
        verdict, state = track(state, found, step * HOUR)
        seen.append(verdict.feature_severity["a"] >= Severity.WARNING)
    assert seen == [True] * 7 + [False]


def test_the_shape_of_a_noisy_feature_cannot_alarm_but_is_scored(
    profile: ReferenceProfile, score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    noisy = varying(profile, _1h=0.3)
    columns = rows(5000, a=3.0)
    columns["a"][:1000] = np.nan
    found = score(noisy, columns)
    assert found.noisy == ("a",)
    assert found.severity[0, 0, SHAPE_TEST] == Severity.NONE
    assert found.severity[0, 0, MISSING_TEST] >= Severity.WARNING
    columns = rows(5000, a=1.0)
    result = next(r for r in results_of(score(noisy, columns), found.severity * 0) if r.feature == "a")
    assert result.score > 0.3
    _, state = track({}, score(noisy, columns), 0.0)
    assert state["tests"] == {}


def test_a_feature_that_is_noisy_by_the_hour_alone_is_not_called_noisy_where_a_day_is_scored(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    config = DriftMonitoringConfig(windows=("1h", "24h"))
    windows = [window(rows(1000), "1h", seconds=HOUR), window(rows(1000), "24h", seconds=DAY)]
    learnt = varying(profile, _1h=0.3, _24h=0.1)
    found = score_family("data", learnt, windows, config, 1 / 720, members=range(4))
    assert found.table is not None
    assert found.table.tested[:, 0, SHAPE_TEST].tolist() == [False, True]
    assert found.noisy == ()


def test_who_writes_a_cap_hears_of_a_noisy_feature(
    profile: ReferenceProfile, score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    config = DriftMonitoringConfig(windows=("10s", "30s"), tolerance={"a": 0.2})
    found = score(varying(profile, _1h=0.3), rows(5000, a=2.0), config)
    assert found.noisy == ()
    assert found.severity[0, 0, SHAPE_TEST] >= Severity.WARNING


def test_what_is_noisy_is_named_before_there_is_traffic(profile: ReferenceProfile) -> None:
    learnt = varying(profile, _1h=0.3, _24h=0.3, _168h=0.3)
    config = ModelMonitoringConfig(model_id="m")
    assert [spot.feature for spot in blind_spots(config, learnt)] == ["a"]
    assert "drift.tolerance" in blind_spots(config, learnt)[0].reason
    capped = ModelMonitoringConfig.model_validate({"model_id": "m", "drift": {"tolerance": {"a": 0.2}}})
    assert blind_spots(capped, learnt) == []


def test_rows_of_an_hour_are_tolerated_as_those_of_an_hour_whatever_the_window_is_called(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    learnt = varying(profile, _1h=0.06, _24h=0.02)
    config = DriftMonitoringConfig(windows=("1h", "24h"))
    young = replace(window(rows(1000), "24h", seconds=HOUR), full=False)
    cleared = replace(window(rows(1000), "24h", seconds=DAY), since=np.full(5, 1000.0 - 2 * HOUR))
    whole = window(rows(1000), "24h", seconds=DAY)
    taus = []
    for counted in (young, cleared, whole):
        found = score_family("data", learnt, [counted], config, 1 / 720, members=range(4), only_full=False)
        assert found.table is not None
        taus.append(float(d_to_js(found.table.tau[0, 0, 0, SHAPE_TEST])))
    assert taus == pytest.approx([natural(0.06), natural(0.06), natural(0.02)])


def test_what_a_feature_does_by_itself_is_not_gross(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    config = DriftMonitoringConfig(windows=("10s",))
    counted = [window(rows(2000, a=1.3, b=1.3))]
    learnt = varying(profile, _1h=0.12)
    found = score_family("data", learnt, counted, config, 1 / 720, members=range(4), cap=Severity.WARNING)
    assert found.gross[0, :, SHAPE_TEST].tolist() == [False, True, False, False]
    assert not found.gross[0, :, NOVEL_TEST].any()


def test_an_alarm_of_rows_that_are_alike_ends_when_they_are_as_they_were(
    alike: ReferenceProfile, score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    """What the test takes for one observation must not keep an alarm alive as twenty thousand."""
    hour = alike.natural["1h"]
    clustered = np.asarray(hour.clustered) * np.array([[0.04], [1.0], [1.0]])  # twenty thousand are worth fifty
    weak = replace(alike, natural={"1h": replace(hour, clustered=clustered)})
    state: dict[str, Any] = {}
    told = []
    for check in range(10):
        columns = rows(20_000)
        columns["a"] = np.where(np.arange(20_000) < (20_000 if check < 2 else 200), 1e6, columns["a"])
        found = score(weak, columns)
        verdict, state = track(state, found, 1e9 + 3600.0 * check)
        told.append(verdict.feature_severity["a"])
    assert told[1] >= Severity.WARNING
    assert told[-1] < Severity.WARNING
