"""Workers are killed with SIGKILL at random moments: no acknowledged count is lost, and no counter falls."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest

from modelwatch.recorder import Recorder

KILLS = 50
WORKERS = 2
PATIENCE = 30.0


class Fleet:
    """Workers on one storage, and what they said."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        script = Path(__file__).with_name("serving_worker.py")
        self._zygote = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.acknowledged: dict[int, int] = defaultdict(int)
        self._started: Queue[int] = Queue()
        self._dead: Queue[int] = Queue()
        self._acks = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._zygote.stdout is not None
        for line in self._zygote.stdout:
            word, pid, *rest = line.decode().split()
            if word == "start":
                self._started.put(int(pid))
            elif word == "dead":
                self._dead.put(int(pid))
            else:
                with self._acks:
                    self.acknowledged[int(pid)] = int(rest[0])
                    self._acks.notify_all()

    def start(self) -> int:
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(f"{self.storage}\n".encode())
        self._zygote.stdin.flush()
        return self._started.get(timeout=PATIENCE)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self._dead.get(timeout=PATIENCE) == pid

    def wait_for_acks(self, pid: int, more: int) -> None:
        with self._acks:
            goal = self.acknowledged[pid] + more
            assert self._acks.wait_for(lambda: self.acknowledged[pid] >= goal, PATIENCE)

    def close(self) -> None:
        self._zygote.communicate(timeout=PATIENCE)
        self._reader.join(PATIENCE)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    running = Fleet(tmp_path)
    yield running
    running.close()


def attempts(recorder: Recorder) -> dict[str, int]:
    return {key[2]: int(b.ints[0]) for key, b in recorder.snapshot().vectors.items() if key[0] == "totals"}


class Scraper(threading.Thread):
    """Scrapes in a loop and remembers the first fall of a series."""

    def __init__(self, storage: Path) -> None:
        super().__init__()
        self._recorder = Recorder(storage, None, start_thread=False)
        self.stop = threading.Event()
        self.fall = ""
        self.scrapes = 0

    def run(self) -> None:
        seen: dict[str, int] = {}
        while not self.stop.is_set() and not self.fall:
            now = attempts(self._recorder)
            falls = {k: (v, now.get(k)) for k, v in seen.items() if now.get(k, 0) < v}
            self.fall = str(falls) if falls else ""
            seen = now
            self.scrapes += 1
            self.stop.wait(0.001)


def stored(storage: Path) -> int:
    """Return the attempts in all sink files: the last value of each worker and interval."""
    total = 0
    for path in storage.glob("sink-*"):
        latest: dict[str, int] = {}
        for line in path.read_bytes().split(b"\n")[:-1]:
            latest.update(json.loads(line))
        total += sum(latest.values())
    return total


def test_fifty_kills_lose_no_acknowledged_flush_and_no_counter_falls(fleet: Fleet, tmp_path: Path) -> None:
    rng = random.Random(20)
    scraper = Scraper(tmp_path)
    scraper.start()
    reader = Recorder(tmp_path, None, start_thread=False)
    alive = [fleet.start() for _ in range(WORKERS)]
    try:
        for _ in range(KILLS):
            victim = alive.pop(rng.randrange(WORKERS))
            if rng.random() < 0.7:
                fleet.wait_for_acks(victim, 1)
            time.sleep(rng.random() * 0.01)  # the moment of death is to be any, also in the middle of a write
            fleet.kill(victim)
            acknowledged = sum(fleet.acknowledged.values())
            assert sum(attempts(reader).values()) >= acknowledged
            alive.append(fleet.start())
            assert not scraper.fall
            assert len(list((tmp_path / "slots").glob("*.slot"))) <= WORKERS
        for pid in alive:
            fleet.wait_for_acks(pid, 1)
    finally:
        for pid in alive:
            fleet.kill(pid)
        scraper.stop.set()
        scraper.join(PATIENCE)
    assert not scraper.fall
    assert scraper.scrapes > KILLS
    acknowledged = sum(fleet.acknowledged.values())
    assert sum(attempts(reader).values()) >= acknowledged > KILLS
    assert stored(tmp_path) >= acknowledged
    names = {path.name for path in (tmp_path / "slots").iterdir()} - {".epoch", ".lock", ".names"}
    assert names <= {"0000.slot", "0001.slot", "0000.slot.tmp", "0001.slot.tmp", ".epoch.tmp"}
    assert {"0000.slot", "0001.slot"} <= names


def test_the_child_of_a_fork_counts_in_a_slot_of_its_own_and_leaves_the_parents_alone(tmp_path: Path) -> None:
    script = f"""
import os, sys
from modelwatch.recorder import RecordedModel, Recorder
recorder = Recorder({str(tmp_path)!r}, None)
recorder.add_model(RecordedModel("m", "1"))
first = recorder.record("m", 1, {{}})
assert recorder.flush()
recorder.record("m", 1, {{}})          # may wait in the parent's queue while the child starts
pid = os.fork()
if pid == 0:
    second = recorder.record("m", 1, {{}})
    assert second["prediction_id"].split("-")[0] != first["prediction_id"].split("-")[0]
    assert recorder.flush()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
recorder.record("m", 1, {{}})
assert recorder.flush()
print(int(recorder.snapshot().vectors["totals", "m", "1"].ints[0]))
recorder.close()
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60)
    assert (run.stdout.strip(), run.stderr) == ("4", "")
    assert sorted(path.name for path in (tmp_path / "slots").glob("*.slot")) == ["0000.slot", "0001.slot"]


def test_what_was_recorded_just_before_the_end_of_the_process_is_there(tmp_path: Path) -> None:
    script = f"""
from modelwatch.recorder import RecordedModel, Recorder
recorder = Recorder({str(tmp_path)!r}, None, flush_interval=3600)
recorder.add_model(RecordedModel("m", "1"))
for i in range(10):
    recorder.record("m", i, {{"a": i}})
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert attempts(Recorder(tmp_path, None, start_thread=False)) == {"1": 10}


def test_recording_a_thousand_predictions_loads_nothing_heavy(tmp_path: Path) -> None:
    script = f"""
import sys
from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.collector import RecordingCollector
from modelwatch.profile import ReferenceProfile
profile = ReferenceProfile.build({{"a": [float(i) for i in range(100)], "b": ["x", "y"] * 50}}, [0.5] * 100)
recorder = Recorder({str(tmp_path)!r}, None)
recorder.add_model(RecordedModel("m", "1", profile=profile))
for i in range(1000):
    recorder.record("m", 0.5, {{"a": float(i), "b": "x"}}, latency_ms=1.0)
assert recorder.flush()
assert list(RecordingCollector(recorder).collect())
heavy = "scipy pandas sqlalchemy aiohttp apscheduler plotly pyarrow sklearn rich jinja2"
print([name for name in heavy.split() if name in sys.modules])
recorder.close()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
