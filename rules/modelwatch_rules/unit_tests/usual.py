"""Cases about traffic that is not as usual at this time of the day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelwatch import conventions as c
from modelwatch_rules.anomalies import (
    DAY,
    DAYS,
    FACTOR,
    KNOWN_DAYS,
    LEAST_BY_DAY,
    LEAST_OF_DAYS,
    MOST_BY_DAY,
    MOST_OF_DAYS,
    requests,
)
from modelwatch_rules.limits import MIN_REQUESTS
from modelwatch_rules.recording import windows
from modelwatch_rules.unit_tests.case import GONE, Case, Values
from modelwatch_rules.unit_tests.context import OTHER_VERSION, Context
from modelwatch_rules.unit_tests.days import SLOTS, history, slot
from modelwatch_rules.unit_tests.lasting import check_lasting, everybody, long_enough, told

__all__ = ["cases"]

GROUP = "usual"


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the group."""
    yield _by_day(of)
    yield _of_days(of)
    yield _lasting(of)
    yield _limits(of)


def _by_day(of: Context) -> Case:
    name = "each of the days before has its least and most around this time, whatever else it had"
    case = of.case(name, GROUP, slot(of))
    slots, days = DAYS * SLOTS + 2, range(1, DAYS + 1)
    # Requests just then, not quite an hour before and after, and at all other times.
    for model_id, then, before, after, else_ in ((of.subject, 16, 64, 32, 256), (of.neighbour, 16, 4, 8, 1)):
        near = {0: then, 1: before, SLOTS - 1: after}

        def number(ago: int, near: Mapping[int, int] = near, else_: int = else_) -> float:
            return near[ago % SLOTS] + round(ago / SLOTS) if ago % SLOTS in near else else_

        case.give(requests(of.timing), history(of, slots, number), model_id=model_id)
    for record, subject, neighbour in ((LEAST_BY_DAY, 16, 4), (MOST_BY_DAY, 64, 16)):
        for_each = [
            ({c.MODEL_ID: model_id, DAY: str(day)}, number_then + day)
            for model_id, number_then in ((of.subject, subject), (of.neighbour, neighbour))
            for day in days
        ]
        case.records(slots * slot(of), record, *for_each)
    return case


def _of_days(of: Context) -> Case:
    case = of.case("usual is from the least to the most of all days, where enough of them are known", GROUP)
    for model_id, days in ((of.subject, DAYS), (of.neighbour, KNOWN_DAYS), ("young", KNOWN_DAYS - 1)):
        for day in range(1, days + 1):
            case.give(LEAST_BY_DAY, 8 + day, model_id=model_id, days_ago=str(day))
            case.give(MOST_BY_DAY, 64 - day, model_id=model_id, days_ago=str(day))
    for record, usual in ((LEAST_OF_DAYS, 9), (MOST_OF_DAYS, 63)):
        case.records(of.step, record, *(({c.MODEL_ID: one}, usual) for one in (of.subject, of.neighbour)))
    return case


def _give(of: Context, case: Case, model_id: str, least: float, most: float, now: Values) -> None:
    """Give what is usual, of as many days as must be known, and the requests now."""
    for day in range(1, KNOWN_DAYS + 1):
        case.give(LEAST_BY_DAY, least, model_id=model_id, days_ago=str(day))
        case.give(MOST_BY_DAY, most, model_id=model_id, days_ago=str(day))
    case.give(windows(of.timing)[1].predictions, now, **of.model(model_id))


def _lasting(of: Context) -> Case:
    case = of.case("far fewer or far more requests than usual fire once that has lasted, until it is over", GROUP)
    begin, during, after = of.up(1.25 * of.timing.long_window), long_enough(of), 2 * of.up(of.timing.keep_firing)
    models = [({c.MODEL_ID: model_id}, (8, 1024)[place % 2]) for place, model_id in enumerate(everybody(of))]
    for labels, unusual in models:
        most, rest = ([(begin, part * 128), (during, part * unusual), (after, part * 128)] for part in (0.75, 0.25))
        _give(of, case, labels[c.MODEL_ID], 128, 128, most)
        case.give(windows(of.timing)[1].predictions, rest, **of.model(labels[c.MODEL_ID], OTHER_VERSION))
    case.records(begin, requests(of.timing), *models)
    expected = told(of, c.ALERT_TRAFFIC_ANOMALY, (labels for labels, _ in models))
    check_lasting(case, of, c.ALERT_TRAFFIC_ANOMALY, begin, begin + during, expected)
    return case


def _limits(of: Context) -> Case:
    case = of.case("at a limit traffic is still usual, and where few requests or a part of the hour are known", GROUP)
    at, lately = of.up(1.25 * of.timing.long_window), of.up(0.75 * of.timing.long_window)
    enough, few = MIN_REQUESTS, 0.96 * MIN_REQUESTS
    firing = []
    for model_id, least, most, now, fires in (
        ("less_than_a_fifth", enough, enough, enough / FACTOR - 1, True),
        ("a_fifth", enough, enough, enough / FACTOR, False),
        ("days_too_quiet_for_fewer", few, enough, 1, False),
        ("more_than_five_times", 1, enough / FACTOR, enough + 1, True),
        ("five_times", 1, enough / FACTOR, enough, False),
        ("enough_for_more", 1, 16, enough, True),
        ("too_few_for_more", 1, 16, few, False),
        ("hardly_ever_asked", 0, 1, enough, True),
        ("never_asked_at_this_time", 0, 0, 64 * enough, False),
        ("seen_for_a_part_of_the_hour", enough, enough, [(at - lately, GONE), (2 * at, 1.0)], False),
    ):  # fmt: skip
        _give(of, case, model_id, least, most, now)
        firing += [{c.MODEL_ID: model_id}] if fires else []
    case.fires(at, c.ALERT_TRAFFIC_ANOMALY, *told(of, c.ALERT_TRAFFIC_ANOMALY, firing))
    return case
