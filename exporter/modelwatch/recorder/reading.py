"""What is handed over as a batch, as columns of equal length; a sentence for what can't be read."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from modelwatch.exceptions import InputError, ProfileError
from modelwatch.profile.columns import as_column
from modelwatch.profile.tables import read_table
from modelwatch.recorder.batch import BoolArray, Column, Features, Matrix, Rows, Table
from modelwatch.recorder.columns import MAX_COLUMNS
from modelwatch.recorder.ids import ids_after, mixed_hashes
from modelwatch.recorder.inputs import snapshot
from modelwatch.recorder.outcomes import finite, is_missing
from modelwatch.recorder.text import id_text

_NOT_COLUMNS = (str, bytes, bytearray, Mapping)
_KNOWN_FLAGS = frozenset({bool, type(None)})


def rows_of(value: Any, what: str) -> int:  # noqa: ANN401 - anything
    """Return how many rows a column or table has.

    Raises
    ------
    InputError
        If it has no length.
    """
    if not isinstance(value, _NOT_COLUMNS) and getattr(value, "ndim", 1) != 0:
        try:
            return int(value.num_rows) if hasattr(value, "num_rows") else len(value)
        except TypeError:
            pass
    raise InputError(f"{what} must hold one value per row, got {type(value).__name__}")


def rows_without_predictions(features: Any) -> int:  # noqa: ANN401 - anything
    """Return how many rows there are where no predictions are given.

    Raises
    ------
    InputError
        If features don't say so: then predictions are what is missing.
    """
    try:
        return rows_of(features, "features")
    except InputError:
        raise InputError("predictions must hold one value per row, got None") from None


def read_predictions(value: Any) -> Column:  # noqa: ANN401 - whatever a model returns for many rows
    """Return predictions, one per row; of two columns the second, of more all: a class has the score in its column.

    >>> read_predictions(np.array([[0.2, 0.8], [0.6, 0.4]])), read_predictions(np.array([[0.1, 0.2, 0.7]])).shape
    (array([0.8, 0.4]), (1, 3))
    """
    if isinstance(value, (list, tuple)):
        return list(value)
    many = getattr(value, "shape", None)
    if isinstance(many, tuple) and len(many) > 1 and not isinstance(value, np.ndarray):
        value = np.asarray(value)
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return _from_matrix(value)
    return read_column(value, rows_of(value, "predictions"), "predictions")


def _from_matrix(matrix: Any) -> Column:  # noqa: ANN401 - an array
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise InputError(f"predictions has shape {matrix.shape}; pass one value per row, or one column per class")
    if matrix.shape[1] <= 2:
        return np.asarray(matrix[:, -1])
    if matrix.dtype.kind in "fiub":
        return np.asarray(matrix)
    try:
        return np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"predictions of shape {matrix.shape} must be numbers, the scores of classes: {error}"
        ) from error


def read_column(
    value: Any,  # noqa: ANN401 - any column
    rows: int,
    what: str,
    *,
    of: str = "predictions",
) -> Column:
    """Return a column of `rows` values as a list or a 1-D array.

    Raises
    ------
    InputError
        If it is no column, or of another length.
    """
    length = rows_of(value, what)
    if length != rows:
        raise InputError(f"{what} has {length:,} values, there are {rows:,} {of}")
    column = list(value) if isinstance(value, tuple) else as_column(value, rows)
    if column is None:
        raise InputError(f"{what} can't be read: {type(value).__name__} is no column of values")
    return column


def read_optional(value: Any, rows: int, what: str) -> Any:  # noqa: ANN401 - a column, or one value for all
    """Return a column where one is given, else the one value for all rows."""
    single = value is None or isinstance(value, _NOT_COLUMNS) or not hasattr(type(value), "__len__")
    return value if single or getattr(value, "ndim", 1) == 0 else read_column(value, rows, what)


def read_features(features: Any, rows: int) -> Features:  # noqa: ANN401 - any table
    """Return the features of a batch; nothing is copied yet.

    Raises
    ------
    InputError
        If it is no table, or has not one row per prediction.
    """
    if features is None:
        return Table({})
    if isinstance(features, (list, tuple)):
        _check_rows(len(features), rows)
        return Rows(features)
    if type(features) is np.ndarray and features.ndim == 2 and features.dtype.kind in "fiub":
        _check_rows(len(features), rows)
        return Matrix(features[:, :MAX_COLUMNS])
    try:
        table = read_table(features)
    except ProfileError as error:
        raise InputError(f"features can't be read: {error}") from error
    _check_rows(table.rows, rows)
    named = not isinstance(features, np.ndarray) or features.dtype.names is not None
    return Table(dict(islice(table.columns.items(), MAX_COLUMNS)), named)


def _check_rows(given: int, rows: int) -> None:
    if given != rows:
        raise InputError(f"features has {given:,} rows, there are {rows:,} predictions")


def kept_features(features: Features, mask: BoolArray | None, *, copy: bool) -> Features:
    """Return the rows that are looked at, and which the caller may change afterwards if `copy`."""
    if mask is not None:
        features = features.chosen(mask)
    if not copy:
        return features
    if isinstance(features, Rows):
        return Rows([row.copy() if type(row) is dict else snapshot(row) for row in features.objects])
    if mask is not None:
        return features  # chosen rows are copies
    if isinstance(features, Matrix):
        return Matrix(np.array(features.values))
    return Table({name: copied(column) for name, column in features.columns.items()}, features.has_names)


def copied(column: Column) -> Column:
    """Return a copy whose values lie side by side."""
    return np.array(column) if isinstance(column, np.ndarray) else list(column)


def read_ids(given: Any, rows: int, base: str) -> list[str]:  # noqa: ANN401 - any column of ids
    """Return one id per row: those given, as text; without one ``base``, a dot and the row's number (or nothing).

    >>> read_ids([7, None], 2, "w-3")
    ['7', 'w-3.1']
    """
    if given is None:
        return ids_after(base, rows)
    column = read_column(given, rows, "prediction_ids")
    values = column.tolist() if isinstance(column, np.ndarray) else column
    if set(map(type, values)) == {str} and all(values) and all(map(str.isascii, values)):
        return list(values)
    texts = ["" if is_missing(value) else id_text(value) for value in values]
    return [text or (f"{base}.{i}" if base else "") for i, text in enumerate(texts)]


def failed_rows(error: Any, rows: int) -> BoolArray | None:  # noqa: ANN401 - None, one value for all, or a column
    """Return which attempts failed, None if none did: None, False and NaN say that an attempt did not."""
    given = read_optional(error, rows, "errors")
    if not isinstance(given, (list, np.ndarray)):
        return None if is_missing(given) or given is False else np.ones(rows, np.bool_)
    if isinstance(given, np.ndarray) and given.dtype.kind == "b":
        failed = given.astype(np.bool_)
    else:
        values = given.tolist() if isinstance(given, np.ndarray) else given
        if set(map(type, values)) <= _KNOWN_FLAGS:
            failed = np.array(values, np.bool_)
        else:
            failed = np.array([not (is_missing(value) or value is False) for value in values], np.bool_)
    return failed if failed.any() else None


def share_of(latency_ms: Any, rows: int) -> Any:  # noqa: ANN401 - a number, or a column
    """Return the latency of each row: its part of one number for all, or its own."""
    given = read_optional(latency_ms, rows, "latency_ms")
    if isinstance(given, (list, np.ndarray)) or given is None:
        return given
    number = finite(given)
    return given if number is None else number / rows


def sampled_rows(ids: Sequence[str], rate: float) -> BoolArray | None:
    """Return which ids are sampled, None for all; the same decision as that for single ones."""
    if rate >= 1.0:
        return None
    crcs = np.fromiter(
        (zlib.crc32(text.encode("utf-8", "backslashreplace")) for text in ids), np.uint32, count=len(ids)
    )
    return mixed_hashes(crcs) < rate * 2**32


def read_metadata(metadata: Any, rows: int) -> Any:  # noqa: ANN401 - a dict for all, or a list of dicts
    """Return a copy of the metadata, one for all rows or a list.

    Raises
    ------
    InputError
        If it is neither a dict nor one per row.
    """
    if metadata is None or isinstance(metadata, Mapping):
        return None if metadata is None else dict(metadata)
    return [dict(m) if isinstance(m, Mapping) else m for m in read_column(metadata, rows, "metadata")]
