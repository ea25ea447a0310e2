"""Panels about the monitoring itself: whether everything is there, read and checked."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_grafana.elements import Column, Panel, Query, Step
from modelwatch_grafana.fleet_promql import (
    BY_MODEL,
    BY_VERSION,
    TARGET_MEMORY,
    loaded_rules,
    modelwatch_targets,
    targets_up,
    versions,
    worst,
)
from modelwatch_grafana.lines import ROW, line, line_with_names, named, to_model
from modelwatch_grafana.panels import instant, stat, state_timeline, timeseries
from modelwatch_grafana.promql import TARGET_MATCHERS, bridged, select_any, step_of
from modelwatch_grafana.tables import cells, table
from modelwatch_grafana.words import NO_CHECK, NO_RECORDINGS, NO_RESULTS, NO_RULES, NO_SIDECAR, NO_TARGET, RELOADS, UP

__all__ = ["checks", "silence", "targets", "verdict"]

STALE_INTERVALS = 3
BY_TARGET = "job, instance"
TARGET = "{{job}} {{instance}}"
MAX_LINES = 100
PLAIN = (Step(None, "text"),)
WHOLE = ({"id": "decimals", "value": 0},)
NONE_IS_GOOD = (Step(None, "green"), Step(1.0, "red"))
ONE_IS_GOOD = (Step(None, "red"), Step(1.0, "green"))


def _in_range(metric: c.Metric, by: str) -> str:
    """Return a counter's increase over the time range that is shown."""
    return f"sum by ({by}) (increase({select_any(metric)}[$__range]))"


# ── is everything there ──────────────────────────────────────────────────────────────────────────────────────────────


def verdict() -> tuple[Panel, ...]:
    """Return one tile for each thing that may be wrong."""
    unchecked = f"count({versions()} unless {worst(c.DRIFT_CHECK_INTERVAL, BY_VERSION)}) or 0 * count({versions()})"
    # Not bridged: a target that was replaced is not there twice.
    exposing = f"group by ({BY_TARGET}) ({select_any(c.LAST_PREDICTION)})"
    storages = f"max by (storage, job, instance) ({select_any(c.STORAGE_INFO)})"
    twice = f"sum(count by (storage) ({storages} and on ({BY_TARGET}) {exposing}) > bool 1)"
    return (
        stat(
            "Targets",
            f"Targets that exposed modelwatch within {TARGET_MEMORY}, and how many of them are down now. A target that "
            "was never scraped is not known here: compare the number with what you run.",
            [instant(f"count({targets_up()})", "known"), instant(f"sum(1 - {targets_up()})", "down")],
            no_value=NO_TARGET,
            text="value_and_name",
            steps=PLAIN,
        ),
        stat(
            "Releases",
            "Processes by the release of modelwatch that they run. Two at once are an upgrade on its way.",
            [instant(f"count by (version) ({select_any(c.BUILD_INFO)})", "{{version}}")],
            no_value=NO_TARGET,
            text="value_and_name",
            steps=PLAIN,
        ),
        stat(
            "Versions never checked",
            "Versions of models that no check has looked at: newly registered, or nobody runs checks on their storage.",
            [instant(unchecked, "versions")],
            no_value=NO_TARGET,
            steps=NONE_IS_GOOD,
        ),
        stat(
            "Storages exposed twice",
            "Storages whose recordings several targets expose, so that every sum counts them twice. Scrape the "
            "recordings of a storage from one target only.",
            [instant(twice, "storages")],
            no_value=NO_RECORDINGS,
            steps=NONE_IS_GOOD,
        ),
        stat(
            "Configuration",
            "Whether the last reload of the sidecar's configuration succeeded. If it did not, its log says why.",
            [instant(f"min({bridged(select_any(c.CONFIG_RELOAD_OK))})", "reload")],
            no_value=NO_SIDECAR,
            mappings=[RELOADS],
            steps=ONE_IS_GOOD,
        ),
        stat(
            "Rules",
            f"Whether {c.ALERT_WATCHDOG}, which always fires, does: then the rules are loaded and evaluated here.",
            [instant(f"count({loaded_rules()})", "loaded")],
            no_value=NO_RULES,
            mappings=[{"type": "range", "options": {"from": 1, "to": None, "result": {"text": "loaded", "index": 0}}}],
            steps=ONE_IS_GOOD,
        ),
    )


def targets() -> tuple[Panel, ...]:
    """Return the targets over time: up or down, how long ago they were read, and how much they expose."""
    known = modelwatch_targets()
    # 0 stands for never; a target that restarts begins with it.
    read = f"max by ({BY_TARGET}) (max_over_time({select_any(c.LAST_SCRAPE)}[{TARGET_MEMORY}]) > 0)"
    samples = f"max by ({BY_TARGET}) (scrape_samples_scraped{{{TARGET_MATCHERS}}} and on ({BY_TARGET}) {known})"
    seconds = f"max by ({BY_TARGET}) (scrape_duration_seconds{{{TARGET_MATCHERS}}} and on ({BY_TARGET}) {known})"
    return (
        state_timeline(
            "Targets up",
            f"Every target that exposed modelwatch within {TARGET_MEMORY}. A gap: Prometheus itself was not there.",
            [Query(targets_up(), TARGET)],
            no_value=NO_TARGET,
            mappings=[UP],
            steps=ONE_IS_GOOD,
        ),
        timeseries(
            "Age of the last scrape",
            "How long ago an endpoint with results was last read, as it says itself. About one scrape interval; it "
            "rises while the target is down.",
            [Query(f"time() - {read}", TARGET)],
            unit="s",
            no_value=NO_RESULTS,
            width=8,
        ),
        timeseries(
            "Duration of a scrape",
            "How long Prometheus takes to read a target. Near its scrape_timeout, scrapes begin to fail.",
            [Query(seconds, TARGET)],
            unit="s",
            no_value=NO_TARGET,
            width=8,
        ),
        timeseries(
            "Samples in a scrape",
            "How much a target exposes; expose.max_series_per_model limits it.",
            [Query(samples, TARGET)],
            unit="short",
            no_value=NO_TARGET,
            width=8,
        ),
    )


# ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def checks(uid: str) -> tuple[Panel, ...]:
    """Return every model's checks: how many, failed, how old, how long."""
    interval = worst(c.DRIFT_CHECK_INTERVAL, BY_VERSION)
    age = f"time() - {worst(c.DRIFT_LAST_SUCCESS, BY_VERSION)}"
    return (
        table(
            "Checks by model, the longest overdue first",
            f"Above {STALE_INTERVALS} intervals {c.ALERT_CHECK_STALE} fires. Started and failed are of the time range "
            "that is shown. A check that found too few rows counts as a success.",
            [
                Column("Interval", cells(line_with_names(interval)), unit="s"),
                Column("Last good check", cells(line(age)), unit="s"),
                Column("In intervals", cells(line(f"({age}) / ({interval} > 0)"))),
                Column(
                    "Started", cells(line(f"{_in_range(c.DRIFT_CHECKS, BY_VERSION)} and {interval}")), properties=WHOLE
                ),
                Column(
                    "Failed",
                    cells(line(f"{_in_range(c.DRIFT_CHECK_FAILURES, BY_VERSION)} and {interval}")),
                    properties=WHOLE,
                ),
                Column("Took", cells(line(worst(c.DRIFT_CHECK_DURATION, BY_VERSION))), unit="s"),
            ],
            key=ROW,
            labels=named(model_links=to_model(uid)),
            sort="In intervals",
            limit=MAX_LINES,
            no_value=NO_CHECK,
            width=16,
        ),
        table(
            "Versions that no check has looked at",
            "They are recorded or registered. Their first check runs within their interval, if anybody runs checks on "
            "the storage that they are in.",
            [
                Column(
                    "Last prediction",
                    cells(line_with_names(f"(time() - {worst(c.LAST_PREDICTION, BY_VERSION)}) unless {interval}")),
                    unit="s",
                )
            ],
            key=ROW,
            labels=named(model_links=to_model(uid)),
            sort="Last prediction",
            limit=MAX_LINES,
            no_value="every version that was ever called has been checked",
            width=8,
        ),
        timeseries(
            "Age of the last good check, in intervals",
            f"Every model by its own interval. Above {STALE_INTERVALS}, {c.ALERT_CHECK_STALE} fires.",
            [
                Query(
                    f"(time() - max by ({BY_MODEL}) ({select_any(c.DRIFT_LAST_SUCCESS)}))"
                    f" / (max by ({BY_MODEL}) ({select_any(c.DRIFT_CHECK_INTERVAL)}) > 0)",
                    "{{model_id}}",
                ),
                Query(f"{STALE_INTERVALS} * group({select_any(c.DRIFT_CHECK_INTERVAL)})", "stale", limit=True),
            ],
            unit="none",
            no_value="no check has succeeded yet",
            width=8,
            height=10,
            legend_values=True,
        ),
        timeseries(
            "Duration of checks",
            "How long the last check of each model took. It must stay well below the interval.",
            [Query(f"max by ({BY_MODEL}) ({select_any(c.DRIFT_CHECK_DURATION)})", "{{model_id}}")],
            unit="s",
            no_value=NO_CHECK,
            width=8,
            height=10,
            legend_values=True,
        ),
        timeseries(
            "Failed checks",
            f"How many failed from point to point. Two in a row are {c.ALERT_CHECK_FAILING}.",
            [Query(step_of(c.DRIFT_CHECK_FAILURES, BY_MODEL), "{{model_id}}")],
            unit="short",
            no_value=NO_CHECK,
            width=8,
            height=10,
            legend_values=True,
        ),
    )


def silence(uid: str) -> tuple[Panel, ...]:
    """Return how long each model has been silent, and how long is normal."""
    # A model whose application is gone is silent too, so it is remembered.
    seen = f"max by ({BY_MODEL}) (last_over_time({select_any(c.LAST_PREDICTION)}[{TARGET_MEMORY}]))"
    limit = f"max by ({BY_MODEL}) (last_over_time({select_any(c.SILENCE_LIMIT)}[{TARGET_MEMORY}]))"
    by = (c.MODEL_ID,)
    silent = f"time() - {seen}"
    return (
        table(
            "Silence by model",
            "How long ago the last prediction was, and how long is still normal by the gaps of the last 7 days; beyond "
            f"it {c.ALERT_NO_PREDICTIONS} fires. A dash: traffic has lasted less than an hour, nothing is usual yet.",
            [
                Column("Silent for", cells(line_with_names(silent, by)), unit="s"),
                Column("Normal up to", cells(line(f"{limit} and {seen}", by)), unit="s"),
                Column("Of what is normal", cells(line(f"({silent}) / ({limit} > 0)", by)), unit="percentunit"),
            ],
            key=ROW,
            labels=named(versions=False, model_links=to_model(uid, versions=False)),
            sort="Of what is normal",
            limit=MAX_LINES,
            no_value="no model has been called within a day",
            width=24,
            height=8,
        ),
    )
