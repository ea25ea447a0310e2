"""What calls on a predict path could not use is told by the status, as the calls themselves say nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.collector.recording import DROP_REASONS, FAULTS_OF_A_MODEL
from modelwatch.recorder.batch import Backlog
from modelwatch.service.losses import WORDS

MakeService = Callable[..., ProductionMonitoringService]


def warnings_of(service: ProductionMonitoringService, model_id: str = "m") -> list[str]:
    assert service.flush()
    models = service.get_service_status()["models"]
    return next(list(m["warnings"]) for m in models if m["model_id"] == model_id)


@pytest.fixture
def service(make_service: MakeService) -> ProductionMonitoringService:
    made = make_service()
    made.register_model({"model_id": "m", "alert_channels": ["email"]})
    made.register_model({"model_id": "calm", "alert_channels": ["email"]})
    return made


def test_a_model_whose_recordings_are_all_usable_has_no_warning(service: ProductionMonitoringService) -> None:
    service.record_prediction("m", 0.5, {"a": 1.0}, latency_ms=3.0, metadata={"user": 7}, timestamp=1_790_000_000)
    service.record_predictions("m", [0.5], {"a": [1.0]}, metadata=[MappingProxyType({"user": 7})])  # type: ignore[list-item]
    assert warnings_of(service) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"features": object()}, "features that can't be read"),
        ({"latency_ms": "12ms"}, "latencies that are no number of 0 or more"),
        ({"timestamp": "yesterday"}, "timestamps that can't be read or lie ahead, taken as now"),
        (
            {"timestamp": datetime(2050, 1, 1, tzinfo=timezone.utc)},
            "timestamps that can't be read or lie ahead, taken as now",
        ),
        (
            {"timestamp": datetime(9990, 1, 1, tzinfo=timezone.utc)},
            "timestamps that can't be read or lie ahead, taken as now",
        ),
        ({"metadata": ["x"]}, "metadata that are no dict, not stored"),
    ],
)
def test_what_a_recording_loses_is_counted_and_told_once_in_the_status(
    service: ProductionMonitoringService, clock: Any, given: dict[str, Any], words: str
) -> None:
    options = {"features": {"a": 1.0}, **given}
    for _ in range(3):
        assert service.record_prediction("m", 0.5, **options)["status"] == "success"
    last = datetime.fromtimestamp(clock(), timezone.utc).isoformat()
    assert warnings_of(service) == [f"not all that was recorded can be used: 3 {words} (last at {last})"]
    assert warnings_of(service, "calm") == []


def test_one_warning_holds_all_that_was_lost_of_a_model_the_most_frequent_first(
    service: ProductionMonitoringService,
) -> None:
    odd: list[Any] = [1, 2]
    service.record_predictions("m", [0.5, 0.5], {"a": [1.0, 2.0]}, metadata=odd, latency_ms=["a", 1.0])
    (warning,) = warnings_of(service)
    assert "used: 2 metadata that are no dict, not stored, 1 latencies that are no number" in warning


def test_rows_that_found_the_queue_full_are_told(
    service: ProductionMonitoringService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service._parts.recorder._engine, "backlog", Backlog(4))
    answer = service.record_predictions("m", [0.5] * 7, {"a": np.ones(7)})
    assert (answer["recorded"], answer["sampled"]) == (7, 2)
    (warning,) = warnings_of(service)
    assert "used: 5 rows not looked at, as the queue was full (last at" in warning


def test_a_decorated_function_s_unreadable_timestamp_is_told_too(service: ProductionMonitoringService) -> None:
    @service.monitor("m", features="bid", timestamp="when")
    def predict(bid: dict[str, float], when: object) -> float:
        return bid["amount"]

    predict({"amount": 1.0}, "yesterday")
    predict({"amount": 1.0}, "2026-01-31T12:00:00Z")
    (warning,) = warnings_of(service)
    assert "1 timestamps that can't be read" in warning


def test_metadata_that_are_no_dict_are_not_stored(
    service: ProductionMonitoringService, stored_rows: Callable[..., list[dict[str, Any]]]
) -> None:
    service.record_prediction("m", 0.5, {"a": 1.0}, metadata="text")  # type: ignore[arg-type]
    service.record_prediction("m", 0.5, {"a": 1.0}, metadata={"user": 7})
    assert service.flush()
    assert [row["@metadata"] for row in stored_rows("m")] == [None, {"user": 7}]


def test_every_reason_that_is_exposed_has_words() -> None:
    assert set(FAULTS_OF_A_MODEL) <= set(WORDS["faults"])
    assert set(DROP_REASONS) <= set(WORDS["dropped"])
