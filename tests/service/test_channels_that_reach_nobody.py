"""A channel without handler or receiver is said where it can be read, and only as long as it is true."""

from __future__ import annotations

from typing import Any

import pytest

SENTENCE = "alert channel 'pager' reaches nobody: no handler or receiver of that name"


def _reasons(service: Any) -> list[str]:
    (model,) = service.get_service_status()["models"]
    reasons: list[str] = model["reasons"]
    return reasons


def test_it_is_a_warning_of_register_model_and_a_reason_in_the_status(make_service: Any) -> None:
    service = make_service()
    answer = service.register_model({"model_id": "m", "alert_channels": ["email", "pager"]})
    assert SENTENCE in answer["warnings"]
    assert _reasons(service) == [SENTENCE]
    assert service.get_service_status()["models"][0]["health"] == "degraded"


def test_a_handler_that_comes_later_ends_it(make_service: Any, inbox: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "alert_channels": ["pager"]})
    service.register_alert_handler("pager", inbox)
    assert _reasons(service) == []
    assert SENTENCE not in service.register_model({"model_id": "m", "alert_channels": ["pager"]}).get("warnings", [])
    service.send_alert("error", "it is off", {"model_id": "m"})
    assert [alert["message"] for alert in inbox.alerts] == ["it is off"]


def test_a_receiver_of_the_environment_ends_it(
    make_service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "url").write_text("http://127.0.0.1:9/hook", encoding="utf-8")
    monkeypatch.setenv("MODELWATCH_SLACK_URL_FILE", str(tmp_path / "url"))
    service = make_service()
    service.register_model({"model_id": "m", "alert_channels": ["slack"]})
    assert _reasons(service) == []


def test_channels_that_nobody_wrote_are_the_log_and_reach_it(make_service: Any) -> None:
    service = make_service(alert_handlers={})
    assert not [w for w in service.register_model({"model_id": "m"}).get("warnings", []) if "reaches nobody" in w]
    assert _reasons(service) == []
    assert service.send_alert("error", "it is off", {"model_id": "m"})["channels"] == {"log": "sent"}


def test_a_misspelt_channel_among_good_ones_is_no_silent_hole(make_service: Any, inbox: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "alert_channels": ["pager"]})
    answer = service.send_alert("error", "it is off", {"model_id": "m"})
    assert answer["channels"] == {"pager": "failed: no handler is registered for channel 'pager'"}


def test_an_error_goes_past_a_channel_without_handler_to_all_the_others(make_service: Any) -> None:
    told: list[dict[str, Any]] = []
    service = make_service(alert_handlers={"slack": told.append})
    service.register_model({"model_id": "m", "alert_channels": ["email", "slack"]})
    answer = service.send_alert("error", "it is off", {"model_id": "m"})
    assert [alert["message"] for alert in told] == ["it is off"], "slack by itself hears of critical alerts only"
    assert answer["channels"]["slack"] == "sent"
