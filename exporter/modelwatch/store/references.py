"""Which reference each model was given by a call, or learnt: what workers and the sidecar follow."""

from __future__ import annotations

import sqlite3

from modelwatch.store.database import Database
from modelwatch.store.values import StoredReference

__all__ = ["ReferenceStore"]

_COLUMNS = "model_id, profile_id, origin, written, set_at, revision, learning_since, counted_until"
_SELECT = f"SELECT {_COLUMNS} FROM model_references"  # noqa: S608 - a constant
_UPSERT = f"""
    INSERT INTO model_references ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, 1, ?, ?)
    ON CONFLICT (model_id) DO UPDATE SET
        profile_id = excluded.profile_id, origin = excluded.origin, written = excluded.written,
        set_at = excluded.set_at, revision = model_references.revision + 1,
        learning_since = excluded.learning_since, counted_until = excluded.counted_until"""  # noqa: S608 - a constant


class ReferenceStore:
    """The part of the store that knows what each model is compared with."""

    _database: Database

    def save_reference(
        self,
        model_id: str,
        profile_id: str,
        *,
        origin: str,
        written: str,
        set_at: float,
        learning_since: float | None = None,
        counted_until: float | None = None,
    ) -> int:
        """Compare a model with a profile from now on, in place of the one before; the profile itself is saved first.

        Parameters
        ----------
        model_id
            The model, all its versions.
        profile_id
            A profile that :meth:`~modelwatch.store.registry.ModelStore.save_profile` has saved.
        origin
            "given" by a call, or "learnt" from production.
        written
            The `reference` of the model's configuration just now: once that is another, the configuration is newer.
        set_at
            Seconds since the epoch.
        learning_since, counted_until
            Of a learnt one: when learning began, and up to where rows were counted, in seconds since the epoch.

        Returns
        -------
        int
            The revision, 1 for the first; it only rises.
        """
        row = (model_id, profile_id, origin, written, set_at, learning_since, counted_until)

        def write(connection: sqlite3.Connection) -> int:
            connection.execute(_UPSERT, row)
            found = connection.execute("SELECT revision FROM model_references WHERE model_id = ?", (model_id,))
            return int(found.fetchone()[0])

        return self._database.run(write)

    def references(self) -> dict[str, StoredReference]:
        """Return by model_id what each model is compared with."""

        def read(connection: sqlite3.Connection) -> dict[str, StoredReference]:
            return {row[0]: StoredReference(*row) for row in connection.execute(_SELECT)}

        return self._database.run(read, write=False)

    def reference_of(self, model_id: str) -> StoredReference | None:
        """Return what a model is compared with; None if nothing was given or learnt."""

        def read(connection: sqlite3.Connection) -> StoredReference | None:
            row = connection.execute(f"{_SELECT} WHERE model_id = ?", (model_id,)).fetchone()
            return None if row is None else StoredReference(*row)

        return self._database.run(read, write=False)
