"""Values given to update_model_metric against their thresholds, from the call to the alert and its end."""

from __future__ import annotations

from typing import Any

import pytest

from modelwatch import ModelMonitoringConfig
from modelwatch.config import MonitoringConfig

MODEL = {
    "model_id": "ads",
    "performance_threshold": {"auc": 0.85, "rmse": {"max": 2, "severity": "warning"}},
    "alert_channels": ["email"],
}
TELL_ALL = {"alerting": {"severity_routing": {"warning": ["email"], "critical": ["email"]}}}


class Model:
    """A service with one model, and what it does every minute."""

    def __init__(self, make_service: Any, clock: Any, config: dict[str, Any] | None = None) -> None:
        self.service = make_service(config=MonitoringConfig.model_validate(config or TELL_ALL))
        self.clock = clock
        self.service.register_model(MODEL)

    def give(self, **values: float) -> None:
        for metric, value in values.items():
            assert self.service.update_model_metric("ads", metric, value)["status"] == "success"
        assert self.service.flush()
        self.look()

    def look(self) -> None:
        self.clock.advance(60.0)
        self.service._parts.jobs.operational(self.clock())
        assert self.service._parts.outbox.flush(5.0)


def test_a_broken_floor_is_told_once_and_its_end_too(make_service: Any, clock: Any, inbox: Any) -> None:
    model = Model(make_service, clock)
    model.give(auc=0.9, rmse=1.0)
    assert inbox.alerts == []
    model.give(auc=0.81)
    model.look()
    (alert,) = inbox.of("firing")
    assert (alert["level"], alert["type"], alert["data"]["alertname"]) == (
        "critical", "performance", "MLModelPerformanceBelowFloor",
    )  # fmt: skip
    assert alert["message"].startswith("ads: auc 0.81 is below its floor 0.85 since ")
    assert "0.04 below the floor" in alert["message"]
    assert (alert["data"]["metric"], alert["data"]["threshold"]) == ("auc", 0.85)
    model.give(auc=0.86)
    (resolved,) = inbox.of("resolved")
    assert resolved["fingerprint"] == alert["fingerprint"]


def test_two_metrics_are_two_alerts_and_a_ceiling_is_named_as_one(make_service: Any, clock: Any, inbox: Any) -> None:
    model = Model(make_service, clock)
    model.give(auc=0.5, rmse=3.0)
    assert len({a["fingerprint"] for a in inbox.of("firing")}) == 2
    (ceiling,) = [a for a in inbox.of("firing") if a["data"]["metric"] == "rmse"]
    assert (ceiling["level"], ceiling["data"]["alertname"]) == ("warning", "MLModelPerformanceAboveCeiling")
    assert "rmse 3 is above its ceiling 2" in ceiling["message"]
    model.give(rmse=1.0)
    assert [a["fingerprint"] for a in inbox.of("resolved")] == [ceiling["fingerprint"]]


def test_a_default_that_nobody_wrote_is_a_warning_that_says_so(make_service: Any, clock: Any, inbox: Any) -> None:
    service = make_service(config=MonitoringConfig.model_validate(TELL_ALL))
    service.register_model({"model_id": "plain", "alert_channels": ["email"]})
    service.update_model_metric("plain", "accuracy", 0.5)
    service.flush()
    service._parts.jobs.operational(clock())
    service._parts.outbox.flush(5.0)
    (alert,) = inbox.of("firing")
    assert alert["level"] == "warning"
    assert "a default that nobody wrote" in alert["message"]


def test_in_prometheus_mode_nobody_is_told_but_the_status_knows(make_service: Any, clock: Any, inbox: Any) -> None:
    model = Model(make_service, clock, {"alerting": {"mode": "prometheus"}})
    model.give(auc=0.5)
    assert inbox.alerts == []
    (status,) = model.service.get_service_status()["models"]
    assert status["health"] == "unhealthy"
    assert "auc 0.5 is below its floor 0.85" in status["reasons"][0]
    model.give(auc=0.9)
    assert inbox.alerts == []
    assert model.service.get_service_status()["models"][0]["health"] == "healthy"


def test_who_was_told_before_the_mode_changed_is_told_that_it_is_over(
    make_service: Any, clock: Any, inbox: Any
) -> None:
    model = Model(make_service, clock)
    model.give(auc=0.5)
    model.service._parts.engine.configure(repeat_interval=60.0, hourly_cap=20, quiet=True)
    for _ in range(3):
        model.look()
    assert len(inbox.alerts) == 1, "no reminder"
    model.give(rmse=9.0)
    model.give(auc=0.9, rmse=1.0)
    assert [a["data"].get("alertname") for a in inbox.of("resolved")] == ["MLModelPerformanceBelowFloor"]
    assert len(inbox.alerts) == 2


def test_in_prometheus_mode_a_handler_is_registered_with_a_warning_and_gets_what_is_sent_by_hand(
    make_service: Any, inbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service(config=MonitoringConfig.model_validate({"alerting": {"mode": "prometheus"}}))
    assert "the handler of channel 'email' gets only what send_alert sends" in caplog.text
    answer = service.register_alert_handler("pager", inbox)
    assert answer["status"] == "success"
    assert "Alertmanager" in answer["warnings"][0]
    assert service.send_alert("error", "by hand")["channels"]["pager"] == "sent"
    assert "warnings" not in make_service().register_alert_handler("pager", inbox)


def test_latency_of_each_live_version_is_judged_by_itself(make_service: Any, clock: Any, inbox: Any) -> None:
    service = make_service()
    for version, limit in (("1", 500), ("2", 50)):
        service.register_model(
            ModelMonitoringConfig(
                model_id="ads", model_version=version, performance_threshold={"latency_ms": limit},
                alert_channels=["email"],
            )
        )  # fmt: skip
    for version in ("1", "2"):
        for _ in range(200):
            service.record_prediction("ads", 0.5, {"a": 1.0}, latency_ms=200.0, model_version=version)
    service.flush()
    clock.advance(30)
    for _ in range(2):
        service._parts.jobs.operational(clock())
    service._parts.outbox.flush(5.0)
    (alert,) = inbox.alerts
    assert (alert["data"]["alertname"], alert["data"]["model_version"]) == ("MLModelLatencyHigh", "2")


def test_what_silence_is_normal_is_kept_for_the_scrape(make_service: Any, clock: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "ads"})
    for _ in range(3):
        clock.advance(1800)
        service.record_prediction("ads", 0.5, {"a": 1.0})
        service.flush()
    service._parts.jobs.operational(clock())
    assert service._parts.store.silence_limits()["ads"] >= 3 * 1500
