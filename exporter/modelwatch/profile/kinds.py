"""Whether a column holds numbers or categories, and what kind of prediction a model makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelwatch.exceptions import ProfileError, did_you_mean
from modelwatch.profile.contents import Contents
from modelwatch.profile.edges import category_cells, numeric_cells
from modelwatch.profile.moments import Moments
from modelwatch.records import PREDICTION, PREDICTION_SCORE, FeatureCells

Task = Literal["binary", "multiclass", "regression", "score"]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression", "score")

SCORE_BINS = 50
SCORED_SHARE = 0.95
"""Where a smaller share of predicted classes came with a score, scores are not watched: how many do may change."""
MAX_LABELS = 20
_IDENTIFIER_DISTINCT = 50


@dataclass(frozen=True)
class Reading:
    """A column as its kind has it: cells, moments if numeric, and what somebody should know about it."""

    cells: FeatureCells
    moments: Moments | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Why a column has no cells, as a sentence."""

    why: str


def read_feature(name: str, column: Contents, bins: int, *, categorical: bool, asked: bool) -> Reading | LeftOut:
    """Return the cells of one feature, or why it can't be watched.

    Parameters
    ----------
    name : str
        The feature.
    column : Contents
        What it holds.
    bins : int
        About how many cells a numeric feature gets.
    categorical : bool
        Whether it is to be read as categories whatever it holds.
    asked : bool
        Whether somebody named it as categorical: then it is kept even if it looks like an identifier.
    """
    kind = "categorical" if categorical else column.seen.kind
    if kind is None:
        return LeftOut(f"feature {name!r} was left out: {column.seen.other}")
    if kind == "numeric":
        numbers = column.numbers
        if not len(numbers.values):
            return LeftOut(f"feature {name!r} was left out: it holds no finite number")
        odd = numbers.invalid
        warnings = (f"feature {name!r} holds {odd} values that are no numbers; they count as invalid",) if odd else ()
        return Reading(numeric_cells(name, numbers.values, bins), numbers.moments, warnings)
    found = column.categories
    if not found.rows:
        return LeftOut(f"feature {name!r} was left out: it holds no category")
    if not asked and found.distinct > max(_IDENTIFIER_DISTINCT, found.rows / 2):
        return LeftOut(
            f"feature {name!r} was left out: with {found.distinct} distinct values in {found.rows} rows it looks like "
            "an identifier; name it in `categorical` to keep it"
        )
    return Reading(category_cells(name, found.counted), None)


def read_prediction(column: Contents, task: str | None, bins: int, threshold: float) -> tuple[Reading, Task]:
    """Return the cells of the prediction and the task, inferred where it is not given.

    Texts, booleans and at most 20 whole numbers are labels; numbers between 0 and 1 are scores (50 cells, with the
    decision threshold as an edge); any others are a regression's.
    """
    if task is not None and task not in TASKS:
        raise ProfileError(f"task {task!r} is none of {', '.join(TASKS)}{did_you_mean(task, TASKS)}")
    kind = column.seen.kind
    if kind is None:
        raise ProfileError(
            f"predictions: {column.seen.other}; pass one number or label per row (of class probabilities the "
            "top class, or the score of the positive class)"
        )
    if kind == "categorical":
        return _read_labels(column, task)
    values, odd = column.numbers.values, column.numbers.invalid
    if not len(values):
        raise ProfileError("predictions hold no finite number")
    if _are_labels(values, task):
        return _read_labels(column, task)
    inferred = task or ("binary" if values[0] >= 0 and values[-1] <= 1 else "regression")
    if inferred == "multiclass":
        raise ProfileError("predictions of a multiclass model are its classes; pass the top class of each row")
    if inferred == "regression":
        cells = numeric_cells(PREDICTION, values, bins)
    else:
        cells = numeric_cells(PREDICTION, values, SCORE_BINS, keep=(threshold,))
    warnings = (f"{odd} predictions are no numbers; they count as invalid",) if odd else ()
    return Reading(cells, column.numbers.moments, warnings), _task(inferred)


def read_classes(column: Contents, task: str | None) -> tuple[Reading, Task]:
    """Return the cells of the prediction where it is the class with the highest score, and the task."""
    if task not in (None, "multiclass"):
        raise ProfileError(
            f"predictions of a {task} model are one value a row; these are scores of three classes or more"
        )
    return _read_labels(column, "multiclass")


def read_score(column: Contents, predicted: int) -> Reading | LeftOut:
    """Return the cells of the score of the predicted class, or why it can't be watched.

    Parameters
    ----------
    column : Contents
        The scores.
    predicted : int
        How many rows have a predicted class.
    """
    numbers = column.numbers
    if not len(numbers.values) or len(numbers.values) < SCORED_SHARE * predicted:
        return LeftOut(
            f"the score of predicted classes was left out: {len(numbers.values)} of {predicted} predictions have one,"
            f" {SCORED_SHARE:.0%} are needed"
        )
    return Reading(numeric_cells(PREDICTION_SCORE, numbers.values, SCORE_BINS), numbers.moments)


def _task(name: str) -> Task:
    return next(task for task in TASKS if task == name)


def _are_labels(values: NDArray[np.float64], task: str | None) -> bool:
    if task in ("regression", "score"):
        return False
    distinct = np.unique(values)
    whole = bool((distinct == np.floor(distinct)).all())
    return whole and (len(distinct) <= MAX_LABELS or task == "multiclass")


def _read_labels(column: Contents, task: str | None) -> tuple[Reading, Task]:
    if task in ("regression", "score"):
        raise ProfileError(f"predictions of a {task} model are numbers; these are labels")
    counted = column.categories.counted
    if not counted:
        raise ProfileError("predictions hold no label")
    cells = category_cells(PREDICTION, counted)
    inferred = task or ("binary" if len(counted) <= 2 else "multiclass")
    return Reading(cells, None), _task(inferred)
