"""Drift between features, as scheduled checks and those that somebody asks for tell of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from modelwatch import checks
from modelwatch.checks.replay import replay, together_of
from modelwatch.config import ModelMonitoringConfig
from modelwatch.drift.decision import check_budget, window_budget
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.records import CheckResult, FamilyResult
from modelwatch.store import check_result_from_json, check_result_to_json

Rows = dict[str, Any]


def riders(
    rng: np.random.Generator, n: int, *, shuffled: bool = False, longer: float = 1.0, noisy: bool = False
) -> Rows:
    """Taxi rides: price and minutes go with the distance, the hour with nothing."""
    km = rng.lognormal(1.5, 0.5, n)
    minutes = 3.0 * km * rng.lognormal(0.0, 0.3, n)
    price = 2.0 * km + 0.5 * minutes + rng.normal(0, 2, n)
    price = rng.permutation(price) if shuffled else price
    km = rng.lognormal(3.5, 0.5, n) if noisy else km
    return {"km": km * longer, "minutes": minutes, "price": price, "hour": rng.integers(0, 24, n).astype(float)}


@pytest.fixture(scope="module")
def rides() -> ReferenceProfile:
    rng = np.random.default_rng(1)
    return ReferenceProfile.build(riders(rng, 10_000), predictions=rng.beta(2, 5, 10_000))


class Taxis:
    """Drives, and checks every four seconds."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._rng = np.random.default_rng(2)

    def drive(self, checks_: int, rows: int = 300, **how: Any) -> list[FamilyResult]:
        found = []
        for _ in range(checks_):
            for _ in range(4):
                if rows:
                    self.stream.record(riders(self._rng, rows, **how), rows, self._rng.beta(2, 5, rows))
                self.stream.now += 1.0
            found.append(self.stream.check(self.stream.now).families["multivariate"])
        return found


@pytest.fixture
def make_taxis(rides: ReferenceProfile, make_stream: Callable[..., Any]) -> Callable[..., Taxis]:
    def make(profile: ReferenceProfile = rides, drift: dict[str, Any] | None = None, **config: Any) -> Taxis:
        stream = make_stream(
            {
                "model_id": "flights",
                "drift_detection_interval": "4s",
                "drift": {"windows": ["10s", "60s"], **(drift or {})},
            }
            | config
        )
        return Taxis(type(stream)(profile, stream.config))

    return make


@pytest.fixture
def taxis(make_taxis: Callable[..., Taxis]) -> Taxis:
    return make_taxis()


def severities(found: list[FamilyResult]) -> list[Severity]:
    return [family.severity for family in found]


def test_inputs_that_go_together_as_before_are_no_drift(taxis: Taxis) -> None:
    found = taxis.drive(20)
    assert found[0].state == "warming_up"
    assert found[0].reason.startswith("10s window: 4 s of 10 s so far")
    assert {(family.state, family.severity) for family in found[3:]} == {("ok", Severity.NONE)}
    assert [test.window for test in found[-1].tests] == ["10s", "60s"]
    assert found[-1].pairs == ()
    assert taxis.stream.results[-1].families["data"].severity == Severity.NONE


def test_an_input_that_goes_with_nothing_any_more_is_a_warning_that_names_its_pairs(taxis: Taxis) -> None:
    taxis.drive(4)
    worst = taxis.drive(4, shuffled=True)[-1]
    assert (worst.state, worst.severity) == ("drift", Severity.WARNING)
    assert [{pair.first, pair.second} for pair in worst.pairs[:2]] == [{"km", "price"}, {"minutes", "price"}]
    assert worst.pairs[0].before > 0.7
    assert abs(worst.pairs[0].now) < 0.1
    assert worst.pairs[0].share > 0.4
    result = taxis.stream.results[-1]
    assert result.families["data"].severity < Severity.WARNING
    assert check_result_from_json(json.loads(json.dumps(check_result_to_json(result)))).families == result.families


def test_it_ends_after_three_clean_checks_although_the_long_window_holds_bad_rows(taxis: Taxis) -> None:
    taxis.drive(16)
    assert taxis.drive(4, shuffled=True)[-1].severity == Severity.WARNING
    after = severities(taxis.drive(15))
    assert Severity.NONE in after[:6]
    assert set(after[after.index(Severity.NONE) :]) == {Severity.NONE}
    assert Severity.WARNING in severities(taxis.drive(4, shuffled=True))


def test_it_is_held_while_there_are_too_few_rows(taxis: Taxis) -> None:
    taxis.drive(4)
    taxis.drive(4, shuffled=True)
    held = taxis.drive(16, 1)[-1]
    assert (held.state, held.severity, held.pairs) == ("held", Severity.WARNING, ())
    assert held.reason == "needs 100 rows, has 60; last scored 8 s ago"


def test_an_input_that_drifts_by_itself_is_left_out(taxis: Taxis) -> None:
    taxis.drive(4)
    found = taxis.drive(6, longer=4.0)[-1]
    data = taxis.stream.results[-1].families["data"]
    assert data.feature_severity["km"] >= Severity.WARNING
    assert (found.state, found.severity) == ("ok", Severity.NONE)
    assert found.reason == "left out, as they drift by themselves: km"


def test_what_an_input_did_by_itself_is_not_told_again_once_it_is_over(taxis: Taxis) -> None:
    taxis.drive(16)
    assert taxis.drive(6, noisy=True)[-1].reason == "left out, as they drift by themselves: km"
    after = taxis.drive(20)
    assert set(severities(after)) == {Severity.NONE}
    assert "left out" not in after[-1].reason


@pytest.mark.parametrize(
    ("change", "drift", "config", "said"),
    [
        ({}, {}, {"log_predictions": False}, ("insufficient_data", "rows are not stored (log_predictions: false)")),
        ({"correlation": None}, {}, {}, ("no_reference", "does not know how its inputs go together")),
        ({}, {}, {"features": {"exclude": ["km", "minutes", "price"]}}, ("insufficient_data", "fewer than two inputs")),
    ],
    ids=["rows are not stored", "an older profile", "one input"],
)
def test_why_nothing_is_said(
    make_taxis: Callable[..., Taxis], rides: ReferenceProfile, change: Any, drift: Any, config: Any, said: Any
) -> None:
    found = make_taxis(replace(rides, **change), drift, **config).drive(4)[-1]
    assert found.state == said[0]
    assert said[1] in found.reason


def test_rows_that_nobody_stored_are_told_by_their_number(taxis: Taxis) -> None:
    taxis.drive(4)
    taxis.stream._rows.clear()
    found = taxis.stream.check(taxis.stream.now).families["multivariate"]
    assert (found.state, found.reason) == ("insufficient_data", "needs 100 stored rows, has 0")


def test_a_domain_classifier_compares_with_earlier_rows(make_taxis: Callable[..., Taxis]) -> None:
    taxis = make_taxis(drift={"multivariate": "domain_classifier", "windows": ["8s"]})
    first = taxis.drive(2)[-1]
    assert first.reason == "too few rows are stored from before the window, or fewer than two inputs, to compare"
    calm = taxis.drive(2)[-1]
    assert (calm.state, calm.severity, calm.tests[0].test) == ("ok", Severity.NONE, "domain")
    worst = taxis.drive(2, shuffled=True)[-1]
    assert (worst.state, worst.severity, worst.pairs) == ("drift", Severity.WARNING, ())


def test_without_scikit_learn_the_rest_of_the_check_goes_on(
    make_taxis: Callable[..., Taxis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    taxis = make_taxis(drift={"multivariate": "domain_classifier", "windows": ["8s"]})
    found = taxis.drive(4)[-1]
    assert (found.state, found.severity) == ("failed", Severity.NONE)
    assert found.reason.endswith("pip install scikit-learn")
    assert taxis.stream.results[-1].families["data"].state == "ok"


def test_switched_off_it_is_not_there(make_taxis: Callable[..., Taxis]) -> None:
    taxis = make_taxis(drift={"multivariate": "off"})
    with pytest.raises(KeyError):
        taxis.drive(1)
    assert set(taxis.stream.results[-1].families) == {"data", "prediction"}


def test_a_past_time_is_replayed_to_the_same(taxis: Taxis) -> None:
    for number, how in ((6, {}), (4, {"shuffled": True}), (14, {}), (4, {"noisy": True}), (20, {})):
        taxis.drive(number, **how)
    stream = taxis.stream
    lived = [result.families["multivariate"] for result in stream.results]
    assert {family.severity for family in lived} == {Severity.NONE, Severity.WARNING}
    starts = np.array([at for at, _ in stream._batches])
    times = {"first": stream.results[0].checked_at, "until": stream.now}
    rows = [(chunk.times, chunk.columns) for chunk in stream._rows]
    sums = together_of(stream.profile, stream.config, starts, rows, **times)
    batches = [batch for _, batch in stream._batches]
    counts = [batch.rows for batch in batches], [batch.cells for batch in batches]
    found = [
        step.multivariate for step in replay(stream.profile, stream.config, starts, *counts, together=sums, **times)
    ]
    assert len(found) == len(lived)
    for family, expected in zip(found, lived, strict=True):
        assert family is not None
        assert (family.state, family.severity, family.reason) == (expected.state, expected.severity, expected.reason)
        for test, other in zip(family.tests, expected.tests, strict=True):
            assert (test.window, test.n, test.severity) == (other.window, other.n, other.severity)
            assert test.score == pytest.approx(other.score, abs=1e-9)


def test_days_that_were_learnt_let_a_short_window_be_scored(
    make_taxis: Callable[..., Taxis], rides: ReferenceProfile
) -> None:
    assert rides.correlation is not None
    learnt = replace(rides.correlation, days=28, natural={"24h": (1e-3, 1.0)})
    taxis = make_taxis(replace(rides, correlation=learnt), {"windows": ["10s", "24h"]})
    found = taxis.drive(4)[-1]
    assert [test.window for test in found.tests] == ["10s", "24h"]
    assert found.tests[0].threshold == pytest.approx((16 * (1 + 10 / 28) ** 2 * 1e-3) ** 0.5)


def test_a_window_tolerates_what_is_natural_in_the_time_that_its_rows_come_from(
    make_taxis: Callable[..., Taxis], rides: ReferenceProfile
) -> None:
    """Else the first hours of a model, and those after an alarm, would be measured by what is natural in a week."""
    assert rides.correlation is not None
    learnt = replace(rides.correlation, days=28, natural={"1h": (4e-3, 1.0), "24h": (1e-3, 1.0), "168h": (1e-4, 1.0)})
    taxis = make_taxis(replace(rides, correlation=learnt), {"windows": ["10s", "24h", "168h"]})
    found = taxis.drive(4)[-1]
    assert [test.window for test in found.tests] == ["10s", "24h", "168h"]
    assert len({test.threshold for test in found.tests}) == 1
    assert found.tests[0].threshold == pytest.approx((16 * (1 + 10 / 28) ** 2 * 4e-3) ** 0.5)


@pytest.mark.parametrize(("strata", "by_hour"), [("auto", True), ("none", False)])
def test_where_the_reference_knows_its_hours_rows_are_compared_by_them(
    make_taxis: Callable[..., Taxis], strata: str, by_hour: bool
) -> None:
    rng = np.random.default_rng(6)
    times = 1_790_000_000.0 - np.sort(rng.uniform(0.0, 28 * 86400.0, 20_000))[::-1]
    rows = riders(rng, 20_000)
    rows["price"] += 3.0 * np.sin(2.0 * np.pi * times / 86400.0)
    profile = ReferenceProfile.build(rows, timestamps=times)
    whole, own = profile.correlation, profile.correlation_by_hour
    assert whole is not None
    assert own is not None
    taxis = make_taxis(profile, {"windows": ["10s", "24h"], "strata": strata})
    taxis.drive(3)
    found = taxis.drive(1, shuffled=True)[-1]
    before = {frozenset((pair.first, pair.second)): pair.before for pair in found.pairs}
    constants = own if by_hour else whole
    expected = dict(zip(combinations(constants.features, 2), constants.correlation.tolist(), strict=True))
    assert before
    assert before.items() <= {frozenset(pair): r for pair, r in expected.items()}.items()


# ── asked for ────────────────────────────────────────────────────────────────────────────────────────────────────────


def ask(rides: ReferenceProfile, rows: Rows | None, predictions: Any = None, **drift: Any) -> CheckResult:
    config = ModelMonitoringConfig.model_validate({"model_id": "m", "drift": drift})
    return checks.asked_check(config, rides, rows, predictions, 1.0)


def test_a_batch_is_told_in_words(rides: ReferenceProfile) -> None:
    report = checks.drift_report(ask(rides, riders(np.random.default_rng(3), 2000, shuffled=True)))
    assert report["drift_types"] == ["multivariate"]
    assert report["severity"] == "warning"
    assert report["summary"].startswith("inputs no longer go together as they did: km and price (correlation 0.93 → ")
    assert report["top_features"] == ["price", "km", "minutes"]
    details = report["details"]["multivariate"]
    assert (details["state"], details["test"], details["window"], details["n"]) == (
        "drift",
        "correlation",
        "batch",
        2000,
    )
    assert details["score"] > details["threshold"] == 0.05
    assert details["features"] == {}
    assert details["pairs"][0]["features"] == ["km", "price"]
    assert details["pairs"][0]["change"].startswith("correlation 0.93 → ")
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_batch_without_drift_says_nothing_of_it(rides: ReferenceProfile) -> None:
    report = checks.drift_report(ask(rides, riders(np.random.default_rng(4), 2000)))
    assert report["summary"] == "no drift: 4 inputs within tolerance (batch: 2000 rows)"
    assert (report["details"]["multivariate"]["state"], report["details"]["multivariate"]["pairs"]) == ("ok", [])


def test_of_a_batch_too_it_is_told_why_nothing_is_said(rides: ReferenceProfile) -> None:
    rng = np.random.default_rng(5)
    found = {
        "few rows": ask(rides, riders(rng, 99)),
        "no data": ask(rides, None, rng.beta(2, 5, 200)),
        "one column": ask(rides, {"km": riders(rng, 200)["km"]}),
        "another": ask(rides, riders(rng, 500, longer=9.0)),
    }
    told = {what: result.families["multivariate"] for what, result in found.items()}
    assert {what: (family.state, family.reason) for what, family in told.items()} == {
        "few rows": ("insufficient_data", "needs 100 rows, has 99"),
        "no data": ("insufficient_data", "no current_data was passed"),
        "one column": ("insufficient_data", "fewer than two inputs to compare"),
        "another": ("ok", "left out, as they drift by themselves: km"),
    }
    assert "multivariate" not in ask(rides, riders(rng, 200), multivariate="off").families
    assert "multivariate" in checks.asked_check(
        ModelMonitoringConfig(model_id="m"), None, riders(rng, 9), None, 1.0
    ).families  # fmt: skip


def test_all_versions_share_the_budget_and_each_is_told_once(make_taxis: Callable[..., Taxis]) -> None:
    rng = np.random.default_rng(11)
    taxis = make_taxis(drift={"windows": ["10s"]}, drift_detection_interval="10s")
    stream = taxis.stream
    for _ in range(12):
        ride = riders(rng, 60)
        ride["price"] = np.where(rng.random(60) < 0.055, rng.permutation(ride["price"]), ride["price"])
        stream.record(ride, 60, rng.beta(2, 5, 60))
        stream.now += 1.0

    def found(versions: tuple[str, ...], false_alarms: float) -> dict[str, FamilyResult]:
        drift = stream.config.drift.model_copy(update={"false_alarms_per_30d": false_alarms})
        config = stream.config.model_copy(update={"drift": drift})
        profiles = dict.fromkeys(versions, stream.profile)
        done = checks.scheduled_checks(stream, config, profiles, {}, stream.now, started_at=stream.now - 60.0)
        return {version: result.families["multivariate"] for version, (result, _) in done.items()}

    p = found(("1",), 1.0)["1"].tests[0].p_value
    enough = 1.5 * p / window_budget("multivariate", check_budget(10.0), 1)
    assert 0.01 < enough < 1000
    assert severities(list(found(("1",), enough).values())) == [Severity.WARNING]
    shared = found(("1", "2"), enough)
    assert list(shared) == ["1", "2"]
    assert max(severities(list(shared.values()))) < Severity.WARNING
    assert set(severities(list(found(("1", "2"), 2.0 * enough).values()))) == {Severity.WARNING}


def test_parts_of_a_version_are_not_looked_at_for_it(make_taxis: Callable[..., Taxis]) -> None:
    taxis = make_taxis(drift={"windows": ["10s"], "compare": {"baseline_version": "0"}})
    taxis.drive(4)
    result = taxis.stream.results[-1]
    assert set(result.families) == {"data", "prediction", "multivariate"}
    assert {kind for families in result.segments.values() for kind in families} == {"data", "prediction"}
