"""Children of `multiprocessing` that record and end at once, well before the next flush."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from modelwatch.recorder import RecordedModel, Recorder

ROWS = 7


def make(storage: Path, version: str) -> Recorder:
    """Return a recorder that flushes when it is closed, and not before."""
    recorder = Recorder(storage, None, flush_interval=3600.0)
    recorder.add_model(RecordedModel("m", version))
    return recorder


STORAGE = Path(os.environ.get("POOL_STORAGE", "nowhere"))
RECORDER = make(STORAGE, "loaded")
"""Made when this file is loaded: in the parent, and once more in children that are spawned."""


def record(recorder: Recorder) -> None:
    for _ in range(ROWS):
        recorder.record("m", 0.5, {"a": 1.0})


def with_the_loaded_one(_: object = None) -> None:
    record(RECORDER)


def with_one_of_its_own(_: object = None) -> None:
    record(make(STORAGE, "own"))


def with_a_child_of_its_own(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    child = context.Process(target=with_the_loaded_one)
    child.start()
    child.join()
    record(RECORDER)


def that_fails() -> None:
    record(RECORDER)
    sys.exit(3)


def main(kind: str, method: str) -> None:
    """Record in children of one kind, and wait for them."""
    context: Any = multiprocessing.get_context(method)
    if kind == "executor":
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(with_the_loaded_one, range(6)))
    elif kind == "pool":
        with context.Pool(2) as pool:
            pool.map(with_the_loaded_one, range(6))
            pool.close()
            pool.join()
    else:
        targets = {
            "loaded": with_the_loaded_one,
            "own": with_one_of_its_own,
            "fails": that_fails,
            "nested": partial(with_a_child_of_its_own, method),
        }
        child = context.Process(target=targets[kind])
        child.start()
        child.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
