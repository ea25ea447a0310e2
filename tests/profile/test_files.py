"""Tables in files are read in pieces, and the pieces are the same table as the whole."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from modelwatch.exceptions import InputError
from modelwatch.profile import files
from modelwatch.profile.files import columns_of, open_table


@pytest.fixture
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    n = 1000
    at = pd.date_range("2026-01-01", periods=n, freq="min")
    return pa.table(
        {
            "age": pa.array(rng.integers(18, 90, n), mask=rng.random(n) < 0.1),
            "bid": rng.random(n),
            "city": rng.choice(["Rome", "Oslo"], n).tolist(),
            "at": pa.array(at, type=pa.timestamp("ns")),
        }
    )


def write(table: pa.Table, path: Path) -> Path:
    if ".parquet" in path.name:
        parquet.write_table(table, path, row_group_size=300)
    elif ".feather" in path.name:
        feather.write_feather(table, path, chunksize=300)
    else:
        csv.write_csv(table, path, csv.WriteOptions(delimiter="\t" if ".tsv" in path.name else ","))
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    pd.testing.assert_frame_equal(pd.DataFrame(one), pd.DataFrame(other), check_dtype=False)
    return list(one) == list(other)


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "parquet", "feather"])
@pytest.mark.parametrize("rows", [1, 7, 300, 999, 1000, 5000])
def test_pieces_of_any_length_are_the_whole(ending: str, rows: int, table: pa.Table, tmp_path: Path) -> None:
    file = open_table(write(table, tmp_path / f"rows.{ending}"))
    pieces = list(file.batches(rows=rows))
    assert all(len(piece) <= rows for piece in pieces)
    assert equal(columns_of(pa.concat_tables(pieces)), columns_of(table))
    assert file.columns == ("age", "bid", "city", "at")
    assert file.rows == (1000 if ending in ("parquet", "feather") else None)


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_some_columns_in_the_order_that_was_asked_for(ending: str, table: pa.Table, tmp_path: Path) -> None:
    file = open_table(write(table, tmp_path / f"rows.{ending}"))
    assert file.read(["city", "age"]).column_names == ["city", "age"]
    with pytest.raises(InputError, match=r"no column 'citi'.*did you mean 'city'"):
        list(file.batches(["citi"]))


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_a_file_without_rows_has_its_columns(ending: str, table: pa.Table, tmp_path: Path) -> None:
    file = open_table(write(table.slice(0, 0), tmp_path / f"rows.{ending}"))
    assert file.read().column_names == table.column_names
    assert len(file.read()) == 0


@pytest.mark.parametrize(
    ("first", "last", "type_"),
    [
        ("1", "2.5", pa.float64()),
        ("1", "n/a?", pa.string()),
        ("", "2", pa.int64()),
        ("2", "", pa.int64()),
        ("true", "2", pa.string()),
        ("2026-01-01", "2026-01-01 10:00:00", pa.timestamp("ns")),
        ("2026-01-01 10:00:00", "2026-01-01 10:00:00.5", pa.timestamp("ns")),
        ("2026-01-01", "tomorrow", pa.string()),
        ("", "", pa.string()),
    ],
)
def test_the_last_row_of_a_csv_has_its_say_in_the_type(
    first: str, last: str, type_: pa.DataType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_INFER_BYTES", 500)
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + f"{first},0\n" * 1000 + f"{last},0\n")
    file = open_table(path)
    assert file.read().schema.field("x").type == type_
    assert len(file.read()) == 1001


def test_a_csv_without_a_line_end_behind_the_last_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n1,2\n3,4")
    assert open_table(path).read().to_pydict() == {"x": [1, 3], "y": [2, 4]}


def test_columns_that_are_to_be_texts_keep_their_zeros(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("code\n007\n42\n")
    assert columns_of(open_table(path, ["code"]).read()) == {"code": ["007", "42"]}
    assert columns_of(open_table(path).read())["code"].tolist() == [7, 42]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_row_index_that_pandas_writes_is_no_column(ending: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.arange(20.0)}, index=range(100, 120)).query("a != 3")
    path = tmp_path / f"rows.{ending}"
    if ending == "csv":
        frame.to_csv(path)
    else:
        frame.to_parquet(path)
    assert open_table(path).columns == ("a",)
    assert open_table(path).read().column_names == ["a"]


def test_what_goes_wrong_in_the_middle_is_a_sentence(table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1,2\n" * 100_000 + "1\n")
    with pytest.raises(InputError, match=r"rows\.csv: can't be read: .*Expected 2 columns"):
        list(open_table(path).batches())
    path = write(table, tmp_path / "rows.parquet")
    path.write_bytes(path.read_bytes()[4000:])
    with pytest.raises(InputError, match=r"rows\.parquet: can't be read: "):
        open_table(path).read()


@pytest.mark.parametrize("name", ["data.xlsx", "missing.csv", "folder.csv", "folder.parquet", "missing.feather"])
def test_what_is_no_table_is_a_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.startswith("folder"):
        path.mkdir()
    with pytest.raises(InputError, match=r"give a file that ends in \.csv|can't be read: ") as caught:
        open_table(path)
    assert "\n" not in str(caught.value)
