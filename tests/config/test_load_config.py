import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwatch.config import (
    EmailReceiver,
    MonitoringConfig,
    SlackReceiver,
    default_storage_path,
    find_config,
    load_config,
)
from modelwatch.exceptions import ConfigError, NotAvailableError

DATA = Path(__file__).parent / "testdata"
HOSTILE_ID = 'it\'s "x" \\ {{ $value }} {} 🚀 ../../etc'


def write(folder: Path, text: str, name: str = "models.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_customers_file_loads_unchanged() -> None:
    config = load_config(DATA / "customer.json")
    ads, health = config.models
    assert ads.model_id == "ad_score_model_v1"
    assert ads.performance_metrics == ["accuracy", "latency_ms", "error_rate", "auc"]
    assert ads.drift_detection_interval == 30
    assert ads.performance_threshold == {"accuracy": 0.92, "latency_ms": 150, "error_rate": 0.02, "auc": 0.85}
    assert ads.alert_channels == ["log", "email", "slack"]
    assert (ads.log_predictions, ads.retention_days, ads.sampling_rate) == (True, 90, 0.5)
    assert health.model_id == "account_health_model_v2"
    assert health.performance_metrics == ["rmse", "mae", "latency_ms"]
    assert health.drift_detection_interval == 60
    assert health.performance_threshold == {"rmse": 0.15, "mae": 0.12, "latency_ms": 200}


def test_the_customers_thresholds_have_their_directions() -> None:
    ads, health = load_config(DATA / "customer.json").models
    assert {m: (t.min, t.max, t.written) for m, t in ads.thresholds.items()} == {
        "accuracy": (0.92, None, True),
        "latency_ms": (None, 150, True),
        "error_rate": (None, 0.02, True),
        "auc": (0.85, None, True),
    }
    assert all(t.min is None for t in health.thresholds.values())
    assert ads.warnings == health.warnings == ()


def test_a_complete_yaml_file_loads() -> None:
    config = load_config(DATA / "complete.yaml")
    ads, health = config.models
    assert config.timezone == "America/New_York"
    assert config.source == DATA / "complete.yaml"
    assert ads.model_version == "2026-11-20"
    assert ads.thresholds["latency_ms"].severity == "critical"
    assert ads.interval_seconds == 1800
    assert health.performance_threshold == {"rmse": 0.15}
    assert config.alerting.severity_routing == {"warning": ("log", "slack-ads")}
    assert (config.alerting.repeat_interval_seconds, config.alerting.hourly_cap) == (7200, 5)


def test_a_bare_off_is_the_word_and_no_truth_value(tmp_path: Path) -> None:
    (model,) = load_config(write(tmp_path, "models: [{model_id: m, drift: {multivariate: off}}]")).models
    assert model.drift.multivariate == "off"
    with pytest.raises(ConfigError, match="must be one of 'correlation', 'domain_classifier', 'off', got true"):
        load_config(write(tmp_path, "models: [{model_id: m, drift: {multivariate: on}}]"))


def test_paths_in_a_file_start_from_its_folder() -> None:
    config = load_config(DATA / "complete.yaml")
    email, slack = config.alerting.receivers.values()
    assert isinstance(email, EmailReceiver)
    assert isinstance(slack, SlackReceiver)
    assert config.storage.path == str(DATA / "state")
    assert config.storage.max_bytes == 2 * 2**30
    assert config.models[0].reference == str(DATA / "profiles/ad.json")
    assert config.models[1].reference == "auto"
    assert email.password_file == str(DATA / "secrets/smtp")
    assert slack.url_file == "/run/secrets/slack_url"


def test_paths_start_from_the_home_folder_where_they_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    config = load_config(write(tmp_path, "storage: {path: ~/state}\nmodels: []\n"))
    assert config.storage.path == "/home/somebody/state"


def test_defaults_hold_for_every_model_that_does_not_say_otherwise() -> None:
    ads, health = load_config(DATA / "complete.yaml").models
    assert (ads.retention_days, health.retention_days) == (30, 30)
    assert (ads.drift.bins, health.drift.bins) == (20, 32)
    assert ads.drift.windows == ("1h", "24h")
    assert ads.drift.windows_written


@pytest.mark.parametrize("name", ["models.yaml", "models.json"])
def test_a_hostile_model_id_comes_back_unchanged(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, json.dumps({"models": [{"model_id": HOSTILE_ID}]}, ensure_ascii=name.endswith("json")), name)
    if name.endswith("yaml"):
        path.write_text(json.dumps({"models": [{"model_id": HOSTILE_ID}]}, ensure_ascii=False), encoding="utf-8")
    assert load_config(path).models[0].model_id == HOSTILE_ID


def test_a_hostile_model_id_in_a_message_stays_on_one_line(tmp_path: Path) -> None:
    content = {"models": [{"model_id": HOSTILE_ID, "sampling_rate": 2}]}
    path = write(tmp_path, json.dumps(content), "models.json")
    with pytest.raises(ConfigError, match="sampling_rate: must be a number from 0 to 1, got 2") as caught:
        load_config(path)
    assert str(caught.value).isprintable()


def test_the_same_model_may_have_several_versions(tmp_path: Path) -> None:
    path = write(tmp_path, "models: [{model_id: m, model_version: '1'}, {model_id: m, model_version: '2'}]")
    assert [m.model_version for m in load_config(path).models] == ["1", "2"]


def test_a_byte_order_mark_and_an_upper_case_suffix_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "MODELS.YML"
    path.write_bytes(b"\xef\xbb\xbfmodels: [{model_id: m}]\n")
    assert load_config(path).models[0].model_id == "m"


def test_merge_keys_are_no_duplicates(tmp_path: Path) -> None:
    text = "models:\n  - &a {model_id: m, retention_days: 5}\n  - {<<: *a, model_id: n}\n"
    assert [m.retention_days for m in load_config(write(tmp_path, text)).models] == [5, 5]


def test_mistakes_are_listed_in_the_order_of_the_file_one_per_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "models:\n"
        "  - model_id: a\n"
        "    sampling_rat: 0.5\n"
        "    retention_days: 0\n"
        "  - model_id: b\n"
        "    task: binry\n"
        "alerting:\n"
        "  hourly_cap: 0\n"
        "timezone: Mars\n",
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:{n}" for n in (3, 4, 6, 8, 9)]
    assert [line.split(": ")[1] for line in lines] == [
        "models[0].sampling_rat", "models[0].retention_days", "models[1].task", "alerting.hourly_cap", "timezone",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p / "absent.yaml", "cannot read the configuration file: No such file"),
        (lambda p: p, "must end in .yaml, .yml, .json"),
        (lambda p: (p / "d.yaml").mkdir() or p / "d.yaml", "cannot read the configuration file: Is a directory"),
        (lambda p: write(p, "", "m.yaaml"), r"got '.yaaml' \(did you mean '.yaml'\?\)"),
        (lambda p: write(p, " \n", "m.json"), "the file is empty"),
        (lambda p: write(p, "[" * 100_000), "nested too deeply"),
        (lambda p: write(p, "[" * 100_000, "m.json"), "nested too deeply"),
        (lambda p: write(p, "models: [{model_id: m, retention_days: " + "9" * 5000 + "}]"), "number"),
        (
            lambda p: write(p, '{"models": [{"model_id": "m", "retention_days": ' + "9" * 5000 + "}]}", "m.json"),
            "digits",
        ),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_a_sentence(tmp_path: Path, make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=said):
        load_config(make(tmp_path))


def test_a_file_that_stands_for_a_huge_one_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="more than 250000 values"):
        load_config(write(tmp_path, "\n".join(lines)))


@settings(max_examples=150, deadline=None)
@given(
    st.text(st.sampled_from("abm:{}[]\"'#&*!|>-?, \n\t0123456789.~%@`\\\u2028é"), max_size=60),
    st.sampled_from([".yaml", ".json"]),
)
def test_any_text_is_a_configuration_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = write(tmp_path_factory.getbasetemp(), text, f"any{suffix}")
    try:
        assert isinstance(load_config(path), MonitoringConfig)
    except ConfigError as refusal:
        message = str(refusal)
    else:
        return
    assert message.startswith(str(path))


def test_the_environment_names_the_configuration_before_the_folder_does(tmp_path: Path) -> None:
    assert find_config({}, tmp_path) is None
    local = write(tmp_path, "models: []")
    assert find_config({}, tmp_path) == local
    assert find_config({"MODELWATCH_CONFIG": ""}, tmp_path) == local
    assert find_config({"MODELWATCH_CONFIG": "/else/where.yaml"}, tmp_path) == Path("/else/where.yaml")


def test_without_arguments_the_configuration_is_looked_for_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELWATCH_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "models: []")
    assert find_config() == Path("models.yaml")


def test_storage_is_where_it_is_said_to_be_in_this_order(tmp_path: Path) -> None:
    config = MonitoringConfig.model_validate({"storage": {"path": "/from/file"}})
    environ = {"MODELWATCH_STORAGE": "/from/environment", "XDG_STATE_HOME": "/state"}
    nowhere = tmp_path / "absent" / "modelwatch"
    assert default_storage_path("/given", config, environ=environ) == Path("/given")
    assert default_storage_path(None, config, environ=environ) == Path("/from/environment")
    assert default_storage_path(None, config, environ={}) == Path("/from/file")
    assert default_storage_path(environ=environ | {"MODELWATCH_STORAGE": ""}, system=nowhere) == Path(
        "/state/modelwatch"
    )
    assert default_storage_path(environ={"XDG_STATE_HOME": "relative"}, system=nowhere) == (
        Path.home() / ".local/state/modelwatch"
    )


def test_the_systems_folder_is_used_if_it_is_or_can_be_made(tmp_path: Path) -> None:
    assert default_storage_path(environ={}, system=tmp_path) == tmp_path
    assert default_storage_path(environ={}, system=tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()


def test_a_database_as_storage_is_not_available_yet() -> None:
    with pytest.raises(NotAvailableError, match="storage: a database"):
        default_storage_path("postgresql://me:hunter2@db/x")
