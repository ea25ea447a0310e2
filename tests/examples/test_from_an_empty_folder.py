"""Nothing configured, or something wrong: where things go, and the sentence that says so. Predictions go on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest

from modelwatch import DriftMonitoringService, ProductionMonitoringService, monitor
from modelwatch.config import loading
from modelwatch.exceptions import ConfigError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in an empty folder, with a home of one's own, as somebody who can't write below /var/lib."""
    folder, home = tmp_path / "empty", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("MODELWATCH_STORAGE")
    monkeypatch.setattr(loading, "_writable", lambda folder: False)  # root, who runs tests in containers, can
    yield folder
    monitor.close()
    assert list(folder.iterdir()) == []


def messages(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("modelwatch") and r.levelno >= level]


def test_without_an_argument_it_stores_in_the_home_folder_and_has_nothing_to_say(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.WARNING), ProductionMonitoringService() as service:
        expected = tmp_path / "home" / ".local" / "state" / "modelwatch"
        assert service.storage == expected
        status = service.get_service_status()
        assert (status["service_status"], status["reasons"]) == ("healthy", [])
        assert (status["storage"]["path"], status["storage"]["usable"]) == (str(expected), True)
        with DriftMonitoringService() as drift:
            assert drift.storage == expected
    assert messages(caplog) == []


def test_a_bare_decorator_says_once_where_it_stores_and_what_it_compares_with(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    @monitor("ads")
    def predict(features: dict[str, float]) -> float:
        return features["bid"]

    with caplog.at_level(logging.INFO):
        assert [predict({"bid": float(i)}) for i in range(3)] == [0.0, 1.0, 2.0]
    (line,) = messages(caplog, logging.INFO)
    assert line.startswith("modelwatch records ads (registered by itself); ")
    assert f"storage {tmp_path / 'home' / '.local' / 'state' / 'modelwatch'}; reference: learning" in line
    assert monitor.flush()


def test_without_permission_to_store_predictions_go_on_and_are_counted_and_a_sentence_says_what_to_do(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = tmp_path / "file" / "storage"
    monkeypatch.setenv("MODELWATCH_STORAGE", str(folder))

    @monitor("ads")
    def predict(features: dict[str, float]) -> float:
        return features["bid"]

    with caplog.at_level(logging.INFO):
        assert [predict({"bid": float(i)}) for i in range(3)] == [0.0, 1.0, 2.0]
    warning = messages(caplog)[0]
    assert warning.startswith(
        f"cannot use the storage folder {str(folder)!r}: Not a directory. Make it a writable folder"
    )
    assert warning.endswith("or MODELWATCH_STORAGE. Predictions are counted in this process only.")
    assert any("reference: none: nothing is stored" in line for line in messages(caplog, logging.INFO))
    assert monitor.flush()
    assert b'modelwatch_predictions_total{model_id="ads",model_version=""} 3.0' in generate_latest(REGISTRY)


def test_a_service_without_permission_to_store_is_degraded_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with ProductionMonitoringService(storage_path=tmp_path / "file" / "storage") as service:
        assert service.register_model({"model_id": "ads"})["status"] == "success"
        assert service.record_prediction("ads", 0.5, {"bid": 1.0})["status"] == "success"
        status = service.get_service_status()
        assert status["service_status"] == "degraded"
        assert "Not a directory" in status["reasons"][0]
        assert status["storage"]["usable"] is False
        answer = service.get_model_metrics("ads")
        assert answer["status"] == "error"
        assert "Not a directory" in answer["error"]


@pytest.fixture
def missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = str(tmp_path / "missing.yaml")
    monkeypatch.setenv("MODELWATCH_CONFIG", path)
    return f"{path}: cannot read the configuration file: No such file or directory"


def test_a_configuration_that_is_not_there_is_one_sentence_and_predictions_go_on(
    missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    @monitor("ads")
    def predict(features: dict[str, float]) -> float:
        return features["bid"]

    with caplog.at_level(logging.INFO):
        assert [predict({"bid": float(i)}) for i in range(3)] == [0.0, 1.0, 2.0]
        assert monitor.flush() is False, "what could not be recorded is not said to be stored"
    assert messages(caplog, logging.INFO) == [f"ads is not recorded: {missing}"]


def test_a_service_made_in_code_refuses_a_configuration_that_is_not_there(missing: str) -> None:
    for make in (ProductionMonitoringService, DriftMonitoringService):
        with pytest.raises(ConfigError) as refused:
            make()
        assert str(refused.value) == missing


def test_the_configuration_of_the_environment_applies_to_services_made_in_code_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, other = tmp_path / "named.json", tmp_path / "other.json"
    named.write_text(json.dumps({"models": [{"model_id": "named"}]}))
    other.write_text(json.dumps({"models": [{"model_id": "other"}]}))
    monkeypatch.setenv("MODELWATCH_CONFIG", str(named))
    with ProductionMonitoringService() as service:
        assert [m["model_id"] for m in service.get_service_status()["models"]] == ["named"]
    with ProductionMonitoringService(config_path=other, storage_path=tmp_path / "storage") as service:
        assert [m["model_id"] for m in service.get_service_status()["models"]] == ["other"]


def test_flushing_waits_for_nothing_where_nothing_was_recorded() -> None:
    assert monitor.flush() is True
