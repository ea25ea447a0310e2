"""The history of metrics: what was given by hand, and sums by minute, with their roll-up into days."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from modelwatch.exceptions import StorageError
from modelwatch.records import DAY_SECONDS, HOUR_SECONDS, MINUTE_FIELDS, MINUTE_SECONDS, MinuteBlock
from modelwatch.store.database import Database
from modelwatch.store.minutes import MinuteSums, pack_minutes, sum_minutes

__all__ = ["GivenMetric", "HistoryStore", "write_minutes"]

SETTLED_SECONDS = 24 * 3600.0
"""Hours that were not written for so long are summed into their day. A worker closes one an hour after its last use."""
MARKER_SECONDS = 8 * 86400.0
"""For how long an hour that was summed stays known as such."""
_STEP_BLOCKS = 1000

# An hour that was summed into its day is left without data: a worker that was stopped in the middle of it and woke up
# days later would else put all of it there again.
_WRITE = """
    INSERT INTO minute_hours (model_id, model_version, start, worker, part, updated_at, data)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (model_id, start, model_version, worker, part) DO UPDATE SET
        updated_at = excluded.updated_at, data = excluded.data
    WHERE length(minute_hours.data) > 0"""
_READ = """
    SELECT start, data FROM minute_days WHERE model_id = :model_id AND start > :first - :day AND start <= :last
    UNION ALL
    SELECT start, data FROM minute_hours
    WHERE model_id = :model_id AND start > :first - :hour AND start <= :last AND length(data) > 0"""
_SETTLED = """
    SELECT DISTINCT model_id, start - (start % :day) FROM minute_hours
    WHERE start < :today AND updated_at < :settled AND length(data) > 0 ORDER BY 2, 1"""
_HOURS_OF_DAY = """
    SELECT block_id, model_version, start, data FROM minute_hours
    WHERE model_id = :model_id AND start >= :start AND start < :start + :day AND updated_at < :settled
        AND length(data) > 0
    ORDER BY start, model_version, worker, part LIMIT :limit"""
_PUT_DAY = """
    INSERT INTO minute_days (model_id, model_version, start, data) VALUES (?, ?, ?, ?)
    ON CONFLICT (model_id, start, model_version) DO UPDATE SET data = excluded.data"""
_GET_DAY = "SELECT start, data FROM minute_days WHERE model_id = ? AND start = ? AND model_version = ?"
_EMPTY_HOUR = "UPDATE minute_hours SET data = x'' WHERE block_id = ?"
_FORGET = """
    DELETE FROM minute_hours WHERE block_id IN (
        SELECT block_id FROM minute_hours WHERE length(data) = 0 AND updated_at < ? LIMIT ?)"""
_GIVEN = """
    SELECT metric, "timestamp", value, metadata FROM metric_points
    WHERE model_id = :model_id AND "timestamp" >= :start AND "timestamp" <= :end AND value IS NOT NULL
        AND (:metric IS NULL OR metric = :metric)
    ORDER BY "timestamp", point_id"""
_NAMES = "SELECT DISTINCT metric FROM latest_metrics WHERE model_id = ? ORDER BY metric"
_EARLIEST, _LATEST = -1e15, 1e15
_log = logging.getLogger("modelwatch.store")


class GivenMetric(NamedTuple):
    """One value given to ``update_model_metric``; its metadata as JSON."""

    metric: str
    at: float
    value: float
    metadata: str | None


def write_minutes(connection: sqlite3.Connection, worker: str, blocks: Iterable[MinuteBlock], now: float) -> None:
    """Write hours of one worker, in the place of what it wrote of them before."""
    connection.executemany(
        _WRITE,
        [
            (b.model_id, b.model_version, b.start, worker, b.part, now, pack_minutes(b.minutes, b.sums))
            for b in blocks
            if len(b.minutes)
        ],
    )


class HistoryStore:
    """The part of the store that remembers metrics over time."""

    _database: Database

    def minute_sums(
        self,
        model_id: str,
        start: float = _EARLIEST,
        end: float = _LATEST,
        fields: Iterable[str] = MINUTE_FIELDS,
    ) -> MinuteSums:
        """Return what was recorded of a model by minute, over all its versions and workers.

        Parameters
        ----------
        model_id
            Whose.
        start, end
            Seconds since 1970: the minutes that begin in ``[start, end]``.
        fields
            Which of ``MINUTE_FIELDS``.

        Raises
        ------
        StorageError
            The store can't be read, or holds what is no sum by minute.
        """
        first, last = max(start, _EARLIEST), min(end, _LATEST)
        values = {"model_id": model_id, "first": first, "last": last, "day": DAY_SECONDS, "hour": HOUR_SECONDS}

        def read(connection: sqlite3.Connection) -> list[tuple[float, bytes]]:
            # One statement: between two, hours might move to their day.
            return connection.execute(_READ, values).fetchall()

        found = sum_minutes(self._database.run(read, write=False), fields)
        low, high = np.searchsorted(found.minutes * MINUTE_SECONDS, [first, np.nextafter(last, np.inf)])
        return MinuteSums(found.minutes[low:high], {name: column[low:high] for name, column in found.sums.items()})

    def given_metrics(
        self, model_id: str, metric: str | None = None, start: float = _EARLIEST, end: float = _LATEST
    ) -> list[GivenMetric]:
        """Return the values given to a metric of a model, or to all, in ``[start, end]``, oldest first."""
        values = {"model_id": model_id, "metric": metric, "start": max(start, _EARLIEST), "end": min(end, _LATEST)}

        def read(connection: sqlite3.Connection) -> list[GivenMetric]:
            return list(map(GivenMetric._make, connection.execute(_GIVEN, values)))

        return self._database.run(read, write=False)

    def metric_names(self, model_id: str) -> list[str]:
        """Return the metrics of a model that a value was ever given to."""

        def read(connection: sqlite3.Connection) -> list[str]:
            return [str(row[0]) for row in connection.execute(_NAMES, (model_id,))]

        return self._database.run(read, write=False)

    # ── roll-up ──────────────────────────────────────────────────────────────────────────────────────────────────

    def settled_days(self, now: float) -> list[tuple[str, float]]:
        """Return the models and the beginnings of the days, oldest first, that have hours to be summed up."""
        values = {"day": DAY_SECONDS, "today": now // DAY_SECONDS * DAY_SECONDS, "settled": now - SETTLED_SECONDS}

        def read(connection: sqlite3.Connection) -> list[tuple[str, float]]:
            return connection.execute(_SETTLED, values).fetchall()

        return self._database.run(read, write=False)

    def roll_up_day(self, model_id: str, start: float, now: float, limit: int = _STEP_BLOCKS) -> int:
        """Add a bounded number of a day's hours to the day, in one transaction; no answer changes by it.

        Parameters
        ----------
        model_id
            Whose.
        start
            When the day began, in UTC.
        now
            Hours that were written in the 24 hours before stay.
        limit
            The most hours of one step.

        Returns
        -------
        int
            How many hours were added; call again until there are none.

        Raises
        ------
        StorageError
            The store can't be used. Hours that can't be read stay as they are, which is logged.
        """
        values = {
            "model_id": model_id, "start": start, "day": DAY_SECONDS, "settled": now - SETTLED_SECONDS, "limit": limit,
        }  # fmt: skip

        def move(connection: sqlite3.Connection) -> int:
            hours = connection.execute(_HOURS_OF_DAY, values).fetchall()
            versions: dict[str, list[tuple[int, float, bytes]]] = {}
            for block_id, version, begin, data in hours:
                versions.setdefault(version, []).append((block_id, begin, data))
            return sum(_add_to_day(connection, model_id, version, start, some) for version, some in versions.items())

        return self._database.run(move)

    def forget_summed_hours(self, now: float, limit: int = _STEP_BLOCKS) -> int:
        """Delete a bounded number of the marks that summed hours leave; return how many."""

        def delete(connection: sqlite3.Connection) -> int:
            return connection.execute(_FORGET, (now - MARKER_SECONDS, limit)).rowcount

        return self._database.run(delete)


def _add_to_day(
    connection: sqlite3.Connection, model_id: str, version: str, start: float, hours: list[tuple[int, float, bytes]]
) -> int:
    day = connection.execute(_GET_DAY, (model_id, start, version)).fetchall()
    try:
        packed = _one_block(start, [*day, *((begin, data) for _, begin, data in hours)])
    except StorageError as error:
        _log.error("hours of %r can't be summed into their day: %s", model_id, error)
        return 0
    connection.execute(_PUT_DAY, (model_id, version, start, packed))
    connection.executemany(_EMPTY_HOUR, [(block_id,) for block_id, _, _ in hours])
    return len(hours)


def _one_block(start: float, blocks: list[tuple[float, bytes]]) -> bytes:
    found = sum_minutes(blocks)
    minutes = found.minutes - int(start // MINUTE_SECONDS)
    if minutes[0] < 0 or minutes[-1] >= DAY_SECONDS // MINUTE_SECONDS:
        raise StorageError("stored sums by minute reach beyond their day")
    sums = np.column_stack([found.sums[name] for name in MINUTE_FIELDS])
    return pack_minutes(minutes, np.nan_to_num(sums))
