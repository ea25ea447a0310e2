"""Alerts on drift, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_rules.alerting import TIERS_OF_DRIFT
from modelwatch_rules.promql import quote

if TYPE_CHECKING:
    from .conftest import Scenario

HOSTILE = 'say "hi" \\ {{ $value }}{{ end }} `}` {model_id=~".+"} #: & <b> 😀'

MODEL = {"model_id": "ad_score", "model_version": "7"}
MINUTE = 60.0


def drift(scenario: Scenario, severity: object, drift_type: str = "data", **labels: str) -> None:
    where = {**MODEL, **labels}
    scenario.give(c.DRIFT_SEVERITY, severity, drift_type=drift_type, feature="", instance="sidecar:9877", **where)


@pytest.mark.parametrize(("drift_type", "alert"), c.DRIFT_ALERTS.items())
def test_a_severity_fires_its_own_tier_and_all_below(scenario: Scenario, drift_type: str, alert: str) -> None:
    drift(scenario, [(10 * MINUTE, 1), (50 * MINUTE, 3)], drift_type)
    tiers = [tier.label for tier in TIERS_OF_DRIFT.get(alert, (Severity.WARNING, Severity.ERROR))]
    scenario.silent(9 * MINUTE)
    scenario.fires(30 * MINUTE, alert, *({**MODEL, "severity": tier} for tier in tiers))
    scenario.silent(30 * MINUTE, *(set(c.DRIFT_ALERTS.values()) - {alert}))
    scenario.check()


def test_drift_of_one_feature_alone_is_no_alert(scenario: Scenario) -> None:
    scenario.give(c.DRIFT_SEVERITY, 4, drift_type="data", feature="age", **MODEL)
    scenario.silent(30 * MINUTE)
    scenario.check()


def test_a_restart_of_the_sidecar_resolves_nothing_and_begins_nothing(scenario: Scenario) -> None:
    drift(scenario, [(10 * MINUTE, 2), (4 * MINUTE, None), (30 * MINUTE, 2)])
    for minute in (9, 12, 13.5, 15, 20):
        scenario.fires(minute * MINUTE, c.ALERT_DATA_DRIFT, {**MODEL, "severity": "warning"})
    scenario.check()


def test_a_dead_sidecar_resolves_nothing_until_the_overdue_check_is_an_alert_of_its_own(scenario: Scenario) -> None:
    """A sidecar that is gone has not found that the drift is over; between the two alerts there is no silence."""
    alive = [(30 * MINUTE, 2), (330 * MINUTE, None)]
    scenario.length = 360 * MINUTE
    drift(scenario, alive)
    scenario.give(c.DRIFT_CHECK_INTERVAL, [(30 * MINUTE, 3600), (330 * MINUTE, None)], **MODEL)
    scenario.give(c.DRIFT_LAST_SUCCESS, [(30 * MINUTE, 20 * MINUTE), (330 * MINUTE, None)], **MODEL)
    for minute in (29, 40, 60, 120, 180, 199):
        scenario.fires(minute * MINUTE, c.ALERT_DATA_DRIFT, {**MODEL, "severity": "warning"})
    scenario.fires(206 * MINUTE, c.ALERT_CHECK_STALE, {"model_id": "ad_score", "severity": "warning"})
    scenario.silent(240 * MINUTE, c.ALERT_DATA_DRIFT)
    scenario.fires(300 * MINUTE, c.ALERT_CHECK_STALE, {"model_id": "ad_score", "severity": "warning"})
    scenario.check()


def test_an_end_of_drift_resolves_after_it_has_lasted_a_while(scenario: Scenario) -> None:
    drift(scenario, [(10 * MINUTE, 2), (60 * MINUTE, 0)])
    scenario.fires(15 * MINUTE, c.ALERT_DATA_DRIFT, {**MODEL, "severity": "warning"})
    scenario.silent(25 * MINUTE)
    scenario.check()


def test_several_targets_with_the_same_result_are_one_alert(scenario: Scenario) -> None:
    for instance in ("a:1", "b:1"):
        scenario.give(c.DRIFT_SEVERITY, 2, drift_type="data", feature="", instance=instance, **MODEL)
    scenario.fires(30 * MINUTE, c.ALERT_DATA_DRIFT, {**MODEL, "severity": "warning"})
    scenario.check()


def test_the_last_result_of_a_version_that_nobody_serves_any_more_is_no_alert(scenario: Scenario) -> None:
    scenario.give(c.DRIFT_CHECK_INTERVAL, 300, **MODEL)
    scenario.give(c.DRIFT_CHECK_INTERVAL, 300, model_id="ad_score", model_version="8")
    scenario.give(c.DRIFT_LAST_SUCCESS, 60, **MODEL)
    scenario.give(c.DRIFT_LAST_SUCCESS, "0+15x480", model_id="ad_score", model_version="8")
    drift(scenario, 3)
    drift(scenario, 2, model_version="8")
    both = ({**MODEL, "severity": s} for s in ("warning", "error"))
    newer = {"model_id": "ad_score", "model_version": "8", "severity": "warning"}
    scenario.fires(5 * MINUTE, c.ALERT_DATA_DRIFT, *both, newer)
    scenario.fires(60 * MINUTE, c.ALERT_DATA_DRIFT, newer)
    scenario.check()


def give_numbers(scenario: Scenario, model: dict[str, str]) -> None:
    """An upstream fault in two of 25 inputs, as a check would report it."""

    def results(metric: c.Metric, value: float, /, **labels: str) -> None:
        scenario.give(metric, value, instance="sidecar:9877", **model, **labels)

    results(c.DRIFT_SEVERITY, 3, drift_type="data", feature="")
    results(c.DRIFT_SEVERITY, 0, drift_type="prediction", feature="")
    results(c.DRIFT_STATE, 1, drift_type="prediction", state="ok")
    results(c.DRIFT_STATE, 0, drift_type="data", state="held")
    results(c.DRIFTED_FEATURES, 2)
    results(c.SCORED_FEATURES, 25)
    results(c.DRIFT_CALIBRATED, 1)
    results(c.WINDOW_ROWS, 41183, window="1h", sample="current")
    results(c.WINDOW_ROWS, 327346, window="1h", sample="reference")
    for feature, severity, share, score, missing, novel in (
        ("bid_floor", 3, 0.75, 0.64, 0.0, 0.61),
        ("placement", 2, 0.25, 0.25, 0.02, 0.12),
        ("hour", 0, None, 0.01, None, None),
    ):
        results(c.DRIFT_SEVERITY, severity, drift_type="data", feature=feature)
        results(c.DRIFT_SCORE, score, drift_type="data", feature=feature, window="1h")
        results(c.DRIFT_THRESHOLD, 0.1, drift_type="data", feature=feature, window="1h")
        if share is not None:
            results(c.DRIFT_ATTRIBUTION, share, feature=feature, window="1h")
        if missing is not None:
            results(c.FEATURE_MISSING_RATIO, missing, feature=feature, window="1h")
        if novel is not None:
            results(c.FEATURE_NOVEL_RATIO, novel, feature=feature, window="1h")
    results(c.FEATURE_SHIFT_SD, 3.14, feature="bid_floor", window="1h")
    scenario.give(c.METRIC_VALUE, 0.875, metric="auc", instance="app:9100", **model)
    results(c.PERFORMANCE_THRESHOLD, 0.85, metric="auc", bound="min")
    scenario.give(c.PREDICTIONS, "0+150x480", instance="app:9100", **model)
    scenario.give(c.PREDICTION_ERRORS, "0+3x480", instance="app:9100", **model)


DESCRIPTION = """\
bid_floor: JS 0.64, tolerance 0.10 in the 1h window, mean +3.1 sd, 61% unseen or outside the reference range
placement: JS 0.25, tolerance 0.10 in the 1h window, 12% unseen or outside the reference range, 2% missing
How sure: 41183 rows in the last 1h against 327346 in the reference; not chance, the tests keep the model's budget of \
false alarms
Effect: predictions within tolerance; auc 0.875 (floor 0.85)
Traffic: 3000 predictions in the last 5m, 2% failed
Look first: what feeds bid_floor, placement"""


def test_a_drift_alert_says_what_how_bad_how_sure_and_where_to_look(scenario: Scenario) -> None:
    give_numbers(scenario, MODEL)
    both = ({**MODEL, "severity": severity} for severity in ("warning", "error"))
    summary = "2 of 25 inputs drifted (bid_floor, placement)."
    scenario.says(10 * MINUTE, c.ALERT_DATA_DRIFT, summary, DESCRIPTION, *both)
    scenario.check()


def test_names_full_of_syntax_break_nothing_and_are_told_as_they_are(scenario: Scenario) -> None:
    hostile = {"model_id": HOSTILE, "model_version": HOSTILE}
    give_numbers(scenario, hostile)
    scenario.series = {
        name.replace('"bid_floor"', quote(HOSTILE)).replace('"auc"', quote(HOSTILE)): values
        for name, values in scenario.series.items()
    }
    both = ({**hostile, "severity": severity} for severity in ("warning", "error"))
    summary = f"2 of 25 inputs drifted ({HOSTILE}, placement)."
    description = DESCRIPTION.replace("bid_floor", HOSTILE).replace("auc", HOSTILE)
    scenario.says(10 * MINUTE, c.ALERT_DATA_DRIFT, summary, description, *both)
    scenario.check()


def test_what_is_not_known_leaves_no_empty_words(scenario: Scenario) -> None:
    drift(scenario, 2)
    description = """\
Inputs: which ones is not known at the moment
How sure: not chance, the tests keep the model's budget of false alarms
Effect: predictions not scored; quality on real labels not measured
Look first: what feeds the inputs"""
    expected = {**MODEL, "severity": "warning"}
    scenario.says(10 * MINUTE, c.ALERT_DATA_DRIFT, "Inputs drifted.", description, expected)
    scenario.check()


def test_what_is_held_is_not_told_to_be_two_of_no_inputs(scenario: Scenario) -> None:
    drift(scenario, 2)
    for feature in ("bid_floor", "placement"):
        scenario.give(c.DRIFT_SEVERITY, 2, drift_type="data", feature=feature, **MODEL)
    scenario.give(c.DRIFT_STATE, 1, drift_type="data", state="held", **MODEL)
    scenario.give(c.DRIFTED_FEATURES, 2, **MODEL)
    scenario.give(c.SCORED_FEATURES, 0, **MODEL)
    description = """\
bid_floor: drifted
placement: drifted
How sure: not chance, the tests keep the model's budget of false alarms
Held: too few rows now to say it is over; at most 24 h
Effect: predictions not scored; quality on real labels not measured
Look first: what feeds bid_floor, placement"""
    expected = {**MODEL, "severity": "warning"}
    summary = "Inputs drifted (bid_floor, placement)."
    scenario.says(10 * MINUTE, c.ALERT_DATA_DRIFT, summary, description, expected)
    scenario.check()


def test_of_many_features_the_five_worst_are_told(scenario: Scenario) -> None:
    drift(scenario, 2)
    for number in range(8):
        feature = {**MODEL, "feature": f"f{number}"}
        scenario.give(c.DRIFT_SEVERITY, 2, drift_type="data", **feature)
        scenario.give(c.DRIFT_ATTRIBUTION, (number + 1) / 64, window="24h", **feature)
        scenario.give(c.FEATURE_MISSING_RATIO, 0.001, window="24h", **feature)
    scenario.give(c.DRIFTED_FEATURES, 8, **MODEL)
    scenario.give(c.SCORED_FEATURES, 9, **MODEL)
    lines = [f"f{number}: JS not measured now in the 24h window" for number in (7, 6, 5, 4, 3)]
    description = "\n".join(
        [
            *lines,
            "And: +3 more inputs",
            "How sure: not chance, the tests keep the model's budget of false alarms",
            "Effect: predictions not scored; quality on real labels not measured",
            "Look first: what feeds f7, f6",
        ]
    )
    expected = {**MODEL, "severity": "warning"}
    summary = "8 of 9 inputs drifted (f7, f6, f5, f4, f3, +3 more)."
    scenario.says(10 * MINUTE, c.ALERT_DATA_DRIFT, summary, description, expected)
    scenario.check()


def test_drift_of_predictions_says_how_far_and_whether_inputs_explain_it(scenario: Scenario) -> None:
    drift(scenario, 2, "prediction")
    for metric, value in ((c.DRIFT_SCORE, 0.31), (c.DRIFT_THRESHOLD, 0.05)):
        scenario.give(metric, value, drift_type="prediction", feature="", window="24h", **MODEL)
    scenario.give(c.FEATURE_MISSING_RATIO, 0, feature="", window="24h", **MODEL)
    scenario.give(c.FEATURE_SHIFT_SD, -0.62, feature="", window="24h", **MODEL)
    scenario.give(c.DRIFT_STATE, 1, drift_type="prediction", state="held", **MODEL)
    scenario.give(c.DRIFT_CALIBRATED, 0, **MODEL)
    scenario.give(c.DRIFTED_FEATURES, 0, **MODEL)
    scenario.give(c.MODEL_INFO, 1, task="binary", profile="0123abcd", **MODEL)
    description = """\
Predictions: JS 0.31, tolerance 0.05 in the 24h window, mean -0.62 sd
How sure: not chance, the tests keep the model's budget of false alarms
Held: too few rows now to say it is over; at most 24 h
Effect: no input drifted by itself; quality on real labels not measured
Severity: warning, unless the change is gross: the reference has no timestamps to learn normal variation from
Look first: the inputs, then the model"""
    summary = "Predictions drifted (JS 0.31, tolerance 0.05)."
    expected = {**MODEL, "severity": "warning"}
    scenario.says(10 * MINUTE, c.ALERT_PREDICTION_DRIFT, summary, description, expected)
    scenario.check()


def test_inputs_that_no_longer_go_together_are_told_with_their_correlations(scenario: Scenario) -> None:
    drift(scenario, 2, "multivariate")
    names = ("bid", HOSTILE)
    for metric, value in ((c.DRIFT_SCORE, 0.13), (c.DRIFT_THRESHOLD, 0.05)):
        scenario.give(metric, value, drift_type="multivariate", feature="", window="24h", **MODEL)
    for sample, rows, first, second in (("current", 4000, 0.05, -0.12), ("reference", 20000, 0.61, 0.2)):
        scenario.give(c.WINDOW_ROWS, rows, window="24h", sample=sample, **MODEL)
        where = {"feature": "bid", "window": "24h", "sample": sample, **MODEL}
        scenario.give(c.FEATURE_CORRELATION, first, other=HOSTILE, **where)
        scenario.give(c.FEATURE_CORRELATION, second, other="hour", **where)
    # Predictions that drift have shifts under the same name, which are none of these.
    scenario.give(c.FEATURE_MISSING_RATIO, 0.4, feature="", window="1h", **MODEL)
    scenario.give(c.DRIFTED_FEATURES, 0, **MODEL)
    scenario.give(c.DRIFT_STATE, 1, drift_type="prediction", state="ok", **MODEL)
    description = f"""\
{" and ".join(names)}: correlation 0.61 → 0.05 in the 24h window
bid and hour: correlation 0.20 → -0.12 in the 24h window
How far: distance 0.13, tolerance 0.05
How sure: 4000 rows in the last 24h against 20000 in the reference; not chance, the tests keep the model's budget of \
false alarms
Effect: no input drifted by itself, predictions within tolerance; quality on real labels not measured
Severity: warning at most, as each of these inputs by itself may look as it always did
Look first: what feeds {" and ".join(names)}"""
    summary = f"Inputs no longer go together as they did ({' and '.join(names)})."
    expected = {**MODEL, "severity": "warning"}
    scenario.says(10 * MINUTE, c.ALERT_MULTIVARIATE_DRIFT, summary, description, expected)
    scenario.check()


def test_while_the_drift_of_pairs_is_held_none_is_named(scenario: Scenario) -> None:
    drift(scenario, 2, "multivariate")
    scenario.give(c.DRIFT_STATE, 1, drift_type="multivariate", state="held", **MODEL)
    description = """\
Inputs: which ones is not known at the moment
How sure: not chance, the tests keep the model's budget of false alarms
Held: too few rows now to say it is over; at most 24 h
Effect: no input drifted by itself, predictions not scored; quality on real labels not measured
Severity: warning at most, as each of these inputs by itself may look as it always did
Look first: what feeds the inputs"""
    summary = "Inputs no longer go together as they did."
    expected = {**MODEL, "severity": "warning"}
    scenario.says(10 * MINUTE, c.ALERT_MULTIVARIATE_DRIFT, summary, description, expected)
    scenario.check()


def test_a_version_older_than_a_day_points_upstream(scenario: Scenario) -> None:
    scenario.length, scenario.step = 25 * 3600, 120
    drift(scenario, [(24.5 * 3600, 0), (1800, 2)])
    scenario.give(c.MODEL_INFO, 1, task="binary", profile="0123abcd", **MODEL)
    description = """\
Inputs: which ones is not known at the moment
How sure: not chance, the tests keep the model's budget of false alarms
Effect: predictions not scored; quality on real labels not measured
Look first: no model version change in 24 h, so upstream: what feeds the inputs"""
    expected = {**MODEL, "severity": "warning"}
    scenario.says(24.7 * 3600, c.ALERT_DATA_DRIFT, "Inputs drifted.", description, expected)
    scenario.check()


def test_a_segment_is_told_by_its_name_with_what_drifted_in_it(scenario: Scenario) -> None:
    drift(scenario, 2, segment="web")
    drift(scenario, 0)
    for segment, score in (("web", 0.2), ("", 0.01), ("app", 0.4)):
        for metric, value in ((c.DRIFT_SCORE, score), (c.DRIFT_THRESHOLD, 0.05)):
            scenario.give(metric, value, drift_type="data", feature="bid_floor", window="1h", segment=segment, **MODEL)
    description = """\
bid_floor: 4.0 times its tolerance
Effect: the model as a whole is within tolerance
Look first: what feeds these inputs in this segment alone"""
    expected = {**MODEL, "segment": "web", "severity": "warning"}
    summary = "Inputs drifted in this segment (bid_floor)."
    scenario.says(10 * MINUTE, c.ALERT_DATA_DRIFT, summary, description, expected)
    scenario.check()
