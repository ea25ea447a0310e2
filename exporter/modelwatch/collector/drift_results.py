"""What one drift check found, as families (contract 2.2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modelwatch import conventions as c
from modelwatch.collector.families import Families
from modelwatch.policy import Severity

__all__ = ["MAX_ATTRIBUTED", "OF_ONE_FEATURE", "SEGMENT_ALL", "add_result"]

SEGMENT_ALL = ""
MAX_ATTRIBUTED = 5
OF_ONE_FEATURE = ("data", "prediction")
"""Kinds of drift that a feature, or the prediction, has by itself; parts of a version are looked at for no other."""


def add_result(out: Families, labels: tuple[str, str], result: Mapping[str, Any]) -> None:
    """Add the result of the latest check of a model version, as it stands in the store."""
    out.add(c.DRIFT_CALIBRATED, labels, float(bool(result.get("calibrated"))))
    for window, rows in result.get("windows", {}).items():
        out.add(c.WINDOW_ROWS, (*labels, window, "current"), rows)
        out.add(c.WINDOW_ROWS, (*labels, window, "reference"), result.get("reference_rows") or 0.0)
    families: Mapping[str, Mapping[str, Any]] = result.get("families", {})
    for drift_type, family in families.items():
        _add_family(out, labels, drift_type, family)
    for segment, found in result.get("segments", {}).items():
        for drift_type, family in found.items():
            _add_part(out, labels, segment, drift_type, family)
    data = families.get("data", {})
    severities = data.get("feature_severity", {})
    scored = {t["feature"] for t in data.get("tests", ()) if t.get("score") is not None}
    out.add(c.DRIFTED_FEATURES, labels, sum(s >= Severity.WARNING for s in severities.values()))
    out.add(c.SCORED_FEATURES, labels, len(scored))
    _add_shifts(out, labels, [shift for family in families.values() for shift in family.get("shifts", ())])


def _add_family(out: Families, labels: tuple[str, str], drift_type: str, family: Mapping[str, Any]) -> None:
    for state in c.DRIFT_STATES:
        out.add(c.DRIFT_STATE, (*labels, drift_type, state), float(family.get("state") == state))
    # Under the name "" stands the whole model, which for a prediction is the same thing.
    severities = {**family.get("feature_severity", {}), "": family.get("severity", 0)}
    for feature, severity in severities.items():
        out.add(c.DRIFT_SEVERITY, (*labels, drift_type, feature, SEGMENT_ALL), severity)
    if drift_type in OF_ONE_FEATURE:
        noisy = set(family.get("noisy", ()))
        for feature in dict.fromkeys((*family.get("feature_severity", {}), *noisy)):
            out.add(c.FEATURE_NOISY, (*labels, feature), float(feature in noisy))
    for feature, test in _shown_tests(drift_type, family.get("tests", ())):
        where = (*labels, drift_type, feature, test["window"], SEGMENT_ALL)
        if test.get("score") is not None:
            out.add(c.DRIFT_SCORE, where, test["score"])
        if test.get("threshold") is not None:
            out.add(c.DRIFT_THRESHOLD, where, test["threshold"])
    _add_further(out, labels, drift_type, family)
    _add_pairs(out, labels, family)


def _shown_tests(drift_type: str, tests: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield tests with the name that they are shown under.

    Under "" stands the whole model: of a prediction and its score the one that is further beyond its tolerance.
    """
    whole: dict[str, Mapping[str, Any]] = {}
    for test in tests:
        if drift_type != "prediction":
            yield test["feature"], test
            continue
        if test["feature"]:
            yield test["feature"], test
        whole[test["window"]] = max(test, whole.get(test["window"], test), key=_beyond)
    for test in whole.values():
        yield "", test


def _beyond(test: Mapping[str, Any]) -> float:
    score, threshold = test.get("score"), test.get("threshold")
    return -1.0 if score is None else score / threshold if threshold else math.inf


def _add_further(out: Families, labels: tuple[str, str], drift_type: str, family: Mapping[str, Any]) -> None:
    for further in family.get("further", ()):
        if further.get("score") is not None:
            by_method = (*labels, drift_type, further["feature"], further["window"], SEGMENT_ALL, further["method"])
            out.add(c.DRIFT_SCORE, by_method, further["score"])
            if further.get("limit") is not None:
                out.add(c.DRIFT_THRESHOLD, by_method, further["limit"])


def _add_pairs(out: Families, labels: tuple[str, str], family: Mapping[str, Any]) -> None:
    for pair in family.get("pairs", ()):
        for sample, value in (("current", pair.get("now")), ("reference", pair.get("before"))):
            if value is not None:
                out.add(c.FEATURE_CORRELATION, (*labels, pair["first"], pair["second"], pair["window"], sample), value)


def _add_part(out: Families, labels: tuple[str, str], segment: str, drift_type: str, family: Mapping[str, Any]) -> None:
    """Add what was found of a segment: its severity, and the features that drifted most, as there may be many."""
    severities = family.get("feature_severity", {})
    worst = sorted((f for f in severities if severities[f] >= Severity.WARNING), key=lambda f: (-severities[f], f))
    shown = [feature for feature in worst if feature][:MAX_ATTRIBUTED]
    for feature in (*shown, ""):
        severity = severities[feature] if feature else family.get("severity", 0)
        out.add(c.DRIFT_SEVERITY, (*labels, drift_type, feature, segment), severity)
    for feature, test in _shown_tests(drift_type, [t for t in family.get("tests", ()) if t["feature"] in worst]):
        if feature in shown or not feature:
            where = (*labels, drift_type, feature, test["window"], segment)
            for metric, value in ((c.DRIFT_SCORE, test.get("score")), (c.DRIFT_THRESHOLD, test.get("threshold"))):
                if value is not None:
                    out.add(metric, where, value)


def _add_shifts(out: Families, labels: tuple[str, str], shifts: list[Mapping[str, Any]]) -> None:
    gauges = (
        (c.FEATURE_SHIFT_SD, "shift_sd"),
        (c.FEATURE_MISSING_RATIO, "missing_ratio"),
        (c.FEATURE_NOVEL_RATIO, "novel_ratio"),
    )
    once = {(shift["feature"], shift["window"]): shift for shift in reversed(shifts)}
    for where, shift in once.items():
        for metric, name in gauges:
            if shift.get(name) is not None:
                out.add(metric, (*labels, *where), shift[name])
    attributed = [
        (where, shift["attribution"]) for where, shift in once.items() if shift.get("attribution") is not None
    ]
    for where, share in sorted(attributed, key=lambda item: -item[1])[:MAX_ATTRIBUTED]:
        out.add(c.DRIFT_ATTRIBUTION, (*labels, *where), share)
