"""Dashboards as files, and what Grafana is told to do with them."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch.cli import main
from modelwatch.exceptions import InputError
from modelwatch_grafana import DASHBOARDS, dashboard_text, write_dashboards

FOLDER_IN_CONTAINER = "/var/lib/grafana/dashboards"


def test_committed_dashboards_are_the_generated_ones(grafana_folder: Path) -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in (grafana_folder / "dashboards").glob("*")}
    assert committed == {name: dashboard_text(build()) for name, build in DASHBOARDS.items()}, (
        "run: modelwatch dashboards generate"
    )


def test_the_command_writes_files_that_everybody_can_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    assert main(["dashboards", "generate", "--out", str(out)]) == 0
    assert capsys.readouterr().out.split() == [str(out / name) for name in DASHBOARDS]
    assert {path.name for path in out.iterdir()} == set(DASHBOARDS), "no temporary files are left"
    for path in out.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert json.loads(path.read_text(encoding="utf-8"))["panels"]


def test_generating_twice_gives_the_same_bytes_and_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("{}")
    first = {path: path.read_bytes() for path in write_dashboards(tmp_path)}
    assert {path: path.read_bytes() for path in write_dashboards(tmp_path)} == first
    assert (tmp_path / "mine.json").read_text() == "{}"


@pytest.mark.parametrize("step", ["os.replace", "pathlib.Path.chmod", "pathlib.Path.write_text"])
def test_a_fault_while_writing_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    name = next(iter(DASHBOARDS))
    (tmp_path / name).write_text("old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, full)
    with pytest.raises(InputError, match="No space left on device"):
        write_dashboards(tmp_path)
    monkeypatch.undo()
    assert (tmp_path / name).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name], "no temporary files are left"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["dashboards", "generate", "--out", str(tmp_path / "file" / "below")]) == 2
    assert "can't write dashboards to" in capsys.readouterr().err


def test_grafana_is_told_of_the_datasource_by_a_stable_uid(grafana_folder: Path) -> None:
    found = yaml.safe_load((grafana_folder / "provisioning/datasources/modelwatch.yml").read_text())
    assert found["apiVersion"] == 1
    by_uid = {source["uid"]: source for source in found["datasources"]}
    prometheus, alertmanager = by_uid["prometheus"], by_uid["alertmanager"]
    assert (prometheus["type"], prometheus["isDefault"], prometheus["editable"]) == ("prometheus", True, False)
    assert alertmanager["jsonData"]["implementation"] == "prometheus"


def test_all_dashboards_are_in_one_folder_and_cannot_be_lost_in_the_browser(grafana_folder: Path) -> None:
    found = yaml.safe_load((grafana_folder / "provisioning/dashboards/modelwatch.yml").read_text())
    (provider,) = found["providers"]
    assert (provider["folder"], provider["folderUid"]) == ("modelwatch", "modelwatch")
    assert (provider["allowUiUpdates"], provider["disableDeletion"]) == (False, True)
    assert provider["options"] == {"path": FOLDER_IN_CONTAINER, "foldersFromFilesStructure": False}
