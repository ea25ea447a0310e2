"""A serving process for tests: forks workers on demand, each of which records until it is killed.

Reads one line per worker from stdin: the storage folder. Writes ``start PID``, ``ack PID TOTAL`` after every flush that
returned True, and ``dead PID`` once a worker is gone.
"""

from __future__ import annotations

import json
import os
import select
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.records import CellLayout, FeatureCells, FlushBatch

# Large, so that a slot is written in many pages: a kill, or a reader, can then come between two of them.
LAYOUT = CellLayout(tuple(FeatureCells(f"f{i}", "numeric", edges=tuple(map(float, range(60)))) for i in range(200)))


def say(text: str) -> None:
    """Write one line at once, whole."""
    os.write(1, f"{text}\n".encode())


class AppendingSink:
    """Appends each batch's totals as one line to a file; a line that is whole counts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def commit(self, batch: FlushBatch) -> None:
        values = [[f"{batch.worker}/{t.model_version}/{t.start}/{t.part}", t.attempts] for t in batch.totals]
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(fd, (json.dumps(values) + "\n").encode())
        finally:
            os.close(fd)


def serve(storage: Path) -> None:
    """Record for ever in bursts, and say what is acknowledged."""
    pid = os.getpid()
    recorder = Recorder(storage, AppendingSink(storage / f"sink-{pid}"), flush_interval=0.001)
    profile: Any = SimpleNamespace(id=LAYOUT.id, layout=LAYOUT, feature_names=(), task=None)
    recorder.add_model(RecordedModel("m", "1", profile=profile, log_predictions=False))
    total = 0
    while True:
        for _ in range(1 + total % 7):
            recorder.record("m", 0.5, {"f1": 5.0}, latency_ms=1.0, model_version=f"v{total % 3}")
            total += 1
        if recorder.flush():
            say(f"ack {pid} {total}")


def announce_death(pid: int) -> None:
    """Wait for a worker's end and say so."""
    os.waitpid(pid, 0)
    say(f"dead {pid}")


def main() -> None:
    """Fork one worker per line, until stdin ends."""
    pending = b""
    while True:
        select.select([0], [], [])
        data = os.read(0, 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                say(f"start {os.getpid()}")
                serve(Path(line.decode()))
            threading.Thread(target=announce_death, args=(pid,), daemon=True).start()


if __name__ == "__main__":
    main()
