"""Workers in containers have the same process ids; slots are owned by locks, which tell them apart."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelwatch.recorder import Recorder

CONTAINER = ["unshare", "-Urpf", "--kill-child"]
WORKER = """
import os, sys
from pathlib import Path
from modelwatch.recorder import RecordedModel, Recorder

recorder = Recorder(Path(sys.argv[1]), None, start_thread=False)
recorder.add_model(RecordedModel("m", "1"))
for line in sys.stdin:
    for _ in range(int(line)):
        recorder.record("m", 0.5, {})
    assert recorder.flush()
    print(os.getpid(), recorder._engine.worker._slot.path.name, flush=True)
"""


class Container:
    """A worker in a process namespace of its own."""

    def __init__(self, storage: Path) -> None:
        command = [*CONTAINER, sys.executable, "-c", WORKER, str(storage)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def record(self, rows: int) -> tuple[int, str]:
        """Record and flush; return the worker's process id as it sees it, and its slot."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{rows}\n")
        self.process.stdin.flush()
        pid, slot = self.process.stdout.readline().split()
        return int(pid), slot

    def kill(self) -> None:
        """Kill it as the orchestrator does; the kernel kills all of a namespace with its first process."""
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Container]]:
    if not shutil.which("unshare") or subprocess.run([*CONTAINER, "true"], capture_output=True).returncode:
        pytest.skip("no process namespace can be made here")
    made: list[Container] = []

    def make() -> Container:
        made.append(Container(tmp_path))
        return made[-1]

    yield make
    for container in made:
        container.kill()


def test_workers_of_the_same_pid_have_slots_of_their_own_and_take_over_only_those_of_the_dead(
    start: Callable[[], Container], tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    reader = Recorder(tmp_path, None, start_thread=False)

    def shown() -> int:
        return int(reader.snapshot().vectors["totals", "m", "1"].ints[0])

    one, two = start(), start()
    (pid, first), (same_pid, second) = one.record(3), two.record(4)
    assert pid == same_pid == 1
    assert {first, second} == {"0000.slot", "0001.slot"}
    assert shown() == 7
    one.kill()
    three = start()
    assert three.record(10) == (1, first)
    assert two.record(1) == (1, second)
    assert shown() == 18
