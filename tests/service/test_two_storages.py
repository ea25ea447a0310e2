"""Two services with two storages in one process, over a fork: each counts its own, and nothing of the other's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
from prometheus_client import CollectorRegistry
from modelwatch import ProductionMonitoringService

folders = [f"{sys.argv[1]}/{name}" for name in "aab"]
services = [ProductionMonitoringService(storage_path=f, registry=CollectorRegistry()) for f in folders]
for service in services:
    service.register_model({"model_id": "m"})

def record(*rows):
    for service, n in zip(services, rows):
        for _ in range(n):
            assert service.record_prediction("m", 0.5, {"a": 1.0})["status"] == "success"
        assert service.flush()

def shown():
    labels = {"model_id": "m", "model_version": ""}
    return [int(s.registry.get_sample_value("modelwatch_predictions_total", labels)) for s in services]

record(1, 2, 4)
print(shown())
child = os.fork()
if child == 0:
    record(10, 20, 40)
    for service in services:
        service.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
record(100, 0, 400)
print(shown())
services.pop(0).close()
record(200, 0)
print(shown())
"""


def test_each_of_two_storages_counts_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stderr, done.stdout.splitlines()) == ("", ["[3, 3, 4]", "[133, 133, 444]", "[333, 444]"])
    slots = {name: len(list((tmp_path / name / "slots").glob("*.slot"))) for name in "ab"}
    assert slots == {"a": 4, "b": 2}
