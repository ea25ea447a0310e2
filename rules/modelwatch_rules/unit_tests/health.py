"""Cases about modelwatch itself, about the whole fleet, and about the alert that always fires."""

from __future__ import annotations

from collections.abc import Iterator

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_rules.health import (
    ALERTMANAGER_CHANNEL,
    ATTEMPTED,
    CHECKS_SEEN,
    COMPONENT,
    DROPPED_AT_LEAST,
    FAILED,
    RECORDINGS_SEEN,
    dropped,
    given_up,
    relayed,
)
from modelwatch_rules.recording import FLEET_ALARMED, WORST, fleet_error_ratio, fleet_rate
from modelwatch_rules.scraping import ALERTMANAGER_JOB, JOBS
from modelwatch_rules.unit_tests.case import GONE, Case
from modelwatch_rules.unit_tests.context import OTHER_VERSION, Context

__all__ = ["cases"]

GROUP = "health"
APP, CHECKER = {"job": "apps", "instance": "app:1"}, {"job": "ml", "instance": "checker:1"}
"""Targets of jobs that somebody else named."""


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the groups."""
    yield _reference_missing(of)
    yield _dropped(of)
    yield _few_dropped(of)
    yield _folded(of)
    yield _down(of)
    yield _remembered(of)
    yield _twice(of)
    yield _recalled(of)
    yield _notifications(of)
    yield _given_up(of)
    yield _relayed(of)
    yield _fleet(of)
    yield from (_idle_fleet(of, rate) for rate in (0.0, 2.0**-8))
    yield _worst(of)
    yield _watchdog(of)


def _expected(of: Context, alert: str, labels: dict[str, str], model_id: str | None = None) -> list[dict[str, str]]:
    """Return an alert with the severity that its model gave it; none for "none"."""
    severity = of.severity(alert, model_id)
    return [{**labels, "severity": of.style.severities[severity]}] if severity is not Severity.NONE else []


def _held(of: Context, case: Case, alert: str, first: float, last: float, expected: list[dict[str, str]]) -> None:
    """Say that an alert fires once its condition has lasted, and ends a while after it."""
    hold, keep = of.up(of.timing.hold, case.step), of.up(of.timing.keep_firing, case.step)
    case.silent(first + hold - case.step, alert)
    case.fires(first + hold, alert, *expected)
    case.fires(last + keep, alert, *expected)
    case.silent(last + keep + case.step, alert)


def _reference_missing(of: Context) -> Case:
    case = of.case("a reference that can't be used is an alert, once that has lasted", GROUP)
    step, bridge = case.step, of.down(of.timing.bridge)
    begin, during = 3 * step, of.up(of.timing.hold) + 6 * step
    bad, other, healthy = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    phases = [(begin, 0.0), (during, 1.0), (30 * step, 0.0)]
    state = {"drift_type": "data", "state": "no_reference"}
    for instance, values in (("a:1", phases), ("b:1", phases), ("c:1", 0)):
        case.give(c.DRIFT_STATE, values, **bad, **state, instance=instance)
    # Gone while it was so: it is remembered for as long as a restart may take.
    case.give(c.DRIFT_STATE, [(begin, 0.0), (during, 1.0)], **other, **state)
    case.give(c.DRIFT_STATE, 1, **healthy, drift_type="prediction", state="no_reference")
    case.give(c.DRIFT_STATE, 1, **healthy, drift_type="data", state="ok")
    alert, me = c.ALERT_REFERENCE_MISSING, of.subject
    first, last = begin, begin + during - step
    expected = [one for model in (bad, other) for one in _expected(of, alert, model, me)]
    hold, keep = of.up(of.timing.hold), of.up(of.timing.keep_firing)
    case.silent(first + hold - step, alert)
    case.fires(first + hold, alert, *expected)
    case.fires(last + keep, alert, *expected)
    case.fires(last + keep + step, alert, *_expected(of, alert, other, me))
    case.fires(last + bridge + keep, alert, *_expected(of, alert, other, me))
    case.silent(last + bridge + keep + step, alert)
    return case


def _dropped(of: Context) -> Case:
    name = "dropped records are an alert from a share of the predictions on, or where there are none"
    case = of.case(name, GROUP, of.timing.long_window / 24)
    step = case.step
    model, other, idle = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    per_step = 1 / DROPPED_AT_LEAST
    begin = of.up(of.timing.long_window, step) + 2 * step
    expected, alert = [], c.ALERT_RECORDS_DROPPED
    quiet = of.model("drops_little")
    for one, predictions in ((model, 16 * per_step), (other, 1024 * per_step), (quiet, 1024 * per_step)):
        case.count(c.PREDICTIONS, predictions, **one)
    for one, reason, rate in (
        (model, "queue_full", 17), (model, "store", 16), (other, "queue_full", 17), (quiet, "queue_full", 17),
        (idle, "actuals", 0.25), (idle, "metrics", 0),
    ):  # fmt: skip
        for instance in ("a:1", "b:1"):
            phases = [(begin, 0.0), (99 * step, rate / 2)]
            case.count(c.DROPPED_RECORDS, phases, **one, reason=reason, instance=instance)
        if (one, reason) in ((model, "queue_full"), (idle, "actuals")):
            expected += _expected(of, alert, {**one, "reason": reason}, one[c.MODEL_ID])
    hold = of.up(of.timing.hold, step)
    # Not all of what is lost later is so at first: the window has to fill.
    full = begin + of.up(of.timing.long_window, step)
    case.fires(full + hold + step, alert, *expected)
    n = of.timing.long_window / step
    case.records(
        full + step, dropped(of.timing),
        ({**model, "reason": "queue_full"}, 17 * n), ({**model, "reason": "store"}, 16 * n),
        ({**other, "reason": "queue_full"}, 17 * n), ({**quiet, "reason": "queue_full"}, 17 * n),
        ({**idle, "reason": "actuals"}, 0.25 * n),
        ({**idle, "reason": "metrics"}, 0),
    )  # fmt: skip
    return case


def _few_dropped(of: Context) -> Case:
    case = of.case("an alert on dropped records waits, and ends a while after the last of them", GROUP)
    window, step = of.timing.long_window, case.step
    begin, during = 4 * step, of.up(of.timing.hold) + 3 * step
    phases = [(begin, 0.0), (during, 1.0), (window + 60 * step, 0.0)]
    case.count(c.DROPPED_RECORDS, phases, **of.model(), reason="store")
    labels = {**of.model(), "reason": "store"}
    expected = _expected(of, c.ALERT_RECORDS_DROPPED, labels, of.subject)
    # The last rise is in the window until its first sample is that one.
    _held(of, case, c.ALERT_RECORDS_DROPPED, begin + step, begin + during + of.up(window) - step, expected)
    return case


def _folded(of: Context) -> Case:
    case = of.case("series that are not exposed are an alert by reason, counted once for all targets", GROUP)
    step, alert = case.step, c.ALERT_SERIES_FOLDED
    begin, during = 3 * step, of.up(of.timing.hold) + 6 * step
    phases = [(begin, 0.0), (during, 1.0), (of.up(of.timing.keep_firing) + 9 * step, 0.0)]
    for instance, values in (("a:1", phases), ("b:1", phases), ("c:1", 0)):
        case.give(c.FOLDED_SERIES, values, **of.model(), reason="segments", instance=instance)
    case.give(c.FOLDED_SERIES, phases, **of.model(version=OTHER_VERSION), reason="features")
    case.give(c.FOLDED_SERIES, 0, **of.model(), reason="features")
    case.give(c.FOLDED_SERIES, 0, **of.model(of.neighbour), reason="segments")
    expected = [
        one
        for labels in ({**of.model(), "reason": "segments"}, {**of.model(version=OTHER_VERSION), "reason": "features"})
        for one in _expected(of, alert, labels, of.subject)
    ]
    _held(of, case, alert, begin, begin + during - step, expected)
    return case


def _down(of: Context) -> Case:
    case = of.case("a target of ours that can't be read is an alert; one that is gone, or not ours, is none", GROUP)
    step, hold, keep = case.step, of.up(of.timing.hold), of.up(of.timing.keep_firing)
    begin, during = 4 * step, hold + 4 * step
    down = [(begin, 1.0), (during, 0.0), (begin + keep + 4 * step, 1.0)]
    ours = {"job": JOBS["app"], "instance": "new:1"}, {"job": JOBS["sidecar"], "instance": "new:2"}
    theirs = ({"job": job, "instance": instance} for job, instance in _not_ours())
    for target in (APP, CHECKER, *theirs):
        case.give("up", down, **target)
    for target in ours:
        # Never read so far: their jobs say that they are ours.
        case.give("up", down[1:], **target)
    well = {"job": CHECKER["job"], "instance": APP["instance"]}
    case.give("up", 1, **well)
    case.give(c.BUILD_INFO, [(begin, 1.0)], **APP, version="1")
    for metric, labels in ((c.BUILD_INFO, {"version": "1"}), (c.LAST_SCRAPE, {})):
        case.give(metric, 1, **well, **labels)
        case.give(metric, [(begin, 1.0)], **CHECKER, **labels)
        case.give(metric, [(begin, 1.0)], job="apps", instance="gone:1", **labels)
    case.give("up", [(begin, 1.0)], job="apps", instance="gone:1")
    error = {"severity": of.style.severities[Severity.ERROR]}
    recordings, checks = {**error, COMPONENT: "recordings"}, {**error, COMPONENT: "checks"}
    early = ({**ours[0], **recordings}, {**ours[1], **checks})
    case.silent(hold - step, c.ALERT_DOWN)
    case.fires(hold, c.ALERT_DOWN, *early)
    case.fires(begin + hold - step, c.ALERT_DOWN, *early)
    later = ({**APP, **recordings}, {**CHECKER, **checks})
    case.fires(begin + hold, c.ALERT_DOWN, *early, *later)
    end = begin + during
    case.fires(end + keep - step, c.ALERT_DOWN, *later)
    case.silent(end + keep, c.ALERT_DOWN)
    return case


def _not_ours() -> list[tuple[str, str]]:
    """Return targets that share a job or an address with ours, and are not ours."""
    same_job = [(target["job"], "else:1") for target in (APP, CHECKER)]
    return [*same_job, *(("theirs", target["instance"]) for target in (APP, CHECKER))]


def _remembered(of: Context) -> Case:
    case = of.case("that a target is ours is remembered while it is down, for as long as it stays so", GROUP)
    step, recall = case.step, of.down(of.timing.recall)
    begin = 4 * step
    # An instant query looks back for five minutes.
    forgotten = begin + of.up(300)
    long = forgotten + 2 * recall + 4 * step
    both = {**APP, "instance": "both:1"}
    for target, metric in ((APP, c.BUILD_INFO), (CHECKER, c.LAST_SCRAPE)):
        labels = {"version": "1"} if metric is c.BUILD_INFO else {}
        case.give("up", [(begin, 1.0), (long, 0.0)], **target)
        case.give(metric, [(2 * step, 9.0), (begin - 2 * step, 8.0), (long, GONE)], **target, **labels)
        # It answers, but is no longer one of ours; another target at its address is down.
        case.give("up", 1, **{**target, "instance": "other:1"})
        case.give("up", 0, job="theirs", instance="other:1")
        case.give(metric, [(begin, 8.0), (long, GONE)], **{**target, "instance": "other:1"}, **labels)
    for version, value in (("1", 2.0), ("2", 1.0)):
        case.give(c.BUILD_INFO, value, **both, version=version)
        case.give(c.LAST_SCRAPE, value, **both, pod=version)
        for job in JOBS.values():
            case.give("up", value + 1, job=job, instance="new:1", pod=version)
    case.give("up", 1, **both)
    for record, target, job in ((RECORDINGS_SEEN, APP, JOBS["app"]), (CHECKS_SEEN, CHECKER, JOBS["sidecar"])):
        always = (both, 2), ({"job": job, "instance": "new:1"}, 3)
        other = ({**target, "instance": "other:1"}, 8)
        case.records(begin - step, record, (target, 8), other, *always)
        for at in (forgotten + step, forgotten + recall + 2 * step, begin + long - step):
            case.records(at, record, (target, 8), *always)
    return case


def _recalled(of: Context) -> Case:
    case = of.case("that a target was ours outlives a Prometheus that is away for a while", GROUP)
    step, recall, known = case.step, of.down(of.timing.recall), 4 * case.step
    last = known - step
    # As if it had been recorded before: no rule says it now.
    for record in (RECORDINGS_SEEN, CHECKS_SEEN):
        for name, away in (("in_time", recall), ("too_late", recall + step)):
            target = {"job": "apps", "instance": f"{name}:1"}
            case.give(record, [(known, 5.0), (step, GONE)], **target)
            case.give("up", [(last + away, GONE), (9 * step, 0.0)], **target)
        case.records(last + recall + 2 * step, record, ({"job": "apps", "instance": "in_time:1"}, 5))
    return case


def _twice(of: Context) -> Case:
    case = of.case("two targets that expose the recordings of one storage are an alert", GROUP)
    step = case.step
    begin, during = 3 * step, of.up(of.timing.hold) + 5 * step
    for storage, targets in (("one", ("a:1", "b:1")), ("two", ("c:1", "d:1"))):
        for number, instance in enumerate(targets):
            target = {"job": "apps", "instance": instance}
            case.give(c.STORAGE_INFO, 1, **target, storage=storage)
            # Of the second storage one target only checks; at its address somebody else exposes.
            if storage == "two" and number == 1:
                target = {"job": "theirs", "instance": instance}
            late = [(begin, GONE), (during, 1.0)] if number else 1
            case.give(c.PREDICTIONS, late, **target, **of.model())
            case.give(c.PREDICTIONS, late, **target, **of.model(of.neighbour))
    warning = {"severity": of.style.severities[Severity.WARNING]}
    # A sample is looked back at for five minutes, however long the step.
    gone = begin + during - step
    seen = int(300 / step) * step if step <= 300 else 0
    _held(of, case, c.ALERT_EXPOSED_TWICE, begin, gone + seen, [{"storage": "one", **warning}])
    return case


def _notifications(of: Context) -> Case:
    name = "a channel whose messages are given up is an alert, until that is long enough ago"
    case = of.case(name, GROUP, of.timing.result_hold / 2)
    step, alert = case.step, c.ALERT_NOTIFICATIONS_FAILING
    begin, window = 4 * step, of.up(of.timing.long_window, step)
    for instance, lost in (("a:1", 0.5), ("b:1", 0.0)):
        phases = [(begin, 0.0), (step, lost), (99 * step, 0.0)]
        case.count(c.NOTIFICATION_FAILURES, phases, channel="email", instance=instance)
        case.count(c.NOTIFICATION_FAILURES, 0, channel="slack", instance=instance)
    error = {"severity": of.style.severities[Severity.ERROR], "channel": "email"}
    hold, keep = of.up(of.timing.result_hold, step), of.up(of.timing.keep_firing, step)
    first, last = begin + step, begin + window
    case.silent(first + hold - step, alert)
    case.fires(first + hold, alert, error)
    case.fires(last + keep, alert, error)
    case.silent(last + keep + step, alert)
    return case


def _given_up(of: Context) -> Case:
    case = of.case("messages that are given up are counted once, whoever of several exposes them", GROUP)
    step = case.step
    for instance, rate in (("a:1", 2.0), ("b:1", 1.0)):
        case.count(c.NOTIFICATION_FAILURES, rate, channel="email", instance=instance)
        case.count(c.NOTIFICATION_FAILURES, 0, channel="slack", instance=instance)
    at = 2 * of.up(of.timing.long_window) + step
    n = of.timing.long_window / step
    case.records(at, given_up(of.timing), ({"channel": "email"}, 2 * n), ({"channel": "slack"}, 0))
    return case


def _relayed(of: Context) -> Case:
    name = "a type of receiver most of whose messages fail in our Alertmanager is an alert"
    case = of.case(name, GROUP, of.timing.long_window / 8)
    step = case.step
    n = of.timing.long_window / step
    expected: dict[str, list[tuple[dict[str, str], float]]] = {ATTEMPTED: [], FAILED: []}
    for job, integration, tried, failed in (
        (ALERTMANAGER_JOB, "email", 16, 9),
        (ALERTMANAGER_JOB, "slack", 16, 8),
        (ALERTMANAGER_JOB, "webhook", 16, 0),
        ("theirs", "email", 64, 0),
        ("theirs", "slack", 16, 16),
    ):
        for metric, count in ((ATTEMPTED, tried), (FAILED, failed)):
            for instance, share in (("a:1", 0.75), ("b:1", 0.25)):
                case.count(metric, count * share, job=job, integration=integration, instance=instance)
            if job == ALERTMANAGER_JOB:
                channel = ALERTMANAGER_CHANNEL.replace("$1", integration)
                expected[metric].append(({"channel": channel}, count * n))
    at = of.up(2 * of.timing.long_window + of.timing.result_hold, step) + 3 * step
    for metric, samples in expected.items():
        case.records(at, relayed(metric, of.timing), *samples)
    error = {"severity": of.style.severities[Severity.ERROR]}
    case.fires(at, c.ALERT_NOTIFICATIONS_FAILING, {**expected[FAILED][0][0], **error})
    return case


# ── the fleet ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _fleet(of: Context) -> Case:
    case = of.case("requests of all models add up, and so do those that fail", "fleet")
    for model, rate, failed in ((of.model(), 16, 3), (of.model(version=OTHER_VERSION), 8, 1), (of.model("x"), 0, 0)):
        case.count(c.PREDICTIONS, rate, **model)
        case.count(c.PREDICTION_ERRORS, failed, **model)
    at = of.timing.short_window + 4 * case.step
    n = of.timing.short_window / case.step
    case.records(at, fleet_rate(of.timing), ({}, 24 * n / of.timing.short_window))
    case.records(at, fleet_error_ratio(of.timing), ({}, 4 / 24))
    return case


def _idle_fleet(of: Context, rate: float) -> Case:
    case = of.case(f"a fleet with {'hardly any' if rate else 'no'} requests fails at a rate of its own", "fleet")
    case.count(c.PREDICTIONS, rate, **of.model())
    case.count(c.PREDICTION_ERRORS, rate, **of.model())
    case.records(of.timing.short_window, fleet_error_ratio(of.timing), *([({}, 1)] if rate else []))
    return case


def _worst(of: Context) -> Case:
    case = of.case("a model is as bad as the worst of its drift and its performance", "fleet")
    step, t, bridge = case.step, 10 * case.step, of.down(of.timing.bridge)
    model, neighbour = of.model(), of.model(of.neighbour)
    for severity, drift_type in ((3, "data"), (1, "prediction")):
        case.give(c.DRIFT_SEVERITY, severity, **model, drift_type=drift_type, feature="", segment="")
    case.give(c.PERFORMANCE_SEVERITY, 2, **model, metric="auc", segment="")
    phases = [(t, 4.0), (t, 2.0)]
    case.give(c.PERFORMANCE_SEVERITY, phases, **neighbour, metric="rmse", segment="")
    case.give(c.PERFORMANCE_SEVERITY, 1, **of.model("calm"), metric="rmse", segment="")
    calm = {c.MODEL_ID: "calm"}, 1
    me, they = {c.MODEL_ID: of.subject}, {c.MODEL_ID: of.neighbour}
    last = 2 * t - step
    for at, worst in ((t - step, 4), (t + step, 2), (last + bridge, 2), (last + bridge + step, None)):
        case.records(at, WORST, (me, 3), calm, *([] if worst is None else [(they, worst)]))
        case.records(at, FLEET_ALARMED, ({}, 1 if worst is None else 2))
    return case


def _watchdog(of: Context) -> Case:
    case = of.case("the dead man's switch always fires", "watchdog")
    case.fires(0, c.ALERT_WATCHDOG, {"severity": of.style.severities[Severity.NONE]})
    return case
