"""Cases about objectives: budgets, how fast they burn, and when that is an alert.

Windows of hours and days are looked at from recorded requests, which are given here as if they had been recorded: so a
sample an hour, or fewer, is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelwatch import conventions as c
from modelwatch.policy import Severity
from modelwatch_rules.limits import MIN_ERRORS, MIN_REQUESTS
from modelwatch_rules.slo import (
    ALL,
    ALLOWED,
    BAD,
    BASE_HOURS,
    BUDGET,
    BURNS,
    IN_TIME,
    LEFT,
    PERIOD,
    PERIODS,
    Burn,
    burn_rate,
    burning,
)
from modelwatch_rules.timing import prometheus_duration
from modelwatch_rules.unit_tests.case import Case
from modelwatch_rules.unit_tests.context import OTHER_VERSION, Context

__all__ = ["cases"]

GROUP = "objectives"
TIERS = (Severity.WARNING, Severity.CRITICAL)
PARTS = 3.2
"""Steps in a window of hours or days: none begins at a sample."""
INSIDE, INSIDE_TWICE, OLDEST = 4, 7, 9
"""Samples in such a window, and in one twice as long; how many steps ago the oldest is."""
MONTH_STEP_HOURS = 50
JUST_ABOVE = 1.125
LOTS = 2.0**20
"""So many requests that a window which holds them shows nothing else."""


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the group."""
    yield _requests(of)
    yield _objectives(of)
    windows = sorted({hours for burn in BURNS for hours in (burn.long, burn.short)} - {BASE_HOURS})
    yield from (_window(of, hours) for hours in windows)
    yield _month(of)
    yield from (_burn(of, burn) for burn in BURNS)
    yield from (_volume(of, burn) for burn in BURNS)
    yield _end(of)


def _hours(of: Context, hours: float) -> float:
    return hours * of.timing.budget_hour


def _recorded(of: Context) -> tuple[str, str]:
    """Return the names of bad requests and of all."""
    base = prometheus_duration(_hours(of, BASE_HOURS))
    return f"{BAD}:increase{base}", f"{ALL}:increase{base}"


def _key(model_id: str, metric: str = "error_rate") -> dict[str, str]:
    return {c.MODEL_ID: model_id, "metric": metric}


def _give_objective(case: Case, model: Mapping[str, str], allowed: float, *, months: float = 1) -> None:
    case.give(c.OBJECTIVE, allowed, **model, metric="error_rate", upper="")
    case.give(c.OBJECTIVE_WINDOW, months * PERIOD, **model)


def _give_requests(
    case: Case, key: Mapping[str, str], name: str, recent: Mapping[int, float], usual: float = 0
) -> None:
    """Give a recorded series by how many samples ago: some recent ones, and what all others are."""
    values = [recent.get(ago, usual) for ago in range(OLDEST, -1, -1)]
    case.give(name, [(case.step, value) for value in values], **key)


def _requests(of: Context) -> Case:
    name = "bad requests are those that fail, or are slower than the bound that their version promises"
    case = of.case(name, GROUP, _hours(of, BASE_HOURS) / 2)
    model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    without, seldom, idle = of.model("without"), of.model("seldom"), of.model("idle")
    own = {"0.1": 0.25, "0.15": 0.5, "+Inf": 1}
    for one, rate, buckets, instance in (
        (model, 16, own, "a:1"), (model, 8, own, "b:1"), (other, 4, {"0.1": 0.25, "0.2": 0.75, "+Inf": 1}, "a:1"),
        (neighbour, 16, own, "a:1"), (without, 16, own, "a:1"), (seldom, 2.0**-8, own, "a:1"), (idle, 0, own, "a:1"),
        (of.model(version="no_bound"), 64, {"0.1": 0.25, "+Inf": 1}, "a:1"),
    ):  # fmt: skip
        case.count(c.PREDICTIONS, rate, **one, instance=instance)
        case.count(c.PREDICTION_ERRORS, rate / 4, **one, instance=instance)
        for bound, share in buckets.items():
            case.count(c.PREDICTION_LATENCY, rate * share, "_bucket", **one, le=bound, instance=instance)
    for one in (model, seldom, idle):
        _give_objective(case, one, 0.125)
    for one, bound in ((model, "0.15"), (other, "0.2"), (neighbour, "0.1"), (neighbour, "0.15")):
        case.give(c.OBJECTIVE, 0.0625, **one, metric="latency_ms", upper=bound)
    bad, every = _recorded(of)
    at, me = 8 * case.step, of.subject
    errors, slow, slower = _key(me), _key(me, "latency_ms"), _key(of.neighbour, "latency_ms")
    rarely, nothing = _key("seldom"), _key("idle")
    in_time = bad.replace(BAD, IN_TIME)
    case.records(at, in_time, (model, 24), (other, 6), (neighbour, 16))
    # Of 28 requests a sample that have a bound, 12 and 1 are beyond it.
    case.records(at, bad, (errors, 46), (slow, 26), (slower, 16), (rarely, 2.0**-9), (nothing, 0))
    case.records(at, every, (errors, 184), (slow, 56), (slower, 32), (rarely, 2.0**-7), (nothing, 0))
    rates = (errors, 0.25 / 0.125), (slow, 26 / 56 / 0.0625), (slower, 0.5 / 0.0625), (rarely, 0.25 / 0.125)
    case.records(at, burn_rate(BASE_HOURS, of.timing), *rates)
    return case


def _objectives(of: Context) -> Case:
    case = of.case("an objective outlives its last sample for a while; of several, the strictest is kept", GROUP)
    step, t, bridge = case.step, 10 * case.step, of.down(of.timing.bridge)
    model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    for instance, scale in (("a:1", 1.0), ("b:1", 0.5)):
        case.give(c.OBJECTIVE, [(t, scale), (t, scale / 4)], **model, metric="error_rate", upper="", instance=instance)
        case.give(c.OBJECTIVE_WINDOW, [(t, scale * PERIOD), (t, scale * PERIOD / 4)], **model, instance=instance)
    for bound, allowed in (("0.15", 0.125), ("0.2", 0.0625)):
        case.give(c.OBJECTIVE, [(2 * t, allowed)], **other, metric="latency_ms", upper=bound)
    _give_objective(case, neighbour, 0.5, months=2)
    me, slow, they = _key(of.subject), _key(of.subject, "latency_ms"), _key(of.neighbour)
    always = ({**they, "upper": ""}, 0.5)
    bounds = ({**slow, "upper": "0.15"}, 0.125), ({**slow, "upper": "0.2"}, 0.0625)
    mine, theirs = {c.MODEL_ID: of.subject}, {c.MODEL_ID: of.neighbour}
    case.records(t - step, ALLOWED, ({**me, "upper": ""}, 1), *bounds, always)
    case.records(t - step, BUDGET, (me, 1), (slow, 0.0625), (they, 0.5))
    case.records(t - step, PERIODS, (mine, 1), (theirs, 2))
    last = 2 * t - step
    for at, known in ((t + step, True), (last + bridge, True), (last + bridge + step, False)):
        case.records(at, ALLOWED, *((({**me, "upper": ""}, 0.25), *bounds) if known else ()), always)
        case.records(at, BUDGET, *(((me, 0.25), (slow, 0.0625)) if known else ()), (they, 0.5))
        case.records(at, PERIODS, *([(mine, 0.25)] if known else []), (theirs, 2))
    return case


def _window(of: Context, hours: float) -> Case:
    window = prometheus_duration(_hours(of, hours))
    case = of.case(f"burn rates over {window} are shares of the budget", GROUP, _hours(of, hours / PARTS))
    bad, every = _recorded(of)
    allowed, seldom = {of.subject: 0.25, of.neighbour: 0.5}, 2.0**-12
    for model_id, budget in allowed.items():
        _give_objective(case, of.model(model_id), budget)
        _give_requests(case, _key(model_id), bad, {ago: seldom * (OLDEST - ago) for ago in range(OLDEST + 1)})
        _give_requests(case, _key(model_id), every, {}, seldom)
    _give_objective(case, of.model("idle"), 0.5)
    for name in (bad, every):
        _give_requests(case, _key("idle"), name, {})
    share = sum(seldom * (OLDEST - ago) for ago in range(INSIDE)) / (seldom * INSIDE)
    rates = [(_key(model_id), share / budget) for model_id, budget in allowed.items()]
    case.records(OLDEST * case.step, burn_rate(hours, of.timing), *rates)
    return case


def _month(of: Context) -> Case:
    case = of.case("what is left of the budget is what 30 days have not spent", GROUP, _hours(of, MONTH_STEP_HOURS))
    bad, every = _recorded(of)
    inside, older = int(PERIOD / 3600 / MONTH_STEP_HOURS) + 1, 20
    spent = {of.subject: 1, of.neighbour: inside - 3}
    for model_id, spoilt in spent.items():
        _give_objective(case, of.model(model_id), 0.5)
        recent = [(spoilt * case.step, 2.0**-8), ((inside - spoilt) * case.step, 0.0)]
        case.give(bad, [(older * case.step, LOTS), *recent], **_key(model_id))
        case.give(every, [(older * case.step, 2 * LOTS), ((inside + 9) * case.step, 2.0**-8)], **_key(model_id))
    _give_objective(case, of.model("idle"), 0.5)
    for name in (bad, every):
        case.give(name, 0, **_key("idle"))
    at = (older + inside - 1) * case.step
    case.records(at, LEFT, *((_key(m), 1 - n * 2.0**-8 / (inside * 2.0**-8) / 0.5) for m, n in spent.items()))
    return case


# ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _burn(of: Context, burn: Burn) -> Case:
    window = prometheus_duration(_hours(of, burn.long))
    name = f"a budget that burns {burn.factor:g} times too fast over {window}, and lately, is an alert"
    case = of.case(name, GROUP, _hours(of, burn.long / PARTS))
    lately, before = {0: 1.5}, {INSIDE - 1: 3.0 * INSIDE}
    for what, metric, factors in (
        ("too_fast", "error_rate", dict.fromkeys(range(INSIDE), JUST_ABOVE)),
        ("two_months", "error_rate", dict.fromkeys(range(INSIDE), JUST_ABOVE)),
        ("two_months_lately", "error_rate", {0: 3.0, INSIDE - 1: JUST_ABOVE * INSIDE - 3.0}),
        ("two_months_before", "error_rate", {0: JUST_ABOVE, **before}),
        # Each of two metrics shows it in one window only.
        ("not_both", "error_rate", lately),
        ("not_both", "latency_ms", before),
        ("just_allowed_in_long", "error_rate", {0: 2.0, INSIDE - 1: INSIDE - 2.0}),
        ("just_allowed_in_short", "error_rate", {0: 1.0, **before}),
    ):
        _give_burning(case, of, _key(what, metric), {ago: burn.factor * factor for ago, factor in factors.items()})
    # Twice the period is twice the budget: what pages must burn twice as fast.
    means = {"too_fast": JUST_ABOVE}
    two_months = {"two_months": JUST_ABOVE, "two_months_lately": JUST_ABOVE}
    two_months["two_months_before"] = (JUST_ABOVE + before[INSIDE - 1]) / INSIDE
    for name in two_months:
        case.give(c.OBJECTIVE_WINDOW, 2 * PERIOD, **of.model(name))
    if burn.severity <= Severity.WARNING:
        means |= two_months
    at = OLDEST * case.step
    case.records(at, burning(burn, of.timing), *((_key(name), mean * burn.factor) for name, mean in means.items()))
    expected = [one for name in means for one in of.tiers(_key(name), TIERS, burn.severity)]
    case.fires(at, c.ALERT_BUDGET_BURN, *expected)
    return case


def _give_burning(case: Case, of: Context, key: Mapping[str, str], rates: Mapping[int, float]) -> None:
    """Give burn rates by how many samples ago; so many requests before them that longer windows show nothing."""
    bad, every = _recorded(of)
    model = of.model(key[c.MODEL_ID])
    case.give(c.OBJECTIVE, 1.0, **model, metric=key["metric"], upper="")
    case.give(c.OBJECTIVE_WINDOW, PERIOD, **model)
    _give_requests(case, key, bad, {ago: rate * 1024 for ago, rate in rates.items()})
    _give_requests(case, key, every, dict.fromkeys(range(INSIDE), 1024.0), LOTS)


def _volume(of: Context, burn: Burn) -> Case:
    window = prometheus_duration(_hours(of, burn.long))
    name = f"too few requests in {window} burn no budget, unless enough of them are bad"
    case = of.case(name, GROUP, _hours(of, burn.long / PARTS))
    times = _hours(of, BASE_HOURS) / of.timing.slow_interval
    requests, errors = MIN_REQUESTS * times / 2, MIN_ERRORS * times / 2
    for what, seen, failed in (
        ("enough_requests", requests, 0.5 * errors),
        ("too_few", 0.96 * requests, 0.96 * errors),
        ("enough_errors", 0.5 * requests, errors),
    ):
        _give_few(case, of, _key(what), burn, seen, failed)
    firing = [
        one for what in ("enough_requests", "enough_errors") for one in of.tiers(_key(what), TIERS, burn.severity)
    ]
    case.fires(OLDEST * case.step, c.ALERT_BUDGET_BURN, *firing)
    return case


def _give_few(case: Case, of: Context, key: Mapping[str, str], burn: Burn, seen: float, failed: float) -> None:
    """Give requests at both ends of the long window; before it too, and a lot before twice the window.

    Another metric of the same model has enough of them, none of which is bad.
    """
    bad, every = _recorded(of)
    _give_objective(case, of.model(key[c.MODEL_ID]), failed / seen / (2 * burn.factor))
    for name, count, usual in ((every, seen, LOTS), (bad, failed, 0.0)):
        some = dict.fromkeys((0, INSIDE - 1, INSIDE_TWICE - 1), count)
        _give_requests(case, key, name, {**dict.fromkeys(range(INSIDE_TWICE), 0.0), **some}, usual)
        _give_requests(case, {**key, "metric": "latency_ms"}, name, {}, usual)


def _end(of: Context) -> Case:
    case = of.case("an alert on a budget ends a while after the burning has", GROUP, of.timing.keep_firing / 2)
    bad, every = _recorded(of)
    keep, begin = of.timing.keep_firing, 20 * case.step
    # Longer than the first burn's long window; before it are so many requests that the second one's shows nothing.
    over = begin + of.up(_hours(of, BURNS[0].long) + 2 * case.step, case.step)
    model_id = of.subject
    _give_objective(case, of.model(model_id), 2.0**-10)
    case.give(bad, [(begin, 0.0), (over - begin, 1024.0), (9 * case.step, 0.0)], **_key(model_id))
    case.give(every, [(begin, LOTS * 1024), (over, 1024.0)], **_key(model_id))
    expected = of.tiers(_key(model_id), TIERS, BURNS[0].severity)
    case.fires(over - case.step, c.ALERT_BUDGET_BURN, *expected)
    case.fires(over + keep - case.step, c.ALERT_BUDGET_BURN, *expected)
    case.silent(over + keep, c.ALERT_BUDGET_BURN)
    return case
