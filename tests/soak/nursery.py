"""Forks serving processes on demand: each predicts as fast as it can until it is killed, or told to end by SIGTERM.

Reads one line per process from stdin. Says ``start PID``, ``ack PID TOTAL`` after each flush that returned True,
``end PID TOTAL`` before it ends by itself, and ``dead PID`` once it is gone.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

from modelwatch import ProductionMonitoringService

MODELS = ("scores", "labels")
BURST = 40
"""Predictions between two flushes: what a kill may add to what was acknowledged."""


def say(text: str) -> None:
    """Write one line at once, whole."""
    os.write(1, f"{text}\n".encode())


def serve(storage: str, profile: str) -> None:
    """Predict in bursts and say what is acknowledged."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    say(f"start {os.getpid()}")
    service = ProductionMonitoringService(storage_path=storage, background=False)
    for model_id in MODELS:
        service.register_model({"model_id": model_id, "reference": profile, "log_predictions": False})
    total = 0
    while not ended:
        for i in range(BURST):
            features = {f"f{j}": (total * j % 100) / 10 for j in range(25)}
            service.record_prediction(MODELS[i % 2], i / BURST, features, latency_ms=float(i))
        total += BURST
        if service.flush():
            say(f"ack {os.getpid()} {total}")
    service.close()
    say(f"end {os.getpid()} {total}")


def announce_death(pid: int) -> None:
    """Wait for a process's end and say so."""
    os.waitpid(pid, 0)
    say(f"dead {pid}")


def main(storage: str, profile: str) -> None:
    """Fork one process per line, until stdin ends."""
    while True:
        select.select([0], [], [])
        lines = os.read(0, 65536)
        if not lines:
            return
        for _ in range(lines.count(b"\n")):
            pid = os.fork()
            if pid == 0:
                serve(storage, profile)
                os._exit(0)
            threading.Thread(target=announce_death, args=(pid,), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
