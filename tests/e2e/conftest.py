"""The whole of modelwatch on one machine: serving processes, sidecar, Prometheus, Alertmanager, mailbox, chat room."""

from __future__ import annotations

import json
import math
import os
import runpy
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from modelwatch import ReferenceProfile
from modelwatch.demo.prometheus import PrometheusWorld
from modelwatch.demo.servers import Binaries, Server, free_port
from modelwatch.demo.sinks import SlackSink, SmtpSink
from modelwatch_rules.timing import TEST

Json = dict[str, Any]
Wait = Callable[[Callable[[], object], float], None]

SERVING = Path(__file__).with_name("serving.py")
MODEL = runpy.run_path(str(SERVING))
"""What the serving processes know: names of models, and how inputs are made."""

TIMING = replace(TEST, resend_delay=5.0)
"""With a delay of one second a Prometheus that is restarted would come back after Alertmanager has given it up."""

WINDOWS = ("5s", "15s")
TEAM = {"alert_channels": ["log", "team_mail", "team_chat"]}
FIRING = 'ALERTS{alertstate="firing",alertname!="ModelwatchWatchdog"}'


def reference(predict: Callable[[int, np.random.Generator], list[Any]]) -> ReferenceProfile:
    rng = np.random.default_rng(1)
    return ReferenceProfile.build(MODEL["make_rows"](20_000, rng), predictions=predict(20_000, rng))


def configuration(folder: Path, mail: SmtpSink, chat: SlackSink) -> Json:
    """Return a models.yaml: two models whose team hears of warnings, two that follow the default table."""
    profiles = {
        kind: str(reference(MODEL[f"make_{kind}"]).save(folder / f"{kind}.json")) for kind in ("scores", "labels")
    }
    (folder / "slack_url").write_text(f"{chat.url}\n", encoding="utf-8")
    (folder / "slack_url").chmod(0o600)
    watched = {
        "model_version": MODEL["VERSION"],
        "reference": profiles["scores"],
        "drift": {"windows": list(WINDOWS)},
        **TEAM,
    }
    email = {"from": "modelwatch@example.com", "smtp": mail.address, "tls": "none"}
    slack = {"url_file": str(folder / "slack_url")}
    return {
        "defaults": {"drift_detection_interval": "2s", "alert_channels": ["log", "email", "slack"]},
        "alerting": {
            "mode": "prometheus",
            "receivers": {
                "email": {"to": "oncall@example.com", **email},
                "slack": {"channel": "#oncall", **slack},
                "team_mail": {"type": "email", "to": "team@example.com", "min_severity": "warning", **email},
                "team_chat": {"type": "slack", "channel": "#team", "min_severity": "warning", **slack},
            },
        },
        "models": [
            {
                "model_id": MODEL["FLIGHTS"],
                "performance_metrics": ["auc", "latency_ms", "error_rate"],
                "performance_threshold": {"auc": 0.8, "latency_ms": 100, "error_rate": 0.05},
                "objective": {"error_rate": 0.01, "latency_ms": 250},
                **watched,
            },
            {"model_id": MODEL["HOSTILE"], **watched},
            {
                "model_id": MODEL["RANKER"],
                "performance_metrics": ["auc", "latency_ms", "error_rate"],
                "performance_threshold": {
                    "auc": {"min": 0.8, "severity": "error"},
                    "latency_ms": {"max": 50, "severity": "critical"},
                },
            },
            {
                "model_id": MODEL["SCORER"],
                "reference": profiles["labels"],
                "drift": {"windows": list(WINDOWS)},
                "performance_metrics": ["error_rate"],
                "performance_threshold": {"error_rate": {"max": 0.05, "severity": "warning"}},
            },
        ],
    }


@dataclass
class World:
    """All processes, and what one can do to them and see of them."""

    folder: Path
    mail: SmtpSink
    chat: SlackSink
    servers: PrometheusWorld
    app_port: int
    wait: Wait
    faults: dict[str, list[str]] = field(default_factory=dict)
    arrived: dict[str, float] = field(default_factory=dict)

    # ── what is wrong ────────────────────────────────────────────────────────────────────────────────────────────

    def break_(self, model_id: str, *faults: str) -> float:
        """Begin faults; return when."""
        self.faults[model_id] = [*faults]
        return self._write_faults()

    def cure(self) -> float:
        """End all faults; return when."""
        self.faults = {}
        return self._write_faults()

    def _write_faults(self) -> float:
        new = self.folder / "faults.new"
        new.write_text(json.dumps(self.faults), encoding="utf-8")
        new.replace(self.folder / "faults.json")
        return time.time()

    # ── who was told ─────────────────────────────────────────────────────────────────────────────────────────────

    def emails(self, *parts: str) -> list[EmailMessage]:
        """Return the e-mails whose subject has all these parts."""
        return [m for m in self.mail.messages if all(part in str(m["Subject"]) for part in parts)]

    def slacks(self, *parts: str) -> list[Json]:
        """Return the Slack messages whose title has all these parts, as people see them."""
        return [m for m in self.chat.messages if all(part in title_of(m) for part in parts)]

    def expect(self, what: str, since: float, *parts: str, seconds: float) -> tuple[EmailMessage, Json]:
        """Wait for an e-mail and a Slack message with these words; note how long after `since` they came."""
        found: dict[str, Any] = {}

        def came() -> bool:
            for channel, messages in (("email", self.emails(*parts)), ("slack", self.slacks(*parts))):
                if messages and channel not in found:
                    found[channel] = messages[0]
                    self.arrived[f"{what}, {channel}"] = time.time() - since
            return len(found) == 2

        try:
            self.wait(came, seconds)
        except AssertionError:
            pytest.fail(f"{what}: of email and Slack only {[*found]} within {seconds:g} s. {self.situation()}")
        return found["email"], found["slack"]

    def log_lines(self, *parts: str) -> list[str]:
        """Return the sidecar's lines about alerts that have all these parts."""
        lines = self.servers.sidecar_log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if "modelwatch.alerts" in line and all(part in line for part in parts)]

    def situation(self) -> str:
        """Return what a developer wants to know when something did not come."""
        seen = [str(m["Subject"]) for m in self.mail.messages], [title_of(m) for m in self.chat.messages]
        return f"Firing: {self.query(FIRING)}. Told: {seen}. Logs: {self.folder}"

    # ── what Prometheus sees ─────────────────────────────────────────────────────────────────────────────────────

    def query(self, expr: str) -> list[Json]:
        """Return the series of an instant query that have a finite value; nothing while Prometheus is away."""
        url = f"{self.servers.url('prometheus')}/api/v1/query"
        try:
            with urllib.request.urlopen(url, urllib.parse.urlencode({"query": expr}).encode(), timeout=10) as answer:
                found = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{expr}: {error.read().decode()}") from error
        except (urllib.error.URLError, ConnectionError):
            return []
        return [s for s in found if not isinstance(s, dict) or math.isfinite(float(s["value"][1]))]

    def firing(self, alertname: str, model_id: str) -> list[Json]:
        """Return the alerts of a name that fire for a model."""
        known = self.query(f'ALERTS{{alertstate="firing",alertname="{alertname}"}}')
        return [series for series in known if series["metric"].get("model_id") == model_id]

    def scrape(self, name: str) -> str:
        """Return the text of /metrics of "app" or "sidecar"."""
        base = f"http://127.0.0.1:{self.app_port}" if name == "app" else self.servers.url("sidecar")
        with urllib.request.urlopen(f"{base}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def up(self, job: str) -> bool:
        """Say whether the last scrape of a job succeeded."""
        return bool(self.query(f'up{{job="{job}"}} == 1'))


def title_of(message: Json) -> str:
    """Return the title of a Slack message as people see it."""
    title = str(message["attachments"][0]["title"])
    return title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def start_serving(folder: Path, config: Path, port: int) -> Server:
    command = [
        sys.executable, str(SERVING), str(config), str(folder / "storage"), str(folder / "faults.json"), str(port),
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODELWATCH_")}
    environment["PYTHONUTF8"] = "1"
    return Server("serving", command, folder / "serving.log", f"http://127.0.0.1:{port}/metrics", env=environment)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, require_server: Callable[[str], str], wait_until: Wait
) -> Iterator[World]:
    """Start everything; leave it when all models are checked and nobody has been told anything."""
    binaries = Binaries(require_server("prometheus"), require_server("alertmanager"))
    folder = tmp_path_factory.mktemp("world")
    with ExitStack() as cleanup:
        mail, chat = cleanup.enter_context(SmtpSink()), cleanup.enter_context(SlackSink())
        config = folder / "models.yaml"
        config.write_text(yaml.safe_dump(configuration(folder, mail, chat), allow_unicode=True), encoding="utf-8")
        port = free_port()
        servers = PrometheusWorld(folder / "prometheus", binaries, config, folder / "storage", TIMING)
        made = World(folder, mail, chat, servers, port, wait_until)
        made.cure()
        serving = cleanup.enter_context(start_serving(folder, config, port))
        serving.wait_ready()
        servers.start(cleanup, [port])
        checked = 'modelwatch_drift_state{drift_type=~"data|prediction",state="ok"} == 1'
        wait_until(lambda: len(made.query(checked)) == 6 and made.up("modelwatch-app"), 40.0)
        yield made


@pytest.fixture(scope="session")
def promtool_metrics(require_server: Callable[[str], str]) -> Callable[[str], str]:
    """Return what asks promtool about an exposition, and returns its complaints."""
    program = require_server("promtool")

    def check(text: str) -> str:
        done = subprocess.run(
            [program, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr

    return check
