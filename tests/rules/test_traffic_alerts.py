"""Alerts on latency, errors and silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from modelwatch import conventions as c
from modelwatch.service import operational
from modelwatch_rules import limits

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig

    from .conftest import Scenario

MODEL = {"model_id": "ad_score", "model_version": "7"}
MINUTE, HOUR = 60.0, 3600.0
BOUNDS = ("0.1", "0.2", "0.4", "+Inf")


def a_threshold(scenario: Scenario, metric: str, value: float, severity: int) -> None:
    # The sidecar knows the version that is configured, which need not be the one that serves.
    where = {"model_id": "ad_score", "metric": metric, "bound": "max", "instance": "sidecar:9877"}
    scenario.give(c.PERFORMANCE_THRESHOLD, value, **where)
    scenario.give(c.THRESHOLD_SEVERITY, severity, **where)


def latencies(scenario: Scenario, per_step: tuple[float, float, float, float], **labels: str) -> None:
    """Requests per 15 s up to each bound, cumulative, of two workers' targets."""
    where = {**MODEL, **labels}
    for bound, rise in zip(BOUNDS, per_step, strict=True):
        for instance in ("a:1", "b:1"):
            values = f"0+{rise / 2}x480"
            scenario.give(c.PREDICTION_LATENCY, values, "_bucket", le=bound, instance=instance, **where)


def slow(scenario: Scenario, severity: int = 3, limit: float = 200, quantile: float = 0.95) -> None:
    """Half of 20 requests every 15 s take 0.2 to 0.4 s: p95 is 380 ms."""
    latencies(scenario, (0, 10, 20, 20))
    a_threshold(scenario, "latency_ms", limit, severity)
    scenario.give(c.LATENCY_QUANTILE, quantile, model_id="ad_score")


def test_guards_are_those_of_direct_alerts() -> None:
    assert (limits.MIN_REQUESTS, limits.MIN_ERRORS) == (operational.MIN_REQUESTS, operational.MIN_ERRORS)


@pytest.mark.parametrize("severity", [1, 2, 3, 4])
def test_latency_above_its_limit_fires_up_to_what_the_threshold_is_worth(scenario: Scenario, severity: int) -> None:
    slow(scenario, severity)
    names = ("info", "warning", "error", "critical")[:severity]
    scenario.silent(5 * MINUTE)
    scenario.fires(20 * MINUTE, c.ALERT_LATENCY_HIGH, *({**MODEL, "severity": name} for name in names))
    scenario.check()


def test_a_latency_alert_says_how_slow_against_which_limit_of_how_many(scenario: Scenario) -> None:
    slow(scenario, 1)
    description = """\
How bad: p95 is 380ms against a limit of 200ms; one request in 20 is slower than that
Measured over: 400 requests in the last 5m
Look first: load and saturation of the serving process, then slow inputs or a slow feature source"""
    expected = {**MODEL, "severity": "info"}
    scenario.says(20 * MINUTE, c.ALERT_LATENCY_HIGH, "Latency p95 is 380ms (limit 200ms).", description, expected)
    scenario.check()


def test_latency_within_its_limit_or_for_another_quantile_is_silent(scenario: Scenario) -> None:
    slow(scenario, 4, limit=400)
    scenario.silent(20 * MINUTE)
    scenario.check()


def test_a_quantile_that_a_model_of_the_configuration_uses_has_rules_of_its_own(
    scenario: Scenario, make_config: Callable[..., MonitoringConfig]
) -> None:
    scenario.config = make_config({"model_id": "ad_score", "latency_quantile": 0.5})
    slow(scenario, 2, limit=150, quantile=0.5)
    scenario.fires(14 * MINUTE, c.ALERT_LATENCY_HIGH, *({**MODEL, "severity": s} for s in ("info", "warning")))
    scenario.check()


def test_a_quantile_beyond_the_last_bound_is_above_a_limit_that_is_the_last_bound(scenario: Scenario) -> None:
    latencies(scenario, (10, 10, 10, 20))
    a_threshold(scenario, "latency_ms", 400, 1)
    scenario.give(c.LATENCY_QUANTILE, 0.95, model_id="ad_score")
    scenario.fires(20 * MINUTE, c.ALERT_LATENCY_HIGH, {**MODEL, "severity": "info"})
    scenario.check()


def test_few_slow_requests_are_looked_at_over_an_hour(scenario: Scenario) -> None:
    latencies(scenario, (0, 0.5, 1, 1))  # 20 in 5 minutes, 240 in an hour
    a_threshold(scenario, "latency_ms", 200, 1)
    scenario.give(c.LATENCY_QUANTILE, 0.95, model_id="ad_score")
    scenario.silent(15 * MINUTE)
    scenario.fires(80 * MINUTE, c.ALERT_LATENCY_HIGH, {**MODEL, "severity": "info"})
    scenario.check()


def errors(scenario: Scenario, attempts: object, failed: object, severity: int = 1) -> None:
    scenario.give(c.PREDICTIONS, attempts, **MODEL)
    scenario.give(c.PREDICTION_ERRORS, failed, **MODEL)
    a_threshold(scenario, "error_rate", 0.02, severity)


@pytest.mark.parametrize("severity", [2, 4])
def test_errors_above_their_limit_fire_up_to_what_the_threshold_is_worth(scenario: Scenario, severity: int) -> None:
    errors(scenario, "0+20x480", "0+1x480", severity)
    names = ("info", "warning", "error", "critical")[:severity]
    scenario.fires(20 * MINUTE, c.ALERT_ERROR_RATE_HIGH, *({**MODEL, "severity": name} for name in names))
    scenario.check()


def test_an_error_alert_says_how_many_of_how_many_failed(scenario: Scenario) -> None:
    errors(scenario, "0+20x480", "0+1x480")
    description = """\
Measured over: 20 of 400 requests in the last 5m
Effect: callers get errors instead of predictions
Look first: the exceptions in the log of the serving process, then what changed last, model or input"""
    expected = {**MODEL, "severity": "info"}
    scenario.says(20 * MINUTE, c.ALERT_ERROR_RATE_HIGH, "5% of predictions fail (limit 2%).", description, expected)
    scenario.check()


def test_few_requests_alarm_once_five_of_them_failed_within_an_hour(scenario: Scenario) -> None:
    # One request every 5 minutes, of which every other one fails; the fifth failure comes after 50 minutes.
    errors(scenario, " ".join(str(i // 20) for i in range(480)), " ".join(str(i // 40) for i in range(480)))
    scenario.silent(45 * MINUTE)
    scenario.fires(62 * MINUTE, c.ALERT_ERROR_RATE_HIGH, {**MODEL, "severity": "info"})
    scenario.check()


def test_one_failure_of_few_requests_is_silent(scenario: Scenario) -> None:
    errors(scenario, " ".join(str(i // 40) for i in range(480)), "0x20 1x459")
    for minute in (10, 30, 65):
        scenario.silent(minute * MINUTE)
    scenario.check()


def test_errors_within_their_limit_and_no_traffic_at_all_are_silent(scenario: Scenario) -> None:
    errors(scenario, "0+100x240 24000x240", "0+1x240 240x240", 4)
    for minute in (20, 59, 75, 100):
        scenario.silent(minute * MINUTE)
    scenario.check()


def seen(scenario: Scenario, until: float, *, limit: float | None, then: float | None = None) -> None:
    """A model with traffic until a time; `then` is when its process went away too."""
    scenario.step = 30
    steps = round(until / scenario.step)
    rest = round(((then or scenario.length) - until) / scenario.step)
    where = {**MODEL, "instance": "app:9100"}
    step = scenario.step
    scenario.give(c.LAST_PREDICTION, f"0+{step}x{steps} {steps * step}+0x{rest - 1}", **where)
    scenario.give(c.PREDICTIONS, f"0+20x{steps} {steps * 20}+0x{rest - 1}", **where)
    if limit is not None:
        scenario.give(c.SILENCE_LIMIT, limit, model_id="ad_score")


def test_silence_beyond_what_is_usual_is_critical(scenario: Scenario) -> None:
    seen(scenario, HOUR, limit=900)
    scenario.silent(74 * MINUTE)
    scenario.fires(80 * MINUTE, c.ALERT_NO_PREDICTIONS, {"model_id": "ad_score", "severity": "critical"})
    scenario.check()


def test_a_silence_alert_says_since_when_and_what_is_usual(scenario: Scenario) -> None:
    seen(scenario, HOUR, limit=900)
    description = """\
Last prediction: 1970-01-01 01:00 UTC
Limit: 15m 0s of silence, three times the longest gap of the last 7 days or 15m
Effect: no predictions are served, or nobody can see them; nothing else can be watched meanwhile
Look first: whether the serving process runs and is called, then whether Prometheus can scrape it"""
    expected = {"model_id": "ad_score", "severity": "critical"}
    scenario.says(80 * MINUTE, c.ALERT_NO_PREDICTIONS, "No predictions for 20m 0s.", description, expected)
    scenario.check()


def test_silence_is_told_once_when_the_process_is_gone_and_the_sidecar_too(
    scenario: Scenario, make_config: Callable[..., MonitoringConfig]
) -> None:
    scenario.config = make_config("ad_score")
    seen(scenario, 30 * MINUTE, limit=None, then=31 * MINUTE)
    scenario.give(c.SILENCE_LIMIT, [(40 * MINUTE, 900), (HOUR, None)], model_id="ad_score")
    scenario.silent(45 * MINUTE)
    for minute in (50, 80, 115):
        scenario.fires(minute * MINUTE, c.ALERT_NO_PREDICTIONS, {"model_id": "ad_score", "severity": "critical"})
    scenario.check()


def test_a_batch_model_may_be_gone_between_its_runs(
    scenario: Scenario, make_config: Callable[..., MonitoringConfig]
) -> None:
    scenario.config = make_config("ad_score")
    seen(scenario, 10 * MINUTE, limit=3 * 86400, then=11 * MINUTE)
    for minute in (30, 60, 115):
        scenario.silent(minute * MINUTE)
    scenario.check()


def test_a_configured_model_that_nobody_exposes_is_critical_after_a_while(
    scenario: Scenario, make_config: Callable[..., MonitoringConfig]
) -> None:
    hostile = 'say "hi" \\ {{ $value }}{{ end }} `}` {x=~".+"} #: 😀'
    scenario.config = make_config("here", hostile, "there")
    for model_id in ("here", "there"):
        scenario.give(c.PREDICTIONS, 5, model_id=model_id, model_version="7")
    scenario.silent(14 * MINUTE)
    scenario.fires(16 * MINUTE, c.ALERT_NO_PREDICTIONS, {"model_id": hostile, "severity": "critical"})
    description = """\
How bad: the model is in the configuration, and nothing of it can be watched
Effect: no predictions are served, or nobody can see them; nothing else can be watched meanwhile
Look first: whether the serving process runs and is called, then whether Prometheus can scrape it"""
    summary = "No predictions are seen: nothing that Prometheus scrapes exposes this model."
    expected = {"model_id": hostile, "severity": "critical"}
    scenario.says(16 * MINUTE, c.ALERT_NO_PREDICTIONS, summary, description, expected)
    scenario.check()
