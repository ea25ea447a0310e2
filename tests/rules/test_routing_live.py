"""A real Alertmanager, with what is generated for it, tells a mailbox, a chat room, PagerDuty, a webhook and a log."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiosmtpd.smtp
import pytest
import yaml

from modelwatch.config import WEEKDAYS, MonitoringConfig
from modelwatch.demo.sinks import PagerDutySink, SlackSink, SmtpSink
from modelwatch_rules.routing import alertmanager_config, conversations_apart
from modelwatch_rules.templates import TEMPLATE_FILE, notification_templates
from modelwatch_rules.timing import TEST

pytestmark = pytest.mark.e2e

MODEL = 'ad_score "v1" \\ {{ $value }} <b>🚀'
SUMMARY = "2 of 25 inputs drifted (bid_floor, placement)."
DESCRIPTION = "Drifted most: bid_floor (62 %), placement (31 %)\nHow sure: not chance, n = 41 200"
RUNBOOK = "https://docs.example.com/runbooks/MLModelDataDrift.md"
SECONDS = 20.0
TIMING = replace(TEST, watchdog_interval=1.0)

Wait = Callable[..., None]


class LogServer(ThreadingHTTPServer):
    """Takes Alertmanager's webhooks, as the sidecar does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), LogRequest)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def alerts(self, path: str = "/log") -> list[tuple[str, str, str]]:
        """Status, alert name and severity of everything that came."""
        return [
            (alert["status"], alert["labels"]["alertname"], alert["labels"].get("severity", ""))
            for where, body in list(self.calls)
            if where == path
            for alert in body["alerts"]
        ]

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join(10)


class LogRequest(BaseHTTPRequestHandler):
    server: LogServer
    timeout = 10.0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, json.loads(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@dataclass
class World:
    """Alertmanager and everybody it talks to."""

    url: str
    mail: SmtpSink
    private_mail: SmtpSink
    chat: SlackSink
    log: LogServer
    pager: PagerDutySink
    started: dict[str, str] = field(default_factory=dict)

    def post(self, *alerts: dict[str, Any]) -> None:
        self._ask("/api/v2/alerts", alerts)

    def fire(self, *alerts: dict[str, Any]) -> None:
        """Begin alerts, or say that they go on."""
        now = datetime.now(timezone.utc)
        for alert in alerts:
            # An older alert would not wait for its group, and with it not for the tier that mutes it.
            since = self.started.setdefault(json.dumps(alert["labels"]), now.isoformat())
            alert |= {"startsAt": since, "endsAt": (now + timedelta(minutes=10)).isoformat()}
        self.post(*alerts)

    def end(self, *alerts: dict[str, Any]) -> None:
        now = datetime.now(timezone.utc).isoformat()
        self.post(*(alert | {"startsAt": self.started[json.dumps(alert["labels"])], "endsAt": now} for alert in alerts))

    def state_of(self, alert: dict[str, Any]) -> str:
        for known in self._ask("/api/v2/alerts"):
            if known["labels"] == alert["labels"]:
                return str(known["status"]["state"])
        return "unknown"

    def is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}), timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def alert(severity: str, model_id: str = MODEL, **changed: str) -> dict[str, Any]:
    labels = {"alertname": "MLModelDataDrift", "model_id": model_id, "model_version": "v7", "severity": severity}
    labels |= {name: value for name, value in changed.items() if name not in ("summary", "description")}
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {
            "summary": changed.get("summary", SUMMARY),
            "description": changed.get("description", DESCRIPTION),
            "runbook_url": RUNBOOK,
        },
    }


def configuration(
    folder: Path, mail: SmtpSink, private_mail: SmtpSink, chat: SlackSink, pager: PagerDutySink, hook_url: str
) -> MonitoringConfig:
    secrets = {"slack": f"{chat.url}\n", "token": f"{chat.token}\n", "smtp": "correct horse", "pd": pager.routing_key}
    for name, secret in secrets.items():
        (folder / name).write_text(secret, "utf-8")
    sender = "modelwatch <modelwatch@example.com>"
    return MonitoringConfig.model_validate(
        {
            "models": [
                {"model_id": MODEL, "alert_channels": ["log", "email", "slack"]},
                {"model_id": "private", "alert_channels": ["private", "bot"]},
                {"model_id": "paged", "alert_channels": ["pagerduty", "webhook"]},
                {
                    "model_id": "sleepy",
                    "alert_channels": ["log", "sleepers"],
                    "owner": "ml-nights",
                    "dashboard_url": "https://grafana.example.com/d/sleepy?a=1&b=2",
                },
            ],
            "alerting": {
                "mode": "prometheus",
                "receivers": {
                    # "auto" on a loopback address, where no TLS is on offer.
                    "email": {"to": ["Zoë <ml-team@example.com>"], "from": sender, "smtp": mail.address},
                    "slack": {"url_file": str(folder / "slack"), "channel": "#ads", "min_severity": "error"},
                    "private": {
                        "type": "email",
                        "to": "private@example.com",
                        "from": sender,
                        "smtp": private_mail.address,
                        "username": "mw",
                        "password_file": str(folder / "smtp"),
                    },
                    "bot": {"type": "slack", "token_file": str(folder / "token"), "channel": "#private"},
                    "pagerduty": {"routing_key_file": str(folder / "pd"), "min_severity": "warning"},
                    "webhook": {"url": hook_url},
                    "sleepers": {
                        "type": "slack",
                        "url_file": str(folder / "slack"),
                        "channel": "#sleepers",
                        "min_severity": "warning",
                    },
                },
                "quiet_hours": [
                    {"days": ["monday:sunday"], "receivers": ["sleepers"]},
                    {"days": [WEEKDAYS[(datetime.now(timezone.utc).weekday() + 3) % 7]], "receivers": ["slack"]},
                ],
            },
        }
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory, require_server: Callable[[str], str]) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [require_server("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture(scope="module")
def world(
    require_server: Callable[[str], str],
    wait_until: Wait,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: tuple[Path, Path],
) -> Iterator[World]:
    alertmanager = require_server("alertmanager")
    folder = tmp_path_factory.mktemp("alertmanager")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with (
        pytest.MonkeyPatch.context() as patch,
        SmtpSink() as mail,
        SmtpSink(tls_context=tls, credentials=("mw", "correct horse")) as private_mail,
        SlackSink() as chat,
        PagerDutySink() as pager,
        closing(LogServer()) as log,
    ):
        # The words of real servers, which are the ones that Alertmanager answers.
        patch.setattr(aiosmtpd.smtp.SMTP, "AuthLoginUsernameChallenge", "Username:")
        patch.setattr(aiosmtpd.smtp.SMTP, "AuthLoginPasswordChallenge", "Password:")
        config = configuration(folder, mail, private_mail, chat, pager, log.url("/hook"))
        made = alertmanager_config(config, TIMING, log_url=log.url("/log"), deadman_url=log.url("/deadman"))
        [bot] = [receiver for receiver in made["receivers"] if receiver["name"] == "bot"]
        bot["slack_configs"][0]["api_url"] = chat.api_url
        [page] = [receiver for receiver in made["receivers"] if receiver["name"] == "pagerduty"]
        page["pagerduty_configs"][0]["url"] = pager.url
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(made, allow_unicode=True), "utf-8")
        (folder / "templates").mkdir()
        templates = notification_templates(config, apart=conversations_apart(config))
        (folder / "templates" / TEMPLATE_FILE).write_text(templates, "utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [
            alertmanager, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}",
            f"--web.listen-address={address}", "--cluster.listen-address=", f"--web.external-url=http://{address}",
        ]  # fmt: skip
        environment = {**os.environ, "TZ": "UTC", "SSL_CERT_FILE": str(certificate[0])}
        with (
            (folder / "log.txt").open("w") as said,
            subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment) as process,
        ):
            world = World(f"http://{address}", mail, private_mail, chat, log, pager)
            try:
                wait_until(lambda: process.poll() is not None or world.is_ready(), 30.0)
                assert process.poll() is None, (folder / "log.txt").read_text()
                yield world
            finally:
                process.terminate()
                process.wait(20)


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content())


def title_of(message: dict[str, Any]) -> str:
    return str(message["attachments"][0]["title"])


def about(name: str, level: str) -> Callable[[EmailMessage], bool]:
    return lambda message: str(message["Subject"]).startswith(f"[{level}] {name}: ")


def told(name: str, level: str) -> Callable[[dict[str, Any]], bool]:
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return lambda message: title_of(message).startswith(f"[{level}] {escaped}: ")


def test_an_alert_of_two_tiers_is_told_once_to_the_right_people_and_resolved(world: World, wait_until: Wait) -> None:
    warning, error = alert("warning", summary="lower tier"), alert("error")
    world.fire(warning, error)

    mail = world.mail.wait_for(about(MODEL, "ERROR"), SECONDS)
    assert str(mail["Subject"]).startswith(f"[ERROR] {MODEL}: 2 of 25 inputs drifted (bid_floor, placement) since ")
    assert mail["To"].addresses[0].addr_spec == "ml-team@example.com"
    assert mail["From"].addresses[0].addr_spec == "modelwatch@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = text_of(mail), text_of(mail, "html")
    for part in (MODEL, "bid_floor (62 %)", "placement (31 %)", "not chance", "Version: v7", RUNBOOK):
        assert part in text
    assert "&lt;b&gt;🚀" in html
    assert "<b>" not in html

    slack = world.chat.wait_for(told(MODEL, "ERROR"), SECONDS)
    assert slack["channel"] == "#ads"
    [attachment] = slack["attachments"]
    assert attachment["color"] == "danger"
    assert attachment["fallback"] == attachment["title"]
    assert "*Drifted most:* bid_floor (62 %), placement (31 %)" in attachment["text"]
    assert f"<{RUNBOOK}|Runbook>" in attachment["text"]
    assert "<b>" not in attachment["title"]

    wait_until(lambda: ("firing", "MLModelDataDrift", "error") in world.log.alerts(), SECONDS)
    assert (world.state_of(error), world.state_of(warning)) == ("active", "suppressed")

    world.end(warning, error)
    over = world.mail.wait_for(about(MODEL, "RESOLVED"), SECONDS)
    assert re.search(r"; lasted [0-9]+ s$", str(over["Subject"]))
    assert over["References"] == mail["References"]
    assert "lower tier" not in text_of(over)
    slack = world.chat.wait_for(told(MODEL, "RESOLVED"), SECONDS)
    assert slack["attachments"][0]["color"] == "good"
    wait_until(lambda: ("resolved", "MLModelDataDrift", "error") in world.log.alerts(), SECONDS)
    assert ("firing", "MLModelDataDrift", "warning") not in world.log.alerts()
    assert not any("lower tier" in str(message) for message in (*world.mail.messages, *world.chat.messages))


def test_escalation_says_nothing_of_resolution_and_coming_down_does(world: World) -> None:
    def tier(severity: str) -> dict[str, Any]:
        return alert(severity, "unlisted", alertname="MLModelLatencyHigh", summary=f"p95 latency is {severity}.")

    world.fire(tier("error"))
    world.mail.wait_for(about("unlisted", "ERROR"), SECONDS)
    world.fire(tier("error"), tier("critical"))
    world.mail.wait_for(about("unlisted", "CRITICAL"), SECONDS)
    world.chat.wait_for(told("unlisted", "CRITICAL"), SECONDS)
    world.fire(tier("error"))
    world.end(tier("critical"))
    down = world.mail.wait_for(
        lambda m: about("unlisted", "ERROR")(m) and "No longer critical since" in text_of(m), SECONDS
    )
    assert "p95 latency is error" in str(down["Subject"])
    assert not any(about("unlisted", "RESOLVED")(message) for message in world.mail.messages)
    world.end(tier("error"))
    world.mail.wait_for(about("unlisted", "RESOLVED"), SECONDS)


def test_alerts_of_others_are_not_muted_by_ours(world: World, wait_until: Wait) -> None:
    loud = alert("critical", "", alertname="HostDown", model_version="", summary="A host is down.")
    quiet = alert("warning", "", alertname="HostDown", model_version="", summary="A host is slow.")
    ours = alert("critical", "loud model")
    also_ours = alert("warning", "another model")
    world.fire(loud, quiet, ours, also_ours)
    world.mail.wait_for(about("loud model", "CRITICAL"), SECONDS)
    for one in (loud, quiet, ours, also_ours):
        wait_until(lambda one=one: world.state_of(one) == "active", SECONDS)
    world.mail.wait_for(lambda message: "A host is down" in text_of(message), SECONDS)


def test_a_password_is_sent_by_starttls_and_a_bot_shows_its_token(world: World) -> None:
    world.fire(alert("critical", "private"))
    mail = world.private_mail.wait_for(about("private", "CRITICAL"), SECONDS)
    assert mail["To"] == "private@example.com"
    slack = world.chat.wait_for(told("private", "CRITICAL"), SECONDS)
    assert slack["channel"] == "#private"
    assert not any(about("private", "CRITICAL")(message) for message in world.mail.messages)


def test_pagerduty_opens_one_incident_that_rises_and_is_closed_and_the_webhook_hears_of_both(
    world: World, wait_until: Wait
) -> None:
    def triggered(severity: str) -> Callable[[dict[str, Any]], bool]:
        wanted = {"severity": severity, "group": "paged", "class": "MLModelDataDrift"}
        return lambda event: event["event_action"] == "trigger" and event["payload"].items() >= wanted.items()

    def hooked(status: str) -> bool:
        calls = [body for where, body in list(world.log.calls) if where == "/hook"]
        mine = [one for body in calls if body["groupLabels"].get("model_id") == "paged" for one in body["alerts"]]
        return (status, "critical") in [(one["status"], one["labels"]["severity"]) for one in mine]

    world.fire(alert("warning", "paged"))
    opened = world.pager.wait_for(triggered("warning"), SECONDS)
    payload = opened["payload"]
    assert payload["summary"].startswith("[WARNING] paged: 2 of 25 inputs drifted (bid_floor, placement) since ")
    assert "Drifted most: bid_floor (62 %)" in payload["custom_details"]["facts"]

    world.fire(alert("critical", "paged"), alert("warning", "paged"))
    risen = world.pager.wait_for(triggered("critical"), SECONDS)
    key = risen["dedup_key"]
    assert key == opened["dedup_key"]
    wait_until(lambda: hooked("firing"), SECONDS)
    assert key in world.pager.open_incidents

    world.end(alert("critical", "paged"), alert("warning", "paged"))
    world.pager.wait_for(lambda event: event["event_action"] == "resolve" and event["dedup_key"] == key, SECONDS)
    assert key not in world.pager.open_incidents
    wait_until(lambda: hooked("resolved"), SECONDS)


def test_the_watchdog_is_repeated_to_its_own_receiver_only(world: World, wait_until: Wait) -> None:
    world.fire(alert("none", "", alertname="ModelwatchWatchdog", model_version="", summary="All is well."))
    call = ("firing", "ModelwatchWatchdog", "none")
    wait_until(lambda: world.log.alerts("/deadman").count(call) >= 2, SECONDS)
    assert call not in world.log.alerts("/log")


def test_in_quiet_hours_only_the_worst_is_heard_and_with_the_models_own_facts(world: World, wait_until: Wait) -> None:
    def tier(severity: str) -> dict[str, Any]:
        return alert(severity, "sleepy", alertname="MLModelErrorRateHigh", summary=f"Failures are {severity}.")

    def titles() -> list[str]:
        heard = [title_of(message) for message in world.chat.messages if message["channel"] == "#sleepers"]
        return [title.partition("]")[0] for title in heard if "] sleepy: " in title]

    world.fire(tier("error"))
    wait_until(lambda: ("firing", "MLModelErrorRateHigh", "error") in world.log.alerts(), SECONDS)
    world.fire(tier("error"), tier("critical"))
    [heard] = world.chat.wait_for(told("sleepy", "CRITICAL"), SECONDS)["attachments"]
    assert "<https://grafana.example.com/d/sleepy?a=1&amp;b=2|Dashboard> · <" in heard["text"]
    assert heard["text"].endswith("|Silence> · owner ml-nights")
    world.fire(tier("error"))
    world.end(tier("critical"))
    world.chat.wait_for(told("sleepy", "NO LONGER CRITICAL"), SECONDS)
    world.end(tier("error"))
    wait_until(lambda: ("resolved", "MLModelErrorRateHigh", "error") in world.log.alerts(), SECONDS)
    assert titles() == ["[CRITICAL", "[NO LONGER CRITICAL"]


def test_checks_that_are_down_are_told_once_and_not_again_for_each_model(world: World, wait_until: Wait) -> None:
    def down(component: str, cluster: str) -> dict[str, Any]:
        labels = {"model_version": "", "component": component, "cluster": cluster, "job": "x", "instance": "a:1"}
        return alert("critical", "", alertname="ModelwatchDown", summary=f"The {component} are down.", **labels)

    def stale(severity: str, cluster: str, model_id: str = "sleepy") -> dict[str, Any]:
        return alert(severity, model_id, alertname="ModelwatchCheckStale", model_version="", cluster=cluster)

    muted = [stale("warning", "prod"), stale("warning", "prod", "paged")]
    heard = [
        down("checks", "prod"),
        down("recordings", "staging"),
        stale("error", "staging"),
        alert("warning", "", alertname="CheckStale", model_version="", cluster="prod", team="theirs"),
        alert("warning", "", alertname="Theirs", model_version="", cluster="prod", summary="Their own check is stale."),
    ]
    world.fire(*muted, *heard)
    wait_until(lambda: ("firing", "ModelwatchCheckStale", "error") in world.log.alerts(), SECONDS)
    world.mail.wait_for(lambda message: "The checks are down" in text_of(message), SECONDS)
    world.mail.wait_for(lambda message: "Their own check is stale" in text_of(message), SECONDS)
    assert [world.state_of(one) for one in muted] == ["suppressed", "suppressed"]
    assert {world.state_of(one) for one in heard} == {"active"}
    assert ("firing", "ModelwatchCheckStale", "warning") not in world.log.alerts()


def test_silence_mutes_unusual_traffic_but_not_where_that_is_louder(world: World, wait_until: Wait) -> None:
    def pair(model_id: str, silence: str) -> tuple[dict[str, Any], dict[str, Any]]:
        return (
            alert(silence, model_id, alertname="MLModelNoPredictions", model_version=""),
            alert("warning", model_id, alertname="MLModelTrafficAnomaly", model_version=""),
        )

    (calm, loud), (silent, few) = pair("nightly", "info"), pair("online", "critical")
    world.fire(calm, loud, silent, few)
    wait_until(lambda: ("firing", "MLModelTrafficAnomaly", "warning") in world.log.alerts("/hook"), SECONDS)
    wait_until(lambda: world.state_of(few) == "suppressed", SECONDS)
    assert {world.state_of(one) for one in (calm, loud, silent)} == {"active"}
