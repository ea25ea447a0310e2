"""Panels about what is wrong now, traffic, latency, errors, performance, and the monitoring itself."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch_grafana.elements import Panel, Query, Step
from modelwatch_grafana.panels import heatmap, stat, state_timeline, timeseries
from modelwatch_grafana.promql import bridged, latest_age, rate, select, state_code, threshold
from modelwatch_grafana.words import CALIBRATED, NO_CHECK, REFERENCES, SEVERITIES, SEVERITY_STEPS, STATE_STEPS, STATES

__all__ = ["errors_and_performance", "latency", "monitoring", "now", "traffic"]

QUANTILES = (0.5, 0.95, 0.99)
STALE_INTERVALS = 3
NO_TRAFFIC = "no predictions in this time range"
OWN_RULES = ("latency_ms", "error_rate")
"""Metrics with panels and alerts of their own."""
CHOSEN_TYPE = '=~"$drift_type"'
WHOLE_MODEL = '=""'
A_PROFILE = '!=""'


def now() -> tuple[Panel, ...]:
    """Return what to look at first: how bad, which state, how fresh, since when."""
    return *_verdict(), _severity_over_time()


def traffic() -> tuple[Panel, ...]:
    """Return predictions per second, and by predicted class."""
    return _traffic(), _classes()


def latency() -> tuple[Panel, ...]:
    """Return quantiles with the threshold, and the distribution."""
    return _latency(), _latency_heatmap()


def errors_and_performance() -> tuple[Panel, ...]:
    """Return the error ratio, and the metrics that somebody computes, with their thresholds."""
    return _errors(), _performance()


# ── what is wrong now ────────────────────────────────────────────────────────────────────────────────────────────


def _verdict() -> tuple[Panel, ...]:
    severity = bridged(select(c.DRIFT_SEVERITY, feature=WHOLE_MODEL))
    performance = bridged(select(c.PERFORMANCE_SEVERITY))
    state = state_code(select, f"{c.MODEL_VERSION}, {c.DRIFT_TYPE}")
    return (
        stat(
            "Severity",
            "The worst of drift and performance, as alerts see it. Latency and errors have rows of their own below.",
            [Query(f"max({severity} or {performance})", "severity", instant=True)],
            no_value=NO_CHECK,
            mappings=[SEVERITIES],
            steps=SEVERITY_STEPS,
        ),
        stat(
            "State of the checks",
            "What the last check of each kind of drift came to, or why it could not score anything.",
            [Query(state, f"{{{{{c.DRIFT_TYPE}}}}} {{{{{c.MODEL_VERSION}}}}}", instant=True)],
            no_value=NO_CHECK,
            mappings=[STATES],
            steps=STATE_STEPS,
            text="value_and_name",
            width=6,
        ),
        stat(
            "Inputs drifted, of inputs scored",
            "Features at warning or above, and features that could be scored at all.",
            [
                Query(f"max({bridged(select(c.DRIFTED_FEATURES))})", "drifted", instant=True),
                Query(f"max({bridged(select(c.SCORED_FEATURES))})", "scored", instant=True),
            ],
            no_value=NO_CHECK,
            text="value_and_name",
            steps=(Step(None, "text"),),
        ),
        stat(
            "Last good check",
            "How long ago a check last succeeded. A check that found too few rows counts as a success.",
            [Query(latest_age(select(c.DRIFT_LAST_SUCCESS)), "age", instant=True)],
            unit="s",
            no_value="no check has succeeded yet",
            steps=(Step(None, "text"),),
            width=3,
        ),
        stat(
            "Tolerances",
            "Whether tolerances are learnt from a reference with timestamps. If not, only gross changes are errors.",
            [Query(f"min({bridged(select(c.DRIFT_CALIBRATED))})", "tolerances", instant=True)],
            no_value=NO_CHECK,
            mappings=[CALIBRATED],
            steps=(Step(None, "blue"), Step(1.0, "green")),
        ),
        _reference(),
    )


def _reference() -> Panel:
    learned = f"max({bridged(select(c.REFERENCE_LEARNED))})"
    # A model whose profile somebody gave has no progress: 2 stands for it, beyond all shares.
    given = f"2 + 0 * max({bridged(select(c.MODEL_INFO, profile=A_PROFILE))})"
    return stat(
        "Reference",
        "While a reference is learnt from production: how much of what is needed is there. Otherwise where it is from.",
        [Query(f"{learned} or {given}", "reference", instant=True)],
        unit="percentunit",
        no_value="none: learning starts with the first prediction",
        mappings=[REFERENCES],
        steps=(Step(None, "blue"), Step(1.0, "green")),
        width=3,
    )


def _severity_over_time() -> Panel:
    by_type = f"max by ({c.DRIFT_TYPE}) ({select(c.DRIFT_SEVERITY, feature=WHOLE_MODEL, drift_type=CHOSEN_TYPE)})"
    by_metric = f"max by (metric) ({select(c.PERFORMANCE_SEVERITY)})"
    return state_timeline(
        "Severity by kind of drift and by performance metric",
        "0 none, 1 info, 2 warning, 3 error, 4 critical. A gap means that nothing was exposed: the endpoint was down.",
        [Query(by_type, f"{{{{{c.DRIFT_TYPE}}}}} drift"), Query(by_metric, "{{metric}}")],
        no_value=NO_CHECK,
        mappings=[SEVERITIES],
        steps=SEVERITY_STEPS,
    )


# ── traffic, latency, errors, performance ────────────────────────────────────────────────────────────────────────


def _traffic() -> Panel:
    return timeseries(
        "Predictions",
        "Attempted predictions per second, and those whose features were looked at (the rest fell to sampling).",
        [
            Query(rate(c.PREDICTIONS, c.MODEL_VERSION), "attempted {{model_version}}"),
            Query(rate(c.SAMPLED_PREDICTIONS, c.MODEL_VERSION), "looked at {{model_version}}"),
        ],
        unit="reqps",
        no_value=NO_TRAFFIC,
    )


def _classes() -> Panel:
    return timeseries(
        "Predicted classes",
        "Predictions per second by predicted class. A class that takes over, or vanishes, is worth a look.",
        [Query(rate(c.PREDICTION_CLASS, "class"), "{{class}}")],
        unit="reqps",
        no_value="no classes: this model predicts numbers, or nothing yet",
        stacked=True,
    )


def _latency() -> Panel:
    buckets = rate(c.PREDICTION_LATENCY, "le")
    return timeseries(
        "Latency quantiles",
        "Quantiles over all workers, interpolated inside buckets. The threshold is the configured latency_ms, for the "
        "quantile that the model's configuration names (95 % by default).",
        [
            *(Query(f"histogram_quantile({q}, {buckets})", f"p{q * 100:.0f}") for q in QUANTILES),
            Query(f"{threshold('latency_ms', 'max')} / 1000", "threshold", limit=True),
        ],
        unit="s",
        no_value=NO_TRAFFIC,
    )


def _latency_heatmap() -> Panel:
    buckets = select(c.PREDICTION_LATENCY)
    return heatmap(
        "Latency distribution",
        "Predictions by how long they took. Two bands are two kinds of requests, or a cache.",
        Query(f"sum by (le) (increase({buckets}[$__rate_interval]))", "{{le}}", format="heatmap"),
        unit="s",
        no_value=NO_TRAFFIC,
    )


def _errors() -> Panel:
    failed, attempted = (rate(metric, c.MODEL_VERSION) for metric in (c.PREDICTION_ERRORS, c.PREDICTIONS))
    return timeseries(
        "Error ratio",
        "Failed predictions of all attempted ones. The threshold is the configured error_rate; alerts need at least "
        "100 requests or 5 errors.",
        [
            Query(f"{failed} / ({attempted} > 0)", "errors {{model_version}}"),
            Query(threshold("error_rate", "max"), "threshold", limit=True),
        ],
        unit="percentunit",
        no_value=NO_TRAFFIC,
    )


def _performance() -> Panel:
    others = f'!~"{"|".join(OWN_RULES)}"'
    values = f"max by ({c.MODEL_VERSION}, metric) ({select(c.METRIC_VALUE, metric=others)})"
    bounds = f"max by (metric, bound) ({select(c.PERFORMANCE_THRESHOLD, metric=others)})"
    return timeseries(
        "Performance",
        "The last values given to update_model_metric, with configured floors (min) and ceilings (max).",
        [
            Query(values, "{{metric}} {{model_version}}"),
            Query(bounds, "{{metric}}: {{bound}} allowed", limit=True),
        ],
        unit="short",
        no_value="needs labels: nothing was given to update_model_metric",
    )


# ── the monitoring itself ────────────────────────────────────────────────────────────────────────────────────────


def monitoring() -> tuple[Panel, ...]:
    """Return rows per window, age of the last good check, and failures."""
    rows = f"max by ({c.WINDOW}, sample) ({select(c.WINDOW_ROWS)})"
    age = f"time() - max by ({c.MODEL_VERSION}) ({select(c.DRIFT_LAST_SUCCESS)})"
    allowed = f"{STALE_INTERVALS} * max({select(c.DRIFT_CHECK_INTERVAL)})"
    return (
        timeseries(
            "Rows per window",
            "Sampled rows behind the last check, and rows in the reference. Too few rows: no score, and no alarm.",
            [Query(rows, "{{window}} {{sample}}")],
            unit="short",
            no_value=NO_CHECK,
            width=8,
        ),
        timeseries(
            "Age of the last good check",
            f"Above {STALE_INTERVALS} intervals {c.ALERT_CHECK_STALE} fires: the gauges above are then old.",
            [Query(age, "age {{model_version}}"), Query(allowed, "allowed", limit=True)],
            unit="s",
            no_value="no check has succeeded yet",
            width=8,
        ),
        timeseries(
            "Failed checks and dropped records",
            "Per second. All should be 0: a dropped record is counted as traffic but not looked at.",
            [
                Query(rate(c.DRIFT_CHECK_FAILURES, c.MODEL_VERSION), "checks failed {{model_version}}"),
                Query(rate(c.DROPPED_RECORDS, "reason"), "dropped: {{reason}}"),
                Query(rate(c.RECORDER_ERRORS, "reason"), "recorder error: {{reason}}"),
            ],
            unit="cps",
            no_value="nothing recorded yet",
            width=8,
        ),
    )
