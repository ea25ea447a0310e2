"""Whether a column holds numbers or categories, and what kind of prediction a model makes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelwatch.exceptions import ProfileError, did_you_mean
from modelwatch.profile.columns import count_categories, fill_numbers
from modelwatch.profile.edges import category_cells, numeric_cells
from modelwatch.profile.tables import Column
from modelwatch.profile.values import is_missing
from modelwatch.records import PREDICTION, FeatureCells, FloatArray, Kind

Task = Literal["binary", "multiclass", "regression", "score"]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression", "score")

SCORE_BINS = 50
MAX_LABELS = 20
_IDENTIFIER_DISTINCT = 50


@dataclass(frozen=True)
class Reading:
    """A column as its kind has it: cells, finite values if numeric, and what somebody should know about it."""

    cells: FeatureCells
    values: FloatArray | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Why a column has no cells, as a sentence."""

    why: str


def read_feature(name: str, column: Column, bins: int, *, categorical: bool, asked: bool) -> Reading | LeftOut:
    """Return the cells of one feature, or why it can't be watched.

    Parameters
    ----------
    name : str
        The feature.
    column : ndarray or list
        Its values.
    bins : int
        About how many cells a numeric feature gets.
    categorical : bool
        Whether it is to be read as categories whatever it holds.
    asked : bool
        Whether somebody named it as categorical: then it is kept even if it looks like an identifier.
    """
    kind = "categorical" if categorical else _kind_of(column)
    if kind is None:
        return LeftOut(f"feature {name!r} was left out: {_describe_other(column)}")
    if kind == "numeric":
        values, odd = finite_numbers(column)
        if not len(values):
            return LeftOut(f"feature {name!r} was left out: it holds no finite number")
        warnings = (f"feature {name!r} holds {odd} values that are no numbers; they count as invalid",) if odd else ()
        return Reading(numeric_cells(name, values, bins), values, warnings)
    counted, _ = count_categories(column)
    total = counted.total()
    if not total:
        return LeftOut(f"feature {name!r} was left out: it holds no category")
    if not asked and len(counted) > max(_IDENTIFIER_DISTINCT, total / 2):
        return LeftOut(
            f"feature {name!r} was left out: with {len(counted)} distinct values in {total} rows it looks like an "
            "identifier; name it in `categorical` to keep it"
        )
    return Reading(category_cells(name, counted), None)


def finite_numbers(column: Column) -> tuple[FloatArray, int]:
    """Return the finite numbers of a column, sorted, and how many values are no numbers."""
    out = np.empty(len(column))
    invalid = fill_numbers(column, out)
    # Sorted, so that what is computed from them does not depend on the order of rows.
    return np.sort(out[np.isfinite(out)]), invalid.total()


def _kind_of(column: Column) -> Kind | None:
    """Return the kind of most of a column's values; None if most are neither numbers nor texts."""
    if isinstance(column, np.ndarray) and column.dtype != object:
        by_dtype: dict[str, Kind] = {"i": "numeric", "u": "numeric", "f": "numeric", "b": "categorical"}
        return "categorical" if column.dtype.kind in "UT" else by_dtype.get(column.dtype.kind)
    seen: Counter[Kind | None] = Counter()
    for type_, count in _types(column).items():
        seen[_kind_of_type(type_)] += count
    # Nothing but gaps is left out later, for want of a number.
    return max(seen, key=lambda kind: (seen[kind], kind is not None)) if seen else "numeric"


def _types(column: Column) -> Counter[type]:
    return Counter(type(value) for value in column if not is_missing(value))


def _kind_of_type(type_: type) -> Kind | None:
    if issubclass(type_, (str, bool, np.bool_, Enum)):
        return "categorical"
    if issubclass(type_, np.timedelta64):
        return None  # to numpy a kind of integer
    return "numeric" if issubclass(type_, (Decimal, Real)) else None


def _describe_other(column: Column) -> str:
    types = _types(column)
    if any(issubclass(type_, (date, time, timedelta, np.datetime64, np.timedelta64)) for type_ in types):
        return "it holds dates or times; derive a number or a category from it"
    held = ", ".join(sorted({type_.__name__ for type_ in types})[:3])
    return f"it holds neither numbers nor texts but {held or 'dates without a value'}"


def read_prediction(column: Column, task: str | None, bins: int, threshold: float) -> tuple[Reading, Task]:
    """Return the cells of the prediction and the task, inferred where it is not given.

    Texts, booleans and at most 20 whole numbers are labels; numbers between 0 and 1 are scores (50 cells, with the
    decision threshold as an edge); any others are a regression's.
    """
    if task is not None and task not in TASKS:
        raise ProfileError(f"task {task!r} is none of {', '.join(TASKS)}{did_you_mean(task, TASKS)}")
    kind = _kind_of(column)
    if kind is None:
        raise ProfileError(
            f"predictions: {_describe_other(column)}; pass one number or label per row (of class probabilities the "
            "top class, or the score of the positive class)"
        )
    values, odd = finite_numbers(column) if kind == "numeric" else (None, 0)
    if values is not None and not len(values):
        raise ProfileError("predictions hold no finite number")
    if values is None or _are_labels(values, task):
        return _read_labels(column, task)
    inferred = task or ("binary" if values[0] >= 0 and values[-1] <= 1 else "regression")
    if inferred == "multiclass":
        raise ProfileError("predictions of a multiclass model are its classes; pass the top class of each row")
    if inferred == "regression":
        cells = numeric_cells(PREDICTION, values, bins)
    else:
        cells = numeric_cells(PREDICTION, values, SCORE_BINS, keep=(threshold,))
    warnings = (f"{odd} predictions are no numbers; they count as invalid",) if odd else ()
    return Reading(cells, values, warnings), _task(inferred)


def _task(name: str) -> Task:
    return next(task for task in TASKS if task == name)


def _are_labels(values: NDArray[np.float64], task: str | None) -> bool:
    if task in ("regression", "score"):
        return False
    distinct = np.unique(values)
    whole = bool((distinct == np.floor(distinct)).all())
    return whole and (len(distinct) <= MAX_LABELS or task == "multiclass")


def _read_labels(column: Column, task: str | None) -> tuple[Reading, Task]:
    if task in ("regression", "score"):
        raise ProfileError(f"predictions of a {task} model are numbers; these are labels")
    counted, _ = count_categories(column)
    if not counted:
        raise ProfileError("predictions hold no label")
    cells = category_cells(PREDICTION, counted)
    inferred = task or ("binary" if len(counted) <= 2 else "multiclass")
    return Reading(cells, None), _task(inferred)
