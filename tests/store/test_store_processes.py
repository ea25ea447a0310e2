"""Several processes, forks and kills: what was acknowledged is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelwatch.store.forks import ForkGate

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.parametrize("case", ["killed", "crowd", "busy"])
def test_nothing_acknowledged_is_lost(folder: Path, case: str) -> None:
    script = Path(__file__).with_name("process_rounds.py")
    # Forking with threads running is deprecated, and just what a model server may do.
    options = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    command = [sys.executable, *options, str(script), case, str(folder)]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        _, errors = run.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)  # its children too
        run.communicate()
        raise
    assert (run.returncode, errors) == (0, "")


def test_the_writer_side_needs_no_heavy_package() -> None:
    code = (
        "import sys, modelwatch.store; "
        "print(sorted({'sqlalchemy', 'scipy', 'pandas', 'pyarrow'} & {m.split('.')[0] for m in sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"


def test_a_fork_does_not_wait_for_ever() -> None:
    gate = ForkGate(patience=0.01)
    closed: list[str] = []

    class Member:
        def close_idle(self) -> None:
            closed.append("idle")

    member = Member()
    gate.add(member)
    with gate.held():
        gate.before_fork()
        gate.after_fork_in_parent()
    assert closed == []
    gate.before_fork()
    gate.after_fork_in_child()
    assert closed == ["idle"]
    with gate.held():
        assert gate is not None
