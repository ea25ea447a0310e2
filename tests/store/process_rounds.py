"""Run by test_store_processes.py in a process of its own, where forking is safe: ``process_rounds.py ROUND FOLDER``."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from modelwatch.records import FlushBatch, RowChunk
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries


def _batch(worker: str, number: int) -> FlushBatch:
    values = np.sqrt(np.arange(200.0) + number)  # np.random is imported when first used, which no fork may interrupt
    chunk = RowChunk("m", "1", np.full(200, float(number)), [f"{worker}-{number}"] * 200, {"x": values})
    return FlushBatch(worker, rows=[chunk])


def _stored(folder: Path) -> set[str]:
    with StoreQueries(folder) as queries:
        assert queries.integrity() == "ok"
        found = [chunk.ids[0] for chunk in queries.row_chunks("m", 0, 1e9)]
    assert len(found) == len(set(found)), "a chunk was stored twice"
    return set(found)


def _forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a child must end here, whatever happened
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    return child


def _joined(children: list[int]) -> None:
    for child in children:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, "a child failed"


def _commit_forever(folder: Path, worker: str, acknowledge: int) -> None:
    with StoreWriter(folder) as store:
        number = 0
        while True:
            store.commit(_batch(worker, number))
            os.write(acknowledge, f"{worker}-{number}\n".encode())
            number += 1


def killed(folder: Path) -> None:
    """Kill a committing child thirty times, each time after a random number of acknowledgements."""
    dice = random.Random(7)
    acknowledged: set[str] = set()
    with StoreWriter(folder) as inherited:
        inherited.commit(_batch("parent", 0))
        for attempt in range(30):
            reading, writing = os.pipe()
            child = _forked(lambda n=attempt, w=writing: _commit_forever(folder, f"round{n}", w))  # type: ignore[misc]
            os.close(writing)
            with os.fdopen(reading) as lines:
                for _ in range(dice.randint(1, 15)):
                    acknowledged.add(lines.readline().strip())
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                acknowledged.update(line.strip() for line in lines if line.endswith("\n"))
        inherited.commit(_batch("parent", 1))
    stored = _stored(folder)
    assert acknowledged | {"parent-0", "parent-1"} <= stored, acknowledged - stored


def crowd(folder: Path) -> None:
    """Let four children write at once, who all inherit the parent's store, which is closed meanwhile."""

    def write(worker: str) -> None:
        for number in range(100):
            store.commit(_batch(worker, number))
        store.close()

    store = StoreWriter(folder)
    store.commit(_batch("parent", 0))
    children = [_forked(lambda n=n: write(f"child{n}")) for n in range(4)]  # type: ignore[misc]
    store.close()
    _joined(children)
    assert _stored(folder) == {"parent-0"} | {f"child{n}-{i}" for n in range(4) for i in range(100)}


def busy(folder: Path) -> None:
    """Fork again and again while other threads are in the middle of their work."""
    stop = threading.Event()
    done: set[str] = set()
    store = StoreWriter(folder)

    def work(worker: str) -> None:
        number = 0
        while not stop.is_set():
            store.commit(_batch(worker, number))
            with StoreQueries(folder) as queries:
                queries.subjects("m", 0)
            done.add(f"{worker}-{number}")
            number += 1

    threads = [threading.Thread(target=work, args=(f"thread{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for attempt in range(20):
        _joined([_forked(lambda n=attempt: store.commit(_batch("fork", n)))])  # type: ignore[misc]
        done.add(f"fork-{attempt}")
    stop.set()
    for thread in threads:
        thread.join()
    store.close()
    assert _stored(folder) == done


if __name__ == "__main__":
    {"killed": killed, "crowd": crowd, "busy": busy}[sys.argv[1]](Path(sys.argv[2]))
