"""The two descriptions of the schema agree, and old files are brought up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from modelwatch.exceptions import StorageError
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries
from modelwatch.store.schema import SCHEMA_VERSION
from modelwatch.store.tables import metadata

_TYPES = {sa.Text: "TEXT", sa.Float: "REAL", sa.Integer: "INTEGER", sa.LargeBinary: "BLOB"}


def _connect(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "modelwatch.db", isolation_level=None)


def _described(table: sa.Table) -> tuple[Any, ...]:
    columns = [(c.name, _TYPES[type(c.type)], c.nullable, c.primary_key) for c in table.columns]
    return columns, sorted((i.name, [c.name for c in i.columns], bool(i.unique)) for i in table.indexes)


def _reflected(inspector: sa.Inspector, name: str) -> tuple[Any, ...]:
    keys = inspector.get_pk_constraint(name)["constrained_columns"]
    columns = [(c["name"], str(c["type"]), c["nullable"], c["name"] in keys) for c in inspector.get_columns(name)]
    indexes = inspector.get_indexes(name)
    return columns, sorted((i["name"], i["column_names"], bool(i["unique"])) for i in indexes)


def test_tables_for_sqlalchemy_equal_those_created(writer: StoreWriter) -> None:
    engine = sa.create_engine(f"sqlite:///{writer.folder / 'modelwatch.db'}", poolclass=sa.NullPool)
    inspector = sa.inspect(engine)
    assert set(inspector.get_table_names()) == set(metadata.tables)
    for name, table in metadata.tables.items():
        assert _reflected(inspector, name) == _described(table), name
    engine.dispose()


def test_a_new_file_has_the_settings_that_can_only_be_made_at_first(writer: StoreWriter) -> None:
    connection = _connect(writer.folder)
    pragmas = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("auto_vacuum", "journal_mode")}
    assert pragmas == {"auto_vacuum": 2, "journal_mode": "wal"}
    assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
    connection.close()


def test_a_file_of_a_newer_release_is_left_alone(folder: Path) -> None:
    StoreWriter(folder).close()
    connection = _connect(folder)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StorageError, match="written by a newer modelwatch"):
        StoreWriter(folder)
    with StoreQueries(folder) as queries, pytest.raises(StorageError, match=f"has schema {SCHEMA_VERSION + 1}"):
        queries.subjects("m", 0)


def test_the_storage_id_stays(folder: Path) -> None:
    with StoreWriter(folder) as first, StoreWriter(folder) as second:
        assert first.storage_id() == second.storage_id()
        assert len(first.storage_id()) == 32
    with StoreWriter(folder) as later:
        assert later.storage_id() == first_id(folder)


def first_id(folder: Path) -> str:
    connection = _connect(folder)
    value = connection.execute("SELECT value FROM meta WHERE key = 'storage_id'").fetchone()[0]
    connection.close()
    return str(value)
