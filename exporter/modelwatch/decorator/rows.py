"""Telling a batch from a single row, by types and lengths alone; no value is looked at.

A call is a batch if its features are a table and its result has one answer per row. Tables are a 2-D array, a
DataFrame (pandas, polars), a pyarrow Table or RecordBatch, a list of rows (dicts, lists, arrays, dataclasses, pydantic
models, named tuples), and a dict all of whose values are columns of one length. Answers are a list, a tuple, a 1-D
array, a Series or a pyarrow array, or a matrix or DataFrame with a column per class.

Anything else is a single row: a table with one answer (a number, a text, a mapping), a list of numbers. So is a table
of one row, or a dict of columns, with another number of answers: these are the probabilities of one answer. Other
tables whose answers are more or fewer than their rows can't be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import NoneType
from typing import Any

import numpy as np

from modelwatch.exceptions import InputError

ONE_ANSWER: frozenset[type] = frozenset(
    {float, int, bool, str, bytes, NoneType, Decimal}
    | {np.float64, np.float32, np.float16, np.int64, np.int32, np.bool_, np.str_}
)
"""Types of results that answer one row, whatever the features are: the usual case, told by one look."""
CONTAINERS: frozenset[type] = frozenset({np.ndarray, list, tuple, dict})
"""Types of results that hold answers, one or many, and are no promise of one."""
ANSWER_NAMES = ("prediction", "predictions")
"""Where a dict of columns holds the answers to a batch, if nobody says so."""


def surely_one_row(features: Any, answer: Any) -> bool:  # noqa: ANN401 - whatever a model takes
    """Return whether one look at the types tells that this is a single row: a dict whose first value is no column.

    >>> surely_one_row({"age": 5.0}, [0.2, 0.8]), surely_one_row({"age": [5.0]}, [0.2, 0.8])
    (True, False)
    """
    return (
        type(features) is dict
        and type(answer) in CONTAINERS
        and (not features or type(next(iter(features.values()))) in ONE_ANSWER)
    )


def rows_of_call(features: Any, answer: Any, batch: bool | None) -> int | None:  # noqa: ANN401 - whatever a model takes
    """Return how many rows a call that succeeded was about; None for a single row.

    Parameters
    ----------
    features, answer
        What the model was given and what it answered.
    batch
        Whether it is a batch; None to tell by the rule above.

    Raises
    ------
    InputError
        If it is a batch that can't be read.

    >>> rows_of_call([{"a": 1}, {"a": 2}], [0.1, 0.7], None), rows_of_call([1.0, 2.0], [0.3, 0.7], None)
    (2, None)
    """
    if batch is False:
        return None
    given = table_rows(features)
    if given is None and batch is None:
        return None
    answers = _answers_in(answer)
    if batch is None and (answers is None or (answers != given and _may_be_one_row(features, given))):
        return None
    if answers is None or (given is not None and answers != given):
        said = "one answer" if answers is None else f"{answers:,} answers"
        raise InputError(f"a batch of {'unknown size' if given is None else f'{given:,} rows'} has {said}")
    return answers


def _may_be_one_row(features: Any, rows: int | None) -> bool:  # noqa: ANN401 - a table
    return rows in (0, 1) or issubclass(type(features), dict)


def rows_of_failure(features: Any, batch: bool | None) -> int | None:  # noqa: ANN401 - whatever a model takes
    """Return how many rows a call that failed was about; None for a single row, or if that can't be told.

    There is no answer to tell by. A dict of columns may be one row of embeddings: it is a batch only if that is said.

    >>> rows_of_failure(np.zeros((3, 2)), None), rows_of_failure({"a": [1, 2]}, None), rows_of_failure({"a": [1]}, True)
    (3, None, 1)
    """
    if batch is False or (batch is None and issubclass(type(features), dict)):
        return None
    rows = table_rows(features)
    if rows is None and batch:
        rows = _length(features)
    return None if rows == 0 or (rows == 1 and batch is None) else rows


def table_rows(features: Any) -> int | None:  # noqa: ANN401 - whatever a model takes
    """Return how many rows features have if they are a table, else None.

    >>> table_rows(np.zeros((3, 2))), table_rows({"a": [1, 2], "b": [3, 4]}), table_rows({"a": [1, 2], "b": 3})
    (3, 2, None)
    """
    kind = type(features)
    if issubclass(kind, dict):
        return _rows_in_columns(features)
    if kind is list or kind is tuple:
        return len(features) if not features or _is_row(type(features[0])) else None
    if issubclass(kind, np.ndarray):
        structured = features.ndim == 1 and features.dtype.names is not None
        return len(features) if features.ndim == 2 or structured else None
    if hasattr(kind, "num_rows"):  # pyarrow
        return int(features.num_rows)
    if _is_lazy(kind):
        return None
    if (hasattr(kind, "iloc") and hasattr(kind, "columns")) or hasattr(kind, "get_columns"):  # pandas, polars
        return len(features)
    shape = features.shape if hasattr(kind, "shape") else None  # a tensor, a sparse matrix
    return int(shape[0]) if isinstance(shape, tuple) and len(shape) == 2 else None


def _is_lazy(kind: type) -> bool:
    """Return whether asking for a length may set a cluster to work (dask, Spark, Ibis), which no recorder may."""
    return any(hasattr(kind, mark) for mark in ("compute", "to_spark", "execute"))


def _rows_in_columns(features: dict[Any, Any]) -> int | None:
    rows = None
    for column in features.values():
        length = _length(column)
        if length is None or rows not in (None, length):
            return None
        rows = length
    return rows


def _is_row(kind: type) -> bool:
    """Return whether an element of a list is a row of features by itself, rather than a feature."""
    return issubclass(kind, (dict, list, tuple, np.ndarray, Mapping)) or any(
        hasattr(kind, mark) for mark in ("model_fields", "__dataclass_fields__", "iloc")
    )


def _answers_in(answer: Any) -> int | None:  # noqa: ANN401 - whatever a model returns
    kind = type(answer)
    if issubclass(kind, np.ndarray):
        return len(answer) if answer.ndim in (1, 2) else None
    if hasattr(kind, "num_rows"):
        return int(answer.num_rows)
    if _is_lazy(kind):
        return None
    return len(answer) if hasattr(kind, "get_columns") or hasattr(kind, "iloc") else _length(answer)


def _length(column: Any) -> int | None:  # noqa: ANN401 - anything
    """Return the length of a column of values: a list, a tuple, a 1-D array, a Series, a pyarrow array, a tensor."""
    kind = type(column)
    if kind in ONE_ANSWER:
        return None
    if kind is list or kind is tuple or hasattr(kind, "to_pylist"):
        return len(column)
    if _is_lazy(kind):
        return None
    shape = column.shape if hasattr(kind, "shape") else ()
    return int(shape[0]) if isinstance(shape, tuple) and len(shape) == 1 else None


def readable_features(features: Any, rows: int) -> Any:  # noqa: ANN401 - whatever a model takes
    """Return the features of a batch as recording reads them; what has one value per row becomes a column.

    >>> readable_features(np.array([1.0, 2.0]), 2).shape
    (2, 1)
    """
    kind = type(features)
    if issubclass(kind, (dict, list, tuple)) or hasattr(kind, "num_rows") or hasattr(kind, "get_columns"):
        return features
    if hasattr(kind, "iloc") and hasattr(kind, "columns"):
        return features
    if not (hasattr(kind, "shape") and hasattr(kind, "__array__")):
        return features
    array = np.asarray(features)
    return array.reshape(rows, 1) if array.ndim == 1 and array.dtype.names is None else array


def answers_of(answer: Any) -> Any:  # noqa: ANN401 - whatever a model returns
    """Return the answers to a batch: the result, or that column of a dict of columns that is named like them.

    >>> answers_of({"prediction": [0.1, 0.2], "model": "m"}), answers_of([0.1, 0.2])
    ([0.1, 0.2], [0.1, 0.2])
    """
    if type(answer) is dict:
        for name in ANSWER_NAMES:
            if name in answer and _answers_in(answer[name]) is not None:
                return answer[name]
    return answer
