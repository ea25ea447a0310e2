"""What a model is said to take on disk is about what a real store grows by: pages in use, without the log."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile
from modelwatch.service.disk_forecast import Traffic, disk_forecast

HOUR = 3600
CLOSE = 1.4
"""How far off an estimate may be, either way."""


def used_bytes(storage: Path) -> int:
    with sqlite3.connect(storage / "modelwatch.db") as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    connection.close()
    return int((pages - free) * size)


def recorded_bytes(
    folder: Path,
    clock: Any,
    make_rows: Any,
    make_scores: Any,
    config: ModelMonitoringConfig,
    per_day: int,
    hours: float,
) -> int:
    """Return what a store grows by while predictions come at random, flushed each second as the recorder does."""
    clock.now = clock.now // HOUR * HOUR
    seconds = round(hours * HOUR)
    arrivals = np.random.default_rng(0).poisson(per_day / 86400, seconds)
    rows, scores = make_rows(int(arrivals.sum()), 3), make_scores(int(arrivals.sum()), 3)
    latency = np.random.default_rng(1).gamma(2.0, 5.0, len(scores))
    with ProductionMonitoringService(storage_path=folder, clock=clock, background=False) as service:
        service.register_model(config)
        service.flush()
        before, first = used_bytes(folder), 0
        for amount in arrivals.tolist():
            if amount:
                some = slice(first, first + amount)
                first += amount
                chosen = {name: column[some] for name, column in rows.items()}
                service.record_predictions(config.model_id, scores[some], chosen, latency_ms=latency[some])
                assert service.flush()
            clock.advance(1)
        return used_bytes(folder) - before


@pytest.mark.parametrize(
    ("per_day", "hours", "fields"),
    [
        (3_000, 6, {}),
        (86_400, 0.5, {}),
        (86_400, 0.5, {"sampling_rate": 0.3}),
        (2_000_000, 0.2, {}),
        (20_000, 2, {"log_predictions": False}),
    ],
    ids=["rare", "one a second", "sampled", "many", "counts only"],
)
def test_the_estimate_is_close_to_what_a_store_grows_by(
    tmp_path: Path,
    clock: Any,
    profile: ReferenceProfile,
    profile_path: Path,
    rows: Any,
    scores: Any,
    per_day: int,
    hours: float,
    fields: dict[str, Any],
) -> None:
    config = ModelMonitoringConfig.model_validate({"model_id": "ads", "reference": str(profile_path), **fields})
    took = recorded_bytes(tmp_path / "s", clock, rows, scores, config, per_day, hours)
    forecast = disk_forecast(config, profile.layout, Traffic(per_day), profile.counts)
    # No check has run, and sums by minute still stand by the hour, which takes about as much.
    expected = (forecast.day - forecast.per_day["checks"]) * hours / 24
    assert 1 / CLOSE < expected / took < CLOSE


def test_more_workers_write_more_records(profile: ReferenceProfile) -> None:
    config = ModelMonitoringConfig(model_id="ads")
    one, four = (disk_forecast(config, profile.layout, Traffic(1e6, workers), profile.counts) for workers in (1, 4))
    assert four.per_day["counts"] > 3 * one.per_day["counts"]
    assert four.per_day["rows"] > one.per_day["rows"]
    assert four.per_day["checks"] == one.per_day["checks"]


def test_counts_are_kept_as_long_as_windows_need_them(profile: ReferenceProfile) -> None:
    config = ModelMonitoringConfig(model_id="ads", retention_days=2)
    forecast = disk_forecast(config, profile.layout, Traffic(1e6))
    assert forecast.in_all["rows"] == pytest.approx(2 * forecast.per_day["rows"])
    # The longest window, a week, goes back 30 days where few rows come.
    assert forecast.in_all["counts"] == pytest.approx(31 * forecast.per_day["counts"])
    short = ModelMonitoringConfig.model_validate(
        {"model_id": "ads", "retention_days": 2, "drift": {"windows": ["1h", "24h"]}}
    )
    forecast = disk_forecast(short, profile.layout, Traffic(1e6))
    assert forecast.in_all["counts"] == pytest.approx(8 * forecast.per_day["counts"])


def test_no_traffic_takes_nothing_but_the_history_of_checks(profile: ReferenceProfile) -> None:
    forecast = disk_forecast(ModelMonitoringConfig(model_id="ads", sampling_rate=0), profile.layout, Traffic(0))
    assert {kind for kind, amount in forecast.per_day.items() if amount} == {"checks"}


def test_the_history_of_checks_is_estimated_too(
    tmp_path: Path, clock: Any, make_service: Any, profile: ReferenceProfile, profile_path: Path, rows: Any, scores: Any
) -> None:
    service = make_service(storage_path=tmp_path / "s")
    config = ModelMonitoringConfig.model_validate({"model_id": "ads", "reference": str(profile_path)})
    service.register_model(config)
    for _ in range(26):
        service.record_predictions("ads", scores(300, 1), rows(300, 1))
        service.flush()
        clock.advance(HOUR)
    service.flush()
    jobs = service._parts.jobs
    jobs.check("ads", clock())
    before = used_bytes(tmp_path / "s")
    for _ in range(60):
        clock.advance(1)
        jobs.check("ads", clock())
    took = used_bytes(tmp_path / "s") - before
    expected = disk_forecast(config, profile.layout, Traffic(1e6)).per_day["checks"] * 60 / 24
    assert 1 / CLOSE < expected / took < CLOSE
