"""What production has taught of a profile, in a file of its own beside it.

The profile's file is written again by every application that registers it, and so is no place for what was learnt.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from modelwatch.store import files
from modelwatch.store.database import Database
from modelwatch.store.registry import profile_path, write_whole

__all__ = ["LEARNT_SUFFIX", "LearntStore"]

LEARNT_SUFFIX = ".learnt"


class LearntStore:
    """The part of the store that keeps what production has taught: by profile and model."""

    _database: Database

    def save_learnt(self, profile_id: str, model_id: str, data: bytes) -> None:
        """Write what one model has taught of a profile, whole or not at all.

        Raises
        ------
        InputError
            The id is no safe file name.
        StorageError
            The file can't be written.
        """
        path = self._learnt_path(profile_id, model_id)
        try:
            path.parent.mkdir(mode=0o770, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            raise files.unusable(self._database.folder, f"can't write what was learnt: {error.strerror}") from error

    def load_learnt(self, profile_id: str, model_id: str) -> bytes | None:
        """Return what :meth:`save_learnt` has written, or None; raises as that does."""
        try:
            return self._learnt_path(profile_id, model_id).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise files.unusable(self._database.folder, f"can't read what was learnt: {error.strerror}") from error

    def learnt_mark(self, profile_id: str, model_id: str) -> tuple[int, int] | None:
        """Return what changes whenever it is written again; None if there is nothing."""
        try:
            found = self._learnt_path(profile_id, model_id).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _learnt_path(self, profile_id: str, model_id: str) -> Path:
        # Models may have profiles of the same cells, and a model's id is no file name.
        whose = hashlib.sha256(model_id.encode()).hexdigest()[:16]
        path = profile_path(self._database.folder, profile_id)
        return path.with_name(f"{profile_id}.{whose}{LEARNT_SUFFIX}")
