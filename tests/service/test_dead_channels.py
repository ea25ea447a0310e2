"""A channel that never answers, on a real socket, beside ones that do: nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.config import MonitoringConfig, PagerDutyReceiver
from modelwatch.demo.sinks import PagerDutySink, WebhookSink
from modelwatch.notify.pagerduty import PagerDutyHandler
from modelwatch.service import actions

MakeService = Callable[..., ProductionMonitoringService]
KEY = "0123456789abcdef0123456789abcdef"
CHANNELS = ["dead", "alive", "pagerduty"]


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with WebhookSink() as sink:
        yield sink


@pytest.fixture
def pager() -> Iterator[PagerDutySink]:
    with PagerDutySink(KEY) as sink:
        yield sink


@pytest.fixture
def make(
    make_service: MakeService, hook: WebhookSink, pager: PagerDutySink, tmp_path: Path
) -> Callable[[Any], ProductionMonitoringService]:
    """Return a factory of services with a dead webhook, a live one, and PagerDuty."""

    def build(silent_peer: Any) -> ProductionMonitoringService:
        (tmp_path / "key").write_text(KEY)
        (tmp_path / "hook").write_text(hook.url)
        receivers = {
            "dead": {"type": "webhook", "url": silent_peer.url},
            "alive": {"type": "webhook", "url_file": str(tmp_path / "hook")},
            "pagerduty": {"routing_key_file": str(tmp_path / "key"), "min_severity": "error"},
        }
        service = make_service(
            config=MonitoringConfig.model_validate({"alerting": {"receivers": receivers}}), alert_handlers={}
        )
        receiver = PagerDutyReceiver(routing_key_file=str(tmp_path / "key"))
        service.register_alert_handler("pagerduty", PagerDutyHandler(receiver, api_url=pager.url))
        service.register_model(
            {"model_id": "flights", "performance_threshold": {"error_rate": 0.02}, "alert_channels": CHANNELS}
        )
        return service

    return build


def test_send_alert_reaches_the_others_while_it_hangs(
    make: Any, hook: WebhookSink, pager: PagerDutySink, silent_peer: Any, wait_until: Any
) -> None:
    service = make(silent_peer)
    answers: list[dict[str, Any]] = []
    call = threading.Thread(
        target=lambda: answers.append(service.send_alert("error", "it is off", {"model_id": "flights"}))
    )
    call.start()
    hook.wait_for(lambda body: body["message"] == "it is off")
    pager.wait_for(lambda event: event["payload"]["summary"] == "flights: it is off")
    wait_until(lambda: silent_peer.connections)
    assert call.is_alive(), "only who asks for the outcome waits for the dead channel, and not for long"
    silent_peer.close()  # what follows need not take the five seconds
    call.join(10)
    assert answers[0]["channels"].items() >= {"alive": "sent", "pagerduty": "sent"}.items()
    assert answers[0]["channels"]["dead"].startswith("failed: webhook")


def test_after_a_while_send_alert_answers_that_the_dead_one_is_queued(
    make: Any, silent_peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "WAIT_SECONDS", 0.3)
    answer = make(silent_peer).send_alert("error", "it is off", {"model_id": "flights"})
    assert answer["channels"] == {"dead": "queued", "alive": "sent", "pagerduty": "sent"}
    silent_peer.close()


def test_scheduled_checks_tell_the_others_that_it_fires_and_is_over(
    make: Any, hook: WebhookSink, pager: PagerDutySink, silent_peer: Any, clock: Any, wait_until: Any
) -> None:
    service = make(silent_peer)
    jobs = service._parts.jobs
    for _ in range(2):
        for i in range(200):
            service.record_prediction("flights", 0.5, {"a": 1.0}, error=i % 2 == 0)
        assert service.flush()
        clock.advance(60)
    jobs.operational(clock())
    fired = hook.wait_for(lambda body: body["status"] == "firing")
    assert (fired["type"], fired["data"]["alertname"]) == ("error_rate", "MLModelErrorRateHigh")
    event = pager.wait_for(lambda event: event["event_action"] == "trigger")
    assert event["dedup_key"] == f"modelwatch-{fired['fingerprint']}"
    clock.advance(1800)
    for _ in range(200):
        service.record_prediction("flights", 0.5, {"a": 1.0})
    assert service.flush()
    jobs.operational(clock() + 1)
    over = hook.wait_for(lambda body: body["status"] == "resolved")
    assert (over["fingerprint"], over["alert_id"]) == (fired["fingerprint"], fired["alert_id"])
    pager.wait_for(lambda event: event["event_action"] == "resolve")
    assert pager.open_incidents == {}
    wait_until(lambda: service._parts.outbox.waiting == {"dead": 2})
    silent_peer.close()
