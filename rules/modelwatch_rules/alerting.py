"""Alerts: model-agnostic where a value can be compared with an exposed threshold, per model where it must be absent.

Severity is a label. A condition of some severity fires all tiers up to it (``>=``), so that one that gets worse never
says "resolved" in between; Alertmanager mutes the lower tiers.
"""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.config import MonitoringConfig
from modelwatch.conventions import MODEL_ID, MODEL_LABELS, SEGMENT
from modelwatch.policy import Severity
from modelwatch_rules import texts
from modelwatch_rules.drift_texts import DriftTexts
from modelwatch_rules.limits import ERRORS_ABOVE_LIMIT, LATENCY_ABOVE_LIMIT, MIN_REQUESTS
from modelwatch_rules.multivariate_texts import MultivariateTexts
from modelwatch_rules.overrides import by_model, model_severity
from modelwatch_rules.promql import AlertingRule, Style, largest, literal, select
from modelwatch_rules.recording import (
    ABOVE_CEILING,
    BELOW_FLOOR,
    CHECK_INTERVAL,
    FAILED_IN_A_ROW,
    LAST_SEEN,
    NEVER_CHECKED,
    NEWEST_SUCCESS,
    SEVERITY,
    SILENCE,
    STALE_AFTER_INTERVALS,
    THRESHOLD_WORTH,
)
from modelwatch_rules.timing import Timing

__all__ = [
    "DRIFT_TIERS",
    "FAILURES_IN_A_ROW",
    "STALE_AFTER_INTERVALS",
    "THRESHOLD_TIERS",
    "check_alerts",
    "drift_alerts",
    "performance_alerts",
    "silence_alerts",
    "traffic_alerts",
    "watchdog_alert",
]

FAILURES_IN_A_ROW = 3
DRIFT_TIERS = (Severity.WARNING, Severity.ERROR, Severity.CRITICAL)
TIERS_OF_DRIFT = {c.ALERT_MULTIVARIATE_DRIFT: (Severity.WARNING,)}
"""Of the kinds of drift that are never worth more."""
THRESHOLD_TIERS = (Severity.INFO, *DRIFT_TIERS)
"""Also info, as somebody may have written that a threshold is worth no more."""


def traffic_alerts(timing: Timing, style: Style) -> list[AlertingRule]:
    """Return the alerts on latency and on the error rate."""
    return [
        AlertingRule(
            alert, f"{above}\n{_worth(metric, tier)}", tier, *text, hold=timing.hold, keep_firing=timing.keep_firing
        )
        for alert, above, metric, text in (
            (c.ALERT_LATENCY_HIGH, LATENCY_ABOVE_LIMIT, "latency_ms", texts.latency(MIN_REQUESTS, timing)),
            (c.ALERT_ERROR_RATE_HIGH, ERRORS_ABOVE_LIMIT, "error_rate", texts.error_rate(MIN_REQUESTS, timing)),
        )
        for tier in style.tiers(THRESHOLD_TIERS)
    ]  # fmt: skip


def drift_alerts(timing: Timing, style: Style) -> list[AlertingRule]:
    """Return the alerts on drift of inputs, of predictions, and of how inputs go together."""
    out = []
    for drift_type, alert in c.DRIFT_ALERTS.items():
        multivariate = alert == c.ALERT_MULTIVARIATE_DRIFT
        said = MultivariateTexts(timing) if multivariate else DriftTexts(drift_type, timing)
        severity = largest((*MODEL_LABELS, SEGMENT), select(SEVERITY, drift_type=drift_type))
        out += [
            AlertingRule(
                alert, f"{severity} >= {int(tier)}", tier, said.summary(), said.description(tier),
                hold=timing.result_hold, keep_firing=timing.keep_firing,
            )
            for tier in style.tiers(TIERS_OF_DRIFT.get(alert, DRIFT_TIERS))
        ]  # fmt: skip
    return out


def performance_alerts(timing: Timing, style: Style) -> list[AlertingRule]:
    """Return the alerts on performance metrics that were reported beyond their floor or ceiling."""
    return [
        AlertingRule(
            alert, f"{beyond} >= {int(tier)}", tier, *texts.performance(bound, timing),
            hold=timing.result_hold, keep_firing=timing.keep_firing,
        )
        for alert, beyond, bound in (
            (c.ALERT_BELOW_FLOOR, BELOW_FLOOR, "min"),
            (c.ALERT_ABOVE_CEILING, ABOVE_CEILING, "max"),
        )
        for tier in style.tiers(THRESHOLD_TIERS)
    ]  # fmt: skip


def silence_alerts(config: MonitoringConfig, timing: Timing, style: Style) -> list[AlertingRule]:
    """Return the alert on models that were seen and went silent, and one per configured model that is not seen."""
    silent = f"time() - {LAST_SEEN} > {SILENCE}"
    rule = AlertingRule(c.ALERT_NO_PREDICTIONS, silent, Severity.CRITICAL, *texts.silence(), hold=timing.result_hold)
    out = by_model([rule], config, style)
    for model_id in dict.fromkeys(model.model_id for model in config.models):
        severity = model_severity(config, model_id, c.ALERT_NO_PREDICTIONS)
        if severity is Severity.NONE:
            continue
        known = f"{select(LAST_SEEN, model_id=model_id)} and {select(SILENCE, model_id=model_id)}"
        # Who was seen and may be silent for a while (a nightly batch) is watched by the rule above.
        expr = f"absent({select(c.PREDICTIONS, model_id=model_id)})\nunless\n  ({known})"
        out.append(
            AlertingRule(
                c.ALERT_NO_PREDICTIONS, expr, severity, *texts.absent(), hold=timing.silence_hold,
                labels={MODEL_ID: literal(model_id)},
            )
        )  # fmt: skip
    return out


def check_alerts(config: MonitoringConfig, timing: Timing, style: Style) -> list[AlertingRule]:
    """Return the alerts on checks that do not happen or fail."""
    failed = f"{FAILED_IN_A_ROW} >= {FAILURES_IN_A_ROW}"
    age = f"time() - {NEWEST_SUCCESS}"
    overdue = f"{age} > {STALE_AFTER_INTERVALS} * {CHECK_INTERVAL}"
    stale = f"(\n  {overdue}\n  or\n  {NEVER_CHECKED}\n)\nunless\n  {failed}"
    failing = f"{failed}\nunless\n  {age} <= 1.5 * {CHECK_INTERVAL}"
    rules = [
        # A success ends it for three intervals at least, so it needs nothing against flapping; and it must be over
        # before the alert that mutes it, which says that whoever checks is down.
        AlertingRule(c.ALERT_CHECK_STALE, stale, Severity.WARNING, *texts.stale(), hold=timing.hold),
        AlertingRule(
            c.ALERT_CHECK_FAILING, failing, Severity.WARNING, *texts.failing(), hold=timing.result_hold,
            keep_firing=timing.keep_firing,
        ),
    ]  # fmt: skip
    return by_model(rules, config, style)


def watchdog_alert() -> AlertingRule:
    """Return the alert that always fires: a dead man's switch for the whole way to the receiver."""
    return AlertingRule(c.ALERT_WATCHDOG, "vector(1)", Severity.NONE, *texts.watchdog())


def _worth(metric: str, tier: Severity) -> str:
    return f"and on ({MODEL_ID})\n  {select(THRESHOLD_WORTH, metric=metric, bound='max')} >= {int(tier)}"
