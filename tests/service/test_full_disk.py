"""A disk that is full: what is said of it, and that a cleanup frees what has expired all the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch.records import FlushBatch, RowChunk
from modelwatch.service.cleanup import Report

DAY = 86400.0
MOUNT = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run([*MOUNT, folder], check=False, capture_output=True)
    except OSError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("only the superuser can make a small disk here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill_up(folder: Path) -> None:
    """Leave no space at all."""
    with open(folder / "other", "wb", buffering=0) as file:
        for size in (2**20, 2**12):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def put(service: Any, at: float, chunks: int) -> None:
    values = np.random.default_rng(int(at)).random(12_000)
    for i in range(chunks):
        chunk = RowChunk("m", "", np.full(12_000, at + i), ["i"] * 12_000, {"x": values + i})
        service._parts.store.commit(FlushBatch("w", rows=[chunk]))


def test_a_cleanup_frees_what_has_expired_on_a_full_disk(
    make_service: Any, profile_path: Path, clock: Any, small_disk: Path
) -> None:
    service = make_service(storage_path=small_disk / "storage")
    service.register_model({"model_id": "m", "retention_days": 1, "reference": str(profile_path)})
    put(service, clock.now, 110)
    service._parts.store.checkpoint()  # as SQLite does every now and then
    fill_up(small_disk)
    service.record_predictions("m", np.full(20_000, 0.5), {"distance": np.random.default_rng(1).random(20_000)})
    service.flush()
    clock.advance(2 * DAY)
    report = Report()
    for _ in service._parts.cleanup.steps(clock.now, report):
        pass
    assert report.removed["m"]["rows"]["rows"] >= 110 * 12_000
    assert os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize > 5 * 2**20
    assert service.flush()
    assert service.get_service_status()["service_status"] == "healthy"


def test_a_full_disk_is_called_so_and_not_an_unusable_folder(make_service: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m"})
    database = service._parts.store._database
    database.run(lambda c: c.execute("PRAGMA max_page_count = 1").fetchall(), write=False)  # as many as there are
    service.record_predictions("m", np.full(20_000, 0.5), {"x": np.random.default_rng(1).random(20_000)})
    assert service.flush() is False
    (reason,) = (text for text in service.get_service_status()["reasons"] if "kept in memory" in text)
    assert "is full: free space on it" in reason
    assert "storage.max_size or" in reason
    assert "writable" not in reason
