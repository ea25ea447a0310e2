"""Predictions, latencies and times as numbers, whatever was handed in."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.class_scores import LEAST_CLASSES, TopClass, TopClasses, top_of_mapping, top_of_vector
from modelwatch.recorder.fields import structured_answer
from modelwatch.recorder.text import label_text
from modelwatch.records import FloatArray

Values = list[Any] | FloatArray
"""Plain values; an array where all are floats. Arrays can't be written to."""
_PLAIN = frozenset({float, int, str, bool, type(None)})
DOUBLE_BYTES = 8
SCORE_CLASSES = ("0", "1")
"""The classes of scores up to and above the decision threshold."""
MAX_NESTING = 4
"""A list may hold itself."""
MAX_FUTURE_SECONDS = 86400.0
"""A time further ahead than this is taken for a mistake."""
MILLISECONDS_FROM = 1e11
"""A number from here on (the year 5138 in seconds) is milliseconds since 1970, as JavaScript and Java count."""


def plain_prediction(value: Any) -> Any:  # noqa: ANN401 - whatever a model returns
    """
    Return a prediction as one plain value: a number, a label, or None.

    An array or list of one is its element; one of two is read as the probabilities of a binary classifier, the
    second being that of the positive class; a longer one as those of many classes, the largest being the answer. Of
    a dict of three or more classes with their probabilities it is the most probable class; of any other, a dataclass
    or a pydantic model it is the field that :func:`structured_answer` finds.

    >>> plain_prediction([0.25, 0.75]), plain_prediction([0.1, 0.2, 0.7]), plain_prediction("yes")
    (0.75, '2', 'yes')
    """
    return scored_prediction(value).label


def scored_prediction(value: Any) -> TopClass:  # noqa: ANN401 - whatever a model returns
    """
    Return a prediction as one plain value, as :func:`plain_prediction` does, with the score of the class that it is.

    >>> scored_prediction({"cat": 0.7, "dog": 0.2, "fox": 0.1}), scored_prediction("cat")
    (TopClass(label='cat', score=0.7), TopClass(label='cat', score=nan))
    """
    if type(value) in _PLAIN:
        return TopClass(value, math.nan)
    if type(value) in (list, tuple):
        return _from_vector(value)
    if type(value) is TopClass:  # of an array that came with other predictions
        return value
    if isinstance(value, np.generic):
        return TopClass(value.item(), math.nan)
    if hasattr(type(value), "__array__"):  # numpy, pandas, polars, pyarrow, tensors
        value = np.asarray(value).reshape(-1).tolist()
    top = top_of_mapping(value) if isinstance(value, Mapping) else None
    if top is not None:
        return top
    answer = structured_answer(value)
    if isinstance(answer, (list, tuple)):
        return _from_vector(answer)
    return TopClass(answer, math.nan) if answer is value else scored_prediction(answer)


def floats_or_list(values: Sequence[Any] | FloatArray) -> Values:
    """
    Return values as an array if all are floats, else as they are in a list.

    >>> floats_or_list([0.5, 1.0]), floats_or_list([0.5, 1])
    (array([0.5, 1. ]), [0.5, 1])
    """
    if isinstance(values, np.ndarray):
        return values
    if len(values) and type(values[0]) is float and set(map(type, values)) == {float}:
        return np.frombuffer(struct.pack(f"{len(values)}d", *values))  # three times as fast as numpy reads a list
    return list(values)


def plain_values(column: NDArray[Any] | list[Any]) -> Values:
    """
    Return a column as float64 where it holds floats, else as a list of plain Python values.

    >>> plain_values(np.array([0.5, 1.0], np.float32)), plain_values(np.array([1, 2]))
    (array([0.5, 1. ]), [1, 2])
    """
    if not isinstance(column, np.ndarray):
        return column
    if column.dtype.kind == "f" and column.dtype.itemsize <= DOUBLE_BYTES:
        return column.astype(np.float64, copy=False)
    return list(column) if column.dtype.kind in "fmMcV" else list(column.tolist())


def holds_any(values: Values | Sequence[Any]) -> bool:
    """Return whether any of `values` is not None."""
    return isinstance(values, np.ndarray) or not {NoneType}.issuperset(map(type, values))


def is_missing(value: Any) -> bool:  # noqa: ANN401 - anything
    """Return whether a value says that nothing is known: None, or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def plain_predictions(values: Sequence[Any] | FloatArray) -> tuple[Values, int]:
    """Return predictions as plain values, None for those that can't be read, and how many those are."""
    plain, _, unreadable = scored_predictions(values)
    return plain, unreadable


def scored_predictions(values: Sequence[Any] | FloatArray | TopClasses) -> tuple[Values, FloatArray | None, int]:
    """
    Return predictions as plain values, the scores of predicted classes, and how many can't be read.

    A prediction that can't be read is None, a score that nobody said is NaN; None if nobody said any.

    >>> scored_predictions([[0.1, 0.2, 0.7], "1", {}])
    (['2', '1', None], array([0.7, nan, nan]), 1)
    """
    if isinstance(values, TopClasses):
        return values.labels, None if np.isnan(values.scores).all() else values.scores, 0
    numbers = floats_or_list(values)
    if isinstance(numbers, np.ndarray) or _PLAIN.issuperset(map(type, values)):
        return numbers, None, 0
    plain, scores, unreadable = [], [], 0
    for value in values:
        try:
            label, score = scored_prediction(value)
        except Exception:  # noqa: BLE001 - the recorder boundary: the parts of an arbitrary object may raise anything
            label, score = None, math.nan
            unreadable += 1
        plain.append(label)
        scores.append(score)
    found = np.array(scores, np.float64)
    return plain, None if np.isnan(found).all() else found, unreadable


def _from_vector(values: Sequence[Any]) -> TopClass:
    for _ in range(MAX_NESTING):
        if len(values) != 1 or not isinstance(values[0], (list, tuple)):
            break
        values = values[0]
    if len(values) >= LEAST_CLASSES:
        return top_of_vector(values)
    return TopClass(values[-1] if len(values) else None, math.nan)


def class_of(value: Any, task: str | None) -> str | None:  # noqa: ANN401 - a plain prediction
    """Return the predicted class as a label; None if the prediction is a score or a quantity."""
    if isinstance(value, (str, bool)):
        return label_text(value)
    if isinstance(value, int) and task in ("binary", "multiclass"):
        return label_text(value)
    if task == "multiclass" and value is not None:
        integral = isinstance(value, float) and value.is_integer()
        return label_text(int(value) if integral else value)
    return None


def count_classes(
    predictions: Values, numbers: FloatArray, task: str | None, threshold: float | None
) -> Mapping[str, int]:
    """
    Return how many predictions are of each class.

    Parameters
    ----------
    predictions
        Plain predictions.
    numbers
        Those that are finite numbers.
    task
        What the model does; "regression" has no classes.
    threshold
        Scores above it are of class "1", others of class "0", as the bucket of a histogram up to the threshold holds
        the threshold itself. None: scores have no class.

    >>> scores = np.array([0.5, 0.7])
    >>> count_classes(scores, scores, "binary", 0.5)
    {'0': 1, '1': 1}
    """
    if task == "regression":
        return {}
    if isinstance(predictions, np.ndarray):
        if task != "multiclass":
            return {} if threshold is None else _count_scores(numbers, threshold)
        predictions = predictions.tolist()
    names = [class_of(prediction, task) for prediction in predictions]
    classes = Counter(name for name in names if name is not None)
    if threshold is not None:
        scores = finite_numbers([p for p, name in zip(predictions, names, strict=True) if name is None])
        classes.update(_count_scores(scores, threshold) if len(scores) else {})
    return classes


def _count_scores(scores: FloatArray, threshold: float) -> dict[str, int]:
    above = int(np.count_nonzero(scores > threshold))
    return dict(zip(SCORE_CLASSES, (len(scores) - above, above), strict=True))


def finite(value: Any) -> float | None:  # noqa: ANN401 - anything
    """Return a finite number as a float; None for anything else, bools and text included."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    try:
        number = math.nan if isinstance(value, (bool, str, bytes, type(None))) else float(value)
    except Exception:  # noqa: BLE001 - the recorder boundary: the parts of an arbitrary object may raise anything
        return None
    return number if math.isfinite(number) else None


def finite_or_none(values: Sequence[Any] | FloatArray) -> Values:
    """Return finite numbers as floats, and None in the place of anything else; an array if there is no None."""
    numbers = floats_or_list(values)
    if isinstance(numbers, np.ndarray) and np.isfinite(numbers).all():
        return numbers
    return floats_or_list([finite(value) for value in values])


def finite_numbers(values: Values | Sequence[Any]) -> FloatArray:
    """Return those of `values` that are finite numbers."""
    numbers = values if isinstance(values, np.ndarray) else floats_or_list(values)
    if isinstance(numbers, np.ndarray):
        good = np.isfinite(numbers)
        return numbers if good.all() else numbers[good]
    return np.array([number for number in map(finite, values) if number is not None], np.float64)


def finite_sum(numbers: FloatArray) -> float:
    """Return the sum of finite numbers, kept finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(numbers.sum())
    return total if math.isfinite(total) else float(np.nan_to_num(total))


def seconds_of(latencies_ms: Sequence[Any] | FloatArray) -> tuple[FloatArray, int]:
    """Return the given latencies in seconds, None left out, and how many were neither None nor finite and >= 0."""
    given = floats_or_list(latencies_ms)
    if isinstance(given, list):
        given = [value for value in given if value is not None]
    numbers = finite_numbers(given)
    good = numbers[numbers >= 0]
    return good / 1000.0, len(given) - len(good)


def epoch_seconds(value: Any, now: float) -> float | None:  # noqa: ANN401 - a time as the caller has it
    """
    Return a time as seconds since 1970; None if it is not one, or lies more than a day ahead of `now`.

    Numbers are seconds, or milliseconds where they are that large; naive datetimes are local time; text is ISO 8601.
    """
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        if isinstance(value, (bool, np.bool_)):
            return None
        if isinstance(value, (datetime, np.datetime64)):
            number = plain_datetime(value).timestamp()
        else:
            number = unix_seconds(float(value))
    except Exception:  # noqa: BLE001 - the recorder boundary: a time may be any object
        return None
    return number if 0 <= number <= now + MAX_FUTURE_SECONDS else None


def plain_datetime(value: datetime | np.datetime64) -> datetime:
    """
    Return a datetime of any kind as Python's own, whose naive ones are local time: to pandas and numpy they are UTC.

    Raises
    ------
    ValueError, OverflowError
        If it is none, as NaT, or lies beyond Python's calendar.

    >>> plain_datetime(np.datetime64("2026-01-31T12:00"))
    datetime.datetime(2026, 1, 31, 12, 0)
    """
    if isinstance(value, np.datetime64):
        found = value.astype("datetime64[us]").item()
        if isinstance(found, datetime):
            return found
        msg = f"{value} is no time that Python knows"
        raise ValueError(msg)
    return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value


def unix_seconds(number: float) -> float:
    """
    Return a bare number that stands for a time as seconds: one that is too large for them is milliseconds.

    >>> unix_seconds(1_790_000_000_000) == unix_seconds(1_790_000_000)
    True
    """
    return number / 1000.0 if MILLISECONDS_FROM <= number < 1000 * MILLISECONDS_FROM else number
