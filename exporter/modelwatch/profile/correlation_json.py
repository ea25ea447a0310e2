"""What a profile knows of its features together, as JSON and back. Reading trusts nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from modelwatch.profile.correlation import MOST_FEATURES, CorrelationConstants
from modelwatch.profile.hour_means import HourMeans
from modelwatch.profile.natural import LENGTHS
from modelwatch.profile.normal_scores import FURTHEST, MOST_CELLS
from modelwatch.profile.strata import Strata
from modelwatch.records import CellLayout, FloatArray

__all__ = ["by_hour_from_json", "by_hour_json", "correlation_from_json", "correlation_json"]

_MOST_ROWS = 2**53
_MOST_DAYS = 100_000


def correlation_json(constants: CorrelationConstants) -> dict[str, Any]:
    """Return the constants as JSON-ready values in a fixed order."""
    return {
        "rows": constants.rows,
        "mean": constants.mean,
        "sd": constants.sd,
        "skew": constants.skew,
        "resample_rows": constants.resample_rows,
        "days": constants.days,
        "natural": {label: list(sums) for label, sums in constants.natural.items()},
        "scores": {name: table.tolist() for name, table in zip(constants.features, constants.scores, strict=True)},
        "pairs": constants.correlation.tolist(),
    }


def correlation_from_json(value: object, layout: CellLayout) -> CorrelationConstants:
    """Undo :func:`correlation_json`.

    Parameters
    ----------
    value : object
        Anything that JSON can hold.
    layout : CellLayout
        The cells that the scores are of.

    Raises
    ------
    ValueError
        If it can't have been written by :func:`correlation_json`; the message says what is wrong where.
    """
    given = _object(value, "correlation")
    sizes = {member.name: member.size for member in layout.features if member.size <= MOST_CELLS}
    tables = _object(given.get("scores"), "correlation.scores")
    unknown = [name for name in tables if name not in sizes]
    if unknown:
        raise ValueError(f"correlation.scores has {unknown[0]!r:.40}, which is no feature that has cells for it")
    names = [name for name in sizes if name in tables]
    if not 2 <= len(names) <= MOST_FEATURES:
        raise ValueError(f"correlation.scores has {len(names)} features; it must have 2 to {MOST_FEATURES}")
    if names != list(tables):
        raise ValueError("correlation.scores are not in the order of the features")
    scores = [_numbers(tables[name], f"correlation.scores[{name!r:.40}]", sizes[name], FURTHEST) for name in names]
    empty = CorrelationConstants(tuple(names), tuple(scores), np.zeros(0), 0, 0.0, 0.0, 0.0, 0)
    return _filled(empty, given, "correlation")


def by_hour_json(constants: CorrelationConstants) -> dict[str, Any]:
    """Return constants of the same features by their hours, as JSON-ready values in a fixed order."""
    return {key: value for key, value in correlation_json(constants).items() if key != "scores"}


def by_hour_from_json(
    value: object, whole: CorrelationConstants, strata: Strata, layout: CellLayout
) -> CorrelationConstants:
    """Undo :func:`by_hour_json`.

    Parameters
    ----------
    value : object
        Anything that JSON can hold.
    whole : CorrelationConstants
        Of the same features.
    strata, layout
        The hours of the reference, and its cells.

    Raises
    ------
    ValueError
        If it can't have been written by :func:`by_hour_json`; the message says what is wrong where.
    """
    hours = HourMeans(strata, layout, whole.features, whole.scores)
    return _filled(replace(whole, hours=hours), _object(value, "correlation_by_hour"), "correlation_by_hour")


def _filled(empty: CorrelationConstants, given: Mapping[str, Any], where: str) -> CorrelationConstants:
    features = len(empty.features)
    return replace(
        empty,
        correlation=_numbers(given.get("pairs"), f"{where}.pairs", features * (features - 1) // 2, 1.0),
        rows=_whole(given, where, "rows", 1, _MOST_ROWS),
        mean=_number(given, where, "mean"),
        sd=_number(given, where, "sd"),
        skew=_number(given, where, "skew", least=-math.inf),
        resample_rows=_whole(given, where, "resample_rows", 4, _MOST_ROWS),
        days=_whole(given, where, "days", 0, _MOST_DAYS),
        natural=_natural(given.get("natural"), where),
    )


def _natural(value: object, where: str) -> dict[str, tuple[float, float]]:
    out = {}
    for label, sums in _object(value, f"{where}.natural").items():
        if label not in LENGTHS:
            raise ValueError(f"{where}.natural has {label!r:.40}; it must be one of {', '.join(LENGTHS)}")
        weighted, weight = _numbers(sums, f"{where}.natural[{label!r}]", 2, math.inf).tolist()
        if weight < 0.0:
            raise ValueError(f"{where}.natural[{label!r}] has a weight below 0")
        out[label] = (weighted, weight)
    return out


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no object")
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _numbers(value: object, where: str, count: int, largest: float) -> FloatArray:
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"{where} must be a list of {count} numbers")
    if not all(_is_number(number) and abs(number) <= largest for number in value):
        raise ValueError(f"{where} must be finite numbers from -{largest:g} to {largest:g}")
    return np.array(value, dtype=np.float64)


def _number(given: Mapping[str, Any], where: str, key: str, *, least: float = 0.0) -> float:
    number = given.get(key)
    if not _is_number(number) or float(number or 0.0) < least:
        raise ValueError(f"{where}.{key} must be a finite number{' of at least 0' if least == 0.0 else ''}")
    return float(number or 0.0)


def _whole(given: Mapping[str, Any], where: str, key: str, least: int, largest: int) -> int:
    number = given.get(key)
    if type(number) is not int or not least <= number <= largest:
        raise ValueError(f"{where}.{key} must be a whole number from {least} to {largest}")
    return number
