"""What a multiclass model says of every class: which one it is for, and how sure it is of that one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.columns import as_column
from modelwatch.records import FloatArray

ANSWER_NAMES = ("prediction", "score", "probability", "label")
"""Fields of a structured result that are the prediction, the first that is there, if nobody says which is."""
LEAST_CLASSES = 3
"""Of two classes one score says all: that of the positive class."""
BoolArray = NDArray[np.bool_]
_SUM_ERROR = 0.02
"""Probabilities that were rounded add up to one no more exactly than this."""


class TopClass(NamedTuple):
    """The class with the highest score, and that score; NaN where only the class is known."""

    label: Any
    score: float


@dataclass(frozen=True, eq=False)
class TopClasses:
    """The same of many rows.

    Attributes
    ----------
    labels : list or ndarray
        The class of each row, None where there is none.
    scores : ndarray, shape (rows,)
        NaN where there is none.
    """

    labels: Any
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, mask: BoolArray) -> TopClasses:
        """Return some rows."""
        return TopClasses(list(compress(self.labels, mask)), self.scores[mask])

    def rows(self) -> list[TopClass]:
        """Return one object per row."""
        return list(map(TopClass, self.labels, self.scores.tolist()))


def top_of_matrix(matrix: NDArray[Any]) -> TopClasses:
    """Return the classes of rows of scores, named by the places of their columns; NaN is no score.

    Parameters
    ----------
    matrix : ndarray of numbers, shape (rows, classes)
        One column per class.

    >>> top = top_of_matrix(np.array([[0.1, 0.2, 0.7], [0.5, np.nan, 0.1], [np.nan, np.nan, np.nan]]))
    >>> top.labels, top.scores.tolist()
    (['2', '0', None], [0.7, 0.5, nan])
    """
    scores = matrix.astype(np.float64, copy=False)
    unknown = np.isnan(scores)
    places = (np.where(unknown, -np.inf, scores) if unknown.any() else scores).argmax(axis=1)
    labels: list[str | None] = list(map(str, places.tolist()))
    for row in np.flatnonzero(unknown.any(axis=1)).tolist():
        known = np.flatnonzero(~unknown[row])
        places[row] = known[scores[row, known].argmax()] if len(known) else 0
        labels[row] = str(places[row]) if len(known) else None
    return TopClasses(labels, np.take_along_axis(scores, places[:, None], axis=1)[:, 0])


def top_of_vector(values: Sequence[Any]) -> TopClass:
    """Return the class of one row of scores, named by its place; None and NaN are no scores.

    >>> top_of_vector([0.1, 0.2, 0.7]), top_of_vector([None, None, None])
    (TopClass(label='2', score=0.7), TopClass(label=None, score=nan))
    """
    try:
        total = sum(values)
        if total == total:  # no NaN is among them: the usual case, without a look at each
            top = max(values)
            return TopClass(str(values.index(top)), float(top))
    except (TypeError, ValueError, OverflowError):  # None, or texts
        pass
    known = [place for place, value in enumerate(values) if value is not None and value == value]
    if not known:
        return TopClass(None, math.nan)
    place = max(known, key=values.__getitem__)
    top = values[place]
    return TopClass(str(place), math.nan if isinstance(top, (str, bytes)) else float(top))


def top_of_mapping(scores: Mapping[Any, Any]) -> TopClass | None:
    """Return the class of a mapping of classes to probabilities; None if it is none, but a result with several fields.

    >>> top_of_mapping({"cat": 0.7, "dog": 0.2, "fox": 0.1}), top_of_mapping({"price": 9.5, "tax": 0.1, "fee": 0.3})
    (TopClass(label='cat', score=0.7), None)
    """
    if len(scores) < LEAST_CLASSES or any(name in scores for name in ANSWER_NAMES):
        return None
    total, top = 0.0, TopClass(None, -1.0)
    for label, value in scores.items():
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real) or not 0.0 <= float(value) <= 1.0:
            return None
        total += float(value)
        if float(value) > top.score:
            top = TopClass(str(label), float(value))
    return top if abs(total - 1.0) <= _SUM_ERROR else None


def read_class_scores(predictions: Any) -> TopClasses | None:  # noqa: ANN401 - whatever somebody hands over
    """Return the classes of predictions that are scores of three or more classes; None if they are anything else.

    Parameters
    ----------
    predictions : object
        An array or DataFrame with one column per class, or one list of scores or mapping of classes to probabilities
        a row; rows of such a list that hold a class alone have no score.

    >>> read_class_scores([{"a": 0.2, "b": 0.3, "c": 0.5}, "a", None]).labels, read_class_scores(["a", "b"])
    (['c', 'a', None], None)
    """
    if isinstance(predictions, TopClasses):
        return predictions
    shape = getattr(predictions, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 2 and shape[1] >= LEAST_CLASSES:
        matrix = _as_numbers(predictions)
        return None if matrix is None else top_of_matrix(matrix)
    return _of_rows(predictions)


def _as_numbers(matrix: Any) -> NDArray[Any] | None:  # noqa: ANN401 - an array or a DataFrame
    try:
        return np.asarray(matrix, dtype=np.float64)
    except (ValueError, TypeError):
        return None


def _of_rows(predictions: Any) -> TopClasses | None:  # noqa: ANN401 - a column
    if isinstance(predictions, (str, bytes, Mapping)) or not hasattr(type(predictions), "__len__"):
        return None
    column = as_column(predictions, len(predictions))
    if column is None or (isinstance(column, np.ndarray) and column.dtype != object):
        return None
    first = next((value for value in column if value is not None and value is not math.nan), None)
    if first is None or _top_of(first) is None:
        return None
    found = [_top_of(value) or TopClass(value, math.nan) for value in column]
    return TopClasses([top.label for top in found], np.array([top.score for top in found], np.float64))


def _top_of(value: Any) -> TopClass | None:  # noqa: ANN401 - a prediction
    """Return the class of one row's scores; None if the row holds something else."""
    if isinstance(value, Mapping):
        return top_of_mapping(value)
    if isinstance(value, np.ndarray):
        value = value.reshape(-1).tolist()
    if isinstance(value, (list, tuple)) and len(value) >= LEAST_CLASSES:
        return top_of_vector(value) if all(one is None or isinstance(one, Real) for one in value) else None
    return None
