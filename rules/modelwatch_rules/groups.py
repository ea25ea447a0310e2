"""Groups of rules: what an alert reads is recorded before it in the same group, at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelwatch_rules import alerting, limits, recording
from modelwatch_rules.promql import Group

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig
    from modelwatch_rules.timing import Timing

__all__ = ["DEFAULT_RUNBOOK_BASE", "rule_file", "rule_groups"]

DEFAULT_RUNBOOK_BASE = "https://github.com/modelwatch/modelwatch/blob/main/docs/runbooks"


def rule_groups(config: MonitoringConfig, timing: Timing) -> tuple[Group, ...]:
    """Return all rules.

    Parameters
    ----------
    config
        Its models give the latency quantiles in use, and the names whose absence is news. All other rules cover every
        model that is exposed, also those that are registered in code.
    timing
        Windows and waiting times.
    """
    return (
        Group(
            "modelwatch-traffic.rules",
            (
                *recording.threshold_records(timing),
                *recording.traffic_records(config, timing),
                *limits.above_limit_records(config, timing),
                *alerting.traffic_alerts(timing),
            ),
        ),
        Group(
            "modelwatch-silence.rules",
            (*recording.silence_records(timing), *alerting.silence_alerts(config, timing)),
        ),
        Group(
            "modelwatch-checks.rules",
            (*recording.check_records(timing), *alerting.drift_alerts(timing), *alerting.check_alerts(timing)),
        ),
        Group("modelwatch-performance.rules", tuple(alerting.performance_alerts(timing))),
        Group("modelwatch-watchdog.rules", (alerting.watchdog_alert(),)),
    )


def rule_file(config: MonitoringConfig, timing: Timing, *, runbook_base: str = DEFAULT_RUNBOOK_BASE) -> dict[str, Any]:
    """Return the content of a rule file; each alert links to ``<runbook_base>/<alertname>.md``."""
    return {"groups": [group.as_dict(runbook_base) for group in rule_groups(config, timing)]}
