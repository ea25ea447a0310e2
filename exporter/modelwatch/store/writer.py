"""The writer's side of the store: what a serving process and the scheduled checks put in, without heavy imports."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np

from modelwatch.exceptions import InputError
from modelwatch.records import FlushBatch, IntArray, IntervalCounts, IntervalTotals, MetricPoint
from modelwatch.store import chunks, files
from modelwatch.store.alerts import AlertStore
from modelwatch.store.cells import pack_counts, pack_floats
from modelwatch.store.database import Database
from modelwatch.store.deliveries import DeliveryStore
from modelwatch.store.history import HistoryStore, write_minutes
from modelwatch.store.learnt import LearntStore
from modelwatch.store.leases import LeaseStore
from modelwatch.store.live import LiveStore
from modelwatch.store.references import ReferenceStore
from modelwatch.store.registry import ModelStore
from modelwatch.store.results import ResultStore
from modelwatch.store.serialize import dump_json
from modelwatch.store.silences import SilenceStore
from modelwatch.store.upkeep import UpkeepStore

__all__ = ["StoreWriter"]

Row = tuple[object, ...]

_INSERT_COUNTS = """
    INSERT INTO interval_counts (subject_id, start, worker, part, length, "rows", layout_size, cells, sums)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (subject_id, start, worker, part) DO UPDATE SET
        length = excluded.length, "rows" = excluded."rows", layout_size = excluded.layout_size,
        cells = excluded.cells, sums = excluded.sums"""
_INSERT_TOTALS = """
    INSERT INTO interval_totals (model_id, model_version, start, worker, part, length, attempts, errors, sampled,
        latency_bounds, latency_cells, latency_sum, first_at, last_at, prediction_count, prediction_sum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (model_id, start, model_version, worker, part) DO UPDATE SET
        length = excluded.length, attempts = excluded.attempts, errors = excluded.errors, sampled = excluded.sampled,
        latency_bounds = excluded.latency_bounds, latency_cells = excluded.latency_cells,
        latency_sum = excluded.latency_sum, first_at = excluded.first_at, last_at = excluded.last_at,
        prediction_count = excluded.prediction_count, prediction_sum = excluded.prediction_sum"""
_INSERT_ACTIVITY = """
    INSERT INTO activity (model_id, model_version, last_prediction_at) VALUES (?, ?, ?)
    ON CONFLICT (model_id, model_version) DO UPDATE SET
        last_prediction_at = max(last_prediction_at, excluded.last_prediction_at)"""
_INSERT_SUBJECT = "INSERT OR IGNORE INTO subjects (model_id, model_version, segment, profile_id) VALUES (?, ?, ?, ?)"
_SELECT_SUBJECT = """
    SELECT subject_id FROM subjects WHERE model_id = ? AND model_version = ? AND segment = ? AND profile_id = ?"""
_INSERT_ROWS = """
    INSERT INTO row_chunks (model_id, model_version, first_at, last_at, "rows", data) VALUES (?, ?, ?, ?, ?, ?)"""
_INSERT_LEARNING = """
    INSERT INTO learning_chunks (model_id, model_version, first_at, last_at, "rows", data) VALUES (?, ?, ?, ?, ?, ?)"""
_INSERT_ACTUALS = 'INSERT INTO actual_chunks (model_id, first_at, last_at, "rows", data) VALUES (?, ?, ?, ?, ?)'
_INSERT_METRICS = """
    INSERT INTO metric_points (model_id, model_version, metric, "timestamp", value, metadata)
    VALUES (?, ?, ?, ?, ?, ?)"""
_INSERT_LATEST = """
    INSERT INTO latest_metrics (model_id, model_version, metric, "timestamp", value) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (model_id, model_version, metric) DO UPDATE SET
        "timestamp" = excluded."timestamp", value = excluded.value
    WHERE excluded."timestamp" >= latest_metrics.timestamp"""


class StoreWriter(
    ModelStore,
    ReferenceStore,
    LearntStore,
    LeaseStore,
    ResultStore,
    AlertStore,
    SilenceStore,
    LiveStore,
    DeliveryStore,
    HistoryStore,
    UpkeepStore,
):
    """The embedded store of one folder: a recorder's sink, and the memory of checks, alerts and leases.

    Safe to use from several threads, from several processes, and after a fork. A damaged database is set aside,
    a new one begun, and the models that this writer registered are registered in it again.

    Parameters
    ----------
    folder
        The storage folder; created for owner and group only.
    clock
        Seconds since the epoch: when hours of sums by minute were written last.

    Raises
    ------
    StorageError
        The folder can't be used; the message says why and what to do.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, StoreWriter(Path(folder)) as store:
    ...     store.register_model("ads", "v1", {"task": "regression"}, now=10.0)
    ...     [model.model_id for model in store.models()]
    ['ads']
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        super().__init__(Database(Path(folder)))
        self.folder = self._database.folder
        self._database.seed = self._register_again
        self.storage_id()

    def commit(self, batch: FlushBatch) -> None:
        """Write one flush in one transaction; once this returns, a kill of the process can't lose it.

        Counts and totals replace what the same worker and part wrote before for the same interval.

        Raises
        ------
        StorageError
            Nothing of the batch was written.
        """
        counts = [(_subject(c), _count_row(batch.worker, c)) for c in batch.counts]
        totals = [_total_row(batch.worker, t) for t in batch.totals]
        activity = [(t.model_id, t.model_version, t.last_at) for t in batch.totals if t.attempts]
        rows, learning = (
            [
                (c.model_id, c.model_version, float(c.times.min()), float(c.times.max()), len(c.ids), chunks.encode(c))
                for c in given
                if c.ids
            ]
            for given in (batch.rows, batch.learning)
        )
        actuals = [
            (c.model_id, float(c.times.min()), float(c.times.max()), len(c.ids), chunks.encode_actuals(c))
            for c in batch.actuals
            if c.ids
        ]
        metrics = [_metric_row(m) for m in batch.metrics]

        def write(connection: sqlite3.Connection) -> None:
            for key, row in counts:
                connection.execute(_INSERT_COUNTS, (_subject_id(connection, key), *row))
            connection.executemany(_INSERT_TOTALS, totals)
            connection.executemany(_INSERT_ACTIVITY, activity)
            connection.executemany(_INSERT_ROWS, rows)
            connection.executemany(_INSERT_LEARNING, learning)
            connection.executemany(_INSERT_ACTUALS, actuals)
            connection.executemany(_INSERT_METRICS, metrics)
            connection.executemany(_INSERT_LATEST, [row[:5] for row in metrics])
            write_minutes(connection, batch.worker, batch.minutes, self._clock())

        self._database.run(write)

    def storage_id(self) -> str:
        """Return the random id of this storage, which stays as long as its database does."""

        def read(connection: sqlite3.Connection) -> str:
            return str(connection.execute("SELECT value FROM meta WHERE key = 'storage_id'").fetchone()[0])

        return self._database.run(read, write=False)

    def size_bytes(self) -> int:
        """Return the bytes of all files in the storage folder."""
        return files.folder_size(self.folder)

    def close(self) -> None:
        """Close all connections. Safe to call again; what comes after is a StorageError."""
        self._database.close()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _subject(counts: IntervalCounts) -> tuple[str, str, str, str]:
    return counts.model_id, counts.model_version, counts.segment, counts.profile_id


def _subject_id(connection: sqlite3.Connection, key: tuple[str, str, str, str]) -> int:
    # Not remembered between transactions: one that is rolled back takes its new subjects with it.
    found = connection.execute(_SELECT_SUBJECT, key).fetchone()
    if found is None:
        connection.execute(_INSERT_SUBJECT, key)
        found = connection.execute(_SELECT_SUBJECT, key).fetchone()
    return int(found[0])


def _count_row(worker: str, counts: IntervalCounts) -> Row:
    return (
        float(counts.start),
        worker,
        counts.part,
        float(counts.length),
        int(counts.rows),
        len(counts.cells),
        pack_counts(counts.cells),
        pack_floats(counts.sums),
    )


def _total_row(worker: str, totals: IntervalTotals) -> Row:
    return (
        totals.model_id,
        totals.model_version,
        float(totals.start),
        worker,
        totals.part,
        float(totals.length),
        int(totals.attempts),
        int(totals.errors),
        int(totals.sampled),
        pack_floats(totals.latency_bounds),
        pack_counts(_latency_cells(totals)),
        float(totals.latency_sum),
        float(totals.first_at),
        float(totals.last_at),
        int(totals.prediction_count),
        float(totals.prediction_sum),
    )


def _latency_cells(totals: IntervalTotals) -> IntArray:
    """Return one cell per bound and one for what lies above them all, which may have been left out."""
    missing = len(totals.latency_bounds) + 1 - len(totals.latency_cells)
    if missing not in (0, 1):
        raise InputError(f"{len(totals.latency_cells)} latency cells do not fit {len(totals.latency_bounds)} bounds")
    return np.pad(totals.latency_cells, (0, missing))


def _metric_row(point: MetricPoint) -> Row:
    metadata = None if point.metadata is None else dump_json(point.metadata)
    return point.model_id, point.model_version, point.metric, float(point.timestamp), float(point.value), metadata
