"""A disk that is full or read-only is called that, and shown as not usable for as long as it is."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.store.files import unusable

REFUSED = "recordings are kept in memory for now, the store refuses them: "
FREE = "is full: free space on it"


@pytest.mark.parametrize(
    "why",
    [os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "the database says 'database or disk is full'"],
)
def test_a_full_disk_is_told_to_be_made_free_and_not_to_be_made_writable(tmp_path: Path, why: str) -> None:
    told = str(unusable(tmp_path / "not" / "there", why))
    assert FREE in told
    assert "writable" not in told


def test_a_folder_of_somebody_else_is_told_to_be_made_writable(tmp_path: Path) -> None:
    assert f": Permission denied. Make it a writable folder on a local disk for user id {os.getuid()}, or" in str(
        unusable(tmp_path, "Permission denied")
    )


def test_while_the_store_refuses_writes_it_is_not_usable_and_registering_says_so(make_service: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m"})
    (idle,) = service._parts.store._database._pool().idle
    pages = idle.connection.execute("PRAGMA page_count").fetchone()[0]
    idle.connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite takes that for a full disk
    service.record_predictions("m", [0.5] * 50_000, {"a": [float(i) for i in range(50_000)]})
    assert not service.flush()
    status = service.get_service_status()
    assert (status["service_status"], status["storage"]["usable"]) == ("degraded", False)
    assert status["reasons"][0].startswith(REFUSED)
    assert FREE in status["reasons"][0]
    (warning,) = service.register_model({"model_id": "n"})["warnings"]
    assert warning.startswith(REFUSED)
    service._parts.store._database.close_idle()  # a new connection knows no such limit
    assert service.flush()
    status = service.get_service_status()
    assert (status["service_status"], status["reasons"], status["storage"]["usable"]) == ("healthy", [], True)
    assert "warnings" not in service.register_model({"model_id": "n"})


def test_a_service_without_a_store_says_so_when_a_model_is_registered(make_service: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (warning,) = make_service(storage_path=tmp_path / "file").register_model({"model_id": "m"})["warnings"]
    assert warning.startswith("nothing is stored: cannot use the storage folder")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return how to mount a small disk, or mount it anew with other options; skip where nobody may."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")

    def mounted(options: str) -> Path:
        command = [mount or "mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount")
        return folder

    yield mounted
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def test_a_real_full_disk(disk: Any) -> None:
    folder = disk("size=3m")
    with ProductionMonitoringService(storage_path=folder / "s", background=False) as service:
        service.register_model({"model_id": "m"})
        filler = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT)
        os.posix_fallocate(filler, 0, os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize)
        os.close(filler)
        service.record_predictions("m", [0.5] * 50_000, {"a": [float(i) for i in range(50_000)]})
        assert not service.flush()
        status = service.get_service_status()
        assert (FREE in status["reasons"][0], status["storage"]["usable"]) == (True, False)
        (folder / "filler").unlink()
        assert service.flush()
        assert service.get_service_status()["storage"]["usable"]


def test_a_real_read_only_disk(disk: Any) -> None:
    folder = disk("size=3m")
    ProductionMonitoringService(storage_path=folder / "s", background=False).close()
    disk("remount,ro")
    with ProductionMonitoringService(storage_path=folder / "s", background=False) as service:
        (warning,) = service.register_model({"model_id": "m"})["warnings"]
        assert "it is on a file system that is mounted read-only. Mount that writable, or name another one" in warning
        assert service.record_prediction("m", 0.5, {"a": 1.0})["status"] == "success"


def test_a_reason_names_its_model_once(make_service: Any, clock: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "performance_threshold": {"error_rate": 0.02}})
    for _ in range(2):
        for i in range(200):
            service.record_prediction("m", 0.5, {"a": 1.0}, error=i % 2 == 0)
        assert service.flush()
        clock.advance(60)
    service._parts.jobs.operational(clock())
    reasons = [reason for reason in service.get_service_status()["reasons"] if reason.startswith("m: ")]
    assert reasons
    assert not [reason for reason in reasons if reason.startswith("m: m: ")]
