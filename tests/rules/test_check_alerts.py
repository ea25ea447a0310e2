"""Alerts on checks that do not happen, recordings counted twice, performance, and the one that always fires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelwatch import conventions as c
from modelwatch.service import jobs
from modelwatch_rules import alerting

if TYPE_CHECKING:
    from .conftest import Scenario

MODEL = {"model_id": "ad_score", "model_version": "7"}
MINUTE = 60.0
STALE = {"model_id": "ad_score", "severity": "warning"}


def checks(scenario: Scenario, successes: int, *, failures: object = 0, gone_at: float | None = None) -> None:
    """A check every 10 minutes, of which the first so many succeed."""
    end = scenario.length if gone_at is None else gone_at
    scenario.step = 30
    interval, steps = 600, round(end / scenario.step)
    last = [min(int(i * scenario.step // interval), successes) * interval for i in range(steps)]
    scenario.give(c.DRIFT_LAST_SUCCESS, " ".join(map(str, last)), **MODEL)
    scenario.give(c.DRIFT_CHECK_INTERVAL, f"{interval}+0x{steps - 1}", **MODEL)
    scenario.give(c.DRIFT_CHECK_FAILURES, failures, model_id="ad_score")


def test_checks_that_succeed_are_silent(scenario: Scenario) -> None:
    checks(scenario, 100, failures=7)
    for minute in (5, 35, 65, 115):
        scenario.silent(minute * MINUTE)
    scenario.check()


def test_checks_that_stopped_are_stale_after_three_intervals(scenario: Scenario) -> None:
    checks(scenario, 3)
    scenario.silent(59 * MINUTE)
    scenario.fires(66 * MINUTE, c.ALERT_CHECK_STALE, STALE)
    scenario.silent(66 * MINUTE, c.ALERT_CHECK_FAILING)
    description = """\
Last success: 1970-01-01 00:30 UTC
Effect: drift is not being watched; the last known results stand
Look first: whether the sidecar, or the application that runs the checks, is up and scraped, and works on the \
storage that the model is recorded to"""
    summary = "No drift check has succeeded for 36m 0s (due every 10m 0s)."
    scenario.says(66 * MINUTE, c.ALERT_CHECK_STALE, summary, description, STALE)
    scenario.check()


def test_a_sidecar_that_vanished_leaves_stale_checks(scenario: Scenario) -> None:
    checks(scenario, 100, gone_at=35 * MINUTE)
    scenario.silent(59 * MINUTE)
    scenario.fires(70 * MINUTE, c.ALERT_CHECK_STALE, STALE)
    scenario.fires(115 * MINUTE, c.ALERT_CHECK_STALE, STALE)
    scenario.check()


def test_checks_that_are_stale_as_the_sidecar_was_down_are_over_before_the_alert_that_mutes_them(
    scenario: Scenario,
) -> None:
    # It is back after 80 minutes, and makes up for its check a minute later.
    last = [(35 * MINUTE, 1800), (45 * MINUTE, None), (MINUTE, 1800), (39 * MINUTE, 81 * MINUTE)]
    scenario.give(c.DRIFT_LAST_SUCCESS, last, **MODEL)
    scenario.give(c.DRIFT_CHECK_INTERVAL, 600, **MODEL)
    up = [(35 * MINUTE, 1), (45 * MINUTE, 0), (40 * MINUTE, 1)]
    where = {"job": "modelwatch-sidecar", "instance": "sidecar:9877"}
    scenario.give("up", up, **where)
    down = {**where, "severity": "error", "component": "checks"}
    scenario.fires(75 * MINUTE, c.ALERT_CHECK_STALE, STALE)
    for minute in (75, 81, 82, 89):
        scenario.fires(minute * MINUTE, c.ALERT_DOWN, down)
    for minute in (82, 100):
        scenario.silent(minute * MINUTE, c.ALERT_CHECK_STALE)
    scenario.silent(95 * MINUTE, c.ALERT_DOWN)
    scenario.check()


def test_three_failures_in_a_row_are_an_alert_as_for_direct_alerts(scenario: Scenario) -> None:
    assert alerting.FAILURES_IN_A_ROW == jobs.FAILURES_BEFORE_ALERT
    # Four failures of old, then after 30 minutes no check succeeds any more.
    checks(scenario, 3, failures=[(40 * MINUTE, 4), (10 * MINUTE, 5), (10 * MINUTE, 6), (60 * MINUTE, 7)])
    scenario.silent(58 * MINUTE)
    scenario.fires(68 * MINUTE, c.ALERT_CHECK_FAILING, STALE)
    scenario.silent(68 * MINUTE, c.ALERT_CHECK_STALE)
    description = """\
Last success: 1970-01-01 00:30 UTC
Effect: drift is not being watched; predictions go on and are recorded
Look first: the log of the process that runs the checks"""
    summary = "The drift check failed 3 times in a row."
    scenario.says(68 * MINUTE, c.ALERT_CHECK_FAILING, summary, description, STALE)
    scenario.check()


def test_checks_that_never_succeeded_fail(scenario: Scenario) -> None:
    scenario.give(c.DRIFT_CHECK_INTERVAL, 600, model_id="ad_score")
    failures = [(10 * MINUTE, 0), (10 * MINUTE, 1), (10 * MINUTE, 2), (90 * MINUTE, 3)]
    scenario.give(c.DRIFT_CHECK_FAILURES, failures, model_id="ad_score")
    scenario.silent(29 * MINUTE)
    scenario.fires(35 * MINUTE, c.ALERT_CHECK_FAILING, STALE)
    scenario.check()


def targets(scenario: Scenario, *exposing: str) -> None:
    for instance in ("app:9100", "app:9101", "sidecar:9877"):
        scenario.give(c.STORAGE_INFO, 1, storage="5f0c", job="modelwatch-app", instance=instance)
        if instance in exposing:
            scenario.give(c.PREDICTIONS, "0+5x480", job="modelwatch-app", instance=instance, **MODEL)


def test_recordings_of_one_storage_from_two_targets_are_counted_twice(scenario: Scenario) -> None:
    targets(scenario, "app:9100", "sidecar:9877")
    scenario.fires(10 * MINUTE, c.ALERT_EXPOSED_TWICE, {"storage": "5f0c", "severity": "warning"})
    scenario.check()


def test_a_doubled_exposition_names_its_targets(scenario: Scenario) -> None:
    targets(scenario, "app:9100", "sidecar:9877")
    description = """\
Targets: app:9100 (job modelwatch-app), sidecar:9877 (job modelwatch-app)
Effect: predictions, errors and latencies are counted more than once
Look first: a sidecar with --expose-recordings beside an application that exposes them too, or one target in two \
scrape jobs"""
    summary = "2 targets expose the recordings of one storage."
    expected = {"storage": "5f0c", "severity": "warning"}
    scenario.says(10 * MINUTE, c.ALERT_EXPOSED_TWICE, summary, description, expected)
    scenario.check()


def test_one_target_that_exposes_and_others_that_only_know_the_storage_are_silent(scenario: Scenario) -> None:
    targets(scenario, "app:9100")
    scenario.give(c.STORAGE_INFO, 1, storage="77aa", job="modelwatch-app", instance="other:9100")
    scenario.give(c.PREDICTIONS, "0+5x480", job="modelwatch-app", instance="other:9100", **MODEL)
    scenario.silent(30 * MINUTE)
    scenario.check()


def performance(scenario: Scenario, metric: str, value: float, severity: int, **bounds: float) -> None:
    scenario.give(c.PERFORMANCE_SEVERITY, severity, metric=metric, **MODEL)
    scenario.give(c.METRIC_VALUE, value, metric=metric, instance="app:9100", **MODEL)
    for bound, limit in bounds.items():
        scenario.give(c.PERFORMANCE_THRESHOLD, limit, metric=metric, bound=bound, model_id="ad_score")


@pytest.mark.parametrize(
    ("metric", "value", "bounds", "alert"),
    [
        ("auc", 0.75, {"min": 0.875}, c.ALERT_BELOW_FLOOR),
        ("rmse", 0.75, {"max": 0.5}, c.ALERT_ABOVE_CEILING),
        ("bias", 0.75, {"min": 0.875, "max": 1.0}, c.ALERT_BELOW_FLOOR),
        ("bias", 0.75, {"min": 0.25, "max": 0.5}, c.ALERT_ABOVE_CEILING),
    ],
)
def test_a_metric_beyond_its_threshold_fires_the_alert_of_that_side(
    scenario: Scenario, metric: str, value: float, bounds: dict[str, float], alert: str
) -> None:
    performance(scenario, metric, value, 2, **bounds)
    expected = ({**MODEL, "metric": metric, "severity": severity} for severity in ("info", "warning"))
    scenario.fires(10 * MINUTE, alert, *expected)
    scenario.silent(10 * MINUTE, *({c.ALERT_BELOW_FLOOR, c.ALERT_ABOVE_CEILING} - {alert}))
    scenario.check()


def test_a_performance_alert_says_by_how_much(scenario: Scenario) -> None:
    performance(scenario, "auc", 0.75, 1, min=0.875)
    description = """\
How bad: below its floor by 0.125
How sure: the value is the last one that was reported, on however many labels that was
Inputs: drift not measured; auc 0.75 (floor 0.875)
Look first: the labels it was measured on, then drift of inputs and predictions"""
    expected = {**MODEL, "metric": "auc", "severity": "info"}
    summary = "Metric auc is 0.75, below its floor of 0.875."
    scenario.says(10 * MINUTE, c.ALERT_BELOW_FLOOR, summary, description, expected)
    scenario.check()


def test_a_metric_within_its_threshold_is_silent(scenario: Scenario) -> None:
    performance(scenario, "auc", 0.9, 0, min=0.875)
    scenario.silent(30 * MINUTE)
    scenario.check()


def test_the_watchdog_always_fires(scenario: Scenario) -> None:
    for minute in (0, 1, 60):
        scenario.fires(minute * MINUTE, c.ALERT_WATCHDOG, {"severity": "none"})
    scenario.check()
