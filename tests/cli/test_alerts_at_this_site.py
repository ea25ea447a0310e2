"""`modelwatch alerts test` where the site has its own words and quiet hours: what would become of a real alert."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch.config import load_config
from modelwatch.demo.servers import HOST, Server, free_port
from modelwatch.demo.sinks import SlackSink, SmtpSink, WebhookSink
from modelwatch_rules.generate import ALERTMANAGER_FILE, Options, generate
from modelwatch_rules.timing import TEST

PEERS = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
email = PEERS["email"]

SECONDS = 20.0
ALWAYS: dict[str, Any] = {"days": ["monday:sunday"]}
HELD = "a real one would be held: quiet hours"


# ── mode direct ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def quiet(write: Callable[..., Path], tmp_path: Path, mailbox: SmtpSink, chat: SlackSink) -> Path:
    """Slack hears below critical of nothing, at any hour."""
    (tmp_path / "slack_url").write_text(chat.url)
    receivers = {"email": email(mailbox), "slack": {"url_file": "slack_url", "min_severity": "info"}}
    alerting = {"receivers": receivers, "quiet_hours": [{**ALWAYS, "receivers": ["slack"]}]}
    return write(alerting=alerting, models=[{"model_id": "ads", "alert_channels": ["email", "slack"]}])


def test_a_test_comes_in_quiet_hours_and_says_that_a_real_alert_would_not(
    quiet: Path, command: Any, chat: SlackSink
) -> None:
    ran = command("alerts", "test", "--model", "ads", "--severity", "error")
    assert (ran.code, ran.lines[1:]) == (0, [f"slack {HELD}", "email sent", "slack sent"])
    [message] = chat.messages
    said = json.dumps(message)
    assert "A real alert of severity error of this model would be held from slack now: quiet hours" in said
    assert "takes the same way" not in said


def test_a_dry_run_knows_quiet_hours_too(quiet: Path, command: Any) -> None:
    ran = command("alerts", "test", "--model", "ads", "--severity", "error", "--dry-run")
    assert (ran.code, ran.lines[1]) == (0, f"slack {HELD}")


def test_what_gets_through_quiet_hours_is_not_called_held(quiet: Path, command: Any, chat: SlackSink) -> None:
    ran = command("alerts", "test", "--model", "ads", "--severity", "critical")
    assert (ran.code, ran.lines[1:]) == (0, ["email sent", "slack sent"])
    assert "takes the same way" in json.dumps(chat.messages)


# ── mode prometheus ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def site(
    require_server: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory, mailbox: SmtpSink, hook: WebhookSink
) -> Iterator[tuple[Path, str]]:
    """Return the configuration of a site, and the address of an Alertmanager with what is generated for it."""
    program = require_server("alertmanager")
    folder = tmp_path_factory.mktemp("site")
    config = folder / "models.yaml"
    receivers = {"email": email(mailbox), "hook": {"type": "webhook", "url": hook.url, "min_severity": "error"}}
    alerting = {
        "mode": "prometheus",
        "receivers": receivers,
        "severity_map": {"error": "P2", "critical": "P1"},
        "quiet_hours": [{**ALWAYS, "receivers": ["email"]}],
    }
    models = [
        {"model_id": "ads", "alert_channels": ["email", "hook"]},
        # Of one model a critical test would mute that of an error, as it does real alerts.
        {"model_id": "bids", "alert_channels": ["email", "hook"]},
        {"model_id": "mails", "alert_channels": ["email"]},
    ]
    config.write_text(yaml.safe_dump({"alerting": alerting, "models": models}))
    generate(load_config(config), folder, Options(timing=TEST, log_url="http://127.0.0.1:9/log"))
    url = f"http://{HOST}:{free_port()}"
    argv = [
        program, f"--config.file={folder / ALERTMANAGER_FILE}", f"--storage.path={folder / 'am'}",
        f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address=",
    ]  # fmt: skip
    with Server("Alertmanager", argv, folder / "log", f"{url}/-/ready") as server:
        server.wait_ready()
        yield config, url


def ring(command: Any, site: tuple[Path, str], model: str, severity: str, *more: str) -> Any:
    argv = ("alerts", "test", "--model", model, "--severity", severity, "--config", site[0], "--alertmanager", site[1])
    return command(*argv, *more)


@pytest.mark.e2e
def test_a_severity_is_posted_as_the_site_calls_it(site: tuple[Path, str], command: Any, hook: WebhookSink) -> None:
    ran = ring(command, site, "ads", "critical")
    assert (ran.code, ran.lines[1:3]) == (
        0,
        ["the generated routing tells email, hook", "this Alertmanager tells email, hook"],
    )
    told = hook.wait_for(lambda m: m["commonLabels"].get("severity") == "P1", SECONDS)
    assert told["commonLabels"]["alertname"] == "ModelwatchTest"


@pytest.mark.e2e
def test_whom_quiet_hours_mute_is_told_apart_from_who_hears(
    site: tuple[Path, str], command: Any, hook: WebhookSink
) -> None:
    ran = ring(command, site, "bids", "error")
    who = "email (muted by quiet hours), hook"
    assert (ran.code, ran.lines[1:3]) == (0, [f"the generated routing tells {who}", f"this Alertmanager tells {who}"])
    told = hook.wait_for(lambda m: m["commonLabels"].get("severity") == "P2", SECONDS)
    assert "would be held from email now: quiet hours" in told["alerts"][0]["annotations"]["description"]


@pytest.mark.e2e
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["posted", "dry run"])
def test_that_quiet_hours_mute_everybody_is_a_finding(site: tuple[Path, str], command: Any, more: list[str]) -> None:
    ran = ring(command, site, "mails", "error", *more)
    assert ran.lines[1] == "the generated routing tells email (muted by quiet hours)"
    assert (ran.code, ran.lines[-1]) == (1, "failed: quiet hours keep everybody from being told now")
