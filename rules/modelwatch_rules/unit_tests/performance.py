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
FLOOR, CEILING = 0.25, 0.75


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
        case.give(metric, falling(4, 2), **model, metric="auc", **more, instance="a:1")
        case.give(metric, falling(3, 1), **model, metric="auc", **more, instance="b:1")
        for labels, value in (
            ({**model, "metric": "rmse", **more}, 1), ({**other, "metric": "auc", **more}, 3),
            ({**neighbour, "metric": "auc", **more}, 4),
        ):  # fmt: skip
            case.give(metric, value, **labels)
        always = (
            ({**model, "metric": "rmse", **more}, 1), ({**other, "metric": "auc", **more}, 3),
            ({**neighbour, "metric": "auc", **more}, 4),
        )  # fmt: skip
        for at, value in ((step, 2), (2 * step, 2), (3 * step, None)):
            case.records(at, record, *([] if value is None else [({**model, "metric": "auc", **more}, value)]), *always)
    return case


def _sides(of: Context) -> Case:
    step = of.timing.result_hold / 2
    case = of.case("a metric is beyond its floor or its ceiling, whichever its value tells", GROUP, step)
    below: list[tuple[dict[str, str], float]] = []
    above: list[tuple[dict[str, str], float]] = []
    worth = 2
    model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    # Same names beside each other: nothing that is said of one may be taken for the other.
    for one, metric, value, bounds, sides in (
        (model, "bias", 0.875, ("min", "max"), [above]),
        (other, "bias", 0.125, ("min", "max"), [below]),
        (model, "skew", 0.125, ("min", "max"), [below]),
        (model, "at_floor", FLOOR, ("min", "max"), [below, above]),
        (model, "at_ceiling", CEILING, ("min", "max"), [below, above]),
        (model, "not_known", None, ("min", "max"), [below, above]),
        (model, "auc", 0.125, ("min",), [below]),
        (model, "rmse", 0.875, ("max",), [above]),
        (model, "no_limit", 0.5, (), []),
        (model, "mae", None, ("max",), [above]),
        (neighbour, "mae", None, ("min",), [below]),
        (neighbour, "bias", None, ("min", "max"), [below, above]),
        (neighbour, "rmse", 0.125, ("min",), [below]),
    ):  # fmt: skip
        give_verdict(case, one, metric, worth, value, *bounds)
        for side in sides:
            side.append(({**one, "metric": metric, **ALL}, worth))
    values = {
        VALUE_ABOVE: [(model, "bias", 0.875), (model, "rmse", 0.875)],
        VALUE_BELOW: [
            (other, "bias", 0.125),
            (model, "skew", 0.125),
            (model, "auc", 0.125),
            (neighbour, "rmse", 0.125),
        ],
    }
    # The thresholds are of another group, which may come after this one.
    at = 2 * step
    for record, beyond in values.items():
        case.records(at, record, *(({**one, "metric": metric}, value) for one, metric, value in beyond))
    case.records(at, BELOW_FLOOR, *below)
    case.records(at, ABOVE_CEILING, *above)
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
            (c.ALERT_BELOW_FLOOR, "auc", below, 0.125, "min"), (c.ALERT_ABOVE_CEILING, "rmse", 4 - below, 0.875, "max"),
        ):  # fmt: skip
            give_verdict(case, model, metric, [(begin, 0), (well - begin, worth), (keep + 9 * step, 0)], value, bound)
            expected[alert] += of.tiers({**model, "metric": metric, **ALL}, THRESHOLD_TIERS, Severity(worth))
    for alert, alerts in expected.items():
        case.silent(begin + step, alert)
        case.fires(begin + 2 * step, alert, *alerts)
        case.fires(well + keep - step, alert, *alerts)
        case.silent(well + keep, alert)
    return case
