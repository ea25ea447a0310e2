"""SIGKILL of a whole serving process at random moments: counters never fall, nothing acknowledged is lost.

The recorder's own tests kill a bare recorder; this kills a service with its store, as an orchestrator would.
"""

from __future__ import annotations

import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService
from modelwatch.store.queries import StoreQueries

KILLS = 50
NURSERY = """
import itertools, os, signal, sys
from modelwatch import ModelMonitoringConfig, ProductionMonitoringService

def serve(name):
    service = ProductionMonitoringService(storage_path=sys.argv[1], background=False)
    service.register_model(ModelMonitoringConfig(model_id="m"))
    say(f"{name} ready {os.getpid()}")
    for i in itertools.count():
        for _ in range(50):
            service.record_prediction("m", 0.5, {"a": float(i), "b": "x"}, latency_ms=1.0)
        if service.flush():
            say(f"{name} flushed")

def say(text):
    os.write(1, (text + os.linesep).encode())

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
for line in sys.stdin:
    if os.fork() == 0:
        serve(line.strip())
"""


class Nursery:
    """Forks serving processes that never recorded before; what one says it flushed must never be lost."""

    def __init__(self, storage: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", NURSERY, str(storage)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.commands, self.out = self.process.stdin, self.process.stdout.fileno()
        self.text = b""

    def start(self, name: str) -> None:
        self.commands.write(f"{name}\n".encode())
        self.commands.flush()

    def pid_of(self, name: str) -> int:
        """Wait until a process is ready and return its pid."""
        deadline = time.monotonic() + 20
        while not (found := re.search(rf"^{name} ready (\d+)$", self.text.decode(), re.MULTILINE)):
            assert time.monotonic() < deadline, self.text
            self.read(0.1)
        return int(found[1])

    def read(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.out], [], [], left)[0]:
                self.text += os.read(self.out, 65536)

    def acknowledged(self) -> int:
        return 50 * self.text.count(b" flushed\n")

    def close(self) -> None:
        self.process.communicate(timeout=10)


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
    nursery, before = Nursery(tmp_path), 0.0
    nursery.start("p0")
    for kill in range(KILLS):
        pid = nursery.pid_of(f"p{kill}")
        # The next process starts while this one is being killed, as in a rolling restart.
        nursery.start(f"p{kill + 1}")
        nursery.read(rng.uniform(0.0, 0.15))
        os.kill(pid, signal.SIGKILL)
        if kill % 10 == 9:
            now = counted(tmp_path)
            assert now >= before
            before = now
    os.kill(nursery.pid_of(f"p{KILLS}"), signal.SIGKILL)
    nursery.read(0.2)
    nursery.close()
    acknowledged = nursery.acknowledged()
    attempts, rows = stored(tmp_path)
    assert acknowledged > 0
    assert attempts >= acknowledged
    assert rows >= acknowledged
    assert counted(tmp_path) >= acknowledged
    assert len(list((tmp_path / "slots").glob("*.slot"))) <= 3
