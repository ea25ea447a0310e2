"""Each of these went wrong once for somebody who used the software as a stranger would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile, monitor
from modelwatch.decorator import wrap
from modelwatch.default import Monitor
from modelwatch.exceptions import InputError, RegistryTakenError
from modelwatch.store.queries import StoreQueries

MakeService = Callable[..., ProductionMonitoringService]


@pytest.fixture
def default_monitor() -> Iterator[Monitor]:
    yield monitor
    monitor.close()


def count(service: ProductionMonitoringService, model_id: str = "m") -> float | None:
    return service.registry.get_sample_value(
        "modelwatch_predictions_total", {"model_id": model_id, "model_version": ""}
    )


def test_a_forked_child_of_a_process_that_serves_metrics_exits(tmp_path: Path) -> None:
    script = """
import os, sys
from modelwatch import monitor, start_metrics_server

@monitor("m")
def predict(features):
    return 0.5

predict({"a": 1})
port = start_metrics_server(0)
if os.fork() == 0:
    predict({"a": 2})
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    environment = {**os.environ, "MODELWATCH_STORAGE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, env=environment, check=False
    )
    assert done.stdout.strip() == "0", done.stderr


def test_storage_that_becomes_unusable_never_raises_into_predict(default_monitor: Monitor, tmp_path: Path) -> None:
    @default_monitor("a")
    def predict_a(features: dict[str, float]) -> float:
        return 0.1

    @default_monitor("b")
    def predict_b(features: dict[str, float]) -> float:
        return 0.2

    assert predict_a({"x": 1.0}) == 0.1
    folder = Path(os.environ["MODELWATCH_STORAGE"])
    shutil.rmtree(folder)
    folder.write_text("in the way")
    assert (predict_a({"x": 1.0}), predict_b({"x": 1.0})) == (0.1, 0.2)


@pytest.mark.parametrize("given", [[KeyError], KeyError, (KeyError,), {KeyError}])
def test_exceptions_to_ignore_come_in_whatever_people_write(given: Any) -> None:
    def predict(features: object) -> float:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        wrap(predict, lambda: None, ignore_errors=given)(1)


@pytest.mark.parametrize("given", [["KeyError"], 7, [KeyError("instance")]])
def test_what_is_no_exception_class_is_refused_at_decoration(given: Any) -> None:
    with pytest.raises(InputError, match="exception classes"):
        wrap(lambda features: 0.5, lambda: None, ignore_errors=given)


class Tensor:
    """Raises what no number raises, as tensors of several elements do."""

    def __float__(self) -> float:
        raise RuntimeError("only one element tensors can be converted")


def test_a_timestamp_that_is_none_never_raises(make_service: MakeService) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    assert service.record_prediction("m", 0.5, {"a": 1}, timestamp=Tensor())["status"] == "success"  # type: ignore[arg-type]


def test_milliseconds_are_taken_for_what_they_are(make_service: MakeService, tmp_path: Path, clock: Any) -> None:
    service = make_service()
    service.register_model(ModelMonitoringConfig(model_id="m"))
    service.record_prediction("m", 0.5, {"a": 1}, timestamp=(clock() - 3600) * 1000)
    service.flush()
    queries = StoreQueries(tmp_path / "storage")
    (chunk,) = list(queries.row_chunks("m", clock() - 4000, clock() - 3000))
    queries.close()
    assert list(chunk.times) == [clock() - 3600]


def test_one_bad_decorator_switches_no_other_off(default_monitor: Monitor) -> None:
    with pytest.raises(InputError, match="version must be text"):
        default_monitor("bad", version=3)  # type: ignore[arg-type]

    @default_monitor("missing-profile", reference="/no/such/profile.json")
    def odd(features: dict[str, float]) -> float:
        return 0.1

    @default_monitor("good")
    def good(features: dict[str, float]) -> float:
        return 0.2

    for _ in range(5):
        odd({"x": 1.0})
        good({"x": 1.0})
    assert default_monitor.flush()
    from modelwatch.default import _default

    assert count(_default.service(), "good") == 5


def test_the_decorator_without_parentheses_says_what_to_write(default_monitor: Monitor) -> None:
    with pytest.raises(InputError, match=r'write @monitor\("your_model_id"\)'):

        @default_monitor  # type: ignore[arg-type]
        def predict(features: object) -> float:
            return 0.5


def test_a_reference_in_the_decorator_keeps_what_code_configured(
    make_service: MakeService, profile_path: Path, inbox: Any
) -> None:
    service = make_service()
    service.register_model(
        {"model_id": "m", "alert_channels": ["email"], "features": {"exclude": ["ssn"]}, "log_predictions": False}
    )

    @service.monitor("m", reference=profile_path)
    def predict(features: dict[str, Any]) -> float:
        return 0.5

    predict({"distance": 1.0})
    config = service._parts.book.get("m").config
    assert (config.alert_channels, config.features.exclude, config.log_predictions) == (["email"], ("ssn",), False)
    assert config.reference == str(profile_path)


def test_a_profile_that_vanished_from_the_store_is_put_back(
    make_service: MakeService, profile: ReferenceProfile, watched: ModelMonitoringConfig, tmp_path: Path, clock: Any
) -> None:
    service = make_service()
    service.register_model(watched)
    (tmp_path / "storage" / "profiles" / f"{profile.id}.json").unlink()
    service.record_prediction("flights", 0.5, {"distance": 500.0, "carrier": "UA", "hour": 7})
    service.flush()
    clock.advance(5)
    assert service._parts.jobs is not None
    (result,) = service._parts.jobs.check("flights", clock())
    assert result.families["data"].state != "no_reference"


def test_status_gives_a_reference_that_did_not_load_as_a_reason(make_service: MakeService) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "reference": "/no/such/profile.json"})
    (model,) = service.get_service_status()["models"]
    assert model["health"] == "degraded"
    assert "/no/such/profile.json" in model["reasons"][0]


def test_status_counts_each_version_by_itself(make_service: MakeService) -> None:
    service = make_service()
    for version in ("1", "2"):
        service.register_model({"model_id": "m", "model_version": version})
    for _ in range(3):
        service.record_prediction("m", 0.5, {"a": 1}, model_version="1")
    service.record_prediction("m", 0.5, {"a": 1}, model_version="2")
    service.flush()
    rows = service.get_service_status()["models"]
    assert [(row["model_version"], row["predictions"]) for row in rows] == [("1", 3), ("2", 1)]


def test_a_batch_that_lacks_columns_says_so(
    make_service: MakeService, watched: ModelMonitoringConfig, rows: Any
) -> None:
    service = make_service()
    service.register_model(watched)
    batch = rows(2000, 5)
    batch["Carrier"] = batch.pop("carrier")
    answer = service.monitor_model_drift("flights", batch)
    assert any("carrier" in warning and "not in the data" in warning for warning in answer["warnings"])


def test_changing_the_working_directory_moves_no_counters(
    make_service: MakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    service = make_service(storage_path="relative")
    service.register_model(ModelMonitoringConfig(model_id="m"))
    service.record_prediction("m", 0.5, {"a": 1})
    service.flush()
    monkeypatch.chdir(tmp_path / "elsewhere")
    service.record_prediction("m", 0.5, {"a": 1})
    service.flush()
    assert count(service) == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_two_services_in_one_registry_are_refused(make_service: MakeService) -> None:
    registry = CollectorRegistry()
    first = make_service(registry=registry)
    with pytest.raises(RegistryTakenError, match="already exposes"):
        make_service(registry=registry, storage_path=None)
    first.close()
    make_service(registry=registry).register_model({"model_id": "m"})


def test_a_port_that_is_taken_is_said_in_a_sentence(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service()
    port = service.start_metrics_server(0)
    with pytest.raises(InputError, match=f"127.0.0.1:{port}"):
        make_service(storage_path=tmp_path / "another").start_metrics_server(port)
    with pytest.raises(InputError, match="99999"):
        service.start_metrics_server(99999)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert answer.status == 200


def test_an_alert_that_was_sent_but_not_stored_is_a_success_with_a_warning(
    make_service: MakeService, inbox: Any, tmp_path: Path
) -> None:
    service = make_service()
    shutil.rmtree(tmp_path / "storage")
    (tmp_path / "storage").write_text("in the way")
    answer = service.send_alert("critical", "x")
    assert (answer["status"], answer["channels"]["email"]) == ("success", "sent")
    assert "not in the history" in answer["warnings"][0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: s.update_model_metric("m", "auc", 0.9, metadata="note"), "metadata must be a dict"),
        (lambda s: s.send_alert("error", "x", [1, 2]), "data must be a dict"),
        (lambda s: s.record_actual("m", None, 1), "prediction_id"),
    ],
)
def test_odd_arguments_are_error_results(
    make_service: MakeService, call: Callable[[ProductionMonitoringService], dict[str, Any]], words: str
) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "performance_metrics": ["auc"]})
    answer = call(service)
    assert answer["status"] == "error"
    assert words in answer["error"]


def test_the_name_of_a_severity_counts_in_any_case(make_service: MakeService) -> None:
    assert make_service().send_alert("WARNING", "x")["level"] == "warning"


def test_a_closed_service_takes_no_metric(make_service: MakeService) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "performance_metrics": ["auc"]})
    service.close()
    assert service.update_model_metric("m", "auc", 0.9)["status"] == "error"
