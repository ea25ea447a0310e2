"""The world in which every alert is provoked: three serving processes, a sidecar, Prometheus, Alertmanager, people.

Wrong from the beginning are: files that can't be used as references, a model of which nobody has heard for long, one
that nobody serves, one whose checks don't happen, a target that is down, and a webhook at a port where nobody listens.
"""

from __future__ import annotations

import json
import math
import os
import re
import runpy
import signal
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from modelwatch import ReferenceProfile
from modelwatch.demo.prometheus import PrometheusWorld
from modelwatch.demo.servers import HOST, Binaries, Server, free_port
from modelwatch.demo.sinks import SlackSink, SmtpSink, WebhookSink
from modelwatch_rules.timing import TEST

Json = dict[str, Any]

SCRIPT = Path(__file__).with_name("many_models.py")
M = runpy.run_path(str(SCRIPT))
"""What the serving processes know: names of models, and how inputs are made."""

TIMING = replace(
    TEST,
    short_window=8.0,
    long_window=10.0,
    bridge=30.0,
    memory=7200.0,
    slow_interval=0.5,
    day=10.0,
    silence_hold=8.0,
    budget_hour=24.0,
    keep_firing=5.0,
)
"""Days of ten seconds: what is usual is known after a few of them. What was seen two hours ago is remembered."""

WINDOWS = ("5s", "8s")
MIN_ROWS, NEVER_ENOUGH = 50, 1_000_000
TOLERANCES = {"warning": 0.2, "error": 0.4, "critical": 0.6}
"""Wider than usual: what is over is to be seen from the few rows of a few seconds."""
CHECKS_EVERY = "2s"
MAX_SERIES = 1000
"""Room for a model as a whole, but not for each of its segments."""

ONCALL_MAIL, ONCALL_CHAT, ADS, RISK = "oncall@example.com", "#oncall", "ads@example.com", "#risk"
"""Who can be told: two on call by the default table, and two teams that want to hear of warnings."""
ONCALL, EVERYBODY = {ONCALL_MAIL, ONCALL_CHAT}, {ONCALL_MAIL, ONCALL_CHAT, ADS, RISK}

OF_ADS = {"alert_channels": ["log", "ads"]}
OF_RISK = {"alert_channels": ["log", "risk"]}
OF_ONCALL = {"alert_channels": ["log", "email", "slack"]}


# ── the configuration ────────────────────────────────────────────────────────────────────────────────────────────────


def reference(
    folder: Path,
    model_id: str,
    seed: int,
    min_rows: int = MIN_ROWS,
    make_rows: Callable[..., list[Json]] = M["make_rows"],
) -> Json:
    """Return the settings of a model with a reference of its own."""
    rng = np.random.default_rng(seed)
    profile = ReferenceProfile.build(make_rows(20_000, rng), predictions=M["make_scores"](20_000, rng))
    path = profile.save(folder / f"reference-{seed}.json")
    drift = {"windows": list(WINDOWS), "min_rows": min_rows, "thresholds": TOLERANCES}
    return {"model_id": model_id, "reference": str(path), "drift": drift}


def models(folder: Path) -> list[Json]:
    """Return the models: of two teams, and of those who are on call."""
    unusual = {"severity": {"MLModelTrafficAnomaly": "none"}}
    divided = {"segments": "airline", "severity": {"ModelwatchSeriesFolded": "warning"}}
    broken = folder / "no_profile.json"
    broken.write_text("{}", encoding="utf-8")
    return [
        {**reference(folder, M["NIGHT"], 1), **OF_ADS, **unusual},
        {**reference(folder, M["FROZEN"], 2), **OF_RISK},
        {**reference(folder, M["MIXED"], 5, make_rows=M["make_fares"]), "log_predictions": True, **OF_RISK},
        {"model_id": M["PRICES"], "performance_threshold": {"rmse": {"max": 0.15, "severity": "error"}}, **OF_ADS},
        {"model_id": M["PROMISED"], "objective": {"error_rate": 0.01}, **OF_ONCALL},
        {"model_id": M["BACKLOG"], **OF_RISK},
        {"model_id": M["SHOP"], **OF_ADS},
        {"model_id": M["NEWCOMER"], **OF_RISK},
        {"model_id": M["FLOODED"], **OF_ADS, **unusual},
        {**reference(folder, M["TAMPERED"], 3, NEVER_ENOUGH), **OF_ADS},
        {**reference(folder, M["SCRAMBLED"], 4, NEVER_ENOUGH), **OF_RISK, **divided},
        {
            "model_id": M["ORPHAN"],
            "reference": str(broken),
            "severity": {"MLModelReferenceMissing": "error"},
            **OF_ONCALL,
        },
        {"model_id": M["GHOST"], **OF_ONCALL},
    ]


def configuration(folder: Path, mail: SmtpSink, chat: SlackSink, pager: str) -> Json:
    (folder / "slack_url").write_text(f"{chat.url}\n", encoding="utf-8")
    (folder / "slack_url").chmod(0o600)
    email = {"type": "email", "from": "modelwatch@example.com", "smtp": mail.address, "tls": "none"}
    slack = {"type": "slack", "url_file": str(folder / "slack_url")}
    return {
        "defaults": {"drift_detection_interval": CHECKS_EVERY, "log_predictions": False},
        "alerting": {
            "mode": "prometheus",
            "receivers": {
                "email": {"to": ONCALL_MAIL, **email},
                "slack": {"channel": ONCALL_CHAT, **slack},
                "ads": {"to": ADS, "min_severity": "warning", **email},
                "risk": {"channel": RISK, "min_severity": "warning", **slack},
                "pager": {"type": "webhook", "url": pager},
            },
        },
        "expose": {"max_series_per_model": MAX_SERIES},
        "models": models(folder),
    }


# ── who was told ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Message(NamedTuple):
    """An e-mail or a Slack message: to whom, how bad, and its headline without that."""

    to: str
    level: str
    headline: str


def message(to: str, title: str) -> Message:
    found = re.fullmatch(r"\[([A-Z ]+)\] (.*)", title)
    assert found is not None, title
    return Message(to, found[1].lower(), found[2])


# ── everything together ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class World:
    """All processes, and what one can do to them and see of them."""

    folder: Path
    mail: SmtpSink
    chat: SlackSink
    deadman: WebhookSink
    servers: PrometheusWorld
    pager_port: int
    twin_port: int
    cleanup: ExitStack
    kept: dict[Path, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    twin: Server | None = None

    @staticmethod
    def wait(condition: Callable[[], object], seconds: float) -> None:
        """Wait for a condition, asked often enough, but not so often that it takes the time of what it waits for."""
        pause, deadline = threading.Event(), time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {condition}"
            pause.wait(0.2)

    # ── what is wrong ────────────────────────────────────────────────────────────────────────────────────────────

    def break_(self, faults: dict[str, list[str]]) -> float:
        """Change what is wrong with some models; return when."""
        self.faults |= faults
        new = self.folder / "faults.new"
        new.write_text(json.dumps(self.faults), encoding="utf-8")
        new.replace(self.folder / "faults.json")
        return time.time()

    def damage(self, number: int, content: bytes) -> None:
        """Write something else over the storage's copy of a reference, as a disk may."""
        path = self.folder / "storage" / "profiles" / f"{self._profile_id(number)}.json"
        self.wait(path.exists, 20.0)
        self.kept[path] = path.read_bytes()
        path.write_bytes(content)

    def _profile_id(self, number: int) -> str:
        return ReferenceProfile.load(self.folder / f"reference-{number}.json").id

    def mend(self) -> None:
        """Write back what was damaged, and references that can be used where there was none."""
        for path, content in self.kept.items():
            path.write_bytes(content)

    def start_twin(self, storage: str) -> float:
        """Let one more process expose what is recorded in a storage, in place of the one that did; return when."""
        if self.twin is not None:
            self.twin.stop()
        command = ["twin", str(self.folder / storage), str(self.twin_port)]
        self.twin = self.cleanup.enter_context(start(self.folder, command, self.twin_port))
        return time.time()

    def answer_the_pager(self) -> float:
        """Let somebody listen at the port that was dead; return when."""
        self.cleanup.enter_context(WebhookSink(address=(HOST, self.pager_port)))
        return time.time()

    def freeze_sidecar(self) -> float:
        """Let the sidecar hang, as on a disk that does not answer; return when."""
        os.kill(self.servers.sidecar.pid, signal.SIGSTOP)
        return time.time()

    def thaw_sidecar(self) -> float:
        os.kill(self.servers.sidecar.pid, signal.SIGCONT)
        return time.time()

    # ── who was told ─────────────────────────────────────────────────────────────────────────────────────────────

    def messages(self) -> list[Message]:
        """Return all messages that people got, as they see them."""
        mails = [message(m["To"].addresses[0].addr_spec, str(m["Subject"])) for m in self.mail.messages]
        return mails + [message(str(m["channel"]), title_of(m)) for m in self.chat.messages]

    # ── what Prometheus and Alertmanager see ─────────────────────────────────────────────────────────────────────

    def query(self, expr: str) -> list[Json]:
        """Return the series of an instant query that have a finite value."""
        url = f"{self.servers.url('prometheus')}/api/v1/query"
        try:
            with urllib.request.urlopen(url, urllib.parse.urlencode({"query": expr}).encode(), timeout=10) as answer:
                found = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{expr}: {error.read().decode()}") from error
        return [series for series in found if math.isfinite(float(series["value"][1]))]

    def total(self, expr: str) -> float:
        """Return the sum of a query's values."""
        return sum(float(series["value"][1]) for series in self.query(expr))

    def alerts(self, **labels: str) -> list[Json]:
        """Return the alerts that Alertmanager knows, by their labels."""
        with urllib.request.urlopen(f"{self.servers.url('alertmanager')}/api/v2/alerts", timeout=10) as answer:
            known = json.load(answer)
        return [alert for alert in known if labels.items() <= alert["labels"].items()]

    def situation(self) -> str:
        """Return what a developer wants to know when something did not come."""
        firing = [series["metric"] for series in self.query('ALERTS{alertstate="firing"}')]
        return f"Firing: {firing}.\nTold: {self.messages()}.\nLogs: {self.folder}"


def title_of(slack: Json) -> str:
    title = str(slack["attachments"][0]["title"])
    return title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def start(folder: Path, arguments: list[str], port: int) -> Server:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MODELWATCH_")}
    environment["PYTHONUTF8"] = "1"
    log = folder / f"{arguments[0]}.log"
    command = [sys.executable, str(SCRIPT), *arguments]
    return Server(arguments[0], command, log, f"http://{HOST}:{port}/metrics", env=environment)


@contextmanager
def started(folder: Path, binaries: Binaries) -> Iterator[World]:
    """Start everything but the twin, with damaged references; leave it when each model was checked."""
    with ExitStack() as cleanup:
        mail, chat = cleanup.enter_context(SmtpSink()), cleanup.enter_context(SlackSink())
        deadman = cleanup.enter_context(WebhookSink())
        app, island, twin, pager = (free_port() for _ in range(4))
        written = configuration(folder, mail, chat, f"http://{HOST}:{pager}/hook/S3CRET")
        config, served = folder / "models.yaml", folder / "served.yaml"
        config.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
        only = [model for model in written["models"] if model["model_id"] != M["GHOST"]]
        served.write_text(yaml.safe_dump(written | {"models": only}, allow_unicode=True), encoding="utf-8")
        servers = PrometheusWorld(
            folder / "prometheus", binaries, config, folder / "storage", TIMING, deadman_url=deadman.url
        )
        world = World(folder, mail, chat, deadman, servers, pager, twin, cleanup)
        world.break_({})
        commands = [
            (["serve", str(served), str(folder / "storage"), str(folder / "faults.json"), str(app)], app),
            (["island", str(folder / "island"), str(island)], island),
        ]
        serving = [cleanup.enter_context(start(folder, arguments, port)) for arguments, port in commands]
        for server in serving:
            server.wait_ready()
        world.damage(3, b'{"format": ')
        world.damage(4, b"\xff\xfe")
        servers.start(cleanup, [app, island, twin])
        checked = 'modelwatch_drift_state{drift_type=~"data|prediction|multivariate",state="ok"} == 1'
        # Of three models, one of which stores rows.
        world.wait(lambda: len(world.query(checked)) == 7, 60.0)
        yield world
