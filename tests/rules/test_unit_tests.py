"""The unit tests that are generated with the rules: complete, and true on promtool for every kind of configuration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from modelwatch.cli.main import main
from modelwatch.config import MonitoringConfig, load_config
from modelwatch.exceptions import InputError
from modelwatch.policy import severity_labels
from modelwatch_rules.generate import RULES_PATH, TEST_FILES, TESTS_FOLDER, Options, contents, generate
from modelwatch_rules.groups import DEFAULT_RUNBOOK_BASE, rule_file
from modelwatch_rules.promql import Style
from modelwatch_rules.timing import PRODUCTION, TIMINGS
from modelwatch_rules.unit_tests import unit_test_cases
from modelwatch_rules.validate import run_tests
from modelwatch_rules.versions import Version

if TYPE_CHECKING:
    from modelwatch_rules.unit_tests import Case

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "models.yaml"
HOSTILE = 'say "hi" \\ $1 {{ $value }} {model_id=~".+"} #: 😀'


def fifty_models() -> MonitoringConfig:
    """Thresholds, quantiles, versions, objectives and severities of many kinds, at a site with words of its own."""
    models = [
        {
            "model_id": f"{HOSTILE} {number}" if number % 10 == 0 else f"model_{number}",
            "model_version": str(number % 3) if number % 3 else "",
            "latency_quantile": (0.5, 0.95, 0.999)[number % 3],
            "performance_threshold": {
                "latency_ms": {"max": 50 + number, "severity": ("info", "warning", "error", "critical")[number % 4]},
                "error_rate": 0.001 * (number + 1),
            },
            "objective": {"error_rate": 0.001, "latency_ms": 150} if number % 2 else {"latency_ms": 250},
            "severity": {"MLModelNoPredictions": "warning"} if number % 5 == 0 else {"ModelwatchCheckStale": "none"},
        }
        for number in range(50)
    ]
    alerting = {"mode": "prometheus", "severity_map": {"error": "critical"}}
    return MonitoringConfig.model_validate({"models": models, "alerting": alerting})


CONFIGS: dict[str, Callable[[], MonitoringConfig]] = {
    "customer": lambda: load_config(ROOT / "tests" / "config" / "testdata" / "customer.json"),
    "experience": lambda: load_config(EXAMPLE),
    "fifty models": fifty_models,
    "no models": lambda: MonitoringConfig.model_validate({}),
}


@dataclass(frozen=True)
class Made:
    """The rules and the cases of one configuration."""

    rules: list[dict[str, Any]]
    cases: list[Case]

    def checks(self, about: str) -> Iterator[Any]:
        return (check for case in self.cases for check in case.checks if check.about == about)


@pytest.fixture(params=list(CONFIGS))
def made(request: pytest.FixtureRequest) -> Made:
    config = CONFIGS[request.param]()
    style = Style(DEFAULT_RUNBOOK_BASE, severities=severity_labels(config.alerting.severity_map))
    groups = rule_file(config, PRODUCTION, style)["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return Made(rules, list(unit_test_cases(config, PRODUCTION, style)))


def test_every_alert_fires_in_one_case_at_each_severity_and_is_silent_in_another(made: Made) -> None:
    for name, severity in {(rule["alert"], rule["labels"]["severity"]) for rule in made.rules if "alert" in rule}:
        firing = [
            any(f'severity="{severity}"' in labels for labels, _ in check.expected) for check in made.checks(name)
        ]
        assert True in firing, f"{name} at {severity} never fires"
        assert False in firing or name == "ModelwatchWatchdog", f"{name} at {severity} is never silent"


def test_every_recorded_series_is_expected_to_have_values(made: Made) -> None:
    for name in {rule["record"] for rule in made.rules if "record" in rule}:
        assert any(check.expected for check in made.checks(name)), name


def test_what_a_case_looks_at_is_in_the_rules(made: Made) -> None:
    known = {rule.get("record") or rule["alert"] for rule in made.rules}
    assert {check.about for case in made.cases for check in case.checks} <= known


def test_each_case_says_in_a_sentence_of_its_own_what_it_shows(made: Made) -> None:
    names = [(case.group, case.name) for case in made.cases]
    assert len(names) == len(set(names))
    assert [name for _, name in names if len(name.split()) < 3] == []


@pytest.mark.parametrize(
    ("name", "timing"),
    [
        *((name, "production") for name in CONFIGS if name != "no models"),
        pytest.param("no models", "test", marks=pytest.mark.quality),
        ("no models", "demo"),
    ],
)
def test_promtool_finds_all_of_them_true(
    require_server: Callable[[str], str], tmp_path: Path, name: str, timing: str
) -> None:
    require_server("promtool")
    generate(CONFIGS[name](), tmp_path, Options(timing=TIMINGS[timing], environ={}))
    failed = [checked.output for checked in run_tests(tmp_path) if checked.outcome != "ok"]
    assert failed == []


class TestCommand:
    @pytest.fixture
    def generated(self, require_server: Callable[[str], str], tmp_path: Path) -> Path:
        require_server("promtool")
        generate(CONFIGS["no models"](), tmp_path, Options(environ={}))
        # One file is enough to see what the command does with it.
        for path in (tmp_path / TESTS_FOLDER).glob(TEST_FILES):
            if "watchdog" not in path.name:
                path.unlink()
        return tmp_path

    def test_it_runs_what_was_generated_beside_the_rules(
        self, generated: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["rules", "test", "--out", str(generated)]) == 0
        assert capsys.readouterr().out.startswith("ok       promtool test rules ")

    def test_a_test_that_fails_is_exit_code_1_with_what_promtool_says(
        self, generated: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rules = generated / RULES_PATH
        rules.write_text(rules.read_text("utf-8").replace("expr: vector(1)", "expr: vector(1) > 1"), "utf-8")
        assert main(["rules", "test", "--out", str(generated)]) == 1
        assert "ModelwatchWatchdog" in capsys.readouterr().out

    def test_without_tests_it_says_how_to_write_them(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["rules", "test", "--out", str(tmp_path)]) == 2
        assert "modelwatch rules generate" in capsys.readouterr().err

    def test_without_promtool_nothing_is_called_true(self, generated: Path) -> None:
        with pytest.raises(InputError, match="promtool is not installed"):
            run_tests(generated, which=lambda _: None)


def test_tests_of_an_earlier_configuration_do_not_stay_behind(tmp_path: Path) -> None:
    generate(CONFIGS["no models"](), tmp_path, Options(environ={}))
    left = tmp_path / TESTS_FOLDER / "modelwatch-traffic.77s.test.yml"
    own = tmp_path / TESTS_FOLDER / "ours.test.yml"
    for path in (left, own):
        path.write_text("tests: []\n", "utf-8")
    generate(CONFIGS["no models"](), tmp_path, Options(environ={}))
    assert not left.exists()
    assert own.exists(), "what we did not write is not ours to remove"


@pytest.mark.parametrize(("version", "fuzzy"), [(Version(2, 42), False), (Version(3, 5), True)])
def test_on_later_versions_numbers_may_differ_in_their_last_digits(version: Version, fuzzy: bool) -> None:
    texts = contents(CONFIGS["no models"](), Options(environ={}, prometheus_version=version))
    files = [yaml.safe_load(text) for name, text in texts.items() if name.startswith(TESTS_FOLDER)]
    assert files
    assert all(file.get("fuzzy_compare", False) is fuzzy for file in files)


def test_every_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """Sets have another order in every process."""
    command = [sys.executable, "-m", "modelwatch", "rules", "generate", "--config", str(EXAMPLE), "--out"]
    for seed in ("1", "2"):
        subprocess.run([*command, str(tmp_path / seed)], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True)
    first, second = ({p.relative_to(tmp_path / s): p.read_bytes() for p in (tmp_path / s).rglob("*.*")} for s in "12")
    assert first == second
