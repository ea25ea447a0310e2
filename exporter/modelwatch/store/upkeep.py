"""Keeping the folder small: the size cap, profiles that nobody needs any more, and what the last cleanup did."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelwatch.store import files
from modelwatch.store.database import Database
from modelwatch.store.retention import Removed, delete_before, evict_oldest, give_back, used_bytes

__all__ = ["UpkeepStore"]

UNUSED_PROFILE_SECONDS = 86400.0
"""A profile may be saved a while before the first counts that refer to it."""

# The newest profile of a model stays, even if a model that predicts on weekdays only has no counts on a Monday morning.
_REFERRED = """
    SELECT profile_id FROM subjects WHERE subject_id IN (SELECT subject_id FROM interval_counts)
    UNION SELECT profile_id FROM subjects WHERE subject_id IN (SELECT max(subject_id) FROM subjects GROUP BY model_id)
        AND model_id NOT IN (SELECT model_id FROM retired_models)
    UNION SELECT profile_id FROM model_references"""
_RESULTS = "SELECT result FROM check_results WHERE result IS NOT NULL"
_PUT = "INSERT INTO meta (key, value) VALUES ('last_cleanup', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_GET = "SELECT value FROM meta WHERE key = 'last_cleanup'"


class UpkeepStore:
    """The part of the store that keeps itself small."""

    _database: Database

    def delete_before(self, model_id: str, kind: str, cutoff: float, limit: int = 500) -> tuple[int, int]:
        """Delete a bounded number of old entries; see :func:`modelwatch.store.retention.delete_before`."""
        return delete_before(self._database, model_id, kind, cutoff, limit)

    def evict_oldest(
        self, kind: str, excess: int, model_ids: Iterable[str], before: float | None = None, limit: int = 500
    ) -> Removed:
        """Delete the oldest entries of some models; see :func:`modelwatch.store.retention.evict_oldest`."""
        return evict_oldest(self._database, kind, excess, model_ids, before, limit)

    def give_back(self) -> int:
        """Return a bounded part of the free space to the file system; return how many free pages are left."""
        return give_back(self._database)

    def used_bytes(self) -> int:
        """Return the bytes that are in use: of the database without its log, of counters and of profiles."""
        folder = self._database.folder
        return used_bytes(self._database) + sum(files.folder_size(folder / name) for name in ("slots", "profiles"))

    def alerted_models(self) -> list[str]:
        """Return whom the alerts of the history are about; "" for those that are about no model."""

        def read(connection: sqlite3.Connection) -> list[str]:
            return [str(row[0]) for row in connection.execute("SELECT DISTINCT model_id FROM alerts")]

        return self._database.run(read, write=False)

    def remove_unused_profiles(self, now: float) -> list[str]:
        """Delete the profiles that nothing refers to, and what writers that were killed left of others.

        A profile is kept while counts or a check's result refer to it, while it is a model's reference or was the one
        of its latest counts, and until it is a day old.

        Returns
        -------
        list of str
            The ids of those that are gone.

        Raises
        ------
        StorageError
            The store can't be read, or a file can't be removed.
        """
        folder = self._database.folder / "profiles"
        try:
            found = [path for path in folder.iterdir() if _is_old(path, now)] if folder.is_dir() else []
            referred = self._database.run(_referred, write=False) if found else set()
            unused = [p for p in found if p.name.startswith(".") or (p.suffix == ".json" and p.stem not in referred)]
            return [path.stem for path in unused if _remove(path, now)]
        except OSError as error:
            raise files.unusable(self._database.folder, f"can't remove a profile: {error.strerror}") from error

    def save_cleanup(self, summary: dict[str, Any]) -> None:
        """Remember what the last cleanup did, for whoever asks, in whichever process."""
        text = json.dumps(summary)
        self._database.run(lambda connection: connection.execute(_PUT, (text,)))

    def last_cleanup(self) -> dict[str, Any] | None:
        """Return what the last cleanup did; None if there was none yet."""

        def read(connection: sqlite3.Connection) -> dict[str, Any] | None:
            found = connection.execute(_GET).fetchone()
            return None if found is None else json.loads(found[0])

        return self._database.run(read, write=False)


def _remove(path: Path, now: float) -> bool:
    with suppress(FileNotFoundError):
        if _is_old(path, now):  # it may have been saved again meanwhile
            os.unlink(path)
            return True
    return False


def _is_old(path: Path, now: float) -> bool:
    try:
        return path.stat().st_mtime < now - UNUSED_PROFILE_SECONDS
    except FileNotFoundError:
        return False


def _referred(connection: sqlite3.Connection) -> set[str]:
    ids = {str(row[0]) for row in connection.execute(_REFERRED)}
    for (result,) in connection.execute(_RESULTS):
        ids.add(str(json.loads(result).get("profile_id", "")))
    return ids
