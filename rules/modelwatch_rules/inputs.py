"""What inputs and outputs show without a check: missing and novel inputs while there is no reference, stuck outputs.

Where a reference is in use, missing and novel inputs are part of the drift of the data, with its false-alarm budget;
until then an input is compared with its own usual share: the median of the last seven days, or what it was at this time
of yesterday or a week ago, if that is more. A nightly batch without some inputs is no news, nor is a weekend.
"""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.config import MonitoringConfig
from modelwatch.conventions import FEATURE, MODEL_ID, MODEL_LABELS, PROFILE, Metric
from modelwatch.policy import Severity
from modelwatch_rules.anomalies import DAY, around_now
from modelwatch_rules.context import traffic
from modelwatch_rules.limits import MIN_REQUESTS
from modelwatch_rules.naming import record_name
from modelwatch_rules.overrides import by_model
from modelwatch_rules.promql import AlertingRule, Group, RecordingRule, Style, bridged, largest, select
from modelwatch_rules.recording import windows
from modelwatch_rules.texts import Text
from modelwatch_rules.timing import Timing, prometheus_duration
from modelwatch_rules.words import COUNT, PERCENT, lines, say

__all__ = [
    "CATEGORY_AT_MOST",
    "EDGE",
    "HISTORY_DAYS",
    "INPUTS",
    "JUMP",
    "REFERENCE_EDGE",
    "REFERENCE_LABELS",
    "REFERENCE_SHARE",
    "REFERENCE_VALUES",
    "SAME_BIN",
    "SAME_LABEL",
    "STUCK",
    "UNREFERENCED",
    "by_day",
    "expected",
    "inputs_group",
    "looked_at",
    "median",
    "outputs_group",
    "predicted_labels",
    "predicted_values",
    "share",
    "usual",
    "value_share",
]

JUMP = 0.2
"""By how much the share of missing or novel values must exceed its usual one."""
HISTORY_DAYS = 7

EDGE = 0.05
"""Predictions are stuck if no more than this share lies on one of the sides of every bin's bound."""
REFERENCE_EDGE = 0.2
"""A reference spreads if more than this share lies on both sides of some bound."""
CATEGORY_AT_MOST = 0.8
"""Share of a predicted label in the reference up to which it is odd that hardly another is predicted."""

_PAIR = ", ".join(MODEL_LABELS)
_INPUT = (*MODEL_LABELS, FEATURE)
_OF_INPUT = ", ".join(_INPUT)
_OF_PROFILE = ", ".join((*MODEL_LABELS, PROFILE))

UNREFERENCED = record_name(MODEL_LABELS, c.DRIFT_STATE, "unreferenced")
_PROFILE_OF_MODEL = (MODEL_ID, PROFILE)
_REFERENCE = ", ".join(_PROFILE_OF_MODEL)
REFERENCE_SHARE = record_name((MODEL_ID, PROFILE, "le"), c.PREDICTION_REFERENCE, "ratio", suffix="_bucket")
REFERENCE_VALUES = REFERENCE_SHARE.replace(":ratio", ":max")
REFERENCE_LABELS = record_name((*_PROFILE_OF_MODEL, "category"), c.FEATURE_REFERENCE_CATEGORY, "max_of_predictions")
SAME_BIN = record_name((*MODEL_LABELS, PROFILE, "le"), c.PREDICTION_VALUE, "same_bin", suffix="_bucket")
SAME_LABEL = f"{'_'.join((*MODEL_LABELS, PROFILE, 'category'))}:modelwatch_prediction:same_label"
STUCK = record_name(MODEL_LABELS, c.PREDICTION_VALUE, "stuck")

INPUTS = (
    (c.ALERT_INPUT_MISSING, c.FEATURE_MISSING, "missing or unreadable"),
    (c.ALERT_INPUT_NOVEL, c.FEATURE_OUT_OF_RANGE, "out of range or unseen"),
)


def looked_at(timing: Timing) -> str:
    """Return the name of the predictions in the long window whose inputs were looked at, where there are enough."""
    return record_name(MODEL_LABELS, c.SAMPLED_PREDICTIONS, f"increase{windows(timing)[1].text}")


def share(metric: Metric, timing: Timing) -> str:
    """Return the name of the share of values that are missing (or novel), of models without a reference."""
    return record_name(_INPUT, metric, f"ratio_increase{windows(timing)[1].text}")


def median(metric: Metric, timing: Timing) -> str:
    """Return the name of the median of the last days."""
    return f"{share(metric, timing)}_median{HISTORY_DAYS}d"


def by_day(metric: Metric, timing: Timing) -> str:
    """Return the name of the largest share around this time of other days."""
    return record_name((*_INPUT, DAY), metric, f"ratio_increase{windows(timing)[1].text}_most")


def expected(metric: Metric, timing: Timing) -> str:
    """Return the name of the share that is to be expected from the days before."""
    return f"{share(metric, timing)}_expected"


def usual(metric: Metric, timing: Timing) -> str:
    """Return the name of the usual share: what is expected; while the share is far above, what was before that."""
    return f"{share(metric, timing)}_usual"


def inputs_group(config: MonitoringConfig, timing: Timing, style: Style) -> Group:
    """Return shares of missing and novel values where there is no reference, and the alerts on them."""
    window = windows(timing)[1].text
    sampled = f"sum by ({_PAIR}) (increase({c.SAMPLED_PREDICTIONS.name}[{window}]))"
    states = f'{c.DRIFT_STATE.name}{{{c.DRIFT_TYPE}="data",state=~"learning|no_reference"}}'
    return Group(
        "modelwatch-inputs.rules",
        (
            RecordingRule(UNREFERENCED, f"{largest(MODEL_LABELS, bridged(states, timing.bridge))} == 1"),
            RecordingRule(looked_at(timing), f"{sampled} >= {MIN_REQUESTS}"),
            RecordingRule(share(c.FEATURE_MISSING, timing), _share(c.FEATURE_MISSING, c.FEATURE_INVALID, "", timing)),
            RecordingRule(
                share(c.FEATURE_OUT_OF_RANGE, timing),
                _share(c.FEATURE_OUT_OF_RANGE, c.FEATURE_CATEGORY, f',category="{c.UNSEEN}"', timing),
            ),
            *(record for _, metric, _ in INPUTS for record in _usual_records(metric, timing)),
            *by_model((_alert(*one, timing) for one in INPUTS), config, style),
        ),
        interval=timing.slow_interval,
    )


def _share(first: Metric, second: Metric, only: str, timing: Timing) -> str:
    window = windows(timing)[1].text
    counted = (f'{first.name}{{{FEATURE}!=""}}', f'{second.name}{{{FEATURE}!=""{only}}}')
    increases = "\n    or\n".join(f"    increase({selector}[{window}])" for selector in counted)
    return (
        f"(\n  sum by ({_OF_INPUT}) (\n{increases}\n  )\n  / on ({_PAIR}) group_left ()\n  {looked_at(timing)}\n)\n"
        f"and on ({_PAIR})\n{UNREFERENCED}"
    )


def _usual_records(metric: Metric, timing: Timing) -> list[RecordingRule]:
    now, then = share(metric, timing), expected(metric, timing)
    days, day = prometheus_duration(HISTORY_DAYS * timing.day), prometheus_duration(timing.day)
    middle = f"quantile_over_time(0.5, {now}[{days}] offset {windows(timing)[1].text})"
    # What is known for less than a day is not usual yet.
    known = f"present_over_time({now}[{days}] offset {day})"
    # What was usual stands until the share is seen to be fine, or less is expected through a night with too few
    # requests to see it. It goes with the last of the days that it is from.
    held = f"{bridged(usual(metric, timing), timing.recall)} <= ({now} - {JUMP:g} or {then})"
    return [
        RecordingRule(median(metric, timing), f"{middle}\nand\n{known}"),
        RecordingRule(by_day(metric, timing), around_now("max", now, (1, HISTORY_DAYS), timing)),
        RecordingRule(then, largest(_INPUT, f"{median(metric, timing)} or {by_day(metric, timing)}")),
        RecordingRule(usual(metric, timing), f"  {held}\nor\n  {then}"),
    ]


def _alert(alert: str, metric: Metric, words: str, timing: Timing) -> AlertingRule:
    expr = f"{share(metric, timing)} - {usual(metric, timing)} >= {JUMP:g}"
    return AlertingRule(
        alert, expr, Severity.WARNING, *_told(metric, words, timing), hold=timing.hold, keep_firing=timing.keep_firing
    )


def _told(metric: Metric, words: str, timing: Timing) -> Text:
    where = "{<model>,<input>}"
    window = windows(timing)[1].text
    now = say(f"{share(metric, timing)}{where}", PERCENT, " is ", f" {words}", f" is {words} more often than usual")
    before = say(
        f"{usual(metric, timing)}{where}",
        PERCENT,
        "Usual: ",
        f", from up to {HISTORY_DAYS} days before it changed",
    )
    rows = say(f"{looked_at(timing)}{{<model>}}", COUNT, "Measured over: ", f" requests in the last {window}")
    return (
        f"Input {{{{ $labels.{FEATURE} }}}}{now}.",
        lines(
            f"How bad: {{{{ $labels.{FEATURE} }}}}{now} in the last {window}",
            before,
            rows,
            "How sure: there is no reference yet to test against; the share is compared with its own past",
            traffic(timing),
            f"Look first: what feeds {{{{ $labels.{FEATURE} }}}}",
        ),
    )


# ── outputs ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def outputs_group(config: MonitoringConfig, timing: Timing, style: Style) -> Group:
    """Return the alert on predictions that are nearly all the same although those of the reference are not."""
    rule = AlertingRule(
        c.ALERT_STUCK_OUTPUT, STUCK, Severity.WARNING, *_stuck_text(timing),
        hold=timing.hold, keep_firing=timing.keep_firing,
    )  # fmt: skip
    window = windows(timing)[1].text
    values, every = predicted_values(timing), select(predicted_values(timing), le="+Inf")
    buckets = f"sum by ({_OF_PROFILE}, le) (increase({c.PREDICTION_VALUE.name}_bucket[{window}]))"
    labels = f'sum by ({_OF_PROFILE}, category) (increase({c.FEATURE_CATEGORY.name}{{{FEATURE}=""}}[{window}]))'
    # What is known of a reference outlives a sidecar that is restarted.
    references = largest((*_PROFILE_OF_MODEL, "le"), bridged(f"{c.PREDICTION_REFERENCE.name}_bucket", timing.bridge))
    shares = bridged(f'{c.FEATURE_REFERENCE_CATEGORY.name}{{{FEATURE}=""}}', timing.bridge)
    whole = select(REFERENCE_VALUES, le="+Inf")
    return Group(
        "modelwatch-outputs.rules",
        (
            RecordingRule(predicted_values(timing), buckets),
            RecordingRule(predicted_labels(timing), labels),
            RecordingRule(
                value_share(timing), f"{values}\n/ on ({_OF_PROFILE}) group_left ()\n({every} >= {MIN_REQUESTS})"
            ),
            RecordingRule(REFERENCE_VALUES, references),
            RecordingRule(REFERENCE_SHARE, f"{REFERENCE_VALUES}\n/ on ({_REFERENCE}) group_left ()\n({whole} > 0)"),
            RecordingRule(REFERENCE_LABELS, largest((*_PROFILE_OF_MODEL, "category"), shares)),
            RecordingRule(SAME_BIN, _same_bin(timing)),
            RecordingRule(SAME_LABEL, _same_label(timing)),
            RecordingRule(STUCK, f"max by ({_PAIR}) ({SAME_BIN} or {SAME_LABEL})"),
            *by_model([rule], config, style),
        ),
        interval=timing.slow_interval,
    )


def predicted_values(timing: Timing) -> str:
    """Return the name of the predicted values in the long window, by upper bound of their bin."""
    by = (*MODEL_LABELS, PROFILE, "le")
    return record_name(by, c.PREDICTION_VALUE, f"increase{windows(timing)[1].text}", suffix="_bucket")


def predicted_labels(timing: Timing) -> str:
    """Return the name of the predicted labels in the long window."""
    return f"{'_'.join((*MODEL_LABELS, PROFILE, 'category'))}:modelwatch_prediction:increase{windows(timing)[1].text}"


def value_share(timing: Timing) -> str:
    """Return the name of the share of predicted values up to each bound, where there are enough."""
    return predicted_values(timing).replace(":increase", ":ratio_increase")


def _same_bin(timing: Timing) -> str:
    """Return numbers of predictions that are all in one bin: no bound has a part of them on both of its sides."""
    every = select(predicted_values(timing), le="+Inf")
    return (
        f"{every} >= {MIN_REQUESTS}\n"
        f"unless on ({_OF_PROFILE})\n  ({value_share(timing)} > {EDGE:g} < {1 - EDGE:g})\n"
        f"and on ({_REFERENCE})\n  ({REFERENCE_SHARE} > {REFERENCE_EDGE:g} < {1 - REFERENCE_EDGE:g})"
    )


def _same_label(timing: Timing) -> str:
    """Return numbers of predicted labels where nearly all are one that the reference has no such share of."""
    labels = predicted_labels(timing)
    every = f"sum by ({_OF_PROFILE}) ({labels}) >= {MIN_REQUESTS}"
    return (
        f"{labels}\n  >= on ({_OF_PROFILE}) group_left () {1 - EDGE:g} * ({every})\n"
        f"and on ({_REFERENCE}, category)\n  {REFERENCE_LABELS} <= {CATEGORY_AT_MOST:g}"
    )


def _stuck_text(timing: Timing) -> Text:
    window = windows(timing)[1].text
    return (
        "Nearly all predictions are the same.",
        lines(
            f"How bad: {{{{ $value | {COUNT} }}}} predictions in the last {window}, hardly one of which is in another"
            " bin, or has another label, than the others; those of the reference spread",
            "Effect: the model answers, but no longer tells cases apart",
            traffic(timing),
            "Look first: whether inputs arrive at all (defaults, nulls), then whether the right model file was loaded",
        ),
    )
