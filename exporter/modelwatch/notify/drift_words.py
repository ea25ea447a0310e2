"""A drift alert in words: what moved, since when, how far against which tolerance, how sure, and what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelwatch.conventions import AGAINST
from modelwatch.drift.words import further_words, shift_words
from modelwatch.notify.pair_facts import MULTIVARIATE, WARNING_AT_MOST, pair_facts, pair_names
from modelwatch.notify.text import AlertText, Draft, Fact, ModelFacts, render
from modelwatch.notify.wording import (
    clock_time,
    duration,
    listing,
    number,
    shorten,
    window_words,
)
from modelwatch.policy import Severity
from modelwatch.records import (
    PREDICTION,
    PREDICTION_SCORE,
    PREDICTIONS,
    CheckResult,
    FamilyResult,
    FeatureShift,
    TestResult,
)

__all__ = ["drift_text"]

MAX_FEATURES = 5
_MAX_LABEL = 40
_DAY = 86400.0
_CALLED = {PREDICTION: "Predictions", PREDICTION_SCORE: "Top score"}


def drift_text(
    result: CheckResult,
    family: FamilyResult,
    *,
    facts: ModelFacts,
    since: float,
    now: float,
    timezone: str | None = None,
    budget: float = 1.0,
    total_features: int | None = None,
    part: str = "",
) -> AlertText:
    """Compose the text of a drift alert.

    Parameters
    ----------
    result : CheckResult
        The check that found it.
    family : FamilyResult
        The kind of drift the alert is about; one of ``result.families``.
    facts : ModelFacts
        Owner, links, and what is known of the surroundings.
    since, now : float
        Unix seconds: when this alert began, and when it is being written.
    timezone : str or None
        IANA name of the zone in which times are given; None is the machine's.
    budget : float
        False alarms per 30 days that the tests are set to.
    total_features : int or None
        How many inputs were scored; None counts those in `family`.
    part : str
        The segment that it is about, or "against version 7"; "" for the whole model.

    Returns
    -------
    AlertText
    """
    # The version that was scored is the one to name, whatever the configuration says.
    facts = replace(facts, model_version=result.model_version or facts.model_version)
    names = _drifted(family)
    worst = {name: test for name in names if (test := _worst_test(family, name)) is not None}
    shifts = {shift.feature: shift for shift in family.shifts}
    shown = names[:MAX_FEATURES]
    is_data = family.drift_type == "data"
    scored = {n for n in (*family.feature_severity, *(t.feature for t in family.tests)) if n not in PREDICTIONS}
    windows = list(dict.fromkeys(worst[name].window for name in shown if name in worst))
    draft = Draft(
        facts=facts,
        level=family.severity.label.upper(),
        what=_what(family, len(names), 0 if part else total_features or len(scored)) + _of_part(part),
        names=listing(names, MAX_FEATURES) if is_data else pair_names(family),
        when=f"since {clock_time(since, now, timezone)}",
        scope=f"{window_words(windows[0])} window" if len(windows) == 1 else "",
    )
    several = len(windows) > 1
    draft.details = (
        pair_facts(family, worst.get(""))
        if family.drift_type == MULTIVARIATE
        else [
            _feature_fact(name, shifts.get(name), worst.get(name), further_words(family.further, name), several=several)
            for name in shown
        ]
    )
    if len(names) > MAX_FEATURES:
        draft.details.append(Fact("And", f"+{len(names) - MAX_FEATURES} more inputs"))
    draft.details += _context(result, family, [worst[n] for n in shown if n in worst], facts, budget)
    draft.details += _where_to_look(family, shown, shifts, facts, since, now)
    draft.table = _table(shown, shifts, worst)
    return render(draft)


def _of_part(part: str) -> str:
    """Return which part it is about, as the end of a phrase.

    >>> _of_part(""), _of_part("de"), _of_part("against version 7")
    ('', ' in segment de', ' against version 7')
    """
    if not part:
        return ""
    return f" {shorten(part)}" if part.startswith(AGAINST) else f" in segment {shorten(part)}"


def _drifted(family: FamilyResult) -> list[str]:
    """Features at warning or above (at info, if the whole is no more), worst first."""
    floor = min(family.severity, Severity.WARNING)
    bad = {name for name, severity in family.feature_severity.items() if severity >= max(floor, Severity.INFO)}
    bad |= {test.feature for test in family.tests if test.severity >= max(floor, Severity.INFO)}
    first = [shift.feature for shift in family.shifts if shift.feature in bad]
    rest = sorted(bad - set(first), key=lambda name: (-family.feature_severity.get(name, Severity.NONE), name))
    return [*first, *rest]


def _worst_test(family: FamilyResult, name: str) -> TestResult | None:
    own = [test for test in family.tests if test.feature == name]
    return max(own, key=lambda test: (test.severity, -test.p_value, test.score), default=None)


def _what(family: FamilyResult, drifted: int, total: int) -> str:
    verb = "drifted" if family.severity >= Severity.WARNING else "changed within tolerance"
    if family.drift_type == "data":
        noun = "input" if total == 1 else "inputs"
        return f"{drifted} of {total} {noun} {verb}" if total else f"inputs {verb}"
    if family.drift_type == MULTIVARIATE:
        return "inputs no longer go together as they did"
    return f"{family.drift_type}s {verb}" if family.drift_type == "prediction" else f"{family.drift_type} drift"


def _feature_fact(
    name: str, shift: FeatureShift | None, test: TestResult | None, further: str, *, several: bool
) -> Fact:
    words, score = _moved(shift, test), ""
    if test is not None:
        score = f"JS {test.score:.2f}, tolerance {test.threshold:.2f}"
        if several:
            score += f", {window_words(test.window)} window, n = {number(test.n)}"
    text = ". ".join(part for part in (words, score, further) if part) or "drifted"
    of_input = name not in PREDICTIONS
    return Fact(shorten(name) if of_input else _CALLED[name], text, code=of_input)


def _moved(shift: FeatureShift | None, test: TestResult | None) -> str:
    """Say how a feature moved; names of categories are the data's, and may be anything."""
    if shift is None:
        return ""
    changed = tuple((shorten(label, _MAX_LABEL), before, now) for label, before, now in shift.changed)
    return shift_words(replace(shift, changed=changed), test.test if test is not None else "")


def _context(
    result: CheckResult, family: FamilyResult, tests: Sequence[TestResult], facts: ModelFacts, budget: float
) -> list[Fact]:
    found = []
    if tests:
        worst = tests[0]
        sure = f"not chance (budget: {number(budget)} false alarm{'' if budget == 1 else 's'} per 30 days)"
        rows = f"n = {number(worst.n)} in the last {window_words(worst.window)}"
        against = f" against {number(result.reference_rows)} in the reference" if result.reference_rows else ""
        found.append(Fact("How sure", f"{rows}{against}; {sure}"))
    if family.state == "held" and family.reason:
        found.append(Fact("Held", family.reason))
    effect = _effect(result, family, facts)
    if effect:
        found.append(Fact("Effect", effect))
    if facts.others is not None:
        also = listing(facts.others) if facts.others else "latency, errors and traffic are normal"
        found.append(Fact("Also", also))
    if family.drift_type == MULTIVARIATE:
        found.append(Fact("Severity", WARNING_AT_MOST))
    elif not result.calibrated and family.severity == Severity.WARNING:
        found.append(
            Fact(
                "Severity",
                "warning, unless the change is gross: the reference has no timestamps to learn normal variation from",
            )
        )
    return found


def _effect(result: CheckResult, family: FamilyResult, facts: ModelFacts) -> str:
    """Say what became of the predictions, and whether it can wait; nothing that was not measured."""
    parts = []
    if result.prediction_mean is not None:
        before, after = result.prediction_mean
        parts.append(f"mean prediction {number(before)} → {number(after)}")
    prediction = result.families.get("prediction")
    steady = False
    if family.drift_type != "prediction" and prediction is not None:
        steady = prediction.state == "ok" and prediction.severity < Severity.WARNING
        if steady:
            parts.append("predictions within tolerance")
        elif prediction.severity >= Severity.WARNING:
            parts.append(f"predictions drifted too ({prediction.severity.label})")
        elif prediction.reason:
            parts.append(f"predictions not scored: {shorten(prediction.reason)}")
    if facts.floors_hold is None:
        parts.append("quality on real labels not measured")
    else:
        parts.append("no floor broken on real labels" if facts.floors_hold else "a floor is broken on real labels")
    if steady and facts.floors_hold:
        parts.append("can wait")
    return "; ".join(parts)


def _where_to_look(
    family: FamilyResult,
    names: Sequence[str],
    shifts: dict[str, FeatureShift],
    facts: ModelFacts,
    since: float,
    now: float,
) -> list[Fact]:
    out = []
    if family.drift_type == MULTIVARIATE:
        names = list(dict.fromkeys(name for pair in family.pairs for name in (pair.first, pair.second)))
    of_inputs = family.drift_type in ("data", MULTIVARIATE)
    place = f"what feeds {listing(names, 2)}" if of_inputs and names else "the inputs, then the model"
    hints = list(dict.fromkeys(hint for name in names if name in shifts and (hint := _hint(shifts[name]))))
    hint = f" ({'; '.join(hints[:3])})" if hints and family.drift_type == "data" else ""
    out.append(Fact("Look first", f"{_version_words(facts, since)}{place}{hint}"))
    if facts.previous_alarm_at is not None:
        out.append(Fact("Previous alarm of this model", f"{duration(max(now - facts.previous_alarm_at, 0.0))} ago"))
    return out


def _version_words(facts: ModelFacts, since: float) -> str:
    if facts.version_since is None:
        return ""
    age = since - facts.version_since
    if age >= _DAY:
        return "no model version change in the 24 h before, so upstream: "
    return f"this model version began {duration(max(age, 0.0))} before: the deployment, then "


def _hint(shift: FeatureShift) -> str:
    """Guess what kind of fault looks like this; phrased as a question, as it is one."""
    if shift.missing_ratio - shift.missing_reference >= 0.05:
        return "a source that stopped, or a broken join?"
    if shift.novel_ratio - shift.novel_reference >= 0.05:
        is_range = shift.shift_sd is not None or shift.above_ratio > 0
        return "a change of unit or scale?" if is_range else "new codes, or another spelling?"
    return ""


def _table(names: Sequence[str], shifts: dict[str, FeatureShift], worst: dict[str, TestResult]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for name in names:
        test, shift = worst.get(name), shifts.get(name)
        if test is None or name in PREDICTIONS:
            continue
        score, tolerance = f"{test.score:.2f}", f"{test.threshold:.2f}"
        rows.append((shorten(name), _moved(shift, test), score, tolerance, window_words(test.window), number(test.n)))
    return [("Input", "How it moved", "JS distance", "Tolerance", "Window", "Rows"), *rows] if rows else []
