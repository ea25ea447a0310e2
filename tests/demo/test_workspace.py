"""The demo's folder: its own, locked, swept."""

import os
import stat
from pathlib import Path

import pytest

from modelwatch.config import load_config
from modelwatch.demo.script import Timetable
from modelwatch.demo.settings import MODEL_ID, config_text
from modelwatch.demo.workspace import Workspace
from modelwatch.exceptions import InputError


def test_the_default_is_a_folder_here_that_git_ignores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Workspace() as workspace:
        assert workspace.folder == tmp_path / ".demo"
        assert str(workspace.shown) == ".demo"
        assert workspace.show(workspace.config) == os.path.join(".demo", "models.yaml")
        assert (workspace.folder / ".gitignore").read_text() == "*\n"


def test_where_nothing_can_be_written_it_is_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".demo").write_text("a file, so no folder can be made: root may write anywhere else")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Workspace() as workspace:
        assert workspace.folder.parent == tmp_path
        assert workspace.folder.name.startswith("modelwatch-demo-")


def test_a_named_folder_that_cannot_be_written_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"can't write to .*file: .*; name another place"):
        Workspace(tmp_path / "file")


def test_a_second_run_sweeps_the_storage_and_keeps_the_prepared_flights(tmp_path: Path) -> None:
    with Workspace(tmp_path / "d") as workspace:
        workspace.storage.mkdir()
        (workspace.storage / "modelwatch.db").write_text("old")
        workspace.flights.write_text("prepared")
    with Workspace(tmp_path / "d") as workspace:
        assert not workspace.storage.exists()
        assert workspace.flights.read_text() == "prepared"


def test_files_that_are_not_the_demos_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    with pytest.raises(InputError, match="holds files that are not the demo's"):
        Workspace(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["storage"]


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with Workspace(tmp_path / "d"), pytest.raises(InputError, match="another demo is running"):
        Workspace(tmp_path / "d")
    Workspace(tmp_path / "d").close()


def test_secrets_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    with Workspace(tmp_path / "d") as workspace:
        workspace.write_secret(workspace.slack_url, "http://127.0.0.1:1/x")
        assert stat.S_IMODE(workspace.slack_url.stat().st_mode) == 0o600


@pytest.mark.parametrize("speed", [0.25, 1.0, 3.0, 4.0])
def test_the_written_configuration_is_one_that_modelwatch_accepts(tmp_path: Path, speed: float) -> None:
    times = Timetable().faster(speed)
    odd = tmp_path / 'a "folder": with {{ odd }} \\ name'
    odd.mkdir()
    path = tmp_path / "models.yaml"
    path.write_text(config_text(times, profile=odd / "p.json", slack_url=odd / "slack_url", smtp_port=2525))
    config = load_config(path)
    (model,) = config.models
    assert model.model_id == MODEL_ID
    assert model.reference == str(odd / "p.json")
    assert model.interval_seconds == pytest.approx(times.interval, rel=1e-3)
    assert tuple(model.drift.window_seconds.values()) == pytest.approx(times.windows, rel=1e-3)
    assert config.alerting.severity_routing["warning"] == ("log", "email", "slack")
