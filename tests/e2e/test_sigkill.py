"""SIGKILL of a whole serving process at random moments: restart is clean, counters never fall, nothing acknowledged is lost.

The recorder's own tests kill a bare recorder; this kills a service with its store, as an orchestrator would.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService
from modelwatch.store.queries import StoreQueries

KILLS = 50
SERVER = """
import itertools, sys
from modelwatch import ModelMonitoringConfig, ProductionMonitoringService

service = ProductionMonitoringService(storage_path=sys.argv[1], background=False)
service.register_model(ModelMonitoringConfig(model_id="m"))
print("ready", flush=True)
for i in itertools.count():
    for _ in range(50):
        service.record_prediction("m", 0.5, {"a": float(i), "b": "x"}, latency_ms=1.0)
    if service.flush():
        print(50, flush=True)
"""


class Served:
    """One serving process; what it says it has flushed is what must never be lost."""

    def __init__(self, storage: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(storage)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.out = self.process.stdout.fileno()
        self.text = b""

    def read_until(self, seconds: float, *, wanted: bytes | None = None) -> None:
        import time

        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.out], [], [], left)[0]:
                piece = os.read(self.out, 65536)
                assert piece, self.process.communicate()[1].decode()
                self.text += piece
            if wanted is not None and wanted in self.text:
                return

    def kill(self) -> int:
        """Kill it and return how many predictions it had acknowledged."""
        self.process.send_signal(signal.SIGKILL)
        rest, errors = self.process.communicate()
        assert b"Traceback" not in errors, errors.decode()
        return 50 * (self.text + rest).splitlines().count(b"50")


def counted(storage: Path) -> float:
    with ProductionMonitoringService(storage_path=storage, background=False) as service:
        service.register_model(ModelMonitoringConfig(model_id="m"))
        value = service.registry.get_sample_value(
            "modelwatch_predictions_total", {"model_id": "m", "model_version": ""}
        )
    assert value is not None
    return value


def stored(storage: Path) -> tuple[int, int]:
    """Return attempts and rows as the store knows them."""
    queries = StoreQueries(storage)
    attempts = int(queries.totals("m", 0.0, 4e9).attempts.sum())
    rows = sum(len(chunk.ids) for chunk in queries.row_chunks("m", 0.0, 4e9))
    queries.close()
    return attempts, rows


@pytest.mark.e2e
def test_fifty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(20261124)
    acknowledged, before = 0, 0.0
    following: Any = Served(tmp_path)
    for kill in range(KILLS):
        current = following
        current.read_until(20.0, wanted=b"ready")
        # The next process starts while this one is being killed, as a rolling restart does.
        following = Served(tmp_path) if kill + 1 < KILLS else None
        current.read_until(rng.uniform(0.0, 0.25))
        acknowledged += current.kill()
        if kill % 10 == 9:
            now = counted(tmp_path)
            assert now >= before
            before = now
            assert now >= acknowledged
    attempts, rows = stored(tmp_path)
    assert attempts >= acknowledged
    assert rows >= acknowledged
    assert counted(tmp_path) >= acknowledged > 0
    assert len(list((tmp_path / "slots").glob("*.slot"))) <= 3
