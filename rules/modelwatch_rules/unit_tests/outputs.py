"""Cases about predictions that are nearly all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelwatch import conventions as c
from modelwatch.conventions import PROFILE
from modelwatch_rules.inputs import (
    CATEGORY_AT_MOST,
    REFERENCE_LABELS,
    REFERENCE_SHARE,
    REFERENCE_VALUES,
    SAME_BIN,
    SAME_LABEL,
    STUCK,
    predicted_labels,
    predicted_values,
    value_share,
)
from modelwatch_rules.limits import MIN_REQUESTS
from modelwatch_rules.unit_tests.case import GONE, Case
from modelwatch_rules.unit_tests.context import OTHER_VERSION, Context
from modelwatch_rules.unit_tests.lasting import check_lasting, everybody, long_enough, told

__all__ = ["cases"]

GROUP = "outputs"
BOUNDS = ("0.25", "0.5", "+Inf")
A, B = {PROFILE: "a"}, {PROFILE: "b"}


def cases(of: Context) -> Iterator[Case]:
    """Return all cases of the group."""
    yield _counts(of)
    yield _references(of)
    yield _bridged(of)
    yield _bins(of)
    yield _labels(of)
    yield _worst(of)
    yield _lasting(of)


def _counts(of: Context) -> Case:
    step = of.timing.long_window / 4
    case = of.case(
        "predictions add up over targets and segments, by model, version, reference, bin and label", GROUP, step
    )
    enough, few = MIN_REQUESTS / 4, 24
    models = [
        ({**of.model(), **A}, 32), ({**of.model(), **B}, 64), ({**of.model(version=OTHER_VERSION), **A}, 128),
        ({**of.model(of.neighbour), **A}, 256), ({**of.model("just_enough"), **A}, enough),
        ({**of.model("too_few"), **A}, few),
    ]  # fmt: skip
    for labels, rate in models:
        for instance, part in (("a:1", 0.75), ("b:1", 0.25)):
            for bound, below in zip(BOUNDS, (0, 0.5, 1), strict=True):
                case.count(c.PREDICTION_VALUE, part * below * rate, "_bucket", **labels, le=bound, instance=instance)
            for category, share in (("yes", 0.5), ("no", 0.25)):
                case.count(c.FEATURE_CATEGORY, part * share * rate, **labels, category=category, instance=instance)
        case.count(c.FEATURE_CATEGORY, rate, **labels, feature="smoker", category="yes")
    at = 2 * of.timing.long_window + 2 * step
    shares = tuple(zip(BOUNDS, (0, 0.5, 1), strict=True))
    values = [({**labels, "le": bound}, below * rate * 4) for labels, rate in models for bound, below in shares]
    case.records(at, predicted_values(of.timing), *values)
    many = [({**labels, "le": bound}, below) for labels, rate in models if rate is not few for bound, below in shares]
    case.records(at, value_share(of.timing), *many)
    predicted = [
        ({**labels, "category": category}, share * rate * 4)
        for labels, rate in models
        for category, share in (("yes", 0.5), ("no", 0.25))
    ]
    case.records(at, predicted_labels(of.timing), *predicted)
    return case


def _give_reference(case: Case, labels: Mapping[str, str], counts: Sequence[float]) -> None:
    for bound, count in zip(BOUNDS, counts, strict=True):
        case.give(c.PREDICTION_REFERENCE, count, "_bucket", **labels, le=bound)


def _references(of: Context) -> Case:
    case = of.case("a reference is the same for all versions, and what several say of it is not added up", GROUP)
    _give_reference(case, {**of.model(), **A, "instance": "a:1"}, (16, 32, 64))
    _give_reference(case, {**of.model(), **A, "instance": "b:1"}, (8, 16, 32))
    _give_reference(case, {**of.model(version=OTHER_VERSION), **A}, (4, 8, 16))
    _give_reference(case, {**of.model(), **B}, (0, 1, 1))
    _give_reference(case, {**of.model(of.neighbour), **A}, (16, 64, 128))
    _give_reference(case, {**of.model("empty"), **A}, (0, 0, 0))
    expected = [
        ({c.MODEL_ID: model_id, **profile, "le": bound}, share)
        for model_id, profile, shares in (
            (of.subject, A, (0.25, 0.5, 1)), (of.subject, B, (0, 1, 1)), (of.neighbour, A, (0.125, 0.5, 1)),
        )
        for bound, share in zip(BOUNDS, shares, strict=True)
    ]  # fmt: skip
    case.records(of.step, REFERENCE_SHARE, *expected)
    return case


def _bridged(of: Context) -> Case:
    step = 0.4 * of.timing.bridge
    case = of.case("what is known of a reference outlives whoever exposes it for a while", GROUP, step)
    model, neighbour = {**of.model(), **A}, {**of.model(of.neighbour), **A}
    known = [(step, 8.0), (step, 4.0), (9 * step, GONE)]
    me, they = ({c.MODEL_ID: model_id, **A} for model_id in (of.subject, of.neighbour))
    case.give(c.PREDICTION_REFERENCE, known, "_bucket", **model, le="+Inf")
    case.give(c.FEATURE_REFERENCE_CATEGORY, known, **model, category="yes")
    for instance, count in (("a:1", 2.0), ("b:1", 1.0)):
        case.give(c.PREDICTION_REFERENCE, count, "_bucket", **neighbour, le="+Inf", instance=instance)
        case.give(c.FEATURE_REFERENCE_CATEGORY, count, **neighbour, category="yes", instance=instance)
    for record, label in ((REFERENCE_VALUES, {"le": "+Inf"}), (REFERENCE_LABELS, {"category": "yes"})):
        for at in (2 * step, 3 * step):
            case.records(at, record, ({**me, **label}, 4), ({**they, **label}, 2))
        case.records(4 * step, record, ({**they, **label}, 2))
    return case


def _give_values(of: Context, case: Case, labels: Mapping[str, str], counts: Sequence[float]) -> None:
    for bound, count in zip(BOUNDS, counts, strict=True):
        case.give(predicted_values(of.timing), count, **labels, le=bound)


def _bins(of: Context) -> Case:
    case = of.case("predictions in one bin are odd if there are enough of them and the reference spreads", GROUP)
    spread, same = (25, 50, 100), (0, 100, 100)
    enough, few = MIN_REQUESTS, 0.96 * MIN_REQUESTS
    stuck = []
    for model_id, values, reference, is_stuck in (
        ("all_in_one_bin", same, spread, True),
        ("nearly_all_in_one_bin", (5, 95, 100), spread, True),
        ("some_below", (6, 100, 100), spread, False),
        ("some_above", (0, 94, 100), spread, False),
        ("too_few", (0, few, few), spread, False),
        ("reference_in_one_bin", same, (20, 80, 100), False),
        ("reference_just_spreads_below", same, (21, 100, 100), True),
        ("reference_just_spreads_above", same, (0, 79, 100), True),
    ):
        labels = {**of.model(model_id), **A}
        _give_values(of, case, labels, values)
        _give_reference(case, labels, reference)
        stuck += [({**labels, "le": "+Inf"}, enough)] if is_stuck else []
    # Another version, and another reference of the same version, are none of its business.
    _give_values(of, case, {**of.model("all_in_one_bin", OTHER_VERSION), **A}, spread)
    _give_values(of, case, {**of.model("all_in_one_bin"), **B}, spread)
    _give_reference(case, {**of.model("reference_in_one_bin"), **B}, spread)
    case.records(of.step, SAME_BIN, *stuck)
    return case


def _labels(of: Context) -> Case:
    case = of.case("one label for nearly all is odd if there are enough and the reference has it less often", GROUP)
    most, few = CATEGORY_AT_MOST, 0.96 * MIN_REQUESTS
    stuck = []
    for model_id, yes, no, usual, is_stuck in (
        ("nearly_all_alike", 95, 5, most, True),
        ("some_others", 94, 6, most, False),
        ("too_few", few, 0, most, False),
        ("mostly_so_in_the_reference", 100, 0, most + 1 / 64, False),
        ("unknown_in_the_reference", 100, 0, None, False),
    ):
        labels = {**of.model(model_id), **A}
        for category, count in (("yes", yes), ("no", no)):
            case.give(predicted_labels(of.timing), count, **labels, category=category)
        if usual is not None:
            case.give(c.FEATURE_REFERENCE_CATEGORY, usual, **labels, category="yes")
            case.give(c.FEATURE_REFERENCE_CATEGORY, 1 - usual, **labels, category="no")
        stuck += [({**labels, "category": "yes"}, yes)] if is_stuck else []
    # Another version, and another reference of the same version, are none of its business.
    for labels in ({**of.model("nearly_all_alike", OTHER_VERSION), **A}, {**of.model("nearly_all_alike"), **B}):
        for category in ("yes", "no"):
            case.give(predicted_labels(of.timing), 64, **labels, category=category)
    odd = of.model("mostly_so_in_the_reference")
    # An input that has the same values, and another reference.
    case.give(c.FEATURE_REFERENCE_CATEGORY, 0.5, **odd, **A, feature="smoker", category="yes")
    case.give(c.FEATURE_REFERENCE_CATEGORY, 0.5, **odd, **B, category="yes")
    case.records(of.step, SAME_LABEL, *stuck)
    return case


def _worst(of: Context) -> Case:
    case = of.case("a version is stuck if its values or its labels are, by any reference", GROUP)
    model, other = of.model(), of.model(version=OTHER_VERSION)
    for labels, count in (({**model, **A}, 128), ({**model, **B}, 256), ({**of.model(of.neighbour), **A}, 512)):
        case.give(SAME_BIN, count, **labels, le="+Inf")
    case.give(SAME_LABEL, 64, **other, **A, category="yes")
    case.records(of.step, STUCK, (model, 256), (of.model(of.neighbour), 512), (other, 64))
    return case


def _lasting(of: Context) -> Case:
    case = of.case("stuck outputs fire once that has lasted, until they tell cases apart again", GROUP)
    begin, during, after = 4 * of.step, long_enough(of), of.up(of.timing.keep_firing) + 4 * of.step
    models = [of.model(model_id) for model_id in everybody(of)]
    for model in models:
        for category, stuck in (("yes", 1), ("no", 0)):
            phases = [(begin, 0.5), (during, stuck), (after, 0.5)]
            counts = [(seconds, 128 * share) for seconds, share in phases]
            case.give(predicted_labels(of.timing), counts, **model, **A, category=category)
            case.give(c.FEATURE_REFERENCE_CATEGORY, 0.5, **model, **A, category=category)
    check_lasting(case, of, c.ALERT_STUCK_OUTPUT, begin, begin + during, told(of, c.ALERT_STUCK_OUTPUT, models))
    return case
