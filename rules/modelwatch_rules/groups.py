"""Groups of rules: what an alert reads is recorded before it in the same group, at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelwatch_rules import alerting, anomalies, health, inputs, limits, recording, slo
from modelwatch_rules.promql import Group, Style

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig
    from modelwatch_rules.timing import Timing

__all__ = ["DEFAULT_RUNBOOK_BASE", "rule_file", "rule_groups"]

DEFAULT_RUNBOOK_BASE = "https://github.com/modelwatch/modelwatch/blob/main/docs/runbooks"


def rule_groups(config: MonitoringConfig, timing: Timing, style: Style | None = None) -> tuple[Group, ...]:
    """Return all rules.

    Parameters
    ----------
    config
        Its models give the latency quantiles in use, the names whose absence is news, and severities of their own. All
        other rules cover every model that is exposed, also those that are registered in code.
    timing
        Windows and waiting times.
    style
        What severities are called; None for our own names.
    """
    style = style or Style(DEFAULT_RUNBOOK_BASE)
    return (
        Group(
            "modelwatch-traffic.rules",
            (
                *recording.threshold_records(timing),
                *recording.traffic_records(config, timing),
                *limits.above_limit_records(config, timing),
                *alerting.traffic_alerts(timing, style),
            ),
        ),
        Group(
            "modelwatch-silence.rules",
            (*recording.silence_records(timing), *alerting.silence_alerts(config, timing, style)),
        ),
        anomalies.traffic_group(config, timing, style),
        slo.slo_group(timing, style),
        Group(
            "modelwatch-checks.rules",
            (
                *recording.check_records(timing),
                *alerting.drift_alerts(timing, style),
                *alerting.check_alerts(config, timing, style),
            ),
        ),
        Group(
            "modelwatch-performance.rules",
            (*recording.performance_records(timing), *alerting.performance_alerts(timing, style)),
        ),
        inputs.inputs_group(config, timing, style),
        inputs.outputs_group(config, timing, style),
        health.health_group(config, timing, style),
        Group("modelwatch-fleet.rules", tuple(recording.fleet_records(timing))),
        Group("modelwatch-watchdog.rules", (alerting.watchdog_alert(),)),
    )


def rule_file(config: MonitoringConfig, timing: Timing, style: Style | None = None) -> dict[str, Any]:
    """Return the content of a rule file."""
    style = style or Style(DEFAULT_RUNBOOK_BASE)
    return {"groups": [group.as_dict(style) for group in rule_groups(config, timing, style)]}
