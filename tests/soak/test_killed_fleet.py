"""Eight workers under load, recycled and killed with SIGKILL, while somebody reads /metrics as Prometheus does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from modelwatch import ProductionMonitoringService, ReferenceProfile

WORKERS = 8
RECYCLED = 0.25
"""How many are told to end and replaced, per one that is killed."""
BURST = 40
PATIENCE = 60.0
Series = dict[str, float]
"""Values by name and labels, as they stand in the text."""


class Fleet:
    """Workers on one storage, and what they said."""

    def __init__(self, storage: Path, profile: Path) -> None:
        script = Path(__file__).with_name("nursery.py")
        command = [sys.executable, "-W", "ignore", str(script), str(storage), str(profile)]
        self._nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.acknowledged: dict[int, int] = defaultdict(int)
        self.alive: set[int] = set()
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._nursery.stdout is not None
        for line in self._nursery.stdout:
            word, pid, *total = line.split()
            with self._news:
                if word == b"start":
                    self.alive.add(int(pid))
                elif word == b"dead":
                    self.alive.discard(int(pid))
                else:
                    self.acknowledged[int(pid)] = int(total[0])
                self._news.notify_all()

    def _wait(self, condition: Callable[[], object]) -> None:
        with self._news:
            assert self._news.wait_for(condition, PATIENCE)

    def start(self, number: int = 1) -> None:
        wanted = len(self.alive) + number
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(b"\n" * number)
        self._nursery.stdin.flush()
        self._wait(lambda: len(self.alive) == wanted)

    def end(self, pid: int, how: signal.Signals) -> None:
        os.kill(pid, how)
        self._wait(lambda: pid not in self.alive)

    def wait_for_ack(self, pid: int) -> None:
        goal = self.acknowledged[pid] + 1
        self._wait(lambda: self.acknowledged[pid] >= goal)

    def close(self) -> None:
        for pid in list(self.alive):
            self.end(pid, signal.SIGKILL)
        self._nursery.communicate(timeout=PATIENCE)
        self._reader.join(PATIENCE)


class Scraper(threading.Thread):
    """Reads /metrics in a loop and remembers the first counter that fell or vanished: no slot is lost here."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._url = f"http://127.0.0.1:{port}/metrics"
        self.stop = threading.Event()
        self.fall = ""
        self.seconds: list[float] = []

    def scrape(self) -> Series:
        begin = time.perf_counter()
        with urllib.request.urlopen(self._url, timeout=PATIENCE) as answer:
            text = answer.read().decode()
        self.seconds.append(time.perf_counter() - begin)
        return counters(text)

    def run(self) -> None:
        seen: Series = {}
        while not self.stop.is_set() and not self.fall:
            now = self.scrape()
            falls = {name: (value, now.get(name)) for name, value in seen.items() if now.get(name, -1.0) < value}
            self.fall = str(falls or "")
            seen = now


def counters(text: str) -> Series:
    """Return the samples of counters and histograms in the text that Prometheus reads."""
    out, counts = {}, False
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            counts = line.endswith((" counter", " histogram"))
        elif counts and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            out[series] = float(value)
    return out


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    columns = {f"f{i}": rng.random(2000) * 10 for i in range(25)}
    return ReferenceProfile.build(columns, predictions=rng.random(2000)).save(tmp_path / "profile.json")


@pytest.fixture
def fleet(tmp_path: Path, profile: Path) -> Iterator[Fleet]:
    running = Fleet(tmp_path / "storage", profile)
    yield running
    running.close()


@pytest.fixture
def scraper(tmp_path: Path) -> Iterator[Scraper]:
    with ProductionMonitoringService(storage_path=tmp_path / "storage", background=False) as service:
        scraping = Scraper(service.start_metrics_server(0))
        yield scraping
        scraping.stop.set()
        scraping.join(PATIENCE)


def predictions(series: Series) -> float:
    return sum(value for name, value in series.items() if name.startswith("modelwatch_predictions_total{"))


@pytest.mark.parametrize("kills", [50, pytest.param(1000, marks=pytest.mark.soak)])
def test_no_counter_falls_and_the_total_is_what_was_acknowledged_and_at_most_a_flush_per_kill(
    kills: int, fleet: Fleet, scraper: Scraper, tmp_path: Path
) -> None:
    rng, begin, recycled, most = random.Random(kills), time.monotonic(), 0, 0
    fleet.start(WORKERS)
    scraper.start()
    for _ in range(kills):
        if rng.random() < RECYCLED:
            fleet.end(rng.choice(sorted(fleet.alive)), signal.SIGTERM)
            fleet.start()
            recycled += 1
        victim = rng.choice(sorted(fleet.alive))
        if rng.random() < 0.5:
            fleet.wait_for_ack(victim)
        time.sleep(rng.random() * 0.03)  # the moment of death is to be any, also in the middle of a write
        fleet.end(victim, signal.SIGKILL)
        fleet.start()
        assert not scraper.fall
        most = max(most, len(list((tmp_path / "storage" / "slots").glob("*.slot"))))
        assert most <= WORKERS
    for pid in sorted(fleet.alive):
        fleet.wait_for_ack(pid)
        fleet.end(pid, signal.SIGTERM)
    scraper.stop.set()
    scraper.join(PATIENCE)
    assert not scraper.fall
    total, acknowledged = predictions(scraper.scrape()), sum(fleet.acknowledged.values())
    assert acknowledged <= total <= acknowledged + kills * BURST
    assert len(scraper.seconds) > kills / 5
    times = sorted(scraper.seconds)
    figures = [
        f"{kills} kills and {recycled} replaced of {WORKERS} workers in {time.monotonic() - begin:.0f} s",
        f"{total:,.0f} predictions, {acknowledged:,} acknowledged, {total - acknowledged:,.0f} of flushes cut short",
        f"at most {most} slots, {len(times)} scrapes, half of them within {times[len(times) // 2] * 1000:.0f} ms",
    ]
    sys.stdout.write("\n" + "\n".join(figures) + "\n")
