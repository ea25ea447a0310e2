"""Looks at a storage folder from outside: nothing is created, migrated, set aside, or locked for others.

For commands that say how things are. Everything else opens a store to work with it, which also puts it right.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from modelwatch.exceptions import StorageError
from modelwatch.store import files
from modelwatch.store.database import is_damage
from modelwatch.store.schema import SCHEMA_VERSION
from modelwatch.store.values import Silence, StoredModel

__all__ = ["Checked", "StorageFacts", "deliveries_waiting", "has_database", "inspect_storage"]

_BUSY_SECONDS = 2.0
_MODELS = """
    SELECT m.model_id, m.model_version, m.config, m.registered_at, a.last_prediction_at, m.updated_at, r.retired_at
    FROM models AS m LEFT JOIN activity AS a ON a.model_id = m.model_id AND a.model_version = m.model_version
        LEFT JOIN retired_models AS r ON r.model_id = m.model_id
    ORDER BY m.registered_at, m.model_id, m.model_version"""
_LEASES = """
    SELECT name, holder FROM leases
    WHERE acquired_at + ttl > :now AND acquired_at <= :now + ttl ORDER BY name"""
_SILENCES = """
    SELECT silence_id, model_id, alertname, starts_at, ends_at, created_by, comment FROM silences
    WHERE starts_at <= :now AND ends_at > :now ORDER BY ends_at, silence_id"""
_CHECKS = """
    SELECT model_id, max(checked_at), max(last_success_at), max(interval) FROM check_results
    WHERE model_id NOT IN (SELECT model_id FROM retired_models) GROUP BY model_id ORDER BY model_id"""


@dataclass(frozen=True)
class Checked:
    """The latest scheduled check of one model. Times are seconds since the epoch, the interval seconds."""

    model_id: str
    checked_at: float
    last_success_at: float | None
    interval: float


@dataclass(frozen=True)
class StorageFacts:
    """What a storage holds, as of one moment.

    Attributes
    ----------
    storage_id : str
        Its random id.
    models : tuple of StoredModel
        All that were ever registered.
    leases : dict of str to str
        Who has the right to do what just now, by the name of the right.
    checks : tuple of Checked
        By model.
    served : dict of str to float
        When an application last said that it serves a channel, by channel.
    notifications : dict of str to (int, int)
        Delivered and given up, by channel.
    silences : tuple of Silence
        Those in force.
    size_bytes : int
        Of all files in the folder.
    """

    storage_id: str
    models: tuple[StoredModel, ...]
    leases: dict[str, str]
    checks: tuple[Checked, ...]
    served: dict[str, float]
    notifications: dict[str, tuple[int, int]]
    silences: tuple[Silence, ...]
    size_bytes: int


def has_database(folder: Path) -> bool:
    """Return whether anything was ever recorded in a folder."""
    return (folder / files.DATABASE_NAME).is_file()


def inspect_storage(folder: Path, now: float) -> StorageFacts:
    """Look at a storage.

    Parameters
    ----------
    folder
        Where it is.
    now
        Seconds since the epoch: what is in force then.

    Raises
    ------
    StorageError
        If it can't be read, is damaged, or belongs to another release.
    """
    with _reading(folder) as connection:
        models = [StoredModel(row[0], row[1], json.loads(row[2]), *row[3:]) for row in connection.execute(_MODELS)]
        notifications = connection.execute("SELECT channel, sent, failed FROM notifications")
        return StorageFacts(
            storage_id=str(connection.execute("SELECT value FROM meta WHERE key = 'storage_id'").fetchone()[0]),
            models=tuple(models),
            leases=dict(connection.execute(_LEASES, {"now": now}).fetchall()),
            checks=tuple(Checked(*row) for row in connection.execute(_CHECKS)),
            served=dict(connection.execute("SELECT channel, seen_at FROM served_channels").fetchall()),
            silences=tuple(Silence(*row) for row in connection.execute(_SILENCES, {"now": now})),
            notifications={channel: (int(sent), int(failed)) for channel, sent, failed in notifications},
            size_bytes=files.folder_size(folder),
        )


def deliveries_waiting(folder: Path, fingerprint: str) -> set[str]:
    """Return the channels for which an alert still waits to be delivered by an application; raises as above."""
    with _reading(folder) as connection:
        query = "SELECT channel FROM deliveries WHERE fingerprint = ?"
        return {str(row[0]) for row in connection.execute(query, (fingerprint,))}


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    path = folder / files.DATABASE_NAME
    if not path.is_file():
        raise StorageError(f"there is no store in {str(folder)!r}: nothing has been recorded there yet")
    try:
        # A path may hold what has a meaning in a URI: space, %, ?, #.
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise StorageError(
                f"the database {str(path)!r} has schema {version} and this modelwatch reads {SCHEMA_VERSION}: "
                "use one release of modelwatch for all that share a storage folder"
            )
        yield connection
    except (sqlite3.Error, ValueError) as error:
        raise _unreadable(path, error) from error
    finally:
        connection.close()


def _unreadable(path: Path, error: Exception) -> StorageError:
    if is_damage(error):
        return StorageError(f"the database {str(path)!r} is damaged ({error}): whoever writes next sets it aside")
    return StorageError(f"the database {str(path)!r} can't be read: {error}")
