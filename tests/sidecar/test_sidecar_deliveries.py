"""Alerts whose handlers live in applications: found by the sidecar, delivered there, by one worker each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# A worker of an application: its handler writes what it gets, and its name, to a file.
WORKER = """
import json, os, sys
from pathlib import Path
from modelwatch import ProductionMonitoringService

folder, told, model = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])

def pager(alert):
    line = json.dumps([os.getpid(), alert["status"], alert["level"], alert["message"]]) + "\\n"
    with told.open("a") as file:
        file.write(line)

with ProductionMonitoringService(storage_path=folder, alert_handlers={"pager": pager}) as service:
    service.register_model(model)
    service.record_prediction(model["model_id"], 0.5, {"distance": 900.0, "carrier": "UA"})
    service.flush()
    print("serving", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def start_worker(storage: Path, tmp_path: Path, watched: Any) -> Iterator[Any]:
    workers: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(storage), str(tmp_path / "told"), json.dumps(watched)]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        workers.append(worker)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "serving\n"
        return worker

    yield start
    for worker in workers:
        worker.communicate(timeout=20)


def _told(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_each_alert_is_delivered_by_one_of_two_workers(
    make_sidecar: Any, make_app: Any, start_worker: Any, watched: Any, serve: Any, wait_until: Any, tmp_path: Path
) -> None:
    recorder = make_app()
    recorder.register_model(watched)
    serve(recorder, kilometres=True)
    sidecar = make_sidecar()
    for _ in range(2):
        start_worker()
    told = tmp_path / "told"
    store = recorder._parts.store
    wait_until(lambda: any(level == "error" for _, _, level, _ in _told(told)), 30)
    assert "distance" in _told(told)[0][3]
    before = sidecar.sample(CHECKS)
    wait_until(lambda: (sidecar.sample(CHECKS) or 0) >= (before or 0) + 3)
    levels = [level for _, status, level, _ in _told(told) if status == "firing"]
    assert levels in (["error"], ["warning", "error"]), "each by one worker, once"
    wait_until(lambda: store.notification_counts().get("pager") == (len(levels), 0))
    assert store.claim_deliveries(["pager"], "nobody", time.time() + 1e6) == []


CHECKS = 'modelwatch_drift_checks_total{model_id="flights"'


def test_an_alert_waits_for_an_application_that_restarts(
    make_sidecar: Any, make_app: Any, watched: Any, serve: Any, wait_until: Any
) -> None:
    heard: list[dict[str, Any]] = []
    app = make_app()
    app.register_model(watched)
    serve(app, kilometres=True)
    store = app._parts.store
    store.announce_channels(["pager"], time.time())  # the application was there a moment ago
    sidecar = make_sidecar()
    assert "pager" in sidecar.sidecar.watch.routes.channels
    wait_until(lambda: store.active_alerts("flights"), 20)
    wait_until(lambda: store.active_alerts("flights")[0].severity == 3, 20)

    app.close()
    again = make_app(alert_handlers={"pager": heard.append}, background=True)
    claims = again._parts.claims
    wait_until(lambda: claims.round(time.time()) < 0 or len(heard) >= 2)
    assert [(a["status"], a["level"]) for a in heard] == [("firing", "warning"), ("firing", "error")]


def test_who_closes_with_an_undelivered_alert_gives_it_back(make_app: Any, wait_until: Any) -> None:
    def hangs(alert: dict[str, Any]) -> None:
        raise ConnectionError("not now")

    app = make_app(alert_handlers={"pager": hangs}, background=True)
    store, claims = app._parts.store, app._parts.claims
    store.enqueue_delivery("pager", {"fingerprint": "f", "message": "x", "data": {}}, time.time())
    assert claims.round(time.time()) == 1
    app.close()
    other = make_app()
    assert len(other._parts.store.claim_deliveries(["pager"], "other", time.time())) == 1


def test_a_channel_that_nobody_announces_any_more_is_not_counted_on(make_sidecar: Any, make_app: Any) -> None:
    store = make_app()._parts.store
    store.announce_channels(["gone"], time.time() - 400)
    store.enqueue_delivery("gone", {"fingerprint": "f"}, time.time() - 2 * 86400)
    sidecar = make_sidecar()
    assert sidecar.sidecar.watch.routes.channels == {"log"}
    assert sidecar.sample('modelwatch_notification_failures_total{channel="gone"}') == 1.0
