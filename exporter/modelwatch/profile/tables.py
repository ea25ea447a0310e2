"""Training data of any common container, as named columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.exceptions import ProfileError, did_you_mean
from modelwatch.profile.columns import as_column
from modelwatch.profile.values import MAX_TEXT

Column = NDArray[Any] | list[Any]
TABLES = "a DataFrame, a dict of columns, a 2-D array or a list of dicts"


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name, and the names of those that their container calls categorical."""

    columns: dict[str, Column]
    rows: int
    categorical: frozenset[str] = frozenset()

    def check_known(self, names: Iterable[str], argument: str) -> None:
        """Raise ProfileError for a name that is no column, with the closest match."""
        for name in names:
            if name not in self.columns:
                hint = did_you_mean(name, self.columns)
                raise ProfileError(f"{argument}: X has no column {name!r}{hint}")


def read_table(
    data: Any,  # noqa: ANN401
    feature_names: Sequence[str] | None = None,
    *,
    what: str = "X",
    allowed: str = TABLES,
) -> Table:
    """Return the named columns of X.

    Parameters
    ----------
    data : DataFrame, Table, mapping, array or list of mappings
        pandas or polars DataFrame, pyarrow Table, dict of columns, structured array, 2-D array, list of dicts.
    feature_names : sequence of str, optional
        Names for the columns of a 2-D array; without them they are f0, f1, and so on.
    what, allowed : str
        The argument's name, and what may be passed for it, for the message about something that is no table.

    Raises
    ------
    ProfileError
        If the container is of none of these kinds, columns differ in length, or a name can't be used.

    >>> read_table([{"age": 1}, {"age": 2, "city": "Rome"}]).columns
    {'age': [1, 2], 'city': [None, 'Rome']}
    >>> list(read_table(np.zeros((3, 2))).columns)
    ['f0', 'f1']
    """
    found = _named_columns(data, feature_names)
    if found is None:
        raise ProfileError(f"{what} is of type {type(data).__name__}; pass {allowed}")
    named = list(found)
    columns: dict[str, Column] = {}
    categorical = set()
    rows = -1
    for given, raw in named:
        name = check_name(given)
        if name in columns:
            raise ProfileError(f"X has two columns named {name!r}; rename one")
        length = _length(raw, name)
        if rows not in (-1, length):
            raise ProfileError(f"column {name!r} has {length} rows, those before it have {rows}")
        rows = length
        column = as_column(raw, length)
        if column is None:
            raise ProfileError(f"column {name!r} can't be read: {type(raw).__name__} is no column of values")
        columns[name] = column
        if _is_categorical(raw):
            categorical.add(name)
    return Table(columns, max(rows, 0), frozenset(categorical))


def check_name(name: object) -> str:
    """Return a column's name as a feature name, or raise ProfileError if it can't be one.

    >>> check_name(3), check_name("Größe")
    ('3', 'Größe')
    """
    text = str(name)
    if not text:
        raise ProfileError("a feature needs a name: X has a column whose name is empty")
    if len(text) > MAX_TEXT:
        raise ProfileError(f"feature name {text[:30]!r}… has {len(text)} characters; at most {MAX_TEXT} are allowed")
    if not text.isprintable():
        raise ProfileError(f"feature name {text!r} holds characters that can't be printed")
    return text


def read_values(data: Any, what: str, rows: int) -> Column:  # noqa: ANN401
    """Return predictions, actuals or timestamps as one column of the given number of rows."""
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple) and len(shape) > 1 and shape[1] != 1:
        raise ProfileError(f"{what} has shape {shape}; {_shape_advice(what, shape)}")
    if hasattr(data, "iloc") and isinstance(shape, tuple) and len(shape) > 1:
        data = data.iloc[:, 0]
    length = _length(data, what)
    if length != rows:
        raise ProfileError(f"{what} has {length} rows, X has {rows}")
    column = as_column(data, rows)
    if column is None:
        raise ProfileError(f"{what} can't be read: {type(data).__name__} is no column of values")
    return column


def _shape_advice(what: str, shape: tuple[int, ...]) -> str:
    if what != "predictions":
        return "pass one value per row"
    if len(shape) == 2 and shape[1] == 2:
        return "pass the score of the positive class: predictions[:, 1]"
    return "pass the top class of each row instead: classes[predictions.argmax(axis=1)]"


def _named_columns(
    data: Any,  # noqa: ANN401
    feature_names: Sequence[str] | None,
) -> Iterable[tuple[Any, Any]] | None:
    """Return the columns by name; None if it is no table."""
    if hasattr(data, "iloc") and hasattr(data, "columns"):  # pandas
        return list(data.items())
    if hasattr(data, "get_columns"):  # polars
        return [(series.name, series) for series in data.get_columns()]
    if hasattr(data, "column_names") and hasattr(data, "column"):  # pyarrow
        return [(name, arrow_column(data.column(i))) for i, name in enumerate(data.column_names)]
    if isinstance(data, Mapping):
        return list(data.items())
    if isinstance(data, np.ndarray):
        return _array_columns(data, feature_names)
    if isinstance(data, (list, tuple)) and data and all(isinstance(row, Mapping) for row in data):
        names = dict.fromkeys(name for row in data for name in row)
        return [(name, [row.get(name) for row in data]) for name in names]
    if isinstance(data, (list, tuple)):
        return _array_columns(_stack(data), feature_names)
    return None


def _stack(rows: Sequence[Any]) -> NDArray[Any]:
    try:
        return np.array(rows, dtype=object if any(isinstance(v, str) for row in rows for v in row) else None)
    except (ValueError, TypeError) as error:
        raise ProfileError("X is a list that is neither of dicts nor of rows of equal length") from error


def _array_columns(data: NDArray[Any], feature_names: Sequence[str] | None) -> list[tuple[str, NDArray[Any]]]:
    if data.dtype.names:
        return [(name, data[name]) for name in data.dtype.names]
    if data.ndim != 2:
        raise ProfileError(f"X has {data.ndim} dimension(s); an array must have 2, rows by features")
    width = data.shape[1]
    names = [f"f{i}" for i in range(width)] if feature_names is None else [str(name) for name in feature_names]
    if len(names) != width:
        raise ProfileError(f"feature_names has {len(names)} names, X has {width} columns")
    return [(name, data[:, i]) for i, name in enumerate(names)]


def arrow_column(column: Any) -> Any:  # noqa: ANN401
    """Return a pyarrow column as an array if it holds numbers or times without a zone, else as a list."""
    kind = str(column.type)
    if kind.startswith("dictionary"):
        return _Categorical(column.to_pylist())
    # Times without a zone are naive, in the time zone of the business; with one they are moments.
    if kind.startswith(("int", "uint", "float", "double", "halffloat")) or (
        kind.startswith("timestamp") and "tz=" not in kind
    ):
        return column.to_numpy(zero_copy_only=False)  # an array with nulls can't do without a copy
    return column.to_pylist()


def arrow_seconds(column: Any) -> Any:  # noqa: ANN401
    """Return a pyarrow column of moments, which are times with a zone, as Unix seconds; any other as it is."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        return column
    microseconds = compute.cast(column, pa.timestamp("us", column.type.tz), safe=False)
    return compute.divide(microseconds.cast(pa.int64()).cast(pa.float64()), 1e6)


class _Categorical(list[Any]):
    """A column that its container calls categorical."""


def _is_categorical(column: object) -> bool:
    # By name: "category" in pandas, "Categorical" or "Enum(…)" in polars, neither of which is imported here.
    kind = str(getattr(column, "dtype", "")).lower()
    return isinstance(column, _Categorical) or kind.startswith(("category", "categorical", "enum"))


def _length(column: Any, name: str) -> int:  # noqa: ANN401
    try:
        return len(column)
    except TypeError as error:
        raise ProfileError(f"{name!r} is of type {type(column).__name__}; pass one value per row") from error
