"""Deleting what is older than its retention, or too much, in steps that never hold up a writer for long."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from modelwatch.exceptions import InputError, did_you_mean
from modelwatch.records import DAY_SECONDS, HOUR_SECONDS
from modelwatch.store.database import Database

__all__ = ["KINDS", "Removed", "delete_before", "evict_oldest", "give_back", "used_bytes"]

Removed = dict[str, tuple[int, int]]
"""Rows deleted and bytes of the file freed, by model_id."""

_VACUUM_PAGES = 4096


@dataclass(frozen=True)
class _Kind:
    """Where entries of a kind are, by which column they age, and how many rows each stands for."""

    table: str
    key: str
    time: str
    rows: str = "1"
    where: str = "model_id = :model_id"
    owner: str = "model_id"
    size: str = "100"
    """About how many bytes an entry takes."""
    span: float = 0.0
    """How many seconds after `time` an entry ends."""


_BLOB = "100 + length(data)"
_OWNER = "(SELECT model_id FROM subjects WHERE subjects.subject_id = interval_counts.subject_id)"
_SUBJECTS = "subject_id IN (SELECT subject_id FROM subjects WHERE model_id = :model_id)"
KINDS: dict[str, _Kind] = {
    "rows": _Kind("row_chunks", "chunk_id", "last_at", '"rows"', size=_BLOB),
    "actuals": _Kind("actual_chunks", "chunk_id", "last_at", '"rows"', size=_BLOB),
    "learning_rows": _Kind("learning_chunks", "chunk_id", "last_at", '"rows"', size=_BLOB),
    "counts": _Kind(
        "interval_counts", "count_id", "start", where=_SUBJECTS, owner=_OWNER, size="100 + length(cells) + length(sums)"
    ),
    "totals": _Kind("interval_totals", "total_id", "start", size="300"),
    "metrics": _Kind("metric_points", "point_id", '"timestamp"', size="100 + coalesce(length(metadata), 0)"),
    "minute_hours": _Kind("minute_hours", "block_id", "start", size=_BLOB, span=HOUR_SECONDS),
    "minute_days": _Kind("minute_days", "block_id", "start", size=_BLOB, span=DAY_SECONDS),
    "drift": _Kind("drift_history", "check_id", "checked_at", size="100 + length(summary)"),
    "alerts": _Kind("alerts", "entry_id", "at", size="300 + length(message) + length(data)"),
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
    about = _about(kind)
    values = {"model_id": model_id, "cutoff": cutoff - about.span, "limit": limit}
    # Names come from the table above, never from a caller.
    chosen = f"""SELECT {about.key} FROM {about.table} WHERE {about.where} AND {about.time} < :cutoff
        ORDER BY {about.time} LIMIT :limit"""  # noqa: S608 - constants
    measure = f"SELECT coalesce(sum({about.rows}), 0) FROM {about.table} WHERE {about.key} IN ({chosen})"  # noqa: S608 - constants
    delete = f"DELETE FROM {about.table} WHERE {about.key} IN ({chosen})"  # noqa: S608 - constants

    def remove(connection: sqlite3.Connection) -> tuple[int, int]:
        before = _pragma(connection, "freelist_count")
        rows = int(connection.execute(measure, values).fetchone()[0])
        connection.execute(delete, values)
        return rows, _freed_since(connection, before)

    rows, freed = database.run(remove)
    if rows:
        give_back(database)
    return rows, freed


def evict_oldest(database: Database, kind: str, excess: int, before: float | None = None, limit: int = 500) -> Removed:
    """Delete the oldest entries of a kind over all models, as many as an excess asks for, up to ``limit``.

    Parameters
    ----------
    database
        Where.
    kind
        A key of :data:`KINDS`.
    excess
        About how many bytes are too many.
    before
        Entries that end later than this, in seconds since the epoch, stay; None for no such bound.
    limit
        The most entries of one step, which is one transaction.

    Returns
    -------
    dict
        Rows deleted and bytes freed, by model_id. Empty if there is nothing of that kind.

    Raises
    ------
    InputError
        There is no such kind.
    StorageError
        The database can't be used.
    """
    about = _about(kind)
    bound = "" if before is None else f"WHERE {about.time} < :before"
    # The inner query reads an index only; what an entry weighs is looked up for those that were chosen.
    oldest = f"""SELECT {about.key}, {about.owner}, {about.rows}, {about.size} FROM {about.table} WHERE {about.key} IN (
        SELECT {about.key} FROM {about.table} {bound} ORDER BY {about.time} LIMIT :limit) ORDER BY {about.time}"""  # noqa: S608 - constants
    values = {"limit": limit, "before": None if before is None else before - about.span}

    def remove(connection: sqlite3.Connection) -> Removed:
        chosen: dict[str, list[tuple[int, int]]] = {}
        weight = 0
        for key, owner, rows, size in connection.execute(oldest, values).fetchall():
            if weight >= excess:
                break
            weight += size
            chosen.setdefault(owner or "", []).append((key, rows))
        return {owner: _delete(connection, about, entries) for owner, entries in chosen.items()}

    removed = database.run(remove)
    if removed:
        give_back(database)
    return removed


def _delete(connection: sqlite3.Connection, about: _Kind, entries: list[tuple[int, int]]) -> tuple[int, int]:
    before = _pragma(connection, "freelist_count")
    delete = f"DELETE FROM {about.table} WHERE {about.key} = ?"  # noqa: S608 - constants
    connection.executemany(delete, [(key,) for key, _ in entries])
    return sum(rows for _, rows in entries), _freed_since(connection, before)


def _about(kind: str) -> _Kind:
    if kind not in KINDS:
        raise InputError(f"kind {kind!r} is not one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    return KINDS[kind]


def used_bytes(database: Database) -> int:
    """Return how many bytes of the database file are in use, without its log and without pages that wait for use."""

    def read(connection: sqlite3.Connection) -> int:
        pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
        return pages * _pragma(connection, "page_size")

    return database.run(read, write=False)


def give_back(database: Database) -> int:
    """Give a bounded part of the free pages back to the file system; return how many are left."""
    database.run(_give_back, write=False)
    database.run(_checkpoint, write=False)
    return database.run(lambda connection: _pragma(connection, "freelist_count"), write=False)


def _freed_since(connection: sqlite3.Connection, before: int) -> int:
    return max(0, _pragma(connection, "freelist_count") - before) * _pragma(connection, "page_size")


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
