"""The reader's side of the store. Needs SQLAlchemy, so it is imported where it is used."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, cast
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from modelwatch.exceptions import StorageError
from modelwatch.policy import Severity
from modelwatch.records import ActualChunk, Alert, FloatArray, MetricPoint, RowChunk
from modelwatch.store import chunks, files, tables
from modelwatch.store.database import Database, is_damage
from modelwatch.store.forks import GATE
from modelwatch.store.retention import delete_before
from modelwatch.store.schema import SCHEMA_VERSION
from modelwatch.store.series import CountRow, TotalRow, sum_counts, sum_totals
from modelwatch.store.values import CountSeries, DriftRecord, StoredAlert, TotalSeries

__all__ = ["StoreQueries"]

_BUSY_SECONDS = 5.0
_PAGE = 32
_SAMPLE_PAGE = 256
_FEW_CHUNKS, _MANY_CHUNKS = 100, 2000
_ALERT_FIELDS = (
    "alert_id", "timestamp", "level", "type", "message", "model_id", "status", "fingerprint", "starts_at",
)  # fmt: skip
_LONGEST_INTERVAL_SECONDS = 86400.0
"""Bounds the search for an interval that began before the time asked for."""


class StoreQueries:
    """Reads what :class:`~modelwatch.store.writer.StoreWriter` wrote in a folder, while others write.

    A connection lives as long as one query (of the chunk readers: one page), so that no reader keeps the write-ahead
    log from being recycled, and none is there to be inherited by a fork. Times are seconds since the epoch.

    Parameters
    ----------
    folder
        The storage folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).absolute()
        self.path = self.folder / files.DATABASE_NAME
        self._engine = sa.create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

    def interval_counts(
        self,
        model_id: str,
        profile_id: str,
        start: float,
        end: float,
        model_version: str | None = None,
        segment: str | None = None,
        *,
        size: int | None = None,
    ) -> CountSeries:
        """Return binned counts by interval, summed over workers, parts and segments.

        Parameters
        ----------
        model_id, profile_id
            Whose counts, binned by which profile.
        start, end
            All intervals that overlap ``[start, end)``, each one whole.
        model_version
            None for all versions together.
        segment
            None for all segments together; "" is that of the rows that are in none.
        size
            The layout size expected; None for the one that most have. Others are left out, see ``ignored``.

        Raises
        ------
        StorageError
            The store can't be read.
        """
        c, s = tables.interval_counts.c, tables.subjects.c
        mine = sa.select(s.subject_id).where(s.model_id == model_id, s.profile_id == profile_id)
        if segment is not None:
            mine = mine.where(s.segment == segment)
        if model_version is not None:
            mine = mine.where(s.model_version == model_version)
        query = sa.select(c.start, c.length, c.rows, c.layout_size, c.cells, c.sums).where(
            c.subject_id.in_(mine), *_overlaps(c.start, c.length, start, end)
        )
        return sum_counts([CountRow(*row) for row in self._all(query)], size)

    def subjects(self, model_id: str, since: float) -> list[tuple[str, str, float, float]]:
        """Return which versions and profiles were counted in intervals that end after ``since``.

        Returns
        -------
        list of tuple
            ``(model_version, profile_id, start of the first such interval, start of the last)``, latest last.
        """
        c, s = tables.interval_counts.c, tables.subjects.c
        query = (
            sa.select(s.model_version, s.profile_id, sa.func.min(c.start), sa.func.max(c.start).label("last"))
            .join_from(tables.subjects, tables.interval_counts, s.subject_id == c.subject_id)
            .where(s.model_id == model_id, *_overlaps(c.start, c.length, since, math.inf))
            .group_by(s.model_version, s.profile_id)
            .order_by("last", s.model_version, s.profile_id)
        )
        return [(version, profile, first, last) for version, profile, first, last in self._all(query)]

    def segments(self, model_id: str, profile_id: str, since: float, model_version: str | None = None) -> list[str]:
        """Return the segments that were counted in intervals that end after ``since``, those with most rows first.

        Returns
        -------
        list of str
            Without that of the rows that are in none; empty if all rows are in one.
        """
        c, s = tables.interval_counts.c, tables.subjects.c
        query = (
            sa.select(s.segment, sa.func.sum(c.rows).label("rows"))
            .join_from(tables.subjects, tables.interval_counts, s.subject_id == c.subject_id)
            .where(s.model_id == model_id, s.profile_id == profile_id, *_overlaps(c.start, c.length, since, math.inf))
            .group_by(s.segment)
            .order_by(sa.desc("rows"), s.segment)
        )
        if model_version is not None:
            query = query.where(s.model_version == model_version)
        found = [segment for segment, _ in self._all(query)]
        return [segment for segment in found if segment] if len(found) > 1 else []

    def totals(self, model_id: str, start: float, end: float, model_version: str | None = None) -> TotalSeries:
        """Return attempts, errors, latency and predictions by interval, summed over workers and parts.

        Parameters
        ----------
        model_id
            Whose.
        start, end
            All intervals that overlap ``[start, end)``, each one whole.
        model_version
            None for all versions together.

        Raises
        ------
        StorageError
            The store can't be read.
        """
        c = tables.interval_totals.c
        query = sa.select(*(c[name] for name in TotalRow._fields)).where(
            c.model_id == model_id, *_overlaps(c.start, c.length, start, end)
        )
        if model_version is not None:
            query = query.where(c.model_version == model_version)
        return sum_totals([TotalRow(*row) for row in self._all(query)])

    def row_chunks(self, model_id: str, start: float, end: float) -> Iterator[RowChunk]:
        """Yield the sampled rows of ``[start, end)``, in the order of the chunks' last times.

        Raises
        ------
        StorageError
            A chunk is corrupt (the message names it), or the store can't be read.
        """
        yield from self._row_chunks(tables.row_chunks, model_id, start, end)

    def _row_chunks(self, table: sa.Table, model_id: str, start: float, end: float) -> Iterator[RowChunk]:
        for name, data in self._chunks(table, model_id, start, end):
            chunk = _clipped(chunks.decode(data, f"row {name}"), start, end)
            if chunk is not None:
                yield chunk

    def row_sample(self, model_id: str, model_version: str, start: float, end: float, most: int) -> Iterator[RowChunk]:
        """Yield sampled rows of a version in ``[start, end)``; of many more than `most`, chunks spread over the time.

        A busy week is not read as a whole for that: what is left out is not even fetched. It may be more than `most`
        rows all the same, where there are few chunks. Raises as :meth:`row_chunks` does.
        """
        c = tables.row_chunks.c
        mine = (c.model_id == model_id, c.model_version == model_version, c.last_at >= start, c.first_at < end)
        found = self._all(sa.select(c.chunk_id, c["rows"]).where(*mine).order_by(c.last_at, c.chunk_id))
        kept = [chunk_id for chunk_id, _ in found[:: _stride([rows for _, rows in found], most)]]
        for first in range(0, len(kept), _SAMPLE_PAGE):
            query = sa.select(c.chunk_id, c.data).where(c.chunk_id.in_(kept[first : first + _SAMPLE_PAGE]))
            for chunk_id, data in self._all(query.order_by(c.last_at, c.chunk_id)):
                name = f"row chunk {chunk_id} of model {model_id!r} in {str(self.path)!r}"
                chunk = _clipped(chunks.decode(data, name), start, end)
                if chunk is not None:
                    yield chunk

    def stored_rows(self, model_id: str) -> int:
        """Return how many rows of a model a reference could be learnt from."""
        found = 0
        for table in (tables.row_chunks, tables.learning_chunks):
            query = sa.select(sa.func.coalesce(sa.func.sum(table.c.rows), 0)).where(table.c.model_id == model_id)
            found += int(self._all(query)[0][0])
        return found

    def rows_to_learn_from(self, model_id: str, start: float, end: float) -> Iterator[RowChunk]:
        """Yield the rows of ``[start, end)`` that a reference is learnt from; raises as :meth:`row_chunks` does."""
        yield from self._row_chunks(tables.row_chunks, model_id, start, end)
        yield from self._row_chunks(tables.learning_chunks, model_id, start, end)

    def actual_chunks(self, model_id: str, start: float, end: float) -> Iterator[ActualChunk]:
        """Yield the ground truth that arrived in ``[start, end)``; raises as :meth:`row_chunks` does."""
        for name, data in self._chunks(tables.actual_chunks, model_id, start, end):
            chunk = chunks.decode_actuals(data, f"ground-truth {name}")
            inside = _inside(chunk.times, start, end)
            if inside is None:
                yield chunk
            elif inside:
                ids, values = [chunk.ids[i] for i in inside], [chunk.values[i] for i in inside]
                yield ActualChunk(chunk.model_id, chunk.times[inside], ids, values)

    def metric_points(
        self, model_id: str, metric: str | None = None, start: float = -math.inf, end: float = math.inf
    ) -> list[MetricPoint]:
        """Return the values given to ``update_model_metric`` in ``[start, end)``, oldest first."""
        c = tables.metric_points.c
        query = sa.select(c.model_id, c.model_version, c.metric, c.timestamp, c.value, c.metadata).where(
            c.model_id == model_id, c.timestamp >= start, c.timestamp < end
        )
        if metric is not None:
            query = query.where(c.metric == metric)
        return [
            MetricPoint(model, version, name, at, _nan_if_null(value), None if about is None else json.loads(about))
            for model, version, name, at, value, about in self._all(query.order_by(c.timestamp, c.point_id))
        ]

    def drift_history(
        self, model_id: str, start: float = -math.inf, end: float = math.inf, model_version: str | None = None
    ) -> list[DriftRecord]:
        """Return the checks made in ``[start, end)``, oldest first."""
        c = tables.drift_history.c
        query = sa.select(c.model_id, c.model_version, c.checked_at, c.ok, c.duration, c.severity, c.summary).where(
            c.model_id == model_id, c.checked_at >= start, c.checked_at < end
        )
        if model_version is not None:
            query = query.where(c.model_version == model_version)
        return [
            DriftRecord(model, version, at, bool(ok), duration, Severity(severity), json.loads(summary))
            for model, version, at, ok, duration, severity, summary in self._all(
                query.order_by(c.checked_at, c.check_id)
            )
        ]

    def alerts(
        self,
        model_id: str | None = None,
        start: float = -math.inf,
        end: float = math.inf,
        level: str | None = None,
        limit: int | None = None,
        status: str | None = None,
    ) -> list[StoredAlert]:
        """Return alerts of ``[start, end)``, newest first; of one model, one level and one status, or of all."""
        c = tables.alerts.c
        query = sa.select(*(c[name] for name in _ALERT_FIELDS), c.data, c.channels).where(c.at >= start, c.at < end)
        if model_id is not None:
            query = query.where(c.model_id == model_id)
        if level is not None:
            query = query.where(c.level == str(level))
        if status is not None:
            query = query.where(c.status == status)
        return [_alert(row) for row in self._all(query.order_by(c.at.desc(), c.entry_id.desc()).limit(limit))]

    def integrity(self) -> str:
        """Return ``"ok"``, or what SQLite finds wrong with the database, a line each. Reads the whole file."""
        return "\n".join(str(row[0]) for row in self._all(sa.text("PRAGMA integrity_check")))

    def delete_before(self, model_id: str, kind: str, cutoff: float, limit: int = 500) -> tuple[int, int]:
        """Delete a bounded number of old entries; see :func:`modelwatch.store.retention.delete_before`."""
        database = Database(self.folder)
        try:
            return delete_before(database, model_id, kind, cutoff, limit)
        finally:
            database.close()

    def close(self) -> None:
        """Let go of the engine; no connection is open between queries. Safe to call again."""
        self._engine.dispose()

    def __enter__(self) -> StoreQueries:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _chunks(self, table: sa.Table, model_id: str, start: float, end: float) -> Iterator[tuple[str, bytes]]:
        """Yield the name and blob of every chunk that overlaps the time, page by page."""
        c = table.c
        last, seen = start, -1
        while True:
            # Rows that are as old as the last one seen have a larger id, or were seen.
            further = sa.or_(c.last_at > last, sa.and_(c.last_at == last, c.chunk_id > seen))
            query = sa.select(c.chunk_id, c.last_at, c.data).where(
                c.model_id == model_id, c.last_at >= last, further, c.first_at < end
            )
            page = self._all(query.order_by(c.last_at, c.chunk_id).limit(_PAGE))
            for chunk_id, _, data in page:
                yield f"chunk {chunk_id} of model {model_id!r} in {str(self.path)!r}", data
            if len(page) < _PAGE:
                return
            seen, last = page[-1][0], page[-1][1]

    def _all(self, query: sa.Executable) -> list[tuple[Any, ...]]:
        with self._reading() as connection:
            return cast("list[tuple[Any, ...]]", connection.execute(query).fetchall())

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        identity = files.identity(self.path)
        if identity is None:
            raise StorageError(f"there is no store in {str(self.folder)!r}: nothing has been recorded there yet")
        try:
            with GATE.held(), files.folder_lock(self.folder, exclusive=False), self._engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            why = str(error.orig)
            if error.orig is not None and is_damage(error.orig):
                files.set_aside(self.folder, identity, why)
            raise files.unusable(self.folder, f"the database says {why!r}") from error
        except OSError as error:
            raise files.unusable(self.folder, error.strerror or str(error)) from error

    def _connect(self) -> sqlite3.Connection:
        # A path may hold what has a meaning in a URI: space, %, ?, #.
        address = f"file:{quote(str(self.path))}?mode=ro"
        connection = sqlite3.connect(
            address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        except BaseException:
            connection.close()
            raise
        if version != SCHEMA_VERSION:
            connection.close()
            raise StorageError(
                f"the database {str(self.path)!r} has schema {version} and this modelwatch reads {SCHEMA_VERSION}: "
                "use one release of modelwatch for all that share a storage folder"
            )
        return connection


def _overlaps(
    begin: sa.Column[Any], length: sa.Column[Any], start: float, end: float
) -> tuple[sa.ColumnElement[bool], ...]:
    return begin + length > start, begin > start - _LONGEST_INTERVAL_SECONDS, begin < end


def _stride(rows: list[int], most: int) -> int:
    """Return every how many-th chunk is enough: so many rows, and neither very many chunks nor very few.

    >>> _stride([100] * 100, 20_000), _stride([100] * 10_000, 20_000), _stride([30_000] * 3, 20_000)
    (1, 50, 1)
    """
    by_rows = min(-(-sum(rows) // most), len(rows) // _FEW_CHUNKS)
    return max(1, by_rows, -(-len(rows) // _MANY_CHUNKS))


def _clipped(chunk: RowChunk, start: float, end: float) -> RowChunk | None:
    """Return the rows of a chunk in ``[start, end)``, None for none."""
    inside = _inside(chunk.times, start, end)
    if inside is None:
        return chunk
    columns = {key: _pick(values, inside) for key, values in chunk.columns.items()}
    ids = [chunk.ids[i] for i in inside]
    return RowChunk(chunk.model_id, chunk.model_version, chunk.times[inside], ids, columns) if inside else None


def _inside(times: FloatArray, start: float, end: float) -> list[int] | None:
    """Return the places of the times in ``[start, end)``, or None for all of them."""
    inside = (times >= start) & (times < end)
    return None if inside.all() else [i for i, there in enumerate(inside.tolist()) if there]


def _pick(values: list[Any] | FloatArray, places: list[int]) -> list[Any] | FloatArray:
    return [values[i] for i in places] if isinstance(values, list) else values[places]


def _nan_if_null(value: float | None) -> float:
    return math.nan if value is None else value


def _alert(row: tuple[Any, ...]) -> StoredAlert:
    *values, data, channels = row
    alert = Alert(**dict(zip(_ALERT_FIELDS, values, strict=True)), data=json.loads(data))
    return StoredAlert(alert, json.loads(channels))
