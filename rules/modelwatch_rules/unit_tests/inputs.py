"""Cases about missing and novel inputs of models without a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from modelwatch import conventions as c
from modelwatch.conventions import Metric
from modelwatch_rules.anomalies import DAY
from modelwatch_rules.inputs import (
    HISTORY_DAYS,
    INPUTS,
    JUMP,
    UNREFERENCED,
    by_day,
    expected,
    looked_at,
    median,
    share,
    usual,
)
from modelwatch_rules.limits import MIN_REQUESTS
from modelwatch_rules.unit_tests.case import GONE, Case, Phase
from modelwatch_rules.unit_tests.context import OTHER_VERSION, Context
from modelwatch_rules.unit_tests.days import SLOTS, history, slot
from modelwatch_rules.unit_tests.lasting import check_lasting, everybody, long_enough, told

__all__ = ["cases"]

GROUP = "inputs"
BAD = {
    c.FEATURE_MISSING: (
        (c.FEATURE_MISSING, {"profile": "a"}), (c.FEATURE_MISSING, {"profile": "b"}),
        (c.FEATURE_INVALID, {"reason": "type"}), (c.FEATURE_INVALID, {"reason": "parse"}),
    ),
    c.FEATURE_OUT_OF_RANGE: (
        (c.FEATURE_OUT_OF_RANGE, {"side": "below"}), (c.FEATURE_OUT_OF_RANGE, {"side": "above"}),
        (c.FEATURE_CATEGORY, {"category": c.UNSEEN, "profile": "a"}),
        (c.FEATURE_CATEGORY, {"category": c.UNSEEN, "profile": "b"}),
    ),
}  # fmt: skip
"""What counts as missing, and as novel."""


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the group."""
    yield _shares(of)
    yield _unreferenced(of)
    yield _days_before(of)
    yield _lasting(of)
    yield _limits(of)


# ── shares ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _shares(of: Context) -> Case:
    step = of.timing.long_window / 4
    case = of.case("shares of missing and novel values are of what was looked at, where that is enough", GROUP, step)
    at = 2 * of.timing.long_window + 2 * step
    model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    enough, few, referenced = of.model("just_enough"), of.model("too_few"), of.model(of.neighbour, OTHER_VERSION)
    rates = [(model, 32), (other, 64), (neighbour, 128), (enough, MIN_REQUESTS / 4), (few, 24), (referenced, 32)]
    for labels, rate in rates:
        for instance, part in (("a:1", 0.75), ("b:1", 0.25)):
            case.count(c.SAMPLED_PREDICTIONS, part * rate, **labels, instance=instance)
        if labels is not referenced:
            case.give(c.DRIFT_STATE, 1, **labels, drift_type="data", state="learning")
        for kinds in BAD.values():
            for metric, more in kinds:
                for feature, part in (({"feature": "age"}, 8), ({"feature": "town"}, 32), ({}, 2)):
                    case.count(metric, rate / part, **labels, **feature, **more)
        case.count(c.FEATURE_CATEGORY, rate / 4, **labels, feature="town", category="Rome")
    seen = [(labels, rate * 4) for labels, rate in rates if labels is not few]
    case.records(at, looked_at(of.timing), *seen)
    for _, metric, _ in INPUTS:
        shares = [
            ({**labels, "feature": feature}, value)
            for labels in (model, other, neighbour, enough)
            for feature, value in (("age", 0.5), ("town", 0.125))
        ]
        case.records(at, share(metric, of.timing), *shares)
    return case


def _unreferenced(of: Context) -> Case:
    step = 0.4 * of.timing.bridge
    name = "a model is without a reference while the check of its data says so, and a while longer"
    case = of.case(name, GROUP, step)
    model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    for instance in ("a:1", "b:1"):
        case.give(c.DRIFT_STATE, 1, **other, drift_type="data", state="no_reference", instance=instance)
    case.give(c.DRIFT_STATE, 0, **other, drift_type="data", state="learning")
    for drift_type, state in (("data", "ok"), ("prediction", "learning"), ("prediction", "no_reference")):
        case.give(c.DRIFT_STATE, 1, **neighbour, drift_type=drift_type, state=state)
    case.give(c.DRIFT_STATE, [(step, 1), (9 * step, 0)], **neighbour, drift_type="data", state="learning")
    case.give(c.DRIFT_STATE, [(step, 1), (9 * step, GONE)], **model, drift_type="data", state="learning")
    case.records(2 * step, UNREFERENCED, (model, 1), (other, 1))
    case.records(3 * step, UNREFERENCED, (other, 1))
    return case


# ── what is usual ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Habit:
    """What the share of an input was for nine days, by how many samples ago that was; and what follows from it.

    `most` is by days, around this time; `middle` is the median, None where too little is known.
    """

    feature: str
    share: Callable[[int], float | None]
    middle: float | None = None
    most: Mapping[int, float] = field(default_factory=dict)


def _days_before(of: Context) -> Case:
    name = "a share is judged by most hours of the days before, and by this time of yesterday and a week ago"
    case = of.case(name, GROUP, slot(of))
    slots = 9 * SLOTS + 3
    at, habits = slots * slot(of), [*_habits(of), *_stories()]
    for alert, metric, _ in INPUTS:
        inputs = [(habit, {**of.model(), "feature": habit.feature}) for habit in habits]
        for habit, labels in inputs:
            case.give(share(metric, of.timing), history(of, slots, habit.share), **labels)
        known = [(habit, labels, habit.middle) for habit, labels in inputs if habit.middle is not None]
        by_days = [({**labels, DAY: str(day)}, most) for habit, labels in inputs for day, most in habit.most.items()]
        case.records(at, median(metric, of.timing), *((labels, middle) for _, labels, middle in known))
        case.records(at, by_day(metric, of.timing), *by_days)
        case.records(
            at, expected(metric, of.timing),
            *((labels, max(middle, *habit.most.values(), 0)) for habit, labels, middle in known),
        )  # fmt: skip
        case.fires(at, alert, *told(of, alert, [{**of.model(), "feature": "broken_for_days"}]))
    return case


def _habits(of: Context) -> Iterator[Habit]:
    """Yield shares that change too little to be a fault."""
    hour, week = of.timing.long_window / slot(of), HISTORY_DAYS * SLOTS
    lately, centre = round(0.8 * hour), week / 2 + hour

    def in_three_steps(ago: int) -> float:
        return 0.0625 if abs(ago - centre) <= 9 else 0.0 if centre < ago <= week + hour else 0.125

    # What is more than an hour before or after this time does not count.
    other_hours = dict.fromkeys((SLOTS - 2, SLOTS + 2, week - 2, week + 2), 0.75)
    around_now = {SLOTS + 1: 0.25, week + 1: 0.375, **other_hours}
    seldom = {week - SLOTS: 0.25, 2 * lately: 0.375, lately: 0.375}
    since_yesterday = {max(SLOTS + 6, 2 * lately): 0.125}
    yield Habit("in_three_steps", in_three_steps, 0.0625, {1: 0.125, HISTORY_DAYS: 0})
    yield Habit("around_now", lambda ago: around_now.get(ago, 0.125), 0.125, {1: 0.25, HISTORY_DAYS: 0.375})
    yield Habit("seldom", seldom.get, (0.25 + 0.375) / 2)
    yield Habit("since_yesterday", since_yesterday.get, 0.125)
    yield Habit("forgotten", lambda ago: 0.125 if ago <= SLOTS - 6 or ago == 9 * SLOTS else None)
    yield Habit("gone", lambda ago: 0.125 if ago > 8.5 * SLOTS else None)


def _stories() -> Iterator[Habit]:
    """Yield shares that are all or nothing."""

    def at_weekends(ago: int) -> float:
        # It is noon on a Saturday.
        return float((SLOTS // 2 - ago) % (HISTORY_DAYS * SLOTS) < 2 * SLOTS)

    def broken(ago: int) -> float | None:
        # Nights have too few requests.
        return float(ago <= 6.2 * SLOTS) if ago % SLOTS < 0.6 * SLOTS else None

    everywhere = {1: 1.0, HISTORY_DAYS: 1.0}
    yield Habit("at_night", lambda ago: float(ago % SLOTS <= 8), 0, everywhere)
    yield Habit("at_weekends", at_weekends, 0, {1: 0, HISTORY_DAYS: 1})
    yield Habit("always", lambda _: 1.0, 1, everywhere)
    yield Habit("first_hours", lambda ago: float(ago <= 3) if ago <= SLOTS - 6 else None)
    yield Habit("broken_for_days", broken, 1, {1: 1, HISTORY_DAYS: 0})
    yield Habit("mended", lambda ago: 0 if ago < 8 else broken(ago), 1, {1: 1, HISTORY_DAYS: 0})


def _expect(case: Case, of: Context, metric: Metric, labels: Mapping[str, str], phases: list[Phase]) -> None:
    """Give what is to be expected, as if some other day had had it."""
    case.give(by_day(metric, of.timing), phases, **labels, days_ago="2")


def _lasting(of: Context) -> Case:
    case = of.case("what is far above its usual share fires once that has lasted, until it is over", GROUP)
    step, begin, during, after = of.step, 4 * of.step, long_enough(of), of.up(of.timing.keep_firing) + 4 * of.step
    inputs = [{**of.model(model_id), "feature": "age"} for model_id in everybody(of)]
    for alert, metric, _ in INPUTS:
        for labels in inputs:
            # The days before know of the fault soon after it has begun.
            _expect(case, of, metric, labels, [(begin + step, 0), (during + after, 0.25)])
            case.give(share(metric, of.timing), [(begin, 0), (during, 0.25), (after, 0)], **labels)
        check_lasting(case, of, alert, begin, begin + during, told(of, alert, inputs))
        case.records(begin + during - step, usual(metric, of.timing), *((labels, 0) for labels in inputs))
        case.records(begin + during, usual(metric, of.timing), *((labels, 0.25) for labels in inputs))
    return case


def _limits(of: Context) -> Case:
    case = of.case(
        "what was usual stands while the share is far above it, also if that is not known for a while", GROUP
    )
    step, recall = of.step, of.timing.recall
    short, long = (of.down(times * recall) for times in (0.6, 1.5))
    begin = 3 * step + long
    at = begin + long_enough(of)

    def changes(first: float, then: float, lag: float = 0) -> list[Phase]:
        return [(begin + lag, first), (2 * at, then)]

    def lacks(seconds: float) -> list[Phase]:
        return [(begin - seconds, 0.0), (seconds, GONE), (2 * at, 0.25)]

    new: list[Phase] = [(begin, GONE), (2 * at, 0.25)]
    not_seen: list[Phase] = [(begin, 0), (of.up(of.timing.hold) + 2 * step, 0.25), (2 * at, GONE)]
    less_lately: list[Phase] = [(begin - 2 * step, 0.25), (3 * step, 0.125), (2 * at, 0.25)]
    rows = (
        ("just_far_above", changes(0, 0.25, step), changes(0, JUMP), 0, True),
        ("not_so_far_above", changes(0, 0), changes(0, 0.1875), 0, False),
        ("soon_expected", changes(0, 0.25, step), changes(0, 0.1875), 0.25, False),
        ("above_what_is_much", changes(0.125, 0.25, step), changes(0.125, 0.25), 0.25, False),
        ("less_expected_lately", less_lately, changes(0, 0.5), 0.125, True),
        # Two samples after the last that is known.
        ("not_seen_to_be_fine", changes(0, 0.25, step), not_seen, 0, 2 * step < of.timing.keep_firing),
        ("unknown_for_a_moment", lacks(short), new, 0, True),
        ("unknown_for_long", lacks(long), new, 0.25, False),
    )
    for alert, metric, _ in INPUTS:
        inputs = {name: {**of.model(), "feature": name} for name, *_ in rows}
        for name, then, now, _, _ in rows:
            _expect(case, of, metric, inputs[name], then)
            case.give(share(metric, of.timing), now, **inputs[name])
        case.records(at, usual(metric, of.timing), *((inputs[name], value) for name, _, _, value, _ in rows))
        case.fires(at, alert, *told(of, alert, (inputs[name] for name, *_, fires in rows if fires)))
    return case
