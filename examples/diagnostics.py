"""Look at everything that is known: status, the metrics of a day, drift checks, alerts, and what is kept."""

from datetime import datetime, timedelta

from modelwatch import AlertLevel, ModelMonitoringConfig, ProductionMonitoringService


def diagnose(service: ProductionMonitoringService) -> None:
    status = service.get_service_status()
    print(f"service: {status['service_status']}, storage: {status['storage']['path']}")
    for reason in status["reasons"]:
        print(f"  because {reason}")

    for model_id in [m["model_id"] for m in status["models"]]:
        start_time = datetime.now() - timedelta(hours=24)
        print(model_id)
        for metric, points in service.get_model_metrics(model_id, start_time=start_time)["metrics"].items():
            latest = f"{points[-1]['value']:g} at {points[-1]['timestamp']}" if points else "none yet"
            print(f"  {metric}: {latest}")
        latency = service.get_model_metrics(model_id, "latency_ms", start_time=start_time, aggregation="max")
        slowest = latency["metrics"]["latency_ms"]["value"]  # None where no latency was recorded
        print(f"  slowest minute: {'no traffic yet' if slowest is None else f'{slowest:.2f} ms'}")
        print(f"  drift checks: {len(service.get_drift_history(model_id)['history'])}")
        for alert in service.get_alerts(model_id)["alerts"]:
            print(f"  {alert['level']} {alert['timestamp']}: {alert['message']}")


def main() -> None:
    service = ProductionMonitoringService()
    service.register_model(ModelMonitoringConfig(model_id="ad_score_model_v1"))
    for i in range(1000):
        service.record_prediction("ad_score_model_v1", i % 10 / 10, {"bid": i % 7}, latency_ms=5 + i % 3)
    service.update_model_metric("ad_score_model_v1", "accuracy", 0.97)
    service.send_alert(AlertLevel.WARNING, "a campaign begins", {"model_id": "ad_score_model_v1"})
    service.flush()

    diagnose(service)
    print(f"cleanup: {service.cleanup_old_data()['status']}")
    service.close()


if __name__ == "__main__":
    main()
