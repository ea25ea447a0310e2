"""Cases about requests, errors and latency."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from modelwatch import conventions as c
from modelwatch.policy import Severity, threshold_severity
from modelwatch_rules.alerting import THRESHOLD_TIERS
from modelwatch_rules.limits import (
    ERROR_RATIO_JUDGED,
    ERRORS_ABOVE_LIMIT,
    LATENCY_ABOVE_LIMIT,
    MIN_ERRORS,
    MIN_REQUESTS,
    WITHIN_BOUNDS_JUDGED,
    latency_above_limit,
    latency_judged,
)
from modelwatch_rules.recording import (
    DEFAULT_QUANTILE,
    QUANTILE,
    SHOWN_QUANTILES,
    THRESHOLD,
    THRESHOLD_WORTH,
    quantiles_in_use,
    windows,
)
from modelwatch_rules.unit_tests.case import GONE, Case, Phase, Rates
from modelwatch_rules.unit_tests.context import OTHER_VERSION, VERSION, Context

__all__ = ["cases"]

GROUP = "traffic"
FAST, SLOW = 0.25, 0.5
"""Bounds of two buckets in seconds. A limit at one of them needs no interpolation."""
ERROR_LIMIT = 0.02


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the group."""
    yield _counts(of)
    yield _quantiles(of)
    yield _bridged(of)
    yield _tiers(of)
    yield from _volumes(of)
    yield _at_the_limit(of)
    yield _last_bound(of)
    yield _own_quantile(of)
    if of.config.models:
        yield from (_own_limits(of, breaks=breaks) for breaks in (True, False))


def give_requests(
    case: Case, model: Mapping[str, str], rate: Rates, *, errors: Rates = 0, fast: Rates | None = None, **more: str
) -> None:
    """Give attempts, those that fail, and those that are answered within FAST (by default all); all within SLOW."""
    case.count(c.PREDICTIONS, rate, **model, **more)
    case.count(c.PREDICTION_ERRORS, errors, **model, **more)
    for bound, rates in ((str(FAST), rate if fast is None else fast), (str(SLOW), rate), ("+Inf", rate)):
        case.count(c.PREDICTION_LATENCY, rates, "_bucket", **model, le=bound, **more)


def give_limits(
    case: Case,
    model: Mapping[str, str],
    latency_worth: int | None = 2,
    errors_worth: int | None = 2,
    *,
    latency_ms: float = FAST * 1000,
    error_rate: float = ERROR_LIMIT,
    quantile: float = DEFAULT_QUANTILE,
) -> None:
    """Give ceilings and what they are worth, as a sidecar exposes them, beside the floor of another metric."""
    limits = (("latency_ms", latency_ms, latency_worth, "max"), ("error_rate", error_rate, errors_worth, "max"))
    for metric, limit, worth, bound in (*limits, ("auc", 0.5, 4, "min")):
        case.give(c.PERFORMANCE_THRESHOLD, limit, **model, metric=metric, bound=bound)
        if worth is not None:
            case.give(c.THRESHOLD_SEVERITY, worth, **model, metric=metric, bound=bound)
    case.give(c.LATENCY_QUANTILE, quantile, **model)


def _counts(of: Context) -> Case:
    case = of.case("requests and errors add up over targets, by model and version", GROUP)
    model, other, idle, seldom = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour), of.model("seldom")
    give_requests(case, model, 20, errors=3, fast=15, instance="a:1")
    give_requests(case, model, 4, errors=1, instance="b:1")
    give_requests(case, other, 8, errors=2)
    give_requests(case, idle, 0)
    tiny = 2.0**-8
    give_requests(case, seldom, tiny, errors=tiny)
    at = of.timing.long_window + 2 * of.step
    for window in windows(of.timing):
        n = round(window.seconds / of.step)
        case.records(at, window.predictions, (model, 24 * n), (other, 8 * n), (idle, 0), (seldom, tiny * n))
        case.records(at, window.errors, (model, 4 * n), (other, 2 * n), (idle, 0), (seldom, tiny * n))
        case.records(at, window.error_ratio, (model, 4 * n / (24 * n)), (other, 2 * n / (8 * n)), (seldom, 1))
        by_bound = [
            ({**labels, "le": bound}, count * n)
            for labels, counts in (
                (model, (19, 24, 24)),
                (other, (8, 8, 8)),
                (idle, (0, 0, 0)),
                (seldom, (tiny, tiny, tiny)),
            )
            for bound, count in zip((str(FAST), str(SLOW), "+Inf"), counts, strict=True)
        ]
        case.records(at, window.latency_buckets, *by_bound)
    return case


def _quantiles(of: Context) -> Case:
    case = of.case("latency quantiles are interpolated inside the bucket that holds them", GROUP)
    give_requests(case, of.model(), 20, fast=0)
    at = of.timing.long_window + 2 * of.step
    for window in windows(of.timing):
        requests = 20 * window.seconds / of.step
        shown = SHOWN_QUANTILES if window.seconds == of.timing.short_window else ()
        for q in sorted({*quantiles_in_use(of.config), *shown}):
            case.records(at, window.latency(q), (of.model(), _quantile(q, 0, requests, requests)))
    return case


def _bridged(of: Context) -> Case:
    case = of.case("what is exposed outlives its last sample for a while and no more; of several, the highest", GROUP)
    step, t, bridge = of.step, 10 * of.step, of.down(of.timing.bridge)
    model, other, neighbour = of.model(), of.model(version=OTHER_VERSION), of.model(of.neighbour)
    me, they = {c.MODEL_ID: of.subject}, {c.MODEL_ID: of.neighbour}

    def changing(first: float, then: float) -> list[Phase]:
        return [(t, first), (2 * bridge + step, GONE), (t, then), (t, then / 2)]

    for metric in (c.PERFORMANCE_THRESHOLD, c.THRESHOLD_SEVERITY):
        case.give(metric, changing(2.0, 3.0), **model, metric="rmse", bound="max")
        for instance, value in (("a:1", 1), ("b:1", 0.5)):
            case.give(metric, value, **other, metric="rmse", bound="min", instance=instance)
        case.give(metric, 4, **neighbour, metric="mae", bound="max")
    case.give(c.LATENCY_QUANTILE, changing(0.9, 0.8), **model, instance="a:1")
    case.give(c.LATENCY_QUANTILE, changing(0.5, 0.25), **model, instance="b:1")
    case.give(c.LATENCY_QUANTILE, 0.99, **neighbour)
    last, again = t - step, t + 2 * bridge + step
    for at, limit, quantile in (
        (last, 2.0, 0.9), (last + bridge, 2.0, 0.9), (last + bridge + step, None, None), (again, 3.0, 0.8),
        (again + t, 1.5, 0.4),
    ):  # fmt: skip
        for record in (THRESHOLD, THRESHOLD_WORTH):
            always = ({**me, "metric": "rmse", "bound": "min"}, 1.0), ({**they, "metric": "mae", "bound": "max"}, 4.0)
            now = [] if limit is None else [({**me, "metric": "rmse", "bound": "max"}, limit)]
            case.records(at, record, *now, *always)
        case.records(at, QUANTILE, *([] if quantile is None else [(me, quantile)]), (they, 0.99))
    return case


def _tiers(of: Context) -> Case:
    t, step = of.timing, of.step
    case = of.case("a limit fires the tier that it is worth and those below, once it has lasted", GROUP)
    rate = 4 * MIN_REQUESTS * step / t.short_window
    hold, keep = of.up(t.hold), of.up(t.keep_firing)
    begin, during = t.long_window + 2 * step, hold + 4 * step
    errors = [(begin, 0.0), (during, rate), (t.short_window + keep + 9 * step, 0.0)]
    expected: dict[str, list[dict[str, str]]] = {c.ALERT_LATENCY_HIGH: [], c.ALERT_ERROR_RATE_HIGH: []}
    for latency, failures in ((0, 4), (1, 3), (2, 2), (3, 1), (4, 0), (None, None)):
        bad = of.model(f"latency_worth_{latency}")
        give_limits(case, bad, latency, failures)
        give_requests(case, bad, rate, errors=errors, fast=[(seconds, rate - failed) for seconds, failed in errors])
        for alert, worth in zip(expected, (latency, failures), strict=True):
            expected[alert] += of.tiers(bad, THRESHOLD_TIERS, Severity(worth or 0))
    good = of.model()
    give_limits(case, good, 4, 4)
    give_requests(case, good, rate)
    for (alert, alerts), lag in zip(expected.items(), (_still_fine(of) * step, 0), strict=True):
        first, well = begin + step + lag, begin + during + t.short_window - lag
        case.silent(first + hold - step, alert)
        case.fires(first + hold, alert, *alerts)
        case.fires(well + keep - step, alert, *alerts)
        case.silent(well + keep, alert)
    return case


def _volumes(of: Context) -> Iterator[Case]:
    short, long = (window.seconds for window in windows(of.timing))
    few = 0.96
    for name, seconds, step, requests in (
        ("just enough requests in the short window are looked at", short, of.step, MIN_REQUESTS),
        ("where they are too few, the long window is looked at", short, of.step, few * MIN_REQUESTS),
        ("just enough requests in the long window are looked at", long, of.long_step, MIN_REQUESTS),
        ("too few requests in both windows are not", long, of.long_step, few * MIN_REQUESTS),
    ):
        yield _bad_lately(of, of.case(name, GROUP, step), requests * step / seconds)
    for name, errors in (("a few errors are looked at however few the requests are", 1.0), ("fewer are not", few)):
        # So seldom asked that the short window holds nothing to compute a rate from.
        case = of.case(name, GROUP, long / MIN_ERRORS)
        requests = MIN_REQUESTS / MIN_ERRORS / 2
        give_requests(case, of.model(), requests, errors=errors)
        give_limits(case, of.model())
        at = long + 3 * case.step
        for record in (ERROR_RATIO_JUDGED, ERRORS_ABOVE_LIMIT):
            case.records(at, record, *([(of.model(), errors / requests)] if errors == 1 else []))
        yield case


def _bad_lately(of: Context, case: Case, rate: float) -> Case:
    """Give requests that go wrong for a short window, half of them; beside models that are asked half as often."""
    short, long = (window.seconds for window in windows(of.timing))
    lately = of.up(short, case.step)
    calm = of.up(long + 2 * case.step, case.step)
    # Too few fail to be news by themselves, and so many that sums of them are exact.
    failing = 2.0 ** math.floor(math.log2((MIN_ERRORS - 1) * case.step / lately))
    ratios, within, slowest = [], [], []
    for model, often in (
        (of.model(), rate), (of.model(version=OTHER_VERSION), rate / 2), (of.model(of.neighbour), rate / 2),
    ):  # fmt: skip
        phases = [(calm, 0.0), (2 * lately, often)]
        give_requests(
            case, model, often,
            errors=[(s, failing * bad / rate) for s, bad in phases], fast=[(s, often - bad) for s, bad in phases],
        )  # fmt: skip
        half = [(s, often - bad / 2) for s, bad in phases]
        case.count(c.PREDICTION_LATENCY, half, "_bucket", **model, le=str(SLOW))
        samples = next((n for n in (short / case.step, long / case.step) if often * n >= MIN_REQUESTS), None)
        if samples is not None:
            requests, bad = often * samples, often * min(samples, lately / case.step)
            ratios.append((model, failing * bad / rate / requests))
            within.append((model, (requests - bad / 2) / requests))
            slowest.append((model, _quantile(DEFAULT_QUANTILE, requests - bad, requests - bad / 2, requests)))
    for record, expected in (
        (ERROR_RATIO_JUDGED, ratios), (WITHIN_BOUNDS_JUDGED, within), (latency_judged(DEFAULT_QUANTILE), slowest),
    ):  # fmt: skip
        case.records(calm + lately, record, *expected)
    return case


def _quantile(quantile: float, fast: float, slow: float, every: float) -> float:
    """Return a quantile as Prometheus computes it from requests within FAST, within SLOW, and all."""
    rank = quantile * every
    if rank <= fast:
        return FAST * (rank / fast)
    return FAST + (SLOW - FAST) * ((rank - fast) / (slow - fast)) if rank <= slow else SLOW


def _still_fine(of: Context) -> int:
    """Return how many samples of the short window may be all slow before the quantile is."""
    return int(of.timing.short_window / of.step * (1 - DEFAULT_QUANTILE) + 1e-9)


def _at_the_limit(of: Context) -> Case:
    case = of.case("what is just at its limit is fine, a little more is not", GROUP)
    model, other = of.model(), of.model(of.neighbour)
    # All in the first bucket: the quantile is its share of the bound.
    requests = 64 * of.timing.short_window / of.step
    value = FAST * (DEFAULT_QUANTILE * requests / requests)
    for one, limit, share in ((model, value, 0.25), (other, 0.99 * value, 0.24)):
        give_requests(case, one, 64, errors=16)
        give_limits(case, one, latency_ms=limit * 1000, error_rate=share)
    at = of.timing.long_window + 2 * of.step
    case.records(at, ERRORS_ABOVE_LIMIT, (other, 0.25))
    case.records(at, LATENCY_ABOVE_LIMIT, (other, value))
    return case


def _last_bound(of: Context) -> Case:
    case = of.case("a limit at the last bound is broken by what lies beyond every bound", GROUP)
    at = of.timing.long_window + 2 * of.step
    bound = SLOW * 1000
    for name, version, beyond, limit in (
        ("all_beyond", VERSION, 16, bound),
        ("all_beyond", OTHER_VERSION, 5, bound),
        ("few_beyond", VERSION, 4, bound),
        ("just_as_many_as_allowed", VERSION, 5, bound),
        ("limit_above_all_bounds", VERSION, 16, 1.2 * bound),
    ):
        model = of.model(name, version)
        give_limits(case, model, latency_ms=limit, error_rate=2 * limit)
        give_requests(case, model, 100, fast=32)
        case.count(c.PREDICTION_LATENCY, 100 - beyond, "_bucket", **model, le=str(SLOW))
    case.records(at, LATENCY_ABOVE_LIMIT, (of.model("all_beyond"), SLOW))
    return case


def _own_quantile(of: Context) -> Case:
    case = of.case("a limit is for the quantile that the model names", GROUP)
    used = quantiles_in_use(of.config)
    at = of.timing.long_window + 2 * of.step
    requests = 64 * of.timing.short_window / of.step
    models = {q: of.model(f"quantile_{q}") for q in (*used, 0.42)}
    for q, model in models.items():
        give_requests(case, model, 64, fast=0)
        give_limits(case, model, quantile=q)
    case.records(at, LATENCY_ABOVE_LIMIT, *((models[q], _quantile(q, 0, requests, requests)) for q in used))
    for q in used:
        everybody = [(model, _quantile(q, 0, requests, requests)) for model in models.values()]
        for record in (latency_judged(q), latency_above_limit(q)):
            case.records(at, record, *everybody)
    return case


def _own_limits(of: Context, *, breaks: bool) -> Case:
    """Return what the models' own thresholds do, as the configuration has them."""
    at = of.up(of.timing.long_window + of.timing.hold + 3 * of.step, of.step)
    case = of.case(f"models that {'break' if breaks else 'keep'} their own limits on errors and latency", GROUP)
    expected: dict[str, list[dict[str, str]]] = {c.ALERT_LATENCY_HIGH: [], c.ALERT_ERROR_RATE_HIGH: []}
    for config in of.config.models:
        model = of.model(config.model_id, config.model_version)
        latency, errors = (config.thresholds[metric] for metric in ("latency_ms", "error_rate"))
        for alert, threshold in zip(expected, (latency, errors), strict=True):
            if threshold.max is not None and breaks:
                expected[alert] += of.tiers(model, THRESHOLD_TIERS, threshold_severity(threshold))
            for bound, limit in (("min", threshold.min), ("max", threshold.max)):
                if limit is not None:
                    where = {**model, "metric": threshold.metric, "bound": bound}
                    case.give(c.PERFORMANCE_THRESHOLD, limit, **where)
                    case.give(c.THRESHOLD_SEVERITY, int(threshold_severity(threshold)), **where)
        case.give(c.LATENCY_QUANTILE, config.latency_quantile, **model)
        _give_own(case, of, model, (latency.max or 1.0) / 1000, (errors.max or 1.0), breaks=breaks)
    for alert, alerts in expected.items():
        case.fires(at, alert, *alerts)
    return case


def _give_own(
    case: Case, of: Context, model: Mapping[str, str], seconds: float, error_rate: float, *, breaks: bool
) -> None:
    rate = 4 * MIN_REQUESTS * of.step / of.timing.short_window
    case.count(c.PREDICTIONS, rate, **model)
    case.count(c.PREDICTION_ERRORS, rate if breaks else 0.9 * rate * error_rate, **model)
    for bound, count in ((f"{seconds:.12g}", 0 if breaks else rate), (f"{2 * seconds:.12g}", rate), ("+Inf", rate)):
        case.count(c.PREDICTION_LATENCY, count, "_bucket", **model, le=bound)
