"""`modelwatch alerts test` rings the real pager by the real path, says that it is a test, and tells what came of it."""

from __future__ import annotations

import json
import runpy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.demo.sinks import SlackSink, SmtpSink, WebhookSink
from modelwatch.store import StoreWriter


@contextmanager
def _lease(store: StoreWriter) -> Iterator[None]:
    assert store.acquire_lease("sidecar", "test", 600.0, time.time())
    yield
    store.release_lease("sidecar", "test")


PEERS = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
email, post = PEERS["email"], PEERS["post"]

SECONDS = 20.0
MODEL = {"model_id": "ads", "alert_channels": ["log", "email", "slack"]}
TEST_CRITICAL = ("alerts", "test", "--model", "ads", "--severity", "critical")


@pytest.fixture
def config(write: Callable[..., Path], tmp_path: Path, mailbox: SmtpSink, chat: SlackSink) -> Path:
    """Two channels that work, and a model whose warnings reach neither."""
    (tmp_path / "slack_url").write_text(chat.url)
    receivers = {"email": email(mailbox), "slack": {"url_file": "slack_url"}}
    return write(alerting={"receivers": receivers}, models=[MODEL, {"model_id": "mails", "alert_channels": ["email"]}])


# ── mode direct ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_channel_of_the_severity_gets_a_message_that_says_it_is_a_test(
    config: Path, command: Any, mailbox: SmtpSink, chat: SlackSink
) -> None:
    ran = command(*TEST_CRITICAL)
    assert (ran.code, ran.lines) == (
        0,
        [
            "critical of ads, sent by modelwatch itself (alerting.mode: direct)",
            "log sent",
            "email sent",
            "slack sent",
        ],
    )
    mail = mailbox.wait_for(lambda m: m["Subject"].startswith("[TEST] [CRITICAL] ads: "), SECONDS)
    assert mail["Subject"] == "[TEST] [CRITICAL] ads: test alert, nothing is wrong"
    said = mail.as_bytes().decode()
    assert all(words in said for words in ("Asked for by ", "`modelwatch alerts test`", "Nothing has to be done"))
    [message] = chat.messages
    assert all(words in json.dumps(message) for words in ("[TEST] [CRITICAL]", "nothing is wrong"))
    assert 'message="[TEST] ads: test alert, nothing is wrong' in ran.err


def test_a_channel_that_fails_is_told_with_the_reason_and_holds_up_no_other(
    config: Path, command: Any, mailbox: SmtpSink, chat: SlackSink
) -> None:
    before = len(mailbox.messages)
    chat.fail(404)
    ran = command(*TEST_CRITICAL)
    assert ran.code == 1
    assert ran.lines[2:] == [
        "email sent",
        "slack failed: Slack webhook answered 404: server_error",
        "1 of 3 failed: modelwatch doctor says what is wrong with a channel",
    ]
    assert len(mailbox.messages) == before + 1
    assert chat.requests == 1
    assert chat.url not in ran.out + ran.err
    assert "given up" not in ran.err


def test_a_dry_run_tells_nobody(config: Path, command: Any, mailbox: SmtpSink, chat: SlackSink) -> None:
    before = len(mailbox.messages)
    ran = command(*TEST_CRITICAL, "--dry-run")
    assert (ran.code, ran.lines[1:]) == (0, ["log would be told", "email would be told", "slack would be told"])
    assert (len(mailbox.messages), chat.requests) == (before, 0)


def test_that_nobody_would_be_told_is_a_finding(config: Path, command: Any) -> None:
    for more in ([], ["--dry-run"]):
        ran = command("alerts", "test", "--model", "mails", "--severity", "warning", *more)
        assert (ran.code, ran.lines[1:]) == (1, ["nobody would be told"])


def test_one_channel_can_be_rung_alone(config: Path, command: Any, chat: SlackSink) -> None:
    ran = command("alerts", "test", "--model", "ads", "--severity", "info", "--channel", "slack")
    assert (ran.code, ran.lines[1:]) == (0, ["a real one would not go to slack", "slack sent"])
    assert len(chat.messages) == 1


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("--model", "adds", "--severity", "error"), "no model 'adds' is configured or recorded (did you mean 'ads'?)"),
        (("--model", "ads", "--severity", "criticl"), "(did you mean 'critical'?)"),
        (("--model", "ads", "--severity", "none"), "must be one of info, warning, error, critical, got 'none'"),
        (("--model", "ads", "--severity", "error", "--channel", "slak"), "no channel (did you mean 'slack'?)"),
        (("--model", "ads", "--severity", "error", "--config", "no.yaml"), "no.yaml: cannot read"),
    ],
)
def test_a_mistake_is_a_sentence(config: Path, command: Any, argv: tuple[str, ...], sentence: str) -> None:
    ran = command("alerts", "test", *argv)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err


def test_a_model_that_only_the_storage_knows_is_rung_too(
    config: Path, write: Callable[..., Path], command: Any, tmp_path: Path, mailbox: SmtpSink
) -> None:
    write(alerting={"receivers": {"email": email(mailbox)}}, models=[])
    with ProductionMonitoringService(storage_path=tmp_path / "s", background=False) as service:
        service.register_model({"model_id": "decorated"})
    ran = command(*("alerts", "test", "--model", "decorated", "--severity", "warning"), "--storage", tmp_path / "s")
    assert (ran.code, ran.lines[1:]) == (0, ["email sent"])


def test_an_application_delivers_by_its_own_handler(
    write: Callable[..., Path], command: Any, tmp_path: Path, wait_until: Any
) -> None:
    write(models=[{"model_id": "ads", "alert_channels": ["pager"]}])
    got: list[dict[str, Any]] = []
    with (
        StoreWriter(tmp_path / "s") as store,
        # A sidecar has the checks: only then do applications look whether something is queued for them.
        _lease(store),
        ProductionMonitoringService("models.yaml", tmp_path / "s", {"pager": got.append}) as service,
    ):
        assert service.get_service_status()["checks"]["background"]
        wait_until(lambda: store.announced_channels(0.0) == ["pager"], SECONDS)
        ran = command(*TEST_CRITICAL, "--storage", tmp_path / "s")
        assert (ran.code, ran.lines[1:]) == (0, ["pager handed over: the application delivers it by its own handler"])
        wait_until(lambda: got, SECONDS)
    assert got[0]["message"].startswith("[TEST] ads: ")
    assert (got[0]["level"], got[0]["data"]["alertname"]) == ("critical", "ModelwatchTest")


def test_a_silence_that_would_mute_real_alerts_is_told(
    write: Callable[..., Path], command: Any, tmp_path: Path
) -> None:
    write(models=[{"model_id": "ads", "alert_channels": ["log"]}])
    with ProductionMonitoringService("models.yaml", tmp_path / "s", background=False) as service:
        service.silence_alerts("ads", duration="2h")
    lines = command(*TEST_CRITICAL, "--storage", tmp_path / "s").lines
    assert lines[1].startswith("a real one would not be told until ")
    assert lines[1:][0].endswith("model 'ads', all alerts silenced")
    assert lines[2] == "log sent"
    doctor = command(
        "doctor", "--storage", tmp_path / "s", "--app", "http://127.0.0.1:9", "--sidecar", "http://127.0.0.1:9"
    )
    assert any(line.startswith("OK silence model 'ads', all alerts, until ") for line in doctor.lines)


def test_a_storage_that_cannot_be_read_keeps_nobody_from_testing(
    write: Callable[..., Path], command: Any, tmp_path: Path
) -> None:
    write(models=[{"model_id": "ads", "alert_channels": ["log"]}])
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "modelwatch.db").write_bytes(b"no database" * 1000)
    assert command(*TEST_CRITICAL, "--storage", tmp_path / "s").lines[1] == "log sent"
    listed = command("alerts", "list", "--storage", tmp_path / "s")
    assert (listed.code, "is damaged" in listed.err) == (2, True)


def test_a_channel_that_nobody_serves_has_failed(write: Callable[..., Path], command: Any) -> None:
    write(models=[{"model_id": "ads", "alert_channels": ["pager"]}])
    ran = command(*TEST_CRITICAL)
    assert (ran.code, ran.lines[1][:30]) == (1, "pager failed: it has no receiv")
    assert command(*TEST_CRITICAL, "--dry-run").code == 1


# ── mode prometheus ──────────────────────────────────────────────────────────────────────────────────────────────────


def ring(command: Any, servers: Any, *more: object, severity: str = "critical", model: str = 'ads "1"') -> Any:
    argv = ("alerts", "test", "--model", model, "--severity", severity, "--config", servers.config)
    return command(*argv, "--alertmanager", servers.alertmanager, *more)


@pytest.mark.e2e
def test_alertmanager_routes_a_test_as_it_would_a_real_alert(
    servers: Any, command: Any, mailbox: SmtpSink, hook: WebhookSink
) -> None:
    ran = ring(command, servers)
    assert ran.code == 0
    assert ran.lines[0] == 'critical of ads "1", through Alertmanager (alerting.mode: prometheus)'
    assert ran.lines[1:3] == ["the generated routing tells email, hook", "this Alertmanager tells email, hook"]
    assert ran.lines[3].startswith("posted; it ends by itself at ")
    told = hook.wait_for(lambda m: m["commonLabels"]["alertname"] == "ModelwatchTest", SECONDS)
    [alert] = told["alerts"]
    assert alert["labels"] == {"alertname": "ModelwatchTest", "severity": "critical", "model_id": 'ads "1"'}
    assert alert["annotations"]["summary"] == "[TEST] test alert, nothing is wrong"
    assert "Asked for by" in alert["annotations"]["description"]
    lasts = datetime.fromisoformat(alert["endsAt"]) if alert["endsAt"] > "1" else None
    assert lasts is None or lasts < datetime.now(timezone.utc) + timedelta(minutes=6)
    assert "[TEST]" in mailbox.wait_for(lambda m: 'ads "1"' in str(m["Subject"]), SECONDS).as_string()


@pytest.mark.e2e
def test_a_severity_that_reaches_nobody_is_not_posted(servers: Any, command: Any) -> None:
    ran = ring(command, servers, severity="warning", model="quiet")
    assert (ran.code, ran.lines[1:]) == (1, ["the generated routing tells nobody"])
    assert ring(command, servers, "--dry-run").lines[1:] == ["the generated routing tells email, hook"]


@pytest.mark.e2e
def test_an_alertmanager_with_other_routes_is_found_out(
    servers: Any, command: Any, write: Callable[..., Path], mailbox: SmtpSink
) -> None:
    changed = write(
        alerting={
            "mode": "prometheus",
            "receivers": {"email": email(mailbox), "pager": email(mailbox, type="email")},
        },
        models=[{"model_id": "quiet", "alert_channels": ["email", "pager"]}],
    )
    ran = ring(command, servers, "--config", changed, model="quiet")
    assert ran.code == 1
    assert ran.lines[1:3] == ["the generated routing tells email, pager", "this Alertmanager tells email"]
    assert ran.lines[-1].startswith("failed: the receivers of this configuration are not among them")


@pytest.mark.e2e
def test_a_silence_that_would_mute_a_real_alert_is_found_out(servers: Any, command: Any) -> None:
    now = datetime.now(timezone.utc)
    matchers = [{"name": "model_id", "value": "quiet", "isRegex": False, "isEqual": True}]
    silence = {"matchers": matchers, "startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=9)).isoformat()}
    url = f"{servers.alertmanager}/api/v2/silence"
    made = post(f"{url}s", {**silence, "createdBy": "me", "comment": "deployment"})
    ran = ring(command, servers, model="quiet")
    with urlopen(Request(f"{url}/{made['silenceID']}", method="DELETE"), timeout=10):
        pass
    assert (ran.code, ran.lines[-1]) == (1, "failed: a silence keeps it from being told")


def test_an_alertmanager_that_is_not_there_has_failed(write: Callable[..., Path], command: Any) -> None:
    write(alerting={"mode": "prometheus"}, models=[{"model_id": "ads", "alert_channels": ["log"]}])
    ran = command(*TEST_CRITICAL, "--alertmanager", "http://me:S3CRET@127.0.0.1:9")
    assert ran.code == 1
    assert ran.lines[-1].startswith("failed: Alertmanager cannot be reached: ")
    assert "S3CRET" not in ran.out + ran.err
    ran = command(*TEST_CRITICAL, "--channel", "email")
    assert (ran.code, ran.err[:21]) == (2, "modelwatch: --channel")


# ── list ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_latest_alerts_are_listed_with_who_was_told(
    write: Callable[..., Path], command: Any, tmp_path: Path
) -> None:
    write(models=[])
    with ProductionMonitoringService(storage_path=tmp_path / "s", background=False) as service:
        service.register_model({"model_id": "ads", "alert_channels": ["log"]})
        service.send_alert("error", "first\nwith facts", {"model_id": "ads"})
        service.send_alert("info", "second")
    where = ("--storage", tmp_path / "s")
    lines = command("alerts", "list", *where).lines
    assert lines[0] == "time (UTC) level status model channels message"
    assert [line.split(" ", 1)[1] for line in lines[1:]] == ["info firing log second", "error firing ads log first"]
    [listed] = json.loads(command("alerts", "list", *where, "--model", "ads", "--format", "json").out)
    assert (listed["message"], listed["channels"]) == ("first\nwith facts", {"log": "sent"})
    assert len(command("alerts", "list", *where, "--limit", "1").lines) == 2
    wrong = command("alerts", "list", *where, "--model", "adds")
    assert (wrong.code, "did you mean 'ads'" in wrong.err) == (2, True)


def test_without_a_storage_there_is_nothing_to_list_and_none_is_made(
    write: Callable[..., Path], command: Any, tmp_path: Path
) -> None:
    write(models=[])
    ran = command("alerts", "list", "--storage", tmp_path / "none")
    assert (ran.code, "there is no store in" in ran.err) == (2, True)
    assert not (tmp_path / "none").exists()
    assert command("alerts", "list", "--limit", "0").code == 2
