"""Silences: what nobody is to be told of for a while, kept where sidecar and all workers look."""

from __future__ import annotations

import sqlite3

from modelwatch.store.database import Database
from modelwatch.store.values import Silence

__all__ = ["SilenceStore"]

KEPT_SECONDS = 90 * 86400.0
"""For how long a silence that is over can still be looked up."""

_INSERT = """
    INSERT OR REPLACE INTO silences (silence_id, model_id, alertname, starts_at, ends_at, created_by, comment)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
_SELECT = """
    SELECT silence_id, model_id, alertname, starts_at, ends_at, created_by, comment FROM silences
    WHERE starts_at <= :now AND ends_at > :now ORDER BY ends_at, silence_id"""
_END = """
    UPDATE silences SET ends_at = :now WHERE silence_id IN (
        SELECT silence_id FROM silences WHERE ends_at > :now AND (:model_id = '' OR model_id = :model_id)
            AND (:alertname = '' OR alertname = :alertname))"""


class SilenceStore:
    """The part of the store that remembers silences. Times are seconds since the epoch."""

    _database: Database

    def save_silence(self, silence: Silence) -> None:
        """Add a silence; long past ones are forgotten."""
        row = (
            silence.silence_id,
            silence.model_id,
            silence.alertname,
            silence.starts_at,
            silence.ends_at,
            _text(silence.created_by),
            _text(silence.comment),
        )

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM silences WHERE ends_at < ?", (silence.starts_at - KEPT_SECONDS,))
            connection.execute(_INSERT, row)

        self._database.run(write)

    def silences(self, now: float) -> list[Silence]:
        """Return the silences that are in force, the one that ends first first."""

        def read(connection: sqlite3.Connection) -> list[Silence]:
            return [Silence(*row) for row in connection.execute(_SELECT, {"now": now})]

        return self._database.run(read, write=False)

    def end_silences(self, model_id: str, alertname: str, now: float) -> list[Silence]:
        """End now what is in force for a model, an alert name, or both; ``""`` stands for any. Return what ended."""

        def write(connection: sqlite3.Connection) -> list[Silence]:
            values = {"now": now, "model_id": model_id, "alertname": alertname}
            before = [Silence(*row) for row in connection.execute(_SELECT, {"now": now})]
            connection.execute(_END, values)
            left = {row[0] for row in connection.execute(_SELECT, {"now": now})}
            return [silence for silence in before if silence.silence_id not in left]

        return self._database.run(write)


def _text(value: str) -> str:
    """Return text that UTF-8 can hold."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
