"""Registered models, and the reference profiles they are compared with."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelwatch.exceptions import InputError
from modelwatch.store import files
from modelwatch.store.database import Database
from modelwatch.store.serialize import dump_json
from modelwatch.store.values import StoredModel

__all__ = ["ModelStore"]

_PROFILE_ID = re.compile(r"[0-9A-Za-z_-]{1,128}")
_INSERT = """
    INSERT INTO models (model_id, model_version, config, registered_at, updated_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (model_id, model_version) DO UPDATE SET config = excluded.config, updated_at = excluded.updated_at"""
_BACK = "DELETE FROM retired_models WHERE model_id = ? AND retired_at <= ?"
_FILE_KEY = "file_models"
_RETIRE = "INSERT OR IGNORE INTO retired_models (model_id, retired_at) VALUES (?, ?)"
_SELECT = """
    SELECT m.model_id, m.model_version, m.config, m.registered_at, a.last_prediction_at, m.updated_at, r.retired_at
    FROM models AS m LEFT JOIN activity AS a ON a.model_id = m.model_id AND a.model_version = m.model_version
        LEFT JOIN retired_models AS r ON r.model_id = m.model_id
    ORDER BY m.registered_at, m.model_id, m.model_version"""


class ModelStore:
    """The part of the store that knows the models."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registered: dict[tuple[str, str], tuple[str, float]] = {}
        self._registered_lock = threading.Lock()

    def register_model(self, model_id: str, model_version: str, config: dict[str, Any], now: float) -> None:
        """Register a model, or update the config of one that is registered; all that was recorded stays.

        One that was retired before `now` is so no more.

        Parameters
        ----------
        model_id, model_version
            The key.
        config
            Its settings; kept as JSON.
        now
            Seconds since the epoch; the time of the first registration is kept.
        """
        text = dump_json(config)
        with self._registered_lock:
            _, first = self._registered.get((model_id, model_version), ("", now))
            self._registered[model_id, model_version] = text, first

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_INSERT, (model_id, model_version, text, now, now))
            connection.execute(_BACK, (model_id, now))

        self._database.run(write)

    def retire_model(self, model_id: str, now: float) -> None:
        """Watch a model no more, all its versions, from `now` (seconds since the epoch) until it is registered again.

        What was recorded stays. One that is retired already stays as it is.
        """

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_RETIRE, (model_id, now))

        self._database.run(write)

    def retired_models(self) -> dict[str, float]:
        """Return when each model that is retired was, in seconds since the epoch, by model_id."""

        def read(connection: sqlite3.Connection) -> dict[str, float]:
            return dict(connection.execute("SELECT model_id, retired_at FROM retired_models"))

        retired = self._database.run(read, write=False)
        with self._registered_lock:
            self._registered = {
                key: known for key, known in self._registered.items() if known[1] > retired.get(key[0], float("-inf"))
            }
        return retired

    def _register_again(self, connection: sqlite3.Connection) -> None:
        """Put the models of this process into a database that has taken the place of another."""
        with self._registered_lock:
            known = list(self._registered.items())
        for (model_id, model_version), (config, at) in known:
            connection.execute(_INSERT, (model_id, model_version, config, at, at))

    def models(self) -> list[StoredModel]:
        """Return all registered models, oldest first, with the time of their last prediction; retired ones too."""

        def read(connection: sqlite3.Connection) -> list[StoredModel]:
            return [
                StoredModel(model_id, version, json.loads(config), *times)
                for model_id, version, config, *times in connection.execute(_SELECT)
            ]

        return self._database.run(read, write=False)

    def publish_file(self, text: str) -> None:
        """Keep what a sidecar's configuration file says of its models, for applications; "" for nothing."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_FILE_KEY, text))

        self._database.run(write)

    def published_file(self) -> str:
        """Return what a sidecar has published last; "" if nothing."""

        def read(connection: sqlite3.Connection) -> str:
            found = connection.execute("SELECT value FROM meta WHERE key = ?", (_FILE_KEY,)).fetchone()
            return "" if found is None else str(found[0])

        return self._database.run(read, write=False)

    def save_profile(self, profile_id: str, json_text: str) -> Path:
        """Write a reference profile to ``profiles/<id>.json``, whole or not at all.

        Parameters
        ----------
        profile_id
            Letters, digits, ``_`` and ``-``.
        json_text
            The profile.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        InputError
            The id would not be a safe file name.
        StorageError
            The file can't be written.
        """
        path = self._profile_path(profile_id)
        try:
            path.parent.mkdir(mode=0o770, exist_ok=True)
            write_whole(path, json_text.encode())
        except OSError as error:
            raise files.unusable(self._database.folder, f"can't write a profile: {error.strerror}") from error
        return path

    def load_profile(self, profile_id: str) -> str | None:
        """Return the JSON of a saved profile, or None if there is none.

        Raises
        ------
        InputError
            The id is no safe file name.
        StorageError
            The file can't be read.
        """
        try:
            return self._profile_path(profile_id).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise files.unusable(self._database.folder, f"can't read profile {profile_id!r}: {error}") from error

    def _profile_path(self, profile_id: str) -> Path:
        return profile_path(self._database.folder, profile_id)


def profile_path(folder: Path, profile_id: str) -> Path:
    """Return where a profile is saved; an id that is no safe file name is an InputError."""
    if not _PROFILE_ID.fullmatch(profile_id):
        raise InputError(f"a profile id has letters, digits, '_' and '-' only, not {profile_id!r}")
    return folder / "profiles" / f"{profile_id}.json"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem[:16]}-", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o660 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _umask() -> int:
    """Return the umask without touching it where the system tells (asking for it means setting it)."""
    with suppress(OSError, ValueError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o027
