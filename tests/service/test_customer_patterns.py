"""The customer's usage patterns, as their documents have them, with nothing configured: what is answered, and kept.

The same patterns as programs are in examples/; here each fact of the contract's table is asked for.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwatch import (
    AlertLevel,
    DriftMonitoringConfig,
    DriftMonitoringService,
    ModelMonitoringConfig,
    ProductionMonitoringService,
    thresholds_from_baseline,
)

MODEL_ID = "ad_score_model_v1"
LEVELS = {"none", "info", "warning", "error", "critical"}

# The contract's table: what each call answers, besides status.
SHAPES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "register_model": {"model_id": str, "registered_at": str, "config": dict},
    "record_prediction": {"model_id": str, "prediction_id": str, "sampled": bool},
    "update_model_metric": {"metric": str, "value": float, "timestamp": str},
    "get_model_metrics": {"model_id": str, "metrics": dict},
    "get_service_status": {
        "service_status": str, "reasons": list, "uptime_seconds": float, "models": list, "storage": dict,
        "alerts": dict,
    },
    "send_alert": {
        "alert_id": str, "timestamp": str, "level": str, "type": str, "message": str, "data": dict, "channels": dict,
    },
    "monitor_model_drift": {
        "drift_detected": bool, "drift_types": list, "severity": str, "summary": str, "details": dict,
        "top_features": list, "performance": dict,
    },
    "register_alert_handler": {"channel": str},
    "cleanup_old_data": {},
    "set_reference": {"model_id": str},
    "get_drift_history": {"model_id": str, "history": list},
    "get_alerts": {"alerts": list},
    "detect_drift": {
        "drift_detected": bool, "drift_types": list, "severity": str, "summary": str, "details": dict,
        "top_features": list, "performance": dict,
    },
}  # fmt: skip
OF_A_MODEL: dict[str, type | tuple[type, ...]] = {
    "model_id": str, "model_version": str, "health": str, "reasons": list, "predictions": int,
    "last_prediction_at": (str, type(None)), "reference": str, "drift_severity": str,
}  # fmt: skip
OF_AN_ALERT: dict[str, type] = {
    "alert_id": str, "timestamp": str, "level": str, "type": str, "message": str, "data": dict, "model_id": str,
    "status": str, "fingerprint": str, "starts_at": str,
}  # fmt: skip


def has_shape(answer: dict[str, Any], shape: dict[str, Any]) -> None:
    for key, kind in shape.items():
        assert isinstance(answer[key], kind), f"{key}: {answer[key]!r}"
    for key in ("timestamp", "registered_at", "last_prediction_at", "starts_at"):
        if answer.get(key) is not None:
            assert datetime.fromisoformat(answer[key]).utcoffset() == timedelta(0), f"{key}: {answer[key]!r}"


def ok(call: Callable[..., dict[str, Any]], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Call, and hold the answer against the contract's table."""
    answer = call(*args, **kwargs)
    assert answer["status"] == "success", answer
    has_shape(answer, SHAPES[call.__name__])
    assert json.loads(json.dumps(answer)) == answer, "an answer is plain JSON"
    return answer


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProductionMonitoringService]:
    """Return a service as the customer makes it: no argument, an empty folder, nothing configured."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with ProductionMonitoringService() as made:
        yield made
    assert list(empty.iterdir()) == []


def batch(rows: int, seed: int, *, broken: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {
        "bid": rng.gamma(2.0, 0.5, rows) * (3.0 if broken else 1.0),
        "platform": rng.choice(["ios", "android", "web"], rows),
        "hour": rng.integers(24, size=rows),
    }
    frame: pd.DataFrame = pd.DataFrame(columns)
    return frame


def score(frame: pd.DataFrame) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(2 - frame["bid"])), dtype=float)


# ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_predict_that_times_itself_is_recorded_with_who_and_where(service: ProductionMonitoringService) -> None:
    registered = ok(service.register_model, ModelMonitoringConfig(model_id=MODEL_ID))
    assert registered["model_id"] == MODEL_ID
    assert registered["config"]["performance_metrics"] == ["accuracy", "latency_ms", "error_rate"]
    answers = []

    def predict(features: dict[str, Any]) -> float:
        start_time = time.time()
        prediction = 0.1 * features["bid"]
        latency_ms = (time.time() - start_time) * 1000
        answers.append(
            ok(
                service.record_prediction,
                model_id=MODEL_ID,
                prediction=prediction,
                features=features,
                latency_ms=latency_ms,
                metadata={"user_id": features.get("user_id"), "platform": features.get("platform")},
            )
        )
        return float(prediction)

    before = datetime.now(timezone.utc)
    for i in range(20):
        assert predict({"bid": float(i), "user_id": f"u{i}", "platform": "ios"}) == pytest.approx(0.1 * i)
    assert len({answer["prediction_id"] for answer in answers}) == 20
    assert service.flush()

    status = ok(service.get_service_status)
    (model,) = status["models"]
    has_shape(model, OF_A_MODEL)
    assert (status["service_status"], model["health"], model["predictions"]) == ("healthy", "healthy", 20)
    assert before - timedelta(seconds=1) <= datetime.fromisoformat(model["last_prediction_at"])
    assert model["reference"].startswith("learning, 20 of 5 000 rows")

    recorded = ok(service.get_model_metrics, MODEL_ID)["metrics"]
    assert sum(point["value"] for point in recorded["predictions"]) == 20
    assert all(point["value"] == 0.0 for point in recorded["error_rate"])
    assert all(point["metadata"]["source"] == "recorded" for point in recorded["latency_ms"])


def test_many_threads_record_on_two_services_over_one_storage_and_nothing_is_lost(
    service: ProductionMonitoringService,
) -> None:
    barrier = threading.Barrier(8)
    told: list[dict[str, Any]] = []
    with ProductionMonitoringService(alert_handlers={"email": told.append}) as second:
        services = (service, second)
        for each in services:
            ok(each.register_model, ModelMonitoringConfig(model_id=MODEL_ID, alert_channels=["email"]))

        def work(number: int) -> set[str]:
            mine = services[number % 2]
            barrier.wait(10)
            ids = {
                ok(mine.record_prediction, MODEL_ID, 0.5, {"bid": i}, latency_ms=2.0)["prediction_id"]
                for i in range(250)
            }
            ok(mine.get_service_status)
            ok(mine.update_model_metric, MODEL_ID, "accuracy", 0.9)
            if mine is second:
                ok(mine.send_alert, AlertLevel.ERROR, f"from thread {number}", {"model_id": MODEL_ID})
            return ids

        with ThreadPoolExecutor(8) as pool:
            ids = [each for found in pool.map(work, range(8)) for each in found]
        assert len(ids) == len(set(ids)) == 2000
        assert all(each.flush() for each in services)
        assert [m["predictions"] for m in service.get_service_status()["models"]] == [2000]
        assert ok(service.get_model_metrics, MODEL_ID, "accuracy", aggregation="mean")["metrics"] == {
            "accuracy": {"value": 0.9, "count": 8}
        }
        assert sorted(alert["message"] for alert in told) == [f"from thread {n}" for n in (1, 3, 5, 7)]


# ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_handler_registered_for_email_gets_errors_as_the_customers_handler_reads_them(
    service: ProductionMonitoringService,
) -> None:
    sent: list[str] = []
    raw: list[dict[str, Any]] = []

    def email_alert_handler(alert: dict[str, Any]) -> None:
        raw.append(alert)
        sent.append(
            f"Subject: Model alert: {alert['level']}\n\n{alert['message']}\n"
            f"Time: {alert['timestamp']}\nType: {alert['type']}\nData: {json.dumps(alert['data'])}"
        )

    assert ok(service.register_alert_handler, "email", email_alert_handler)["channel"] == "email"
    ok(service.register_model, ModelMonitoringConfig(model_id=MODEL_ID, alert_channels=["log", "email"]))
    facts = {"model_id": MODEL_ID, "accuracy": 0.81}
    error = ok(service.send_alert, AlertLevel.ERROR, "accuracy fell", facts, alert_type="performance")
    info = ok(service.send_alert, AlertLevel.INFO, "a new version", {"model_id": MODEL_ID})
    warning = ok(service.send_alert, AlertLevel.WARNING, "a campaign", {"model_id": MODEL_ID})

    assert error["channels"] == {"log": "sent", "email": "sent"}
    assert info["channels"] == warning["channels"] == {"log": "sent"}
    (alert,) = raw
    has_shape(alert, OF_AN_ALERT)
    assert set(alert) == set(OF_AN_ALERT)
    assert {key: alert[key] for key in ("alert_id", "timestamp", "level", "type", "message", "data")} == {
        key: error[key] for key in ("alert_id", "timestamp", "level", "type", "message", "data")
    }
    assert (alert["level"], alert["type"], alert["status"], alert["model_id"]) == (
        "error", "performance", "firing", MODEL_ID
    )  # fmt: skip
    assert sent == [
        "Subject: Model alert: error\n\naccuracy fell\n"
        f"Time: {error['timestamp']}\nType: performance\nData: {json.dumps(facts)}"
    ]

    history = ok(service.get_alerts, MODEL_ID)["alerts"]
    assert sorted(a["alert_id"] for a in history) == sorted(a["alert_id"] for a in (error, info, warning))
    assert next(a for a in history if a["level"] == "error")["channels"] == error["channels"]


def test_a_channel_that_nobody_delivers_to_is_said_at_registration_and_in_the_status(
    service: ProductionMonitoringService,
) -> None:
    answer = ok(service.register_model, {"model_id": MODEL_ID, "alert_channels": ["log", "email"]})
    (warning,) = answer["warnings"]
    assert "'email' reaches nobody" in warning
    assert warning in ok(service.get_service_status)["models"][0]["reasons"]


# ── drift ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_broken_data_trigger_retraining_and_sound_data_do_not(service: ProductionMonitoringService) -> None:
    retrained = []

    def check(current: pd.DataFrame) -> dict[str, Any]:
        drift = ok(
            service.monitor_model_drift,
            model_id=MODEL_ID,
            current_data=current,
            current_predictions=score(current),
            current_targets=(score(current) > 0.5).astype(int),
        )
        assert drift["severity"] in LEVELS
        assert set(drift["drift_types"]) <= {"data", "prediction", "concept", "multivariate"}
        if drift["severity"] in ["error", "critical"]:
            retrained.append(drift["drift_types"])
        return drift

    ok(service.register_model, ModelMonitoringConfig(model_id=MODEL_ID))
    held_out = batch(10_000, 1)
    ok(service.set_reference, MODEL_ID, held_out, predictions=score(held_out))

    sound = check(batch(2_000, 2))
    assert (sound["drift_detected"], sound["drift_types"], sound["severity"], retrained) == (False, [], "none", [])

    broken = check(batch(2_000, 3, broken=True))
    assert (broken["drift_detected"], retrained) == (True, [["data", "prediction"]])
    assert broken["top_features"] == ["bid"]
    assert broken["summary"].startswith("1 of 3 inputs drifted: bid (")
    told = broken["details"]["data"]["features"]["bid"]
    assert {"score", "threshold", "n", "window", "test", "state"} <= set(told)
    assert told["state"] == "drift"
    assert 1_000 < told["n"] <= 2_000
    assert told["score"] > told["threshold"] > 0
    assert any("concept drift" in warning for warning in broken["warnings"]), "targets that are not used are said to be"


def test_without_a_reference_it_says_how_far_learning_is_and_guesses_nothing(
    service: ProductionMonitoringService,
) -> None:
    ok(service.register_model, ModelMonitoringConfig(model_id=MODEL_ID))
    for i in range(1240):
        service.record_prediction(MODEL_ID, 0.5, {"bid": i / 1240})
    drift = ok(service.monitor_model_drift, MODEL_ID, batch(2_000, 3, broken=True))
    assert (drift["drift_detected"], drift["drift_types"], drift["severity"]) == (False, [], "none")
    assert "learning, 1 240 of 5 000 rows" in drift["summary"]
    assert {family["state"] for family in drift["details"].values()} == {"learning"}
    assert drift["details"]["data"]["features"] == {}
    (model,) = service.get_service_status()["models"]
    assert model["reference"].startswith("learning, 1 240 of 5 000 rows")


def test_a_batch_is_recorded_row_by_row_compared_and_told(
    service: ProductionMonitoringService, wait_until: Callable[..., None]
) -> None:
    ok(service.register_model, ModelMonitoringConfig(model_id=MODEL_ID))
    with DriftMonitoringService() as drift_service:
        registered = drift_service.register_model(DriftMonitoringConfig(model_id=MODEL_ID))
        assert registered["status"] == "success", registered
        training = batch(10_000, 1)
        assert drift_service.set_reference(MODEL_ID, training, predictions=score(training))["status"] == "success"

        current = batch(1_000, 2, broken=True)
        for (_, row), prediction in zip(current.iterrows(), score(current), strict=True):
            ok(service.record_prediction, MODEL_ID, prediction, row.to_dict())
        drift_result = ok(drift_service.detect_drift, MODEL_ID, current, current_predictions=score(current))
    assert drift_result["drift_detected"]

    alert = ok(
        service.send_alert,
        severity=AlertLevel.WARNING,
        message=f"Drift detected in {MODEL_ID}",
        data=drift_result,
    )
    assert (alert["level"], alert["type"], alert["channels"]) == ("warning", "monitoring", {"log": "sent"})
    assert alert["data"] == drift_result
    (kept,) = ok(service.get_alerts, MODEL_ID)["alerts"]
    assert kept["data"]["drift_types"] == ["data", "prediction"]
    assert service.flush()
    assert service.get_service_status()["models"][0]["predictions"] == 1_000
    # One store: the reference that the other service was given is this one's as well, within a second or two.
    found = (drift_result["drift_types"], drift_result["severity"])

    def seen_here() -> bool:
        drift = ok(service.monitor_model_drift, MODEL_ID, current, score(current))
        return (drift["drift_types"], drift["severity"]) == found

    wait_until(seen_here, 10)


# ── training ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_baseline_metrics_are_kept_with_their_origin(service: ProductionMonitoringService) -> None:
    baseline = {"accuracy": 0.94, "precision": 0.91, "auc": 0.96}
    thresholds = {metric: 0.9 * value for metric, value in baseline.items()}
    ok(
        service.register_model,
        ModelMonitoringConfig(
            model_id=MODEL_ID, performance_metrics=list(baseline), performance_threshold=thresholds
        ),
    )  # fmt: skip
    origin = {"source": "training", "dataset": "baseline"}
    given = {
        metric: ok(service.update_model_metric, MODEL_ID, metric, value, metadata=origin)
        for metric, value in baseline.items()
    }
    refused = service.update_model_metric(MODEL_ID, "recall", 0.8)
    assert refused["status"] == "error"
    assert "accuracy, precision, auc" in refused["error"]

    kept = ok(service.get_model_metrics, MODEL_ID)["metrics"]
    for metric, value in baseline.items():
        (point,) = kept[metric]
        assert point == {"timestamp": given[metric]["timestamp"], "value": value, "metadata": origin}
    for value in (0.90, 0.98):
        ok(service.update_model_metric, MODEL_ID, "accuracy", value)
    expected = {"mean": 0.94, "min": 0.90, "max": 0.98, "median": 0.94}
    for aggregation, value in expected.items():
        answer = ok(service.get_model_metrics, MODEL_ID, metric="accuracy", aggregation=aggregation)
        assert answer["metrics"] == {"accuracy": {"value": pytest.approx(value), "count": 3}}


def test_thresholds_from_a_baseline_know_which_way_is_worse(service: ProductionMonitoringService) -> None:
    thresholds = thresholds_from_baseline({"accuracy": 0.9, "latency_ms": 100.0, "rmse": 2.0}, margin=0.1)
    assert thresholds == {"accuracy": 0.81, "latency_ms": 110.0, "rmse": 2.2}
    config = ModelMonitoringConfig(model_id=MODEL_ID, performance_threshold=thresholds)
    assert (config.thresholds["accuracy"].min, config.thresholds["accuracy"].max) == (0.81, None)
    assert (config.thresholds["latency_ms"].min, config.thresholds["latency_ms"].max) == (None, 110.0)
    assert "warnings" not in ok(service.register_model, config)


# ── diagnostics ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_diagnostics_over_all_models_of_the_last_day(service: ProductionMonitoringService) -> None:
    for model_id in (MODEL_ID, "account_health_model_v2"):
        ok(service.register_model, ModelMonitoringConfig(model_id=model_id))
        ok(service.record_prediction, model_id, 0.5, {"a": 1.0}, latency_ms=4.0)
        ok(service.update_model_metric, model_id, "accuracy", 0.97)
    model_ids = [m["model_id"] for m in service.get_service_status()["models"]]
    assert sorted(model_ids) == ["account_health_model_v2", MODEL_ID]
    for model_id in model_ids:
        day = ok(service.get_model_metrics, model_id, start_time=datetime.now() - timedelta(hours=24))  # noqa: DTZ005
        assert [point["value"] for point in day["metrics"]["accuracy"]] == [0.97]
        assert [point["value"] for point in day["metrics"]["latency_ms"]] == [pytest.approx(4.0, rel=0.1)]
        before = datetime.now() - timedelta(hours=24)  # noqa: DTZ005 - naive is local time, as the customer writes it
        assert ok(service.get_model_metrics, model_id, end_time=before)["metrics"]["accuracy"] == []
        assert ok(service.get_drift_history, model_id)["history"] == []
        assert ok(service.get_alerts, model_id)["alerts"] == []
    cleaned = ok(service.cleanup_old_data)
    assert cleaned["removed"] == {}, "nothing is older than its retention"


def test_an_unknown_model_is_an_error_result_of_every_call_that_names_one(service: ProductionMonitoringService) -> None:
    ok(service.register_model, ModelMonitoringConfig(model_id=MODEL_ID))
    wrong = "ad_score_model_v2"
    answers = [
        service.record_prediction(wrong, 0.5, {}),
        service.record_actual(wrong, "id", 1),
        service.update_model_metric(wrong, "accuracy", 0.9),
        service.get_model_metrics(wrong),
        service.get_drift_history(wrong),
        service.monitor_model_drift(wrong, batch(100, 1)),
        service.set_reference(wrong, batch(1000, 1)),
    ]
    for answer in answers:
        assert answer["status"] == "error"
        assert wrong in answer["error"]
        assert MODEL_ID in answer["error"], answer
