"""How long 90 days of metric history take to read, beside the same points kept one row each.

Run it from the repository, with modelwatch installed (it needs nothing else)::

    python benchmarks/metrics_history.py                 # prints a table
    python benchmarks/metrics_history.py --json out.json # and writes the same as JSON
    python benchmarks/metrics_history.py --days 7 --rounds 3

It fills a storage with minutes of four workers and two versions, as flushes write them, plus an hourly value given by
``update_model_metric``; sums the days up, as the hourly cleanup does; and asks ``get_model_metrics``. The peer is a
table of one row per point and metric with an index on metric and time, read with a plain SELECT into the same dicts.
Both are measured in turn in one process. Times depend on the machine: compare the ratios.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from modelwatch import ProductionMonitoringService
from modelwatch.records import MINUTE_FIELDS, FloatArray, FlushBatch, MetricPoint, MinuteBlock

MODEL, GIVEN = "ad_score", "auc"
RECORDED = ("latency_ms", "error_rate", "prediction_mean", "predictions")
WORKERS, VERSIONS = ("w0", "w1", "w2", "w3"), ("1", "2")
HOUR, DAY = 3600.0, 86400.0


class Clock:
    """The time as the storage sees it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return seconds since 1970."""
        return self.now


def hour_of(rng: np.random.Generator) -> FloatArray:
    """Return one hour of one worker: shape (60, fields)."""
    attempts = rng.integers(50, 300, 60)
    columns = {
        "attempts": attempts,
        "errors": rng.binomial(attempts, 0.01),
        "latency_count": attempts,
        "latency_ms_sum": attempts * rng.gamma(2.0, 10.0, 60),
        "prediction_count": attempts,
        "prediction_sum": attempts * rng.random(60),
    }
    return np.column_stack([columns.get(name, np.zeros(60)) for name in MINUTE_FIELDS]).astype(np.float64)


def fill(service: ProductionMonitoringService, clock: Clock, days: int) -> None:
    """Write the history hour by hour, as it would have come, and clean up at its end."""
    store, rng = service._parts.store, np.random.default_rng(1)
    assert store is not None
    end = clock.now // DAY * DAY
    first = end - days * DAY
    for hour in range(days * 24):
        start = first + hour * HOUR
        clock.now = start + HOUR
        version = VERSIONS[hour * len(VERSIONS) // (days * 24)]
        for worker in WORKERS:
            block = MinuteBlock(MODEL, version, start, 0, np.arange(60), hour_of(rng))
            store.commit(FlushBatch(worker, minutes=[block]))
        given = MetricPoint(MODEL, version, GIVEN, start, float(rng.random()), {"source": "job"})
        store.commit(FlushBatch(WORKERS[0], metrics=[given]))
    clock.now = end + 60.0
    service.cleanup_old_data()


def fill_peer(connection: sqlite3.Connection, metrics: dict[str, list[dict[str, Any]]]) -> None:
    """Put the same points into a table of one row each."""
    connection.execute("CREATE TABLE points (metric TEXT, at REAL, value REAL, metadata TEXT)")
    connection.execute("CREATE INDEX points_time ON points (metric, at)")
    for name, points in metrics.items():
        rows = [
            (name, datetime.fromisoformat(p["timestamp"]).timestamp(), p["value"], json.dumps(p["metadata"]))
            for p in points
        ]
        connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", rows)
    connection.commit()


def read_peer(connection: sqlite3.Connection, metric: str | None) -> dict[str, list[dict[str, Any]]]:
    """Return one metric, or all, as get_model_metrics does."""
    chosen, values = ("WHERE metric = ?", (metric,)) if metric is not None else ("", ())
    found: dict[str, list[dict[str, Any]]] = {}
    for name, at, value, metadata in connection.execute(f"SELECT * FROM points {chosen} ORDER BY metric, at", values):
        point = {
            "timestamp": datetime.fromtimestamp(at, timezone.utc).isoformat(),
            "value": value,
            "metadata": json.loads(metadata),
        }
        found.setdefault(name, []).append(point)
    return found


def average_peer(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Return the mean of every metric."""
    rows = connection.execute("SELECT metric, avg(value), count(*) FROM points GROUP BY metric")
    return {name: {"value": value, "count": count} for name, value, count in rows}


def median_peer(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Return the median of every metric, which SQLite does not know."""
    values: dict[str, list[float]] = {}
    for name, value in connection.execute("SELECT metric, value FROM points"):
        values.setdefault(name, []).append(value)
    return {name: {"value": statistics.median(some), "count": len(some)} for name, some in values.items()}


def measure(rounds: int, *jobs: Callable[[], object]) -> list[float]:
    """Return the median time of each job in ms; jobs take turns, so that a busy moment hits all alike."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for job, took in zip(jobs, times, strict=True):
            began = time.perf_counter()
            result = job()
            took.append((time.perf_counter() - began) * 1e3)
            del result
    return [statistics.median(took) for took in times]


def run(days: int, rounds: int) -> dict[str, Any]:
    """Fill, check that both give the same, and measure."""
    clock = Clock(1_790_000_000.0)
    with tempfile.TemporaryDirectory() as folder:
        service = ProductionMonitoringService(storage_path=Path(folder) / "storage", clock=clock, background=False)
        service.register_model({"model_id": MODEL, "performance_metrics": [GIVEN, "latency_ms"], "retention_days": 400})
        fill(service, clock, days)
        metrics = service.get_model_metrics(MODEL)["metrics"]
        peer = sqlite3.connect(Path(folder) / "peer.db")
        fill_peer(peer, metrics)
        same = {name: points for name, points in metrics.items() if points} == read_peer(peer, None)
        points = {name: len(listed) for name, listed in metrics.items()}
        del metrics
        cases: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            name: (
                lambda name=name: service.get_model_metrics(MODEL, name),  # type: ignore[misc]
                lambda name=name: read_peer(peer, name),  # type: ignore[misc]
            )
            for name in (*RECORDED, GIVEN)
        }
        cases["mean of all"] = (
            lambda: service.get_model_metrics(MODEL, aggregation="mean"),
            lambda: average_peer(peer),
        )
        cases["median of all"] = (
            lambda: service.get_model_metrics(MODEL, aggregation="median"),
            lambda: median_peer(peer),
        )
        cases["all as lists"] = (lambda: service.get_model_metrics(MODEL), lambda: read_peer(peer, None))
        measured = {name: measure(rounds, ours, theirs) for name, (ours, theirs) in cases.items()}
        sizes = {"ours": service.get_service_status()["storage"]["size_bytes"]}
        sizes["peer"] = (Path(folder) / "peer.db").stat().st_size
        peer.close()
        service.close()
    results = {
        name: {"ours_ms": ours, "peer_ms": theirs, "ratio": theirs / ours} for name, (ours, theirs) in measured.items()
    }
    about = {"days": days, "rounds": rounds, "python": sys.version.split()[0], "numpy": np.__version__}
    return {"about": about, "points": points, "same_points": same, "bytes": sizes, "results": results}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    found = run(options.days, options.rounds)
    total = sum(found["points"].values())
    print(f"{options.days} days, {total:,} points, medians of {options.rounds}; ratio = peer / ours, higher is better")
    print(f"the peer holds the same points: {found['same_points']}")
    print(f"{'':16} {'ours ms':>10} {'peer ms':>10} {'ratio':>8}")
    for name, row in found["results"].items():
        print(f"{name:16} {row['ours_ms']:10.1f} {row['peer_ms']:10.1f} {row['ratio']:8.1f}")
    print(f"{'MB on disk':16} {found['bytes']['ours'] / 1e6:10.1f} {found['bytes']['peer'] / 1e6:10.1f}")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
