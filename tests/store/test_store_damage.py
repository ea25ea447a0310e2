"""A damaged, replaced or busy database: recording goes on."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from modelwatch.exceptions import StorageError
from modelwatch.records import FlushBatch, IntervalTotals
from modelwatch.store import StoreWriter
from modelwatch.store.database import Database
from modelwatch.store.queries import StoreQueries

Totals = Callable[..., IntervalTotals]
Batch = Callable[..., FlushBatch]

NAME = "modelwatch.db"


def _overwrite(folder: Path, start: int = 0, end: int | None = None) -> None:
    """Write nonsense into the database, with no log beside it that would cover it."""
    (folder / f"{NAME}-wal").unlink(missing_ok=True)
    size = (folder / NAME).stat().st_size if end is None else end
    with open(folder / NAME, "r+b") as file:
        file.seek(start)
        file.write(b"\x07nonsense" * ((size - start) // 9 + 1))


def _aside(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if ".damaged-" in p.name)


@pytest.mark.parametrize("start", [0, 100], ids=["not a database", "malformed"])
def test_a_damaged_file_is_set_aside_at_start_and_recording_goes_on(
    folder: Path, totals: Totals, batch: Batch, caplog: pytest.LogCaptureFixture, start: int
) -> None:
    StoreWriter(folder).close()
    _overwrite(folder, start)
    with caplog.at_level(logging.WARNING), StoreWriter(folder) as writer, StoreQueries(folder) as queries:
        writer.commit(batch(totals()))
        assert queries.totals("m", 0, 60).attempts.tolist() == [10]
        assert queries.integrity() == "ok"
    assert len(_aside(folder)) == 1
    assert [r.message for r in caplog.records if "is damaged" in r.message] == [r.message for r in caplog.records]
    assert len(caplog.records) == 1


def test_a_file_damaged_while_in_use_is_replaced_and_the_models_registered_again(
    folder: Path, totals: Totals, batch: Batch
) -> None:
    with StoreWriter(folder) as writer, StoreQueries(folder) as queries:
        writer.register_model("m", "1", {"a": 1}, now=5.0)
        old_id = writer.storage_id()
        writer._database.close_idle()
        _overwrite(folder)
        writer.commit(batch(totals()))
        assert [(m.model_id, m.config, m.registered_at) for m in writer.models()] == [("m", {"a": 1}, 5.0)]
        assert queries.totals("m", 0, 60).attempts.tolist() == [10]
        assert writer.storage_id() != old_id
    assert len(_aside(folder)) == 1


def test_others_notice_the_new_file_and_lose_nothing(folder: Path, totals: Totals, batch: Batch) -> None:
    with StoreWriter(folder) as first, StoreWriter(folder) as second, StoreQueries(folder) as queries:
        second.register_model("second's", "1", {}, now=5.0)
        second._database.run(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), write=False)
        first._database.close_idle()
        # The log is left in place: the second one has it open, as it would in life.
        with open(folder / NAME, "r+b") as file:
            file.write(b"\x07nonsense" * 1000)
        first._database.run(lambda c: None)
        assert len([n for n in _aside(folder) if n.endswith("Z")]) == 1
        first.commit(batch(totals(0.0), worker="first"))
        second.commit(batch(totals(0.0), worker="second"))  # closes its old connection; must not take the new log along
        first.commit(batch(totals(0.0, part=1), worker="first"))
        assert queries.totals("m", 0, 60).attempts.tolist() == [30]
        assert [m.model_id for m in first.models()] == ["second's"]
        assert queries.integrity() == "ok"


def test_a_reader_that_finds_damage_sets_it_aside(folder: Path, totals: Totals, batch: Batch) -> None:
    with StoreWriter(folder) as writer, StoreQueries(folder) as queries:
        writer._database.close_idle()
        _overwrite(folder)
        with pytest.raises(StorageError, match="not a database"):
            queries.totals("m", 0, 60)
        with pytest.raises(StorageError, match="nothing has been recorded there yet"):
            queries.totals("m", 0, 60)
        writer.commit(batch(totals()))
        assert queries.totals("m", 0, 60).attempts.tolist() == [10]


def test_a_folder_deleted_while_in_use_comes_back(folder: Path, totals: Totals, batch: Batch) -> None:
    with StoreWriter(folder) as writer, StoreQueries(folder) as queries:
        writer.register_model("m", "1", {}, now=5.0)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        writer.commit(batch(totals()))
        assert queries.totals("m", 0, 60).attempts.tolist() == [10]
        assert len(writer.models()) == 1


def test_an_emptied_file_gets_its_tables_back(folder: Path, totals: Totals, batch: Batch) -> None:
    with StoreWriter(folder) as writer:
        writer._database.close_idle()
        os.truncate(folder / NAME, 0)
        writer.commit(batch(totals()))
    with StoreQueries(folder) as queries:
        assert queries.totals("m", 0, 60).attempts.tolist() == [10]


def test_a_log_of_a_lost_database_is_not_replayed_into_a_new_one(folder: Path, totals: Totals, batch: Batch) -> None:
    with StoreWriter(folder) as writer:
        writer.commit(batch(totals(0.0)))
        (folder / NAME).unlink()
        writer.commit(batch(totals(60.0)))
    with StoreQueries(folder) as queries:
        assert queries.totals("m", 0, 999).starts.tolist() == [60.0]
        assert queries.integrity() == "ok"


def test_a_full_disk_is_an_error_and_not_damage(folder: Path, totals: Totals, batch: Batch) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1")
        connection.execute("CREATE TABLE big AS SELECT randomblob(100000) AS b")

    with StoreWriter(folder) as writer:
        with pytest.raises(StorageError, match="is full: free space on it"):
            writer._database.run(fill)
        writer.commit(batch(totals()))
    assert _aside(folder) == []


def test_a_writer_that_never_lets_go_is_an_error_within_a_bound(folder: Path) -> None:
    StoreWriter(folder).close()
    database = Database(folder, busy_seconds=0.05)
    other = sqlite3.connect(folder / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="database is locked"):
        database.run(lambda c: None)
    assert database.run(lambda c: c.execute("SELECT count(*) FROM models").fetchone()[0], write=False) == 0
    other.execute("ROLLBACK")
    assert database.run(lambda c: 5) == 5
    other.close()
    database.close()


def test_work_that_fails_leaves_nothing_behind(folder: Path) -> None:
    database = Database(folder)

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO notifications VALUES ('email', 1, 1)")
        raise KeyError("no")

    with pytest.raises(KeyError):
        database.run(work)
    assert database.run(lambda c: c.execute("SELECT count(*) FROM notifications").fetchone()[0], write=False) == 0
    database.close()


def test_threads_share_a_writer(writer: StoreWriter, queries: StoreQueries, totals: Totals, batch: Batch) -> None:
    def commit(number: int) -> None:
        for i in range(50):
            writer.commit(batch(totals(60.0 * i), worker=f"w{number}"))
            writer.models()

    threads = [threading.Thread(target=commit, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queries.totals("m", 0, 1e9).attempts.tolist() == [40.0] * 50
