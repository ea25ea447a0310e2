"""The monitoring of the monitoring: targets that are down, records that are dropped, notifications that fail."""

from __future__ import annotations

from modelwatch import conventions as c
from modelwatch.config import MonitoringConfig
from modelwatch.conventions import MODEL_LABELS
from modelwatch.policy import Severity
from modelwatch_rules import texts
from modelwatch_rules.naming import record_name
from modelwatch_rules.overrides import by_model
from modelwatch_rules.promql import AlertingRule, Group, RecordingRule, Style, bridged, largest, select
from modelwatch_rules.recording import windows
from modelwatch_rules.scraping import ALERTMANAGER_JOB, JOBS
from modelwatch_rules.texts import Text
from modelwatch_rules.timing import Timing
from modelwatch_rules.words import COUNT, lines, say

__all__ = [
    "CHECKS_SEEN",
    "COMPONENT",
    "DROPPED_AT_LEAST",
    "RECORDINGS_SEEN",
    "dropped",
    "given_up",
    "health_group",
    "relayed",
]

DROPPED_AT_LEAST = 0.01
"""Share of the predictions from which dropped records are news: fewer change no distribution."""

COMPONENT = "component"
_TARGET = ("job", "instance")
_ON_TARGET = ", ".join(_TARGET)
_PAIR = ", ".join(MODEL_LABELS)
CHECKS_SEEN = record_name(_TARGET, c.LAST_SCRAPE, "seen")
RECORDINGS_SEEN = record_name(_TARGET, c.BUILD_INFO, "seen")
ATTEMPTED = "alertmanager_notification_requests_total"
FAILED = "alertmanager_notification_requests_failed_total"
ALERTMANAGER_CHANNEL = "all receivers of type $1 in Alertmanager"
MOST = 0.5
"""Share of the attempts of a type of receivers: a few that fail are repeated, and arrive."""


def health_group(config: MonitoringConfig, timing: Timing, style: Style) -> Group:
    """Return all rules about modelwatch itself but those about checks."""
    long = windows(timing)[1].text
    by_models = [_reference_missing(timing), _records_dropped(timing), _series_folded(timing)]
    return Group(
        "modelwatch-health.rules",
        (
            RecordingRule(CHECKS_SEEN, _seen(CHECKS_SEEN, c.LAST_SCRAPE, "sidecar", timing)),
            RecordingRule(RECORDINGS_SEEN, _seen(RECORDINGS_SEEN, c.BUILD_INFO, "app", timing)),
            RecordingRule(dropped(timing), f"sum by ({_PAIR}, reason) (increase({c.DROPPED_RECORDS.name}[{long}]))"),
            *by_model(by_models, config, style),
            *_down(timing),
            _exposed_twice(timing),
            *_notification_records(timing),
            _notifications_failing(timing),
        ),
    )


def dropped(timing: Timing) -> str:
    """Return the name of the records that were dropped in the long window."""
    return record_name((*MODEL_LABELS, "reason"), c.DROPPED_RECORDS, f"increase{windows(timing)[1].text}")


def _reference_missing(timing: Timing) -> AlertingRule:
    state = select(c.DRIFT_STATE, drift_type="data", state="no_reference")
    expr = f"{largest(MODEL_LABELS, bridged(state, timing.bridge))} == 1"
    text = (
        "The reference of the model can't be used, so its drift is not watched.",
        lines(
            "Effect: drift of inputs and predictions is not watched; missing values, latency, errors and silence are",
            "Look first: `modelwatch check-config` and the sidecar's log, which say what is wrong with the file that"
            " `reference` names",
        ),
    )
    return AlertingRule(
        c.ALERT_REFERENCE_MISSING, expr, Severity.WARNING, *text, hold=timing.hold, keep_firing=timing.keep_firing
    )


def _records_dropped(timing: Timing) -> AlertingRule:
    window = windows(timing)[1]
    # Not `>`: actuals may be dropped when no predictions come, and then there is nothing to compare with.
    expr = (
        f"{dropped(timing)} > 0\nunless on ({_PAIR}, reason)\n"
        f"  ({dropped(timing)} <= on ({_PAIR}) group_left () {DROPPED_AT_LEAST:g} * {window.predictions})"
    )
    text = (
        f"{{{{ $value | {COUNT} }}}} records were dropped in the last {window.text} ({{{{ $labels.reason }}}}).",
        lines(
            say(
                f"{window.predictions}{{<model>}}", COUNT,
                f"How bad: {{{{ $value | {COUNT} }}}} records, of ", f" predictions in the last {window.text}",
                f"How bad: {{{{ $value | {COUNT} }}}} records, without predictions in the last {window.text}",
            ),
            "Effect: predictions are served and counted, but these are not looked at or not stored",
            "Look first: the reason; queue_full: more traffic than the background thread can take; store, counts,"
            " actuals or metrics: a full, slow or locked disk",
        ),
    )  # fmt: skip
    return AlertingRule(
        c.ALERT_RECORDS_DROPPED, expr, Severity.WARNING, *text, hold=timing.hold, keep_firing=timing.keep_firing
    )


def _series_folded(timing: Timing) -> AlertingRule:
    expr = f"{largest((*MODEL_LABELS, 'reason'), c.FOLDED_SERIES.name)} > 0"
    text = (
        f"{{{{ $value | {COUNT} }}}} series of the model are not exposed ({{{{ $labels.reason }}}}).",
        lines(
            "Effect: dashboards and rules don't see these segments or inputs by themselves; all is counted and stored,"
            " and drift is watched on all inputs",
            "Look first: `modelwatch check-config`, which says what is left out; then expose.max_series_per_model,"
            " fewer segments, or fewer inputs in the profile",
        ),
    )
    return AlertingRule(
        c.ALERT_SERIES_FOLDED, expr, Severity.INFO, *text, hold=timing.hold, keep_firing=timing.keep_firing
    )


def _seen(record: str, metric: c.Metric, kind: str, timing: Timing) -> str:
    """Return the targets that are ours: they say so, or said so before they went down, or are our jobs."""
    now = largest(_TARGET, metric.name)
    before = f"({bridged(record, timing.recall)} and on ({_ON_TARGET}) up == 0)"
    ours = largest(_TARGET, select("up", job=JOBS[kind]))
    return f"  {now}\nor\n  {before}\nor\n  {ours}"


def _down(timing: Timing) -> list[AlertingRule]:
    """Return the alerts on targets that can't be read.

    They outlast what they mute: when a sidecar is back, its checks are stale until the first of them has succeeded.
    """
    checks = f"up == 0\nand on ({_ON_TARGET})\n  {CHECKS_SEEN}"
    recordings = f"up == 0\nand on ({_ON_TARGET})\n  {RECORDINGS_SEEN}\nunless on ({_ON_TARGET})\n  {CHECKS_SEEN}"
    return [
        AlertingRule(
            c.ALERT_DOWN, expr, Severity.ERROR, *_down_text(component), hold=timing.hold,
            keep_firing=timing.keep_firing, labels={COMPONENT: component},
        )
        for component, expr in (("checks", checks), ("recordings", recordings))
    ]  # fmt: skip


def _down_text(component: str) -> Text:
    effect = {
        "checks": "drift and performance are not checked, and what the last check found stands; predictions go on",
        "recordings": "predictions of this process can't be seen: either it is gone, or nobody can ask it",
    }[component]
    where = "{{ $labels.instance }} (job {{ $labels.job }})"
    return (
        f"Prometheus can't read {where}.",
        lines(
            f"Target: {where}, of the {component}",
            f"Effect: {effect}",
            "Look first: whether the process runs, then what Prometheus says on its page of targets",
        ),
    )


def _exposed_twice(timing: Timing) -> AlertingRule:
    expr = (
        f"sum by (storage) (\n  group by (storage, job, instance) ({c.STORAGE_INFO.name})\n"
        f"  and on (job, instance)\n  {c.PREDICTIONS.name}\n)\n> 1"
    )
    return AlertingRule(
        c.ALERT_EXPOSED_TWICE, expr, Severity.WARNING, *texts.exposed_twice(), hold=timing.hold,
        keep_firing=timing.keep_firing,
    )  # fmt: skip


def given_up(timing: Timing) -> str:
    """Return the name of the notifications that modelwatch itself gave up in the long window, by channel."""
    return record_name(["channel"], c.NOTIFICATION_FAILURES, f"increase{windows(timing)[1].text}")


def relayed(metric: str, timing: Timing) -> str:
    """Return the name of what our Alertmanager tried in the long window, by what stands for its receivers of a type."""
    return f"channel:{metric.removesuffix('_total')}:increase{windows(timing)[1].text}"


def _notification_records(timing: Timing) -> list[RecordingRule]:
    window = windows(timing)[1].text
    own = f"max by (channel) (increase({c.NOTIFICATION_FAILURES.name}[{window}]))"
    named = f'"channel", "{ALERTMANAGER_CHANNEL}", "integration", "(.+)"'
    theirs = ((metric, f"increase({select(metric, job=ALERTMANAGER_JOB)}[{window}])") for metric in (ATTEMPTED, FAILED))
    return [
        RecordingRule(given_up(timing), own),
        *(
            RecordingRule(relayed(metric, timing), f"sum by (channel) (\n  label_replace({counted}, {named})\n)")
            for metric, counted in theirs
        ),
    ]


def _notifications_failing(timing: Timing) -> AlertingRule:
    """Return the alert on channels that reach nobody: modelwatch's own, and those of an Alertmanager of ours."""
    window = windows(timing)[1].text
    attempted, failed = (relayed(metric, timing) for metric in (ATTEMPTED, FAILED))
    expr = f"{given_up(timing)} > 0\nor\n{failed} > on (channel) {MOST} * {attempted}"
    text = (
        "Messages to {{ $labels.channel }} fail.",
        lines(
            f"How bad: {{{{ $value | {COUNT} }}}} failed in the last {window}",
            "Effect: people are not told of alerts by this channel",
            "Look first: `modelwatch doctor`, which says what is wrong with a channel, and the log of what sends",
        ),
    )
    return AlertingRule(
        c.ALERT_NOTIFICATIONS_FAILING, expr, Severity.ERROR, *text,
        hold=timing.result_hold, keep_firing=timing.keep_firing,
    )  # fmt: skip
