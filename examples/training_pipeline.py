"""Register what training reached: the metrics, thresholds that follow from them, and the baseline itself."""

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, thresholds_from_baseline


def train_and_evaluate() -> dict[str, float]:
    """Stand for your own training."""
    return {"accuracy": 0.94, "auc": 0.91, "latency_ms": 12.0}


def register_baseline(
    service: ProductionMonitoringService, model_id: str, baseline: dict[str, float], thresholds: dict[str, float]
) -> None:
    service.register_model(
        ModelMonitoringConfig(
            model_id=model_id,
            performance_metrics=list(baseline),
            performance_threshold={**thresholds},
        )
    )
    for metric, value in baseline.items():
        service.update_model_metric(model_id, metric, value, metadata={"source": "training", "dataset": "baseline"})


def main() -> None:
    service = ProductionMonitoringService()
    baseline = train_and_evaluate()

    # Nine tenths of each: right for accuracy and auc; a latency must not get below it, but above …
    scores = {metric: value for metric, value in baseline.items() if metric != "latency_ms"}
    register_baseline(service, "ad_score_model_v1", scores, {metric: 0.9 * value for metric, value in scores.items()})

    # … which this knows: a tenth worse than the baseline, whichever way worse is.
    register_baseline(service, "ad_score_model_v2", baseline, thresholds_from_baseline(baseline, margin=0.1))

    service.flush()
    for model_id in ("ad_score_model_v1", "ad_score_model_v2"):
        for metric, points in service.get_model_metrics(model_id)["metrics"].items():
            for point in points:
                print(f"{model_id} {metric} {point['value']:g} {point['metadata']}")
    service.close()


if __name__ == "__main__":
    main()
