"""Tables that come in pieces of any length, as pieces of one length; as often as they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.tables import Column, Table, arrow_seconds, read_table

__all__ = ["PIECE_ROWS", "Piece", "Pieces"]

PIECE_ROWS = 32_768


@runtime_checkable
class ByColumns(Protocol):
    """A table that can be read by columns, such as a file."""

    def batches(self, columns: Sequence[str] | None = None, rows: int = PIECE_ROWS) -> Iterator[Any]:
        """Yield its rows in order, in pieces."""


@dataclass(frozen=True)
class Piece:
    """Some rows of a table, and the number of the first of them."""

    table: Table
    first: int


class Pieces:
    """A table in pieces.

    Parameters
    ----------
    data : TableFile or callable
        Read anew each time; or returns, whenever it is called, an iterable of the same tables.
    feature_names : sequence of str, optional
        Names for the columns of 2-D arrays.
    moments : str, optional
        A column of times.

    >>> whole = Pieces(lambda: ({"age": [year, year + 1]} for year in range(3)))
    >>> [(piece.first, piece.table.columns) for piece in whole.read()]
    [(0, {'age': [0, 1, 1, 2, 2, 3]})]
    """

    def __init__(
        self,
        data: ByColumns | Callable[[], Iterable[Any]],
        feature_names: Sequence[str] | None = None,
        moments: str | None = None,
    ) -> None:
        self._data = data
        self._names = feature_names
        self._moments = moments

    @classmethod
    def are(cls, data: object) -> bool:
        """Tell whether this is a table that comes in pieces."""
        return isinstance(data, ByColumns) or (callable(data) and not isinstance(data, type))

    def read(self, columns: Sequence[str] | None = None) -> Iterator[Piece]:
        """Yield the rows in order, so many to a piece but for the last; there is at least one.

        Parameters
        ----------
        columns : sequence of str, optional
            Those that are looked at; others need not be there.

        Raises
        ------
        ProfileError
            If a piece has other columns than the first.
        """
        first = 0
        for table in _of_length(self._tables(columns)):
            yield Piece(table, first)
            first += table.rows

    def _tables(self, columns: Sequence[str] | None) -> Iterator[Table]:
        by_columns = isinstance(self._data, ByColumns)
        given = self._data.batches(columns, PIECE_ROWS) if isinstance(self._data, ByColumns) else self._data()
        names: list[str] | None = None
        for number, data in enumerate(given, 1):
            table = read_table(self._with_seconds(data), self._names, what="a piece of X")
            if names is None:
                names = list(table.columns)
            if names != list(table.columns):
                other = sorted(set(names) ^ set(table.columns)) or list(table.columns)
                raise ProfileError(f"piece {number} of X has other columns than the first, or another order: {other}")
            if columns is not None and not by_columns:
                table = Table({name: table.columns[name] for name in columns}, table.rows, table.categorical)
            yield table
        if names is None:
            raise ProfileError("X is empty: it came in no piece; a callable must return the tables at every call")

    def _with_seconds(self, data: Any) -> Any:  # noqa: ANN401
        """Return a pyarrow table with moments as numbers: as objects they take a hundred times as long."""
        names = getattr(data, "column_names", ())
        if self._moments not in names or not hasattr(data, "set_column"):
            return data
        place = names.index(self._moments)
        return data.set_column(place, self._moments, arrow_seconds(data.column(place)))


def _of_length(tables: Iterator[Table]) -> Iterator[Table]:
    held: list[Table] = []
    count = 0
    yielded = False
    for table in tables:
        held.append(table)
        count += table.rows
        if count >= PIECE_ROWS:
            whole = _joined(held)
            full = count - count % PIECE_ROWS
            for start in range(0, full, PIECE_ROWS):
                yield _cut(whole, start, start + PIECE_ROWS)
            yielded = True
            held = [_cut(whole, full, count)] if count > full else []
            count -= full
    if count or not yielded:
        yield _joined(held)


def _cut(table: Table, start: int, end: int) -> Table:
    if (start, end) == (0, table.rows):
        return table
    columns = {name: column[start:end] for name, column in table.columns.items()}
    return Table(columns, end - start, table.categorical)


def _joined(tables: Sequence[Table]) -> Table:
    if len(tables) == 1:
        return tables[0]
    columns = {name: _join([table.columns[name] for table in tables]) for name in tables[0].columns}
    categorical = frozenset[str]().union(*(table.categorical for table in tables))
    return Table(columns, sum(table.rows for table in tables), categorical)


def _join(columns: Sequence[Column]) -> Column:
    arrays = [column for column in columns if isinstance(column, np.ndarray)]
    kinds = {column.dtype.kind for column in arrays}
    if len(arrays) == len(columns) and (kinds <= set("iuf") or len(kinds) == 1):
        return np.concatenate(arrays)
    return [value for column in columns for value in (list(column) if isinstance(column, np.ndarray) else column)]
