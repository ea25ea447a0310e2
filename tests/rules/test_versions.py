"""For which versions files are made, what a later one lifts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from modelwatch.cli.main import main
from modelwatch.config import MonitoringConfig
from modelwatch.exceptions import InputError
from modelwatch_rules.generate import ALERTMANAGER_FILE, RULES_PATH, TEMPLATES_PATH, Options, contents
from modelwatch_rules.routing import expected_receivers, routing_warnings
from modelwatch_rules.versions import ALERTMANAGER, PROMETHEUS, Version, parse_version

CONFIG = MonitoringConfig.model_validate(
    {
        "models": [{"model_id": "m", "alert_channels": ["hook", "bot"]}],
        "alerting": {
            "mode": "prometheus",
            "receivers": {
                "hook": {"type": "webhook", "url_file": "/run/secrets/hook"},
                "bot": {"type": "slack", "token_file": "/run/secrets/token", "channel": "#ml"},
            },
        },
    }
)


@pytest.mark.parametrize(
    ("text", "version"), [("0.25", (0, 25)), ("v0.28.1", (0, 28)), (" 0.100 ", (0, 100)), ("1.0.0", (1, 0))]
)
def test_versions_are_read_as_people_and_releases_write_them(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text, "Alertmanager") == version


@pytest.mark.parametrize("text", ["", "new", "0", "0.25.", "0,25", "-0.25", "0.25-rc.1", "0.25.0.1"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--alertmanager-version must be a version of Alertmanager such as 0\.25"):
        parse_version(text, "Alertmanager")


@pytest.mark.parametrize(
    ("text", "program", "why"),
    [("0.24", "Alertmanager", "location in time_intervals"), ("2.41.9", "Prometheus", "keep_firing_for")],
)
def test_what_is_too_old_is_refused_with_the_reason(text: str, program: str, why: str) -> None:
    with pytest.raises(InputError, match=f"or later, got '{text}': the generated files use {why}"):
        parse_version(text, program)


def test_a_webhook_whose_address_is_secret_needs_a_later_alertmanager() -> None:
    default = yaml.safe_load(contents(CONFIG, Options(environ={}))[ALERTMANAGER_FILE])
    later = yaml.safe_load(
        contents(CONFIG, Options(environ={}, alertmanager_version=Version(0, 26)))[ALERTMANAGER_FILE]
    )
    assert "hook" not in [receiver["name"] for receiver in default["receivers"]]
    [hook] = [receiver for receiver in later["receivers"] if receiver["name"] == "hook"]
    assert hook["webhook_configs"] == [{"url_file": "/run/secrets/hook", "send_resolved": True}]
    assert expected_receivers(CONFIG, "m", "critical", environ={}) == ("bot",)
    assert expected_receivers(CONFIG, "m", "critical", environ={}, version=Version(0, 26)) == ("hook", "bot")


def test_warnings_are_those_of_the_version() -> None:
    said = {version: "\n".join(routing_warnings(CONFIG, environ={}, version=version)) for version in
            (ALERTMANAGER, Version(0, 26))}  # fmt: skip
    for part in ("hook: left out: Alertmanager 0.25", "give --alertmanager-version 0.26", "bot: token_file"):
        assert part in said[ALERTMANAGER]
        assert part not in said[Version(0, 26)]


def test_each_file_says_what_it_was_made_for() -> None:
    made = contents(CONFIG, Options(environ={}, alertmanager_version=Version(0, 27), prometheus_version=Version(3, 1)))
    for name, said in (
        (RULES_PATH, "# for Prometheus 3.1 and later"),
        (ALERTMANAGER_FILE, "for Alertmanager 0.27 and later"),
        (TEMPLATES_PATH, "for Alertmanager 0.27 and later"),
    ):
        assert said in made[name]
    assert "for Prometheus 2.42 and later" in contents(CONFIG, Options(environ={}))[RULES_PATH]


def test_the_command_takes_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "models.yaml"
    config.write_text(yaml.safe_dump(CONFIG.model_dump(mode="json", exclude_unset=True)), "utf-8")
    command = ["rules", "generate", "--config", str(config), "--out", str(tmp_path / "out")]
    assert main([*command, "--alertmanager-version", "0.26", "--prometheus-version", "v2.53.0"]) == 0
    assert "url_file: /run/secrets/hook" in (tmp_path / "out" / ALERTMANAGER_FILE).read_text("utf-8")
    assert "left out" not in capsys.readouterr().err
    assert main([*command, "--prometheus-version", "2.30"]) == 2
    assert f"must be {PROMETHEUS} or later" in capsys.readouterr().err
