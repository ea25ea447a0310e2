"""Where locks and files are shared with other kernels, each process counts alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelwatch.recorder import mounts
from modelwatch.recorder.mounts import remote_kind

TABLE = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /srv rw - nfs4 server:/export rw
31 30 0:41 / /srv/fast rw - xfs /dev/vdb rw
32 22 0:42 / /mnt/c rw - 9p drvfs rw
33 22 0:43 / /two\040words rw - virtiofs tag rw
34 22 0:44 / /hidden rw - nfs server:/a rw
35 34 0:45 / /hidden rw - tmpfs tmpfs rw
36 22 0:46 / /ssh rw - fuse.sshfs host: rw
37 22 0:47 / /overlay rw - overlay overlay rw,lowerdir=/a - b
38 this line is of a later kernel
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/modelwatch", None),
        ("/srv", "nfs4"),
        ("/srv/models/slots", "nfs4"),
        ("/srv/fast/models", None),
        ("/srvelsewhere", None),
        ("/mnt/c/Users", "9p"),
        ("/two words/x", "virtiofs"),
        ("/hidden/x", None),
        ("/ssh/x", "fuse.sshfs"),
        ("/overlay/x", None),
    ],
)
def test_the_innermost_file_system_says_whether_a_folder_is_local(
    folder: str, kind: str | None, tmp_path: Path
) -> None:
    (tmp_path / "mountinfo").write_text(TABLE)
    assert remote_kind(Path(folder), tmp_path / "mountinfo") == kind


def test_the_folder_of_this_test_is_local_and_so_is_one_of_which_nobody_can_tell(tmp_path: Path) -> None:
    assert remote_kind(tmp_path) is None
    assert remote_kind(tmp_path, tmp_path / "no table here") is None


def test_on_a_remote_file_system_a_process_counts_alone_and_says_why(
    make_recorder: Any, see: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / {tmp_path} rw - nfs4 server:/export rw\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)
    one, two = make_recorder(), make_recorder()
    for recorder, rows in ((one, 1), (two, 2)):
        for _ in range(rows):
            recorder.record("m", 0.5, {})
        assert recorder.flush()
        assert see.totals(recorder)[0] == rows
        assert recorder.shared is False
    assert "its file system is nfs4, they need a local one; this process counts alone" in caplog.text
