"""SIGKILL before and after each call to the system that a slot's life is made of: claim, write, growth, takeover."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelwatch.recorder import RecordedModel, Recorder

SCRIPT = Path(__file__).with_name("dying_worker.py")


def attempts(storage: Path) -> int:
    block = Recorder(storage, None, start_thread=False).snapshot().vectors.get(("totals", "m", "1"))
    return 0 if block is None else int(block.ints[0])


@pytest.mark.parametrize(("kind", "before"), [("begins", 0), ("takes over", 5)])
def test_a_kill_at_any_call_to_the_system_loses_no_flush_and_the_next_worker_counts_on(
    kind: str, before: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    grown = 0
    for line in done.stdout.splitlines():
        moment, code, acknowledged, attempted = map(int, line.split())
        storage, folder = tmp_path / str(moment), tmp_path / str(moment) / "slots"
        total = attempts(storage)
        assert total - before in (acknowledged, attempted), f"killed at call {moment}"
        heir = Recorder(storage, None, start_thread=False)
        heir.add_model(RecordedModel("m", "1"))
        heir.record("m", 0.5, {})
        assert heir.flush()
        assert attempts(storage) == total + 1
        heir.close()
        left = {path.name for path in folder.iterdir()} - {".names"}
        assert left == {".epoch", ".lock", "0000.slot"}, moment
        grown += (folder / "0000.slot").stat().st_size > 200_000
    assert code == 0, "the last one lived to its end"
    assert 10 < grown < moment - 20
