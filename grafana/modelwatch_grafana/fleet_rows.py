"""Panels about all models: how many are bad, which ones, since when, and what to look at."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_grafana.elements import Column, Panel, Query, Step
from modelwatch_grafana.fleet_promql import (
    BY_INPUT,
    BY_MODEL,
    BY_VERSION,
    drift_over_time,
    drifted_inputs,
    firing,
    loaded_rules,
    performance_over_time,
    severity,
    state,
    unscored,
    versions,
    worst,
)
from modelwatch_grafana.lines import ROW, line, line_with_names, named, to_model
from modelwatch_grafana.panels import instant, stat, state_timeline, timeseries
from modelwatch_grafana.promql import bridged_while_down, quoted, rate_of, select_any
from modelwatch_grafana.tables import cells, table
from modelwatch_grafana.words import (
    NO_CHECK,
    NO_RULES,
    NO_TARGET,
    NOT_CHECKED,
    SEVERITIES,
    SEVERITY_STEPS,
    STATE_STEPS,
    STATES,
    background,
)

__all__ = ["alerts_and_features", "models", "over_time", "totals", "traffic", "unscored_models"]

MAX_MODELS, MAX_FEATURES, MAX_ALERTS = 100, 20, 50
QUANTILE = 0.95
WARNING = 2
NO_TRAFFIC = "no predictions in this time range"
INPUT = (*c.MODEL_LABELS, c.FEATURE)
ALERT = (c.MODEL_ID, c.MODEL_VERSION, "alertname", "metric")
SEVERITY_CELL = background(SEVERITIES, SEVERITY_STEPS)
STATE_CELL = background(STATES, STATE_STEPS)
WHOLE = ({"id": "decimals", "value": 0},)
PLAIN = (Step(None, "text"),)
NONE_IS_GOOD = (Step(None, "green"), Step(1.0, "orange"))


def _error_ratio(by: str = "") -> str:
    failed, attempted = (rate_of(select_any(metric), by) for metric in (c.PREDICTION_ERRORS, c.PREDICTIONS))
    return f"{failed} / ({attempted} > 0)"


def _quantile(by: str) -> str:
    """Return a latency quantile; none where there was no traffic, as that of nothing is not a number."""
    return f"histogram_quantile({QUANTILE}, {rate_of(select_any(c.PREDICTION_LATENCY), f'{by}, le')}) >= 0"


# ── how many ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def totals() -> tuple[Panel, ...]:
    """Return counts of models, of bad ones, of alerts, and traffic altogether."""
    bad = f"sum({severity(BY_MODEL)} >= bool {WARNING})"
    # Nothing fires and nothing is loaded look alike, but for the dead man's switch.
    count = f"count({firing('alertname, model_id, model_version, metric')}) or 0 * count({loaded_rules()})"
    waiting = f"count({unscored()}) or 0 * count({versions()})"
    return (
        stat(
            "Models",
            "Models that are registered, recorded or checked; versions of one model count once.",
            [instant(f"count(group by ({BY_MODEL}) ({versions()}))", "models")],
            no_value=NO_TARGET,
            steps=PLAIN,
        ),
        stat(
            "At warning or worse",
            "Models whose drift or performance is at warning or worse. Latency and errors are in the table below.",
            [instant(bad, "models")],
            no_value=NO_CHECK,
            steps=NONE_IS_GOOD,
        ),
        stat(
            "Alerts firing",
            "Alerts of our rules that fire in Prometheus, whether anybody was told or they are silenced; of several "
            "severities the worst counts.",
            [instant(count, "alerts")],
            no_value=NO_RULES,
            steps=NONE_IS_GOOD,
        ),
        stat(
            "Not scored",
            "Versions whose inputs are not compared with anything now: learning, too few rows, no reference, or never "
            "checked. The last row says which, and why.",
            [instant(waiting, "versions")],
            no_value=NO_TARGET,
            steps=(Step(None, "green"), Step(1.0, "blue")),
        ),
        stat(
            "Predictions per second",
            "Attempted predictions of all models together.",
            [instant(rate_of(select_any(c.PREDICTIONS)), "predictions")],
            unit="reqps",
            no_value=NO_TARGET,
            steps=PLAIN,
        ),
        stat(
            "Errors of all predictions",
            "Failed predictions of all attempted ones, all models together.",
            [instant(_error_ratio(), "errors")],
            unit="percentunit",
            no_value="no predictions now",
            steps=PLAIN,
        ),
    )


# ── which ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def models(uid: str) -> tuple[Panel, ...]:
    """Return all models with what there is to know of each, the worst first."""
    spine = f"{severity()} or {NOT_CHECKED} * {versions()}"
    last_check = f"time() - {worst(c.DRIFT_LAST_SUCCESS, BY_VERSION)}"
    return (
        table(
            "Models, worst first",
            "Severity: the worst of drift and performance. Inputs: what the last check of the inputs came to. Errors "
            f"and the {QUANTILE * 100:.0f} % quantile of latency are of now. Click a model for its dashboard.",
            [
                Column("Severity", cells(line_with_names(spine)), properties=SEVERITY_CELL),
                Column("Inputs", cells(line(state())), properties=STATE_CELL),
                Column("Drifted", cells(line(worst(c.DRIFTED_FEATURES, BY_VERSION))), properties=WHOLE),
                Column("Of scored", cells(line(worst(c.SCORED_FEATURES, BY_VERSION))), properties=WHOLE),
                Column("Predictions", cells(line(rate_of(select_any(c.PREDICTIONS), BY_VERSION))), unit="reqps"),
                Column("Errors", cells(line(_error_ratio(BY_VERSION))), unit="percentunit"),
                Column("Latency", cells(line(_quantile(BY_VERSION))), unit="s"),
                Column("Last good check", cells(line(last_check)), unit="s"),
            ],
            key=ROW,
            labels=named(model_links=to_model(uid)),
            sort="Severity",
            limit=MAX_MODELS,
            no_value=NO_TARGET,
            width=24,
            height=12,
        ),
    )


def over_time() -> tuple[Panel, ...]:
    """Return since when each model is how bad, and since when each alert fires."""
    return (
        state_timeline(
            "Severity by model",
            "The worst of drift and performance. A gap means that nothing was exposed: the endpoint was down. Choose "
            "models above if these are too many.",
            [
                Query(
                    f"max by ({BY_VERSION}) ({drift_over_time()} or {performance_over_time()})",
                    "{{model_id}} {{model_version}}",
                )
            ],
            no_value=NO_CHECK,
            mappings=[SEVERITIES],
            steps=SEVERITY_STEPS,
            height=10,
        ),
        state_timeline(
            "Alerts",
            "Since when each alert fires, at the worst of its severities. Drift and performance are told from the same "
            "severities as above; latency, errors and silence from the recordings.",
            [
                Query(
                    firing("alertname, model_id, model_version, metric"),
                    "{{alertname}} {{model_id}} {{model_version}} {{metric}}",
                )
            ],
            no_value="nothing fired in this time range, or the rules are not loaded: see Alerts firing",
            mappings=[SEVERITIES],
            steps=SEVERITY_STEPS,
            height=8,
        ),
    )


# ── what to look at ──────────────────────────────────────────────────────────────────────────────────────────────────


def alerts_and_features(uid: str) -> tuple[Panel, ...]:
    """Return what fires, and the inputs that are furthest beyond their tolerance."""
    return _alerts(uid), _features(uid)


def _alerts(uid: str) -> Panel:
    return table(
        "Firing alerts, worst first",
        "Alerts of our rules that fire now, each at the worst of its severities. Links, texts and silences are in "
        "Alertmanager.",
        [Column("Severity", cells(line_with_names(firing(", ".join(ALERT)), ALERT)), properties=SEVERITY_CELL)],
        key=ROW,
        labels=named("alertname", "metric", model_links=to_model(uid)),
        sort="Severity",
        limit=MAX_ALERTS,
        no_value="nothing is firing, or the rules are not loaded: see Alerts firing",
    )


def _features(uid: str) -> Panel:
    drifted = drifted_inputs()
    inputs = {"drift_type": quoted("data"), "feature": '!=""', "method": '=""'}
    score, tolerance = (
        f"({bridged_while_down(select_any(metric, **inputs))})" for metric in (c.DRIFT_SCORE, c.DRIFT_THRESHOLD)
    )
    times = f"max by ({BY_INPUT}) ({score} / ({tolerance} > 0))"
    share = f"max by ({BY_INPUT}) ({bridged_while_down(select_any(c.DRIFT_ATTRIBUTION))})"
    return table(
        "Inputs at warning or worse, furthest beyond their tolerance first",
        "The distance from the reference as a multiple of the feature's own tolerance, in the window where that is "
        "largest, and its share in the drift of its model.",
        [
            Column("Severity", cells(line_with_names(drifted, INPUT)), properties=SEVERITY_CELL),
            Column("Times its tolerance", cells(line(f"{times} and {drifted}", INPUT))),
            Column("Of the drift", cells(line(f"{share} and {drifted}", INPUT)), unit="percentunit"),
        ],
        key=ROW,
        labels=named(c.FEATURE, model_links=to_model(uid)),
        sort="Times its tolerance",
        limit=MAX_FEATURES,
        no_value="no input of any model has drifted",
    )


def traffic() -> tuple[Panel, ...]:
    """Return predictions, errors and latency over time, by model."""
    panels = (
        (
            "Predictions by model",
            "Attempted predictions per second.",
            rate_of(select_any(c.PREDICTIONS), BY_MODEL),
            "reqps",
        ),
        ("Error ratio by model", "Failed predictions of all attempted ones.", _error_ratio(BY_MODEL), "percentunit"),
        (
            "Latency by model",
            f"The {QUANTILE * 100:.0f} % quantile over all workers, interpolated inside buckets.",
            _quantile(BY_MODEL),
            "s",
        ),
    )
    return tuple(
        timeseries(
            title, description, [Query(expr, "{{model_id}}")], unit=unit, no_value=NO_TRAFFIC, width=8,
            height=10, legend_values=True,
        )
        for title, description, expr, unit in panels
    )  # fmt: skip


def unscored_models(uid: str) -> tuple[Panel, ...]:
    """Return the models that drift can't be told of, and how far those that learn have come."""
    learned = (
        f"{versions()} * on ({c.MODEL_ID}) group_left () {worst(c.REFERENCE_LEARNED, BY_MODEL)} and ({unscored()})"
    )
    return (
        table(
            "Models that are learning, or can't be scored",
            "Why the inputs of a version are not compared with a reference now. Learned: how much of what is needed to "
            "learn a reference from production is there.",
            [
                Column("State", cells(line_with_names(unscored())), properties=STATE_CELL),
                Column("Learned", cells(line(learned)), unit="percentunit"),
            ],
            key=ROW,
            labels=named(model_links=to_model(uid)),
            sort="Learned",
            limit=MAX_MODELS,
            no_value="every model is compared with a reference",
            width=24,
            height=8,
        ),
    )
