"""What Prometheus reads of recordings."""

from __future__ import annotations

import logging
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families

from modelwatch import ProductionMonitoringService
from modelwatch import conventions as c
from modelwatch.collector import RecordingCollector, render, start_metrics_server
from modelwatch.profile import ReferenceProfile
from modelwatch.recorder import RecordedModel, Recorder

ODD_NAME = 'a "quoted" \\ {{ $value }} {braces} ../ 🚀'


@pytest.fixture
def profile() -> ReferenceProfile:
    ages = [float(i % 60) for i in range(600)]
    cities = ["Oslo", "Rome", "Bern"] * 200
    return ReferenceProfile.build({"age": ages, "city": cities}, [i / 600 for i in range(600)])


@pytest.fixture
def recorder(tmp_path: Path) -> Any:
    made = Recorder(tmp_path, None, start_thread=False)
    yield made
    made.close()


@pytest.fixture
def registry_of() -> Any:
    def registered(recorder: Recorder) -> CollectorRegistry:
        registry = CollectorRegistry()
        registry.register(RecordingCollector(recorder, lambda: "abc"))
        return registry

    return registered


@pytest.fixture
def registry(recorder: Recorder, registry_of: Any) -> Any:
    return registry_of(recorder)


def families(registry: CollectorRegistry) -> dict[str, Any]:
    return {f.name: f for f in text_string_to_metric_families(generate_latest(registry).decode())}


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's samples by label values in their order."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_every_family_of_the_contract_is_exposed_with_its_type_and_help(registry: CollectorRegistry) -> None:
    exposed = families(registry)
    for metric in c.RECORDING_METRICS:
        name = metric.name.removesuffix("_total") if metric.type == "counter" else metric.name
        assert exposed[name].type == metric.type
        assert exposed[name].documentation == metric.help


def test_a_registered_model_starts_at_zero(
    recorder: Recorder, registry: CollectorRegistry, profile: ReferenceProfile
) -> None:
    recorder.add_model(RecordedModel("m", "1", task="binary", profile=profile))
    assert samples(registry, "modelwatch_predictions_total") == {("m", "1"): 0}
    assert samples(registry, "modelwatch_prediction_latency_seconds_count") == {("m", "1"): 0}
    assert set(samples(registry, "modelwatch_feature_category_total").values()) == {0}
    assert ("m", "1", profile.id[:8], "", "city", "__unseen__") in samples(
        registry, "modelwatch_feature_category_total"
    )
    assert samples(registry, "modelwatch_dropped_records_total") == {
        ("m", "1", "actuals"): 0,
        ("m", "1", "counts"): 0,
        ("m", "1", "metrics"): 0,
        ("m", "1", "queue_full"): 0,
        ("m", "1", "store"): 0,
    }
    assert samples(registry, "modelwatch_model_info") == {("m", "1", "binary", profile.id[:8]): 1}
    assert samples(registry, "modelwatch_storage_info") == {("abc",): 1}
    assert samples(registry, "modelwatch_shared_counters") == {(): 1}


def test_the_classes_of_scores_start_at_zero_and_labels_are_those_of_the_profile(
    recorder: Recorder, registry: CollectorRegistry, profile: ReferenceProfile
) -> None:
    labels = ReferenceProfile.build({"age": [float(i) for i in range(100)]}, ["late", "on time"] * 50)
    recorder.add_model(RecordedModel("scores", task="binary", profile=profile, decision_threshold=0.5))
    recorder.add_model(RecordedModel("labels", task="binary", profile=labels, decision_threshold=0.5))
    recorder.add_model(RecordedModel("unknown", task="binary", decision_threshold=0.5))
    classes = samples(registry, "modelwatch_prediction_class_total")
    assert set(classes.values()) == {0}
    assert {(key[0], key[3]) for key in classes} == {
        ("scores", "0"),
        ("scores", "1"),
        ("labels", "late"),
        ("labels", "on time"),
    }
    recorder.record("scores", 0.7, {})
    recorder.flush()
    assert samples(registry, "modelwatch_prediction_class_total")["scores", "", "", "1"] == 1
    assert samples(registry, "modelwatch_prediction_class_total")["scores", "", "", "0"] == 0


def test_recorded_values_stand_in_the_families_of_the_contract(
    recorder: Recorder, registry: CollectorRegistry, profile: ReferenceProfile
) -> None:
    recorder.add_model(RecordedModel("m", "1", profile=profile))
    ages: list[Any] = [0.0, 1.0, 30.5, 59.0, -5.0, 99.0, None, "junk"]
    cities = ["Oslo", "Rome", "Paris", None, "Oslo", "Bern", "Bern", "Bern"]
    for age, city in zip(ages, cities, strict=True):
        recorder.record("m", 0.25, {"age": age, "city": city}, latency_ms=20.0)
    recorder.record("m", None, {}, error=True)
    recorder.set_metric("m", "auc", 0.75, 5.0)
    assert samples(registry, "modelwatch_buffered_records") == {(): 10}
    recorder.flush()
    p = ("m", "1", profile.id[:8], "")

    def of(*rest: str) -> tuple[str, ...]:
        return (*p, *rest)

    assert samples(registry, "modelwatch_predictions_total") == {("m", "1"): 9}
    assert samples(registry, "modelwatch_prediction_errors_total") == {("m", "1"): 1}
    assert samples(registry, "modelwatch_sampled_predictions_total") == {("m", "1"): 8}
    assert samples(registry, "modelwatch_prediction_latency_seconds_sum")["m", "1"] == pytest.approx(0.16)
    assert samples(registry, "modelwatch_feature_value_count")[of("age")] == 4
    assert samples(registry, "modelwatch_feature_value_sum")[of("age")] == 90.5
    out = samples(registry, "modelwatch_feature_out_of_range_total")
    assert (out[of("age", "below")], out[of("age", "above")]) == (1, 1)
    assert samples(registry, "modelwatch_feature_missing_total")[of("age")] == 1
    assert samples(registry, "modelwatch_feature_missing_total")[of("city")] == 1
    assert samples(registry, "modelwatch_feature_invalid_total")[of("age", "parse")] == 1
    categories = samples(registry, "modelwatch_feature_category_total")
    expected = {"Oslo": 2, "Rome": 1, "Bern": 3, "__other__": 0, "__unseen__": 1}
    assert {name: categories[of("city", name)] for name in expected} == expected
    assert samples(registry, "modelwatch_prediction_value_count") == {p: 8}
    assert samples(registry, "modelwatch_metric_value") == {("m", "1", "auc"): 0.75}


def test_the_buckets_of_a_feature_are_cumulative_counts_up_to_each_edge(
    recorder: Recorder, registry: CollectorRegistry, profile: ReferenceProfile
) -> None:
    recorder.add_model(RecordedModel("m", "1", profile=profile))
    ages = [float((i * 37) % 71) - 5 for i in range(500)]
    for age in ages:
        recorder.record("m", 0.5, {"age": age})
    recorder.flush()
    member = profile.member("age")
    buckets = {
        float(labels[-1]): value
        for labels, value in samples(registry, "modelwatch_feature_value_bucket").items()
        if labels[-2] == "age"
    }
    in_range = [age for age in ages if member.minimum <= age <= member.edges[-1]]
    assert buckets == {
        **{edge: sum(age <= edge for age in in_range) for edge in member.edges},
        float("inf"): len(in_range),
    }


def test_a_name_with_quotes_braces_emoji_and_dots_survives(recorder: Recorder, registry: CollectorRegistry) -> None:
    recorder.add_model(RecordedModel(ODD_NAME, "1"))
    recorder.record(ODD_NAME, "klass \n\ud800", {ODD_NAME: 1})
    assert recorder.flush()
    exposed = families(registry)
    labels = {"model_id": ODD_NAME, "model_version": "1"}
    assert [(s.labels, s.value) for s in exposed["modelwatch_predictions"].samples] == [(labels, 1)]
    classes = exposed["modelwatch_prediction_class"].samples
    assert [(s.labels, s.value) for s in classes] == [({**labels, "segment": "", "class": "klass \ufffd\ufffd"}, 1)]


def test_counts_of_another_workers_profile_are_read_with_the_copy_in_the_storage(
    tmp_path: Path, recorder: Recorder, registry: CollectorRegistry, profile: ReferenceProfile
) -> None:
    worker = Recorder(tmp_path, None, start_thread=False)
    worker.add_model(RecordedModel("m", "1", profile=profile))
    worker.record("m", 0.5, {"age": 30.0})
    worker.close()
    assert samples(registry, "modelwatch_predictions_total") == {("m", "1"): 1}
    assert samples(registry, "modelwatch_feature_value_count") == {}
    (tmp_path / "profiles").mkdir()
    profile.save(tmp_path / "profiles" / f"{profile.id}.json")
    assert samples(registry, "modelwatch_feature_value_count") == {("m", "1", profile.id[:8], "", "age"): 1}


def test_a_damaged_profile_in_the_storage_costs_its_own_families_only(
    tmp_path: Path, recorder: Recorder, registry: CollectorRegistry, profile: ReferenceProfile
) -> None:
    worker = Recorder(tmp_path, None, start_thread=False)
    worker.add_model(RecordedModel("m", "1", profile=profile))
    worker.record("m", 0.5, {"age": 30.0})
    worker.close()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / f"{profile.id}.json").write_text("{")
    assert samples(registry, "modelwatch_feature_value_count") == {}
    assert samples(registry, "modelwatch_predictions_total") == {("m", "1"): 1}


def test_the_last_prediction_is_the_latest_of_all_workers_and_survives_them(tmp_path: Path, clock: Any) -> None:
    for at in (100.0, 300.0, 200.0):
        clock.now = at
        worker = Recorder(tmp_path, None, start_thread=False, clock=clock)
        worker.add_model(RecordedModel("m", "1"))
        worker.add_model(RecordedModel("silent", "1"))
        worker.record("m", 0.5, {}, model_version="1")
        worker.close()
    reader = Recorder(tmp_path, None, start_thread=False)
    shown = CollectorRegistry()
    shown.register(RecordingCollector(reader))
    assert samples(shown, c.LAST_PREDICTION.name) == {("m", "1"): 300.0}
    reader.close()


def test_registering_does_not_collect(recorder: Recorder) -> None:
    assert RecordingCollector(recorder).describe() == []


def test_a_fault_in_collecting_is_logged_once_and_shown_and_does_not_fail_the_scrape(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def snapshot(self) -> None:
            raise RuntimeError("broken")

    registry = CollectorRegistry()
    registry.register(RecordingCollector(Broken()))  # type: ignore[arg-type]
    for _ in range(2):
        assert samples(registry, "modelwatch_recorder_errors_total") == {("", "", "collector"): 1}
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_the_metrics_server_serves_a_registry_until_it_is_closed(registry: CollectorRegistry) -> None:
    server = start_metrics_server(0, "127.0.0.1", lambda: registry)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            assert b"modelwatch_build_info" in answer.read()
    finally:
        server.close()
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics")


def test_a_worker_that_never_predicted_shows_the_models_of_the_others_with_the_same_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    profile = ReferenceProfile.build({"x": rng.normal(size=2000)}, predictions=rng.random(2000))
    with (
        ProductionMonitoringService(storage_path=tmp_path, background=False) as busy,
        ProductionMonitoringService(storage_path=tmp_path, background=False) as idle,
    ):
        busy.register_model({"model_id": "ads", "model_version": "7"})
        busy.set_reference("ads", profile)
        busy.record_prediction("ads", 0.5, {"x": 0.0})
        busy.flush()
        for name in ("modelwatch_model_info", "modelwatch_dropped_records_total", "modelwatch_recorder_errors_total"):
            shown = [
                {(sample.name, *sorted(sample.labels.items())) for family in service.registry.collect()
                 for sample in family.samples if sample.name == name and sample.labels["model_id"] == "ads"}
                for service in (busy, idle)
            ]  # fmt: skip
            assert shown[0]
            assert shown[0] == shown[1], name


def test_open_metrics_shows_the_latest_prediction_in_each_latency_bucket_of_all_workers(
    recorder: Recorder, registry: CollectorRegistry, tmp_path: Path
) -> None:
    other = Recorder(tmp_path, None, start_thread=False)
    for worker, latency, name in ((recorder, 3.0, "mine"), (other, 700.0, 'other "1"')):
        worker.add_model(RecordedModel("m", "1"))
        worker.record("m", 0.5, {}, latency_ms=latency, prediction_id=name, timestamp=1_700_000_000.5)
        worker.flush()
    text, _ = render(registry, "application/openmetrics-text;version=1.0.0")
    other.close()
    shown = {
        sample.labels["le"]: sample.exemplar
        for family in open_metrics_families(text.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar is not None
    }
    assert {le: (e.labels, e.value, float(e.timestamp)) for le, e in shown.items()} == {
        "0.005": ({"prediction_id": "mine"}, 0.003, 1_700_000_000.5),
        "0.75": ({"prediction_id": 'other "1"'}, 0.7, 1_700_000_000.5),
    }
    assert b"prediction_id" not in render(registry)[0]
    assert samples(registry, "modelwatch_prediction_latency_seconds_count") == {("m", "1"): 2}


def test_a_scrape_of_many_workers_is_to_the_byte_what_prometheus_client_writes(
    recorder: Recorder, registry: CollectorRegistry, profile: ReferenceProfile, tmp_path: Path
) -> None:
    workers = [recorder, *(Recorder(tmp_path, None, start_thread=False) for _ in range(3))]
    for number, worker in enumerate(workers):
        for model_id in ("m", ODD_NAME):
            worker.add_model(RecordedModel(model_id, "1", profile=profile))
            for i in range(number + 1):
                worker.record(model_id, 0.25, {"age": 1.0 + i, "city": "Oslo"}, latency_ms=20.0)
        worker.set_metric("m", "auc", 0.5 + number / 10, float(number))
        worker.flush()
    for accept in ("", "application/openmetrics-text;version=1.0.0"):
        encode, content_type = choose_encoder(accept)
        assert render(registry, accept) == (encode(registry), content_type)
    assert samples(registry, "modelwatch_predictions_total") == {("m", "1"): 10, (ODD_NAME, "1"): 10}
    assert samples(registry, "modelwatch_metric_value") == {("m", "1", "auc"): 0.8}
    for worker in workers[1:]:
        worker.close()


def test_the_scores_of_predicted_classes_are_predicted_values(tmp_path: Path, registry_of: Any) -> None:
    scores = np.random.default_rng(0).dirichlet([4.0, 2.0, 1.0], 2000)
    profile = ReferenceProfile.build({"age": np.arange(2000.0)}, scores)
    recorder = Recorder(tmp_path, None, start_thread=False)
    recorder.add_model(RecordedModel("m", "1", task="multiclass", profile=profile))
    recorder.record_many("m", scores[:10], {"age": [1.0] * 10})
    recorder.record("m", "1", {"age": 1.0})
    recorder.flush()
    found = registry_of(recorder)
    key = ("m", "1", profile.label, "")
    assert samples(found, "modelwatch_prediction_value_count")[key] == 10
    assert samples(found, "modelwatch_prediction_value_sum")[key] == pytest.approx(scores[:10].max(axis=1).sum())
    missing = samples(found, "modelwatch_feature_missing_total")
    of_score, of_class = (*key, "@prediction_score"), (*key, "")
    assert (missing[of_score], missing[of_class]) == (1, 0)
    classes = samples(found, "modelwatch_prediction_class_total")
    assert sum(classes.values()) == 11
    recorder.close()
