"""From recorded rows to an alert in somebody's hand, and its end, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwatch import AlertLevel, ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile
from modelwatch.config import MonitoringConfig
from modelwatch.service.loop import CheckLoop

MakeService = Callable[..., ProductionMonitoringService]


class Traffic:
    """Sends rows through a service as time goes by, and runs what is due."""

    def __init__(self, service: ProductionMonitoringService, clock: Any, rows: Any, scores: Any) -> None:
        self.service, self.clock, self.rows, self.scores = service, clock, rows, scores
        assert service._parts.jobs is not None
        self.loop = CheckLoop(service._parts.jobs, clock=clock)
        self.seed = 100

    def run(self, seconds: int, *, kilometres: bool = False, per_second: int = 200, fail: bool = False) -> None:
        for _ in range(seconds):
            self.seed += 1
            columns = self.rows(per_second, self.seed, kilometres=kilometres)
            scores = self.scores(per_second, self.seed)
            for i in range(per_second):
                row = {name: values[i] for name, values in columns.items()}
                self.service.record_prediction("flights", float(scores[i]), row, latency_ms=2.0, error=fail)
            assert self.service.flush()
            self.clock.advance(1.0)
            self.loop.tick(self.clock())
        assert self.service._parts.outbox.flush(5.0)


@pytest.fixture
def traffic(make_service: MakeService, watched: ModelMonitoringConfig, clock: Any, rows: Any, scores: Any) -> Traffic:
    config = MonitoringConfig.model_validate({"alerting": {"severity_routing": {"warning": ["log", "email"]}}})
    service = make_service(config=config)
    service.register_model(watched)
    return Traffic(service, clock, rows, scores)


def test_silence_before_the_fault_one_alert_in_it_and_resolved_after_it(traffic: Traffic, inbox: Any) -> None:
    traffic.run(60)
    assert inbox.alerts == []

    traffic.run(40, kilometres=True)
    alert, worse = inbox.of("firing")
    assert (alert["model_id"], alert["type"], alert["level"]) == ("flights", "data_drift", "warning")
    assert "distance" in alert["message"]
    assert "carrier" not in alert["message"]
    assert (worse["fingerprint"], worse["level"]) == (alert["fingerprint"], "error"), "a gross change is an error"

    traffic.run(60)
    (resolved,) = inbox.of("resolved")
    assert resolved["fingerprint"] == alert["fingerprint"]


def test_a_restart_neither_repeats_nor_forgets_an_alert(
    traffic: Traffic, inbox: Any, make_service: MakeService, watched: ModelMonitoringConfig, clock: Any
) -> None:
    traffic.run(40)
    traffic.run(40, kilometres=True)
    assert [a["level"] for a in inbox.of("firing")] == ["warning", "error"]
    traffic.loop.close()
    traffic.service.close()

    again = make_service(config=traffic.service._parts.config)
    again.register_model(watched)
    second = Traffic(again, clock, traffic.rows, traffic.scores)
    second.seed = 500
    second.run(20, kilometres=True)
    assert len(inbox.of("firing")) == 2
    second.run(60)
    assert len(inbox.of("resolved")) == 1


def test_a_model_that_fails_is_alerted_on_without_any_reference(
    make_service: MakeService, inbox: Any, clock: Any
) -> None:
    service = make_service()
    service.register_model(
        {"model_id": "flights", "performance_threshold": {"error_rate": 0.02}, "alert_channels": ["email"]}
    )
    jobs = service._parts.jobs
    assert jobs is not None
    for i in range(400):
        service.record_prediction("flights", 0.5, {"a": 1.0}, error=i % 10 == 0)
    service.flush()
    clock.advance(30)
    jobs.operational(clock())
    service._parts.outbox.flush(5.0)
    (alert,) = inbox.of("firing")
    assert (alert["level"], alert["type"]) == ("error", "error_rate")
    assert "10" in alert["message"]


def test_asked_drift_of_a_batch_names_types_severity_and_features(
    make_service: MakeService, watched: ModelMonitoringConfig, rows: Any, scores: Any
) -> None:
    service = make_service()
    service.register_model(watched)
    answer = service.monitor_model_drift("flights", rows(5000, 9, kilometres=True), scores(5000, 9))
    assert answer["status"] == "success"
    assert answer["drift_detected"] is True
    assert answer["drift_types"] == ["data"]
    assert answer["severity"] in ["error", "critical"]
    assert "distance" in answer["summary"]
    assert answer["top_features"][0] == "distance" or answer["top_features"][0]["feature"] == "distance"
    calm = service.monitor_model_drift("flights", rows(5000, 10), scores(5000, 10))
    assert (calm["drift_detected"], calm["severity"], calm["drift_types"]) == (False, "none", [])


def test_asked_drift_without_a_reference_says_so_and_guesses_nothing(make_service: MakeService) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    answer = service.monitor_model_drift("m", {"a": [1.0, 2.0]})
    assert (answer["status"], answer["drift_detected"], answer["severity"]) == ("success", False, "none")
    assert "no reference yet: learning, 0 of 5 000 rows" in answer["summary"]


def test_asked_drift_of_empty_data_is_an_error_result(
    make_service: MakeService, watched: ModelMonitoringConfig
) -> None:
    service = make_service()
    service.register_model(watched)
    assert service.monitor_model_drift("flights", {"distance": []})["status"] == "error"


def test_asked_drift_tells_a_column_of_another_kind_and_refuses_such_predictions(
    make_service: MakeService, profile_path: Path, rows: Any, scores: Any
) -> None:
    service = make_service()
    service.register_model({"model_id": "flights", "reference": str(profile_path)})
    batch = {**rows(500, 9), "distance": ["far"] * 500}
    answer = service.monitor_model_drift("flights", batch, scores(500, 9))
    assert (answer["drift_types"], answer["top_features"]) == (["data"], ["distance"])
    told = "of another kind than in the reference: distance holds no numbers, the reference does"
    assert told in answer["warnings"]
    refused = service.monitor_model_drift("flights", rows(500, 9), ["late"] * 500)
    assert refused == {"status": "error", "error": "current_predictions hold no numbers, the reference does"}


def test_a_profile_in_memory_serves_as_well_as_one_in_a_file(
    make_service: MakeService, profile: ReferenceProfile, rows: Any
) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    assert service.set_reference("m", profile)["reference"] == profile.id
    assert service.monitor_model_drift("m", rows(2000, 5))["drift_detected"] is False


def test_an_alert_by_hand_reaches_the_handlers_and_says_so(make_service: MakeService, inbox: Any) -> None:
    service = make_service()
    answer = service.send_alert(AlertLevel.ERROR, "retraining failed", {"job": 7}, alert_type="training")
    assert answer["status"] == "success"
    assert answer["channels"]["email"] == "sent"
    alert = inbox.alerts[0]
    assert (alert["level"], alert["message"], alert["type"]) == ("error", "retraining failed", "training")
    assert alert["data"] == {"job": 7}
    assert alert["timestamp"] == answer["timestamp"]


def test_a_severity_that_does_not_exist_is_refused_with_the_list(make_service: MakeService) -> None:
    answer = make_service().send_alert("fatal", "x")
    assert answer["status"] == "error"
    assert "info, warning, error, critical" in answer["error"]


def test_a_handler_that_raises_is_said_in_the_result_and_hurts_nobody(make_service: MakeService) -> None:
    def broken(alert: dict[str, Any]) -> None:
        raise RuntimeError("pager is down")

    service = make_service(alert_handlers={"email": broken})
    answer = service.send_alert("critical", "x")
    assert answer["status"] == "success"
    assert answer["channels"]["email"].startswith(("failed", "queued"))


def test_something_not_callable_is_refused_as_a_handler(make_service: MakeService) -> None:
    answer = make_service().register_alert_handler("email", "me@example.com")  # type: ignore[arg-type]
    assert (answer["status"], "callable" in answer["error"]) == ("error", True)


def test_storage_holds_what_the_alert_said(make_service: MakeService, tmp_path: Path) -> None:
    from modelwatch.store.queries import StoreQueries

    make_service().send_alert("error", "remember me")
    queries = StoreQueries(tmp_path / "storage")
    stored = queries.alerts()
    queries.close()
    assert [a.alert.message for a in stored] == ["remember me"]
