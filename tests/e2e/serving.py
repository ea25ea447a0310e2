"""Two serving processes over one storage, as a preloading server forks them; the first one exposes /metrics.

``serving.py CONFIG STORAGE FAULTS PORT``: both predict under load until they are ended with SIGTERM. What is wrong is
read again and again from the file FAULTS: ``{"<model_id>": ["drift", "slow", "errors", "metric"]}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelwatch import ProductionMonitoringService

FLIGHTS = "late.flights (eu+us)"
HOSTILE = 'ad "score" \\ {{ $value }} {a="b"} <b> 🚀 ../../x'
RANKER, SCORER = "ranker", "scorer"
VERSION = "2026.1"
ROWS_A_TICK, TICK_SECONDS = 6, 0.1
USUAL_MS, SLOW_MS = 2.0, 400.0
USUAL_AUC, BAD_AUC = 0.91, 0.62
HISTORY_SECONDS = 7200


def make_rows(n: int, rng: np.random.Generator, *, spoilt: bool = False) -> list[dict[str, Any]]:
    """Return inputs; spoilt ones come in furlongs instead of miles, and mostly from a carrier that nobody knew."""
    distance = rng.gamma(3.0, 300.0, n) * (8.0 if spoilt else 1.0)
    carrier = rng.choice(["UA", "AA", "DL", "B6"], n, p=[0.4, 0.3, 0.2, 0.1])
    unknown = rng.random(n) < (0.6 if spoilt else 0.0)
    hour = rng.integers(5, 23, n)
    return [
        {"distance": float(distance[i]), "carrier": "ZZ" if unknown[i] else str(carrier[i]), "hour": float(hour[i])}
        for i in range(n)
    ]


def make_scores(n: int, rng: np.random.Generator) -> list[float]:
    scores: list[float] = rng.beta(2.0, 5.0, n).tolist()
    return scores


def make_labels(n: int, rng: np.random.Generator) -> list[str]:
    labels: list[str] = rng.choice(["late", "on time"], n, p=[0.3, 0.7]).tolist()
    return labels


class Faults:
    """What is wrong now."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = json.loads(self._path.read_text(encoding="utf-8"))
        return found


def ticks(stop: threading.Event) -> Iterator[int]:
    number = 0
    while not stop.wait(TICK_SECONDS):
        yield number
        number += 1


def predict(service: ProductionMonitoringService, model_id: str, faults: list[str], rng: np.random.Generator) -> None:
    rows = make_rows(ROWS_A_TICK, rng, spoilt="drift" in faults)
    predictions: list[Any] = (make_labels if model_id == SCORER else make_scores)(ROWS_A_TICK, rng)
    for i, (row, prediction) in enumerate(zip(rows, predictions, strict=True)):
        service.record_prediction(
            model_id,
            prediction,
            row,
            latency_ms=SLOW_MS if "slow" in faults else USUAL_MS,
            error="errors" in faults and i % 2 == 0,
        )


def remember(service: ProductionMonitoringService) -> None:
    """Record two hours of a little traffic: silence means something only to who has a habit."""
    rng, now = np.random.default_rng(3), time.time()
    for when in np.arange(now - HISTORY_SECONDS, now - 120.0, 60.0):
        for model_id in (FLIGHTS, HOSTILE):
            row, score = make_rows(1, rng)[0], make_scores(1, rng)[0]
            service.record_prediction(model_id, score, row, latency_ms=USUAL_MS, timestamp=float(when))
    assert service.flush()


def work(service: ProductionMonitoringService, faults: Faults, number: int, port: int) -> None:
    """Be one worker, until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    rng = np.random.default_rng(100 + number)
    if number == 0:
        remember(service)
        service.start_metrics_server(port)
    for tick in ticks(stop):
        wrong = faults()
        for model_id in (FLIGHTS, HOSTILE, RANKER, SCORER):
            predict(service, model_id, wrong.get(model_id, []), rng)
        if number == 0 and tick % 10 == 0:
            service.update_model_metric(RANKER, "auc", BAD_AUC if "metric" in wrong.get(RANKER, []) else USUAL_AUC)
            service.update_model_metric(FLIGHTS, "auc", USUAL_AUC)
    service.close()


def main(config: str, storage: str, faults: str, port: str) -> None:
    """Load the application once, fork two workers, and stay until they have ended."""
    service = ProductionMonitoringService(config, storage)
    children = []
    for number in range(2):
        pid = os.fork()
        if pid == 0:
            work(service, Faults(Path(faults)), number, int(port))
            os._exit(0)
        children.append(pid)

    def end(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    service.close()
    sys.exit(max(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
