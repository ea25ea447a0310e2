"""Children of `multiprocessing` lose nothing at their end, of which `atexit` is not told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelwatch.recorder import Recorder

SCRIPT = Path(__file__).with_name("pool_of_workers.py")
ROWS = 7


def attempts(storage: Path) -> dict[str, int]:
    totals = Recorder(storage, None, start_thread=False).snapshot()
    return {key[2]: int(block.ints[0]) for key, block in totals.vectors.items() if key[0] == "totals"}


@pytest.mark.parametrize(
    ("kind", "method", "counted"),
    [
        ("loaded", "fork", {"loaded": ROWS}),
        ("loaded", "spawn", {"loaded": ROWS}),
        ("loaded", "forkserver", {"loaded": ROWS}),
        ("own", "fork", {"own": ROWS}),
        ("own", "forkserver", {"own": ROWS}),
        ("fails", "fork", {"loaded": ROWS}),
        ("nested", "fork", {"loaded": 2 * ROWS}),
        ("nested", "forkserver", {"loaded": 2 * ROWS}),
        ("executor", "fork", {"loaded": 6 * ROWS}),
        ("executor", "spawn", {"loaded": 6 * ROWS}),
        ("pool", "fork", {"loaded": 6 * ROWS}),
    ],
)
def test_what_a_child_recorded_just_before_its_end_is_there(
    kind: str, method: str, counted: dict[str, int], tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), kind, method]
    env = {**os.environ, "POOL_STORAGE": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert attempts(tmp_path) == counted
    assert len(list((tmp_path / "slots").glob("*.slot"))) <= 3


def test_whoever_has_no_such_children_does_not_load_multiprocessing(tmp_path: Path) -> None:
    script = f"""
import os, sys
before = "multiprocessing" in sys.modules
from modelwatch.recorder import RecordedModel, Recorder
recorder = Recorder({str(tmp_path)!r}, None)
recorder.add_model(RecordedModel("m"))
recorder.record("m", 1, {{}})
assert recorder.flush()
if os.fork() == 0:
    os._exit(0)
os.wait()
print(before, "multiprocessing.util" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False False\n", "")
