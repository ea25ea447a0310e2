"""A full disk, in memory too, and a limit on the sizes of files: counting goes on, and nobody is killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.records import CellLayout, FeatureCells

layout = CellLayout(tuple(FeatureCells(f"f{i}", "numeric", edges=tuple(map(float, range(60)))) for i in range(200)))
wide = SimpleNamespace(id=layout.id, layout=layout, feature_names=(), task=None)  # more than a slot's first size holds
storage = Path(sys.argv[1])

def record(recorder, rows):
    for i in range(rows):
        recorder.record("m", 0.5, {"f1": i})

def shown():
    block = Recorder(storage, None, start_thread=False).snapshot().vectors.get(("totals", "m", "1"))
    return 0 if block is None else int(block.ints[0])

def make():
    recorder = Recorder(storage, None, start_thread=False)
    recorder.add_model(RecordedModel("m", "1"))
    return recorder

def faults(recorder):
    return dict(recorder.snapshot().names["faults", "", ""].counts)
"""
FULL_TMPFS = """
def fill():
    with open(storage / "other", "ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass

recorder, late = make(), make()
record(recorder, 3)
assert recorder.flush()
fill()
record(recorder, 4)
assert recorder.flush(), "its space was reserved"
assert shown() == 7
recorder.set_profile("m", None, wide)
record(recorder, 100)
assert not recorder.flush(), "to grow there is no space"
record(late, 5)
assert not late.flush(), "nor for another slot"
assert late.shared and shown() == 7
(storage / "other").unlink()
assert recorder.flush() and late.flush()
assert shown() == 112
assert faults(recorder) == {"disk_full": 2}, faults(recorder)
assert sorted(os.listdir(storage / "slots")) == [".epoch", ".lock", ".names", "0000.slot", "0001.slot"]

fill()
(storage / "slots" / "0001.slot").unlink()
os.truncate(storage / "other", os.path.getsize(storage / "other") // 4096 * 4096 + 4096)
fill()
assert shown() == 0, "a slot is lost"
(storage / "other").unlink()
record(recorder, 1)
assert recorder.flush()
assert shown() == 1
print("done")
"""
SIZE_LIMIT = """
import resource
recorder = make()
record(recorder, 3)
assert recorder.flush()
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (140_000, hard))
recorder.set_profile("m", None, wide)
record(recorder, 100)
assert not recorder.flush(), "it can't grow"
assert shown() == 3
record(recorder, 4)
assert not recorder.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert recorder.flush()
assert shown() == 107
assert faults(recorder) == {"slot_write": 2}, faults(recorder)

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
late = make()
record(late, 5)
late.flush()
assert not late.shared, "no slot can ever be made here"
assert shown() == 107
print("done")
"""
TMPFS = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -W ignore -c "$3" "$1"'


def test_a_full_tmpfs_stops_no_counting_and_kills_nobody(tmp_path: Path) -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    command = ["unshare", "-Urm", "sh", "-c", TMPFS, "sh", str(tmp_path), sys.executable, PRELUDE + FULL_TMPFS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_limit_on_the_size_of_files_stops_no_counting(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + SIZE_LIMIT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
