"""Peers that need a process, or an environment, of their own; :mod:`recording` starts one of each and gives it turns.

Run as ``python peers.py NAME FEATURES``. It says ``ready``; each line with a number of rows on its standard input is
answered by the nanoseconds that one row took.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from workload import CATEGORIES, MODEL, VERSION, Workload, timed, workload

ROWS = 1000


def prometheus_naive(work: Workload) -> Callable[[int], object]:
    """Look up labelled children, by the labels that we have too, at every observation, as most people write it."""
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry = CollectorRegistry()
    model = ["model_id", "model_version"]
    values = Histogram("f", "value", [*model, "feature"], buckets=work.edges, registry=registry)
    texts = Counter("c", "category", [*model, "feature", "category"], registry=registry)
    latency = Histogram("l", "latency", model, registry=registry)
    scores = Histogram("p", "score", model, buckets=[i / 10 for i in range(11)], registry=registry)
    total = Counter("n", "predictions", model, registry=registry)

    def record(row: dict[str, Any], score: float) -> None:
        for name in work.numeric:
            values.labels(MODEL, VERSION, name).observe(row[name])
        for name in work.categorical:
            texts.labels(MODEL, VERSION, name, row[name]).inc()
        latency.labels(MODEL, VERSION).observe(0.003)
        scores.labels(MODEL, VERSION).observe(score)
        total.labels(MODEL, VERSION).inc()

    return _loop(work, record)


def prometheus_cached(work: Workload) -> Callable[[int], object]:
    """Keep every child by hand, else the same."""
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry = CollectorRegistry()
    family = Histogram("f", "value", ["feature"], buckets=work.edges, registry=registry)
    values = {name: family.labels(name) for name in work.numeric}
    counter = Counter("c", "category", ["feature", "category"], registry=registry)
    texts = {name: {text: counter.labels(name, text) for text in CATEGORIES} for name in work.categorical}
    latency = Histogram("l", "latency", registry=registry)
    scores = Histogram("p", "score", buckets=[i / 10 for i in range(11)], registry=registry)
    total = Counter("n", "predictions", registry=registry)

    def record(row: dict[str, Any], score: float) -> None:
        for name, child in values.items():
            child.observe(row[name])
        for name, children in texts.items():
            children[row[name]].inc()
        latency.observe(0.003)
        scores.observe(score)
        total.inc()

    return _loop(work, record)


def boxkite(work: Workload) -> Callable[[int], object]:
    """Boxkite's ``log_prediction`` with a baseline of the same features (categories by number) and no log exporter."""
    import logging

    from boxkite.monitoring.collector import BaselineMetricCollector
    from boxkite.monitoring.service import ModelMonitoringService

    logging.disable(logging.CRITICAL)
    codes = {text: float(place) for place, text in enumerate(CATEGORIES)}
    rows = [[row[name] for name in work.numeric] + [codes[row[name]] for name in work.categorical] for row in work.rows]
    path = Path(tempfile.mkdtemp()) / "histogram.prom"
    columns = zip(*rows, strict=True)
    features = [(name, list(column)) for name, column in zip((*work.numeric, *work.categorical), columns, strict=True)]
    ModelMonitoringService.export_text(features=features, inference=work.scores, path=str(path))

    class Silent:
        def emit(self, prediction: object) -> None:
            """Send it nowhere."""

    service = ModelMonitoringService(log_exporter=Silent(), baseline_collector=BaselineMetricCollector(str(path)))

    def run(n: int) -> None:
        for row, score in islice(cycle(zip(rows, work.scores, strict=True)), n):
            service.log_prediction("{}", row, score)

    return run


def whylogs_rows(work: Workload) -> Callable[[int], object]:
    """Track row by row in one long-lived profile."""
    from whylogs.core import DatasetProfile

    profile = DatasetProfile()
    return _loop(work, lambda row, score: profile.track({**row, "score": score}))


def whylogs_frames(work: Workload) -> Callable[[int], object]:
    """Track frames of 1 000 rows instead."""
    import pandas as pd
    from whylogs.core import DatasetProfile

    profile = DatasetProfile()
    frame = pd.DataFrame(work.rows[:ROWS])

    def run(n: int) -> None:
        for _ in range(n // ROWS):
            profile.track(frame)

    return run


def _loop(work: Workload, record: Callable[[dict[str, Any], float], object]) -> Callable[[int], object]:
    def run(n: int) -> None:
        for row, score in islice(cycle(zip(work.rows, work.scores, strict=True)), n):
            record(row, score)

    return run


PEERS = {
    "prometheus naive": prometheus_naive,
    "prometheus cached": prometheus_cached,
    "prometheus multiprocess": prometheus_naive,
    "boxkite": boxkite,
    "whylogs rows": whylogs_rows,
    "whylogs frames": whylogs_frames,
}


def main() -> None:
    """Take turns until the input ends."""
    name, features = sys.argv[1], int(sys.argv[2])
    run = PEERS[name](workload(features, ROWS))
    print("ready", flush=True)
    for line in sys.stdin:
        rows = int(line)
        print(timed(lambda rows=rows: run(rows), rows), flush=True)  # type: ignore[misc]


if __name__ == "__main__":
    main()
