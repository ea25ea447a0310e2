"""A fork at any moment of the background work hangs nobody and loses nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from modelwatch.recorder import Recorder

SERVERS, ROWS, ROWS_OF_A_CHILD = 30, 400, 50


def test_thirty_forks_under_load_hang_nobody_and_lose_nothing(tmp_path: Path) -> None:
    script = Path(__file__).with_name("forking_server.py")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert (run.stdout.split(), run.stderr) == (["0"] * SERVERS, "")
    block = Recorder(tmp_path, None, start_thread=False).snapshot().vectors["totals", "m", "1"]
    assert int(block.ints[0]) == SERVERS * (ROWS + ROWS_OF_A_CHILD)


def test_an_idle_child_neither_keeps_its_dead_parents_slot_nor_its_own_child_from_counting(tmp_path: Path) -> None:
    script = f"""
import os, signal, sys
from modelwatch.recorder import RecordedModel, Recorder

recorder = Recorder({str(tmp_path)!r}, None, flush_interval=0.01)
recorder.add_model(RecordedModel("m", "1"))

def count(rows):
    for _ in range(rows):
        recorder.record("m", 0.5, {{}})
    assert recorder.flush()
    total = int(recorder.snapshot().vectors["totals", "m", "1"].ints[0])
    print(recorder._engine.worker._slot.path.name, total, flush=True)

count(1)
read, write = os.pipe()
if os.fork() == 0:                      # idle: it never records
    parent = os.getppid()
    os.close(write)
    os.read(read, 1)                    # until the parent is dead
    if os.fork() == 0:
        count(10)                       # takes the slot of the dead one over
        os._exit(0)
    assert os.wait()[1] == 0
    count(100)                          # the child that was idle, at last
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (-9, "")
    assert run.stdout.splitlines() == ["0000.slot 1", "0000.slot 11", "0000.slot 111"]


def test_a_child_of_a_process_that_only_loaded_the_recorder_counts(tmp_path: Path) -> None:
    script = f"""
import os
from modelwatch.recorder import RecordedModel, Recorder

recorder = Recorder({str(tmp_path)!r}, None)
recorder.add_model(RecordedModel("m", "1"))
for rows in (1, 10, 100):
    if os.fork() == 0:
        for _ in range(rows):
            recorder.record("m", 0.5, {{}})
        os._exit(0 if recorder.flush() else 3)
for _ in range(3):
    assert os.wait()[1] == 0
print(int(recorder.snapshot().vectors["totals", "m", "1"].ints[0]))
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("111\n", "")


def test_neither_background_work_nor_a_scrape_imports_anything(tmp_path: Path) -> None:
    """A child that is forked while another thread imports waits for ever for the lock of that import."""
    script = f"""
import datetime, decimal, sys
import numpy as np
from modelwatch.collector import RecordingCollector
from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.store import StoreWriter

store = StoreWriter({str(tmp_path)!r})
recorder = Recorder({str(tmp_path)!r}, store)
loaded = set(sys.modules)
recorder.add_model(RecordedModel("m", "1", task="binary", decision_threshold=0.5))
values = [1.0, "1", None, True, decimal.Decimal(1), 10**400, np.datetime64("2024-01-01"), np.float32(1), [1], {{}}]
times = [None, "2024-01-01T00:00:00Z", datetime.datetime(2024, 1, 1), np.datetime64("2024-01-01"), "never"]
for i in range(600):
    value = values[i % len(values)]
    features = {{"a": value, "b": "é"}} if i % 3 else [value, 2]
    more = {{"actual": value, "metadata": {{"a": value}}, "latency_ms": value, "timestamp": times[i % 5]}}
    recorder.record("m", value, features, **more)
recorder.record_actual("m", "id", [0.2, 0.8])
recorder.set_metric("m", "auc", 0.5, 1.0)
assert recorder.flush()
assert recorder.layout("a" * 64) is None
list(RecordingCollector(recorder, store.storage_id).collect())
print(sorted(set(sys.modules) - loaded))
recorder.close()
store.close()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
