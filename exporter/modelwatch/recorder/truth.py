"""Predictions beside their actuals, where both came together: right or wrong, or by how much."""

from __future__ import annotations

import math
from types import NoneType
from typing import Any

import numpy as np

from modelwatch.recorder.outcomes import Values, finite
from modelwatch.recorder.text import label_text
from modelwatch.records import FloatArray

QUANTITIES = ("regression", "score")
CLASSIFIERS = ("binary", "multiclass")
_NUMBERS = frozenset({int, bool, float, NoneType})
_CLASSES = frozenset({int, bool, NoneType})


def numbers_or_nan(values: Values) -> FloatArray:
    """
    Return values as floats, NaN for what is no finite number; text and bools are none.

    >>> numbers_or_nan([1, None, "x", 0.5, True])
    array([1. , nan, nan, 0.5, nan])
    """
    if isinstance(values, np.ndarray):
        return np.where(np.isfinite(values), values, np.nan)
    return np.array([math.nan if (number := finite(value)) is None else number for value in values], np.float64)


def compare(
    predictions: Values, actuals: Values, task: str | None, threshold: float | None, positive: object
) -> tuple[FloatArray | None, FloatArray | None]:
    """
    Compare predictions with what turned out to be true.

    Parameters
    ----------
    predictions, actuals
        Plain values of equal length; None where there is none.
    task
        "binary" and "multiclass" predict classes, "regression" and "score" quantities. Without a task, text and bools
        are classes, and so are numbers between 0 and 1 whose actuals are 0 and 1; other numbers are quantities.
    threshold
        A score above it is a prediction of the positive class, where that is what is predicted.
    positive
        The positive class, as actuals name it.

    Returns
    -------
    tuple
        By row 1.0 for right, 0.0 for wrong, NaN for what can't be told; and by row prediction minus actual, NaN where
        those are not two numbers. None in the place of what makes no sense for the task.

    >>> compare(np.array([0.9, 0.2]), [1, 1], "binary", 0.5, 1)[0]
    array([1., 0.])
    >>> compare(np.array([2.5, 4.0]), [2.0, None], "regression", None, 1)[1]
    array([0.5, nan])
    """
    if task in QUANTITIES:
        return None, _difference(predictions, actuals)
    if task in CLASSIFIERS:
        return _right(predictions, actuals, threshold if task == "binary" else None, positive), None
    if isinstance(predictions, np.ndarray) or not any(isinstance(value, (str, bool)) for value in predictions):
        if threshold is not None and _are_binary(predictions, actuals):
            return _right(predictions, actuals, threshold, positive), None
        return None, _difference(predictions, actuals)
    named = [value if isinstance(value, (str, bool)) else None for value in predictions]
    return _right(named, actuals, None, positive), _difference(predictions, actuals)


def _are_binary(predictions: Values, actuals: Values) -> bool:
    """Return whether these look like the scores or labels of a binary classifier, and what is known of the truth."""
    given, true = _as_numbers(predictions), _as_numbers(actuals)
    if given is None or true is None:
        return False
    given, true = given[~np.isnan(given)], true[~np.isnan(true)]
    return bool(len(given) and len(true) and np.isin(true, (0.0, 1.0)).all() and ((given >= 0) & (given <= 1)).all())


def _difference(predictions: Values, actuals: Values) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers_or_nan(predictions) - numbers_or_nan(actuals)


def _right(predictions: Values, actuals: Values, threshold: float | None, positive: object) -> FloatArray:
    given, true = _as_numbers(predictions), _as_numbers(actuals)
    if given is not None and true is not None:
        if threshold is None or (isinstance(predictions, list) and _CLASSES.issuperset(map(type, predictions))):
            return _told(given == true, given, true)
        if isinstance(predictions, np.ndarray) and isinstance(positive, (int, float)):
            return _told((given > threshold) == (true == positive), given, true)
    pairs = zip(predictions, actuals, strict=True)
    return np.array([_is_right(p, a, threshold, positive) for p, a in pairs], np.float64)


def _told(right: Any, given: FloatArray, true: FloatArray) -> FloatArray:  # noqa: ANN401 - an array of bools
    return np.where(np.isnan(given) | np.isnan(true), np.nan, right)


def _as_numbers(values: Values) -> FloatArray | None:
    """Return classes or scores as floats, NaN for None; None if any of them is something else."""
    if isinstance(values, np.ndarray):
        return values
    if not _NUMBERS.issuperset(map(type, values)):
        return None
    try:
        return np.array(values, np.float64)
    except OverflowError:
        return None


def _is_right(prediction: Any, actual: Any, threshold: float | None, positive: object) -> float:  # noqa: ANN401
    told, true = _name(prediction), _name(actual)
    if true is None:
        return math.nan
    if threshold is not None and isinstance(prediction, float):
        if not math.isfinite(prediction) or isinstance(actual, str) != isinstance(positive, str):
            return math.nan  # a label of which nobody said whether it is the positive one
        return float((prediction > threshold) == (true == _name(positive)))
    return math.nan if told is None else float(told == true)


def _name(value: Any) -> str | None:  # noqa: ANN401 - a plain prediction
    """Return a class as text, the same for 1, 1.0, True and "1"; None for what is no class."""
    if value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else None
    return str(int(value)) if isinstance(value, int) else label_text(value)


__all__ = ["compare", "numbers_or_nan"]
