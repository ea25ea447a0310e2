"""Where a shape varies too much by itself to be tested, the mean is tested in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from modelwatch.config import DriftMonitoringConfig, ModelMonitoringConfig
from modelwatch.drift.blind_spots import blind_spots
from modelwatch.drift.family import ScoredFamily, score_family
from modelwatch.drift.family import test_results as results_of
from modelwatch.drift.means import largest_shift
from modelwatch.drift.statistics import d_to_js, js_to_d
from modelwatch.drift.table import SHAPE_TEST
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.divergence import D_PER_JS2
from modelwatch.profile.means import mean_shift
from modelwatch.profile.natural import LENGTHS, Natural, tolerance_factor
from modelwatch.records import WindowCounts

Window = Callable[..., WindowCounts]
Rows = Callable[..., dict[str, Any]]
DAYS = 60
WILD_SHAPE = js_to_d(0.4)


@pytest.fixture
def wild(profile: ReferenceProfile) -> Callable[[float], ReferenceProfile]:
    """The same reference, in which the first feature's shape is wild, and its mean varies by so many deviations."""

    def make(sd: float) -> ReferenceProfile:
        members = len(profile.layout.members)
        weighted, means = np.zeros((members, 3)), np.zeros((3, members))
        weighted[0, SHAPE_TEST] = WILD_SHAPE
        means[:2] = [[sd**2] * members, [1.0] * members]
        wild = Natural(weighted, np.ones_like(weighted), means=means)
        return replace(profile, natural=dict.fromkeys(LENGTHS, wild), natural_days=DAYS, calibrated=True)

    return make


@pytest.fixture
def score(window: Window) -> Callable[..., ScoredFamily]:
    def make(profile: ReferenceProfile, columns: dict[str, Any], **drift: Any) -> ScoredFamily:
        config = DriftMonitoringConfig.model_validate({"windows": ["1h"]} | drift)
        return score_family("data", profile, [window(columns)], config, 1 / 720, members=range(4), only_full=False)

    return make


Make = Callable[[float], ReferenceProfile]
Score = Callable[..., ScoredFamily]


def natural(sd: float) -> float:
    """What is tolerated of a mean that varies by so many deviations, as a distance."""
    return float(d_to_js(tolerance_factor(DAYS) * sd**2))


def test_a_mean_that_moves_further_than_it_ever_does_alarms(wild: Make, score: Score, rows: Rows) -> None:
    found = score(wild(0.1), rows(5000, a=1.5))
    assert found.noisy == ("a",)
    assert found.severity[0, 0, SHAPE_TEST] >= Severity.ERROR
    [told] = [r for r in results_of(found, found.severity) if r.feature == "a"]
    assert told.test == "shape"
    assert told.threshold == pytest.approx(natural(0.1))
    assert told.score > told.threshold
    assert 0.0 < told.score_low < told.score < told.score_high


def test_a_mean_that_moves_as_it_does_by_itself_does_not(wild: Make, score: Score, rows: Rows) -> None:
    found = score(wild(0.3), rows(5000, a=1.0))
    assert found.severity[0, 0, SHAPE_TEST] <= Severity.INFO
    assert found.table is not None
    assert found.table.tested[0, 0, SHAPE_TEST]


def test_the_shape_itself_stays_untested(wild: Make, score: Score, rows: Rows) -> None:
    columns = rows(5000)
    columns["a"] = np.concatenate([columns["a"][:2500] * 0.1 - 3.0, columns["a"][2500:] * 0.1 + 3.0])
    found = score(wild(0.1), columns)
    assert found.severity[0, 0, SHAPE_TEST] == Severity.NONE, "two peaks with the mean of the reference"


@pytest.mark.parametrize("sd", [0.6, np.inf])
def test_a_mean_that_varies_up_to_any_shift_is_not_tested(wild: Make, score: Score, rows: Rows, sd: float) -> None:
    found = score(wild(sd), rows(5000, a=5.0))
    assert found.table is not None
    assert not found.table.tested[0, 0, SHAPE_TEST]
    assert found.severity[0, 0, SHAPE_TEST] == Severity.NONE


def test_who_writes_a_tolerance_means_the_shape(wild: Make, score: Score, rows: Rows) -> None:
    found = score(wild(0.1), rows(5000, a=0.5), tolerance={"a": 0.06})
    assert found.noisy == ()
    [told] = [r for r in results_of(found, found.severity) if r.feature == "a"]
    assert (told.test, told.threshold) == ("shape", 0.06)
    assert told.severity >= Severity.WARNING


def test_what_can_alarm_by_its_mean_is_no_blind_spot(wild: Make) -> None:
    config = ModelMonitoringConfig(model_id="m")
    assert "a" not in [spot.feature for spot in blind_spots(config, wild(0.1))]
    [spot] = [spot for spot in blind_spots(config, wild(0.6)) if spot.feature == "a"]
    assert "and so does its mean" in spot.reason


def test_a_shift_is_that_of_the_mean_in_standard_deviations_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    scores = np.array([-1.5, -0.5, 0.0, 0.7, 2.0])
    o, r = rng.integers(1, 100, (2, 7, 5)).astype(float)
    square, s = mean_shift(o, r, scores)
    for i in range(7):
        ours, theirs = (np.repeat(scores, counts[i].astype(int)) for counts in (o, r))
        assert square[i] == pytest.approx(((ours.mean() - theirs.mean()) / theirs.std()) ** 2)
        assert s[i] == pytest.approx(1 / len(ours) + 1 / len(theirs))


def test_under_no_change_its_p_value_is_uniform() -> None:
    rng = np.random.default_rng(1)
    scores = stats.norm.ppf((np.arange(20) + 0.5) / 20)
    reference = np.full((4000, 20), 5000.0)
    square, s = mean_shift(rng.multinomial(300, np.full(20, 0.05), 4000).astype(float), reference, scores)
    assert stats.kstest(stats.chi2.sf(square / s, 1), "uniform").pvalue > 0.01


@pytest.mark.parametrize("constant", [True, False])
def test_no_shift_is_larger_than_a_distance_can_be(constant: bool) -> None:
    counts = np.array([[0.0, 10.0, 0.0]]) if constant else np.array([[1.0, 1000.0, 1.0]])
    square, _ = mean_shift(np.array([[0.0, 0.0, 50.0]]), counts, np.array([-3.0, 0.0, 3.0]))
    assert square[0] == (0.0 if constant else D_PER_JS2)


def test_the_largest_shift_is_that_of_all_rows_in_the_lowest_or_the_highest_cell(profile: ReferenceProfile) -> None:
    places = {m.name: i for i, m in enumerate(profile.layout.members)}
    assert 3.0 < largest_shift(profile, places["a"]) < D_PER_JS2
    categories = [i for i, m in enumerate(profile.layout.members) if m.kind == "categorical"]
    assert [largest_shift(profile, place) for place in categories] == [0.0] * len(categories)
