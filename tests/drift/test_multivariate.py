"""Drift between features: the distance, its threshold, and how often it is right."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelwatch.drift.decision import window_budget
from modelwatch.drift.multivariate import TOLERANCE, Measured, gamma_tail, gamma_z, judge, measure, top_changes
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.correlation import codes_of, scores_of

DAY = 86400.0
FEATURES = 20
LEVEL = window_budget("multivariate", 1 / 720, 1)
Columns = dict[str, Any]


class Source:
    """Rows of twenty features that depend on four hidden ones."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        loadings, own = rng.normal(size=(FEATURES, 4)), rng.uniform(1, 3, FEATURES)
        covariance = loadings @ loadings.T + np.diag(own)
        sd = np.sqrt(np.diag(covariance))
        self._root = np.linalg.cholesky(covariance / np.outer(sd, sd))
        self.rng = rng
        self.profile = ReferenceProfile.build(self.draw(20_000))

    def draw(self, n: int) -> Columns:
        return {f"f{i}": row for i, row in enumerate(self._root @ self.rng.normal(size=(FEATURES, n)))}

    def score(self, columns: Columns, **more: Any) -> Measured:
        n = len(next(iter(columns.values())))
        measured = measure(self.profile, columns, n, "24h", **more)
        assert measured is not None
        return measured

    def severity(self, columns: Columns) -> Severity:
        return judge(self.score(columns), LEVEL, DAY).test.severity

    def found(self, change: Callable[[Columns], Columns], n: int, runs: int = 40) -> float:
        """Return the share of windows in which a change is told; the same ones whatever was drawn before."""
        self.rng = np.random.default_rng(n)
        return float(np.mean([self.severity(change(self.draw(n))) >= Severity.WARNING for _ in range(runs)]))

    def decorrelated(self, columns: Columns) -> Columns:
        """Shuffle one feature: each by itself is what it was."""
        return columns | {"f0": self.rng.permutation(columns["f0"])}


@pytest.fixture(scope="module", params=[1, 2, 3])
def source(request: pytest.FixtureRequest) -> Source:
    return Source(request.param)


@pytest.fixture(scope="module")
def one() -> Source:
    return Source(5)


def exchanged(columns: Columns) -> Columns:
    return columns | {"f0": columns["f1"], "f1": columns["f0"]}


# ── the distance ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_distance_is_that_of_atanh_of_the_correlations(one: Source) -> None:
    columns = one.draw(700)
    measured = one.score(columns)
    constants = measured.constants
    scores = scores_of(constants.tables, codes_of([one.profile.member(n) for n in constants.features], columns, 700))
    reference = iter(constants.correlation.tolist())
    by_hand = 0.0
    for i, j in combinations(range(FEATURES), 2):
        r = np.corrcoef(scores[i], scores[j])[0, 1]
        by_hand += (np.arctanh(r) - np.arctanh(next(reference))) ** 2
    assert measured.distance == pytest.approx(by_hand)
    assert measured.pairs == 190
    assert measured.chance == pytest.approx(500 * (1 / 697 + 1 / 20_000) * constants.mean)
    assert measured.score == pytest.approx((max(0.0, measured.distance - measured.chance) / 190) ** 0.5)


@pytest.mark.parametrize("change", [lambda columns: columns, exchanged], ids=["as before", "exchanged"])
def test_it_alarms_beyond_noise_and_tolerance(one: Source, change: Callable[[Columns], Columns]) -> None:
    measured = one.score(change(one.draw(400)))
    constants = measured.constants
    a = 4 / constants.skew**2
    z = (stats.gamma.isf(LEVEL, a) - a) / a**0.5
    threshold = measured.factor * (constants.mean + z * constants.sd) + 190 * TOLERANCE**2
    judged = judge(measured, LEVEL, DAY)
    assert (judged.test.severity >= Severity.WARNING) == (measured.distance > threshold)
    assert judged.test.threshold == TOLERANCE
    assert judged.test.score_low <= judged.test.score <= judged.test.score_high


@pytest.mark.parametrize("skew", [0.0, 0.3, 0.8, 1.5, 2.5])
@pytest.mark.parametrize("p", [0.05, 1e-3, LEVEL, 1e-5])
def test_the_tail_of_skewed_noise_is_that_of_a_gamma_distribution(skew: float, p: float) -> None:
    exact = stats.pearson3.isf(p, skew)
    # The more skewed, the more cautious.
    assert exact * 0.97 <= gamma_z(p, skew) <= exact * (1.01 + 0.05 * skew)
    assert gamma_tail(gamma_z(p, skew), skew) == pytest.approx(p, rel=1e-6)


@given(st.floats(-50, 50), st.floats(0, 5))
def test_a_probability_is_one_and_falls_as_the_distance_grows(z: float, skew: float) -> None:
    assert 0.0 < gamma_tail(z + 1.0, skew) <= gamma_tail(z, skew) <= 1.0


def test_p_values_are_those_of_chance_where_nothing_changed(one: Source) -> None:
    p = [one.score(one.draw(500)).p_value(0.0) for _ in range(300)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(p) == pytest.approx(0.5, abs=0.08)


def test_the_pairs_that_moved_are_named_first(one: Source) -> None:
    measured = one.score(one.decorrelated(one.draw(2000)))
    changes = top_changes(measured)
    assert len(changes) == 5
    assert all("f0" in (change.first, change.second) for change in changes[:3])
    assert [change.share for change in changes] == sorted((change.share for change in changes), reverse=True)
    assert abs(changes[0].before) > 0.2
    assert abs(changes[0].now) < 0.1


# ── how often it is right ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("n", "least"), [(200, 0.7), (1000, 1.0)])
def test_a_feature_that_goes_with_nothing_any_more_is_found(n: int, least: float) -> None:
    # Whose first feature goes with the others so much that losing that is a distance of 0.11 to 0.14.
    found = [source.found(source.decorrelated, n) for source in map(Source, (2, 3, 6))]
    assert min(found) >= least


def test_features_that_were_exchanged_are_found_at_once(source: Source) -> None:
    assert source.found(exchanged, 200) == 1.0


@pytest.mark.parametrize(("n", "runs"), [(200, 300), (1000, 200), (5000, 40)])
def test_where_nothing_changes_nothing_is_told(one: Source, n: int, runs: int) -> None:
    assert one.found(lambda columns: columns, n, runs) == 0.0


@pytest.mark.quality
@pytest.mark.parametrize("n", [200, 1000, 5000, 20_000])
def test_where_nothing_changes_nothing_is_told_in_a_thousand_windows(source: Source, n: int) -> None:
    assert source.found(lambda columns: columns, n, 1000) == 0.0


@pytest.mark.parametrize(
    "change",
    [
        lambda rng, x: x + 0.5,
        lambda rng, x: x + 1.0,
        lambda rng, x: 1.5 * x,
        lambda rng, x: np.exp(x),
        lambda rng, x: np.where(rng.random(len(x)) < 0.2, np.nan, x),
    ],
    ids=["mean +0.5 sd", "mean +1 sd", "sd x 1.5", "another scale", "20 % missing"],
)
@pytest.mark.parametrize("n", [200, 5000])
def test_a_feature_that_moves_by_itself_is_not_told(source: Source, change: Callable[..., Any], n: int) -> None:
    assert source.found(lambda columns: columns | {"f0": change(source.rng, columns["f0"])}, n, 15) == 0.0


def test_natural_variation_is_tolerated(one: Source) -> None:
    measured = one.score(one.decorrelated(one.draw(1000)))
    assert judge(measured, LEVEL, DAY).test.severity == Severity.WARNING
    wild = measured.constants
    object.__setattr__(wild, "days", 30)
    object.__setattr__(wild, "natural", {"24h": (0.02, 1.0)})
    try:
        judged = judge(measured, LEVEL, DAY)
    finally:
        object.__setattr__(wild, "days", 0)
        object.__setattr__(wild, "natural", {})
    assert judged.test.threshold == pytest.approx((16 * (1 + 10 / 30) ** 2 * 0.02) ** 0.5)
    assert judged.test.severity == Severity.INFO


# ── odd rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_too_few_rows_say_nothing(one: Source) -> None:
    columns = one.draw(120)
    assert one.score(columns).n == 120
    assert measure(one.profile, {name: column[:99] for name, column in columns.items()}, 99, "24h") is None
    wide = ReferenceProfile.build({f"f{i}": one.rng.normal(size=300) for i in range(40)})
    rows = {f"f{i}": one.rng.normal(size=199) for i in range(40)}
    assert measure(wide, rows, 199, "24h") is None


def test_a_feature_without_a_column_and_one_that_is_left_out_are_not_compared(one: Source) -> None:
    columns = one.draw(500)
    del columns["f3"]
    assert one.score(columns).pairs == 19 * 18 / 2
    assert one.score(columns, left_out={"f4", "f5"}).pairs == 17 * 16 / 2
    assert measure(one.profile, {"f0": columns["f0"]}, 500, "24h") is None


@pytest.mark.parametrize(
    "value",
    [None, float("nan"), float("inf"), 1e308, "x", b"x", [], {}, 10**400, 3.0],
    ids=lambda value: repr(value)[:9],
)
def test_a_feature_that_is_the_same_in_each_row_is_in_no_pair(one: Source, value: Any) -> None:
    measured = one.score(one.draw(500) | {"f0": [value] * 500})
    assert measured.pairs == 19 * 18 / 2
    assert judge(measured, LEVEL, DAY).test.severity == Severity.NONE


def test_where_nothing_varies_there_is_nothing_to_measure(one: Source) -> None:
    assert measure(one.profile, {name: [None] * 500 for name in one.profile.feature_names}, 500, "24h") is None


def test_odd_values_in_a_few_rows_raise_nothing(one: Source) -> None:
    columns = one.draw(2000)
    columns["f0"] = [*columns["f0"][:1995], None, "x", object(), float("-inf"), 1e300]
    assert judge(one.score(columns), LEVEL, DAY).test.severity == Severity.NONE


def test_two_copies_of_a_feature_that_part_are_told() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=2000)
    profile = ReferenceProfile.build({"a": a, "copy": a})
    same, parted = (measure(profile, {"a": a, "copy": b}, 2000, "24h") for b in (a, rng.permutation(a)))
    assert same is not None
    assert parted is not None
    assert [judge(one, LEVEL, DAY).test.severity for one in (same, parted)] == [Severity.NONE, Severity.WARNING]


def test_an_older_profile_says_nothing() -> None:
    assert measure(ReferenceProfile.build({"a": np.arange(500.0)}), {"a": np.arange(500.0)}, 500, "24h") is None
