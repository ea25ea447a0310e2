"""A channel that can't deliver is said before there is an alert, and for as long as it is true."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from modelwatch.config import MonitoringConfig

MISSING = "alert channel 'slack' can't deliver: url_file '/nope/slack' cannot be read: No such file or directory"


def _status(service: Any) -> tuple[str, list[str]]:
    status = service.get_service_status()
    return status["service_status"], status["reasons"]


def test_a_secret_file_of_the_environment_that_is_not_there_is_said_everywhere(
    make_service: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MODELWATCH_SLACK_URL_FILE", "/nope/slack")
    service = make_service()
    assert caplog.messages == [MISSING]
    assert service.register_model({"model_id": "m"})["warnings"] == [MISSING]
    assert service.register_model({"model_id": "m", "alert_channels": ["slack"]})["warnings"] == [MISSING]
    assert _status(service) == ("degraded", [MISSING])


def test_a_model_is_warned_of_its_own_channels_only(make_service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWATCH_SLACK_URL_FILE", "/nope/slack")
    assert "warnings" not in make_service().register_model({"model_id": "m", "alert_channels": ["email"]})


def test_a_file_that_holds_no_address_is_said_and_not_shown(make_service: Any, tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("hunter2", encoding="utf-8")
    receivers = {"hook": {"type": "webhook", "url_file": str(tmp_path / "hook")}}
    service = make_service(config=MonitoringConfig.model_validate({"alerting": {"receivers": receivers}}))
    (warning,) = service.register_model({"model_id": "m", "alert_channels": ["hook"]})["warnings"]
    assert warning.endswith(f"url_file {str(tmp_path / 'hook')!r} holds no http(s) address")
    (tmp_path / "hook").write_text("http://127.0.0.1:9/hook", encoding="utf-8")
    assert _status(service) == ("healthy", [])


def test_a_handler_in_place_of_the_receiver_ends_it(
    make_service: Any, inbox: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MODELWATCH_SLACK_URL_FILE", "/nope/slack")
    service = make_service(alert_handlers={"slack": inbox})
    assert "warnings" not in service.register_model({"model_id": "m"})
    assert (_status(service), caplog.messages) == (("healthy", []), [])


@pytest.mark.parametrize("fault", [ConnectionError("no route"), ValueError("no route")])
def test_a_delivery_that_failed_is_a_reason_until_one_works(
    make_service: Any, wait_until: Any, fault: Exception
) -> None:
    broken, got = True, []

    def pager(alert: dict[str, Any]) -> None:
        if broken:
            raise fault
        got.append(alert["message"])

    service = make_service(alert_handlers={"pager": pager})
    service.register_model({"model_id": "m", "alert_channels": ["pager"]})
    service.send_alert("error", "it is off", {"model_id": "m"})
    sentence = f"alert channel 'pager' can't deliver: {type(fault).__name__}: no route"
    assert _status(service) == ("degraded", [sentence])
    broken = False
    service.send_alert("error", "it is off still", {"model_id": "m"})
    assert got[0] == "it is off still"
    assert _status(service) == ("healthy", [])


def test_another_handler_begins_without_the_faults_of_the_one_before(make_service: Any, inbox: Any) -> None:
    def pager(alert: dict[str, Any]) -> None:
        raise ConnectionError(alert["message"])

    service = make_service(alert_handlers={"pager": pager})
    service.register_model({"model_id": "m", "alert_channels": ["pager"]})
    service.send_alert("error", "it is off", {"model_id": "m"})
    assert _status(service)[0] == "degraded"
    service.register_alert_handler("pager", inbox)
    assert _status(service) == ("healthy", [])


def test_a_misspelt_channel_is_told_the_close_one(make_service: Any) -> None:
    answer = make_service().register_model({"model_id": "m", "alert_channels": ["emial"]})
    assert answer["warnings"] == [
        "alert channel 'emial' reaches nobody: no handler or receiver of that name (did you mean 'email'?)"
    ]


def test_the_log_says_once_that_deliveries_are_not_recorded(
    make_service: Any, inbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service()
    service._parts.store.close()
    for number in range(3):
        assert service.send_alert("error", f"it is off {number}")["channels"]["email"] == "sent"
    told = [r for r in caplog.records if r.levelno >= logging.WARNING and "can't be recorded" in r.getMessage()]
    assert [record.exc_info for record in told] == [None]
    assert len(inbox.alerts) == 3
