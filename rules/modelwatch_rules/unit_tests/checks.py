"""Cases about drift that checks found, and about checks that fail or do not happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelwatch import conventions as c
from modelwatch.conventions import DRIFT_TYPE, FEATURE, MODEL_ID, MODEL_LABELS, SEGMENT
from modelwatch.policy import Severity
from modelwatch_rules.alerting import DRIFT_TIERS, FAILURES_IN_A_ROW, TIERS_OF_DRIFT
from modelwatch_rules.recording import (
    CHECK_INTERVAL,
    CHECKED_LATELY,
    DRIFTED,
    DRIFTED_SEVERITY,
    FAILED_IN_A_ROW,
    FAILURES,
    FAILURES_BEFORE,
    LAST_SEEN,
    LAST_SUCCESS,
    NEVER_CHECKED,
    NEWEST_SUCCESS,
    REPORTED,
    SEVERITY,
    STALE_AFTER_INTERVALS,
    SUPERSEDED,
)
from modelwatch_rules.unit_tests.case import GONE, Case, Phase, Values
from modelwatch_rules.unit_tests.context import OTHER_VERSION, Context
from modelwatch_rules.unit_tests.remembered import STOPPED, STOPPED_TOO_LONG, Remembered

__all__ = ["cases"]

GROUP = "checks"
MEMORY = Remembered(GROUP, c.DRIFT_LAST_SUCCESS, LAST_SUCCESS, MODEL_LABELS, c.DRIFT_CHECK_INTERVAL, CHECK_INTERVAL)
DATA = {DRIFT_TYPE: "data", SEGMENT: "all"}
WHOLE = {SEGMENT: ""}


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the group."""
    yield from MEMORY.cases(of)
    yield from (_stopped(of, recalls) for recalls in (STOPPED, STOPPED_TOO_LONG))
    yield _results_bridged(of)
    yield _inputs_bridged(of)
    yield _drifted(of)
    yield _held(of)
    yield _failures(of)
    yield _drift_tiers(of)
    yield _failing(of)
    yield _few_failures(of)
    yield _stale(of)
    yield _failing_is_not_stale(of)
    yield _never_checked(of)


def give_checks(
    case: Case,
    model: Mapping[str, str],
    success: Values | None = None,
    interval: Values | None = None,
    failures: Values | None = None,
    **more: str,
) -> None:
    """Give what is known of a model's checks; None for nothing."""
    given = {c.DRIFT_LAST_SUCCESS: success, c.DRIFT_CHECK_INTERVAL: interval, c.DRIFT_CHECK_FAILURES: failures}
    for metric, values in given.items():
        if values is not None:
            case.give(metric, values, **model, **more)


def give_severity(case: Case, model: Mapping[str, str], values: Values, feature: str = "", **more: str) -> None:
    """Give the severity of drift of a model's inputs, or as `more` labels say; of all of them unless one is named."""
    case.give(c.DRIFT_SEVERITY, values, **{**model, **DATA, FEATURE: feature, **more})


def _falling(step: float, first: float, then: float) -> list[Phase]:
    """Return two samples, and none any more."""
    return [(step, first), (step, then), (99 * step, GONE)]


# ── what is recorded ─────────────────────────────────────────────────────────────────────────────────────────────────


def _stopped(of: Context, recalls: float) -> Case:
    """Return a case in which Prometheus is down for a step."""
    bridged = recalls < 1
    step = recalls * of.timing.recall
    name = f"the last result is {'remembered' if bridged else 'forgotten'} over a {'' if bridged else 'long '}stop"
    case = of.case(f"{name} of Prometheus", GROUP, step)
    model = of.model()
    give_checks(case, model, 0, of.timing.recall, 5)
    give_severity(case, model, [(step, 3), (step, GONE)])
    case.records(step, SEVERITY, *([({**model, **DATA}, 3)] if bridged else []))
    case.records(step, FAILURES_BEFORE, ({MODEL_ID: of.subject}, 5 if bridged else 0))
    return case


def _results_bridged(of: Context) -> Case:
    step = STOPPED * of.timing.bridge
    case = of.case("what a check said of a model outlives its last sample; of several, the highest", GROUP, step)
    model, neighbour = of.model(), of.model(of.neighbour)
    for instance, first, then in (("a:1", 4, 3), ("b:1", 3, 2)):
        give_severity(case, model, _falling(step, first, then), instance=instance)
        give_checks(case, model, failures=_falling(step, first, then), instance=instance)
    always = [
        ({**model, **DATA, DRIFT_TYPE: "prediction"}, 1), ({**model, **DATA, SEGMENT: "eu"}, 2),
        ({**of.model(version=OTHER_VERSION), **DATA}, 3), ({**neighbour, **DATA}, 4),
    ]  # fmt: skip
    for labels, value in always:
        case.give(c.DRIFT_SEVERITY, value, **labels, feature="")
    give_checks(case, neighbour, failures=7)
    # One step after the last sample it is bridged, two steps after it is not.
    for at, still in ((step, True), (2 * step, True), (3 * step, False)):
        case.records(at, REPORTED, *([({**model, **DATA}, 3)] if still else []), *always)
        own = [({MODEL_ID: of.subject}, 3)] if still else []
        case.records(at, FAILURES, *own, ({MODEL_ID: of.neighbour}, 7))
    return case


def _inputs_bridged(of: Context) -> Case:
    step = STOPPED * of.timing.bridge
    case = of.case("what a check said of inputs outlives its last sample; of several, the highest", GROUP, step)
    model, others = of.model(), (of.model(version=OTHER_VERSION), of.model(of.neighbour))
    for instance, first, then in (("a:1", 4, 3), ("b:1", 3, 2)):
        give_severity(case, model, _falling(step, first, then), "age", instance=instance, **WHOLE)
        share = _falling(step, first / 8, then / 8)
        for feature in ("age", "held"):
            case.give(c.DRIFT_ATTRIBUTION, share, **model, feature=feature, window="1h", instance=instance)
    give_severity(case, model, 2, "held", **WHOLE)
    for other in others:
        give_severity(case, other, 2, "age", **WHOLE)
        case.give(c.DRIFT_ATTRIBUTION, 0.75, **other, feature="age", window="1h")
    age, held = {**model, FEATURE: "age"}, {**model, FEATURE: "held"}
    ages = [{**other, FEATURE: "age"} for other in others]
    for at, still in ((step, True), (2 * step, True), (3 * step, False)):
        severities, shares = [(held, 2.0)], [(held, 3 / 8 if still else 0.0)]
        if still:
            severities.append((age, 3))
            shares.append((age, 3 / 8))
        case.records(at, DRIFTED_SEVERITY, *severities, *((other, 2) for other in ages))
        case.records(at, DRIFTED, *shares, *((other, 0.75) for other in ages))
    return case


def _drifted(of: Context) -> Case:
    case = of.case("inputs at warning or above are told by their share in the drift, or 0 while they are held", GROUP)
    model = of.model()
    for feature, severity, share, more in (
        ("age", 2, 0.5, WHOLE), ("age", 4, None, {SEGMENT: "eu"}), ("city", 4, None, {SEGMENT: "eu"}),
        ("hour", 1, 0.25, WHOLE), ("held", 3, None, WHOLE), ("score", 4, 0.125, {DRIFT_TYPE: "prediction", **WHOLE}),
        ("", 4, None, WHOLE),
    ):  # fmt: skip
        give_severity(case, model, severity, feature, **more)
        if share is not None:
            case.give(c.DRIFT_ATTRIBUTION, share, **model, feature=feature, window="24h")
    found = {"age": (2, 0.5), "held": (3, 0)}
    case.records(0, DRIFTED_SEVERITY, *(({**model, FEATURE: name}, severity) for name, (severity, _) in found.items()))
    case.records(0, DRIFTED, *(({**model, FEATURE: name}, share) for name, (_, share) in found.items()))
    return case


def _held(of: Context) -> Case:
    step = of.timing.recall / 4
    case = of.case("a result stands until a check is overdue, unless only other versions are checked", GROUP, step)
    interval = 4 * step
    overdue = STALE_AFTER_INTERVALS * interval
    newest, second, superseded = of.model(), of.model(version=OTHER_VERSION), of.model(version="superseded")
    neighbours = [of.model(of.neighbour, version) for version in (OTHER_VERSION, "superseded")]
    for model, success in (
        (newest, 0), (second, -overdue), (superseded, -overdue - step), *((one, step) for one in neighbours),
        (of.model("no_success"), None),
    ):  # fmt: skip
        give_checks(case, model, success, interval)
        give_severity(case, model, _falling(step, 4, 2))
        # That of an input is not that of all of them.
        give_severity(case, model, 3, "age")
    standing = [newest, second, *neighbours, of.model("no_success")]
    case.records(step, REPORTED, *(({**one, **DATA}, 2) for one in (*standing, superseded)))
    case.records(step, SEVERITY, *(({**one, **DATA}, 2) for one in standing))
    for at, lately in (
        (2 * step, [newest, *neighbours]), (overdue - step, [newest, *neighbours]), (overdue, neighbours),
        (overdue + step, []),
    ):  # fmt: skip
        case.records(at, CHECKED_LATELY, *((one, 0 if one is newest else step) for one in lately))
        case.records(at, SEVERITY, *(({**one, **DATA}, 2) for one in lately))
    case.records(step, SUPERSEDED, (superseded, -overdue - step))
    case.records(step, NEWEST_SUCCESS, ({MODEL_ID: of.subject}, 0), ({MODEL_ID: of.neighbour}, step))
    return case


def _failures(of: Context) -> Case:
    step = of.timing.recall / 4
    case = of.case("failures in a row are counted from the last success", GROUP, step)
    rising = [(step, 10), (step, 11), (step, 12), (9 * step, 14)]
    give_checks(case, of.model(), -step, 4 * step, rising)
    give_checks(case, of.model("begins_anew"), -step, 4 * step, [(step, 10), (step, 3), (9 * step, 5)])
    give_checks(case, of.model("no_success"), None, 4 * step, 5)
    give_checks(case, of.model("no_success_yet"), None, 4 * step, 0)
    for at, own, reset in ((0.0, (10, 0), (10, 0)), (step, (11, 0), (3, 0)), (2 * step, (11, 1), (3, 2))):
        counts = {of.subject: own, "begins_anew": reset, "no_success": (0, 5), "no_success_yet": (0, 0)}
        case.records(at, FAILURES_BEFORE, *(({MODEL_ID: name}, before) for name, (before, _) in counts.items()))
        case.records(at, FAILED_IN_A_ROW, *(({MODEL_ID: name}, since) for name, (_, since) in counts.items()))
    return case


# ── who is told ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _drift_tiers(of: Context) -> Case:
    step = of.timing.result_hold / 2
    case = of.case("drift fires the tier that it is worth and those below, once it has lasted", GROUP, step)
    keep, well = of.up(of.timing.keep_firing, step), 4 * step
    expected: dict[str, list[dict[str, str]]] = {alert: [] for alert in c.DRIFT_ALERTS.values()}
    for data in range(5):
        model = of.model(f"drift_{data}")
        for drift_type, worth in (("data", data), ("prediction", 4 - data), ("multivariate", (data + 1) % 5)):
            give_severity(case, model, [(well, worth), (keep + 9 * step, 0)], drift_type=drift_type)
            segment = {**model, SEGMENT: "all"}
            alert = c.DRIFT_ALERTS[drift_type]
            expected[alert] += of.tiers(segment, TIERS_OF_DRIFT.get(alert, DRIFT_TIERS), Severity(worth))
    for alert, alerts in expected.items():
        case.silent(step, alert)
        case.fires(2 * step, alert, *alerts)
        case.fires(well + keep - step, alert, *alerts)
        case.silent(well + keep, alert)
    return case


def _failing(of: Context) -> Case:
    step = of.timing.result_hold / 2
    case = of.case("checks that fail so often in a row are told, unless one has succeeded lately", GROUP, step)
    interval, success, well = 8 * step, -2 * step, 15 * step
    # Up to half an interval after a success, failures are put down to the time before it; after 1.5 the next is late.
    settled, late = success + interval / 2, success + 1.5 * interval + step
    keep = of.up(of.timing.keep_firing, step)

    def failing(before: float, begin: float, times: float) -> Values:
        return [(begin, before), (2 * well + keep, before + times)]

    for model_id in of.everybody:
        failures = failing(10, settled + step, FAILURES_IN_A_ROW)
        give_checks(case, of.model(model_id), [(well, success), (well + keep, well)], interval, failures)
    never = [(well, GONE), (well + keep, well)]
    give_checks(case, of.model("no_success"), never, interval, failing(0, late, FAILURES_IN_A_ROW))
    expected = of.alarms(c.ALERT_CHECK_FAILING, *of.everybody, "no_success")
    case.silent(late + step, c.ALERT_CHECK_FAILING)
    case.fires(late + 2 * step, c.ALERT_CHECK_FAILING, *expected)
    case.fires(well + keep - step, c.ALERT_CHECK_FAILING, *expected)
    case.silent(well + keep, c.ALERT_CHECK_FAILING)
    return case


def _few_failures(of: Context) -> Case:
    step = of.timing.result_hold / 2
    case = of.case("fewer failures in a row are not told", GROUP, step)
    for model_id in of.everybody:
        give_checks(case, of.model(model_id), -99 * step, step, FAILURES_IN_A_ROW - 1)
    case.silent(2 * step, c.ALERT_CHECK_FAILING)
    return case


def _stale(of: Context) -> Case:
    step = of.timing.hold / 2
    case = of.case("checks that stopped are told until they succeed again", GROUP, step)
    interval, success, well = 2 * step, -2 * step, 9 * step
    overdue = success + STALE_AFTER_INTERVALS * interval + step
    again = [(well, success), (2 * well, well)]
    for model_id in of.everybody:
        give_checks(case, of.model(model_id), again, interval, FAILURES_IN_A_ROW - 1)
    give_checks(case, of.model("nothing_failed"), again, interval)
    give_checks(case, of.model("seldom_checked"), success, 18 * interval)
    expected = of.alarms(c.ALERT_CHECK_STALE, *of.everybody, "nothing_failed")
    case.silent(overdue + step, c.ALERT_CHECK_STALE)
    case.fires(overdue + 2 * step, c.ALERT_CHECK_STALE, *expected)
    case.fires(well - step, c.ALERT_CHECK_STALE, *expected)
    case.silent(well, c.ALERT_CHECK_STALE)
    return case


def _failing_is_not_stale(of: Context) -> Case:
    step = of.timing.hold / 2
    case = of.case("checks that fail are told as such, and not as checks that stopped", GROUP, step)
    for model_id in of.everybody:
        give_checks(case, of.model(model_id), -99 * step, step, FAILURES_IN_A_ROW)
    case.silent(2 * step, c.ALERT_CHECK_STALE)
    case.fires(2 * step, c.ALERT_CHECK_FAILING, *of.alarms(c.ALERT_CHECK_FAILING, *of.everybody))
    return case


def _never_checked(of: Context) -> Case:
    day = of.timing.day
    step = day / 8
    case = of.case("checks of a model that is used since a day are stale if none has ever succeeded", GROUP, step)
    # As the group about silence records it: with such long steps it would not be seen here if that group came later.
    used = [(3 * step, -step), (2 * day, 2 * step)]
    for model_id in (*of.everybody, "checked"):
        case.give(LAST_SEEN, used, model_id=model_id)
    give_checks(case, of.model("checked"), 0, day)
    case.give(LAST_SEEN, [(day / 2, GONE), (2 * day, 0)], model_id="new")
    # Used for the last time so long ago that it is forgotten before a check is missed.
    case.give(LAST_SEEN, [(day / 2, day / 2 - of.timing.memory), (2 * day, GONE)], model_id="forgotten")
    since = day + 2 * step
    case.records(day + step, NEVER_CHECKED, *(({MODEL_ID: model_id}, since) for model_id in of.everybody))
    case.silent(day - step, c.ALERT_CHECK_STALE)
    told = day + of.up(of.timing.hold, step) + step
    case.fires(told, c.ALERT_CHECK_STALE, *of.alarms(c.ALERT_CHECK_STALE, *of.everybody))
    return case
