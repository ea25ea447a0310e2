"""Rows of features, whatever their type, as columns.

Known are dicts and other mappings, sequences, 1-D arrays and tensors (named by position), pandas Series, tables of one
row (of pandas, polars or pyarrow, or a list), dataclasses, named tuples, pydantic models, and single numbers or
strings. Anything else is unreadable, which is counted: an iterator, for one, must not be consumed here, it belongs to
the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from numbers import Number
from typing import Any

import numpy as np

from modelwatch.recorder.fields import is_row, record_fields
from modelwatch.recorder.outcomes import plain_values
from modelwatch.recorder.text import label_text
from modelwatch.recorder.uniform import Columns, dict_columns, sequence_columns

__all__ = ["MAX_COLUMNS", "Columns", "as_mapping", "storable", "to_columns"]

MAX_COLUMNS = 2000
"""Columns that are looked at in one slice of rows; a dict whose keys never repeat must not fill the memory."""


def to_columns(rows: Sequence[Any], names_hint: Sequence[str] = ()) -> tuple[Columns, int]:
    """
    Turn rows into columns.

    Parameters
    ----------
    rows
        One features object per prediction; None means that none were given.
    names_hint
        Names of nameless values, by position; beyond them ``f0``, ``f1`` … by position.

    Returns
    -------
    columns, unreadable
        Columns of equal length, in order of appearance, None where a row has no such key (arrays, which can't be
        written to, where all rows are dicts and all values floats); and how many rows could not be read.

    >>> to_columns([{"a": 1}, [2.5]], ["a"])
    ({'a': [1, 2.5]}, 0)
    """
    first = rows[0] if rows else None
    uniform: Columns | None = None
    try:
        if type(first) is dict:
            uniform = dict_columns(rows, MAX_COLUMNS)
        elif type(first) in (np.ndarray, list, tuple):
            uniform = sequence_columns(rows, names_hint, MAX_COLUMNS)
    except Exception:  # noqa: BLE001 - the recorder boundary: row by row, what raises here costs no other row
        uniform = None
    return _any_rows(rows, tuple(names_hint)) if uniform is None else (uniform, 0)


def _any_rows(rows: Sequence[Any], names: tuple[str, ...]) -> tuple[Columns, int]:
    mappings: list[Mapping[Any, Any]] = []
    unreadable = 0
    for row in rows:
        try:
            found = as_mapping(row, names)
        except Exception:  # noqa: BLE001 - the recorder boundary: an arbitrary mapping may raise anything
            found = None
        unreadable += found is None
        mappings.append(found or {})
    keys = list(dict.fromkeys(chain.from_iterable(mappings)))[:MAX_COLUMNS]
    columns: Columns = {}
    for key in keys:
        # Two keys may have the same text (1 and "1"); the first one stands.
        columns.setdefault(label_text(key), [row.get(key) for row in mappings])
    return columns, unreadable


def storable(columns: Columns) -> Columns:
    """Return columns as rows for the store have them: float64, or lists of plain values."""
    return {name: plain_values(column) for name, column in columns.items()}


def as_mapping(row: Any, names: tuple[str, ...]) -> dict[Any, Any] | None:  # noqa: ANN401 - whatever a model takes
    """Return one row as a dict by feature name; None if it can't be read."""
    if row is None:
        return {}
    kind = type(row)
    if kind is dict:
        return dict(row)
    if isinstance(row, Mapping):
        return {key: row[key] for key in row}
    if isinstance(row, (str, bytes, Number, np.generic)):
        return _by_position([row], names)
    fields = record_fields(kind)
    if fields is not None:
        return {name: getattr(row, name) for name in fields}
    if hasattr(kind, "iloc"):
        return _from_pandas(row)
    if hasattr(kind, "get_columns"):  # polars
        return dict(row.row(0, named=True)) if len(row) == 1 else None
    if hasattr(kind, "num_rows"):  # pyarrow
        return dict(row.to_pylist()[0]) if row.num_rows == 1 else None
    return _from_sequence(row if not hasattr(kind, "__array__") else np.asarray(row), names)


def _from_pandas(row: Any) -> dict[Any, Any] | None:  # noqa: ANN401 - pandas is not imported here
    if hasattr(row, "columns"):
        return {name: row[name].iloc[0] for name in row.columns} if len(row) == 1 else None
    return dict(row.items())


def _from_sequence(row: Any, names: tuple[str, ...]) -> dict[Any, Any] | None:  # noqa: ANN401 - any sequence
    if isinstance(row, np.ndarray):
        if row.ndim == 0 or (row.ndim == 2 and len(row) == 1):
            row = row.reshape(-1)
        return _by_position(row.tolist(), names) if row.ndim == 1 else None
    if not isinstance(row, Sequence):
        return None
    if len(row) == 1 and is_row(row[0]):
        return as_mapping(row[0], names)  # a batch of one row
    return _by_position(row, names)


def _by_position(values: Sequence[Any], names: tuple[str, ...]) -> dict[Any, Any]:
    return {names[i] if i < len(names) else f"f{i}": value for i, value in enumerate(values)}
