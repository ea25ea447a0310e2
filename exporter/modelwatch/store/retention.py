"""Deleting what is older than its retention, in steps that never hold up a writer for long."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from modelwatch.exceptions import InputError, did_you_mean
from modelwatch.store.database import Database

__all__ = ["KINDS", "delete_before"]

_VACUUM_PAGES = 4096


@dataclass(frozen=True)
class _Kind:
    """Where entries of a kind are, by which column they age, and how many rows each stands for."""

    table: str
    key: str
    time: str
    rows: str = "1"
    where: str = "model_id = :model_id"


_SUBJECTS = "subject_id IN (SELECT subject_id FROM subjects WHERE model_id = :model_id)"
KINDS: dict[str, _Kind] = {
    "rows": _Kind("row_chunks", "chunk_id", "last_at", '"rows"'),
    "actuals": _Kind("actual_chunks", "chunk_id", "last_at", '"rows"'),
    "counts": _Kind("interval_counts", "count_id", "start", where=_SUBJECTS),
    "totals": _Kind("interval_totals", "total_id", "start"),
    "metrics": _Kind("metric_points", "point_id", '"timestamp"'),
    "drift": _Kind("drift_history", "check_id", "checked_at"),
    "alerts": _Kind("alerts", "entry_id", "at"),
}
"""What can be deleted by age, by the name under which it is reported."""


def delete_before(database: Database, model_id: str, kind: str, cutoff: float, limit: int = 500) -> tuple[int, int]:
    """Delete up to ``limit`` entries (chunks, intervals, points …) that are older than ``cutoff``.

    Parameters
    ----------
    database
        Where.
    model_id
        Whose.
    kind
        A key of :data:`KINDS`.
    cutoff
        Seconds since the epoch; a chunk goes when its newest row is older.
    limit
        The most entries of one step, which is one transaction.

    Returns
    -------
    tuple of int
        Rows deleted, and bytes of the file freed and given back. Call again until there are no rows.

    Raises
    ------
    InputError
        There is no such kind.
    StorageError
        The database can't be used.
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r} is not one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    about = KINDS[kind]
    values = {"model_id": model_id, "cutoff": cutoff, "limit": limit}
    # Names come from the table above, never from a caller.
    chosen = f"""SELECT {about.key} FROM {about.table} WHERE {about.where} AND {about.time} < :cutoff
        ORDER BY {about.time} LIMIT :limit"""  # noqa: S608 - constants
    measure = f"SELECT coalesce(sum({about.rows}), 0) FROM {about.table} WHERE {about.key} IN ({chosen})"  # noqa: S608 - constants
    delete = f"DELETE FROM {about.table} WHERE {about.key} IN ({chosen})"  # noqa: S608 - constants

    def remove(connection: sqlite3.Connection) -> tuple[int, int]:
        before = _pragma(connection, "freelist_count")
        rows = int(connection.execute(measure, values).fetchone()[0])
        connection.execute(delete, values)
        freed = _pragma(connection, "freelist_count") - before
        return rows, max(0, freed) * _pragma(connection, "page_size")

    rows, freed = database.run(remove)
    if rows:
        database.run(_give_back, write=False)
        database.run(_checkpoint, write=False)
    return rows, freed


def _give_back(connection: sqlite3.Connection) -> None:
    # It frees one page a step, and of a statement without columns execute() makes one step only; a script is run to
    # its end, in a transaction of its own.
    connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")


def _checkpoint(connection: sqlite3.Connection) -> None:
    """Let the file and its log shrink, without waiting: where others are at work, the next step will do it."""
    patience = _pragma(connection, "busy_timeout")
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
