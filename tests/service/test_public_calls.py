"""The customer's calls: their signatures to the letter, the keys of their results, their errors as sentences."""

from __future__ import annotations

import datetime
import inspect
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwatch import DriftMonitoringService, ProductionMonitoringService

CUSTOMER = {
    "register_model": "(config)",
    "record_prediction": "(model_id, prediction, features, actual=None, metadata=None, latency_ms=None)",
    "update_model_metric": "(model_id, metric, value, metadata=None)",
    "get_model_metrics": "(model_id, metric=None, start_time=None, end_time=None, aggregation=None)",
    "get_service_status": "()",
    "send_alert": "(severity, message, data=None, alert_type='monitoring')",
    "monitor_model_drift": (
        "(model_id, current_data=None, current_predictions=None, current_targets=None, comprehensive=True)"
    ),
    "register_alert_handler": "(channel, handler)",
    "cleanup_old_data": "()",
}
BEING_BUILT = {"get_model_metrics", "cleanup_old_data"} - set(dir(ProductionMonitoringService))


def _plain_signature(call: Callable[..., Any]) -> str:
    """Return a signature without `self`, annotations and what is keyword-only, which is ours."""
    kept = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(call).parameters.values()
        if parameter.name != "self" and parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    return str(inspect.Signature(kept))


@pytest.mark.parametrize("name", sorted(set(CUSTOMER) - BEING_BUILT))
def test_the_customer_s_signatures_are_as_agreed(name: str) -> None:
    assert _plain_signature(getattr(ProductionMonitoringService, name)) == CUSTOMER[name]


def test_the_constructors_are_as_agreed() -> None:
    expected = "(config_path=None, storage_path=None, alert_handlers=None)"
    assert _plain_signature(ProductionMonitoringService.__init__) == expected
    assert _plain_signature(DriftMonitoringService.__init__) == "(storage_path=None, config_path=None)"


def test_our_additions_are_keyword_only_with_the_agreed_defaults() -> None:
    parameters = inspect.signature(ProductionMonitoringService.record_prediction).parameters
    assert {p.name: p.default for p in parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY} == {
        "prediction_id": None, "timestamp": None, "segment": None, "model_version": None, "error": None, "copy": True,
    }  # fmt: skip
    many = inspect.signature(ProductionMonitoringService.record_predictions).parameters
    assert {p.name: p.default for p in many.values() if p.kind is inspect.Parameter.KEYWORD_ONLY} == {
        "prediction_ids": None, "timestamps": None, "segment": None, "model_version": None, "errors": None,
        "copy": True,
    }  # fmt: skip
    drift = inspect.signature(DriftMonitoringService.detect_drift).parameters
    assert list(drift) == ["self", "model_id", "current_data", "current_predictions", "current_targets"]


def test_every_public_call_has_documented_parameters_and_result() -> None:
    for owner in (ProductionMonitoringService, DriftMonitoringService):
        for name, call in inspect.getmembers(owner, inspect.isfunction):
            if name.startswith("_"):
                continue
            text = inspect.getdoc(call) or ""
            assert text, name
            answers = str(inspect.signature(call).return_annotation) == "Result"
            if answers:
                assert "Returns\n-------" in text, name
                documented = {word.strip() for line in text.splitlines() for word in line.split(",")}
                assert set(inspect.signature(call).parameters) - {"self"} <= documented, name


@pytest.fixture
def service(make_service: Any) -> ProductionMonitoringService:
    made: ProductionMonitoringService = make_service()
    made.register_model({"model_id": "m", "performance_metrics": ["auc", "latency_ms"]})
    return made


def test_results_have_the_agreed_keys(service: ProductionMonitoringService) -> None:
    def keys(answer: dict[str, Any]) -> set[str]:
        assert answer["status"] == "success", answer
        json.dumps(answer, allow_nan=False)
        return set(answer) - {"status", "warnings"}

    assert keys(service.register_model({"model_id": "n"})) == {"model_id", "registered_at", "config"}
    assert keys(service.record_prediction("m", 0.5, {"a": 1})) == {"model_id", "prediction_id", "sampled"}
    many = {"model_id", "prediction_ids", "sampled", "recorded"}
    assert keys(service.record_predictions("m", [0.5], {"a": [1]})) == many
    assert keys(service.record_actual("m", "id", 1)) == {"model_id", "prediction_id"}
    assert keys(service.record_actuals("m", ["id"], [1])) == {"model_id", "recorded"}
    assert keys(service.update_model_metric("m", "auc", 0.9)) == {"metric", "value", "timestamp"}
    assert keys(service.send_alert("info", "hello")) == {
        "alert_id", "timestamp", "level", "type", "message", "data", "channels",
    }  # fmt: skip
    assert keys(service.monitor_model_drift("m", {"a": [1.0]})) == {
        "model_id", "drift_detected", "drift_types", "severity", "summary", "details", "top_features", "performance",
    }  # fmt: skip
    assert keys(service.retire_model("n")) == {"model_id", "retired_at"}
    status = service.get_service_status()
    assert keys(status) >= {"service_status", "reasons", "uptime_seconds", "models", "storage", "alerts"}
    assert set(status["models"][0]) >= {
        "model_id", "model_version", "health", "reasons", "predictions", "last_prediction_at", "reference",
        "drift_severity",
    }  # fmt: skip


CALLS: dict[str, Callable[[ProductionMonitoringService, Any], Any]] = {
    "record_prediction": lambda s, m: s.record_prediction(m, 0.5, {}),
    "record_predictions": lambda s, m: s.record_predictions(m, [0.5], None),
    "record_actual": lambda s, m: s.record_actual(m, "id", 1),
    "record_actuals": lambda s, m: s.record_actuals(m, ["id"], [1]),
    "update_model_metric": lambda s, m: s.update_model_metric(m, "auc", 1.0),
    "monitor_model_drift": lambda s, m: s.monitor_model_drift(m, {"a": [1.0]}),
    "retire_model": lambda s, m: s.retire_model(m),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("model_id", ["nobody", "", None, 7, np.array(["m", "n"]), {"m": 1}])
def test_an_unknown_model_is_an_error_result_of_every_call(
    call: str, model_id: Any, service: ProductionMonitoringService
) -> None:
    answer = CALLS[call](service, model_id)
    assert answer["status"] == "error"
    assert "is registered" in answer["error"]


@pytest.mark.parametrize("value", [0.9, 1, np.float32(0.9), np.int64(1), np.array([0.9]), np.array(0.9)])
def test_a_metric_s_value_is_any_real_number(value: Any, service: ProductionMonitoringService) -> None:
    answer = service.update_model_metric("m", "auc", value)
    assert (answer["status"], type(answer["value"])) == ("success", float)
    assert answer["value"] == pytest.approx(float(np.asarray(value).reshape(-1)[0]))


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        np.float64("nan"),
        True,
        np.bool_(True),
        "0.9",
        None,
        [0.9],
        {},
        1j,
        object(),
        np.array([0.9, 0.8]),
        10**400,
    ],
)
def test_what_is_no_finite_number_is_refused_as_a_metric_s_value(
    value: Any, service: ProductionMonitoringService
) -> None:
    answer = service.update_model_metric("m", "auc", value)
    assert answer["status"] == "error"
    assert "the value of 'auc' must be a finite number, got" in answer["error"]


@pytest.mark.parametrize("metric", ["auk", "accuracy", None, 3, ["auc"]])
def test_a_metric_outside_performance_metrics_is_refused_with_the_list_of_those_inside(
    metric: Any, service: ProductionMonitoringService
) -> None:
    answer = service.update_model_metric("m", metric, 0.9)
    assert answer["status"] == "error"
    assert "is not among the performance_metrics of 'm'" in answer["error"]
    assert answer["error"].endswith("they are: auc, latency_ms")
    if metric == "auk":
        assert "did you mean 'auc'?" in answer["error"]


@pytest.mark.parametrize("metadata", [7, "text", ["x"]])
def test_metadata_of_a_metric_that_are_no_readable_dict_are_refused(
    metadata: Any, service: ProductionMonitoringService
) -> None:
    answer = service.update_model_metric("m", "auc", 0.9, metadata)
    assert answer["status"] == "error"
    assert answer["error"].startswith("metadata ")


class Hostile:
    """Answers whatever it is asked with an error."""

    def _raise(self, *_: Any) -> Any:
        raise RuntimeError("hostile")

    __getattr__ = __repr__ = __str__ = __len__ = __iter__ = __float__ = __bool__ = __hash__ = __eq__ = _raise


class HostileMapping(Hostile, Mapping[str, Any]):
    __getitem__ = Hostile._raise


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("make", [Hostile, HostileMapping])
def test_an_object_that_raises_whatever_it_is_asked_is_an_error_result(
    make: type[Hostile], place: int, service: ProductionMonitoringService
) -> None:
    given: list[Any] = ["m", "auc", 0.9, {"source": "training"}]
    assert service.update_model_metric(*given)["status"] == "success"
    given[place] = make()
    assert service.update_model_metric(*given)["status"] == "error"


@pytest.mark.parametrize(
    ("metric", "value", "told"),
    [
        ("auc", 85, "auc is a share: its value must be a number from 0 to 1, got 85 (did you mean 0.85?)"),
        ("auc", -0.1, "auc is a share: its value must be a number from 0 to 1, got -0.1"),
        ("latency_ms", -1, "the value of latency_ms must be a number 0 or more, got -1"),
    ],
)
def test_a_value_that_a_known_metric_cannot_have_is_refused(
    metric: str, value: float, told: str, service: ProductionMonitoringService
) -> None:
    assert service.update_model_metric("m", metric, value) == {"status": "error", "error": told}


def test_a_metric_of_ones_own_may_have_any_value_and_rounding_is_forgiven(service: ProductionMonitoringService) -> None:
    service.register_model({"model_id": "own", "performance_metrics": ["clicks", "r2"]})
    assert service.update_model_metric("own", "clicks", -85)["status"] == "success"
    assert service.update_model_metric("own", "r2", 1.0000000000000002)["status"] == "success"


def test_a_value_that_is_not_stored_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with ProductionMonitoringService(storage_path=tmp_path / "file" / "storage", background=False) as service:
        service.register_model({"model_id": "m"})
        answer = service.update_model_metric("m", "accuracy", 0.9)
        assert answer["status"] == "success"
        assert answer["warnings"][0].startswith("the value is exposed, but not stored: ")


@pytest.mark.parametrize("limit", [10**30, 2**63, np.int64(5), 1])
def test_a_limit_may_be_larger_than_a_database_can_count(limit: Any, service: ProductionMonitoringService) -> None:
    service.send_alert("info", "hello", {"model_id": "m"})
    assert len(service.get_alerts("m", limit=limit)["alerts"]) == 1
    assert service.get_drift_history("m", limit=limit)["history"] == []


@pytest.mark.parametrize("limit", [0, pytest.param(-(10**5000), id="huge"), 1.5, True, "5", np.float64(2)])
def test_a_limit_that_is_no_whole_number_is_refused(limit: Any, service: ProductionMonitoringService) -> None:
    for answer in (service.get_alerts("m", limit=limit), service.get_drift_history("m", limit=limit)):
        assert answer["status"] == "error"
        assert answer["error"].startswith("limit must be a whole number of 1 or more, got ")


def test_a_segment_is_kept_with_the_row_and_counted_by_itself(
    service: ProductionMonitoringService, stored_rows: Callable[..., list[dict[str, Any]]]
) -> None:
    one = service.record_prediction("m", 0.5, {"a": 1.0}, segment="web", metadata={"user": 7})
    assert service.flush()
    many = service.record_predictions("m", [0.1, 0.2], {"a": [1.0, 2.0]}, segment=["web", "app"])
    assert "warnings" not in one
    assert "warnings" not in many
    assert service.flush()
    assert [row["@metadata"] for row in stored_rows("m")] == [
        {"segment": "web", "user": 7}, {"segment": "web"}, {"segment": "app"},
    ]  # fmt: skip
    (model,) = service.get_service_status()["models"]
    assert model["predictions"] == 3
    assert service._parts.recorder.admitted(("segments", "m")) == ("web", "app")


def test_a_timestamp_that_cannot_be_read_is_counted_and_never_raised(service: ProductionMonitoringService) -> None:
    for odd in ("yesterday", object(), float("nan"), [1]):
        assert service.record_prediction("m", 0.5, {}, timestamp=odd)["status"] == "success"  # type: ignore[arg-type]
    assert service.record_prediction("m", 0.5, {}, timestamp="2026-09-21T10:00:00Z")["status"] == "success"
    assert service.flush()
    assert service._parts.recorder.snapshot().names["faults", "m", ""].counts["timestamp"] == 4


def test_after_close_every_call_answers_that_the_service_is_closed(service: ProductionMonitoringService) -> None:
    service.close()
    answers = [call(service, "m") for call in CALLS.values()]
    answers += [
        service.register_model({"model_id": "n"}),
        service.send_alert("info", "hello"),
        service.register_alert_handler("pager", print),
        service.get_service_status(),
    ]
    for answer in answers:
        assert answer["status"] == "error"
        assert answer["error"] in ("the service is closed", "the recorder is closed")
    service.close()


def test_the_version_that_a_process_serves_is_that_of_models_that_name_none(
    make_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWATCH_MODEL_VERSION", "2026-11-25")
    service = make_service()
    service.register_model({"model_id": "ads"})
    service.register_model({"model_id": "health", "model_version": "7"})
    versions = {m["model_id"]: m["model_version"] for m in service.get_service_status()["models"]}
    assert versions == {"ads": "2026-11-25", "health": "7"}
    service.record_prediction("ads", 0.5, {})
    service.flush()
    labels = {"model_id": "ads", "model_version": "2026-11-25"}
    assert service.registry.get_sample_value("modelwatch_predictions_total", labels) == 1.0


@pytest.mark.parametrize("kind", ["datetime", "pandas", "numpy"])
def test_a_time_without_a_zone_is_local_time_whoever_made_it(
    make_service: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        service = make_service(clock=time.time)
        service.register_model({"model_id": "m", "performance_metrics": ["auc"]})
        service.update_model_metric("m", "auc", 0.9)
        local = {"datetime": lambda when: when, "pandas": pd.Timestamp, "numpy": np.datetime64}[kind]
        now = datetime.datetime.now()  # noqa: DTZ005 - that is the point
        start, end = (local(now + datetime.timedelta(hours=hours)) for hours in (-1, 1))
        points = service.get_model_metrics("m", "auc", start_time=start, end_time=end)["metrics"]["auc"]
        assert [point["value"] for point in points] == [0.9]
        service.record_prediction("m", 0.5, {}, timestamp=local(now))
        service.record_predictions("m", [0.5], {"x": [1.0]}, timestamps=pd.DatetimeIndex([now]))
        assert service.flush()
        recorded = service._parts.store.recorded_rows(["m"])["m"]
        assert abs(recorded.first_at - now.timestamp()) < 1.0
        assert abs(recorded.last_at - now.timestamp()) < 1.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_configuration_that_is_answered_can_be_registered_again_and_changes_nothing(make_service: Any) -> None:
    service = make_service()
    answer = service.register_model({"model_id": "m"})
    before = service._parts.book.get("m").config
    service.register_model(answer["config"])
    assert service._parts.book.get("m").config == before
    assert not service._parts.book.get("m").config.channels_written


def test_a_model_without_any_channel_is_warned_of(make_service: Any) -> None:
    answer = make_service().register_model({"model_id": "m", "alert_channels": []})
    assert any("alert_channels is empty" in warning for warning in answer["warnings"])


def test_another_service_knows_the_metrics_that_follow_from_what_was_written(make_service: Any) -> None:
    make_service().register_model({"model_id": "m", "performance_threshold": {"auc": 0.8}})
    other = make_service(alert_handlers={})
    assert other.get_model_metrics("m", "auc") == {"status": "success", "model_id": "m", "metrics": {"auc": []}}
