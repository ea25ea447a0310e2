"""`modelwatch doctor` says of each thing whether it is well, and of what is not, what to do; nothing hides the rest."""

from __future__ import annotations

import json
import os
import runpy
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.cli.checkups.finding import Finding, Patient, Status, ok, run_checkups, together
from modelwatch.config import MonitoringConfig
from modelwatch.demo.servers import HOST
from modelwatch.demo.sinks import SlackSink, SmtpSink, WebhookSink

PEERS = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
Report, email, recorded = PEERS["Report"], PEERS["email"], PEERS["recorded"]

SECONDS = 20.0
MODEL_IDS = ('ads "1"', "quiet")
NOWHERE = ("--app", "http://127.0.0.1:9", "--sidecar", "http://127.0.0.1:9")


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
    assert [report.of(w)[0][0] for w in ("checks", "last scrape")] == ["SKIPPED"] * 2
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
    assert report.problems == ["storage", "application", "sidecar"]
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


def test_what_a_configuration_that_cannot_be_read_says_is_not_guessed(
    write: Callable[..., Path], doctor: Any, tmp_path: Path
) -> None:
    write(alerting={"mode": "prometheus"}, models=[{"model_id": "m", "sampling_rate": 2}])
    with serving(tmp_path / "s") as (_, url):
        report = doctor("--storage", tmp_path / "s", "--app", url)
    unknown = "alerting.mode is not known, as the configuration can't be read"
    assert report.of("Prometheus") == [("SKIPPED", f"{unknown} (--prometheus URL looks)")]
    assert report.of("Alertmanager") == [("SKIPPED", f"{unknown} (--alertmanager URL looks)")]
    assert report.of("last scrape") == [("SKIPPED", f"NEVER; {unknown}")]
    assert report.of("who is told") == report.of("channels") == [("SKIPPED", "the configuration can't be read")]
    assert not any("mode is direct" in finding["said"] for finding in report.findings)


# ── addresses that somebody gave ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "garbage", "http://[", ""])
@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("--app", "application"),
        ("--sidecar", "sidecar"),
        ("--prometheus", "Prometheus"),
        ("--alertmanager", "Alertmanager"),
    ],
)
def test_who_does_not_answer_at_an_address_that_was_given_is_a_problem(
    write: Callable[..., Path], doctor: Any, tmp_path: Path, option: str, what: str, address: str
) -> None:
    write(models=[])
    report = doctor("--storage", tmp_path / "s", option, address)
    [(status, said)] = report.of(what)
    assert (status, "failed: " in said) == ("PROBLEM", False)
    assert option in report.fix(what)


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
    assert report.of("application")[0] == ("PROBLEM", f"no metrics at {address}: it answered 405")
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
