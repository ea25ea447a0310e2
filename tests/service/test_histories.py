"""get_drift_history and get_alerts: what checks found and what was sent, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from modelwatch import AlertLevel, ModelMonitoringConfig
from modelwatch.service.times import iso


def answer_of(call: Callable[..., dict[str, Any]], *args: Any, **kwargs: Any) -> dict[str, Any]:
    answer = call(*args, **kwargs)
    assert answer["status"] == "success", answer
    json.dumps(answer, allow_nan=False)
    return answer


@pytest.fixture
def checked(make_service: Any, watched: ModelMonitoringConfig, rows: Any, scores: Any, clock: Any) -> Any:
    """Check good rows, then broken ones: a service with a history."""
    service = make_service()
    service.register_model(watched)
    for broken in (False, True, True):
        columns = rows(400, 7, kilometres=broken)
        predicted = scores(400, 7)
        for i in range(400):
            row = {name: column[i] for name, column in columns.items()}
            row["distance"] = row["distance"] * 40 if broken else row["distance"]
            service.record_prediction("flights", float(predicted[i]), row)
        assert service.flush()
        clock.advance(6.0)
        service._parts.jobs.check("flights", clock.now)
        clock.advance(60.0)
    return service


def test_the_history_of_drift_is_listed_oldest_first(checked: Any, clock: Any) -> None:
    history = answer_of(checked.get_drift_history, "flights")["history"]
    assert [entry["timestamp"] for entry in history] == [iso(clock.now - back) for back in (192.0, 126.0, 60.0)]
    first, last = history[0], history[-1]
    assert (first["severity"], first["drift_detected"], first["drift_types"], first["ok"]) == ("none", False, [], True)
    assert last["drift_detected"] is True
    assert last["severity"] in ("warning", "error", "critical")
    assert "data" in last["drift_types"]
    assert last["details"]["data"]["features"]["distance"]["severity"] == last["details"]["data"]["severity"]
    assert last["windows"]
    assert last["model_version"] == ""
    assert len(last["profile_id"]) == 64


def test_a_range_and_a_limit_choose_from_the_history(checked: Any, clock: Any) -> None:
    def times(*args: Any, **kwargs: Any) -> list[float]:
        found = answer_of(checked.get_drift_history, "flights", *args, **kwargs)["history"]
        return [entry["timestamp"] for entry in found]

    everything = times()
    assert times(limit=2) == everything[-2:]
    assert times(limit=99) == everything
    assert times(everything[1], everything[1]) == everything[1:2]
    assert times(clock.now) == []


def test_alerts_are_listed_newest_first_with_what_became_of_them(checked: Any, clock: Any) -> None:
    checked.send_alert("info", "retraining", {"model_id": "flights"})
    clock.advance(5.0)
    checked.send_alert(AlertLevel.CRITICAL, "no model", {"run": 7})
    alerts = answer_of(checked.get_alerts)["alerts"]
    assert [alert["timestamp"] for alert in alerts] == sorted((a["timestamp"] for a in alerts), reverse=True)
    assert (alerts[0]["message"], alerts[0]["level"], alerts[0]["data"]) == ("no model", "critical", {"run": 7})
    assert alerts[0]["channels"]["email"] == "sent"
    assert set(alerts[0]) == {
        "alert_id", "timestamp", "level", "type", "message", "data", "model_id", "status", "fingerprint", "starts_at",
        "channels",
    }  # fmt: skip


def test_alerts_are_chosen_by_model_level_status_and_time(checked: Any, clock: Any) -> None:
    checked.send_alert("info", "retraining", {"model_id": "flights"})
    clock.advance(5.0)
    checked.send_alert("critical", "no model")

    def messages(*args: Any, **kwargs: Any) -> list[str]:
        found = answer_of(checked.get_alerts, *args, **kwargs)["alerts"]
        return [alert["message"] for alert in found]

    everything = messages()
    assert messages(level="critical") == ["no model"]
    assert messages(level=AlertLevel.INFO) == ["retraining"]
    assert messages(limit=1) == ["no model"]
    assert messages("flights") == everything[1:]
    assert messages(start_time=clock.now, end_time=iso(clock.now)) == ["no model"]
    assert messages(status="resolved") == []
    assert messages(status="firing", limit=2) == everything[:2]


@pytest.mark.parametrize(
    ("call", "arguments", "sentence"),
    [
        ("get_drift_history", {"model_id": "fligts"}, "did you mean 'flights'?"),
        ("get_drift_history", {"model_id": "flights", "limit": 0}, "limit must be a whole number of 1 or more, got 0"),
        ("get_drift_history", {"model_id": "flights", "start_time": "x"}, "start_time must be a datetime"),
        ("get_alerts", {"model_id": "fligts"}, "did you mean 'flights'?"),
        ("get_alerts", {"limit": True}, "limit must be a whole number"),
        ("get_alerts", {"level": "warn"}, "level must be one of info, warning, error, critical, got 'warn' (did you"),
        ("get_alerts", {"status": "firin"}, "status must be one of firing, resolved, got 'firin' (did you mean"),
        ("get_alerts", {"start_time": 9, "end_time": 8}, "start_time must not lie after end_time"),
    ],
)
def test_a_mistake_is_answered_with_what_is_allowed(
    make_service: Any, watched: ModelMonitoringConfig, call: str, arguments: dict[str, Any], sentence: str
) -> None:
    service = make_service()
    service.register_model(watched)
    answer = getattr(service, call)(**arguments)
    assert answer["status"] == "error"
    assert sentence in answer["error"]
