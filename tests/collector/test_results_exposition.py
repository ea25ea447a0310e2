"""What Prometheus reads of scheduled checks."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from modelwatch import conventions as c
from modelwatch.collector import ResultsCollector, render
from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import StorageError
from modelwatch.profile import ReferenceProfile


class HeldStore:
    """A store in memory."""

    def __init__(self, *results: Any, profiles: dict[str, str] | None = None) -> None:
        self.results = list(results)
        self.profiles = profiles or {}
        self.metrics: list[Any] = []
        self.fail = False

    def latest_results(self) -> list[Any]:
        if self.fail:
            raise OSError("disk gone")
        return self.results

    def notification_counts(self) -> dict[str, tuple[int, int]]:
        return {"slack": (3, 1), "email": (2, 0)}

    def load_profile(self, profile_id: str) -> str | None:
        return self.profiles.get(profile_id)

    def latest_metrics(self) -> list[Any]:
        return self.metrics

    def silence_limits(self) -> dict[str, float]:
        return {"m": 900.0}

    def size_bytes(self) -> int:
        return 4096


def a_test(feature: str, window: str, score: float | None, **also: Any) -> dict[str, Any]:
    return {"feature": feature, "window": window, "score": score, "threshold": 0.05, "test": "shape", **also}


def a_shift(feature: str, share: float, **also: Any) -> dict[str, Any]:
    ratios = {"shift_sd": 1.5, "missing_ratio": 0.1, "novel_ratio": 0.2}
    return {"feature": feature, "window": "1h", "attribution": share, **ratios, **also}


def checked(**result: Any) -> Any:
    fields = {
        "model_id": "m", "model_version": "1", "checked_at": 90.0,
        "last_success_at": 90.0, "checks": 5, "failures": 1, "duration": 0.25,
        "interval": 1800.0, "result": result or None,
    }  # fmt: skip
    return SimpleNamespace(**fields)


RESULT: dict[str, Any] = {
    "calibrated": False,
    "profile_id": "",
    "reference_rows": 600.0,
    "windows": {"1h": 50.0, "24h": 900.0},
    "families": {
        "data": {
            "state": "drift",
            "severity": 3,
            "feature_severity": {"age": 3, "city": 0, "fare": 2},
            "tests": [
                a_test("age", "1h", 0.3),
                a_test("age", "24h", 0.1),
                a_test("city", "1h", None),
                a_test("fare", "1h", 0.2),
            ],
            "shifts": [a_shift("age", 0.7), a_shift("fare", 0.3, shift_sd=None)],
        },
        "prediction": {
            "state": "ok",
            "severity": 0,
            "feature_severity": {"": 0},
            "tests": [a_test("", "1h", 0.01)],
            "shifts": [],
        },
    },
}


def expose(store: HeldStore, **options: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ResultsCollector(store, **options))
    return registry


def scrape(store: HeldStore, **options: Any) -> str:
    return generate_latest(expose(store, **options)).decode()


def samples(registry: CollectorRegistry, metric: c.Metric) -> dict[tuple[str, ...], float]:
    """Return a metric's samples by label values in the order of its definition."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == metric.name
    }


def test_scores_thresholds_and_severities_stand_by_feature_and_window() -> None:
    registry = expose(HeldStore(checked(**RESULT)))
    m = ("m", "1")
    assert samples(registry, c.DRIFT_SCORE) == {
        (*m, "data", "age", "1h", ""): 0.3,
        (*m, "data", "age", "24h", ""): 0.1,
        (*m, "data", "fare", "1h", ""): 0.2,
        (*m, "prediction", "", "1h", ""): 0.01,
    }
    assert samples(registry, c.DRIFT_THRESHOLD)["m", "1", "data", "age", "1h", ""] == 0.05
    assert samples(registry, c.DRIFT_SEVERITY) == {
        (*m, "data", "age", ""): 3,
        (*m, "data", "city", ""): 0,
        (*m, "data", "fare", ""): 2,
        (*m, "data", "", ""): 3,
        (*m, "prediction", "", ""): 0,
    }
    assert samples(registry, c.DRIFTED_FEATURES) == {m: 2}
    assert samples(registry, c.SCORED_FEATURES) == {m: 2}
    assert samples(registry, c.DRIFT_CALIBRATED) == {m: 0}


def test_a_feature_that_varies_too_much_by_itself_is_told_apart() -> None:
    families = {
        "data": {**RESULT["families"]["data"], "noisy": ["city"]},
        "prediction": RESULT["families"]["prediction"],
    }
    registry = expose(HeldStore(checked(**{**RESULT, "families": families})))
    assert samples(registry, c.FEATURE_NOISY) == {
        ("m", "1", "age"): 0, ("m", "1", "city"): 1, ("m", "1", "fare"): 0, ("m", "1", ""): 0,
    }  # fmt: skip


def test_scores_by_further_methods_carry_its_name_and_no_other_score_has_the_label() -> None:
    where = {"feature": "age", "window": "1h"}
    further = [{"method": "psi", **where, "score": 0.31, "limit": 0.2}, {"method": "ks", **where, "score": 0.1},
               {"method": "kl", **where, "score": None, "limit": None}]  # fmt: skip
    data = {**RESULT["families"]["data"], "further": further}
    registry = expose(HeldStore(checked(**{**RESULT, "families": {"data": data}})), clock=lambda: 99.0)
    labelled = {
        (family.name, sample.labels.get("method")): sample.value
        for family in registry.collect()
        for sample in family.samples
        if family.name in (c.DRIFT_SCORE.name, c.DRIFT_THRESHOLD.name)
        and (sample.labels["feature"], sample.labels["window"]) == ("age", "1h")
    }
    assert labelled == {
        (c.DRIFT_SCORE.name, None): 0.3,
        (c.DRIFT_SCORE.name, "psi"): 0.31,
        (c.DRIFT_SCORE.name, "ks"): 0.1,
        (c.DRIFT_THRESHOLD.name, None): 0.05,
        (c.DRIFT_THRESHOLD.name, "psi"): 0.2,
    }
    text = generate_latest(registry).decode()
    assert (
        'modelwatch_drift_score{drift_type="data",feature="age",method="psi",model_id="m",model_version="1",'
        'segment="",window="1h"} 0.31\n'
    ) in text
    assert render(registry)[0].decode() == text


def test_pairs_that_no_longer_go_together_stand_with_both_correlations() -> None:
    pair = {"first": "age", "second": "fare", "window": "24h", "before": 0.61, "now": 0.05, "share": 0.9}
    together = {
        "state": "drift", "severity": 2, "feature_severity": {"": 2}, "tests": [a_test("", "24h", 0.13)],
        "pairs": [pair, {**pair, "second": "city", "before": 0.4, "now": None}],
    }  # fmt: skip
    registry = expose(HeldStore(checked(**{**RESULT, "families": {**RESULT["families"], "multivariate": together}})))
    assert samples(registry, c.FEATURE_CORRELATION) == {
        ("m", "1", "age", "fare", "24h", "current"): 0.05,
        ("m", "1", "age", "fare", "24h", "reference"): 0.61,
        ("m", "1", "age", "city", "24h", "reference"): 0.4,
    }
    assert samples(registry, c.DRIFT_SEVERITY)["m", "1", "multivariate", "", ""] == 2
    assert samples(registry, c.DRIFT_SCORE)["m", "1", "multivariate", "", "24h", ""] == 0.13
    assert samples(registry, c.SCORED_FEATURES) == {("m", "1"): 2}


def test_exactly_one_state_of_each_kind_of_drift_is_one() -> None:
    states = samples(expose(HeldStore(checked(**RESULT))), c.DRIFT_STATE)
    assert {labels for labels, value in states.items() if value} == {
        ("m", "1", "data", "drift"),
        ("m", "1", "prediction", "ok"),
    }
    assert len(states) == 2 * len(c.DRIFT_STATES)


def test_shifts_say_how_features_moved_and_a_number_that_is_not_known_has_no_sample() -> None:
    registry = expose(HeldStore(checked(**RESULT)))
    assert samples(registry, c.FEATURE_SHIFT_SD) == {("m", "1", "age", "1h"): 1.5}
    assert samples(registry, c.FEATURE_MISSING_RATIO) == {("m", "1", "age", "1h"): 0.1, ("m", "1", "fare", "1h"): 0.1}
    assert samples(registry, c.DRIFT_ATTRIBUTION) == {("m", "1", "age", "1h"): 0.7, ("m", "1", "fare", "1h"): 0.3}


def test_only_the_five_largest_attributions_are_exposed() -> None:
    shifts = [a_shift(f"f{i}", i / 100) for i in range(9)]
    result = {**RESULT, "families": {"data": {**RESULT["families"]["data"], "shifts": shifts}}}
    shown = samples(expose(HeldStore(checked(**result))), c.DRIFT_ATTRIBUTION)
    assert sorted(labels[2] for labels in shown) == ["f4", "f5", "f6", "f7", "f8"]


def test_rows_checks_notifications_and_size_are_exposed() -> None:
    registry = expose(HeldStore(checked(**RESULT)))
    assert samples(registry, c.WINDOW_ROWS)["m", "1", "24h", "current"] == 900
    assert samples(registry, c.WINDOW_ROWS)["m", "1", "24h", "reference"] == 600
    assert samples(registry, c.DRIFT_CHECKS) == {("m", "1"): 5}
    assert samples(registry, c.DRIFT_CHECK_FAILURES) == {("m", "1"): 1}
    assert samples(registry, c.DRIFT_CHECK_DURATION) == {("m", "1"): 0.25}
    assert samples(registry, c.DRIFT_CHECK_INTERVAL) == {("m", "1"): 1800}
    assert samples(registry, c.DRIFT_LAST_SUCCESS) == {("m", "1"): 90}
    assert samples(registry, c.NOTIFICATIONS) == {("slack",): 3, ("email",): 2}
    assert samples(registry, c.NOTIFICATION_FAILURES) == {("slack",): 1, ("email",): 0}
    assert samples(registry, c.STORE_SIZE) == {(): 4096}


def test_a_model_whose_checks_all_failed_has_no_scores_but_its_counts() -> None:
    result = checked()
    result.last_success_at = None
    registry = expose(HeldStore(result))
    assert samples(registry, c.DRIFT_CHECKS) == {("m", "1"): 5}
    for metric in (c.DRIFT_LAST_SUCCESS, c.DRIFT_SCORE, c.DRIFT_SEVERITY, c.DRIFT_STATE):
        assert samples(registry, metric) == {}


def a_value(metric: str, value: float, version: str = "1") -> Any:
    return SimpleNamespace(model_id="m", model_version=version, metric=metric, value=value, at=80.0)


def test_what_rules_compare_with_follows_from_the_configuration_and_the_last_values() -> None:
    threshold: dict[str, Any] = {"auc": 0.85, "rmse": {"max": 2, "severity": "error"}, "latency_ms": 150, "f1": 0.5}
    config = ModelMonitoringConfig(
        model_id="m", model_version="1", latency_quantile=0.99, performance_threshold=threshold
    )
    store = HeldStore()
    store.metrics = [a_value("auc", 0.8), a_value("rmse", 1.0), a_value("latency_ms", 900), a_value("auc", 0.1, "0")]
    text = scrape(store, models=lambda: [config])
    mine = 'model_id="m",model_version="1"'
    for line in (
        f'modelwatch_performance_severity{{metric="auc",{mine},segment=""}} 4.0',
        f'modelwatch_performance_severity{{metric="rmse",{mine},segment=""}} 0.0',
        f'modelwatch_performance_threshold{{bound="min",metric="auc",{mine}}} 0.85',
        f'modelwatch_performance_threshold{{bound="max",metric="latency_ms",{mine}}} 150.0',
        f'modelwatch_performance_threshold_severity{{bound="max",metric="rmse",{mine}}} 3.0',
        f'modelwatch_performance_threshold_severity{{bound="max",metric="latency_ms",{mine}}} 3.0',
        f"modelwatch_latency_quantile_ratio{{{mine}}} 0.99",
        'modelwatch_silence_limit_seconds{model_id="m"} 900.0',
    ):
        assert line in text
    assert text.count("modelwatch_performance_severity{") == 2, "no value, another version, or a rule of its own"


def test_a_threshold_that_nobody_wrote_is_worth_a_warning() -> None:
    text = scrape(HeldStore(), models=lambda: [ModelMonitoringConfig(model_id="m")])
    severities = [line for line in text.splitlines() if line.startswith("modelwatch_performance_threshold_severity{")]
    assert len(severities) == 3
    assert all(line.endswith(" 2.0") for line in severities)


def test_the_bins_of_a_feature_tile_the_line_with_the_bounds_of_its_histogram() -> None:
    profile = ReferenceProfile.build({"age": [float(i % 60) for i in range(600)], "city": ["Oslo", "Rome"] * 300})
    store = HeldStore(checked(**{**RESULT, "profile_id": profile.id}), profiles={profile.id: profile.to_json()})
    registry = expose(store)
    bins = [key for key in samples(registry, c.FEATURE_BIN_INFO) if key[:2] == ("m", "1")]
    assert {key[3] for key in bins} == {"age"}
    lowers, uppers = [key[4] for key in bins], [key[5] for key in bins]
    assert lowers == ["-Inf", *uppers[:-1]]
    buckets = [sample for family in registry.collect() for sample in family.samples
               if sample.name == c.FEATURE_REFERENCE.name + "_bucket"]  # fmt: skip
    assert uppers == [sample.labels["le"] for sample in buckets]


def test_too_many_series_of_references_are_left_out_whole(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    profile = ReferenceProfile.build({"age": [float(i % 60) for i in range(600)]})
    store = HeldStore(checked(**{**RESULT, "profile_id": profile.id}), profiles={profile.id: profile.to_json()})
    monkeypatch.setattr("modelwatch.collector.results.MAX_REFERENCE_SERIES", 10)
    registry = expose(store)
    for _ in range(2):
        assert samples(registry, c.FEATURE_BIN_INFO) == {}
        assert b"modelwatch_feature_reference_bucket{" not in generate_latest(registry)
    assert caplog.text.count("not exposed") == 1
    assert samples(registry, c.DRIFT_SEVERITY) != {}


def test_nothing_is_exposed_while_somebody_else_does() -> None:
    standing_by = [True]
    store = HeldStore(checked(**RESULT))
    registry = CollectorRegistry()
    registry.register(ResultsCollector(store, stand_by=lambda: standing_by[0]))
    assert generate_latest(registry) == b""
    standing_by[0] = False
    assert b"modelwatch_drift_severity{" in generate_latest(registry)


def test_a_version_that_is_checked_no_more_is_exposed_no_more() -> None:
    old, new, canary = (checked(**RESULT) for _ in range(3))
    old.model_version, old.checked_at = "0", 30.0
    canary.model_version = "2"
    other = checked(**RESULT)
    other.model_id, other.checked_at = "other", 10.0
    text = scrape(HeldStore(old, new, canary, other))
    assert 'model_version="0"' not in text
    for labels in ('model_id="m",model_version="1"', 'model_id="m",model_version="2"', 'model_id="other"'):
        assert f"modelwatch_drift_last_success_timestamp_seconds{{{labels}" in text


def test_the_last_scrape_is_the_one_before_this_one() -> None:
    registry = expose(HeldStore(), clock=iter([50.0, 60.0]).__next__)
    assert [samples(registry, c.LAST_SCRAPE)[()] for _ in range(2)] == [0, 50]


def test_the_reference_is_exposed_as_constant_histograms_and_shares() -> None:
    ages = [float(i % 60) for i in range(600)]
    profile = ReferenceProfile.build(
        {"age": ages, "city": ["Oslo", "Rome", "Oslo"] * 200}, [i / 600 for i in range(600)]
    )
    store = HeldStore(checked(**{**RESULT, "profile_id": profile.id}), profiles={profile.id: profile.to_json()})
    registry = expose(store)
    label = profile.id[:8]
    values = {s.name: s.value for f in registry.collect() for s in f.samples if s.labels.get("feature") == "age"}
    assert values["modelwatch_feature_reference_count"] == 600
    assert values["modelwatch_feature_reference_sum"] == pytest.approx(sum(ages))
    shares = samples(registry, c.FEATURE_REFERENCE_CATEGORY)
    assert shares["m", "1", label, "city", "Oslo"] == pytest.approx(2 / 3)
    text = generate_latest(registry).decode()
    assert f'modelwatch_prediction_reference_count{{model_id="m",model_version="1",profile="{label}"}} 600.0' in text


@pytest.mark.parametrize("refusal", [None, StorageError("can't decode byte 0xff")])
def test_a_damaged_reference_costs_its_own_families_only(
    refusal: StorageError | None, caplog: pytest.LogCaptureFixture
) -> None:
    class DamagedStore(HeldStore):
        def load_profile(self, profile_id: str) -> str | None:
            if refusal is not None:
                raise refusal
            return super().load_profile(profile_id)

    other = checked(**RESULT)
    other.model_id = "other"
    store = DamagedStore(checked(**{**RESULT, "profile_id": "5f0c"}), other, profiles={"5f0c": "{"})
    registry = expose(store)
    for _ in range(2):
        assert samples(registry, c.DRIFT_CHECKS) == {("m", "1"): 5, ("other", "1"): 5}
    assert samples(registry, c.FEATURE_BIN_INFO) == {}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_store_that_cannot_be_read_is_logged_once_and_the_scrape_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    store = HeldStore(checked(**RESULT))
    store.fail = True
    registry = expose(store)
    for _ in range(3):
        assert list(registry.collect()) == []
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    store.fail = False
    assert samples(registry, c.DRIFT_CHECKS) == {("m", "1"): 5}


def test_registering_reads_nothing() -> None:
    store = HeldStore()
    store.fail = True
    assert ResultsCollector(store).describe() == []


def test_of_classes_and_their_scores_the_worse_stands_for_all_predictions() -> None:
    tests = [a_test("", "1h", 0.01), a_test("@prediction_score", "1h", 0.3), a_test("", "24h", 0.09),
             a_test("@prediction_score", "24h", 0.02)]  # fmt: skip
    family = {"state": "drift", "severity": 3, "feature_severity": {"": 0, "@prediction_score": 3}, "tests": tests}
    found = {**RESULT, "families": {**RESULT["families"], "prediction": family}}
    scores = samples(expose(HeldStore(checked(**found))), c.DRIFT_SCORE)
    told = {key[3:5]: value for key, value in scores.items() if key[2] == "prediction"}
    assert told == {
        ("", "1h"): 0.3, ("", "24h"): 0.09, ("@prediction_score", "1h"): 0.3, ("@prediction_score", "24h"): 0.02,
    }  # fmt: skip


def test_the_reference_of_scores_is_one_of_predicted_values() -> None:
    scores = np.random.default_rng(0).dirichlet([4.0, 2.0, 1.0], 600)
    profile = ReferenceProfile.build({"age": np.arange(600.0)}, scores)
    store = HeldStore(checked(**{**RESULT, "profile_id": profile.id}), profiles={profile.id: profile.to_json()})
    text = generate_latest(expose(store)).decode()
    labels = f'model_id="m",model_version="1",profile="{profile.label}"'
    assert f"modelwatch_prediction_reference_count{{{labels}}} 600.0" in text
    assert f'modelwatch_feature_reference_category_ratio{{category="0",feature="",{labels}}}' in text
    assert 'feature_reference_count{feature="@prediction_score"' not in text
