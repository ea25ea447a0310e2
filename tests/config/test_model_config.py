import json
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from modelwatch.config import KNOWN_METRICS, DriftMonitoringConfig, ModelMonitoringConfig, ThresholdRange, config_error
from modelwatch.exceptions import ConfigError, NotAvailableError


def model(**settings: Any) -> ModelMonitoringConfig:
    return ModelMonitoringConfig.model_validate({"model_id": "m", **settings})


def test_defaults_are_the_customers() -> None:
    config = ModelMonitoringConfig(model_id="m")
    assert config.performance_metrics == ["accuracy", "latency_ms", "error_rate"]
    assert config.drift_detection_interval == 60
    assert config.performance_threshold == {"accuracy": 0.95, "latency_ms": 100, "error_rate": 0.01}
    assert config.alert_channels == ["log"]
    assert (config.log_predictions, config.retention_days, config.sampling_rate) == (True, 90, 1.0)
    assert config.reference == "auto"


def test_a_default_knows_that_nobody_wrote_it() -> None:
    config = model()
    assert not config.channels_written
    assert not config.drift.windows_written
    assert [t.written for t in config.thresholds.values()] == [False, False, False]


def test_what_is_written_is_known_as_written_even_if_it_equals_the_default() -> None:
    config = model(alert_channels=["log"], performance_threshold={"accuracy": 0.95}, drift={"windows": ["1h"]})
    assert config.channels_written
    assert config.drift.windows_written
    assert config.thresholds["accuracy"].written


def test_metrics_alone_bring_only_the_defaults_that_exist_for_them() -> None:
    config = model(performance_metrics=["auc", "latency_ms"])
    assert config.performance_threshold == {"latency_ms": 100}
    assert not config.thresholds["latency_ms"].written


def test_thresholds_alone_bring_their_metrics() -> None:
    assert model(performance_threshold={"rmse": 0.15, "mae": 0.12}).performance_metrics == ["rmse", "mae"]


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1", "auc", "r2"])
def test_a_bare_number_is_a_floor_where_more_is_better(metric: str) -> None:
    threshold = model(performance_threshold={metric: 0.9}).thresholds[metric]
    assert (threshold.min, threshold.max) == (0.9, None)


@pytest.mark.parametrize(
    "metric", ["latency_ms", "error_rate", "misclassification_rate", "rmse", "mae", "mape", "log_loss", "brier"]
)
def test_a_bare_number_is_a_ceiling_where_less_is_better(metric: str) -> None:
    threshold = model(performance_threshold={metric: 0.9}).thresholds[metric]
    assert (threshold.min, threshold.max) == (None, 0.9)


def test_a_written_out_threshold_says_its_own_direction_and_severity() -> None:
    threshold = model(performance_threshold={"auc": {"min": 0.8, "max": 0.99, "severity": "critical"}}).thresholds[
        "auc"
    ]
    assert (threshold.min, threshold.max, threshold.severity) == (0.8, 0.99, "critical")


def test_a_custom_metric_with_a_bare_number_is_a_floor_with_a_warning_that_says_how_else() -> None:
    config = model(performance_threshold={"acuracy": 3})
    assert config.thresholds["acuracy"].min == 3
    (warning,) = config.warnings
    assert "floor" in warning
    assert "{max: 3}" in warning
    assert "did you mean 'accuracy'?" in warning


def test_a_written_out_custom_metric_warns_of_nothing() -> None:
    assert model(performance_threshold={"clicks": {"max": 3}}).warnings == ()


@pytest.mark.parametrize(("metric", "meant"), [("acuracy", "accuracy"), ("RMSE", "rmse"), ("latncy_ms", "latency_ms")])
def test_a_misspelt_metric_is_warned_of(metric: str, meant: str) -> None:
    (warning,) = model(performance_metrics=[metric]).warnings
    assert warning == (f"performance_metrics: '{metric}' is taken as a metric of your own (did you mean '{meant}'?)")


@pytest.mark.parametrize(
    "metric", [*KNOWN_METRICS, "mse", "rmsle", "clicks", "recall_at_10", "accuracy_top5", "pr_auc"]
)
def test_a_metric_of_ones_own_is_not_taken_for_a_misspelt_one(metric: str) -> None:
    assert model(performance_metrics=[metric]).warnings == ()


@pytest.mark.parametrize(
    ("interval", "written"),
    [
        (timedelta(minutes=90), "90m"), (timedelta(days=30), "30d"), (timedelta(seconds=1.5), "1.5s"),
        (timedelta(days=30, seconds=-1), "2591999s"), (np.timedelta64(2, "h"), "2h"), (pd.Timedelta("10min"), "10m"),
    ],
)  # fmt: skip
def test_an_interval_may_be_a_time_difference_and_is_kept_as_text(interval: Any, written: str) -> None:
    config = model(drift_detection_interval=interval)
    assert config.drift_detection_interval == written
    assert config.interval_seconds == pd.Timedelta(interval).total_seconds()
    assert ModelMonitoringConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(days=31), timedelta(hours=-1), np.timedelta64("NaT")])
def test_a_time_difference_that_is_no_interval_is_refused(interval: Any) -> None:
    with pytest.raises(ConfigError, match="drift_detection_interval"):
        model(drift_detection_interval=interval)


def test_a_threshold_on_a_metric_outside_performance_metrics_is_a_warning() -> None:
    (warning,) = model(performance_metrics=["auc"], performance_threshold={"f1": 0.5}).warnings
    assert "performance_threshold.f1" in warning
    assert model(performance_metrics=["auc"], performance_threshold={"latency_ms": 5}).warnings == ()


def test_default_thresholds_of_metrics_that_make_no_sense_for_the_task_are_left_out() -> None:
    assert "accuracy" not in model(task="regression").thresholds
    assert "accuracy" in model(task="binary").thresholds
    written = model(task="regression", performance_threshold={"accuracy": 0.9})
    assert "accuracy" in written.thresholds
    assert "makes no sense for the task 'regression'" in written.warnings[0]


def test_numpy_numbers_of_a_training_pipeline_are_numbers() -> None:
    config = model(performance_threshold={"auc": np.float32(0.5)}, retention_days=np.int64(30))
    assert config.performance_threshold == {"auc": 0.5}
    assert config.retention_days == 30


@pytest.mark.parametrize(("interval", "seconds"), [(30, 1800), ("30m", 1800), ("5s", 5), (0.5, 30), ("1", 60)])
def test_the_interval_is_in_minutes_or_says_its_unit(interval: Any, seconds: float) -> None:
    config = model(drift_detection_interval=interval)
    assert config.interval_seconds == seconds
    assert config.drift_detection_interval == interval


def test_windows_ascend_and_keep_their_text() -> None:
    drift = DriftMonitoringConfig(windows=("168h", "90s", "1h30m"))
    assert drift.window_seconds == {"90s": 90.0, "1h30m": 5400.0, "168h": 604800.0}
    assert list(drift.window_seconds) == ["90s", "1h30m", "168h"]


@pytest.mark.parametrize(("windows", "seconds"), [(("10s", "30s"), 2.5), (("1h",), 300), (("4m",), 60)])
def test_counts_are_kept_in_quarters_of_the_shortest_window(windows: tuple[str, ...], seconds: float) -> None:
    assert DriftMonitoringConfig(windows=windows).count_interval_seconds == seconds


@pytest.mark.parametrize(
    ("given", "read"),
    [("country", ("country",)), (["country", "device"], ("country", "device")), (("a",), ("a",)), ([], ())],
)
def test_segments_are_one_key_of_the_metadata_or_several(given: Any, read: tuple[str, ...]) -> None:
    config = model(segments=given)
    assert config.segments == read
    assert model(**config.model_dump(mode="json", exclude_unset=True, exclude={"model_id"})).segments == read


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (7, "must be a metadata key, or a list of metadata keys, got 7"),
        (["a", "a"], "must name each metadata key once, got 'a' twice"),
        (list("abcdef"), "must be at most 5 metadata keys, got 6"),
        ([""], "a metadata key must not be empty"),
        ("", "a metadata key must not be empty"),
    ],
)
def test_segments_that_are_no_keys_are_refused(given: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"segments.*: .*{sentence}"):
        model(segments=given)


def test_a_configuration_cannot_be_changed() -> None:
    config = model()
    with pytest.raises(ValidationError, match="frozen"):
        config.sampling_rate = 0.5  # type: ignore[misc]


def test_drift_may_hold_the_reference_but_not_contradict() -> None:
    assert model(drift={"reference": "p.json"}).reference == "p.json"
    with pytest.raises(ConfigError, match=r"must not differ, got 'p.json' and 'q.json'"):
        model(reference="q.json", drift={"reference": "p.json"})
    with pytest.raises(ConfigError, match=r"drift.model_id must be left out or 'm'"):
        model(drift={"model_id": "other"})


def test_all_mistakes_are_named_at_once_each_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        model(sampling_rate=True, retention_days=0, drift={"bins": 5, "windows": []}, task="binry", sampling_rat=1)
    lines = str(caught.value).splitlines()
    paths = {line.split(": ")[1] for line in lines}
    assert paths == {"sampling_rate", "retention_days", "drift.bins", "drift.windows", "task", "sampling_rat"}
    assert "did you mean 'sampling_rate'?" in str(caught.value)


def test_mistakes_in_keyword_arguments_read_the_same_as_in_a_mapping() -> None:
    with pytest.raises(ConfigError) as from_keywords:
        ModelMonitoringConfig(model_id="m", sampling_rate=2)
    with pytest.raises(ConfigError) as from_mapping:
        model(sampling_rate=2)
    assert str(from_keywords.value) == str(from_mapping.value)
    assert str(from_keywords.value) == "ModelMonitoringConfig: sampling_rate: must be a number from 0 to 1, got 2"


@pytest.mark.parametrize(
    "key",
    ["predecessor", "ground_truth", "extra_labels", "dry_run_until"],
)
def test_keys_of_later_releases_are_not_available_yet(key: str) -> None:
    with pytest.raises(NotAvailableError, match=f"the key '{key}' is not available yet"):
        model(**{key: 1})


def test_a_real_mistake_beside_a_later_key_is_a_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        model(ground_truth={"delay": "24h"}, sampling_rate=2)
    assert not isinstance(caught.value, NotAvailableError)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sampling_rate", -0.1), ("sampling_rate", float("inf")), ("sampling_rate", 10**400), ("retention_days", 1.5),
        ("retention_days", True), ("log_predictions", 1), ("decision_threshold", float("nan")),
        ("latency_quantile", 1), ("latency_quantile", 0), ("positive_class", [1]), ("positive_class", None),
        ("positive_class", float("nan")), ("alert_channels", "log"), ("alert_channels", [""]), ("alert_channels", None),
        ("performance_metrics", [1]), ("performance_metrics", {"auc": 1}), ("performance_threshold", {"auc": None}),
        ("performance_threshold", {"auc": {"min": True}}), ("performance_threshold", {"a\n": 1}),
        ("features", {"exclude": "x"}), ("features", {"importance": {"a": -1}}), ("features", 3), ("drift", "1h"),
        ("metadata_keys", "user"), ("model_version", "a\nb"), ("owner", "\x1b"), ("dashboard_url", "javascript:x"),
        ("runbook_url", "https://x/\n"), ("reference", ""), ("reference", "a\0b"), ("reference", None),
        ("drift_detection_interval", True), ("drift_detection_interval", "31d"), ("drift", {"min_rows": 0}),
        ("drift", {"false_alarms_per_30d": 0}), ("drift", {"thresholds": {"warning": 0.5}}),
    ],
)  # fmt: skip
def test_impossible_values_are_refused_under_their_key(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        model(**{key: value})
    assert f"ModelMonitoringConfig: {key}" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("Input should", "pydantic", "type=", "Value error"))


@pytest.mark.parametrize("reference", ["s3://b/p.json", "https://u:pw@h/p.json", "gs://b/p", "models:/ad@prod"])
def test_references_by_address_are_not_available_yet_and_not_repeated(reference: str) -> None:
    with pytest.raises(NotAvailableError) as caught:
        model(reference=reference)
    assert reference not in str(caught.value)


names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
shares = st.floats(0, 1)
ranges = st.builds(lambda a, b: {"min": min(a, b), "max": max(a, b), "severity": "error"}, shares, shares)
thresholds = st.dictionaries(st.sampled_from(sorted(KNOWN_METRICS)) | names, shares | ranges, max_size=4)
durations = st.builds("{}{}".format, st.integers(1, 50), st.sampled_from(["s", "m", "h", "d"]))
drifts = st.fixed_dictionaries(
    {}, optional={"windows": st.lists(durations, min_size=1, max_size=1), "bins": st.integers(10, 64)}
)
features = st.fixed_dictionaries(
    {},
    optional={
        "exclude": st.lists(names, max_size=2),
        "importance": st.dictionaries(names, st.floats(0, 9), max_size=2),
    },
)
configs = st.fixed_dictionaries(
    {"model_id": names},
    optional={
        "performance_metrics": st.lists(names, max_size=3),
        "performance_threshold": thresholds,
        "drift_detection_interval": st.integers(1, 43200) | st.floats(0.1, 100) | st.integers(1, 24).map("{}h".format),
        "alert_channels": st.lists(names, max_size=3),
        "sampling_rate": shares,
        "positive_class": st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.floats(allow_nan=False, allow_infinity=False),
        "metadata_keys": st.none() | st.lists(names, max_size=2),
        "task": st.sampled_from([None, "binary", "regression"]),
        "drift": drifts,
        "features": features,
    },
)


@settings(max_examples=200, deadline=None)
@given(configs)
def test_a_dump_through_json_is_the_same_configuration(settings: dict[str, Any]) -> None:
    config = ModelMonitoringConfig.model_validate(settings)
    for unset in (False, True):
        text = json.dumps(config.model_dump(mode="json", exclude_unset=unset))
        again = ModelMonitoringConfig.model_validate(json.loads(text))
        assert again == config
        assert again.thresholds == config.thresholds
        assert again.warnings == config.warnings
        assert type(again.positive_class) is type(config.positive_class)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(ModelMonitoringConfig.model_fields)) | st.text(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
), max_size=4))  # fmt: skip
def test_whatever_is_given_is_a_configuration_or_a_printable_refusal(settings: dict[str, Any]) -> None:
    try:
        ModelMonitoringConfig.model_validate(settings)
    except ConfigError as refusal:
        message = str(refusal)
    else:
        return
    assert all(line.isprintable() for line in message.split("\n"))


def test_an_error_of_pydantic_itself_can_be_made_readable() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(ModelMonitoringConfig).validate_python({"model_id": "m", "sampling_rate": 2})
    error = config_error(caught.value, "register_model")
    assert str(error) == "register_model: sampling_rate: must be a number from 0 to 1, got 2"


def test_the_schema_can_be_generated() -> None:
    schema = ModelMonitoringConfig.model_json_schema()
    assert schema["required"] == ["model_id"]
    assert "sampling_rate" in schema["properties"]


def test_ranges_can_be_given_as_objects() -> None:
    config = ModelMonitoringConfig(model_id="m", performance_threshold={"clicks": ThresholdRange(max=3)})
    assert config.thresholds["clicks"].max == 3


def test_errors_and_latency_are_watched_by_default_thresholds_where_nobody_wrote_any() -> None:
    for fields in ({"performance_metrics": ["auc"]}, {"performance_threshold": {"rmse": 0.15}}):
        thresholds = ModelMonitoringConfig(model_id="m", **fields).thresholds
        assert (thresholds["error_rate"].max, thresholds["error_rate"].written) == (0.01, False)
        assert (thresholds["latency_ms"].max, thresholds["latency_ms"].written) == (100.0, False)
    own = ModelMonitoringConfig(model_id="m", performance_threshold={"error_rate": 0.2}).thresholds
    assert (own["error_rate"].max, own["error_rate"].written) == (0.2, True)
    assert not own["latency_ms"].written


def test_an_entity_is_the_name_of_a_feature_or_of_a_key_of_the_metadata() -> None:
    assert model().drift.entity is None
    assert model(drift={"entity": "user_id"}).drift.entity == "user_id"
    for wrong in ("", " ", "u" * 300, 1, ["user_id"], "a\n"):
        with pytest.raises(ConfigError, match=r"drift\.entity: "):
            model(drift={"entity": wrong})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, None),
        ({"metadata_keys": ["user"]}, None),
        ({"features": {"exclude": ["user"]}}, None),
        ({"log_predictions": False}, "needs stored rows, and log_predictions is false"),
        ({"metadata_keys": ["shop"]}, "is not among metadata_keys: if it is no feature, it is not stored"),
        (
            {"metadata_keys": ["shop"], "features": {"exclude": ["user"]}},
            "is left out by features.exclude and is not among metadata_keys",
        ),
    ],
    ids=["stored", "kept metadata", "metadata of that name", "no rows", "other metadata", "excluded"],
)
def test_an_entity_that_is_not_stored_is_warned_of(config: dict[str, Any], told: str | None) -> None:
    found = [w for w in model(drift={"entity": "user"}, **config).warnings if "entity" in w]
    assert found == ([] if told is None else [f"drift.entity 'user' {told}, so that every row counts as independent"])
