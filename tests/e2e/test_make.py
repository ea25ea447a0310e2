"""`make demo`, as the README tells a stranger to type it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.e2e
def test_make_demo_shows_the_alert_and_ends_by_itself(tmp_path: Path) -> None:
    # A make inside a make inherits flags that are not the reader's; ports may be taken, so any will do.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    options = f"--profile ci --exit-on-alert --port 0 --folder {tmp_path / 'demo'}"
    done = subprocess.run(
        ["make", "demo", f"ARGS={options}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("ALERT in the log", "ALERT on Slack", "ALERT by email", "distance", "carrier"):
        assert words in done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"demo", "default-storage"}
