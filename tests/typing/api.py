"""A user's file: every public name, with every argument that can be given, at least once.

It is type-checked, never run: with pydantic's plugin among all other files, and without it by test_api_types.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

import modelwatch
from modelwatch import (
    AlertLevel,
    DriftMonitoringConfig,
    DriftMonitoringService,
    ModelMonitoringConfig,
    ProductionMonitoringService,
    ReferenceProfile,
    compare,
    make_asgi_app,
    make_wsgi_app,
    monitor,
    register_collector,
    start_metrics_server,
    thresholds_from_baseline,
)

version: str = modelwatch.__version__
level: AlertLevel = AlertLevel.CRITICAL
levels: list[str] = [AlertLevel.INFO.value, AlertLevel.WARNING.value, AlertLevel.ERROR.value]


# ── configuration ────────────────────────────────────────────────────────────────────────────────────────────────

baseline = {"accuracy": 0.94, "auc": 0.91}
limits: dict[str, float] = {metric: 0.9 * value for metric, value in baseline.items()}
derived: dict[str, float] = thresholds_from_baseline(metrics=baseline, margin=0.1)

small = ModelMonitoringConfig(model_id="ad_score_model_v1")
pipeline = ModelMonitoringConfig(
    model_id="ad_score_model_v1", performance_metrics=list(baseline), performance_threshold=limits
)
mixed = ModelMonitoringConfig(
    model_id="ad_score_model_v1",
    performance_threshold={"accuracy": 0.92, "latency_ms": 150, "clicks": {"max": 3, "severity": "error"}},
    drift_detection_interval=30,
    drift={"windows": ["1h", "24h"]},
)
drift_config = DriftMonitoringConfig(
    model_id="account_health_model_v2",
    reference="profile.json",
    windows=["1h", "24h"],
    false_alarms_per_30d=0.5,
    bins=30,
    min_rows=100,
    thresholds={"warning": 0.05, "error": 0.1, "critical": 0.2},
    tolerance={"age": 0.12},
    methods=["psi"],
    fixed_thresholds={"psi": 0.2},
    confirm="2/3",
    timezone="Europe/Berlin",
    strata="48",
    compare={"baseline_version": "1"},
    multiplicity="by",
    entity="user_id",
    multivariate="off",
)
full = ModelMonitoringConfig(
    model_id="account_health_model_v2",
    performance_metrics=["rmse", "latency_ms"],
    drift_detection_interval=timedelta(minutes=30),
    schedule="0 2 * * *",
    performance_threshold=derived,
    alert_channels=["log", "email"],
    log_predictions=False,
    retention_days=30,
    sampling_rate=0.5,
    task="regression",
    model_version="2026-11-20",
    reference="auto",
    drift=drift_config,
    features={"exclude": ["user_id"], "categorical": ["plan"], "importance": {"logins": 2.0}},
    metadata_keys=["platform"],
    segments=["country", "device"],
    decision_threshold=0.7,
    positive_class="yes",
    owner="ml-ads",
    runbook_url="https://example.com/runbook",
    dashboard_url="https://example.com/dashboard",
    latency_quantile=0.99,
    objective={"error_rate": 0.001, "latency_ms": 150, "window": "30d"},
    severity={"MLModelNoPredictions": "error"},
)
from_dict: ModelMonitoringConfig = ModelMonitoringConfig.model_validate({"model_id": "m"})
drift_from_dict: DriftMonitoringConfig = DriftMonitoringConfig.model_validate({"windows": ["1h"]})
model_id: str = full.model_id
metrics: list[str] = full.performance_metrics
interval: float = full.interval_seconds


# ── a reference ──────────────────────────────────────────────────────────────────────────────────────────────────

columns: dict[str, list[float]] = {"logins": [1.0, 2.0], "days": [3.0, 4.0]}
profile: ReferenceProfile = ReferenceProfile.build(
    X=columns,
    predictions=[0.1, 0.2],
    actuals=[0, 1],
    timestamps=[datetime(2026, 1, 1), datetime(2026, 1, 2)],
    decision_threshold=0.5,
    importance={"logins": 1.0},
    timezone="Europe/Rome",
    inherit=None,
    bins=20,
    categorical=["plan"],
    exclude=["user_id"],
    feature_names=["logins", "days"],
    model_id="account_health_model_v2",
    model_version="3",
    task="regression",
    created=datetime(2026, 1, 3),
    strata="auto",
)
weekly: ReferenceProfile = ReferenceProfile.build(columns, inherit=profile, like=profile)
both: ReferenceProfile = profile.merge(other=weekly)
saved: Path = profile.save(path="profile.json")
loaded: ReferenceProfile = ReferenceProfile.load(path=saved)
text: str = profile.to_json() + profile.summary() + profile.verdict + profile.id + profile.label
again: ReferenceProfile = ReferenceProfile.from_json(text=text, source="here")

compared = compare(
    {"bid": [0.1, 0.4]},
    {"bid": [0.2, 0.9]},
    predictions=([0.2, 0.7], [0.3, 0.6]),
    timestamps=None,
    exclude=["id"],
    categorical=("plan",),
    timezone="Europe/Berlin",
    drift=DriftMonitoringConfig(tolerance={"bid": 0.12}),
    importance={"bid": 2.0},
    min_severity="error",
    false_alarm_rate=0.01,
    model_id="ad_score_model_v1",
)
did_drift: bool = compared.drifted
worst: str = compared.severity
moved: tuple[str, ...] = compared.drifted_features
told: dict[str, Any] = compared.to_dict()
pages: list[str] = [compared.to_html(), compared.to_json(), compared.to_junit(), str(compared)]
looked_at: ReferenceProfile = compared.profile
again_compared = compare(reference=profile, current={"bid": [0.2]}, predictions="score")
names: tuple[str, ...] = profile.feature_names
cells: int = profile.member(name="logins").size + len(profile.counts_of(name="logins"))


# ── the service ──────────────────────────────────────────────────────────────────────────────────────────────────


def email_handler(alert: dict[str, Any]) -> None:
    print(alert["level"], alert["message"], alert["timestamp"], alert["type"], alert["data"])


def use(handlers: Mapping[str, Callable[[dict[str, Any]], Any]]) -> None:
    service = ProductionMonitoringService(
        config_path="modelwatch.json",
        storage_path=Path("monitoring"),
        alert_handlers=handlers,
        registry=CollectorRegistry(),
        config=None,
        clock=lambda: 0.0,
        background=True,
    )
    answers: list[dict[str, Any]] = [
        service.register_model(config=full),
        service.register_model({"model_id": "m", "sampling_rate": 0.5}),
        service.record_prediction(
            model_id="m",
            prediction=0.5,
            features={"bid": 0.4},
            actual=1,
            metadata={"user_id": "u1", "platform": "ios"},
            latency_ms=3.5,
            prediction_id="r-17",
            timestamp=datetime.now(),
            segment="ios",
            model_version="3",
            error=None,
            copy=False,
        ),
        service.record_prediction("m", 0.5, [0.4, 0.2]),
        service.record_predictions(
            model_id="m",
            predictions=[0.5, 0.6],
            features=columns,
            actuals=[0, 1],
            metadata={"platform": "ios"},
            latency_ms=8.0,
            prediction_ids=["a", "b"],
            timestamps=[0.0, 1.0],
            segment="ios",
            model_version="3",
            errors=[False, False],
            copy=True,
        ),
        service.record_actual(model_id="m", prediction_id="r-17", actual=1),
        service.record_actuals(model_id="m", prediction_ids=["a", "b"], actuals=[0, 1]),
        service.update_model_metric(
            model_id="m", metric="auc", value=0.9, metadata={"source": "training", "dataset": "baseline"}
        ),
        service.get_model_metrics(
            model_id="m",
            metric="auc",
            start_time=datetime.now() - timedelta(hours=24),
            end_time="2026-11-25T12:00:00",
            aggregation="mean",
        ),
        service.get_drift_history(model_id="m", start_time=0.0, end_time=datetime.now(), limit=10),
        service.get_alerts(
            model_id="m", start_time=0.0, end_time=1.0, level=AlertLevel.ERROR, status="firing", limit=10
        ),
        service.get_service_status(),
        service.monitor_model_drift(
            model_id="m",
            current_data=columns,
            current_predictions=[0.5, 0.6],
            current_targets=[0, 1],
            comprehensive=False,
        ),
        service.set_reference(
            model_id="m", profile_or_dataframe=profile, predictions=[0.5, 0.6], timestamps=[0.0, 1.0]
        ),
        service.send_alert(severity=AlertLevel.WARNING, message="m", data={"model_id": "m"}, alert_type="drift"),
        service.send_alert("error", "accuracy fell"),
        service.register_alert_handler(channel="email", handler=email_handler),
        service.silence_alerts(
            model_id="m", alertname="MLModelDataDrift", duration="4h", comment="release", created_by="me"
        ),
        service.silence_alerts(duration=timedelta(minutes=30)),
        service.cleanup_old_data(),
        service.retire_model(model_id="m"),
    ]
    models: list[str] = [m["model_id"] for m in answers[-1]["models"]]
    done: bool = service.flush(timeout=5.0)
    port: int = service.start_metrics_server(port=0, addr="127.0.0.1")
    service.register_collector(registry=CollectorRegistry())
    applications = (service.make_asgi_app(), service.make_wsgi_app())
    print(models, done, port, applications, service.registry)
    service.close()
    with ProductionMonitoringService() as nothing_configured:
        nothing_configured.flush()


def use_drift() -> None:
    drift = DriftMonitoringService(storage_path="monitoring", config_path=None, clock=lambda: 0.0)
    drift.register_model(config=drift_config)
    drift.set_reference(model_id="m", profile_or_dataframe=columns, predictions=[0.5, 0.6], timestamps=[1.0, 2.0])
    result: dict[str, Any] = drift.detect_drift(
        model_id="m", current_data=columns, current_predictions=[0.5, 0.6], current_targets=[0, 1]
    )
    print(result["severity"] in ["error", "critical"], drift.storage)
    drift.close()
    with DriftMonitoringService() as beside:
        beside.detect_drift("m", columns)


# ── the decorator ────────────────────────────────────────────────────────────────────────────────────────────────


@monitor("ad_score_model_v1")
def predict(features: dict[str, float]) -> float:
    return 0.5 * features["bid"]


@monitor(
    model_id="ad_score_model_v1",
    features="row",
    prediction=lambda answer: answer["score"],
    prediction_id="request_id",
    metadata=lambda row, request_id: {"request": request_id},
    timestamp=None,
    segment=None,
    version="3",
    reference="profile.json",
    ignore_errors=(ValueError,),
    batch=False,
)
def predict_more(row: dict[str, float], request_id: str) -> dict[str, float]:
    return {"score": 0.5}


def decorate(service: ProductionMonitoringService) -> None:
    @service.monitor(
        model_id="ad_score_model_v1",
        features="row",
        prediction="score",
        prediction_id="request_id",
        metadata=None,
        timestamp=None,
        segment=lambda row, request_id: row["country"],
        version="3",
        reference=Path("profile.json"),
        ignore_errors=(),
        batch=None,
    )
    def predict_with(row: dict[str, float], request_id: str) -> dict[str, float]:
        return {"score": 0.5}

    answered: dict[str, float] = predict_with({"bid": 0.4}, request_id="r-17")
    print(answered)
    scoring = service.monitor("ad_score_model_v1")
    with scoring as call:
        call.features = {"bid": 0.4}
        call.prediction = 0.5
        call.prediction_id, call.segment = "r-18", "web"
        call.metadata, call.timestamp = {"request": "r-18"}, 1_700_000_000.0


@monitor("ad_score_model_v1")
async def predict_later(features: dict[str, float]) -> float:
    return 0.5


async def ask() -> float:
    return await predict_later({"bid": 0.4})


score: float = predict({"bid": 0.4})
more: dict[str, float] = predict_more({"bid": 0.4}, "r-17")
last: str | None = monitor.last_prediction_id()
flushed: bool = monitor.flush(timeout=5.0)
monitor.close()

served: int = start_metrics_server(port=9100, addr="127.0.0.1")
asgi = make_asgi_app()
wsgi = make_wsgi_app()
register_collector(registry=CollectorRegistry())
