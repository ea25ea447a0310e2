"""What the store is told: totals and binned counts by count interval, as absolute values of this worker."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from modelwatch.profile.cells import BinnedBatch
from modelwatch.recorder.models import VersionEntry
from modelwatch.recorder.open_blocks import BLOCK_BYTES, Limits, closable
from modelwatch.records import FloatArray, IntArray, IntervalCounts, IntervalTotals


@dataclass
class AttemptSums:
    """Sums over the attempts of one slice of one model version in one interval."""

    attempts: int
    errors: int
    sampled: int
    latency_cells: IntArray
    latency_sum: float
    first_at: float
    last_at: float
    prediction_count: int = 0
    prediction_sum: float = 0.0


@dataclass
class _Totals:
    part: int
    length: float
    bounds: tuple[float, ...]
    sums: AttemptSums
    added_at: float
    dirty: bool = True

    @property
    def size(self) -> int:
        return BLOCK_BYTES + self.sums.latency_cells.nbytes


@dataclass
class _Counts:
    part: int
    length: float
    rows: int
    cells: IntArray
    sums: FloatArray
    added_at: float
    dirty: bool = True

    @property
    def size(self) -> int:
        return BLOCK_BYTES + self.cells.nbytes + self.sums.nbytes


_TotalsKey = tuple[str, str, float, tuple[float, ...]]
_CountsKey = tuple[str, str, str, str, float]
_K = TypeVar("_K")
_V = TypeVar("_V", _Totals, _Counts)


@dataclass
class Intervals:
    """
    Open intervals of one worker.

    Values are absolute, so that a flush that is tried again, or seen twice, changes nothing. A closed interval that is
    opened again starts from zero under a higher `part`, which the store adds to the earlier ones.
    """

    limits: Limits = field(default_factory=Limits)
    _totals: OrderedDict[_TotalsKey, _Totals] = field(default_factory=OrderedDict)
    _counts: OrderedDict[_CountsKey, _Counts] = field(default_factory=OrderedDict)
    _bounds: Counter[tuple[str, str, float]] = field(default_factory=Counter)
    """Under how many latency bounds an interval is open."""
    _closed: int = 0

    def add_attempts(self, entry: VersionEntry, start: float, sums: AttemptSums, now: float) -> None:
        """Add attempts of one model version to the interval that begins at `start`."""
        # A changed configuration has other latency bounds: such cells never add, they go to a part of their own.
        key = (entry.model_id, entry.version, start, entry.bounds)
        held = self._totals.get(key)
        if held is None:
            part = self._closed + self._bounds[key[:3]]
            self._bounds[key[:3]] += 1
            self._totals[key] = _Totals(part, entry.config.count_interval, entry.bounds, sums, now)
            return
        have = held.sums
        have.attempts += sums.attempts
        have.errors += sums.errors
        have.sampled += sums.sampled
        have.latency_cells = have.latency_cells + sums.latency_cells
        have.latency_sum += sums.latency_sum
        have.first_at = min(have.first_at, sums.first_at)
        have.last_at = max(have.last_at, sums.last_at)
        have.prediction_count += sums.prediction_count
        have.prediction_sum += sums.prediction_sum
        held.added_at, held.dirty = now, True
        self._totals.move_to_end(key)

    def add_cells(
        self, entry: VersionEntry, profile_id: str, segment: str, start: float, batch: BinnedBatch, now: float
    ) -> None:
        """Add binned rows of one model version to the interval that begins at `start`."""
        key = (entry.model_id, entry.version, segment, profile_id, start)
        held = self._counts.get(key)
        if held is None:
            self._counts[key] = _Counts(
                self._closed,
                entry.config.count_interval,
                batch.rows,
                np.array(batch.cells, np.int64),
                np.array(batch.sums, np.float64),
                now,
            )
            return
        held.rows += batch.rows
        held.cells = held.cells + batch.cells
        held.sums = held.sums + batch.sums
        held.added_at, held.dirty = now, True
        self._counts.move_to_end(key)

    def collect(self, now: float) -> tuple[list[IntervalTotals], list[IntervalCounts]]:
        """Return the intervals that changed since the last call, and close those that are not needed open."""
        totals = [_totals_record(key, held) for key, held in self._totals.items() if held.dirty]
        counts = [_counts_record(key, held) for key, held in self._counts.items() if held.dirty]
        gone = _settle(self._totals, self.limits, now)
        self._closed += len(gone) + len(_settle(self._counts, self.limits, now))
        for key in gone:
            self._bounds[key[:3]] -= 1
            if not self._bounds[key[:3]]:
                del self._bounds[key[:3]]
        return totals, counts


def _settle(held: OrderedDict[_K, _V], limits: Limits, now: float) -> list[_K]:
    """Close what is not needed open, all of which was collected; return its keys."""
    for value in held.values():
        value.dirty = False
    closed = list(closable(held, limits, now))
    for key in closed:
        del held[key]
    return closed


def _totals_record(key: _TotalsKey, held: _Totals) -> IntervalTotals:
    sums = held.sums
    return IntervalTotals(
        model_id=key[0],
        model_version=key[1],
        start=key[2],
        length=held.length,
        part=held.part,
        attempts=sums.attempts,
        errors=sums.errors,
        sampled=sums.sampled,
        latency_bounds=held.bounds,
        latency_cells=sums.latency_cells.copy(),
        latency_sum=sums.latency_sum,
        first_at=sums.first_at,
        last_at=sums.last_at,
        prediction_count=sums.prediction_count,
        prediction_sum=sums.prediction_sum,
    )


def _counts_record(key: _CountsKey, held: _Counts) -> IntervalCounts:
    return IntervalCounts(
        model_id=key[0],
        model_version=key[1],
        segment=key[2],
        profile_id=key[3],
        start=key[4],
        length=held.length,
        part=held.part,
        rows=held.rows,
        cells=held.cells.copy(),
        sums=held.sums.copy(),
    )
