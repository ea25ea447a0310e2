"""Serving processes for every kind of fault; each exposes /metrics and predicts until it is ended with SIGTERM.

``many_models.py serve CONFIG STORAGE FAULTS PORT``: predicts with all models of a configuration. What is wrong is read
again and again from the file FAULTS: ``{"<model_id>": ["drift", "errors", …]}``.
``many_models.py island STORAGE PORT``: predicts with one model that no configuration and no sidecar knows.
``many_models.py twin STORAGE PORT``: exposes what others recorded in a storage, and predicts nothing.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelwatch import ProductionMonitoringService

NIGHT, FROZEN, PRICES, PROMISED = "late.flights (eu+us)", "frozen", "prices", "promised"
BACKLOG, SHOP, NEWCOMER, FLOODED = "backlog", "shop", "newcomer", "flooded"
TAMPERED, SCRAMBLED, ORPHAN = "tampered", "scrambled", "orphan"
GHOST, ISLAND, MIXED = "ghost", "island", "mixed_up"
SERVED = (NIGHT, FROZEN, PRICES, PROMISED, BACKLOG, SHOP, NEWCOMER, FLOODED, TAMPERED, SCRAMBLED, ORPHAN, MIXED)

TICK_SECONDS = 0.1
ROWS_A_TICK, ROWS_OF_SCORED = 6, 15
USUAL_RMSE, BAD_RMSE = 0.11, 0.31
LATE_SECONDS, HISTORY_SECONDS = 1800.0, 5400.0
"""How far behind the clock of the backlog's worker is, and how long that has been recording."""
BURST, TICKS_BETWEEN_BURSTS = 40_000, 50
"""Far more rows than the queue of a process takes."""
ISLANDS_INTERVAL = "35s"


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


def make_fares(n: int, rng: np.random.Generator, *, mixed: bool = False) -> list[dict[str, Any]]:
    """Return inputs with a fare that goes with the distance; mixed up, each row has the fare of another one."""
    rows = make_rows(n, rng)
    fares = [30.0 + 0.1 * row["distance"] * rng.lognormal(0.0, 0.2) for row in rows]
    whose = rng.permutation(n) if mixed else range(n)
    return [row | {"fare": fares[i]} for row, i in zip(rows, whose, strict=True)]


def make_scores(n: int, rng: np.random.Generator) -> list[float]:
    scores: list[float] = rng.beta(2.0, 5.0, n).tolist()
    return scores


class Serving:
    """One process that serves all models.

    Nobody can wait for the quarter of an hour after which silence is news at the earliest. So one model is recorded by
    a worker of its own whose clock is behind: what it serves now was served half an hour ago as far as anybody can see.
    """

    def __init__(self, service: ProductionMonitoringService, storage: str, faults: Path) -> None:
        self._service = service
        self._late = ProductionMonitoringService(
            storage_path=storage, clock=lambda: time.time() - LATE_SECONDS, background=False
        )
        self._late.register_model({"model_id": BACKLOG})
        self._faults = faults
        self._rng = np.random.default_rng(7)
        self._stop = stopped()

    def remember(self) -> None:
        """Record the past of the backlog: silence means something only to who has a habit."""
        now = time.time() - LATE_SECONDS
        for when in np.arange(now - HISTORY_SECONDS, now, 60.0):
            self._record(BACKLOG, 1, [], timestamp=float(when))
        assert self._late.flush()
        assert self._service.flush()

    def run(self) -> None:
        for tick in ticks(self._stop):
            faults: dict[str, list[str]] = json.loads(self._faults.read_text(encoding="utf-8"))
            for model_id in SERVED:
                self._serve(model_id, faults.get(model_id, []), tick)
            if GHOST in faults:
                self._service.register_model({"model_id": GHOST})
                self._record(GHOST, 1, [])
            self._late.flush()
            if tick % 10 == 0:
                rmse = BAD_RMSE if "metric" in faults.get(PRICES, []) else USUAL_RMSE
                self._service.update_model_metric(PRICES, "rmse", rmse)
        self._late.close()
        self._service.close()

    def _serve(self, model_id: str, faults: list[str], tick: int) -> None:
        if "silent" in faults:
            return
        if "night" in faults:
            if tick % 10 == 0:
                self._record(model_id, 1, [])
            return
        if "flood" in faults and tick % TICKS_BETWEEN_BURSTS == 0:
            self._record(model_id, BURST, [])
            self._service.flush()  # the queue is that of all models of a process
        rows = ROWS_OF_SCORED if model_id in (NIGHT, FROZEN, MIXED) else ROWS_A_TICK
        self._record(model_id, rows, faults)

    def _record(self, model_id: str, n: int, faults: list[str], timestamp: float | None = None) -> None:
        if model_id == MIXED:
            rows = make_fares(n, self._rng, mixed="mixed" in faults)
        else:
            rows = make_rows(n, self._rng, spoilt="drift" in faults)
        scores = [0.25] * n if "frozen" in faults else make_scores(n, self._rng)
        service = self._late if model_id == BACKLOG and "live" not in faults else self._service
        for i, (row, score) in enumerate(zip(rows, scores, strict=True)):
            if "missing" in faults and i:
                row["distance"] = None
            service.record_prediction(
                model_id,
                score,
                row,
                metadata={"airline": row["carrier"]},
                latency_ms=2.0,
                error="errors" in faults and i % 3 == 0,
                timestamp=timestamp,
            )


def ticks(stop: threading.Event) -> Iterator[int]:
    number = 0
    while not stop.wait(TICK_SECONDS):
        yield number
        number += 1


def stopped() -> threading.Event:
    """Return what is set at SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop


def serve(config: str, storage: str, faults: str, port: str) -> None:
    service = ProductionMonitoringService(config, storage)
    serving = Serving(service, storage, Path(faults))
    serving.remember()
    service.start_metrics_server(int(port))
    serving.run()


def island(storage: str, port: str) -> None:
    stop, rng = stopped(), np.random.default_rng(8)
    with ProductionMonitoringService(storage_path=storage) as service:
        service.register_model({"model_id": ISLAND, "drift_detection_interval": ISLANDS_INTERVAL})
        service.start_metrics_server(int(port))
        for _ in ticks(stop):
            service.record_prediction(ISLAND, make_scores(1, rng)[0], make_rows(1, rng)[0], latency_ms=2.0)


def twin(storage: str, port: str) -> None:
    stop = stopped()
    with ProductionMonitoringService(storage_path=storage) as service:
        service.start_metrics_server(int(port))
        stop.wait()


if __name__ == "__main__":
    ROLES: dict[str, Callable[..., None]] = {"serve": serve, "island": island, "twin": twin}
    ROLES[sys.argv[1]](*sys.argv[2:])
