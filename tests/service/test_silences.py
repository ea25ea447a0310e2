"""``silence_alerts``: heard by every process of a storage, ended on time or by hand, and shown in the status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.config import MonitoringConfig
from modelwatch.conventions import ALERT_DATA_DRIFT, ALERT_ERROR_RATE_HIGH
from modelwatch.sidecar.settings import Settings
from modelwatch.sidecar.watch import Watch

MakeService = Callable[..., ProductionMonitoringService]
FLIGHTS = {"model_id": "flights", "performance_threshold": {"error_rate": 0.02}, "alert_channels": ["email"]}


@pytest.fixture
def service(make_service: MakeService) -> ProductionMonitoringService:
    made = make_service()
    assert made.register_model(FLIGHTS)["status"] == "success"
    return made


@pytest.fixture
def watch(tmp_path: Path, clock: Any) -> Iterator[Watch]:
    """Return a sidecar's view of the storage that the service works on, on the same clock."""
    made = Watch(Settings(storage=str(tmp_path / "storage")), clock=clock)
    yield made
    made.close()


def fail(service: ProductionMonitoringService, clock: Any) -> None:
    """Let predictions fail for two minutes."""
    for _ in range(2):
        for i in range(200):
            service.record_prediction("flights", 0.5, {"a": 1.0}, error=i % 2 == 0)
        assert service.flush()
        clock.advance(60)


def look(service: ProductionMonitoringService, clock: Any) -> None:
    jobs = service._parts.jobs
    assert jobs is not None
    jobs.operational(clock())
    assert service._parts.outbox.flush(5.0)


def test_a_silence_says_what_it_is_and_until_when(service: ProductionMonitoringService, clock: Any) -> None:
    answer = service.silence_alerts(
        "flights", alertname=ALERT_DATA_DRIFT, duration="90m", comment="deployment", created_by="zoe"
    )
    assert answer["status"] == "success"
    assert len(answer["silence_id"]) == 32
    assert (answer["model_id"], answer["alertname"]) == ("flights", ALERT_DATA_DRIFT)
    assert (answer["comment"], answer["created_by"]) == ("deployment", "zoe")
    shown = {key: value for key, value in answer.items() if key != "status"}
    assert service.get_service_status()["alerts"]["silences"] == [shown]
    clock.advance(90 * 60)
    assert service.get_service_status()["alerts"]["silences"] == []


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("4h", 14400),
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        (timedelta(minutes=5), 300),
        (np.int64(3600), 3600),
        (np.timedelta64(5, "m"), 300),
    ],
)
def test_a_duration_is_text_with_a_unit_or_seconds(
    service: ProductionMonitoringService, clock: Any, duration: Any, seconds: float
) -> None:
    assert service.silence_alerts(duration=duration)["status"] == "success"
    store = service._parts.store
    assert store is not None
    assert [s.ends_at - s.starts_at for s in store.silences(clock())] == [seconds]


def test_without_a_duration_it_is_four_hours(service: ProductionMonitoringService, clock: Any) -> None:
    service.silence_alerts("flights")
    clock.advance(4 * 3600 - 1)
    assert len(service.get_service_status()["alerts"]["silences"]) == 1
    clock.advance(1)
    assert service.get_service_status()["alerts"]["silences"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model_id": "flight"}, "no model 'flight' is registered (did you mean 'flights'?); registered: 'flights'"),
        ({"model_id": ["flights"]}, "no model \"['flights']\" is registered"),
        ({"alertname": "MLModelDataDrif"}, "no alert is called 'MLModelDataDrif' (did you mean 'MLModelDataDrift'?)"),
        ({"alertname": "ModelwatchWatchdog"}, "allowed: MLModelDataDrift, MLModelPredictionDrift, "),
        ({"duration": "4hours"}, "duration must be a duration such as"),
        ({"duration": -1}, "duration must be a finite duration of 0 or more"),
        ({"duration": timedelta(seconds=-5)}, "duration must be a finite duration of 0 or more"),
        ({"duration": None}, "duration must be a duration such as"),
        ({"duration": float("nan")}, "duration must be a finite duration of 0 or more"),
        ({"duration": "367d"}, "duration must be at most 366d"),
        ({"duration": 1e300}, "duration must be at most 366d"),
    ],
)
def test_a_mistake_gets_a_sentence_and_begins_no_silence(
    service: ProductionMonitoringService, arguments: dict[str, Any], said: str
) -> None:
    answer = service.silence_alerts(**arguments)
    assert answer["status"] == "error"
    assert said in answer["error"]
    assert service.get_service_status()["alerts"]["silences"] == []


def test_zero_ends_what_is_in_force_for_the_model_and_alert(
    service: ProductionMonitoringService, make_service: MakeService
) -> None:
    make_service().register_model({"model_id": "other"})
    one = service.silence_alerts("flights")["silence_id"]
    two = service.silence_alerts("flights", alertname=ALERT_DATA_DRIFT)["silence_id"]
    other = service.silence_alerts("other")["silence_id"]
    assert service.silence_alerts("flights", alertname=ALERT_DATA_DRIFT, duration=0)["ended"] == [two]
    assert service.silence_alerts("flights", duration="0s")["ended"] == [one]
    assert service.silence_alerts("flights", duration=0)["ended"] == []
    assert service.silence_alerts(duration=0)["ended"] == [other]


def test_ending_one_while_a_wider_one_goes_on_says_so(service: ProductionMonitoringService) -> None:
    wider = service.silence_alerts(duration="2h")["silence_id"]
    service.silence_alerts("flights", duration="1h")
    answer = service.silence_alerts("flights", duration=0)
    assert len(answer["ended"]) == 1
    [warning] = answer["warnings"]
    assert warning.endswith(f"by the silence {wider} of all models, all alerts")


def test_a_model_that_only_another_process_has_registered_can_be_silenced(
    service: ProductionMonitoringService, make_service: MakeService
) -> None:
    script = make_service()
    assert not script.knows("flights")
    assert script.silence_alerts("flights", duration="1h")["status"] == "success"


def test_where_alertmanager_tells_the_answer_says_that_it_must_be_silenced_there(make_service: MakeService) -> None:
    service = make_service(config=MonitoringConfig.model_validate({"alerting": {"mode": "prometheus"}}))
    [warning] = service.silence_alerts()["warnings"]
    assert "only a silence there" in warning


def test_without_a_store_a_silence_is_an_error(tmp_path: Path, clock: Any) -> None:
    (tmp_path / "file").write_text("")
    with ProductionMonitoringService(storage_path=tmp_path / "file", clock=clock, background=False) as service:
        answer = service.silence_alerts()
    assert answer["status"] == "error"
    assert "silences can't be stored" in answer["error"]


def test_what_holds_when_the_silence_ends_is_told_then_and_shown_all_the_while(
    service: ProductionMonitoringService, clock: Any, inbox: Any
) -> None:
    service.silence_alerts("flights", duration="10m")
    fail(service, clock)
    look(service, clock)
    assert inbox.alerts == []
    [active] = service.get_service_status()["alerts"]["active"]
    assert (active["alertname"], active["silenced"]) == (ALERT_ERROR_RATE_HIGH, True)
    assert service.get_service_status()["models"][0]["health"] != "healthy"
    clock.advance(480)
    fail(service, clock)
    look(service, clock)
    assert [(a["status"], a["type"]) for a in inbox.alerts] == [("firing", "error_rate")]
    assert service.get_service_status()["alerts"]["active"][0]["silenced"] is False


def test_send_alert_goes_out_whatever_is_silenced(service: ProductionMonitoringService, inbox: Any) -> None:
    service.silence_alerts()
    assert service.send_alert("error", "retraining failed", {"model_id": "flights"})["channels"] == {"email": "sent"}
    assert len(inbox.alerts) == 1


def test_a_sidecar_keeps_the_silence_of_an_application_and_tells_when_it_ends(
    service: ProductionMonitoringService, watch: Watch, clock: Any
) -> None:
    told: list[dict[str, Any]] = []
    watch.refresh()
    watch.routes.add_handler("email", told.append)
    service.silence_alerts("flights", duration="10m")
    fail(service, clock)
    watch.jobs.operational(clock())
    assert watch.outbox.flush(5.0)
    assert (told, [a.alertname for a in watch.store.active_alerts()]) == ([], [ALERT_ERROR_RATE_HIGH])

    assert len(service.silence_alerts("flights", duration=0)["ended"]) == 1
    watch.jobs.operational(clock())
    assert watch.outbox.flush(5.0)
    assert [a["status"] for a in told] == ["firing"]

    service.silence_alerts("flights", duration="1h")
    clock.advance(1800)
    for _ in range(200):
        service.record_prediction("flights", 0.5, {"a": 1.0})
    assert service.flush()
    watch.jobs.operational(clock() + 1)
    assert watch.outbox.flush(5.0)
    assert [a["status"] for a in told] == ["firing", "resolved"], "who was told that it fires is told that it is over"
