"""Columns of any container, as numpy arrays of numbers or as lists of Python objects."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from types import NoneType
from typing import Any

import numpy as np
from numpy.ma import MaskedArray
from numpy.typing import NDArray

from modelwatch.profile.values import read_category, read_number
from modelwatch.records import FloatArray

_FLOAT_BYTES = 8
# Types that numpy turns into float64 exactly as read_number does. None becomes NaN.
_PACKABLE: frozenset[type] = frozenset(
    {float, int, bool, np.float64, np.float32, np.float16, np.bool_}
    | {np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64}
)
_PLAIN = _PACKABLE | {NoneType}
_PLAIN_CATEGORIES = _PLAIN | {str, np.str_}


def as_column(column: Any, n: int) -> NDArray[Any] | list[Any] | None:  # noqa: ANN401
    """Return a column of any kind as a 1-D array or a list of length n, or None if it can't be read as one.

    Parameters
    ----------
    column : object
        A list, tuple, array, masked array, or anything with ``to_numpy`` (pandas, polars) or ``to_pylist`` (arrow).
    n : int
        Rows of the batch: what is longer is cut, what is shorter ends with missing values.
    """
    if type(column) is np.ndarray and column.shape == (n,):
        return column
    try:
        out = _coerce(column, n)
    except Exception:  # noqa: BLE001 - part of the recorder boundary: a customer's container may raise anything
        return None
    if out is None or len(out) == n:
        return out
    rows = list(out[:n])
    return rows + [None] * (n - len(rows))


def _coerce(column: Any, n: int) -> NDArray[Any] | list[Any] | None:  # noqa: ANN401
    if type(column) is list:
        return column
    if not isinstance(column, np.ndarray):
        if hasattr(column, "to_pylist"):
            return list(column.to_pylist())
        if hasattr(column, "to_numpy"):
            column = column.to_numpy()
    if isinstance(column, MaskedArray):
        column = column.tolist()  # None where masked
    if isinstance(column, np.ndarray):
        if column.ndim == 1:
            return np.asarray(column)
        return np.asarray(column).reshape(-1) if column.ndim > 1 and column.size == len(column) else None
    if isinstance(column, (str, bytes, bytearray, Mapping)) or not isinstance(column, Iterable):
        return None
    return list(islice(column, n))


def fill_numbers(column: NDArray[Any] | list[Any], out: FloatArray) -> Counter[int]:
    """Write a column as numbers into a float64 row; return how many values were invalid, by tail cell.

    Missing and invalid values are written as NaN; a value's place does not depend on which path read it.
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "biu" or (column.dtype.kind == "f" and column.dtype.itemsize <= _FLOAT_BYTES):
            out[:] = column
            return Counter()
        column = list(column) if column.dtype.kind in "fmMcV" else column.tolist()
    kinds = set(map(type, column))
    if kinds <= _PLAIN:
        try:
            # struct reads a list of floats three times as fast as numpy does, but knows no None.
            out[:] = np.frombuffer(struct.pack(f"{len(column)}d", *column)) if kinds <= _PACKABLE else column
        except (OverflowError, ValueError, TypeError, struct.error):
            return _fill_carefully(column, out)
        return Counter()
    return _fill_carefully(column, out)


def _fill_carefully(column: list[Any], out: FloatArray) -> Counter[int]:
    invalid: Counter[int] = Counter()
    for row, value in enumerate(column):
        if type(value) is float:
            out[row] = value
            continue
        out[row], reason = read_number(value)
        if reason is not None:
            invalid[reason] += 1
    return invalid


def _count_texts(values: list[Any]) -> Counter[str] | None:
    """Count values that are all texts; None if there are others."""
    try:
        counts = Counter(values)
    except Exception:  # noqa: BLE001 - part of the recorder boundary: the hash of a stranger's object may raise anything
        return None
    return counts if set(map(type, counts)) == {str} else None


def count_categories(column: NDArray[Any] | list[Any]) -> tuple[Counter[str], Counter[int]]:
    """Count a column's categories, and its missing and invalid values by tail cell.

    >>> count_categories(["UA", "AA", "UA", None, {}])[0]
    Counter({'UA': 2, 'AA': 1})
    """
    values = list(column) if isinstance(column, np.ndarray) and column.dtype.kind in "mMcV" else column
    values = values.tolist() if isinstance(values, np.ndarray) else values
    if len(values) and type(values[0]) is str:
        found = _count_texts(values)
        if found is not None:
            return found, Counter()
    kinds = set(map(type, values))
    counted: Iterable[tuple[Any, int]]
    if kinds <= {str, NoneType}:
        counted = Counter(values).items()
    elif kinds <= _PLAIN_CATEGORIES:
        # By type as well, because 1 == True == 1.0 and yet they are different categories.
        counted = ((value, count) for (_, value), count in Counter(zip(map(type, values), values, strict=True)).items())
    else:
        counted = ((value, 1) for value in values)
    texts: Counter[str] = Counter()
    tail: Counter[int] = Counter()
    for value, count in counted:
        text, cell = read_category(value)
        if text is not None:
            texts[text] += count
        elif cell is not None:
            tail[cell] += count
    return texts, tail
