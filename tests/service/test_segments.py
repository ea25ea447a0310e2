"""A model that is counted by segment: the store has each, and whatever looks at the whole model sees the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile
from modelwatch.service.disk_forecast import Traffic, disk_forecast
from modelwatch.store.queries import StoreQueries

HOURS = 26


@pytest.fixture
def profile() -> ReferenceProfile:
    rng = np.random.default_rng(1)
    return ReferenceProfile.build(
        {"bid": rng.gamma(3, 10, 6000), "place": rng.choice(["a", "b"], 6000)}, rng.random(6000)
    )


def checked(folder: Path, clock: Any, profile: ReferenceProfile, **fields: Any) -> dict[str, Any]:
    """Record a day of which some segments drift, check it, and return what was found."""
    path = profile.save(folder / "profile.json")
    rng, start = np.random.default_rng(2), clock()
    with ProductionMonitoringService(storage_path=folder / "s", clock=clock, background=False) as service:
        assert service.register_model({"model_id": "m", "reference": str(path), **fields})["status"] == "success"
        for _ in range(HOURS):
            countries = rng.choice(["de", "fr", "it"], 200)
            rows = {"bid": rng.gamma(3, 10, 200) * np.where(countries == "it", 3.0, 1.0), "place": ["a", "b"] * 100}
            metadata = [{"country": str(country)} for country in countries]
            answer = service.record_predictions("m", rng.random(200), rows, metadata=metadata, latency_ms=50.0)
            assert answer["sampled"] == 200
            clock.advance(3600)
        assert service.flush()
        result = service.monitor_model_drift("m")
        status = service.get_service_status()["models"]
    clock.advance(start - clock())
    assert status[0]["predictions"] == HOURS * 200
    return result


def test_drift_is_that_of_the_whole_model_whether_it_is_counted_by_segment_or_not(
    tmp_path: Path, clock: Any, profile: ReferenceProfile
) -> None:
    found = []
    for name, fields in (("whole", {}), ("divided", {"segments": "country"})):
        (tmp_path / name).mkdir()
        found.append(checked(tmp_path / name, clock, profile, **fields))
    whole, divided = found
    assert whole["status"] == divided["status"] == "success"
    assert whole["drift_detected"]
    for key in ("severity", "drift_types", "summary", "details", "top_features"):
        assert divided[key] == whole[key]


def test_the_store_keeps_the_counts_of_each_segment_and_adds_them_up(
    tmp_path: Path, clock: Any, profile: ReferenceProfile
) -> None:
    checked(tmp_path, clock, profile, segments=["country"])
    end = clock() + (HOURS + 1) * 3600
    with StoreQueries(tmp_path / "s") as queries:
        whole = queries.interval_counts("m", profile.id, 0, end)
        parts = [queries.interval_counts("m", profile.id, 0, end, segment=s) for s in ("", "de", "fr", "it")]
        assert len(queries.subjects("m", 0)) == 1
    assert whole.rows.sum() == sum(part.rows.sum() for part in parts) == HOURS * 200
    assert parts[0].rows.sum() == 0
    assert all(part.rows.sum() > 0 for part in parts[1:])
    assert whole.cells.sum(axis=0).tolist() == sum(part.cells.sum(axis=0) for part in parts[1:]).tolist()


def test_what_was_counted_by_segment_is_exposed_again_after_a_restart(
    tmp_path: Path, clock: Any, profile: ReferenceProfile
) -> None:
    checked(tmp_path, clock, profile, segments="country")
    expected: dict[str, str] = {}
    for _ in range(2):
        with ProductionMonitoringService(storage_path=tmp_path / "s", clock=clock, background=False) as service:
            lines = generate_latest(service.registry).decode().splitlines()
        found = {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines if 'segment="it"' in line}
        assert len(found) > 20
        expected = expected or found
        assert found == expected


def test_the_limit_of_series_is_that_of_the_configuration(tmp_path: Path, profile: ReferenceProfile) -> None:
    path = profile.save(tmp_path / "profile.json")
    config = tmp_path / "models.yaml"
    config.write_text(
        f"expose: {{max_series_per_model: 110}}\nmodels:\n  - {{model_id: m, reference: {path}, task: regression}}\n"
    )
    with ProductionMonitoringService(config, tmp_path / "s", background=False) as service:
        lines = generate_latest(service.registry).decode().splitlines()
    assert not any(line.startswith("modelwatch_feature_value") for line in lines)
    (features,) = [
        line for line in lines if line.startswith("modelwatch_folded_series") and 'reason="features"' in line
    ]
    assert float(features.rpartition(" ")[2]) > 0


def test_counts_by_segment_take_more_of_the_disk(profile: ReferenceProfile) -> None:
    whole, divided = (
        disk_forecast(ModelMonitoringConfig(model_id="m", segments=keys), profile.layout, Traffic(1e6, 2))
        for keys in ((), "country")
    )
    assert 10 < divided.per_day["counts"] / whole.per_day["counts"] < 22
    assert divided.per_day["rows"] == whole.per_day["rows"]
