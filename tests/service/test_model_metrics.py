"""get_model_metrics: what was given and what was recorded, by time, as JSON."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch import ModelMonitoringConfig
from modelwatch.service.minute_metrics import minute_texts, moment_texts
from modelwatch.service.times import iso, moment

MINUTE = 60.0


def metrics_of(service: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    answer: dict[str, Any] = service.get_model_metrics("ads", *args, **kwargs)
    assert answer["status"] == "success", answer
    assert "warnings" not in answer
    json.dumps(answer, allow_nan=False)
    return dict(answer["metrics"])


@pytest.fixture
def service(make_service: Any) -> Any:
    made = make_service()
    made.register_model({"model_id": "ads", "performance_metrics": ["auc", "latency_ms"], "task": "binary"})
    return made


@pytest.fixture
def busy(service: Any, clock: Any) -> Any:
    """Record three minutes of two versions: the last of them without failures."""
    for minute in range(3):
        for i in range(4):
            failed = i == 0 and minute < 2
            service.record_prediction(
                "ads",
                0.1 * i,
                {},
                None if failed else int(i > 1),
                latency_ms=10.0 * minute + i,
                error=failed,
                model_version=str(i % 2),
            )
        clock.advance(MINUTE)
    return service


def test_a_value_that_was_given_comes_back_with_its_metadata_and_source(service: Any, clock: Any) -> None:
    service.update_model_metric("ads", "auc", 0.9, {"dataset": "june"})
    clock.advance(10.5)
    service.update_model_metric("ads", "auc", 0.8, {"source": "training"})
    service.update_model_metric("ads", "auc", 0.7)
    assert metrics_of(service, "auc") == {
        "auc": [
            {"timestamp": iso(clock.now - 10.5), "value": 0.9, "metadata": {"source": "update", "dataset": "june"}},
            {"timestamp": iso(clock.now), "value": 0.8, "metadata": {"source": "training"}},
            {"timestamp": iso(clock.now), "value": 0.7, "metadata": {"source": "update"}},
        ]
    }


def test_what_was_recorded_comes_back_by_minute_over_all_versions(busy: Any, clock: Any) -> None:
    found = metrics_of(busy)
    minutes = [iso((clock.now // MINUTE - back) * MINUTE) for back in (3, 2, 1)]
    for points in (found["latency_ms"], found["error_rate"], found["predictions"], found["accuracy"]):
        assert [point["timestamp"] for point in points] == minutes
    assert [p["value"] for p in found["latency_ms"]] == pytest.approx([1.5, 11.5, 21.5])
    assert [p["value"] for p in found["error_rate"]] == [0.25, 0.25, 0.0]
    assert [p["value"] for p in found["prediction_mean"]] == pytest.approx([0.2, 0.2, 0.15])
    assert [p["value"] for p in found["predictions"]] == [4, 4, 4]
    assert [p["value"] for p in found["accuracy"]] == pytest.approx([1 / 3, 1 / 3, 0.5])
    assert [p["metadata"] for p in found["prediction_mean"]] == [
        {"source": "recorded", "count": count} for count in (3, 3, 4)
    ]
    assert found["auc"] == []
    assert "mae" not in found
    assert "rmse" not in found


def test_given_and_recorded_values_of_one_metric_are_listed_by_time(busy: Any, clock: Any) -> None:
    clock.now -= 90.0
    busy.update_model_metric("ads", "latency_ms", 99.0)
    clock.now += 90.0
    points = metrics_of(busy, "latency_ms")["latency_ms"]
    assert [point["timestamp"] for point in points] == sorted(point["timestamp"] for point in points)
    assert sorted(point["metadata"]["source"] for point in points) == ["recorded"] * 3 + ["update"]


def test_quantities_have_errors_in_their_own_unit(make_service: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "ads", "performance_metrics": ["rmse"], "task": "regression"})
    for prediction, actual in ((1.0, 4.0), (2.0, 6.0), (5.0, None)):
        service.record_prediction("ads", prediction, {}, actual)
    found = metrics_of(service)
    assert [p["value"] for p in found["mae"]] == [3.5]
    assert [p["value"] for p in found["rmse"]] == pytest.approx([12.5**0.5])
    assert found["rmse"][0]["metadata"] == {"source": "recorded", "count": 2}
    assert "accuracy" not in found


@pytest.mark.parametrize("aggregation", ["mean", "min", "max", "median"])
def test_an_aggregation_is_that_of_the_values_that_would_be_listed(busy: Any, aggregation: str) -> None:
    busy.update_model_metric("ads", "latency_ms", 99.0)
    listed = metrics_of(busy)
    summed = metrics_of(busy, aggregation=aggregation)
    ask: Any = {"mean": statistics.fmean, "min": min, "max": max, "median": statistics.median}[aggregation]
    assert set(summed) == set(listed)
    for name, points in listed.items():
        values = [point["value"] for point in points]
        expected = pytest.approx(ask(values)) if values else None
        assert summed[name] == {"value": expected, "count": len(values)}, name


def test_a_range_holds_what_lies_in_it_and_both_its_ends(busy: Any, clock: Any) -> None:
    first = (clock.now // MINUTE - 3) * MINUTE
    for start, end, count in (
        (first, first, 1),
        (first + 1, None, 2),
        (None, first + 119, 2),
        (first + 1, first + 59, 0),
        (None, None, 3),
    ):
        assert len(metrics_of(busy, "predictions", start, end)["predictions"]) == count, (start, end)
    busy.update_model_metric("ads", "auc", 0.5)
    assert len(metrics_of(busy, "auc", clock.now, clock.now)["auc"]) == 1


@pytest.mark.parametrize(
    "form",
    [
        lambda at: at,
        int,
        lambda at: at * 1000,
        lambda at: datetime.fromtimestamp(at, timezone.utc),
        lambda at: datetime.fromtimestamp(at, ZoneInfo("Asia/Tokyo")),
        datetime.fromtimestamp,  # naive, so local time
        iso,
        lambda at: iso(at).replace("+00:00", "Z"),
        lambda at: datetime.fromtimestamp(at).isoformat(),  # noqa: DTZ006 - naive, so local time
    ],
)
def test_a_time_may_come_in_any_usual_form(
    service: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        clock.now = float(int(clock.now))
        service.update_model_metric("ads", "auc", 0.5)
        clock.advance(1.0)
        service.update_model_metric("ads", "auc", 0.6)
        found = metrics_of(service, "auc", form(clock.now))["auc"]
        assert [point["value"] for point in found] == [0.6]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_day_in_local_time_may_have_25_hours(service: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        begin = datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
        for hour in range(26):
            clock.now = begin + hour * 3600.0
            service.record_prediction("ads", 0.5, {})
        found = metrics_of(service, "predictions", datetime(2026, 10, 25), datetime(2026, 10, 25, 23, 59))  # noqa: DTZ001
        assert len(found["predictions"]) == 25
        clocks_back = [
            metrics_of(service, "predictions", datetime(2026, 10, 25, 2, 0, fold=fold))["predictions"][0]["timestamp"]  # noqa: DTZ001
            for fold in (0, 1)
        ]
        assert clocks_back == ["2026-10-25T00:00:00+00:00", "2026-10-25T01:00:00+00:00"]
    finally:
        monkeypatch.undo()
        time.tzset()


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_an_aware_time_is_the_same_moment_as_text(at: datetime) -> None:
    assert moment(at.isoformat(), "start_time") == pytest.approx(at.timestamp(), abs=1e-5)


@given(st.lists(st.floats(0, 4e9), max_size=20))
def test_many_moments_are_written_as_one_is(moments: list[float]) -> None:
    assert moment_texts(np.array(moments)) == [iso(at) for at in moments]


@given(st.lists(st.integers(0, 80_000_000), max_size=20))
def test_minutes_are_written_as_moments_are(minutes: list[int]) -> None:
    assert minute_texts(np.array(minutes, np.int64)) == [iso(minute * 60.0) for minute in minutes]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"model_id": "asd"}, "no model 'asd' is registered (did you mean 'ads'?); registered: 'ads'"),
        ({"metric": "acuracy"}, "'acuracy' is no metric of 'ads' (did you mean 'accuracy'?); known: auc, latency_ms"),
        ({"aggregation": "avg"}, "aggregation must be one of mean, min, max, median, got 'avg'"),
        ({"aggregation": "men"}, "got 'men' (did you mean 'mean'?)"),
        ({"aggregation": ["mean"]}, "got ['mean']"),
        ({"metric": ["auc"]}, "['auc'] is no metric of 'ads'"),
        ({"start_time": "yesterday"}, "start_time must be a datetime, ISO-8601 text such as"),
        ({"end_time": True}, "end_time must be a datetime"),
        ({"end_time": float("nan")}, "end_time must be a datetime"),
        ({"end_time": [1]}, "end_time must be a datetime"),
        (
            {"start_time": 200, "end_time": 100},
            "start_time must not lie after end_time, got 1970-01-01T00:03:20+00:00 and 1970-01-01T00:01:40+00:00",
        ),
    ],
)
def test_a_mistake_is_answered_with_what_is_wrong_and_allowed(
    service: Any, arguments: dict[str, Any], sentence: str
) -> None:
    answer = service.get_model_metrics(**{"model_id": "ads", **arguments})
    assert answer["status"] == "error"
    assert sentence in answer["error"]


def test_a_known_metric_without_values_is_empty(service: Any) -> None:
    for metric in ("auc", "latency_ms", "rmse"):
        assert metrics_of(service, metric) == {metric: []}
        assert metrics_of(service, metric, aggregation="mean") == {metric: {"value": None, "count": 0}}


def test_another_process_reads_the_metrics_of_models_that_it_did_not_register(busy: Any, make_service: Any) -> None:
    busy.update_model_metric("ads", "auc", 0.5)
    expected = metrics_of(busy)
    other = make_service()
    assert metrics_of(other) == expected
    answer = other.get_model_metrics("adz")
    assert "did you mean 'ads'?" in answer["error"]


def test_a_metric_that_is_stored_stays_known_when_it_is_not_watched_any_more(service: Any) -> None:
    service.update_model_metric("ads", "auc", 0.5)
    service.flush()
    service.register_model({"model_id": "ads", "performance_metrics": ["f1"]})
    assert len(metrics_of(service, "auc")["auc"]) == 1
    assert set(metrics_of(service)) == {"f1", "latency_ms", "error_rate", "prediction_mean", "predictions", "auc"}


def test_summing_days_up_changes_no_answer(busy: Any, clock: Any) -> None:
    before = metrics_of(busy)
    for _ in range(3):
        clock.advance(86400.0)
        assert busy.cleanup_old_data()["status"] == "success"
    busy._parts.store.forget_summed_hours(clock.now + 30 * 86400.0)
    assert metrics_of(busy) == before


def test_an_event_loop_is_not_held_up_while_the_store_is_busy(make_service: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "ads"})
    assert service.flush()
    for _ in range(20):
        service.record_prediction("ads", 0.5, {})
    database = service._parts.store._database

    async def ask() -> tuple[dict[str, Any], float]:
        began = time.monotonic()
        answer = service.get_model_metrics("ads", "predictions")
        return answer, time.monotonic() - began

    import sqlite3

    blocker = sqlite3.connect(database.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        answer, took = asyncio.run(ask())
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    assert answer["status"] == "success"
    assert "may be missing" in answer["warnings"][0]
    assert took < 2.0


def test_a_service_without_a_store_says_so(tmp_path: Path, make_service: Any) -> None:
    (tmp_path / "file").write_text("")
    service = make_service(storage_path=tmp_path / "file")
    service.register_model({"model_id": "ads"})
    for answer in (
        service.get_model_metrics("ads"),
        service.get_drift_history("ads"),
        service.get_alerts(),
        service.cleanup_old_data(),
    ):
        assert answer["status"] == "error"
        assert "nothing is stored" in answer["error"]


LIGHT = """
import sys
from modelwatch import ProductionMonitoringService
service = ProductionMonitoringService(storage_path=sys.argv[1], background=False)
service.register_model({"model_id": "ads", "performance_metrics": ["auc"]})
service.record_prediction("ads", 0.5, {"x": 1.0}, latency_ms=1.0)
service.update_model_metric("ads", "auc", 0.9)
assert len(service.get_model_metrics("ads")["metrics"]["auc"]) == 1
assert service.cleanup_old_data()["status"] == "success"
heavy = {"scipy", "pandas", "sqlalchemy", "aiohttp", "apscheduler", "plotly", "pyarrow"}
print(sorted(heavy & set(sys.modules)))
"""


def test_metrics_and_cleanup_load_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(tmp_path / "s")], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_last_day_as_the_documents_ask_for_it(busy: Any, clock: Any) -> None:
    start = datetime.fromtimestamp(clock.now) - timedelta(hours=24)  # noqa: DTZ006 - naive, as customers write it
    assert busy.get_model_metrics("ads", start_time=start)["metrics"]["latency_ms"]
    assert isinstance(busy.register_model(ModelMonitoringConfig(model_id="other")), dict)
