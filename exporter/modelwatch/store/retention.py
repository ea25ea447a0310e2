"""Deleting what is older than its retention, or too much, in steps that never hold up a writer for long."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from modelwatch.exceptions import InputError, did_you_mean
from modelwatch.records import DAY_SECONDS, HOUR_SECONDS
from modelwatch.store.database import Database
from modelwatch.store.files import DiskFullError

__all__ = [
    "KINDS",
    "Removed",
    "checkpoint",
    "delete_before",
    "evict_oldest",
    "evictable_bytes",
    "give_back",
    "used_bytes",
]

Removed = dict[str, tuple[int, int]]
"""Rows deleted and bytes of the file freed, by model_id."""

_VACUUM_PAGES = 4096
_STEP_BYTES = 32 * 2**20
_LATEST = 1e15


@dataclass(frozen=True)
class _Kind:
    """Where entries of a kind are, by which column they age, and how many rows each stands for."""

    table: str
    key: str
    time: str
    rows: str = "1"
    where: str = "model_id = :model_id"
    size: str = "100"
    """About how many bytes an entry takes."""
    span: float = 0.0
    """How many seconds after `time` an entry ends."""


_BLOB = "100 + length(data)"
_SUBJECTS = "subject_id IN (SELECT subject_id FROM subjects WHERE model_id = :model_id)"
KINDS: dict[str, _Kind] = {
    "rows": _Kind("row_chunks", "chunk_id", "last_at", '"rows"', size=_BLOB),
    "actuals": _Kind("actual_chunks", "chunk_id", "last_at", '"rows"', size=_BLOB),
    "learning_rows": _Kind("learning_chunks", "chunk_id", "last_at", '"rows"', size=_BLOB),
    "counts": _Kind("interval_counts", "count_id", "start", where=_SUBJECTS, size="100 + length(cells) + length(sums)"),
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


def evict_oldest(
    database: Database,
    kind: str,
    excess: int,
    model_ids: Iterable[str],
    before: float | None = None,
    limit: int = 500,
) -> Removed:
    """Delete the oldest entries of a kind over some models, as many as an excess asks for, within bounds.

    Parameters
    ----------
    database
        Where.
    kind
        A key of :data:`KINDS`.
    excess
        About how many bytes are too many.
    model_ids
        Whose.
    before
        Entries that end later than this, in seconds since the epoch, stay; None for no such bound.
    limit
        The most entries of a model in one step, which is one transaction.

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
    about, listed = _about(kind), list(model_ids)
    bound = _LATEST if before is None else before - about.span

    def remove(connection: sqlite3.Connection) -> Removed:
        chosen = _oldest(connection, about, listed, bound, limit)
        weights = np.cumsum([entry.size for entry in chosen])
        enough = int(np.searchsorted(weights, min(excess, _STEP_BYTES))) + 1
        by_owner: dict[str, list[_Entry]] = {}
        for entry in chosen[:enough]:
            by_owner.setdefault(entry.owner, []).append(entry)
        return {owner: _delete(connection, about, entries) for owner, entries in by_owner.items()}

    removed = database.run(remove)
    if removed:
        give_back(database)
    return removed


class _Entry(NamedTuple):
    at: float
    key: int
    rows: int
    size: int
    owner: str


def _oldest(
    connection: sqlite3.Connection, about: _Kind, model_ids: list[str], bound: float, limit: int
) -> list[_Entry]:
    """Return the oldest entries over all models; by model, since that is how they are indexed."""
    query = f"""SELECT {about.time}, {about.key}, {about.rows}, {about.size}, :model_id FROM {about.table}
        WHERE {about.where} AND {about.time} < :bound ORDER BY {about.time} LIMIT :limit"""  # noqa: S608 - constants
    found: list[_Entry] = []
    horizon = math.inf
    for model_id in model_ids:
        values = {"model_id": model_id, "bound": bound, "limit": limit}
        mine = list(map(_Entry._make, connection.execute(query, values)))
        found += mine
        if len(mine) == limit:  # it may have more that are older than the last ones of others
            horizon = min(horizon, mine[-1].at)
    return sorted(entry for entry in found if entry.at <= horizon)


def _delete(connection: sqlite3.Connection, about: _Kind, entries: list[_Entry]) -> tuple[int, int]:
    before = _pragma(connection, "freelist_count")
    delete = f"DELETE FROM {about.table} WHERE {about.key} = ?"  # noqa: S608 - constants
    connection.executemany(delete, [(entry.key,) for entry in entries])
    return sum(entry.rows for entry in entries), _freed_since(connection, before)


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


def evictable_bytes(database: Database, kinds: Mapping[str, float | None], model_ids: Iterable[str]) -> int:
    """Return about how many bytes :func:`evict_oldest` could free.

    Parameters
    ----------
    database
        Where.
    kinds
        By key of :data:`KINDS` the `before` of that call.
    model_ids
        Whose.

    Raises
    ------
    StorageError
        The database can't be read.
    """
    listed = list(model_ids)

    def read(connection: sqlite3.Connection) -> int:
        total = 0
        for kind, before in kinds.items():
            about = _about(kind)
            bound = _LATEST if before is None else before - about.span
            query = f"""SELECT coalesce(sum({about.size}), 0) FROM {about.table}
                WHERE {about.where} AND {about.time} < :bound"""  # noqa: S608 - constants
            for model_id in listed:
                total += int(connection.execute(query, {"model_id": model_id, "bound": bound}).fetchone()[0])
        return total

    return database.run(read, write=False)


def give_back(database: Database) -> int:
    """Give a bounded part of the free pages back to the file system; return how many more could be given back now."""
    for pages in (_VACUUM_PAGES, _VACUUM_PAGES // 64):
        try:
            database.run(partial(_give_back, pages=pages), write=False)
        except DiskFullError:  # what moves is written to the log first, which can be begun anew
            checkpoint(database)
            continue
        database.run(partial(_checkpoint, mode="TRUNCATE"), write=False)
        return database.run(lambda connection: _pragma(connection, "freelist_count"), write=False)
    return 0


def checkpoint(database: Database) -> None:
    """Write the log into the database, so that it begins anew; as far as there is room, and others let it.

    The file of the log stays as large as it is: on a full disk somebody else would take what it gives up.
    """
    with suppress(DiskFullError):
        database.run(partial(_checkpoint, mode="RESTART"), write=False)


def _freed_since(connection: sqlite3.Connection, before: int) -> int:
    return max(0, _pragma(connection, "freelist_count") - before) * _pragma(connection, "page_size")


def _give_back(connection: sqlite3.Connection, pages: int) -> None:
    # It frees one page a step, and of a statement without columns execute() makes one step only; a script is run to
    # its end, in a transaction of its own.
    connection.executescript(f"PRAGMA incremental_vacuum({pages})")


def _checkpoint(connection: sqlite3.Connection, mode: str) -> None:
    """Write the log into the database without waiting: where others are at work, the next step will do it."""
    patience = _pragma(connection, "busy_timeout")
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
