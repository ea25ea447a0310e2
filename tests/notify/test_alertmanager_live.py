"""A real Alertmanager below a path prefix: what fires is listed by its API, what is over is not, and nobody is lost."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.config import AlertmanagerReceiver, MonitoringConfig
from modelwatch.conventions import ALERT_BELOW_FLOOR, ALERT_DATA_DRIFT, ALERT_SENT_BY_HAND
from modelwatch.demo.sinks import WebhookSink
from modelwatch.notify.alertmanager import AlertmanagerHandler
from modelwatch.notify.engine import AlertEngine, Condition
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.messages import plain_text
from modelwatch.notify.outbox import Outbox
from modelwatch.policy import Severity
from modelwatch.store import StoreWriter
from modelwatch.store.alerts import epoch_seconds

pytestmark = pytest.mark.e2e

SECONDS = 20.0
HOSTILE = 'ad_score "v1" \\ {{ $value }} <b>🚀'
RUNBOOK = ("Runbook", "https://wiki.example.com/drift?a=b&c=d")
DASHBOARD = ("Dashboard", "https://grafana.example.com/d/1")
CONFIG = """
global: {resolve_timeout: 5s}
route: {receiver: hook, group_by: [alertname, model_id], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: "HOOK", send_resolved: true}]}]
"""


class Alertmanager:
    """An Alertmanager that can be stopped, forgetting everything, and started again."""

    def __init__(self, program: str, folder: Path, hook_url: str, wait_until: Any) -> None:
        self._program, self._folder, self._wait_until = program, folder, wait_until
        (folder / "alertmanager.yml").write_text(CONFIG.replace("HOOK", hook_url))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{self._address}/am"
        self._starts = 0
        self.start()

    def start(self) -> None:
        self._starts += 1
        command = [
            self._program, f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / f'data-{self._starts}'}", f"--web.listen-address={self._address}",
            "--cluster.listen-address=", f"--web.external-url={self.url}", "--web.route-prefix=/am",
        ]  # fmt: skip
        with (self._folder / "log.txt").open("a") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        self._wait_until(lambda: self._process.poll() is not None or self._is_ready(), 30.0)
        assert self._process.poll() is None, (self._folder / "log.txt").read_text()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def alerts(self, alertname: str = "") -> list[dict[str, Any]]:
        with urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found = json.loads(answer.read())
        return [alert for alert in found if alertname in ("", alert["labels"]["alertname"])]

    def labels(self, alertname: str = "") -> list[dict[str, str]]:
        return sorted((alert["labels"] for alert in self.alerts(alertname)), key=str)


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with WebhookSink() as sink:
        yield sink


@pytest.fixture
def manager(
    require_server: Callable[[str], str], tmp_path: Path, hook: WebhookSink, wait_until: Any
) -> Iterator[Alertmanager]:
    made = Alertmanager(require_server("alertmanager"), tmp_path, hook.url, wait_until)
    yield made
    made.stop()


class World:
    """An engine whose only channel is Alertmanager; its clock begins an hour ago, so that no end lies in the future."""

    def __init__(self, store: StoreWriter, manager: Alertmanager, clock: Any) -> None:
        self.clock = clock
        self.clock.now = time.time() - 3600.0
        self.outbox = Outbox({"alertmanager": AlertmanagerHandler(AlertmanagerReceiver(url=f"{manager.url}/"))})
        self.engine = AlertEngine(store, self.outbox, lambda severity, model: ("alertmanager",), clock=clock)

    def update(self, *conditions: Condition) -> None:
        self.engine.update(HOSTILE, conditions, self.clock())
        assert self.outbox.flush(SECONDS)


@pytest.fixture
def world(store: StoreWriter, manager: Alertmanager, clock: Any) -> Iterator[World]:
    made = World(store, manager, clock)
    yield made
    made.outbox.close()


def condition(severity: Severity, name: str = ALERT_DATA_DRIFT, subject: str = "") -> Condition:
    text = plain_text(severity.label, f"it is off, {severity.label}\nsecond fact", HOSTILE)
    return Condition(
        alertname=name, model_id=HOSTILE, model_version="v7", type="data_drift", severity=severity,
        text=replace(text, links=(DASHBOARD, RUNBOOK)), data={"model_id": HOSTILE, "metric": subject}, subject=subject,
    )  # fmt: skip


def drift(severity: str) -> dict[str, str]:
    return {"alertname": ALERT_DATA_DRIFT, "severity": severity, "model_id": HOSTILE, "model_version": "v7"}


def test_what_fires_is_listed_rises_and_disappears_when_it_is_over(
    world: World, manager: Alertmanager, hook: WebhookSink
) -> None:
    world.update(condition(Severity.WARNING))
    [listed] = manager.alerts()
    assert listed["labels"] == drift("warning")
    assert listed["annotations"] == {
        "summary": f"{HOSTILE}: it is off, warning", "description": "second fact",
        "runbook_url": RUNBOOK[1], "dashboard_url": DASHBOARD[1],
    }  # fmt: skip
    assert listed["generatorURL"] == DASHBOARD[1]
    assert listed["status"]["state"] in ("active", "unprocessed")
    hook.wait_for(lambda m: m["status"] == "firing" and m["commonLabels"]["severity"] == "warning", SECONDS)

    world.clock.advance(60)
    world.update(condition(Severity.CRITICAL))
    assert manager.labels() == [drift("critical")]

    world.clock.advance(60)
    world.update()
    assert manager.alerts() == []
    over = hook.wait_for(lambda m: m["status"] == "resolved", SECONDS)
    assert over["alerts"][0]["annotations"]["runbook_url"] == RUNBOOK[1]


def test_what_is_watched_outlives_the_resolve_timeout_and_what_was_sent_by_hand_does_not(
    world: World, manager: Alertmanager, wait_until: Any
) -> None:
    world.update(condition(Severity.ERROR))
    by_hand = {"status": "firing", "level": "error", "message": "x", "alert_id": "a1", "fingerprint": "f1"}
    now = datetime.now(timezone.utc).isoformat()
    AlertmanagerHandler(AlertmanagerReceiver(url=manager.url))({**by_hand, "timestamp": now, "starts_at": now})
    assert len(manager.alerts()) == 2
    wait_until(lambda: not manager.alerts(ALERT_SENT_BY_HAND), SECONDS)
    [listed] = manager.alerts()
    assert listed["labels"] == drift("error")
    assert epoch_seconds(listed["endsAt"]) - world.clock() == pytest.approx(86400.0, abs=1.0)


def test_one_that_was_restarted_learns_at_the_next_look_what_fires(world: World, manager: Alertmanager) -> None:
    world.update(condition(Severity.ERROR))
    manager.stop()
    manager.start()
    assert manager.alerts() == []
    world.clock.advance(60)
    world.update(condition(Severity.ERROR))
    assert manager.labels() == [drift("error")]


def test_metrics_of_one_model_are_alerts_of_their_own(world: World, manager: Alertmanager) -> None:
    auc, f1 = (condition(Severity.ERROR, ALERT_BELOW_FLOOR, metric) for metric in ("auc", "f1"))
    world.update(auc, f1)
    assert [labels["metric"] for labels in manager.labels(ALERT_BELOW_FLOOR)] == ["auc", "f1"]
    world.clock.advance(60)
    world.update(f1)
    assert [labels["metric"] for labels in manager.labels(ALERT_BELOW_FLOOR)] == ["f1"]


def test_each_alert_that_is_sent_by_hand_is_listed_and_told(
    manager: Alertmanager, hook: WebhookSink, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(f"{manager.url}\n")
    receivers = {"alertmanager": {"url_file": str(tmp_path / "url")}}
    config = MonitoringConfig.model_validate({"alerting": {"receivers": receivers}})
    with ProductionMonitoringService(storage_path=tmp_path / "s", config=config, background=False) as service:
        service.register_model({"model_id": HOSTILE})
        for message in ("retraining starts", "retraining failed"):
            answer = service.send_alert("warning", message, {"model_id": HOSTILE, "drift": {"score": float("nan")}})
            assert answer["channels"] == {"alertmanager": "sent"}
    listed = manager.alerts(ALERT_SENT_BY_HAND)
    assert {a["annotations"]["summary"].removeprefix(f"{HOSTILE}: ") for a in listed} == {
        "retraining starts", "retraining failed",
    }  # fmt: skip
    assert {a["labels"]["model_id"] for a in listed} == {HOSTILE}
    hook.wait_for(lambda m: len({a["labels"]["alert_id"] for a in m["alerts"]}) == 2, SECONDS)


def test_a_wrong_path_is_said_without_the_address(manager: Alertmanager, tmp_path: Path) -> None:
    send = AlertmanagerHandler(AlertmanagerReceiver(url=manager.url.replace("/am", "/elsewhere-S3CRET")))
    alert = {"status": "firing", "level": "error", "message": "x", "timestamp": "2026-11-24T07:10:00+00:00"}
    with pytest.raises(NotifyError, match="Alertmanager answered 404") as caught:
        send(alert)
    assert "S3CRET" not in str(caught.value)
    assert not caught.value.permanent
