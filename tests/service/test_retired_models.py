"""A retired model is gone everywhere, told to whom it concerns, and comes back whole when it is registered again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest

from modelwatch import ProductionMonitoringService
from modelwatch.exceptions import StorageError
from modelwatch.service.follow import BACK_OFF_SECONDS, FOLLOW_SECONDS, Follower
from modelwatch.sidecar.settings import Settings
from modelwatch.sidecar.watch import Watch


def _exposed(service: ProductionMonitoringService, model_id: str = "m") -> list[str]:
    text = generate_latest(service.registry).decode()
    return [line for line in text.splitlines() if f'model_id="{model_id}"' in line]


def _attempts_in(lines: list[str]) -> float:
    (line,) = [x for x in lines if x.startswith("modelwatch_predictions_total")]
    return float(line.rpartition(" ")[2])


def _attempts(service: ProductionMonitoringService) -> float:
    return _attempts_in(_exposed(service))


def _models(service: ProductionMonitoringService) -> list[str]:
    return [model["model_id"] for model in service.get_service_status()["models"]]


@pytest.fixture
def service(make_service: Any) -> ProductionMonitoringService:
    made: ProductionMonitoringService = make_service()
    made.register_model({"model_id": "m", "alert_channels": ["email"]})
    made.register_model({"model_id": "other"})
    made.record_predictions("m", np.zeros(10), {"a": np.zeros(10)}, latency_ms=10.0)
    made.record_prediction("other", 0.5, {})
    assert made.flush()
    return made


def test_a_retired_model_is_gone_from_status_and_metrics_and_the_others_stay(
    service: ProductionMonitoringService,
) -> None:
    others = _exposed(service, "other")
    assert _models(service) == ["m", "other"]
    assert service.retire_model("m")["status"] == "success"
    assert _models(service) == ["other"]
    assert _exposed(service) == []
    assert _exposed(service, "other") == others != []


def test_every_call_says_that_the_model_is_retired(service: ProductionMonitoringService) -> None:
    service.retire_model("m")
    for answer in (
        service.record_prediction("m", 0.5, {}),
        service.record_predictions("m", [0.5], None),
        service.record_actual("m", "id", 1),
        service.record_actuals("m", ["id"], [1]),
        service.update_model_metric("m", "accuracy", 0.9),
        service.monitor_model_drift("m", {"a": [1.0]}),
    ):
        assert answer["status"] == "error"
        assert answer["error"].startswith("model 'm' is retired: register it again to")


def test_registering_it_again_brings_it_back_with_its_counts_and_rows(
    service: ProductionMonitoringService, clock: Any, stored_rows: Callable[..., list[dict[str, Any]]]
) -> None:
    before = _attempts(service)
    service.retire_model("m")
    clock.advance(60)
    service.register_model({"model_id": "m"})
    assert service.record_prediction("m", 0.5, {"a": 1.0})["status"] == "success"
    assert service.flush()
    assert _attempts(service) == before + 1 == 11
    assert len(stored_rows("m")) == 11
    assert _models(service) == ["other", "m"]


def test_all_its_versions_go_and_come_back_together(make_service: Any, clock: Any) -> None:
    service = make_service()
    for version in ("1", "2"):
        service.register_model({"model_id": "m", "model_version": version})
    service.retire_model("m")
    assert service.get_service_status()["models"] == []
    clock.advance(1)
    service.register_model({"model_id": "m", "model_version": "2"})
    assert sorted(m["model_version"] for m in service.get_service_status()["models"]) == ["1", "2"]


def test_retiring_twice_changes_nothing_and_an_unknown_model_is_an_error(
    service: ProductionMonitoringService, clock: Any
) -> None:
    first = service.retire_model("m")
    clock.advance(3600)
    second = service.retire_model("m")
    assert second["retired_at"] == first["retired_at"]
    assert second["warnings"] == ["'m' is retired already"]
    assert "did you mean 'other'?" in service.retire_model("othr")["error"]


def test_other_processes_notice_within_seconds_though_they_record_nothing(
    make_service: Any, wait_until: Any, clock: Any
) -> None:
    first, second = make_service(), make_service()
    for service in (first, second):
        service.register_model({"model_id": "m"})
    second.record_prediction("m", 0.5, {})
    assert second.flush()
    assert len(_exposed(second)) > 5
    first.retire_model("m")
    wait_until(lambda: not _exposed(second))
    assert "is retired" in second.record_prediction("m", 0.5, {})["error"]
    assert _models(second) == []
    clock.advance(1)
    first.register_model({"model_id": "m"})
    wait_until(lambda: _models(second) == ["m"])
    assert second.record_prediction("m", 0.5, {})["status"] == "success"
    assert second.flush()
    assert _attempts(first) == _attempts(second) == 2


def test_a_series_is_there_whole_or_not_at_all_while_workers_notice(make_service: Any, wait_until: Any) -> None:
    workers = [make_service() for _ in range(3)]
    for amount, service in enumerate(workers, start=1):
        service.register_model({"model_id": "m"})
        service.record_predictions("m", np.zeros(amount), None)
        assert service.flush()
    workers[0].retire_model("m")
    seen: list[float] = []

    def all_gone() -> bool:
        shown = [_exposed(service) for service in workers]
        seen.extend(_attempts_in(lines) for lines in shown if lines)
        return not any(shown)

    wait_until(all_gone)
    assert set(seen) <= {6.0}


def test_whoever_was_told_of_its_alerts_is_told_that_it_is_retired(make_service: Any, inbox: Any, clock: Any) -> None:
    service = make_service()
    service.register_model(
        {"model_id": "m", "alert_channels": ["email"], "performance_threshold": {"error_rate": 0.01}}
    )
    service.record_predictions("m", [None] * 500, None, errors=True, timestamps=clock.now - np.arange(500) / 10)
    assert service.flush()
    service._parts.jobs.operational(clock.now)
    assert service._parts.outbox.flush(10)
    assert [a["type"] for a in inbox.of("firing")] == ["error_rate"]
    clock.advance(120)
    service.retire_model("m")
    assert service._parts.outbox.flush(10)
    (resolved,) = inbox.of("resolved")
    assert resolved["data"]["reason"] == "retired"
    assert resolved["message"].endswith("; retired")
    assert resolved["data"]["text"]["subject"].startswith("[RESOLVED: RETIRED]")
    assert service.get_service_status()["alerts"]["active"] == []


def test_alerts_end_where_the_checks_run_when_another_process_retires_the_model(
    make_service: Any, inbox: Any, clock: Any
) -> None:
    owner, caller = make_service(), make_service(alert_handlers={})
    for service in (owner, caller):
        service.register_model({"model_id": "m", "performance_threshold": {"error_rate": 0.01}})
    owner.record_predictions("m", [None] * 500, None, errors=True, timestamps=clock.now - np.arange(500) / 10)
    assert owner.flush()
    assert owner._parts.jobs.leases.acquire(clock.now, 1000.0)
    owner._parts.jobs.operational(clock.now)
    assert owner._parts.outbox.flush(10)
    caller.retire_model("m")
    assert inbox.of("resolved") == []
    owner._parts.jobs.close_retired(clock.now)
    assert owner._parts.outbox.flush(10)
    assert [a["data"]["reason"] for a in inbox.of("resolved")] == ["retired"]


def test_the_sidecar_watches_it_no_more_though_its_file_lists_it(
    service: ProductionMonitoringService, tmp_path: Path, clock: Any
) -> None:
    config = tmp_path / "models.yaml"
    config.write_text("models:\n  - model_id: m\n  - model_id: listed\n", encoding="utf-8")
    watch = Watch(Settings(storage=str(tmp_path / "storage"), config_path=config), clock)
    try:
        watch.refresh()
        assert {m.config.model_id for m in watch.models()} == {"m", "other", "listed"}
        service.retire_model("m")
        watch.refresh()
        assert {m.config.model_id for m in watch.models()} == {"other", "listed"}
        clock.advance(1)
        service.register_model({"model_id": "m"})
        watch.refresh()
        assert {m.config.model_id for m in watch.models()} == {"m", "other", "listed"}
    finally:
        watch.close()


def test_without_a_store_a_model_cannot_be_retired(make_service: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    service = make_service(storage_path=tmp_path / "file")
    service.register_model({"model_id": "m"})
    answer = service.retire_model("m")
    assert answer["status"] == "error"
    assert "a model can't be retired" in answer["error"]


def test_a_store_that_cannot_be_followed_is_left_alone_for_a_while_and_tried_again(clock: Any) -> None:
    follower, seen = Follower(clock), list[str]()

    def broken() -> None:
        seen.append("broken")
        raise StorageError("not now")

    follower.add(broken)
    follower.add(lambda: seen.append("other"))
    follower()
    assert seen == ["broken"], "each step might wait for seconds, so that none comes after one that failed"
    follower()
    clock.advance(FOLLOW_SECONDS)
    follower()
    assert seen == ["broken"], "nothing is read again"
    clock.advance(BACK_OFF_SECONDS)
    follower()
    follower.now()
    assert seen == ["broken"] * 3
