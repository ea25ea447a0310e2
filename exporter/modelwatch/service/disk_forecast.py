"""How much disk a model will take a day, and in all, before anything was recorded.

What is stored is encoded here as the recorder does it, over made-up rows that follow the reference, and what SQLite
makes of it is counted in pages. Estimates, as nobody knows when predictions will come: they are taken to come evenly
over the day, and ground truth and metadata not at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.conventions import LATENCY_BUCKETS_SECONDS
from modelwatch.recorder.segments import MAX_SEGMENTS
from modelwatch.records import (
    MINUTE_FIELDS,
    PREDICTION,
    ROW_LATENCY,
    ROW_PREDICTION,
    CellLayout,
    FeatureCells,
    FloatArray,
    IntArray,
    RowChunk,
)
from modelwatch.service.keeping import DAY, Kept, windows_need
from modelwatch.store import chunks

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig

__all__ = ["DiskForecast", "Traffic", "disk_forecast"]

FLUSH_SECONDS = 1.0
PAGE = 4096
INDEXED = 1.4
"""What an index takes for each byte in it: its pages are not as full as those of a table that only grows."""
ALL_SEGMENTS = MAX_SEGMENTS + 1
"""Those that are told apart, and all others."""
_SAMPLE_ROWS = 4096
_ID_LENGTH = 20
_DAYS_AS_HOURS = 2.0
"""For about so long sums by minute stand by hour and worker, before they are summed into their day."""


@dataclass(frozen=True)
class Traffic:
    """How a model is called.

    Attributes
    ----------
    predictions : float
        A day, over all workers.
    workers : int
        Processes that record.
    """

    predictions: float
    workers: int = 1


@dataclass(frozen=True)
class DiskForecast:
    """Bytes by kind of what is stored: ``rows``, ``counts``, ``totals``, ``minutes``, ``checks``.

    Attributes
    ----------
    per_day : mapping of str to float
        What one day adds.
    in_all : mapping of str to float
        What is there once as much is removed as is added.
    """

    per_day: Mapping[str, float]
    in_all: Mapping[str, float]

    @property
    def day(self) -> float:
        """Bytes that one day adds."""
        return sum(self.per_day.values())

    @property
    def total(self) -> float:
        """Bytes once as much is removed as is added."""
        return sum(self.in_all.values())


def disk_forecast(
    config: ModelMonitoringConfig, layout: CellLayout, traffic: Traffic, counts: IntArray | None = None
) -> DiskForecast:
    """Return what one model version takes.

    Parameters
    ----------
    config : ModelMonitoringConfig
        Sampling, retention, windows, whether rows are stored.
    layout : CellLayout
        The cells of its reference, or of one like it.
    traffic : Traffic
        How it is called.
    counts : ndarray of int, shape (layout.size,), optional
        How many rows of the reference fell into each cell; without them all cells are equally likely.
    """
    sampled = traffic.predictions * config.sampling_rate
    per_day = {
        "rows": _rows(config, layout, sampled, traffic.workers, counts) if config.log_predictions else 0.0,
        "counts": _counts(config, layout, sampled, traffic.workers),
        "totals": _totals(config, traffic),
        "minutes": _minute_days(traffic),
        "checks": _checks(config, layout),
    }
    kept = Kept(float(config.retention_days), windows_need(config))
    in_all = {kind: amount * kept.seconds(kind) / DAY for kind, amount in per_day.items()}
    in_all["minutes"] += _DAYS_AS_HOURS * (traffic.workers - 1) * per_day["minutes"]
    return DiskForecast(per_day, in_all)


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(
    config: ModelMonitoringConfig, layout: CellLayout, sampled: float, workers: int, counts: IntArray | None
) -> float:
    """Return the bytes of a day's rows: one chunk for each flush of a worker that has any."""
    flushes, size = _batches(sampled, workers, FLUSH_SECONDS)
    if not flushes:
        return 0.0
    features = [member for member in layout.members if member.name not in config.features.exclude]
    # Between two whole numbers of rows, as a chunk's own bytes matter where there are few in each.
    low = int(size)
    shorter, longer = (_chunk_bytes(features, layout, rows, counts) for rows in (low, low + 1))
    each = shorter + (size - low) * (longer - shorter)
    return flushes * (each + _index_entry(len(config.model_id) + 16))


def _batches(events: float, workers: int, seconds: float) -> tuple[float, float]:
    """Return in how many spans a day something happens, over all workers, and how much then: events come at random."""
    spans = workers * DAY / seconds
    mean = events / spans
    if mean <= 0:
        return 0.0, 0.0
    filled = spans * -math.expm1(-mean)
    return filled, events / filled


def _chunk_bytes(members: list[FeatureCells], layout: CellLayout, rows: int, counts: IntArray | None) -> float:
    """Return the bytes in the database of one chunk of so many rows; of many, in proportion to some."""
    made = min(rows, _SAMPLE_ROWS)
    rng = np.random.default_rng(0)
    offsets = dict(zip((m.name for m in layout.members), layout.offsets, strict=True))
    columns: dict[str, list[Any] | FloatArray] = {}
    for member in members:
        first = offsets[member.name]
        shape = None if counts is None else counts[first : first + member.shape_size]
        columns[ROW_PREDICTION if member.name == PREDICTION else member.name] = _values(member, shape, made, rng)
    if layout.prediction is None:
        columns[ROW_PREDICTION] = rng.random(made)
    columns[ROW_LATENCY] = rng.gamma(2.0, 5.0, made)
    now = 1.79e9
    ids = [f"0123456789ab-{10**6 + place}" for place in range(made)]
    chunk = RowChunk("", "", now + np.sort(rng.random(made)), ids, columns)
    return _record(len(chunks.encode(chunk)) * rows / made + 2 * 8 + 32)


def _values(
    member: FeatureCells, shape: IntArray | None, rows: int, rng: np.random.Generator
) -> list[Any] | FloatArray:
    """Return values of an input that fall into its cells as those of the reference did."""
    total = 0 if shape is None else int(shape.sum())
    shares = shape / total if shape is not None and total else None
    cells = rng.choice(member.shape_size, rows, p=shares) if member.shape_size else np.zeros(rows, np.int64)
    if member.kind == "categorical":
        names = (*member.categories, *sorted(member.known)[:1], "other")
        return [names[cell] for cell in cells.tolist()]
    if not member.edges:
        return np.zeros(rows)
    bounds = np.array([member.minimum, *member.edges])
    if len(member.edges) < 2:
        return np.full(rows, member.minimum)
    low, high = bounds[cells], bounds[cells + 1]
    return np.asarray(low + rng.random(rows) * (high - low))


# ── counts and sums ──────────────────────────────────────────────────────────────────────────────────────────────


def _counts(config: ModelMonitoringConfig, layout: CellLayout, sampled: float, workers: int) -> float:
    """Return the bytes of a day's binned counts: one record for each interval and segment of a worker that has any."""
    # By segment: as many as can be told apart, each with its part of the rows.
    parts = workers * (ALL_SEGMENTS if config.segments else 1)
    intervals, rows = _batches(sampled, parts, config.drift.count_interval_seconds)
    size = layout.size * _width(rows) + 8 * len(layout.members)
    return intervals * (_record(size + 60) + _index_entry(12 + 8 + 8))


def _totals(config: ModelMonitoringConfig, traffic: Traffic) -> float:
    intervals, attempts = _batches(traffic.predictions, traffic.workers, config.drift.count_interval_seconds)
    bounds = len(LATENCY_BUCKETS_SECONDS) + 1
    named = len(config.model_id) + len(config.model_version) + 12
    size = 8 * bounds + (bounds + 1) * _width(attempts) + 7 * 8 + named
    return intervals * (_record(size + 30) + _index_entry(named + 16))


def _minute_days(traffic: Traffic) -> float:
    """Return the bytes of a day's sums by minute, once they are summed over workers."""
    minutes, attempts = _batches(traffic.predictions, 1, 60.0)
    if not minutes:
        return 0.0
    # Attempts, latencies, predictions; errors and what needs ground truth are mostly all zero, and left out then.
    columns = 2 + 3 * _width(attempts) + 2 * 8
    return _record(minutes * columns + len(MINUTE_FIELDS) + 40)


def _checks(config: ModelMonitoringConfig, layout: CellLayout) -> float:
    """Return the bytes of a day's drift history: of each check, the foremost test of each input."""
    names = [m.name for m in layout.members if m.name not in config.features.exclude]
    windows = len(config.drift.windows) * 30
    summary = 280 + windows + sum(118 + len(name) for name in names)
    return DAY / config.interval_seconds * (_record(summary + len(config.model_id) + 40) + _index_entry(20))


def _width(highest: float) -> int:
    """Return the bytes of one count where so many rows fall into an interval: some cell has most of them."""
    return 1 if highest < 2**8 else 2 if highest < 2**16 else 4


# ── what SQLite makes of it ──────────────────────────────────────────────────────────────────────────────────────


def _record(payload: float) -> float:
    """Return the bytes of the file that one record takes: on leaves with others, what is longer on pages of its own.

    >>> round(_record(100)), _record(5000), _record(4000)
    (111, 5120.0, 4096.0)
    """
    whole = PAGE - 35
    if payload <= whole:
        return PAGE / max(1, int(PAGE // (payload + 8)))
    least = (PAGE - 12) * 32 // 255 - 23
    rest = least + (payload - least) % (PAGE - 4)
    local = rest if rest <= whole else least
    return PAGE / max(1, int(PAGE // (local + 12))) + PAGE * math.ceil((payload - local) / (PAGE - 4))


def _index_entry(size: float) -> float:
    return INDEXED * (size + 8)
