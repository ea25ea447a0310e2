"""The number of series that is predicted for a model is the number that a real service and a real sidecar expose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile
from modelwatch.collector.forecast import (
    PROCESS_SERIES,
    SIDECAR_SERIES,
    drifting_series,
    endpoint_series,
    recorded_series,
    reference_series,
    references_fit,
    result_series,
)
from modelwatch.records import CellLayout, FeatureCells
from modelwatch.service.loop import CheckLoop
from modelwatch.service.models import RegisteredModel
from modelwatch.service.registration import recorded
from modelwatch.sidecar.exposition import Exposition
from modelwatch.sidecar.settings import Settings
from modelwatch.sidecar.watch import Watch
from modelwatch.windows.scored import candidates, window_lengths

MODEL = "ads"
KINDS = ("scores", "labels", "class_scores", "regression", "negative", "no_predictions")
HOURS = 26


def make_rows(n: int, seed: int, *, times: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "bid": times * rng.gamma(3.0, 10.0, n),
        "change": times * rng.normal(0.0, 5.0, n),
        "hour": rng.integers(5, 23, n).astype(float),
        "always": np.full(n, 3.0),
        "placement": rng.choice(["top", "side", "foot"], n, p=[0.5, 0.3, 0.2]).tolist(),
    }


def make_predictions(kind: str, n: int, seed: int) -> Any:
    rng = np.random.default_rng(seed + 1)
    if kind == "labels":
        return rng.choice(["cat", "dog", "bird"], n).tolist()
    if kind == "class_scores":
        return rng.dirichlet([4.0, 2.0, 1.0], n)
    return {"scores": rng.beta(2, 5, n), "regression": rng.gamma(3, 90, n), "negative": rng.normal(0, 90, n)}.get(kind)


def series(registry: CollectorRegistry) -> int:
    text = generate_latest(registry).decode()
    return sum(not line.startswith("#") for line in text.splitlines())


class Lived:
    """A day of a model: what its application and its sidecar expose, each counted, and what was predicted of them."""

    def __init__(self, folder: Path, clock: Any, kind: str, *, times: float = 1.0, **fields: Any) -> None:
        predictions = make_predictions(kind, 8000, 1)
        self.profile = ReferenceProfile.build(make_rows(8000, 1), predictions=predictions)
        path = str(self.profile.save(folder / "profile.json"))
        self.config = ModelMonitoringConfig.model_validate({"model_id": MODEL, "reference": path, **fields})
        with ProductionMonitoringService(storage_path=folder / "s", clock=clock, background=False) as service:
            service.register_model(self.config)
            self._record(service, clock, kind, times)
            self.of_application = series(service.registry)
            self._check(folder / "s", clock)
            self.of_application_alone = series(service.registry)

    def _record(self, service: ProductionMonitoringService, clock: Any, kind: str, times: float) -> None:
        for hour in range(HOURS):
            predictions = make_predictions(kind, 300, hour + 10)
            rows = make_rows(300, hour + 10, times=times)
            given = predictions if predictions is not None else [None] * 300
            answer = service.record_predictions(MODEL, given, rows, latency_ms=[3.0] * 300)
            assert answer["status"] == "success"
            clock.advance(3600)
        clock.advance(-600)  # so that the last hour has rows
        for metric in self.config.performance_metrics:
            service.update_model_metric(MODEL, metric, 0.97)
        assert service.flush()

    def _check(self, storage: Path, clock: Any) -> None:
        watch = Watch(Settings(storage=str(storage)), clock)
        try:
            watch.refresh()
            assert watch.renew_leases()
            self.results = watch.jobs.check(MODEL, clock())
            watch.store.set_silence_limits({MODEL: 900.0})
            watch.store.count_notification("log", True)
            exposition = Exposition(watch, recordings=False)
            self.of_sidecar = series(exposition.registry)
        finally:
            watch.close()

    @property
    def recorded(self) -> int:
        model = recorded(RegisteredModel(self.config, 0.0, self.profile))
        return PROCESS_SERIES + recorded_series(model, self.profile.layout, len(self.config.performance_metrics))

    @property
    def scored(self) -> int:
        return len(candidates(self.config.drift, window_lengths(self.config), calibrated=self.profile.calibrated))

    @property
    def results_alone(self) -> int:
        layout = self.profile.layout
        checked = result_series(self.config, layout, len(window_lengths(self.config)), self.scored)
        return checked + reference_series(layout) + endpoint_series(1)


CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "defaults": {},
    "windows": {"drift": {"windows": ["1h", "24h"]}, "performance_threshold": {"rmse": 5, "latency_ms": 33}},
    "methods": {"drift": {"methods": ["psi", "ks", "wasserstein"], "fixed_thresholds": {"psi": 0.2, "ks": 0.9}}},
    "range": {"performance_threshold": {"bias": {"min": -1, "max": 1}, "auc": 0.9}, "features": {"exclude": ["hour"]}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_predicted_the_number_of_series_is_foretold(tmp_path: Path, clock: Any, kind: str) -> None:
    lived = Lived(tmp_path, clock, kind)
    assert lived.of_application - lived.recorded == _results_without_checks(lived)
    assert lived.of_sidecar == lived.results_alone + SIDECAR_SERIES


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_whatever_is_configured_the_number_of_series_is_foretold(tmp_path: Path, clock: Any, name: str) -> None:
    lived = Lived(tmp_path, clock, "scores", **CONFIGURATIONS[name])
    assert lived.of_application - lived.recorded == _results_without_checks(lived)
    assert lived.of_sidecar == lived.results_alone + SIDECAR_SERIES


def test_an_application_without_a_sidecar_exposes_both(tmp_path: Path, clock: Any) -> None:
    lived = Lived(tmp_path, clock, "scores")
    assert lived.of_application_alone == lived.recorded + lived.results_alone


def test_drift_adds_no_more_than_is_foretold(tmp_path: Path, clock: Any) -> None:
    lived = Lived(tmp_path, clock, "scores", times=4.0)
    more = lived.of_sidecar - lived.results_alone - SIDECAR_SERIES
    assert 0 < more <= drifting_series(lived.config, lived.profile.layout, lived.scored)


def test_references_are_foretold_to_be_all_or_none() -> None:
    feature = FeatureCells("x", "numeric", edges=tuple(map(float, range(60))))
    layout = CellLayout(tuple(FeatureCells(f"x{i}", "numeric", edges=feature.edges) for i in range(100)))
    assert references_fit([layout] * 3)
    assert not references_fit([layout] * 4)


def _results_without_checks(lived: Lived) -> int:
    """Return how many series of the results side an application has before its first check: limits, and its own."""
    metrics = [m for m in lived.config.thresholds if m not in ("latency_ms", "error_rate")]
    bounds = sum((t.min is not None) + (t.max is not None) for t in lived.config.thresholds.values())
    return 2 * bounds + len([m for m in metrics if m in lived.config.performance_metrics]) + 1 + endpoint_series(0)


def test_a_reference_that_is_learnt_leaves_what_was_counted_before(tmp_path: Path, clock: Any) -> None:
    config = ModelMonitoringConfig(model_id=MODEL)
    with ProductionMonitoringService(storage_path=tmp_path / "s", clock=clock, background=False) as service:
        service.register_model(config)
        assert service._parts.jobs is not None
        loop = CheckLoop(service._parts.jobs, clock=clock)
        for hour in range(60):
            service.record_predictions(MODEL, make_predictions("scores", 300, hour), make_rows(300, hour))
            clock.advance(3600)
            assert service.flush()
            loop.tick(clock())
            service._parts.follower.now()
        profile = service._parts.book.get(MODEL).profile
        assert profile is not None
        exposed = series(service.registry)
    layout, inputs = profile.layout, len(profile.feature_names)
    model = recorded(RegisteredModel(config, 0.0, profile))
    foretold = PROCESS_SERIES + recorded_series(model, layout, learnt=inputs)
    foretold += result_series(config, layout, windows=3, scored=1) + reference_series(layout) + endpoint_series(0)
    # Nobody gave the metric accuracy a value, which would be judged.
    assert exposed == foretold - 1
