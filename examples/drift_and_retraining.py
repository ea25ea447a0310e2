"""Compare a batch with the model's reference, and retrain where the difference is serious."""

import numpy as np

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService


def make_batch(rows: int, seed: int, *, broken: bool = False) -> dict[str, np.ndarray]:
    """Return inputs as columns; a DataFrame does as well. Broken ones have another unit, as after a bad release."""
    rng = np.random.default_rng(seed)
    distance = rng.gamma(3.0, 300.0, rows)
    return {"distance": distance * 1.609 if broken else distance, "hour": rng.integers(5, 23, rows)}


def predict(batch: dict[str, np.ndarray]) -> np.ndarray:
    return 1 / (1 + np.exp(1 - batch["distance"] / 1000))


def trigger_retraining(model_id: str) -> None:
    print(f"{model_id}: retraining triggered")


def check(service: ProductionMonitoringService, model_id: str, batch: dict[str, np.ndarray]) -> None:
    drift = service.monitor_model_drift(
        model_id=model_id,
        current_data=batch,
        current_predictions=predict(batch),
        current_targets=None,
    )
    print(f"{model_id}: {drift['summary']}")
    if drift["drift_detected"]:
        print(f"{model_id}: drift types: {', '.join(drift['drift_types'])}")
    if drift["severity"] in ["error", "critical"]:
        trigger_retraining(model_id)


def main() -> None:
    service = ProductionMonitoringService()
    service.register_model(ModelMonitoringConfig(model_id="delays_with_reference"))
    service.register_model(ModelMonitoringConfig(model_id="delays_from_zero"))

    held_out = make_batch(10_000, seed=1)
    service.set_reference("delays_with_reference", held_out, predictions=predict(held_out))
    check(service, "delays_with_reference", make_batch(2_000, seed=2))
    check(service, "delays_with_reference", make_batch(2_000, seed=3, broken=True))

    # Without a reference one is learnt from production. Until then nothing is guessed: it says how far that has come.
    for distance, hour in zip(*make_batch(500, seed=4).values(), strict=True):
        service.record_prediction("delays_from_zero", 0.3, {"distance": distance, "hour": hour})
    check(service, "delays_from_zero", make_batch(2_000, seed=5, broken=True))
    service.close()


if __name__ == "__main__":
    main()
