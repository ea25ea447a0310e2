"""Thirty young servers that fork while their background threads are at work for the first time."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.store import StoreWriter

SERVERS = 30
ROWS, ROWS_OF_A_CHILD = 400, 50
DEADLINE_SECONDS = 30


def serve(storage: Path, number: int) -> None:
    """Record in one thread, fork in another; both processes have to store all they were given."""
    signal.alarm(DEADLINE_SECONDS)  # whoever hangs is killed, which shows in its exit status
    recorder = Recorder(storage, StoreWriter(storage), flush_interval=0.001)
    recorder.add_model(RecordedModel("m", "1", task="binary", decision_threshold=0.5))
    loaded = threading.Event()

    def load() -> None:
        for i in range(ROWS):
            recorder.record("m", i / ROWS, {"a": float(i), "b": str(i % 7), "c": [i]}, actual=1, latency_ms=1.0)
            if i == number * 10:
                loaded.set()

    thread = threading.Thread(target=load)
    thread.start()
    loaded.wait(DEADLINE_SECONDS)
    child = os.fork()
    if child == 0:
        signal.alarm(DEADLINE_SECONDS)
        for i in range(ROWS_OF_A_CHILD):
            recorder.record("m", 0.7, {"a": float(i), "b": "child"}, actual=0)
        os._exit(0 if recorder.flush(DEADLINE_SECONDS) else 3)
    _, status = os.waitpid(child, 0)
    thread.join()
    os._exit(os.waitstatus_to_exitcode(status) or (0 if recorder.flush(DEADLINE_SECONDS) else 4))


def main() -> None:
    """Start the servers one after another and print how they ended."""
    for number in range(SERVERS):
        pid = os.fork()
        if pid == 0:
            serve(Path(sys.argv[1]), number)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
