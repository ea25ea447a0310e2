"""Recorded series: what several alerts read, computed once and in one place.

A name says over which window it was made, so with other timings the names differ too. Rates come from counters of all
targets that expose recordings; results and thresholds come from whoever runs the checks, the largest if several do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelwatch import conventions as c
from modelwatch.config import MonitoringConfig
from modelwatch.conventions import MODEL_ID, MODEL_LABELS, MODEL_VERSION, SEGMENT, Metric
from modelwatch.policy import Severity
from modelwatch_rules.naming import quantile_name, record_name
from modelwatch_rules.promql import RecordingRule, bridged, indent, largest, select
from modelwatch_rules.timing import Timing, prometheus_duration

__all__ = [
    "ABOVE_CEILING",
    "BELOW_FLOOR",
    "CHECKED_LATELY",
    "CHECK_INTERVAL",
    "DEFAULT_QUANTILE",
    "DRIFTED",
    "DRIFTED_SEVERITY",
    "FAILED_IN_A_ROW",
    "FAILURES",
    "FAILURES_BEFORE",
    "FLEET_ALARMED",
    "LAST_SEEN",
    "LAST_SUCCESS",
    "LAST_VALUE",
    "NEVER_CHECKED",
    "NEWEST_SUCCESS",
    "OPERATIONAL",
    "QUANTILE",
    "REPORTED",
    "SEVERITY",
    "SILENCE",
    "STALE_AFTER_INTERVALS",
    "SUPERSEDED",
    "THRESHOLD",
    "THRESHOLD_WORTH",
    "VALUE_ABOVE",
    "VALUE_BELOW",
    "WORST",
    "WORTH",
    "Window",
    "check_records",
    "fleet_error_ratio",
    "fleet_rate",
    "fleet_records",
    "performance_records",
    "quantiles_in_use",
    "silence_records",
    "threshold_records",
    "traffic_records",
    "windows",
]

DEFAULT_QUANTILE = 0.95
STALE_AFTER_INTERVALS = 3
"""A check is overdue, and its result stands no more, when none has succeeded for so many intervals."""
OPERATIONAL = "latency_ms|error_rate"
"""Metrics that are measured here and not reported: they have rules of their own."""
_PAIR = ", ".join(MODEL_LABELS)
_BOUND = (MODEL_ID, "metric", "bound")

THRESHOLD = record_name(_BOUND, c.PERFORMANCE_THRESHOLD, "max")
THRESHOLD_WORTH = record_name(_BOUND, c.THRESHOLD_SEVERITY, "max")
QUANTILE = record_name([MODEL_ID], c.LATENCY_QUANTILE, "max")
LAST_SEEN = record_name([MODEL_ID], c.LAST_PREDICTION, "max")
SILENCE = record_name([MODEL_ID], c.SILENCE_LIMIT, "max")
LAST_SUCCESS = record_name(MODEL_LABELS, c.DRIFT_LAST_SUCCESS, "max")
NEWEST_SUCCESS = record_name([MODEL_ID], c.DRIFT_LAST_SUCCESS, "max")
"""Of all versions of a model."""
SUPERSEDED = record_name(MODEL_LABELS, c.DRIFT_LAST_SUCCESS, "superseded")
"""Last success of versions that are checked no more, while others of the model are."""
CHECKED_LATELY = record_name(MODEL_LABELS, c.DRIFT_LAST_SUCCESS, "lately")
"""Last success of versions of which no check is overdue."""
NEVER_CHECKED = record_name([MODEL_ID], c.DRIFT_CHECKS, "never_succeeded")
"""Seconds since models were used that are known since a day, and of whose checks none has ever succeeded."""
CHECK_INTERVAL = record_name([MODEL_ID], c.DRIFT_CHECK_INTERVAL, "max")
FAILURES = record_name([MODEL_ID], c.DRIFT_CHECK_FAILURES, "max")
"""How many checks of a model have failed, ever: a failure is put down to each of its versions."""
FAILURES_BEFORE = record_name([MODEL_ID], c.DRIFT_CHECK_FAILURES, "at_success")
FAILED_IN_A_ROW = record_name([MODEL_ID], c.DRIFT_CHECK_FAILURES, "since_success")
DRIFTED_SEVERITY = record_name((*MODEL_LABELS, c.FEATURE), c.DRIFT_SEVERITY, "drifted")
DRIFTED = record_name((*MODEL_LABELS, c.FEATURE), c.DRIFT_ATTRIBUTION, "drifted")
REPORTED = record_name((*MODEL_LABELS, c.DRIFT_TYPE, SEGMENT), c.DRIFT_SEVERITY, "reported")
SEVERITY = record_name((*MODEL_LABELS, c.DRIFT_TYPE, SEGMENT), c.DRIFT_SEVERITY, "max")
LAST_VALUE = record_name((*MODEL_LABELS, "metric"), c.METRIC_VALUE, "max")
VALUE_BELOW = record_name((*MODEL_LABELS, "metric"), c.METRIC_VALUE, "below_floor")
VALUE_ABOVE = record_name((*MODEL_LABELS, "metric"), c.METRIC_VALUE, "above_ceiling")
WORTH = record_name((*MODEL_LABELS, "metric", SEGMENT), c.PERFORMANCE_SEVERITY, "max")
BELOW_FLOOR = record_name((*MODEL_LABELS, "metric", SEGMENT), c.PERFORMANCE_SEVERITY, "below_floor")
ABOVE_CEILING = record_name((*MODEL_LABELS, "metric", SEGMENT), c.PERFORMANCE_SEVERITY, "above_ceiling")
WORST = f"{MODEL_ID}:modelwatch_severity:max"
"""The worst of drift and performance."""
FLEET_ALARMED = "fleet:modelwatch_models_at_warning:count"


@dataclass(frozen=True)
class Window:
    """The names of what is recorded over one window."""

    seconds: float

    @property
    def text(self) -> str:
        """The window as Prometheus writes it: ``"5m"``."""
        return prometheus_duration(self.seconds)

    @property
    def predictions(self) -> str:
        """Attempted predictions in the window."""
        return record_name(MODEL_LABELS, c.PREDICTIONS, f"increase{self.text}")

    @property
    def errors(self) -> str:
        """Failed predictions in the window."""
        return record_name(MODEL_LABELS, c.PREDICTION_ERRORS, f"increase{self.text}")

    @property
    def error_ratio(self) -> str:
        """Failed / attempted predictions."""
        per = c.PREDICTIONS.name.removeprefix(c.PREFIX).removesuffix("_total")
        return record_name(MODEL_LABELS, c.PREDICTION_ERRORS, f"ratio_increase{self.text}", suffix=f"_per_{per}")

    @property
    def latency_buckets(self) -> str:
        """Predictions in the window by upper bound of their latency."""
        return record_name((*MODEL_LABELS, "le"), c.PREDICTION_LATENCY, f"increase{self.text}", suffix="_bucket")

    def latency(self, quantile: float) -> str:
        """Return the name of a latency quantile, in seconds."""
        return record_name(MODEL_LABELS, c.PREDICTION_LATENCY, f"{quantile_name(quantile)}_increase{self.text}")


def windows(timing: Timing) -> tuple[Window, Window]:
    """Return the short and the long window of traffic."""
    return Window(timing.short_window), Window(timing.long_window)


SHOWN_QUANTILES = (0.5, 0.95, 0.99)
"""Latency quantiles of the short window that dashboards and people ask for, beside those that limits are for."""


def quantiles_in_use(config: MonitoringConfig) -> tuple[float, ...]:
    """Return the latency quantiles that models of the configuration name, and the default one, ascending."""
    return tuple(sorted({DEFAULT_QUANTILE, *(model.latency_quantile for model in config.models)}))


def traffic_records(config: MonitoringConfig, timing: Timing) -> list[RecordingRule]:
    """Return requests, errors and latency quantiles by model version, over both windows."""
    out = []
    for window in windows(timing):
        out += [
            RecordingRule(window.predictions, _increase(c.PREDICTIONS, _PAIR, window)),
            RecordingRule(window.errors, _increase(c.PREDICTION_ERRORS, _PAIR, window)),
            RecordingRule(window.error_ratio, f"{window.errors}\n/\n({window.predictions} > 0)"),
            RecordingRule(window.latency_buckets, _increase(c.PREDICTION_LATENCY, f"{_PAIR}, le", window, "_bucket")),
        ]
        shown = SHOWN_QUANTILES if window.seconds == timing.short_window else ()
        out += [
            RecordingRule(window.latency(q), f"histogram_quantile({q!r}, {window.latency_buckets})")
            for q in sorted({*quantiles_in_use(config), *shown})
        ]
    return out


def fleet_records(timing: Timing) -> list[RecordingRule]:
    """Return the fleet at a glance: how bad each model is, requests per second, and the share of them that fails."""
    short, _ = windows(timing)
    metrics = bridged(c.PERFORMANCE_SEVERITY.name, timing.bridge)
    return [
        RecordingRule(WORST, f"max by ({MODEL_ID}) ({SEVERITY} or {metrics})"),
        RecordingRule(FLEET_ALARMED, f"count({WORST} >= {int(Severity.WARNING)})"),
        RecordingRule(fleet_rate(timing), f"sum({short.predictions}) / {short.seconds:g}"),
        RecordingRule(fleet_error_ratio(timing), f"sum({short.errors}) / (sum({short.predictions}) > 0)"),
    ]


def fleet_rate(timing: Timing) -> str:
    """Return the name of requests per second to all models."""
    return record_name(["fleet"], c.PREDICTIONS, f"rate{windows(timing)[0].text}")


def fleet_error_ratio(timing: Timing) -> str:
    """Return the name of the share of requests to all models that failed."""
    return windows(timing)[0].error_ratio.replace(f"{MODEL_ID}_{MODEL_VERSION}:", "fleet:")


def threshold_records(timing: Timing) -> list[RecordingRule]:
    """Return the thresholds that recordings are compared with: by model, as they hold for all its versions."""
    return [
        RecordingRule(name, largest(by, bridged(select(metric), timing.bridge)))
        for name, by, metric in (
            (THRESHOLD, _BOUND, c.PERFORMANCE_THRESHOLD),
            (THRESHOLD_WORTH, _BOUND, c.THRESHOLD_SEVERITY),
            (QUANTILE, (MODEL_ID,), c.LATENCY_QUANTILE),
        )
    ]


def silence_records(timing: Timing) -> list[RecordingRule]:
    """Return when each model was last seen and how long it may be silent; remembered while nobody exposes it."""
    return [
        RecordingRule(LAST_SEEN, _remembered_time(LAST_SEEN, [MODEL_ID], c.LAST_PREDICTION, timing)),
        RecordingRule(SILENCE, _remembered_beside(SILENCE, c.SILENCE_LIMIT, LAST_SEEN, timing)),
    ]


def check_records(timing: Timing) -> list[RecordingRule]:
    """Return when checks succeeded and how often they failed, and what they found, as far as it still counts."""
    return [*_success_records(timing), *_failure_records(timing), *_severity_records(timing), *_drifted_records(timing)]


def _success_records(timing: Timing) -> list[RecordingRule]:
    never = (
        f"time() - {LAST_SEEN} offset {prometheus_duration(timing.day)}\nand\n  {LAST_SEEN}\nunless\n  {NEWEST_SUCCESS}"
    )
    behind = f"< on ({MODEL_ID}) group_left ()\n({NEWEST_SUCCESS} - {STALE_AFTER_INTERVALS} * {CHECK_INTERVAL})"
    lately = f"> on ({MODEL_ID}) group_left ()\n(time() - {STALE_AFTER_INTERVALS} * {CHECK_INTERVAL})"
    return [
        RecordingRule(LAST_SUCCESS, _remembered_time(LAST_SUCCESS, MODEL_LABELS, c.DRIFT_LAST_SUCCESS, timing)),
        RecordingRule(NEWEST_SUCCESS, largest([MODEL_ID], LAST_SUCCESS)),
        RecordingRule(
            CHECK_INTERVAL, _remembered_beside(CHECK_INTERVAL, c.DRIFT_CHECK_INTERVAL, NEWEST_SUCCESS, timing)
        ),
        RecordingRule(NEVER_CHECKED, never),
        RecordingRule(SUPERSEDED, f"{LAST_SUCCESS}\n{behind}"),
        RecordingRule(CHECKED_LATELY, f"{LAST_SUCCESS}\n{lately}"),
    ]


def _failure_records(timing: Timing) -> list[RecordingRule]:
    # Right after a success the number of failures is the number at that success; from then on it is remembered.
    before = (
        f"  ({FAILURES} and time() - {NEWEST_SUCCESS} <= {CHECK_INTERVAL} / 2)\n"
        f"or\n  {bridged(FAILURES_BEFORE, timing.recall)}\n"
        f"or\n  {FAILURES} * 0"
    )
    return [
        RecordingRule(FAILURES, largest([MODEL_ID], bridged(c.DRIFT_CHECK_FAILURES.name, timing.bridge))),
        RecordingRule(FAILURES_BEFORE, before),
        RecordingRule(FAILED_IN_A_ROW, f"{FAILURES} - {FAILURES_BEFORE}"),
    ]


def _severity_records(timing: Timing) -> list[RecordingRule]:
    """Return the severities of drift of all versions that are still checked.

    The last result of a version that nobody serves any more stays as it is for ever; it is told by a success that lies
    far behind that of the model's other versions.
    """
    reported = bridged(select(c.DRIFT_SEVERITY, feature=""), timing.bridge)
    # A sidecar that is gone has not found that the drift is over: until a check is overdue, which is an alert of its
    # own, the severity stands as it was last seen.
    held = f"{bridged(SEVERITY, timing.recall)} and on ({_PAIR}) {CHECKED_LATELY}"
    return [
        RecordingRule(REPORTED, largest((*MODEL_LABELS, c.DRIFT_TYPE, SEGMENT), reported)),
        RecordingRule(SEVERITY, f"(\n    {REPORTED}\n  or\n    ({held})\n)\nunless on ({_PAIR})\n  {SUPERSEDED}"),
    ]


def _drifted_records(timing: Timing) -> list[RecordingRule]:
    """Return the inputs of whole models at warning or above by their share in the drift; 0 for one that is held."""
    by = (*MODEL_LABELS, c.FEATURE)
    severity = f'{c.DRIFT_SEVERITY.name}{{{c.DRIFT_TYPE}="data",{c.FEATURE}!="",{SEGMENT}=""}}'
    share = largest(by, bridged(c.DRIFT_ATTRIBUTION.name, timing.bridge))
    return [
        RecordingRule(DRIFTED_SEVERITY, f"{largest(by, bridged(severity, timing.bridge))} >= {int(Severity.WARNING)}"),
        RecordingRule(DRIFTED, f"  ({share} and {DRIFTED_SEVERITY})\nor\n  {DRIFTED_SEVERITY} * 0"),
    ]


def performance_records(timing: Timing) -> list[RecordingRule]:
    """Return what reported metrics are worth, by the side on which they are beyond a threshold.

    A metric with a floor and a ceiling is beyond one of them; if the value is known, it says which.
    """
    value = largest((*MODEL_LABELS, "metric"), bridged(c.METRIC_VALUE.name, timing.bridge))
    worth = largest((*MODEL_LABELS, "metric", SEGMENT), bridged(c.PERFORMANCE_SEVERITY.name, timing.bridge))
    sides = ((BELOW_FLOOR, "min", VALUE_ABOVE), (ABOVE_CEILING, "max", VALUE_BELOW))
    return [
        RecordingRule(LAST_VALUE, value),
        RecordingRule(WORTH, worth),
        RecordingRule(VALUE_BELOW, _beyond("<", "min")),
        RecordingRule(VALUE_ABOVE, _beyond(">", "max")),
        *(
            RecordingRule(
                record,
                f"{WORTH}\nand on ({MODEL_ID}, metric)\n  {select(THRESHOLD, bound=bound)}\n"
                f"unless on ({_PAIR}, metric)\n  {other_side}",
            )
            for record, bound, other_side in sides
        ),
    ]


def _beyond(operator: str, bound: str) -> str:
    return f"{LAST_VALUE}\n  {operator} on ({MODEL_ID}, metric) group_left ()\n  {select(THRESHOLD, bound=bound)}"


def _increase(metric: Metric, by: str, window: Window, suffix: str = "") -> str:
    return f"sum by ({by}) (increase({metric.name}{suffix}[{window.text}]))"


def _remembered_time(record: str, labels: Iterable[str], metric: Metric, timing: Timing) -> str:
    """Return a time that outlives whoever exposed it: the rule reads what it last said, until that is too long ago."""
    kept = f"  {largest(labels, metric.name)}\nor\n  {bridged(record, timing.recall)}"
    return f"(\n{indent(kept)}\n)\n> time() - {timing.memory:g}"


def _remembered_beside(record: str, metric: Metric, time_record: str, timing: Timing) -> str:
    """Return a model's value that outlives whoever exposed it, as long as the time beside it is remembered."""
    return f"  {largest([MODEL_ID], metric.name)}\nor\n  ({bridged(record, timing.recall)} and {time_record})"
