"""Files: the same bytes for the same input, right in the eyes of promtool and amtool, replaced together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from modelwatch.cli.main import main
from modelwatch.config import load_config
from modelwatch.exceptions import InputError, StorageError
from modelwatch_rules import render
from modelwatch_rules.generate import (
    ALERTMANAGER_FILE,
    MERGE_FILE,
    PROMETHEUS_FILE,
    RULES_PATH,
    Options,
    contents,
    generate,
)
from modelwatch_rules.timing import TIMINGS
from modelwatch_rules.validate import check

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "models.yaml"
GENERATED = ROOT / "rules" / "generated"
HOSTILE = 'say "hi" \\ {{ $value }}{{ end }} `}` {model_id=~".+"} #: & <b> \' % 😀'

MakeConfig = Callable[..., "MonitoringConfig"]


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_committed_example_is_what_its_configuration_makes() -> None:
    """If not: modelwatch rules generate --config examples/models.yaml --out rules/generated."""
    made = contents(load_config(EXAMPLE), Options(environ={}))
    assert {name: (GENERATED / name).read_text(encoding="utf-8") for name in made} == made


def test_the_same_configuration_makes_the_same_bytes(tmp_path: Path, make_config: MakeConfig) -> None:
    for folder in ("one", "two"):
        generate(make_config("b", HOSTILE, "a"), tmp_path / folder)
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two")
    for name in files_below(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_each_file_says_that_it_is_generated(make_config: MakeConfig) -> None:
    for name, text in contents(make_config("a")).items():
        assert "enerated" in text.splitlines()[0], name


@pytest.mark.parametrize("merge", [False, True], ids=["whole", "merge"])
@pytest.mark.parametrize("timing", list(TIMINGS))
def test_promtool_and_amtool_find_nothing(
    require_server: Callable[[str], str], tmp_path: Path, make_config: MakeConfig, timing: str, merge: bool
) -> None:
    require_server("promtool")
    require_server("amtool")
    models: list[Any] = [{"model_id": f"model {i}", "latency_quantile": (90 + i % 10) / 100} for i in range(50)]
    config = make_config(*models, HOSTILE, {"model_id": "short", "latency_quantile": 0.999})
    generate(config, tmp_path, Options(timing=TIMINGS[timing], merge=merge))
    found = check(tmp_path)
    assert [(checked.outcome, checked.output) for checked in found if checked.outcome != "ok"] == []
    assert len(found) == 3


def test_a_hostile_name_comes_back_from_the_file_as_it_was(make_config: MakeConfig) -> None:
    rules = yaml.safe_load(contents(make_config(HOSTILE))[RULES_PATH])
    silence = next(group for group in rules["groups"] if "silence" in group["name"])
    expr = silence["rules"][-1]["expr"]
    assert expr.startswith('absent(modelwatch_predictions_total{model_id="say \\"hi\\" \\\\ {{ $value }}')
    assert expr.splitlines()[0].endswith('😀"})')


def test_a_configuration_without_models_still_covers_those_registered_in_code(make_config: MakeConfig) -> None:
    rules = yaml.safe_load(contents(make_config())[RULES_PATH])
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert {"MLModelDataDrift", "MLModelLatencyHigh", "MLModelNoPredictions", "ModelwatchWatchdog"} <= alerts


def test_rules_hold_no_key_that_is_newer_than_prometheus_2_42(make_config: MakeConfig) -> None:
    rules = yaml.safe_load(contents(make_config("a"))[RULES_PATH])
    assert {key for group in rules["groups"] for key in group} == {"name", "interval", "rules"}
    known = {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
    assert {key for group in rules["groups"] for rule in group["rules"] for key in rule} <= known


def test_every_alert_has_a_sentence_facts_and_a_runbook(make_config: MakeConfig) -> None:
    rules = yaml.safe_load(contents(make_config("a"), Options(runbook_base="https://wiki.example.com/ml/"))[RULES_PATH])
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule):
        told = rule["annotations"]
        assert told["summary"].endswith("."), rule["alert"]
        assert told["description"].strip() == told["description"] != ""
        assert told["runbook_url"] == f"https://wiki.example.com/ml/{rule['alert']}.md"
        assert "$value" not in str(rule["labels"])


@pytest.mark.parametrize("merge", [False, True], ids=["whole last", "merge last"])
def test_routing_that_was_asked_for_otherwise_before_is_not_left_to_go_stale(
    merge: bool, tmp_path: Path, make_config: MakeConfig
) -> None:
    kept, gone = (MERGE_FILE, ALERTMANAGER_FILE) if merge else (ALERTMANAGER_FILE, MERGE_FILE)
    generate(make_config("before"), tmp_path, Options(merge=not merge))
    assert (tmp_path / gone).is_file()
    older = (tmp_path / gone).read_text("utf-8").split(" ", 5)
    (tmp_path / gone).write_text(" ".join([*older[:4], "0.0.1;", older[5]]), "utf-8")
    generate(make_config("after"), tmp_path, Options(merge=merge))
    assert (tmp_path / kept).is_file()
    assert not (tmp_path / gone).exists()


@pytest.mark.parametrize("text", [b"", b"route: {receiver: theirs}\n", b"\n# generated by modelwatch\n", b"\xff\xfe"])
def test_routing_that_is_somebodys_own_is_never_removed(text: bytes, tmp_path: Path, make_config: MakeConfig) -> None:
    (tmp_path / ALERTMANAGER_FILE).parent.mkdir()
    (tmp_path / ALERTMANAGER_FILE).write_bytes(text)
    generate(make_config("a"), tmp_path, Options(merge=True))
    assert (tmp_path / ALERTMANAGER_FILE).read_bytes() == text


def test_nothing_is_replaced_if_one_file_can_not_be_written(tmp_path: Path, make_config: MakeConfig) -> None:
    generate(make_config("before"), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)}
    shutil.rmtree(tmp_path / "alertmanager" / "templates")
    (tmp_path / "alertmanager" / "templates").write_text("in the way")
    with pytest.raises(StorageError, match="templates"):
        generate(make_config("after"), tmp_path)
    assert (tmp_path / RULES_PATH).read_bytes() == before[RULES_PATH]
    assert not [name for name in files_below(tmp_path) if Path(name).name.startswith(".")], "temporary files are left"


def test_files_are_readable_by_servers_that_run_as_somebody_else(tmp_path: Path, make_config: MakeConfig) -> None:
    old = os.umask(0o077)
    try:
        written = generate(make_config("a"), tmp_path)
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in written} == {0o644}


def test_texts_of_several_lines_are_blocks_that_read_as_they_are() -> None:
    value = {"a": "one\ntwo", "b": "  indented\nmore", "c": "- no: list", "d": ["x"], "e": "tab\there\nand 😀"}
    text = render.to_yaml(value)
    assert yaml.safe_load(text) == value
    assert "a: |-\n  one\n  two\n" in text


class TestCommand:
    def test_it_writes_all_files_and_names_them(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out"
        assert main(["rules", "generate", "--config", str(EXAMPLE), "--out", str(out)]) == 0
        assert {str(Path(line).relative_to(out)) for line in capsys.readouterr().out.splitlines()} == files_below(out)

    def test_addresses_and_timing_come_from_the_command_line(self, tmp_path: Path) -> None:
        options = [
            "--timing",
            "test",
            "--merge",
            "--scrape",
            "app=a:1",
            "--scrape",
            "app=b:2",
            "--scrape",
            "sidecar=[::1]:3",
        ]
        options += ["--alertmanager", "am:9093", "--out", str(tmp_path), "--config", str(EXAMPLE)]
        assert main(["rules", "generate", *options]) == 0
        config = yaml.safe_load((tmp_path / PROMETHEUS_FILE).read_text())
        jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
        assert jobs == {
            "modelwatch-app": ["a:1", "b:2"],
            "modelwatch-sidecar": ["[::1]:3"],
            "modelwatch-alertmanager": ["am:9093"],
        }
        assert config["global"]["scrape_interval"] == "1s"
        assert config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["am:9093"]
        assert (tmp_path / MERGE_FILE).is_file()

    def test_who_names_only_the_application_still_has_the_sidecar_scraped(self, tmp_path: Path) -> None:
        options = ["--scrape", "app=model-server:9100", "--out", str(tmp_path), "--config", str(EXAMPLE)]
        assert main(["rules", "generate", *options]) == 0
        config = yaml.safe_load((tmp_path / PROMETHEUS_FILE).read_text())
        jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
        assert jobs["modelwatch-app"] == ["model-server:9100"]
        assert jobs["modelwatch-sidecar"] == ["localhost:9877"]

    def test_mode_direct_warns_that_people_would_be_told_twice(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "models.yaml").write_text("models: [{model_id: m}]\n")
        config, out = str(tmp_path / "models.yaml"), str(tmp_path / "out")
        assert main(["rules", "generate", "--config", config, "--out", out]) == 0
        assert "told twice" in capsys.readouterr().err.replace("\n", " ")

    def test_a_bad_configuration_writes_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "models.yaml").write_text("models: [{model_id: m, sampling_rat: 1}]\n")
        config, out = str(tmp_path / "models.yaml"), tmp_path / "out"
        assert main(["rules", "generate", "--config", config, "--out", str(out)]) == 2
        assert "sampling_rate" in capsys.readouterr().err
        assert not out.exists()

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--scrape", "ap=localhost:1"], "did you mean 'app'"),
            (["--scrape", "app=localhost"], "HOST:PORT"),
            (["--scrape", "app=localhost:99999"], "HOST:PORT"),
            (["--alertmanager", "http://am:9093"], "HOST:PORT"),
            (["--runbook-base", "wiki/{{ $value }}"], "https://"),
            (["--runbook-base", "https://wiki.example.com/{{x}}"], "without '?', '#' and '{{'"),
            (["--runbook-base", "https://wiki.example.com/ml#"], "without '?'"),
            (["--grafana-url", "grafana.example.com"], "https://"),
            (["--grafana-url", "http://x/?a=b"], "without '?'"),
            (["--log-url", "not a url"], "--log-url must be an address"),
            (["--log-url", "http://"], "names a server"),
            (["--deadman-url", "garbage"], "--deadman-url must be an address"),
            (["--deadman-url", "ftp://x/y"], "https://"),
            (["--deadman-url", "http://x:99999/y"], "names a server"),
        ],
    )
    def test_what_can_not_be_an_address_is_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
    ) -> None:
        out = tmp_path / "out"
        assert main(["rules", "generate", "--config", str(EXAMPLE), "--out", str(out), *options]) == 2
        assert said in capsys.readouterr().err
        assert not out.exists()

    def test_without_a_configuration_it_says_where_it_looked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["rules", "generate"]) == 2
        assert "models.yaml" in capsys.readouterr().err

    def test_check_reports_findings_with_exit_code_1(
        self, require_server: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        require_server("promtool")
        main(["rules", "generate", "--config", str(EXAMPLE), "--out", str(tmp_path)])
        assert main(["rules", "check", "--out", str(tmp_path)]) == 0
        rules = tmp_path / RULES_PATH
        rules.write_text(rules.read_text().replace("expr: vector(1)", "expr: vector(1) +"))
        assert main(["rules", "check", "--out", str(tmp_path)]) == 1
        assert "finding" in capsys.readouterr().out


def test_what_is_not_installed_is_said_and_is_no_finding(tmp_path: Path, make_config: MakeConfig) -> None:
    generate(make_config("a"), tmp_path)
    found = check(tmp_path, which=lambda _: None)
    assert {checked.outcome for checked in found} == {"not run"}
    assert {checked.output for checked in found} == {"promtool is not installed", "amtool is not installed"}


def test_there_must_be_something_to_check(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rules generate"):
        check(tmp_path)
