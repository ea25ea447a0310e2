"""A predict function that times itself and records what it answered, for whom and where."""

import time
from typing import Any

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService

service = ProductionMonitoringService()
service.register_model(ModelMonitoringConfig(model_id="ad_score_model_v1"))


def score(features: dict[str, Any]) -> float:
    """Stand for your own model."""
    return float(0.02 + 0.3 * features["bid"] / (1 + features["position"]))


def predict(features: dict[str, Any]) -> float:
    request = dict(features)
    user_id, platform = request.pop("user_id"), request.pop("platform")
    start = time.perf_counter()
    prediction = score(request)
    latency_ms = (time.perf_counter() - start) * 1000
    service.record_prediction(
        model_id="ad_score_model_v1",
        prediction=prediction,
        features=request,
        latency_ms=latency_ms,
        metadata={"user_id": user_id, "platform": platform},
    )
    return prediction


if __name__ == "__main__":
    for i in range(1000):
        predict({"bid": i % 7 / 7, "position": i % 5, "user_id": f"u{i}", "platform": "ios" if i % 2 else "web"})
    service.flush()
    (model,) = service.get_service_status()["models"]
    print(f"{model['predictions']} predictions, {model['errors']} errors, {model['health']}")
    print(f"reference: {model['reference']}")
    service.close()
