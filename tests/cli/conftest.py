"""Real peers for the commands: mailbox, chat room, webhook, Alertmanager and Prometheus with generated files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from modelwatch import ProductionMonitoringService
from modelwatch.cli.main import main
from modelwatch.config import load_config
from modelwatch.demo.servers import HOST, Server, free_port
from modelwatch.demo.sinks import SlackSink, SmtpSink, WebhookSink
from modelwatch_rules.generate import ALERTMANAGER_FILE, PROMETHEUS_FILE, Options, generate
from modelwatch_rules.timing import TEST


@dataclass
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The output without runs of spaces."""
        return [" ".join(line.split()) for line in self.out.splitlines()]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command as the shell would."""

    def run(*argv: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def mailbox() -> Iterator[SmtpSink]:
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def chat() -> Iterator[SlackSink]:
    with SlackSink() as sink:
        yield sink


@pytest.fixture(scope="module")
def hook() -> Iterator[WebhookSink]:
    with WebhookSink() as sink:
        yield sink


def email(mailbox: SmtpSink, **more: Any) -> dict[str, Any]:
    return {"to": "oncall@example.com", "from": "mw@example.com", "smtp": mailbox.address, "tls": "none", **more}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write ``models.yaml`` into the current folder, which is a new one."""
    monkeypatch.chdir(tmp_path)

    def write_file(**sections: Any) -> Path:
        path = tmp_path / "models.yaml"
        path.write_text(yaml.safe_dump(sections), encoding="utf-8")
        return path

    return write_file


@dataclass
class Servers:
    """A Prometheus and an Alertmanager with what is generated for a configuration."""

    folder: Path
    config: Path
    alertmanager: str
    prometheus: str
    app_port: int
    sidecar_port: int

    def regenerate(self, config: Path) -> None:
        """Write the files of another configuration; Prometheus has to be told."""
        generate(load_config(config), self.folder, _options(self))


def _options(servers: Servers) -> Options:
    targets = {"app": [f"{HOST}:{servers.app_port}"], "sidecar": [f"{HOST}:{servers.sidecar_port}"]}
    alertmanagers = [servers.alertmanager.removeprefix("http://")]
    return Options(timing=TEST, targets=targets, alertmanagers=alertmanagers, log_url="http://127.0.0.1:9/log")


@pytest.fixture(scope="module")
def servers(
    require_server: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    mailbox: SmtpSink,
    hook: WebhookSink,
) -> Iterator[Servers]:
    programs = require_server("prometheus"), require_server("alertmanager")
    folder = tmp_path_factory.mktemp("servers")
    config = folder / "models.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "alerting": {
                    "mode": "prometheus",
                    "receivers": {"email": email(mailbox), "hook": {"type": "webhook", "url": hook.url}},
                },
                "models": [
                    {"model_id": 'ads "1"', "alert_channels": ["email", "hook"]},
                    {"model_id": "quiet", "alert_channels": ["email"]},
                ],
            }
        )
    )
    ports = [free_port() for _ in range(4)]
    made = Servers(folder, config, f"http://{HOST}:{ports[0]}", f"http://{HOST}:{ports[1]}", ports[2], ports[3])
    made.regenerate(config)
    with ExitStack() as stack:
        for name, url, argv in (
            ("Alertmanager", made.alertmanager, _alertmanager(programs[1], made)),
            ("Prometheus", made.prometheus, _prometheus(programs[0], made)),
        ):
            stack.enter_context(Server(name, argv, folder / f"{name}.log", f"{url}/-/ready")).wait_ready()
        yield made


def _alertmanager(program: str, servers: Servers) -> list[str]:
    return [
        program, f"--config.file={servers.folder / ALERTMANAGER_FILE}", f"--storage.path={servers.folder / 'am'}",
        f"--web.listen-address={servers.alertmanager.removeprefix('http://')}", "--cluster.listen-address=",
    ]  # fmt: skip


def _prometheus(program: str, servers: Servers) -> list[str]:
    return [
        program, f"--config.file={servers.folder / PROMETHEUS_FILE}", f"--storage.tsdb.path={servers.folder / 'tsdb'}",
        f"--web.listen-address={servers.prometheus.removeprefix('http://')}", "--web.enable-lifecycle",
    ]  # fmt: skip


def post(url: str, payload: Any = None) -> Any:
    body = b"" if payload is None else json.dumps(payload).encode()
    request = Request(url, data=body, headers={"Content-Type": "application/json"}, method="POST")
    with urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text.startswith(b"{") else text


@dataclass
class Report:
    """The findings of one look."""

    code: int
    findings: list[dict[str, str]]

    def of(self, what: str) -> list[tuple[str, str]]:
        """Return status and words of what was found about one thing."""
        return [(f["status"], f["said"]) for f in self.findings if f["what"] == what]

    def fix(self, what: str) -> str:
        return next(f["fix"] for f in self.findings if f["what"] == what and f["status"] == "PROBLEM")

    @property
    def problems(self) -> list[str]:
        return [f["what"] for f in self.findings if f["status"] == "PROBLEM"]


@pytest.fixture
def doctor(command: Any) -> Callable[..., Report]:
    def look(*argv: object) -> Report:
        ran = command("doctor", *argv, "--format", "json")
        assert ran.err == ""
        report = json.loads(ran.out)
        assert report["ok"] == (ran.code == 0)
        assert all(bool(f["fix"]) == (f["status"] == "PROBLEM") for f in report["findings"])
        return Report(ran.code, report["findings"])

    return look


def recorded(storage: Path, **config: Any) -> None:
    """Record something, by an application that is gone."""
    with ProductionMonitoringService(storage_path=storage, background=False) as service:
        service.register_model({"model_id": "ads", **config})
        service.record_prediction("ads", 0.5, {"bid": 1.0})
        service.flush()
