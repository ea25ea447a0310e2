"""Looking at a storage from outside changes nothing there, and says what is wrong in a sentence."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from modelwatch.exceptions import StorageError
from modelwatch.store import Silence, StoreWriter
from modelwatch.store.inspection import deliveries_waiting, has_database, inspect_storage

NOW = 1_790_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A path that means something in a URI."""
    return tmp_path / "a storage?mode=rw#100%"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(("-shm", "-wal"))}


def test_what_was_written_is_seen_and_nothing_changes(folder: Path) -> None:
    with StoreWriter(folder) as store:
        store.register_model("ads", "1", {"model_id": "ads"}, NOW)
        store.acquire_lease("sidecar", "sidecar-7-ab", 30.0, NOW)
        store.acquire_lease("checks of ads", "8-cd", 30.0, NOW - 60)
        store.announce_channels(["pager"], NOW)
        store.count_notification("email", ok=True)
        store.count_notification("email", ok=False)
        store.save_silence(Silence("s", "ads", "", NOW - 1, NOW + 60))
        store.save_silence(Silence("t", "ads", "", NOW - 9, NOW - 1))
        store.enqueue_delivery("pager", {"fingerprint": "f"}, NOW)
        before = contents(folder)
        facts = inspect_storage(folder, NOW)
        assert facts.storage_id == store.storage_id()
        assert [model.model_id for model in facts.models] == ["ads"]
        assert facts.leases == {"sidecar": "sidecar-7-ab"}
        assert (facts.served, facts.notifications) == ({"pager": NOW}, {"email": (1, 1)})
        assert [silence.silence_id for silence in facts.silences] == ["s"]
        assert facts.size_bytes > 0
        assert deliveries_waiting(folder, "f") == {"pager"}
        assert deliveries_waiting(folder, "g") == set()
        assert contents(folder) == before


def test_a_storage_that_is_not_there_is_not_made(folder: Path) -> None:
    assert not has_database(folder)
    with pytest.raises(StorageError, match="nothing has been recorded there yet"):
        inspect_storage(folder, NOW)
    assert not folder.exists()


def test_a_damaged_or_foreign_database_is_said_and_left_alone(folder: Path) -> None:
    folder.mkdir()
    database = folder / "modelwatch.db"
    database.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StorageError, match="is damaged"):
        inspect_storage(folder, NOW)
    assert list(folder.iterdir()) == [database]
    database.unlink()
    sqlite3.connect(database).execute("CREATE TABLE other (x)").connection.close()
    with pytest.raises(StorageError, match="has schema 0"):
        inspect_storage(folder, NOW)
