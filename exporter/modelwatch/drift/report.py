"""A check's result as plain dicts and a sentence: what ``monitor_model_drift`` returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelwatch.drift.pair_words import changed_together, summary_words, together_report
from modelwatch.drift.words import count_words, further_words, shift_words
from modelwatch.policy import Severity
from modelwatch.records import (
    PREDICTION_SCORE,
    PREDICTIONS,
    CheckResult,
    FamilyResult,
    FeatureShift,
    TestResult,
    prediction_words,
)

__all__ = ["called", "drift_report", "family_report"]

TOP_FEATURES = 5
MULTIVARIATE = "multivariate"


def drift_report(result: CheckResult) -> dict[str, Any]:
    """Return a check as the public API tells it.

    Parameters
    ----------
    result : CheckResult
        Of a scheduled check or one that was asked for.

    Returns
    -------
    dict
        ``drift_detected`` (something is at warning or above), ``drift_types``, ``severity`` ("none" to "critical"),
        ``summary`` (a sentence), ``details`` (by kind of drift, see :func:`family_report`), ``top_features`` (at most
        five, worst first), ``performance`` (empty in this release). Plain JSON, without NaN.
    """
    drifted = [kind for kind, family in result.families.items() if family.severity >= Severity.WARNING]
    severity = max((family.severity for family in result.families.values()), default=Severity.NONE)
    return {
        "drift_detected": bool(drifted),
        "drift_types": drifted,
        "severity": severity.label,
        "summary": summary(result),
        "details": {kind: family_report(family) for kind, family in result.families.items()},
        "top_features": _top_features(result),
        "performance": {},
    }


def family_report(family: FamilyResult) -> dict[str, Any]:
    """Return one kind of drift as a plain dict.

    Parameters
    ----------
    family : FamilyResult
        The outcome.

    Returns
    -------
    dict
        ``state``, ``severity``, ``reason``, and ``features``: by name, worst first, each with severity, state, and of
        its worst test score, threshold, n, window, test; ``change`` says in words how it moved, if it did;
        ``further_scores`` by method, in that window, if any are asked for. Multivariate drift is of no feature by
        itself and has ``pairs``; see :func:`~modelwatch.drift.pair_words.together_report`.
    """
    if family.drift_type == MULTIVARIATE:
        return together_report(family)
    names = _worst_first(family)
    return {
        "state": family.state,
        "severity": family.severity.label,
        "reason": family.reason,
        "features": {called(name): _feature_report(family, name) for name in names},
    }


def _worst_first(family: FamilyResult) -> list[str]:
    place = {shift.feature: i for i, shift in enumerate(family.shifts)}
    severity = family.feature_severity
    names = dict.fromkeys([*severity, *(test.feature for test in family.tests)])
    return sorted(names, key=lambda name: (-severity.get(name, Severity.NONE), place.get(name, len(place))))


def _feature_report(family: FamilyResult, name: str) -> dict[str, Any]:
    severity = family.feature_severity.get(name, Severity.NONE)
    out: dict[str, Any] = {"severity": severity.label, "state": "ok" if severity < Severity.WARNING else "drift"}
    test = _worst_test(family, name)
    if test is None:
        return out | {"state": "held" if severity >= Severity.WARNING else family.state}
    out |= {
        "score": test.score,
        "threshold": test.threshold,
        "n": test.n,
        "window": test.window,
        "test": test.test,
        "p_value": test.p_value,
        "score_low": test.score_low,
        "score_high": test.score_high,
    }
    shift = next((shift for shift in family.shifts if shift.feature == name), None)
    if shift is not None:
        out |= {"change": _change(family, shift), "attribution": shift.attribution}
    further = {one.method: one.score for one in family.further if (one.feature, one.window) == (name, test.window)}
    return out | {"further_scores": further} if further else out


def _worst_test(family: FamilyResult, name: str) -> TestResult | None:
    own = [test for test in family.tests if test.feature == name]
    return min(own, key=lambda test: (-test.severity, test.p_value, -test.score), default=None)


def _change(family: FamilyResult, shift: FeatureShift) -> str:
    test = _worst_test(family, shift.feature)
    moved = shift_words(shift, test.test if test is not None else "", briefly=True)
    told = (moved, further_words(family.further, shift.feature))
    return ", ".join(filter(None, told))


def _top_features(result: CheckResult) -> list[str]:
    family = result.families.get("data")
    if family is None:
        return []
    drifted = [name for name in _worst_first(family) if family.feature_severity.get(name, 0) >= Severity.WARNING]
    together = result.families.get(MULTIVARIATE)
    if together is not None and together.severity >= Severity.WARNING:
        drifted += [name for name in changed_together(together) if name not in drifted]
    return drifted[:TOP_FEATURES]


def summary(result: CheckResult) -> str:
    """Return a check in a sentence, with names and numbers.

    Parameters
    ----------
    result : CheckResult
        Of a scheduled check or one that was asked for.

    Returns
    -------
    str
        For example ``2 of 6 inputs drifted: distance (mean +0.9 sd, 31 % above the reference range), carrier (18 %
        unseen values)``; without drift, what was scored, or why nothing could be.
    """
    parts = [
        _family_summary(family) for family in result.families.values() if family.severity >= Severity.WARNING
    ]  # fmt: skip
    if parts:
        return "; ".join(parts)
    # How inputs go together is no further thing that was looked at.
    scored = [f for f in result.families.values() if f.tests and f.drift_type != MULTIVARIATE]
    if scored:
        return f"no drift: {_scored_words(scored)}"
    told = [f for f in result.families.values() if f.drift_type != MULTIVARIATE] or result.families.values()
    reasons = dict.fromkeys(family.reason for family in told if family.reason)
    return f"not scored: {'; '.join(reasons)}" if reasons else "not scored"


def _family_summary(family: FamilyResult) -> str:
    names = [n for n in _worst_first(family) if family.feature_severity.get(n, Severity.NONE) >= Severity.WARNING]
    if family.drift_type == MULTIVARIATE:
        return summary_words(family)
    held = f" (held: {family.reason})" if family.state == "held" else ""
    if family.drift_type != "data":
        words = ", ".join(_moved_words(family, name) for name in names if _moved(family, name))
        return f"{family.drift_type}s drifted{f': {words}' if words else ''}{held}"
    total = len(family.feature_severity)
    told = [f"{name} ({words})" if (words := _moved(family, name)) else name for name in names[:TOP_FEATURES]]
    more = f" and {len(names) - TOP_FEATURES} more" if len(names) > TOP_FEATURES else ""
    return f"{len(names)} of {count_words(total, 'input')} drifted: {', '.join(told)}{more}{held}"


def called(name: str) -> str:
    """Return what a feature or a prediction is called where a name is needed: an input has its own.

    >>> called("age"), called(""), called("@prediction_score")
    ('age', 'prediction', 'top score')
    """
    return prediction_words(name) if name in PREDICTIONS else name


def _moved_words(family: FamilyResult, name: str) -> str:
    """Say how a prediction moved, and of its score that it was this."""
    words = _moved(family, name)
    return f"{prediction_words(name)} {words}" if name == PREDICTION_SCORE else words


def _moved(family: FamilyResult, name: str) -> str:
    shift = next((shift for shift in family.shifts if shift.feature == name), None)
    return _change(family, shift) if shift is not None else ""


def _scored_words(families: Sequence[FamilyResult]) -> str:
    told = []
    for family in families:
        features = {test.feature for test in family.tests}
        told.append("predictions" if features <= PREDICTIONS else count_words(len(features), "input"))
    rows = {test.window: max(t.n for f in families for t in f.tests if t.window == test.window)
            for family in families for test in family.tests}  # fmt: skip
    windows = ", ".join(f"{window}: {n:.0f} rows" for window, n in rows.items())
    return f"{' and '.join(told)} within tolerance ({windows})"
