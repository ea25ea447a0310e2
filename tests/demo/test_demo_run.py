"""The demo as people run it: a process of its own in an empty folder, on real flights, with real servers."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

_SECONDS = re.compile(r"(log|email|slack) ([0-9.]+) s")


class Run:
    """A demo in a process group of its own; its folder, home and temporary folder lie under `root`."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self.here = root / "here"
        self.outside = [root / "home", root / "tmp"]
        for folder in (self.here, *self.outside):
            folder.mkdir()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MODELWATCH_", "XDG_"))}
        environment |= {"HOME": str(root / "home"), "TMPDIR": str(root / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error::ResourceWarning", "-m", "modelwatch", "demo", "--port", "0",
             "--prometheus", "no", *options],
            cwd=self.here, env=environment, start_new_session=True, text=True, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, words: str, seconds: float) -> str:
        """Return the line with these words."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"no {words!r} within {seconds} s:\n{self.text}")
            if line is None:
                pytest.fail(f"it ended without {words!r}:\n{self.text}")
            if words in line:
                return line

    def end(self, seconds: float) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def assert_nothing_is_left(self) -> None:
        with pytest.raises(ProcessLookupError):
            os.killpg(self.process.pid, 0)
        assert [p.name for p in self.here.iterdir()] == [".demo"]
        assert [p for folder in self.outside for p in folder.rglob("*")] == []

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._new.put(line)
        self._new.put(None)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*options: str) -> Run:
        runs.append(Run(tmp_path, *options))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill()


def read_metrics(line: str) -> str:
    with urllib.request.urlopen(line.split()[-1], timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_fault_alert_cure_resolved_and_nothing_left(start: Callable[..., Run]) -> None:
    run = start("--profile", "ci")
    metrics = run.wait_for("Metrics:", 60)
    run.wait_for("FAULT", 30)
    text = read_metrics(metrics)
    assert re.search(r'modelwatch_predictions_total\{model_id="flight_delay",model_version=""\} [1-9]', text)
    run.wait_for("ALERT", 45)
    text = read_metrics(metrics)
    assert re.search(r'modelwatch_drift_severity\{[^}]*drift_type="data",feature="distance"[^}]*\} [2-4]', text)
    assert re.search(r"modelwatch_dropped_records_total\{[^}]*\} [1-9]", text) is None
    assert re.search(r"modelwatch_recorder_errors_total\{[^}]*\} [1-9]", text) is None
    assert run.end(100) == 0, run.text
    for words in ("From the fault to the alert", "From the cure to 'resolved'"):
        (line,) = (line for line in run.lines if words in line)
        seconds = {channel: float(value) for channel, value in _SECONDS.findall(line)}
        assert seconds.keys() == {"log", "email", "slack"}
        assert max(seconds.values()) <= 45, line
    mail = next(line for line in run.lines if "Subject: [" in line)
    assert "flight_delay" in mail
    assert "distance" in mail
    assert "carrier" in mail
    run.assert_nothing_is_left()


def test_exit_on_alert_ends_with_the_alert(start: Callable[..., Run]) -> None:
    run = start("--profile", "ci", "--exit-on-alert", "--speed", "2")
    assert run.end(100) == 0, run.text
    assert "The alert has arrived everywhere" in run.text
    assert "RESOLVED" not in run.text
    run.assert_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_that_was_started(start: Callable[..., Run], number: signal.Signals) -> None:
    run = start("--no-fault", "--speed", "4")
    run.wait_for("flights served", 60)
    run.process.send_signal(number)
    assert run.end(20) == 0, run.text
    assert "Stopped on request." in run.text
    assert "Traceback" not in run.text
    run.assert_nothing_is_left()


def test_a_signal_while_it_is_being_prepared_is_heeded_too(start: Callable[..., Run]) -> None:
    run = start()
    run.wait_for("Read 327 346 flights", 60)
    run.process.send_signal(signal.SIGINT)
    assert run.end(20) == 0, run.text
    assert "Traceback" not in run.text
    run.assert_nothing_is_left()
