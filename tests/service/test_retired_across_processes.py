"""Two workers that are real processes and go on predicting: one model retired and registered again."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from modelwatch import ProductionMonitoringService

WORKER = Path(__file__).with_name("recording_worker.py")


def _shown(port: int) -> dict[str, float]:
    """Return all series of the model that a worker exposes."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if 'model_id="m"' in line and not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def _attempts(port: int) -> float | None:
    return next((v for name, v in _shown(port).items() if name.startswith("modelwatch_predictions_total")), None)


def test_workers_notice_while_they_predict_and_no_count_is_lost_or_falls(tmp_path: Path, wait_until: Any) -> None:
    workers = [
        subprocess.Popen([sys.executable, str(WORKER), str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        ports = [int(worker.stdout.readline()) for worker in workers if worker.stdout]
        wait_until(lambda: all((_attempts(port) or 0) >= 200 for port in ports), 30.0)
        with ProductionMonitoringService(storage_path=tmp_path, background=False) as service:
            before = max(_attempts(port) or 0 for port in ports)
            assert service.retire_model("m")["status"] == "success"
            wait_until(lambda: not any(_shown(port) for port in ports), 30.0)
            assert service.register_model({"model_id": "m"})["status"] == "success"
            wait_until(lambda: all((_attempts(port) or 0) > before for port in ports), 30.0)
            confirmed = []
            for worker in workers:
                out, _ = worker.communicate(timeout=30)
                confirmed.append(int(out))
            assert service.flush()
            (model,) = service.get_service_status()["models"]
            assert model["predictions"] == sum(confirmed)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
