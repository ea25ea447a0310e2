"""A multiclass model that says how sure it is: from recorded scores to an alert when it is no longer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile
from modelwatch.profile.cells import CellAssigner
from modelwatch.records import PREDICTION_SCORE, ROW_PREDICTION
from modelwatch.service.loop import CheckLoop
from modelwatch.store.queries import StoreQueries

MakeService = Callable[..., ProductionMonitoringService]
EVEN = np.full(3, 1 / 3)


def make_scores(n: int, seed: int, mix: tuple[float, ...] = (4.0, 2.0, 1.0), *, unsure: bool = False) -> np.ndarray:
    """Return scores of three classes; `unsure` ones are nearer to each other, in the same order."""
    scores = np.random.default_rng(seed).dirichlet(mix, n)
    return 0.6 * scores + 0.4 * EVEN if unsure else scores


def as_labels(scores: np.ndarray) -> list[str]:
    return list(map(str, scores.argmax(axis=1).tolist()))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = {"age": np.random.default_rng(1).normal(size=20_000)}
    profile = ReferenceProfile.build(inputs, make_scores(20_000, 1))
    return profile.save(tmp_path_factory.mktemp("profile") / "pets.json")


@pytest.fixture
def config(reference: Path) -> ModelMonitoringConfig:
    return ModelMonitoringConfig.model_validate(
        {
            "model_id": "pets",
            "reference": str(reference),
            "drift_detection_interval": "5s",
            "drift": {"windows": ["10s", "30s"]},
            "alert_channels": ["email"],
        }
    )


class Traffic:
    """Sends scores of classes through a service as time goes by, and runs what is due."""

    def __init__(self, service: ProductionMonitoringService, config: ModelMonitoringConfig, clock: Any) -> None:
        service.register_model(config)
        self.service, self.clock = service, clock
        assert service._parts.jobs is not None
        self.loop = CheckLoop(service._parts.jobs, clock=clock)
        self.seed = 100

    def run(self, seconds: int, per_second: int = 300, **how: Any) -> None:
        for _ in range(seconds):
            self.seed += 1
            inputs = {"age": np.random.default_rng(self.seed).normal(size=per_second)}
            answer = self.service.record_predictions("pets", make_scores(per_second, self.seed, **how), inputs)
            assert answer["status"] == "success"
            assert self.service.flush()
            self.clock.advance(1.0)
            self.loop.tick(self.clock())
        assert self.service._parts.outbox.flush(5.0)

    def prediction_drift(self) -> Any:
        return self.service.monitor_model_drift("pets")["details"]["prediction"]


@pytest.fixture
def traffic(make_service: MakeService, config: ModelMonitoringConfig, clock: Any) -> Traffic:
    return Traffic(make_service(), config, clock)


def test_scores_that_stay_as_they_are_raise_nothing(traffic: Traffic, inbox: Any) -> None:
    traffic.run(60)
    assert inbox.alerts == []
    assert {name: found["state"] for name, found in traffic.prediction_drift()["features"].items()} == {
        "prediction": "ok",
        "top score": "ok",
    }


def test_confidence_that_collapses_is_prediction_drift_though_every_class_stays(traffic: Traffic, inbox: Any) -> None:
    traffic.run(40)
    traffic.run(40, unsure=True)
    alert = inbox.of("firing")[0]
    assert (alert["model_id"], alert["type"]) == ("pets", "prediction_drift")
    assert "Top score: mean -" in alert["message"]
    assert "Predictions:" not in alert["message"], "of the classes there is nothing to tell"
    drift = traffic.prediction_drift()["features"]
    assert (drift["top score"]["state"], drift["prediction"]["state"]) == ("drift", "ok")


def test_classes_that_move_are_prediction_drift_as_ever(traffic: Traffic, inbox: Any) -> None:
    traffic.run(40)
    traffic.run(40, mix=(1.0, 2.0, 4.0))  # others at the top, as sure as before
    alert = inbox.of("firing")[0]
    assert alert["type"] == "prediction_drift"
    assert "Predictions: " in alert["message"]
    drift = traffic.prediction_drift()["features"]
    assert (drift["prediction"]["state"], drift["top score"]["state"]) == ("drift", "ok")


def test_stored_rows_say_the_same_as_what_was_counted(traffic: Traffic, reference: Path, tmp_path: Path) -> None:
    traffic.run(5)
    profile = ReferenceProfile.load(reference)
    with StoreQueries(tmp_path / "storage") as queries:
        counted = queries.interval_counts("pets", profile.id, 0.0, 2e9, size=profile.layout.size).cells.sum(axis=0)
        columns = [chunk.columns for chunk in queries.row_chunks("pets", 0.0, 2e9)]
    again = sum(CellAssigner(profile.layout).bin(c, len(c["age"]), c[ROW_PREDICTION]).cells for c in columns)
    assert all(PREDICTION_SCORE in c for c in columns)
    np.testing.assert_array_equal(again, counted)


@pytest.mark.parametrize(
    ("handed", "state"),
    [
        (make_scores(5000, 7), "ok"),
        (make_scores(5000, 7, unsure=True), "drift"),
        (as_labels(make_scores(5000, 7)), None),
    ],
    ids=["scores", "unsure scores", "labels"],
)
def test_a_batch_is_asked_of_by_scores_or_by_labels(
    handed: Any, state: str | None, make_service: MakeService, config: ModelMonitoringConfig
) -> None:
    service = make_service()
    service.register_model(config)
    answer = service.monitor_model_drift("pets", None, handed)
    features = answer["details"]["prediction"]["features"]
    assert features["prediction"]["state"] == "ok"
    assert features.get("top score", {}).get("state") == state
    assert answer["drift_detected"] == (state == "drift")
    if state == "drift":
        assert answer["summary"].startswith("predictions drifted: top score mean -")


@pytest.mark.parametrize("log_predictions", [True, False])
@pytest.mark.parametrize("what", ["scores", "labels", "both"])
def test_a_reference_learnt_from_production_has_scores_where_the_model_gives_them(
    what: str, log_predictions: bool, make_service: MakeService, clock: Any
) -> None:
    service = make_service()
    service.register_model({"model_id": "pets", "task": "multiclass", "log_predictions": log_predictions})
    assert service._parts.jobs is not None
    loop = CheckLoop(service._parts.jobs, clock=clock)
    for hour in range(26):
        scores = make_scores(240, hour)
        inputs = {"age": np.random.default_rng(hour).normal(size=240)}
        labelled = what == "labels" or (what == "both" and hour < 13)
        service.record_predictions("pets", as_labels(scores) if labelled else scores, inputs)
        clock.advance(3600.0)
        assert service.flush()
        loop.tick(clock())
    profile = service._parts.book.get("pets").profile
    assert profile is not None
    assert profile.layout.prediction is not None
    assert profile.layout.prediction.categories == ("0", "1", "2")
    assert (profile.layout.score is not None) == (what == "scores")
