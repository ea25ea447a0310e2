"""Panels about the monitoring itself: whether all is recorded, stored and told, and its rules are evaluated."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_grafana.elements import Panel, Query, Step
from modelwatch_grafana.fleet_promql import BY_VERSION
from modelwatch_grafana.panels import state_timeline, timeseries
from modelwatch_grafana.promql import RATE_RANGE, latest_age, rate_of, select_any, step_of
from modelwatch_grafana.words import NO_RECORDINGS, NO_RESULTS, NO_SIDECAR, SHARING

__all__ = ["recording", "rules", "storage_and_notifications"]

BY_TARGET = "job, instance"
TARGET = "{{job}} {{instance}}"
NO_SELF_SCRAPE = "this Prometheus does not scrape itself, or our rules are not loaded in it"
OUR_GROUPS = 'rule_group=~".*;modelwatch-.*[.]rules"'
"""Prometheus calls a group by its file and its name. Its own metrics are of no job or instance of ours."""


def recording() -> tuple[Panel, ...]:
    """Return what was lost on the way from a prediction to the storage, and what waits there."""
    return (
        timeseries(
            "Dropped records by reason",
            "Per second. They are counted as traffic, but were not looked at or not stored. All should be 0.",
            [Query(rate_of(select_any(c.DROPPED_RECORDS), "reason"), "{{reason}}")],
            unit="cps",
            no_value=NO_RECORDINGS,
            width=6,
        ),
        timeseries(
            "Recorder errors by reason",
            "Per second. Faults of ours inside a serving process, none of which reached the caller. All should be 0.",
            [Query(rate_of(select_any(c.RECORDER_ERRORS), "reason"), "{{reason}}")],
            unit="cps",
            no_value=NO_RECORDINGS,
            width=6,
        ),
        timeseries(
            "Buffered records",
            "Predictions that wait in the process that was asked for its metrics. If they only rise, its background "
            "thread can't keep up, and records will be dropped.",
            [Query(f"max by ({BY_TARGET}) ({select_any(c.BUFFERED_RECORDS)})", TARGET)],
            unit="short",
            no_value=NO_RECORDINGS,
            width=6,
        ),
        timeseries(
            "Series not exposed",
            "Of models that would be more than expose.max_series_per_model: segments shown as one, inputs left out. "
            "All is counted and stored the same.",
            [Query(f"sum by (reason) (max by ({BY_VERSION}, reason) ({select_any(c.FOLDED_SERIES)}))", "{{reason}}")],
            unit="short",
            no_value=NO_RECORDINGS,
            width=6,
        ),
        state_timeline(
            "Shared counters",
            "Whether the workers of a target add up in one place. One that counts alone shows only its own requests.",
            [Query(f"min by ({BY_TARGET}) ({select_any(c.SHARED_COUNTERS)})", TARGET)],
            no_value=NO_RECORDINGS,
            mappings=[SHARING],
            steps=(Step(None, "yellow"), Step(1.0, "green")),
        ),
    )


def storage_and_notifications() -> tuple[Panel, ...]:
    """Return the size of the storage, what was told, and how old the configuration is."""
    return (
        timeseries(
            "Size of the storage",
            "On disk, by who exposes it. storage.max_size limits it, the oldest goes first.",
            [Query(f"max by ({BY_TARGET}) ({select_any(c.STORE_SIZE)})", TARGET)],
            unit="bytes",
            no_value=NO_RESULTS,
            width=6,
        ),
        timeseries(
            "Notifications by channel",
            "Delivered by modelwatch itself, from point to point. Those of Alertmanager are not among them.",
            [Query(step_of(c.NOTIFICATIONS, "channel"), "{{channel}}")],
            unit="short",
            no_value="none yet, or Alertmanager tells people (alerting.mode: prometheus)",
            width=6,
        ),
        timeseries(
            "Notifications given up, by channel",
            "After all retries, from point to point. Somebody was not told: `modelwatch sidecar` logs say of what.",
            [Query(step_of(c.NOTIFICATION_FAILURES, "channel"), "{{channel}}")],
            unit="short",
            no_value="none yet, or Alertmanager tells people (alerting.mode: prometheus)",
            width=6,
        ),
        timeseries(
            "Age of the configuration",
            "How long ago each sidecar last loaded its configuration successfully.",
            [Query(latest_age(select_any(c.CONFIG_RELOAD_TIME), BY_TARGET), TARGET)],
            unit="s",
            no_value=NO_SIDECAR,
            width=6,
        ),
    )


def rules() -> tuple[Panel, ...]:
    """Return how Prometheus fares with our rules, where it scrapes itself."""
    age = f"time() - max by (rule_group) (prometheus_rule_group_last_evaluation_timestamp_seconds{{{OUR_GROUPS}}})"
    took = f"max by (rule_group) (prometheus_rule_group_last_duration_seconds{{{OUR_GROUPS}}})"
    panels = (
        (
            "Rule evaluations that failed",
            "From point to point, by group. Its log says why; an alert whose rule fails is not told.",
            f"sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total{{{OUR_GROUPS}}}{RATE_RANGE}))",
            "short",
        ),
        (
            "Age of the last evaluation",
            "How long ago each group of rules was evaluated. About one evaluation interval.",
            age,
            "s",
        ),
        (
            "Duration of an evaluation",
            "How long each group of rules takes. It must stay well below the evaluation interval.",
            took,
            "s",
        ),
    )
    return tuple(
        timeseries(
            title, description, [Query(_group_name(expr), "{{rule_group}}")], unit=unit, no_value=NO_SELF_SCRAPE,
            width=8,
        )
        for title, description, expr, unit in panels
    )  # fmt: skip


def _group_name(expr: str) -> str:
    """Return an expression by the name of the group, without the path of its file."""
    return f'label_replace({expr}, "rule_group", "$1", "rule_group", ".*;(.*)")'
