"""Between the values of :mod:`modelwatch.records` and JSON. What is written never holds NaN or infinity."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from modelwatch.policy import Severity
from modelwatch.records import CheckResult, CorrelationChange, FamilyResult, FeatureShift, FurtherScore, TestResult

__all__ = [
    "MAX_REPR",
    "check_result_from_json",
    "check_result_to_json",
    "dump_json",
    "plain",
    "safe_repr",
    "summarize_check",
]

R = TypeVar("R")
MAX_REPR = 200
_MAX_DEPTH = 50


def safe_repr(value: object) -> str:
    """Return ``repr(value)`` cut at :data:`MAX_REPR` characters, whatever the object does when asked for it.

    >>> safe_repr(range(3)), len(safe_repr("x" * 999))
    ('range(0, 3)', 200)
    """
    try:
        return repr(value)[:MAX_REPR]
    except Exception:  # noqa: BLE001 - a customer's __repr__ may raise anything, and recording must go on
        return f"<{type(value).__name__} without a repr>"


def plain(value: object, depth: int = 0) -> object:
    """Return ``value`` made of dicts, lists, strings, finite numbers, bools and None only.

    Dataclasses become dicts by field name, enums their value, arrays lists; NaN and infinity become None, and what has
    no JSON form the first :data:`MAX_REPR` characters of its repr.

    >>> plain({"a": np.float64("nan"), "b": (np.int64(1), Severity.ERROR), "c": {1.5: b"x"}})
    {'a': None, 'b': [1, 3], 'c': {'1.5': "b'x'"}}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (np.generic, Enum)):
        return _plain_scalar(value.item() if isinstance(value, np.generic) else value.value)
    if isinstance(value, (str, int, float)):
        return _plain_scalar(value)
    if depth >= _MAX_DEPTH:
        return safe_repr(value)
    return _plain_container(value, depth + 1)


def _plain_scalar(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, str) else safe_repr(value)


def _plain_container(value: object, depth: int) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), depth) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else str(plain(k)): plain(v, depth) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item, depth) for item in value), key=str)
    if isinstance(value, np.ndarray):
        return [plain(item, depth) for item in value.tolist()] if value.ndim else plain(value.item(), depth)
    return safe_repr(value)


def dump_json(value: object) -> str:
    r"""Return any value as JSON in ASCII, by way of :func:`plain`.

    >>> dump_json({"ü": float("inf")})
    '{"\\u00fc":null}'
    """
    return json.dumps(plain(value), separators=(",", ":"), allow_nan=False)


def check_result_to_json(result: CheckResult) -> dict[str, Any]:
    """Return a check's outcome as a dict that ``json.dumps`` takes.

    Parameters
    ----------
    result
        What a check returned.

    Returns
    -------
    dict
        Dataclass fields by name, severities as numbers, ``families`` as a dict of dicts, tuples as lists, and None in
        the place of NaN and infinity.
    """
    return {f.name: plain(getattr(result, f.name)) for f in dataclasses.fields(result)}


def check_result_from_json(value: Mapping[str, Any]) -> CheckResult:
    """Undo :func:`check_result_to_json`. Fields that a newer release added are ignored; None becomes NaN again."""
    fields = _known(CheckResult, value)
    fields["families"] = {name: _family(family) for name, family in value["families"].items()}
    fields["segments"] = {
        part: {name: _family(family) for name, family in families.items()}
        for part, families in value.get("segments", {}).items()
    }
    fields["windows"] = {name: float(rows) for name, rows in value["windows"].items()}
    mean = value.get("prediction_mean")
    fields["prediction_mean"] = None if mean is None else (_number(mean[0]), _number(mean[1]))
    return CheckResult(**fields)


def _family(value: Mapping[str, Any]) -> FamilyResult:
    fields = _known(FamilyResult, value)
    fields["severity"] = Severity(value["severity"])
    fields["tests"] = tuple(_test(test) for test in value.get("tests", ()))
    severities = value.get("feature_severity", {})
    fields["feature_severity"] = {name: Severity(severity) for name, severity in severities.items()}
    fields["shifts"] = tuple(_shift(shift) for shift in value.get("shifts", ()))
    fields["noisy"] = tuple(value.get("noisy", ()))
    fields["further"] = tuple(FurtherScore(**_known(FurtherScore, score)) for score in value.get("further", ()))
    fields["pairs"] = tuple(CorrelationChange(**_known(CorrelationChange, pair)) for pair in value.get("pairs", ()))
    return FamilyResult(**fields)


def _test(value: Mapping[str, Any]) -> TestResult:
    fields = _known(TestResult, value)
    fields["severity"] = Severity(value["severity"])
    return TestResult(**fields)


def _shift(value: Mapping[str, Any]) -> FeatureShift:
    fields = _known(FeatureShift, value)
    fields["shift_sd"] = value.get("shift_sd")
    fields["changed"] = tuple((str(c[0]), _number(c[1]), _number(c[2])) for c in value.get("changed", ()))
    tail = value.get("tail")
    fields["tail"] = None if tail is None else (str(tail[0]), _number(tail[1]), _number(tail[2]), _number(tail[3]))
    return FeatureShift(**fields)


def _known(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the keys that are fields of ``kind``; in those of type float None becomes NaN."""
    return {
        f.name: _number(value[f.name]) if f.type == "float" else value[f.name]
        for f in dataclasses.fields(kind)
        if f.name in value
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def summarize_check(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the drift history keeps of a check: states, severities, and each feature's foremost score.

    Parameters
    ----------
    result
        The dict of :func:`check_result_to_json`.

    Returns
    -------
    dict
        ``{"profile_id", "windows", "severity", "families": {drift type: {"state", "severity", "reason", "features":
        {feature: {"score", "threshold", "severity", "window", "test"}}}}}``. A feature's foremost score is that of its
        most severe test and, among equals, of the one with the smallest p-value.
    """
    families = {name: _summarize_family(family) for name, family in result.get("families", {}).items()}
    return {
        "profile_id": result.get("profile_id", ""),
        "windows": result.get("windows", {}),
        "severity": max((family["severity"] for family in families.values()), default=0),
        "families": families,
    }


def _summarize_family(family: Mapping[str, Any]) -> dict[str, Any]:
    def rank(test: Mapping[str, Any]) -> tuple[int, float]:
        p_value = test.get("p_value")
        return -int(test["severity"]), math.inf if p_value is None else p_value

    features: dict[str, dict[str, Any]] = {}
    for test in sorted(family.get("tests", ()), key=rank):
        kept = {key: test.get(key) for key in ("score", "threshold", "severity", "window", "test")}
        features.setdefault(test["feature"], kept)
    for name, severity in family.get("feature_severity", {}).items():
        features.setdefault(name, {})["severity"] = severity
    return {
        "state": family["state"],
        "severity": int(family["severity"]),
        "reason": family.get("reason", ""),
        "features": features,
    }
