"""Which reference each model was given by a call, or learnt: what workers and the sidecar follow."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from modelwatch.store.database import Database
from modelwatch.store.values import RecordedRows, StoredReference

__all__ = ["GIVEN", "LEARNT", "ReferenceStore"]

GIVEN, LEARNT = "given", "learnt"
"""Where a reference comes from: a call, or production."""
STRAY_SHARE, STRAY_SECONDS = 0.001, 43200.0

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

    def publish_learnt(
        self, model_id: str, profile_id: str, *, written: str, at: float, since: float, until: float
    ) -> bool:
        """Keep the first reference that is learnt for a model; of two that learn at once one only is heard.

        Parameters
        ----------
        model_id, profile_id, written
            As for :meth:`save_reference`.
        at
            Seconds since the epoch.
        since, until
            Times of the first and of the last row that it was learnt from.

        Returns
        -------
        bool
            Whether it is the model's reference now; False if it has one already under the same configuration.
        """
        row = (model_id, profile_id, LEARNT, written, at, since, until)

        def write(connection: sqlite3.Connection) -> bool:
            known = connection.execute(
                "SELECT written FROM model_references WHERE model_id = ?", (model_id,)
            ).fetchone()
            if known is not None and known[0] == written:
                return False
            connection.execute(_UPSERT, row)
            return True

        return self._database.run(write)

    def note_growth(self, model_id: str, profile_id: str, until: float) -> None:
        """Say that a learnt profile was saved again with the counts up to `until`: who follows it reads it anew."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE model_references SET counted_until = ?, revision = revision + 1"
                " WHERE model_id = ? AND profile_id = ? AND origin = ?",
                (until, model_id, profile_id, LEARNT),
            )

        self._database.run(write)

    def recorded_rows(self, model_ids: Collection[str]) -> dict[str, RecordedRows]:
        """Return how many rows of models were looked at, and from when to when; those without any are absent.

        A row or two with times of their own are no history: up to a thousandth of the rows, half a day away from all
        others, is left out at either end.
        """
        query = (
            "SELECT sum(sampled), min(first_at), max(last_at) FROM interval_totals"
            " WHERE model_id = ? AND sampled > 0 GROUP BY start ORDER BY start"
        )

        def read(connection: sqlite3.Connection) -> dict[str, RecordedRows]:
            found = {model_id: connection.execute(query, (model_id,)).fetchall() for model_id in model_ids}
            return {model_id: _without_strays(intervals) for model_id, intervals in found.items() if intervals}

        return self._database.run(read, write=False)

    def drop_learning_rows(self, model_id: str) -> None:
        """Delete the rows that were kept only to learn a model's reference from."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM learning_chunks WHERE model_id = ?", (model_id,))

        self._database.run(write)


def _without_strays(intervals: list[tuple[int, float, float]]) -> RecordedRows:
    """Sum intervals of (rows, first time, last time), ascending, but for few rows far from all others at either end."""
    allowed = int(sum(rows for rows, _, _ in intervals) * STRAY_SHARE)
    first, last, strays = 0, len(intervals) - 1, 0
    while first < last and intervals[first + 1][1] - intervals[first][2] > STRAY_SECONDS:
        strays += intervals[first][0]
        if strays > allowed:
            break
        first += 1
    strays = 0
    while last > first and intervals[last][1] - intervals[last - 1][2] > STRAY_SECONDS:
        strays += intervals[last][0]
        if strays > allowed:
            break
        last -= 1
    kept = intervals[first : last + 1]
    return RecordedRows(sum(rows for rows, _, _ in kept), kept[0][1], kept[-1][2])
