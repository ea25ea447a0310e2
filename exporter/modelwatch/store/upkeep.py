"""Keeping the folder small: the size cap, profiles that nobody needs any more, and what the last cleanup did."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelwatch.store import files
from modelwatch.store.database import Database
from modelwatch.store.learnt import LEARNT_SUFFIX
from modelwatch.store.retention import (
    Removed,
    checkpoint,
    delete_before,
    evict_oldest,
    evictable_bytes,
    give_back,
    used_bytes,
)

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
_PUT = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_GET = "SELECT value FROM meta WHERE key = ?"
_LAST, _CLOCK, _PROFILE = "last_cleanup", "cleanup_clock", "profile of "
_REGISTERED = "SELECT value FROM meta WHERE key >= ? AND key < ?"
_RETIRED = "SELECT model_id FROM retired_models"
_NEWEST = """
    SELECT max(at) FROM (
        SELECT max(last_prediction_at) AS at FROM activity UNION ALL SELECT max(updated_at) FROM models
        UNION ALL SELECT max("timestamp") FROM latest_metrics UNION ALL SELECT max(checked_at) FROM check_results
        UNION ALL SELECT max(at) FROM alerts)"""


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

    def evictable_bytes(self, kinds: Mapping[str, float | None], model_ids: Iterable[str]) -> int:
        """Return how much could be evicted; see :func:`modelwatch.store.retention.evictable_bytes`."""
        return evictable_bytes(self._database, kinds, model_ids)

    def give_back(self) -> int:
        """Return a bounded part of the free space to the file system; return how many more pages could be."""
        return give_back(self._database)

    def checkpoint(self) -> None:
        """Let the database's log begin anew, if that can be done now."""
        checkpoint(self._database)

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

        A profile is kept while counts or a check's result refer to it, while it is the one of a registered version, a
        model's reference or that of its latest counts (unless the model is retired), and until it is a day old.

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
            unused = [p for p in found if p.name.startswith(".") or _profile_of(p) not in {None, *referred}]
            gone = [path for path in unused if _remove(path, now)]
            return [path.stem for path in gone if path.suffix != LEARNT_SUFFIX]
        except OSError as error:
            raise files.unusable(self._database.folder, f"can't remove a profile: {error.strerror}") from error

    def note_profile(self, model_id: str, model_version: str, profile_id: str) -> None:
        """Remember which profile a version is registered with: it may predict much later, perhaps after a rollback."""
        value = json.dumps({"model_id": model_id, "profile_id": profile_id})
        self._put({_PROFILE + json.dumps([model_id, model_version]): value})

    def newest_record(self) -> float | None:
        """Return when something was last noted down here, in seconds since the epoch; None if nothing ever was."""

        def read(connection: sqlite3.Connection) -> float | None:
            found = connection.execute(_NEWEST).fetchone()[0]
            return None if found is None else float(found)

        return self._database.run(read, write=False)

    def save_cleanup(self, summary: dict[str, Any], clock: dict[str, Any] | None = None) -> None:
        """Remember what the last cleanup did, for whoever asks, and what it thought of the clock, for the next one."""
        self._put({_LAST: json.dumps(summary)} | ({} if clock is None else {_CLOCK: json.dumps(clock)}))

    def last_cleanup(self) -> dict[str, Any] | None:
        """Return what the last cleanup did; None if there was none yet."""
        return self._get(_LAST)

    def cleanup_clock(self) -> dict[str, Any] | None:
        """Return what the last cleanup thought of the clock; None if there was none yet."""
        return self._get(_CLOCK)

    def _put(self, values: dict[str, str]) -> None:
        self._database.run(lambda connection: connection.executemany(_PUT, list(values.items())))

    def _get(self, key: str) -> dict[str, Any] | None:
        def read(connection: sqlite3.Connection) -> dict[str, Any] | None:
            found = connection.execute(_GET, (key,)).fetchone()
            return None if found is None else json.loads(found[0])

        return self._database.run(read, write=False)


def _profile_of(path: Path) -> str | None:
    """Return the id of the profile that a file holds, or holds what was learnt of; None for another file."""
    return path.name.partition(".")[0] if path.suffix in (".json", LEARNT_SUFFIX) else None


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
    retired = {str(row[0]) for row in connection.execute(_RETIRED)}
    for (value,) in connection.execute(_REGISTERED, (_PROFILE, _PROFILE + "\U0010ffff")):
        noted = json.loads(value)
        if noted["model_id"] not in retired:
            ids.add(noted["profile_id"])
    for (result,) in connection.execute(_RESULTS):
        ids.add(str(json.loads(result).get("profile_id", "")))
    return ids
