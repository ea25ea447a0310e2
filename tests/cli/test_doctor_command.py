"""`modelwatch doctor` says of each thing whether it is well, and of what is not, what to do; nothing hides the rest."""

from __future__ import annotations

import json
import os
import re
import runpy
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.cli.checkups.finding import Finding, Patient, Status, ok, run_checkups, together
from modelwatch.config import MonitoringConfig
from modelwatch.demo.servers import HOST, Server, free_port
from modelwatch.demo.sinks import SlackSink, SmtpSink, WebhookSink

PEERS = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
email, post = PEERS["email"], PEERS["post"]

SECONDS = 20.0
MODEL_IDS = ('ads "1"', "quiet")
NOWHERE = ("--app", "http://127.0.0.1:9", "--sidecar", "http://127.0.0.1:9")


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


# ── a world where all is well ────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class World:
    """An application, a sidecar on its storage, and the servers that watch both."""

    servers: Any
    storage: Path
    argv: tuple[object, ...]


@pytest.fixture(scope="module")
def world(servers: Any, tmp_path_factory: pytest.TempPathFactory, wait_until: Any) -> Iterator[World]:
    storage = tmp_path_factory.mktemp("world") / "s"
    sidecar = f"http://{HOST}:{servers.sidecar_port}"
    with ExitStack() as stack:
        service = stack.enter_context(ProductionMonitoringService(servers.config, storage, background=False))
        for model_id in MODEL_IDS:
            service.record_prediction(model_id, 0.5, {"bid": 1.0})
        service.flush()
        service.start_metrics_server(servers.app_port)
        argv = [
            sys.executable,
            "-m",
            "modelwatch",
            "sidecar",
            "--config",
            str(servers.config),
            "--storage",
            str(storage),
        ]
        argv += ["--listen", f"{HOST}:{servers.sidecar_port}"]
        log = servers.folder / "sidecar.log"
        stack.enter_context(Server("sidecar", argv, log, f"{sidecar}/-/ready")).wait_ready()
        made = World(
            servers, storage,
            ("--config", servers.config, "--storage", storage, "--app", f"http://{HOST}:{servers.app_port}",
             "--sidecar", sidecar, "--prometheus", servers.prometheus),
        )  # fmt: skip
        wait_until(lambda: _scraped(servers.prometheus) == {"up"}, SECONDS)
        yield made


def _scraped(prometheus: str) -> set[str]:
    with urlopen(f"{prometheus}/api/v1/targets", timeout=5) as answer:
        return {target["health"] for target in json.loads(answer.read())["data"]["activeTargets"]}


@pytest.mark.e2e
def test_where_all_is_well_every_line_says_so(world: World, doctor: Any, command: Any) -> None:
    report = doctor(*world.argv)
    # Whose warnings reach nobody is what the configuration says.
    assert report.problems == ["who is told"]
    [first, second, third] = report.of("scrapes")[:2] + report.of("exposed twice")
    assert re.fullmatch(r"modelwatch-app \S+: last scraped \d+ s ago", first[1])
    assert re.fullmatch(r"modelwatch-sidecar \S+: last scraped \d+ s ago", second[1])
    assert third == ("OK", "no: one target for each storage")
    [rules] = report.of("rules")
    assert rules[0] == "OK"
    assert rules[1].endswith("in 5 groups, as generated from this configuration (--timing test)")
    assert report.of("evaluation")[0][0] == report.of("last scrape")[0][0] == "OK"
    assert report.of("alertmanagers") == [("OK", f"Prometheus tells {world.servers.alertmanager}/api/v2/alerts")]
    assert report.of("Alertmanager")[0][1].startswith(f"{world.servers.alertmanager} is ready, version ")
    assert report.of("routing")[0][0] == "OK"
    assert report.of("checks")[0][1].startswith("a sidecar runs them (process ")
    assert report.of("models")[0][1].startswith("2 recorded; last prediction ")
    assert report.of("application")[0][1].endswith(" serves recordings of 2 models")
    assert report.of("sidecar")[0][1].endswith(" serves results")
    assert {f["status"] for f in report.findings if f["what"].startswith("channel ")} == {"OK"}
    ran = command("doctor", *world.argv)
    assert ran.code == 1
    assert "OK scrapes modelwatch-app" in "\n".join(ran.lines)
    assert ran.lines[-1] == "1 problem"


@pytest.mark.e2e
def test_rules_of_another_configuration_are_found_out(
    world: World, doctor: Any, write: Callable[..., Path], hook: WebhookSink
) -> None:
    other = write(
        alerting={"mode": "prometheus", "receivers": {"pager": {"type": "webhook", "url": hook.url}}},
        models=[{"model_id": "renamed", "alert_channels": ["pager"]}],
    )
    report = doctor(*world.argv, "--config", other)
    assert report.of("rules") == [("PROBLEM", "loaded, but 1 differ from this configuration: MLModelNoPredictions")]
    assert report.fix("rules") == "modelwatch rules generate, and reload Prometheus"
    assert report.of("routing") == [("PROBLEM", "it lacks receivers of this configuration: pager")]
    assert ("PROBLEM", "never recorded here: renamed") in report.of("models")


@pytest.mark.e2e
def test_rules_beside_direct_messages_would_tell_people_twice(
    world: World, doctor: Any, write: Callable[..., Path]
) -> None:
    direct = write(models=[{"model_id": "quiet", "alert_channels": ["log"]}])
    report = doctor(*world.argv, "--config", direct)
    [(status, said)] = report.of("rules")
    assert (status, said[-21:]) == ("PROBLEM", "people are told twice")
    assert report.of("Alertmanager")[0][0] == "SKIPPED"


@pytest.mark.e2e
def test_another_storage_than_the_one_that_is_served_is_found_out(world: World, doctor: Any, tmp_path: Path) -> None:
    recorded(tmp_path / "other")
    report = doctor(*world.argv, "--storage", tmp_path / "other")
    assert [f["said"] for f in report.findings if "shows another storage" in f["said"]]
    assert ("PROBLEM", f"Prometheus knows modelwatch, but not the storage {tmp_path / 'other'}") in report.of("scrapes")
    assert report.of("checks")[0] == (
        "PROBLEM", "nobody runs them: no sidecar, and no application with a background thread, is alive"
    )  # fmt: skip


@pytest.mark.e2e
def test_a_prometheus_that_does_not_know_us_means_that_nobody_is_alerted(
    world: World, doctor: Any, require_server: Any, tmp_path: Path
) -> None:
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    url = f"http://{HOST}:{free_port()}"
    argv = [
        require_server("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address={url.removeprefix('http://')}",
    ]  # fmt: skip
    with Server("Prometheus", argv, tmp_path / "log", f"{url}/-/ready") as server:
        server.wait_ready()
        report = doctor(*world.argv, "--prometheus", url, "--alertmanager", world.servers.alertmanager)
    assert report.of("scrapes") == [("PROBLEM", "NEVER: no target of modelwatch; nobody will be alerted")]
    assert report.of("rules") == [("PROBLEM", "none of our rules are loaded: nobody will be alerted")]
    assert report.of("alertmanagers") == [("PROBLEM", "Prometheus knows none: nobody will be alerted")]
    assert report.of("Alertmanager")[0][0] == "OK"


# ── nothing runs ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["direct", "prometheus"])
def test_with_nothing_running_all_is_looked_at_nevertheless(
    write: Callable[..., Path], doctor: Any, tmp_path: Path, mode: str
) -> None:
    write(alerting={"mode": mode}, models=[{"model_id": "ads", "alert_channels": ["pager"]}])
    ports = ("--prometheus", "http://127.0.0.1:9", "--alertmanager", "http://127.0.0.1:9")
    begun = time.monotonic()
    report = doctor("--storage", tmp_path / "none", *NOWHERE, *(ports if mode == "prometheus" else ()))
    assert time.monotonic() - begun < SECONDS
    assert report.code == 1
    assert report.of("storage")[0][0] == "PROBLEM"
    assert report.fix("storage") == f"start the application with it: export MODELWATCH_STORAGE={tmp_path / 'none'}"
    assert [report.of(w)[0][0] for w in ("checks", "application", "sidecar", "last scrape")] == ["SKIPPED"] * 4
    watched = report.of("Prometheus")[0]
    if mode == "direct":
        assert watched[0] == "SKIPPED"
    else:
        refused = "Prometheus can't be reached: Connection refused; nobody will be alerted"
        assert watched == ("PROBLEM", f"http://127.0.0.1:9: {refused}")
        assert report.of("Alertmanager")[0][0] == "PROBLEM"
    assert report.of("channel pager") == [("PROBLEM", "has no receiver, and ads names it")]
    assert not (tmp_path / "none").exists()


def test_nothing_at_all_is_configured(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    write(models=[]).unlink()
    report = doctor("--storage", tmp_path / "none", *NOWHERE)
    assert report.problems == ["storage"]
    assert report.of("configuration")[0][0] == "SKIPPED"


def test_a_configuration_with_mistakes_hides_nothing_else(
    write: Callable[..., Path], doctor: Any, tmp_path: Path
) -> None:
    path = write(models=[{"model_id": "m", "sampling_rate": 2, "retention_days": 0}])
    recorded(tmp_path / "s")
    report = doctor("--storage", tmp_path / "s", *NOWHERE)
    [(status, said)] = report.of("configuration")
    assert (status, said[-12:]) == ("PROBLEM", "(and 1 more)")
    assert report.fix("configuration") == f"modelwatch check-config {path.name}"
    assert report.of("database")[0][0] == "OK"


# ── the storage ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_storage_that_works_is_described(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    write(models=[{"model_id": "ads", "alert_channels": ["log"]}, {"model_id": "late", "alert_channels": ["log"]}])
    recorded(tmp_path / "s")
    report = doctor("--storage", tmp_path / "s", *NOWHERE)
    assert report.of("storage")[0][1].startswith(f"{tmp_path / 's'}, ")
    assert report.of("size")[0][0] == "OK"
    assert report.of("models")[0][1].endswith("(ads)")
    assert report.of("models")[1] == ("PROBLEM", "never recorded here: late")
    assert report.fix("checks") == f"start one, for example: modelwatch sidecar --storage {tmp_path / 's'}"


def test_an_application_that_runs_the_checks_counts(
    write: Callable[..., Path], doctor: Any, tmp_path: Path, wait_until: Any
) -> None:
    write(models=[])
    with ProductionMonitoringService(storage_path=tmp_path / "s") as service:
        service.register_model({"model_id": "ads"})
        wait_until(lambda: service.get_service_status()["checks"]["runs_here"], SECONDS)
        wait_until(lambda: doctor("--storage", tmp_path / "s", *NOWHERE).of("checks")[0][0] == "OK", SECONDS)
        report = doctor("--storage", tmp_path / "s", *NOWHERE)
    assert report.of("checks") == [("OK", f"an application runs them (process {os.getpid()})")]


def test_a_damaged_database_is_told_and_left_as_it_is(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    write(models=[])
    recorded(tmp_path / "s")
    database = tmp_path / "s" / "modelwatch.db"
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    database.write_bytes(b"no database at all" * 1000)
    report = doctor("--storage", tmp_path / "s", *NOWHERE)
    [(status, said)] = report.of("database")
    assert (status, "is damaged" in said) == ("PROBLEM", True)
    assert database.read_bytes().startswith(b"no database")
    assert [path.name for path in database.parent.glob("*damaged*")] == []


def test_a_database_of_another_release_is_told(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    write(models=[])
    recorded(tmp_path / "s")
    with sqlite3.connect(tmp_path / "s" / "modelwatch.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    report = doctor("--storage", tmp_path / "s", *NOWHERE)
    assert "has schema 99" in report.of("database")[0][1]


def test_checks_that_stopped_succeeding_are_told(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    write(models=[])
    recorded(tmp_path / "s")
    with ProductionMonitoringService(
        storage_path=tmp_path / "s", background=False, clock=lambda: time.time() - 9e4
    ) as s:
        s.register_model({"model_id": "ads"})
        assert s._parts.jobs is not None
        s._parts.jobs.check("ads", time.time() - 9e4)
    report = doctor("--storage", tmp_path / "s", *NOWHERE)
    assert report.of("last check") == [("PROBLEM", "too long ago: ads (1 day 1 h ago)")]


def test_a_size_above_the_cap_is_told(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    write(storage={"max_size": "1kB"}, models=[])
    recorded(tmp_path / "s")
    assert doctor("--storage", tmp_path / "s", *NOWHERE).of("size")[0][0] == "PROBLEM"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    write(models=[])
    recorded(tmp_path / "s")
    (tmp_path / "s").chmod(0o500)
    try:
        assert "can't be written" in doctor("--storage", tmp_path / "s", *NOWHERE).of("storage")[0][1]
    finally:
        (tmp_path / "s").chmod(0o700)


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def serving(storage: Path) -> Iterator[tuple[ProductionMonitoringService, str]]:
    with ProductionMonitoringService(storage_path=storage, background=False) as service:
        service.register_model({"model_id": "ads"})
        yield service, f"http://{HOST}:{service.start_metrics_server(0)}"


def test_looking_is_no_scrape(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    write(alerting={"mode": "prometheus"}, models=[])
    with serving(tmp_path / "s") as (_, url):
        argv = ("--storage", tmp_path / "s", *NOWHERE, "--app", url)
        for _ in range(2):
            assert doctor(*argv).of("last scrape") == [("PROBLEM", "NEVER: nobody will be alerted")]
        with urlopen(f"{url}/metrics", timeout=5) as answer:
            answer.read()
        [(status, said)] = doctor(*argv).of("last scrape")
        assert (status, said[:27]) == ("OK", "results were last read 0 s ")


def test_recordings_that_are_exposed_twice_are_found_out(
    write: Callable[..., Path], doctor: Any, tmp_path: Path
) -> None:
    write(models=[])
    with (
        serving(tmp_path / "s") as (_, one),
        serving(tmp_path / "s") as (_, other),
        serving(tmp_path / "t") as (_, far),
    ):
        argv = ("--storage", tmp_path / "s", *NOWHERE)
        assert "exposed twice" in doctor(*argv, "--app", one, "--sidecar", other).problems
        report = doctor(*argv, "--app", one, "--sidecar", far)
    assert "exposed twice" not in report.problems
    assert "shows another storage" in report.of("sidecar")[0][1]


def test_another_program_at_an_address_is_not_taken_for_ours(
    write: Callable[..., Path], doctor: Any, tmp_path: Path, hook: WebhookSink
) -> None:
    write(alerting={"mode": "prometheus"}, models=[])
    address = f"http://{HOST}:{hook.port}"
    where = ("--app", address, "--sidecar", address, "--prometheus", address, "--alertmanager", address)
    report = doctor("--storage", tmp_path / "s", *where)
    assert report.of("application")[0][0] == "SKIPPED"
    assert report.of("Prometheus")[0][0] == report.of("Alertmanager")[0][0] == "PROBLEM"


# ── channels ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_channel_is_tried_without_sending_anything(
    write: Callable[..., Path], doctor: Any, tmp_path: Path, mailbox: SmtpSink, chat: SlackSink, hook: WebhookSink
) -> None:
    (tmp_path / "slack_url").write_text(chat.url)
    (tmp_path / "dead_url").write_text("http://127.0.0.1:9/S3CRET")
    before = len(mailbox.messages), chat.requests, hook.requests
    write(
        alerting={
            "receivers": {
                "email": email(mailbox),
                "slack": {"url_file": "slack_url"},
                "hook": {"type": "webhook", "url": hook.url},
                "dead": {"type": "webhook", "url_file": "dead_url"},
                "lost": {"type": "pagerduty", "routing_key_file": "nowhere"},
            }
        },
        models=[{"model_id": "m"}],
    )
    report = doctor("--storage", tmp_path / "s", *NOWHERE)
    assert report.of("channel email") == [("OK", f"{mailbox.address} answers")]
    assert report.of("channel slack") == [("OK", "Slack's server answers")]
    assert report.of("channel hook") == [("OK", f"{HOST}:{hook.port} answers")]
    assert report.of("channel dead") == [("PROBLEM", "its server can't be reached from here: Connection refused")]
    assert "routing_key_file" in report.of("channel lost")[0][1]
    assert report.fix("channel dead").endswith("modelwatch alerts test --channel dead --model ID --severity critical")
    assert (len(mailbox.messages), chat.requests, hook.requests) == before
    assert not any(secret in json.dumps(report.findings) for secret in ("S3CRET", "/services/"))


def test_a_channel_that_an_application_serves_needs_no_receiver(
    write: Callable[..., Path], doctor: Any, tmp_path: Path
) -> None:
    write(models=[{"model_id": "ads", "alert_channels": ["pager"]}])
    with ProductionMonitoringService(storage_path=tmp_path / "s", background=False) as service:
        assert service._parts.store is not None
        service._parts.store.announce_channels(["pager"], time.time())
    report = doctor("--storage", tmp_path / "s", *NOWHERE)
    assert report.of("channel pager") == [("OK", "an application serves it by its own handler")]


# ── one that fails, or hangs, hides no other ─────────────────────────────────────────────────────────────────────────


def patient(tmp_path: Path) -> Patient:
    return Patient(MonitoringConfig(), False, tmp_path, None, 0.0, "", "")


def test_a_checkup_that_fails_is_a_finding_and_holds_up_no_other(tmp_path: Path) -> None:
    def fails(_: Patient) -> list[Finding]:
        raise ValueError("https://hooks.example.com/S3CRET is odd")

    found = run_checkups([("bad", fails), ("good", lambda _: [ok("good", "fine")])], patient(tmp_path))
    assert [(f.what, f.status) for f in found] == [("bad", Status.PROBLEM), ("good", Status.OK)]
    assert found[0].said == "looking at it failed: ValueError: <url> is odd"


def test_what_hangs_is_waited_for_only_so_long() -> None:
    never = threading.Event()
    try:
        assert together([never.wait, lambda: True], 0.05) == [None, True]
    finally:
        never.set()


def test_a_server_that_never_answers_costs_seconds(
    write: Callable[..., Path], doctor: Any, silent_peer: Any, tmp_path: Path
) -> None:
    write(alerting={"mode": "prometheus"}, models=[])
    address = silent_peer.url.removesuffix("/hook")
    begun = time.monotonic()
    where = ("--app", address, "--sidecar", address, "--prometheus", address, "--alertmanager", address)
    report = doctor("--storage", tmp_path / "s", *where)
    assert time.monotonic() - begun < 12
    assert {report.of(what)[0][0] for what in ("Prometheus", "Alertmanager")} == {"PROBLEM"}


def test_the_overview_of_the_command_line_stays_light() -> None:
    code = (
        "import sys; from modelwatch.cli.main import build_parser; text = build_parser().format_help();"
        "heavy = {'scipy', 'sqlalchemy', 'aiohttp', 'pandas', 'pyarrow', 'smtplib', 'modelwatch_rules'};"
        "print(sorted(heavy & sys.modules.keys()), 'doctor' in text, 'alerts test' in text)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[] True True\n"
