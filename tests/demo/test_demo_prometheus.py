"""The demo with Prometheus: the alert takes the long way, and nothing is left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.e2e
def test_fault_alert_and_resolved_come_through_prometheus_and_nothing_is_left(
    tmp_path: Path, require_server: Callable[[str], str]
) -> None:
    require_server("prometheus")
    require_server("alertmanager")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MODELWATCH_")}
    done = subprocess.run(
        [sys.executable, "-m", "modelwatch", "demo", "--profile", "ci", "--prometheus", "yes", "--port", "0"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    text = done.stdout
    assert done.returncode == 0, text + done.stderr
    for channel in ("in the log", "on Slack", "by email"):
        after_fault = re.search(rf"ALERT {channel}, ([\d.]+) s after the fault", text)
        after_cure = re.search(rf"RESOLVED {channel}, ([\d.]+) s after the fault ended", text)
        assert after_fault is not None, text
        assert after_cure is not None, text
        assert float(after_fault[1]) <= 45
        assert float(after_cure[1]) <= 45
    assert "distance" in text
    assert "carrier" in text
    assert {path.name for path in tmp_path.iterdir()} <= {".demo", "default-storage"}
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
