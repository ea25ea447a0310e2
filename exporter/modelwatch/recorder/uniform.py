"""Rows that are all alike, which is the usual case, as columns: a few calls into C per row, none per value in Python.

A row is touched once, while it lies in the processor's cache: reading its values, telling their types and packing them
cost some 30 ns each when done column by column over rows that were queued a second ago, and half of that row by row.
Where this package was installed by somebody with a C compiler, dicts are taken apart by `_rows.c`, in a third of that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, compress, islice, starmap
from operator import itemgetter
from types import ModuleType
from typing import Any

import numpy as np

from modelwatch.recorder.fields import is_row
from modelwatch.recorder.outcomes import floats_or_list
from modelwatch.recorder.text import are_labels
from modelwatch.records import FloatArray

_rows: ModuleType | None
try:
    from modelwatch.recorder import _rows
except ImportError:  # no compiler, or none for this Python
    _rows = None

Columns = dict[str, "list[Any] | FloatArray"]

_FLOATS = frozenset({float, np.float64})
_PACKED = frozenset({float, np.float64, int})
"""What a column of floats may hold: a category that is a truth value or a fraction has a text of its own."""
_NUMBERS = frozenset("fiub")


@dataclass(frozen=True)
class _Plan:
    """How to read dicts of certain keys, of which some held floats in the first row."""

    names: tuple[str, ...]
    is_float: bytes
    floats: tuple[str, ...]
    others: tuple[str, ...]
    pack: Callable[..., bytes]


@lru_cache(maxsize=256)
def _plan(keys: tuple[Any, ...], kinds: tuple[type, ...]) -> _Plan | None:
    """Return how to read such rows; None if their keys are no names as they are."""
    if set(map(type, keys)) != {str} or not are_labels(keys):
        return None
    is_float = bytes(kind in _FLOATS for kind in kinds)
    floats = tuple(compress(keys, is_float))
    if len(floats) == 1:
        floats = ()  # one value alone comes out of itemgetter without a tuple around it
    taken = set(floats)
    others = tuple(key for key in keys if key not in taken)
    return _Plan(keys, is_float, floats, others, struct.Struct(f"{len(floats)}d").pack)


def dict_columns(rows: Sequence[dict[Any, Any]], most: int) -> Columns | None:
    """
    Return the columns of dicts that all have the same text keys; None if they don't, or have more than `most`.

    A column is a float array if its first value is a float, and all others are numbers too: in a column of floats a
    whole number is one more float. Other columns are lists, or float arrays where all values are floats.

    >>> dict_columns([{"a": 0.5, "b": 1.0, "c": "x"}, {"a": 2, "c": "y", "b": 4.0}], 9)
    {'a': array([0.5, 2. ]), 'b': array([1., 4.]), 'c': ['x', 'y']}
    """
    first = rows[0]
    if not 1 <= len(first) <= most:
        return None
    plan = _plan(tuple(first), tuple(map(type, first.values())))
    if plan is None:
        return None
    if _rows is not None:
        return _compiled(rows, plan)
    if set(map(type, rows)) != {dict} or set(map(len, rows)) != {len(first)}:
        return None
    try:
        packed = _packed(rows, plan) if plan.floats else None
        columns = {} if packed is None else dict(zip(plan.floats, packed, strict=True))
        rest = plan.names if packed is None else plan.others
        columns.update(_unpacked(rows, rest))
    except KeyError:
        return None
    return {name: columns[name] for name in plan.names}


def _compiled(rows: Sequence[dict[Any, Any]], plan: _Plan) -> Columns | None:
    assert _rows is not None
    matrix = np.empty((len(rows), sum(plan.is_float)))
    read = _rows.read(tuple(rows), plan.names, plan.is_float, matrix, np.float64)
    if read is None:
        return None
    floats = iter(np.ascontiguousarray(matrix.T))
    columns: Columns = {}
    for name, is_float, values in zip(plan.names, plan.is_float, read, strict=True):
        packed = next(floats) if is_float else None
        columns[name] = values if packed is None or values is not True else packed
    return columns


def _packed(rows: Sequence[dict[Any, Any]], plan: _Plan) -> FloatArray | None:
    """Return the float columns, shape (columns, rows); None if there are values that numpy reads in its own way."""
    values = list(map(itemgetter(*plan.floats), rows))
    try:
        if not _PACKED.issuperset(map(type, chain.from_iterable(values))):
            return None
        buffer = b"".join(starmap(plan.pack, values))
    except OverflowError:  # a whole number that no float holds
        return None
    return np.ascontiguousarray(np.frombuffer(buffer).reshape(len(rows), -1).T)


def _unpacked(rows: Sequence[dict[Any, Any]], names: tuple[str, ...]) -> Columns:
    if not names:
        return {}
    if len(names) == 1:
        name = names[0]
        return {name: floats_or_list([row[name] for row in rows])}
    columns = zip(*map(itemgetter(*names), rows), strict=True)
    return dict(zip(names, map(floats_or_list, columns), strict=True))


def sequence_columns(rows: Sequence[Any], names: Sequence[str], most: int) -> Columns | None:
    """
    Return the columns of lists or tuples of one length, or of 1-D arrays of numbers; None if they are not alike.

    >>> sequence_columns([(0.5, "x"), [2.0, "y"]], ["a"], 9)
    {'a': array([0.5, 2. ]), 'f1': ['x', 'y']}
    >>> sequence_columns([np.array([1.0, 2.0]), np.array([3.0, 4.0])], ["a", "b"], 9)
    {'a': array([1., 3.]), 'b': array([2., 4.])}
    """
    kinds = set(map(type, rows))
    if kinds == {np.ndarray}:
        return _array_columns(rows, names, most)
    if not kinds <= {list, tuple}:
        return None
    size = len(rows[0])
    if not 1 <= size <= most or set(map(len, rows)) != {size}:
        return None
    if size == 1 and any(is_row(row[0]) for row in rows):
        return None  # a batch of one
    return {_name(i, names): floats_or_list(c) for i, c in enumerate(zip(*rows, strict=True))}


def _array_columns(rows: Sequence[Any], names: Sequence[str], most: int) -> Columns | None:
    first = rows[0]
    if first.ndim != 1 or not 1 <= first.size <= most or first.dtype.kind not in _NUMBERS or first.dtype.itemsize > 8:
        return None
    if {(row.shape, row.dtype) for row in rows} != {(first.shape, first.dtype)}:
        return None
    matrix = np.concatenate(rows).reshape(len(rows), -1).T
    if first.dtype.kind == "f":
        return {_name(i, names): column for i, column in enumerate(np.ascontiguousarray(matrix, np.float64))}
    return {_name(i, names): column.tolist() for i, column in enumerate(matrix)}


def _name(place: int, names: Sequence[str]) -> str:
    return names[place] if place < len(names) else f"f{place}"


def merged(parts: Sequence[tuple[int, Columns]], most: int) -> Columns:
    """
    Return at most `most` columns of several slices of rows, each with its length.

    None stands where a slice has no such column.

    >>> merged([(1, {"a": np.array([0.5])}), (1, {"a": np.array([1.5]), "b": ["x"]})], 9)
    {'a': array([0.5, 1.5]), 'b': [None, 'x']}
    """
    if len(parts) == 1 and len(parts[0][1]) <= most:
        return parts[0][1]
    names = dict.fromkeys(name for _, columns in parts for name in columns)
    return {name: merged_column([(size, columns.get(name)) for size, columns in parts]) for name in islice(names, most)}


def merged_column(parts: Sequence[tuple[int, list[Any] | FloatArray | None]]) -> list[Any] | FloatArray:
    """Return one column of several slices; None where a slice has none of it."""
    if len(parts) == 1 and parts[0][1] is not None:
        return parts[0][1]
    arrays = [part for _, part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    out: list[Any] = []
    for size, part in parts:
        out.extend([None] * size if part is None else part.tolist() if isinstance(part, np.ndarray) else part)
    return out
