"""Ten million predictions with everything on leave memory where it was."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from modelwatch import ReferenceProfile

SCRIPT = Path(__file__).with_name("recording_for_days.py")
RECORDS = int(os.environ.get("SOAK_RECORDS", "10_000_000"))
WARM = 0.2
"""The part at the beginning in which caches, pages and the allocator find their size."""
ALLOWED_MEGABYTES = 8.0


@pytest.mark.soak
def test_memory_is_flat_over_ten_million_records(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    columns = {f"f{i}": rng.normal(5.0, 3.0, 5000) for i in range(24)}
    kinds = [f"k{i % 40}" for i in range(5000)]
    profile = ReferenceProfile.build({**columns, "kind": kinds}, predictions=rng.random(5000))
    path = profile.save(tmp_path / "profile.json")
    begin = time.monotonic()
    command = [sys.executable, str(SCRIPT), str(tmp_path / "storage"), str(path), str(RECORDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr
    seconds = time.monotonic() - begin
    samples = np.array([line.split() for line in done.stdout.splitlines()], np.float64)
    records, megabytes = samples[:, 0], samples[:, 1] / 1024
    warm = records >= WARM * RECORDS
    slope, _ = np.polyfit(records[warm], megabytes[warm], 1)
    growth = slope * (1 - WARM) * RECORDS
    figures = [
        f"{RECORDS:,} predictions of 25 features, stored and cleaned up, in {seconds:.0f} s",
        f"{seconds / RECORDS * 1e6:.1f} µs each, with all that the background does",
        f"memory in MB: {', '.join(f'{m:.0f}' for m in megabytes[::5])}",
        f"growth after the first fifth: {growth:+.1f} MB",
    ]
    sys.stdout.write("\n" + "\n".join(figures) + "\n")
    assert growth < ALLOWED_MEGABYTES
