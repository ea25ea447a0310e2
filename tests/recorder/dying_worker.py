"""A worker that is killed before or after any call to the system that it makes: one child for each such moment.

Prints ``moment, last total acknowledged, total being written`` for each child that was killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.records import CellLayout, FeatureCells

CALLS = {
    "open", "close", "pwrite", "write", "ftruncate", "posix_fallocate", "replace", "unlink", "flock", "mkdir", "pread",
}  # fmt: skip
LAYOUT = CellLayout(tuple(FeatureCells(f"f{i}", "numeric", edges=tuple(map(float, range(60)))) for i in range(200)))
PROFILE: Any = SimpleNamespace(id=LAYOUT.id, layout=LAYOUT, feature_names=(), task=None)
"""Of more cells than the first size of a slot can hold."""
BEFORE = 5


class Death:
    """Counts calls to the system and kills the process at one of them."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __call__(self, frame: FrameType, event: str, what: Any) -> None:
        if event in ("c_call", "c_return") and getattr(what, "__name__", "") in CALLS:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def live(storage: Path, moment: int, say: int) -> None:
    """Claim a slot, write it, grow it, write it again; say what is being written and what is acknowledged."""
    recorder = make(storage)
    done = 0
    sys.setprofile(Death(moment))
    for rows in (3, 4, 2):
        for i in range(rows):
            recorder.record("m", 0.5, {"f1": i})
        os.write(say, f"{done} {done + rows}\n".encode())
        if not recorder.flush():
            os._exit(5)
        done += rows
        recorder.set_profile("m", None, PROFILE)
    sys.setprofile(None)
    os.write(say, f"{done} {done}\n".encode())
    recorder.close()


def make(storage: Path) -> Recorder:
    recorder = Recorder(storage, None, start_thread=False)
    recorder.add_model(RecordedModel("m", "1"))
    return recorder


def main(folder: Path, kind: str) -> None:
    """Kill one child after another, each a moment later in its life, until one lives to its end."""
    if kind == "takes over":
        dead = make(folder / "template")
        for _ in range(BEFORE):
            dead.record("m", 0.5, {})
        dead.flush()
        dead.close()
    code, moment = -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        moment += 1
        storage = folder / str(moment)
        if kind == "takes over":
            shutil.copytree(folder / "template", storage)
        out, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            live(storage, moment, say)
            os._exit(0)
        os.close(say)
        with open(out) as said:
            lines = said.read().splitlines()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        acknowledged, attempted = lines[-1].split() if lines else ("0", "0")
        sys.stdout.write(f"{moment} {code} {acknowledged} {attempted}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
