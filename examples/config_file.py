"""Two models from a configuration file (modelwatch.json beside this script), and a handler for its email channel."""

from pathlib import Path

from modelwatch import ProductionMonitoringService

service = ProductionMonitoringService(
    config_path=Path(__file__).with_name("modelwatch.json"),
    alert_handlers={"email": print},
)

if __name__ == "__main__":
    service.record_prediction("ad_score_model_v1", 0.12, {"bid": 0.4, "position": 2}, latency_ms=8.5)
    service.record_prediction("account_health_model_v2", 0.7, {"logins": 6, "plan": "pro"})
    service.flush()
    for model in service.get_service_status()["models"]:
        print(f"{model['model_id']}: {model['health']}, {model['predictions']} predictions, {model['reference']}")
    service.close()
