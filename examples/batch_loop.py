"""A nightly batch: record each row, look at the whole, tell people."""

from typing import Any

import numpy as np

from modelwatch import (
    AlertLevel,
    DriftMonitoringConfig,
    DriftMonitoringService,
    ModelMonitoringConfig,
    ProductionMonitoringService,
)

MODEL_ID = "account_health_model_v2"

monitoring = ProductionMonitoringService()
monitoring.register_model(ModelMonitoringConfig(model_id=MODEL_ID, performance_threshold={"rmse": 0.15}))
drift = DriftMonitoringService()
drift.register_model(DriftMonitoringConfig(model_id=MODEL_ID))


def load_rows(rows: int, seed: int, *, logins: float = 6.0) -> list[dict[str, Any]]:
    """Stand for your own data."""
    rng = np.random.default_rng(seed)
    return [
        {"logins": int(n), "plan": str(plan)}
        for n, plan in zip(rng.poisson(logins, rows), rng.choice(["free", "pro"], rows), strict=True)
    ]


def predict(row: dict[str, Any]) -> float:
    return float(min(1.0, row["logins"] / 10 + (0.2 if row["plan"] == "pro" else 0.0)))


def run(batch: list[dict[str, Any]]) -> None:
    predictions = [predict(row) for row in batch]
    for row, prediction in zip(batch, predictions, strict=True):
        monitoring.record_prediction(MODEL_ID, prediction, row)
    monitoring.flush()

    drift_result = drift.detect_drift(MODEL_ID, batch, current_predictions=predictions)
    print(drift_result["summary"])
    if drift_result["drift_detected"]:
        told = monitoring.send_alert(
            severity=AlertLevel.WARNING,
            message=f"Drift detected in {MODEL_ID}: {', '.join(drift_result['drift_types'])}",
            data=drift_result,
        )
        print(f"told: {told['channels']}")


if __name__ == "__main__":
    run(load_rows(200, seed=1))  # nothing to compare with yet, and it says so

    training = load_rows(10_000, seed=2)
    drift.set_reference(MODEL_ID, training, predictions=[predict(row) for row in training])
    run(load_rows(1_000, seed=3))
    run(load_rows(1_000, seed=4, logins=2.0))
    drift.close()
    monitoring.close()
