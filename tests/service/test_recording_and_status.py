"""Registration, recording, metrics and status, as an application sees them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from modelwatch import AlertLevel, ModelMonitoringConfig, ProductionMonitoringService
from modelwatch.exceptions import ConfigError, InputError
from modelwatch.store.queries import StoreQueries

MakeService = Callable[..., ProductionMonitoringService]
HOSTILE = "ad\"score\\{{ $value }} {x} 'q' 🚀 ../../etc/passwd <b>&amp;</b>"


def samples(service: ProductionMonitoringService) -> dict[tuple[str, ...], float]:
    """Return {(name, label=value, …): value} of a scrape, through prometheus_client's own parser."""
    text = generate_latest(service.registry).decode()
    return {
        (s.name, *(f"{k}={v}" for k, v in sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_registration_answers_with_the_resolved_configuration(make_service: MakeService) -> None:
    answer = make_service().register_model({"model_id": "m", "sampling_rate": 0.5})
    assert (answer["status"], answer["model_id"], answer["config"]["sampling_rate"]) == ("success", "m", 0.5)
    assert answer["registered_at"].endswith("+00:00")


def test_a_typo_in_a_registration_is_an_error_result_that_names_the_key(make_service: MakeService) -> None:
    answer = make_service().register_model({"model_id": "m", "sampling_rat": 0.5})
    assert answer["status"] == "error"
    assert "sampling_rat" in answer["error"]
    assert "sampling_rate" in answer["error"]


def test_a_recorded_prediction_is_acknowledged_counted_and_stored(
    make_service: MakeService, tmp_path: Path, clock: Any
) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    answer = service.record_prediction("m", 0.7, {"a": 1.0}, latency_ms=4.0, metadata={"user_id": "u1"})
    assert answer["status"] == "success"
    assert (answer["model_id"], answer["sampled"]) == ("m", True)
    assert service.flush()

    assert samples(service)[("modelwatch_predictions_total", "model_id=m", "model_version=")] == 1
    queries = StoreQueries(tmp_path / "storage")
    (chunk,) = list(queries.row_chunks("m", clock() - 60, clock() + 60))
    queries.close()
    assert chunk.ids == [answer["prediction_id"]]
    assert list(chunk.columns["a"]) == [1.0]


def test_an_unknown_model_is_an_error_result_with_the_closest_name(make_service: MakeService) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="ad_score"))
    answer = service.record_prediction("ad_scor", 0.7, {"a": 1.0})
    assert answer["status"] == "error"
    assert "ad_scor" in answer["error"]


def test_failed_attempts_are_errors_and_still_attempts(make_service: MakeService) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    service.record_prediction("m", None, {"a": 1.0}, error=True)
    service.record_prediction("m", 0.5, {"a": 1.0})
    service.flush()
    found = samples(service)
    assert found[("modelwatch_predictions_total", "model_id=m", "model_version=")] == 2
    assert found[("modelwatch_prediction_errors_total", "model_id=m", "model_version=")] == 1


def test_a_metric_outside_performance_metrics_is_refused_with_the_list_of_those_inside(
    make_service: MakeService,
) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m", performance_metrics=["auc", "accuracy"]))
    answer = service.update_model_metric("m", "acuracy", 0.9)
    assert answer["status"] == "error"
    assert "auc, accuracy" in answer["error"]
    assert service.update_model_metric("m", "auc", 0.9)["value"] == 0.9
    service.flush()
    assert samples(service)[("modelwatch_metric_value", "metric=auc", "model_id=m", "model_version=")] == 0.9


@pytest.mark.parametrize("value", ["high", None, float("nan"), float("inf"), [1]])
def test_a_metric_value_that_is_no_finite_number_is_refused(make_service: MakeService, value: Any) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m", performance_metrics=["auc"]))
    answer = service.update_model_metric("m", "auc", value)
    assert answer["status"] == "error"
    assert "number" in answer["error"]


def test_late_ground_truth_is_stored_by_prediction_id(make_service: MakeService, tmp_path: Path, clock: Any) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    prediction_id = service.record_prediction("m", 0.7, {"a": 1.0})["prediction_id"]
    assert service.record_actual("m", prediction_id, 1)["status"] == "success"
    service.flush()
    queries = StoreQueries(tmp_path / "storage")
    chunks = list(queries.actual_chunks("m", clock() - 60, clock() + 60))
    queries.close()
    assert [value for chunk in chunks for value in chunk.values] == [1]


def test_status_tells_traffic_reference_and_reasons(make_service: MakeService, watched: ModelMonitoringConfig) -> None:
    service = make_service()
    service.register_model(watched)
    service.register_model(ModelMonitoringConfig(model_id="silent", alert_channels=["pager"]))
    service.record_prediction("flights", 0.3, {"distance": 500.0, "carrier": "UA", "hour": 7})
    service.flush()
    status = service.get_service_status()
    first, second = status["models"]
    assert (status["status"], first["model_id"], first["predictions"]) == ("success", "flights", 1)
    assert first["reference"].startswith("profile ")
    assert (first["health"], first["last_prediction_at"] is not None) == ("healthy", True)
    assert (second["health"], second["last_prediction_at"]) == ("degraded", None)
    assert "'pager' reaches nobody" in second["reasons"][0]
    json.dumps(status)


def test_code_and_file_are_merged_and_the_file_wins_with_a_warning(make_service: MakeService, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models: [{model_id: m, sampling_rate: 0.25}]")
    service = make_service(config_path=path)
    answer = service.register_model(ModelMonitoringConfig(model_id="m", sampling_rate=1.0, retention_days=7))
    assert (answer["config"]["sampling_rate"], answer["config"]["retention_days"]) == (0.25, 7)
    assert any("the file wins" in warning for warning in answer["warnings"])


def test_a_wrong_file_is_refused_at_construction(make_service: MakeService, tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models: [{model_id: m, sampling_rate: 7}]")
    with pytest.raises(ConfigError, match="sampling_rate"):
        make_service(config_path=path)


def test_config_and_config_path_exclude_each_other(make_service: MakeService, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not both"):
        make_service(config_path=tmp_path / "x.yaml", config=object())


def test_a_missing_profile_is_a_warning_and_the_model_runs(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service()
    answer = service.register_model({"model_id": "m", "reference": str(tmp_path / "no-such.json")})
    assert answer["status"] == "success"
    assert any("no-such.json" in warning for warning in answer["warnings"])
    assert service.record_prediction("m", 0.5, {"a": 1})["status"] == "success"


def test_an_unusable_folder_costs_history_and_never_predictions(make_service: MakeService, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    service = make_service(storage_path=blocked / "storage")
    service.register_model(ModelMonitoringConfig(model_id="m"))
    assert service.record_prediction("m", 0.5, {"a": 1})["status"] == "success"
    service.flush()
    status = service.get_service_status()
    assert status["service_status"] == "degraded"
    assert "nothing is stored" in status["reasons"][0]
    assert samples(service)[("modelwatch_predictions_total", "model_id=m", "model_version=")] == 1


def test_a_hostile_model_id_goes_through_everything(make_service: MakeService, inbox: Any, tmp_path: Path) -> None:
    service = make_service()
    answer = service.register_model({"model_id": HOSTILE, "alert_channels": ["email"]})
    assert answer["status"] == "success"
    assert service.record_prediction(HOSTILE, 0.5, {HOSTILE: 1.0, "b": HOSTILE})["status"] == "success"
    service.flush()
    service.send_alert(AlertLevel.CRITICAL, f"about {HOSTILE}", {"model_id": HOSTILE})
    assert inbox.alerts[0]["model_id"] == HOSTILE
    assert samples(service)[("modelwatch_predictions_total", f"model_id={HOSTILE}", "model_version=")] == 1
    assert service.get_service_status()["models"][0]["model_id"] == HOSTILE
    assert {p.name for p in tmp_path.iterdir()} <= {"storage", "default-storage"}


@pytest.mark.parametrize("bad", ["a\x00b", "line\nbreak", "\x1b[31m", "", "x" * 201])
def test_a_model_id_with_control_characters_or_no_length_is_refused_clearly(
    make_service: MakeService, bad: str
) -> None:
    answer = make_service().register_model({"model_id": bad})
    assert answer["status"] == "error"
    assert "model_id" in answer["error"]


def test_many_threads_lose_no_prediction(make_service: MakeService) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))

    def work() -> None:
        for i in range(500):
            service.record_prediction("m", 0.5, {"a": float(i)})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.flush()
    assert samples(service)[("modelwatch_predictions_total", "model_id=m", "model_version=")] == 4000


def test_close_is_idempotent_and_a_closed_service_answers_with_an_error(make_service: MakeService) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    service.close()
    service.close()
    assert service.record_prediction("m", 0.5, {"a": 1})["status"] == "error"


def test_the_metrics_server_serves_what_was_recorded(make_service: MakeService) -> None:
    import urllib.request

    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    service.record_prediction("m", 0.5, {"a": 1})
    service.flush()
    port = service.start_metrics_server(0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        text = response.read().decode()
    assert 'modelwatch_predictions_total{model_id="m",model_version=""} 1.0' in text
