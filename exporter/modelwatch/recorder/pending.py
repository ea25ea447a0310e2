"""What waits for the store: written in one transaction, kept over failures within bounds, counted if dropped."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from modelwatch.recorder.open_blocks import BLOCK_BYTES
from modelwatch.recorder.rows import rough_bytes
from modelwatch.records import (
    ActualChunk,
    FlushBatch,
    IntervalCounts,
    IntervalTotals,
    MetricPoint,
    MinuteBlock,
    RowChunk,
)

MAX_ROW_BYTES = 64 * 2**20
MAX_CHUNKS = 4096
MAX_ABSOLUTE_BYTES = 64 * 2**20
"""How much memory the totals, the counts and the sums by minute that wait may hold, each: the counts of some 10 000
intervals of a model with 25 features."""
MAX_POINTS = 65536
ACTUALS, COUNTS, METRICS, STORE = "actuals", "counts", "metrics", "store"
"""What was dropped: ground truth, counts by interval and minute, metric values, rows of predictions."""
_DATA_FAULTS = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What a sink raises over a value that it can't write, whenever it tries."""


Dropped = Counter[tuple[str, str, str]]
"""How much was dropped, by model_id, model_version and what it was."""


class Sink(Protocol):
    """Where flushes go: the store's writer, later also a queue."""

    def commit(self, batch: FlushBatch) -> None:
        """Store a batch whole; raising anything means that it isn't stored and will come again."""


_Absolute = TypeVar("_Absolute", IntervalTotals, IntervalCounts, MinuteBlock)


class _Latest(Generic[_Absolute]):
    """The latest of each absolute value, bounded by their size; those that changed longest ago go first."""

    def __init__(self) -> None:
        self._held: dict[tuple[object, ...], tuple[_Absolute, int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, key: tuple[object, ...], value: _Absolute, size: int) -> None:
        """Take over a value, in place of the one before."""
        _, before = self._held.pop(key, (None, 0))
        self._held[key] = value, size + BLOCK_BYTES
        self._bytes += size + BLOCK_BYTES - before

    def trim(self, most: int) -> Iterator[_Absolute]:
        """Drop what is too much, and return it."""
        while self._bytes > most and len(self._held) > 1:
            value, size = self._held.pop(next(iter(self._held)))
            self._bytes -= size
            yield value

    def values(self) -> list[_Absolute]:
        """Return all of them."""
        return [value for value, _ in self._held.values()]

    def clear(self) -> None:
        """Forget all of them."""
        self._held.clear()
        self._bytes = 0


class Pending:
    """
    Everything that a sink has not acknowledged.

    Values by interval and by minute are absolute, so only the latest of each is kept: however long the store is away,
    that loses nothing as long as they fit into `MAX_ABSOLUTE_BYTES`. Rows, ground truth and metrics are bounded, too;
    the oldest go first. What goes is counted.

    Parameters
    ----------
    max_row_bytes
        About how much memory the waiting rows may hold.
    """

    def __init__(self, max_row_bytes: int = MAX_ROW_BYTES) -> None:
        self._max_row_bytes = max_row_bytes
        self._totals: _Latest[IntervalTotals] = _Latest()
        self._counts: _Latest[IntervalCounts] = _Latest()
        self._minutes: _Latest[MinuteBlock] = _Latest()
        self._rows: deque[tuple[RowChunk, int]] = deque()
        self._row_bytes = 0
        self._actuals: deque[ActualChunk] = deque()
        self._metrics: deque[MetricPoint] = deque()
        self._learning: deque[RowChunk] = deque()
        self._dropped = Dropped()

    def __bool__(self) -> bool:
        absolute = (self._totals, self._counts, self._minutes)
        return any((*absolute, self._rows, self._actuals, self._metrics, self._learning))

    def add(self, batch: FlushBatch) -> None:
        """Take over a batch; the oldest things are dropped if they are too many."""
        for t in batch.totals:
            self._totals.put((t.model_id, t.model_version, t.start, t.part), t, t.latency_cells.nbytes)
        for c in batch.counts:
            key = (c.model_id, c.model_version, c.segment, c.profile_id, c.start, c.part)
            self._counts.put(key, c, c.cells.nbytes + c.sums.nbytes)
        for m in batch.minutes:
            self._minutes.put((m.model_id, m.model_version, m.start, m.part), m, m.minutes.nbytes + m.sums.nbytes)
        for chunk in batch.rows:
            size = rough_bytes(chunk)
            self._rows.append((chunk, size))
            self._row_bytes += size
        self._actuals.extend(batch.actuals)
        self._metrics.extend(batch.metrics)
        self._learning.extend(batch.learning)
        self._trim()

    def take_dropped(self) -> Dropped:
        """Return what was dropped since the last call."""
        dropped, self._dropped = self._dropped, Dropped()
        return dropped

    def _trim(self) -> None:
        while len(self._rows) > MAX_CHUNKS or (self._row_bytes > self._max_row_bytes and len(self._rows) > 1):
            chunk, size = self._rows.popleft()
            self._row_bytes -= size
            self._dropped[chunk.model_id, chunk.model_version, STORE] += len(chunk.ids)
        absolute: tuple[_Latest[Any], ...] = (self._totals, self._counts, self._minutes)
        for held in absolute:
            for value in held.trim(MAX_ABSOLUTE_BYTES):
                self._dropped[value.model_id, value.model_version, COUNTS] += 1
        while len(self._actuals) > MAX_CHUNKS:
            truth = self._actuals.popleft()
            self._dropped[truth.model_id, truth.model_version, ACTUALS] += len(truth.ids)
        while len(self._metrics) > MAX_POINTS:
            point = self._metrics.popleft()
            self._dropped[point.model_id, point.model_version, METRICS] += 1
        while len(self._learning) > MAX_CHUNKS:
            # Not counted: the predictions are, and learning takes as many rows from those that follow.
            self._learning.popleft()

    def commit(self, sink: Sink, worker: str) -> None:
        """
        Hand everything to `sink`.

        If a value in it can't be written (rather than the store failing), the parts are handed over one by one, so
        that one bad row chunk doesn't hold up all others for ever; those that can't be written are dropped.

        Raises
        ------
        Exception
            Whatever the sink raises; what it has not acknowledged is kept.
        """
        whole = FlushBatch(
            worker,
            self._totals.values(),
            self._counts.values(),
            [chunk for chunk, _ in self._rows],
            list(self._actuals),
            list(self._metrics),
            list(self._learning),
            self._minutes.values(),
        )
        try:
            sink.commit(whole)
        except _DATA_FAULTS:
            if not (self._rows or self._actuals or self._metrics or self._learning):
                raise
            self._commit_apart(sink, whole)
        self.clear()

    def _commit_apart(self, sink: Sink, whole: FlushBatch) -> None:
        if whole.totals or whole.counts or whole.minutes:
            sink.commit(FlushBatch(whole.worker, whole.totals, whole.counts, minutes=whole.minutes))
        self._clear_absolute()
        while self._rows:
            chunk, size = self._rows[0]
            if not _accepts(sink, FlushBatch(whole.worker, rows=[chunk])):
                self._dropped[chunk.model_id, chunk.model_version, STORE] += len(chunk.ids)
            self._rows.popleft()
            self._row_bytes -= size
        while self._actuals:
            truth = self._actuals[0]
            if not _accepts(sink, FlushBatch(whole.worker, actuals=[truth])):
                self._dropped[truth.model_id, truth.model_version, ACTUALS] += len(truth.ids)
            self._actuals.popleft()
        while self._metrics:
            point = self._metrics[0]
            if not _accepts(sink, FlushBatch(whole.worker, metrics=[point])):
                self._dropped[point.model_id, point.model_version, METRICS] += 1
            self._metrics.popleft()
        while self._learning:
            _accepts(sink, FlushBatch(whole.worker, learning=[self._learning[0]]))
            self._learning.popleft()

    def clear(self) -> None:
        """Forget everything."""
        self._clear_absolute()
        for waiting in (self._rows, self._actuals, self._metrics, self._learning):
            waiting.clear()
        self._row_bytes = 0

    def _clear_absolute(self) -> None:
        absolute: tuple[_Latest[Any], ...] = (self._totals, self._counts, self._minutes)
        for held in absolute:
            held.clear()


def _accepts(sink: Sink, batch: FlushBatch) -> bool:
    try:
        sink.commit(batch)
    except _DATA_FAULTS:
        return False
    return True
