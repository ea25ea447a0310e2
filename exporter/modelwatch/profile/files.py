"""Tables in files, in pieces of a bounded size: CSV, TSV, Parquet, Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from modelwatch.exceptions import InputError, did_you_mean
from modelwatch.profile.tables import arrow_column

__all__ = ["BATCH_ROWS", "TableFile", "columns_of", "open_table"]

BATCH_ROWS = 65_536
_PARQUET = (".parquet", ".pq")
_ARROW = (".feather", ".arrow")
_TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_ENDINGS = (*_TEXT, *_PARQUET, *_ARROW)
_INFER_BYTES = 1 << 25
_INDEX = "__index_level_"  # what pandas calls a row index that has no name

Batches = Callable[[Sequence[str], int], Iterator[Any]]


@dataclass(frozen=True)
class TableFile:
    """A table in a file, of which nothing is read until it is asked for.

    Attributes
    ----------
    path : Path
        The file.
    columns : tuple of str
        Names of its columns; a row index that pandas wrote is none.
    rows : int or None
        How many rows it has, where that is known without reading it.
    bytes : int
        Its size.
    """

    path: Path
    columns: tuple[str, ...]
    rows: int | None
    bytes: int
    _read: Batches = field(repr=False)

    def batches(self, columns: Sequence[str] | None = None, rows: int = BATCH_ROWS) -> Iterator[Any]:
        """Yield the rows in order, in pieces.

        Parameters
        ----------
        columns : sequence of str, optional
            Only these, in this order; all if not given.
        rows : int
            At most so many to a piece.

        Yields
        ------
        pyarrow.Table

        Raises
        ------
        InputError
            If there is no such column, or the file can't be read; the message says why.
        """
        names = self.columns if columns is None else tuple(columns)
        for name in names:
            if name not in self.columns:
                raise InputError(f"{self.path} has no column {name!r}{did_you_mean(name, self.columns)}")
        with _told(self.path):
            yield from self._read(names, rows)

    def read(self, columns: Sequence[str] | None = None) -> Any:  # noqa: ANN401
        """Return the whole table, as a pyarrow.Table.

        Parameters
        ----------
        columns : sequence of str, optional
            Only these; all if not given.
        """
        import pyarrow as pa

        # A file without rows still has its columns: readers yield one empty piece.
        return pa.concat_tables(self.batches(columns), promote_options="default")


def open_table(path: str | Path, as_text: Sequence[str] = ()) -> TableFile:
    r"""Open a table in a file.

    Parameters
    ----------
    path : str or Path
        A CSV, TSV (both also gzipped), Parquet or Feather file; its name says which of them it is.
    as_text : sequence of str
        Columns of a CSV that are not to be read as numbers: "007" stays "007".

    Returns
    -------
    TableFile

    Raises
    ------
    InputError
        If it can't be read; the message says why.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "rows.csv")
    >>> _ = path.write_text("age,city\n31,Rome\n,Oslo\n40,Rome\n")
    >>> file = open_table(path)
    >>> file.columns, file.rows
    (('age', 'city'), None)
    >>> [len(piece) for piece in file.batches(["age"], rows=2)]
    [2, 1]
    >>> columns_of(file.read())["age"]
    array([31., nan, 40.])
    """
    path = Path(path)
    name = path.name.lower()
    if not name.endswith(_ENDINGS):
        raise InputError(f"{path}: give a file that ends in {', '.join(_ENDINGS)}")
    with _told(path):
        if name.endswith(_PARQUET):
            names, rows, read = _open_parquet(path)
        elif name.endswith(_ARROW):
            names, rows, read = _open_arrow(path)
        else:
            names, rows, read = _open_csv(path, as_text)
        size = path.stat().st_size
    if len(set(names)) != len(names):
        raise InputError(f"{path}: two columns have the same name")
    # A first column without a name is the row index that pandas' to_csv writes unless told not to.
    kept = tuple(name for i, name in enumerate(names) if (name or i) and not name.startswith(_INDEX))
    return TableFile(path, kept, rows, size, read)


def columns_of(table: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the columns of a pyarrow table by name: numbers and times as arrays, anything else as lists.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        What :meth:`TableFile.batches` yields, or the whole.
    """
    return {name: arrow_column(table.column(i)) for i, name in enumerate(table.schema.names)}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what Arrow and the system say about a file into a sentence."""
    import pyarrow as pa

    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or str(error).splitlines()[0]}") from error
    except pa.ArrowException as error:
        raise InputError(f"{path}: can't be read: {str(error).splitlines()[0]}") from error


_Opened = tuple[list[str], int | None, Batches]


def _open_parquet(path: Path) -> _Opened:
    from pyarrow import parquet

    def read(columns: Sequence[str], rows: int) -> Iterator[Any]:
        # By pages: a row group may hold a million rows of every column.
        with parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            batches = file.iter_batches(batch_size=rows, columns=list(columns), use_threads=True)
            yield from _tables(batches, file.schema_arrow, columns)

    with parquet.ParquetFile(path) as file:
        return file.schema_arrow.names, file.metadata.num_rows, read


def _open_arrow(path: Path) -> _Opened:
    import pyarrow as pa

    def read(columns: Sequence[str], rows: int) -> Iterator[Any]:
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            batches = (file.get_batch(i) for i in range(file.num_record_batches))
            yield from _of_length(_tables(batches, file.schema, columns), rows)

    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        counted = sum(file.get_batch(i).num_rows for i in range(file.num_record_batches))
        return file.schema.names, counted, read


def _open_csv(path: Path, as_text: Sequence[str]) -> _Opened:
    import pyarrow as pa
    from pyarrow import csv

    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    parse = csv.ParseOptions(delimiter=delimiter)
    types: dict[str, Any] = {}

    def read(columns: Sequence[str], rows: int) -> Iterator[Any]:
        if not types:
            types.update(_csv_types(path, parse, as_text))
        convert = csv.ConvertOptions(column_types=types, strings_can_be_null=True, include_columns=list(columns))
        with csv.open_csv(path, parse_options=parse, convert_options=convert) as reader:
            yield from _of_length(_tables(reader, reader.schema, columns), rows)

    with pa.input_stream(path) as file:
        names = csv.read_csv(BytesIO(_lines(file, b"", 1 << 16)[0]), parse_options=parse).column_names
    return names, None, read


def _csv_types(path: Path, parse: Any, as_text: Sequence[str]) -> Mapping[str, Any]:  # noqa: ANN401
    """Return the types of all columns, which the last row may decide: "n/a" among numbers makes texts of them.

    Arrow's own reader of pieces goes by the first of them, and gives up when a later one does not fit.
    """
    import pyarrow as pa
    from pyarrow import csv

    texts = {name: pa.string() for name in as_text}
    convert = csv.ConvertOptions(column_types=texts, strings_can_be_null=True)
    found: dict[str, Any] = {}
    names: list[str] | None = None
    with pa.input_stream(path) as file:
        rest = b""
        while True:
            piece, rest = _lines(file, rest, _INFER_BYTES)
            if not piece and names is not None:
                return {name: pa.string() if pa.types.is_null(type_) else type_ for name, type_ in found.items()}
            read = csv.ReadOptions(column_names=names)
            schema = csv.read_csv(BytesIO(piece), read, parse, convert).schema
            names = schema.names
            for name, type_ in zip(names, schema.types, strict=True):
                found[name] = _common(found.get(name, type_), type_)


def _lines(file: Any, rest: bytes, size: int) -> tuple[bytes, bytes]:  # noqa: ANN401
    """Return what was left and the next bytes up to the end of a line, and what is left then."""
    parts = [rest]
    while data := file.read(size):
        end = data.rfind(b"\n") + 1
        if end:
            return b"".join([*parts, data[:end]]), data[end:]
        parts.append(data)
    return b"".join(parts), b""


def _common(one: Any, other: Any) -> Any:  # noqa: ANN401
    """Return the type that two pieces of a column have together."""
    import pyarrow as pa

    is_ = pa.types
    if one == other or is_.is_null(other):
        return one
    if is_.is_null(one):
        return other
    if all(is_.is_integer(type_) or is_.is_floating(type_) for type_ in (one, other)):
        return pa.float64()
    if all(is_.is_date(type_) or is_.is_timestamp(type_) for type_ in (one, other)) and (
        getattr(one, "tz", None) == getattr(other, "tz", None)
    ):
        return pa.timestamp("ns")
    return pa.string()


def _tables(batches: Any, schema: Any, columns: Sequence[str]) -> Iterator[Any]:  # noqa: ANN401
    """Yield tables of some columns; of no batches at all, one without rows."""
    import pyarrow as pa

    empty = True
    for batch in batches:
        empty = False
        yield pa.Table.from_batches([batch]).select(list(columns))
    if empty:
        yield schema.empty_table().select(list(columns))


def _of_length(tables: Iterator[Any], rows: int) -> Iterator[Any]:
    """Yield the same rows, so many to a table but for the last."""
    import pyarrow as pa

    held: list[Any] = []
    count = 0
    yielded = False
    for table in tables:
        held.append(table)
        count += len(table)
        if count < rows:
            continue
        whole = pa.concat_tables(held)
        full = count - count % rows
        for first in range(0, full, rows):
            yield whole.slice(first, rows)
        yielded = True
        count -= full
        held = [whole.slice(full)] if count else []
    if count or (held and not yielded):
        yield pa.concat_tables(held)
