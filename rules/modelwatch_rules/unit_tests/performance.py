"""Cases about performance metrics that were reported beyond their floor or ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelwatch import conventions as c
from modelwatch.conventions import SEGMENT
from modelwatch.policy import Severity
from modelwatch_rules.alerting import THRESHOLD_TIERS
from modelwatch_rules.recording import ABOVE_CEILING, BELOW_FLOOR, LAST_VALUE, VALUE_ABOVE, VALUE_BELOW, WORTH
from modelwatch_rules.unit_tests.case import GONE, Case, Phase, Values
from modelwatch_rules.unit_tests.context import OTHER_VERSION, Context
from modelwatch_rules.unit_tests.remembered import STOPPED

__all__ = ["cases"]

GROUP = "performance"
ALL = {SEGMENT: "all"}
LOW, FLOOR, CEILING, HIGH = 0.125, 0.25, 0.75, 0.875


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the group."""
    yield _bridged(of)
    yield _sides(of)
    yield _tiers(of)


def give_verdict(
    case: Case, model: Mapping[str, str], metric: str, worth: Values, value: Values | None, *bounds: str
) -> None:
    """Give a metric of a model with some thresholds; None for a value that is not known."""
    case.give(c.PERFORMANCE_SEVERITY, worth, **model, metric=metric, **ALL)
    if value is not None:
        case.give(c.METRIC_VALUE, value, **model, metric=metric)
    for bound in bounds:
        case.give(c.PERFORMANCE_THRESHOLD, FLOOR if bound == "min" else CEILING, **model, metric=metric, bound=bound)


def _bridged(of: Context) -> Case:
    step = STOPPED * of.timing.bridge
    case = of.case("what was reported outlives its last sample for a while; of several, the highest", GROUP, step)
    model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)

    def falling(first: float, then: float) -> list[Phase]:
        return [(step, first), (step, then), (9 * step, GONE)]

    for metric, record, more in ((c.METRIC_VALUE, LAST_VALUE, {}), (c.PERFORMANCE_SEVERITY, WORTH, ALL)):
        auc = {"metric": "auc", **more}
        case.give(metric, falling(4, 2), **model, **auc, instance="a:1")
        case.give(metric, falling(3, 1), **model, **auc, instance="b:1")
        always = [({**model, **auc, "metric": "rmse"}, 1), ({**other, **auc}, 3), ({**neighbour, **auc}, 4)]
        for labels, value in always:
            case.give(metric, value, **labels)
        # One step after the last sample it is bridged, two steps after it is not.
        for at, still in ((step, True), (2 * step, True), (3 * step, False)):
            case.records(at, record, *([({**model, **auc}, 2)] if still else []), *always)
    return case


def _sides(of: Context) -> Case:
    step = of.timing.result_hold / 2
    case = of.case("a metric is beyond its floor or its ceiling, whichever its value tells", GROUP, step)
    model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    both, floor, ceiling, none = ("min", "max"), ("min",), ("max",), ()
    # Same names beside each other: nothing that is said of one may be taken for the other.
    rows: list[tuple[dict[str, str], str, float | None, tuple[str, ...], str]] = [
        (model, "bias", HIGH, both, "above"), (other, "bias", LOW, both, "below"), (model, "skew", LOW, both, "below"),
        (model, "at_floor", FLOOR, both, "either"), (model, "at_ceiling", CEILING, both, "either"),
        (model, "not_known", None, both, "either"), (neighbour, "bias", None, both, "either"),
        (model, "auc", LOW, floor, "below"), (model, "rmse", HIGH, ceiling, "above"), (model, "mse", HIGH, none, ""),
        (neighbour, "rmse", LOW, floor, "below"),
        (model, "mae", None, ceiling, "above"), (neighbour, "mae", None, floor, "below"),
    ]  # fmt: skip
    for one, metric, value, bounds, _ in rows:
        give_verdict(case, one, metric, 2, value, *bounds)
    # The thresholds are of another group, which may come after this one.
    at = 2 * step
    for record, extreme, bound in ((VALUE_BELOW, LOW, "min"), (VALUE_ABOVE, HIGH, "max")):
        beyond = [(one, metric) for one, metric, value, bounds, _ in rows if value == extreme and bound in bounds]
        case.records(at, record, *(({**one, "metric": metric}, extreme) for one, metric in beyond))
    for record, side in ((BELOW_FLOOR, "below"), (ABOVE_CEILING, "above")):
        told = [{**one, "metric": metric, **ALL} for one, metric, _, _, said in rows if said in (side, "either")]
        case.records(at, record, *((labels, 2) for labels in told))
    return case


def _tiers(of: Context) -> Case:
    step = of.timing.result_hold / 2
    case = of.case("a verdict fires the tier that it is worth and those below, once it has lasted", GROUP, step)
    keep = of.up(of.timing.keep_firing, step)
    begin, well = 2 * step, 7 * step
    expected: dict[str, list[dict[str, str]]] = {c.ALERT_BELOW_FLOOR: [], c.ALERT_ABOVE_CEILING: []}
    for below in range(5):
        model = of.model(f"worth_{below}")
        for alert, metric, worth, value, bound in (
            (c.ALERT_BELOW_FLOOR, "auc", below, LOW, "min"), (c.ALERT_ABOVE_CEILING, "rmse", 4 - below, HIGH, "max"),
        ):  # fmt: skip
            give_verdict(case, model, metric, [(begin, 0), (well - begin, worth), (keep + 9 * step, 0)], value, bound)
            expected[alert] += of.tiers({**model, "metric": metric, **ALL}, THRESHOLD_TIERS, Severity(worth))
    for alert, alerts in expected.items():
        case.silent(begin + step, alert)
        case.fires(begin + 2 * step, alert, *alerts)
        case.fires(well + keep - step, alert, *alerts)
        case.silent(well + keep, alert)
    return case
