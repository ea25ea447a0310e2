"""A worker for tests: registers a model, serves its metrics, records batches until its standard input ends."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np

from modelwatch import ProductionMonitoringService


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    service = ProductionMonitoringService(storage_path=Path(sys.argv[1]))
    service.register_model({"model_id": "m"})
    _say(service.start_metrics_server(0))
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    confirmed = 0
    while not ended.wait(0.02):
        answer = service.record_predictions("m", np.zeros(50), {"a": np.zeros(50)}, latency_ms=5.0)
        confirmed += answer.get("recorded", 0)
    service.close()
    _say(confirmed)


if __name__ == "__main__":
    main()
