"""The alert engine on a real store and outbox: who is told what, when again, and what survives a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.conventions import ALERT_DATA_DRIFT, ALERT_ERROR_RATE_HIGH, ALERT_LATENCY_HIGH
from modelwatch.notify.engine import AlertEngine, Condition
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.handlers import Handler
from modelwatch.notify.messages import plain_text
from modelwatch.notify.outbox import Outbox
from modelwatch.notify.retry import RetryPolicy
from modelwatch.policy import Severity
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries

WAIT = 10.0
HOUR = 3600.0
ROUTES = {
    Severity.INFO: ("log",),
    Severity.WARNING: ("log",),
    Severity.ERROR: ("log", "email"),
    Severity.CRITICAL: ("log", "email", "slack"),
}
INFO, WARNING, ERROR, CRITICAL = Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL


class Inbox:
    """A handler that keeps what it gets as (status, level), and the alerts themselves."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.fault: Exception | None = None
        self.attempts = 0

    def __call__(self, alert: dict[str, Any]) -> None:
        self.attempts += 1
        if self.fault is not None:
            raise self.fault
        self.alerts.append(alert)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(alert["status"], alert["level"]) for alert in self.alerts]


class SyncInbox(Inbox):
    synchronous = True


def condition(
    severity: Severity = ERROR, name: str = ALERT_DATA_DRIFT, version: str = "1", **changed: Any
) -> Condition:
    fields: dict[str, Any] = {
        "alertname": name, "model_id": "ad_score", "model_version": version, "type": "data_drift",
        "severity": severity, "text": plain_text(severity.label, f"2 inputs drifted, {severity.label}", "ad_score"),
        "data": {"model_id": "ad_score"}, "since": 0.0,
    }  # fmt: skip
    return Condition(**(fields | changed))


class World:
    """An engine with a log, an e-mail and a Slack inbox, that can be restarted on the same store."""

    def __init__(self, store: StoreWriter, clock: Any) -> None:
        self.store, self.clock = store, clock
        self.log, self.email, self.slack = SyncInbox(), Inbox(), Inbox()
        self.router: Callable[[Severity, str], Sequence[str]] = lambda severity, model_id: ROUTES[severity]
        self.options: dict[str, Any] = {}
        self.policy = RetryPolicy(first=0.01, ceiling=0.01)
        self.start()

    def start(self, **options: Any) -> None:
        handlers: dict[str, Handler] = {"log": self.log, "email": self.email, "slack": self.slack}
        self.options |= options
        self.outbox = Outbox(handlers, policy=self.policy)
        self.engine = AlertEngine(
            self.store, self.outbox, lambda severity, model: self.router(severity, model),
            clock=self.clock, **self.options,
        )  # fmt: skip

    def restart(self) -> None:
        """Lose all memory, as a kill does: nothing more is delivered by the old process."""
        self.outbox.close(WAIT)
        self.start()

    def update(self, *conditions: Condition, flush: bool = True, **scope: Any) -> list[Any]:
        sent = self.engine.update("ad_score", conditions, self.clock(), **scope)
        assert not flush or self.outbox.flush(WAIT)
        return sent


@pytest.fixture
def world(store: StoreWriter, clock: Any) -> Iterator[World]:
    made = World(store, clock)
    yield made
    made.outbox.close(WAIT)


FIRING, RESOLVED = ("firing", "error"), ("resolved", "error")


def test_a_new_condition_is_told_once_while_it_lasts(world: World) -> None:
    for _ in range(5):
        world.update(condition())
        world.clock.advance(60)
    assert (world.log.told, world.email.told, world.slack.told) == ([FIRING], [FIRING], [])


def test_gone_is_resolved_once_to_those_who_were_told(world: World) -> None:
    world.update(condition())
    world.clock.advance(3 * HOUR + 300)
    world.update()
    world.update()
    assert (world.log.told, world.email.told, world.slack.told) == ([FIRING, RESOLVED], [FIRING, RESOLVED], [])
    firing, resolved = world.email.alerts
    assert resolved["message"] == "ad_score: 2 inputs drifted, error; lasted 3 h 5 min"
    assert {k: firing[k] for k in ("alert_id", "fingerprint", "starts_at")} == {
        k: resolved[k] for k in ("alert_id", "fingerprint", "starts_at")
    }
    assert world.store.active_alerts() == []


def test_an_alert_has_the_fields_that_handlers_are_promised(world: World) -> None:
    world.update(condition(since=world.clock() - 600))
    (alert,) = world.email.alerts
    assert set(alert) == {
        "alert_id", "timestamp", "level", "type", "message", "data", "model_id", "status", "fingerprint", "starts_at",
    }  # fmt: skip
    assert (alert["model_id"], alert["type"], alert["level"]) == ("ad_score", "data_drift", "error")
    assert alert["timestamp"] > alert["starts_at"]
    assert alert["data"]["text"]["subject"].startswith("[ERROR] ad_score")


def test_a_raised_severity_is_news_and_goes_to_more_channels(world: World) -> None:
    for severity in (WARNING, ERROR, CRITICAL):
        world.update(condition(severity))
        world.clock.advance(60)
    assert world.log.told == [("firing", "warning"), ("firing", "error"), ("firing", "critical")]
    assert world.email.told == [("firing", "error"), ("firing", "critical")]
    assert world.slack.told == [("firing", "critical")]
    assert len({alert["fingerprint"] for alert in world.log.alerts}) == 1


def test_a_lowered_severity_is_neither_resolved_nor_news(world: World) -> None:
    world.update(condition(ERROR))
    world.update(condition(WARNING))
    assert world.email.told == [FIRING]
    assert world.store.active_alerts()[0].severity == WARNING
    world.update(condition(ERROR))
    assert world.email.told == [FIRING]
    world.update()
    assert world.email.told == [FIRING, RESOLVED]


def test_a_channel_that_was_told_of_an_error_hears_of_its_end_from_warning_too(world: World) -> None:
    world.update(condition(CRITICAL))
    world.update(condition(WARNING))
    world.update()
    assert world.slack.told == [("firing", "critical"), ("resolved", "warning")]


def test_an_alert_that_goes_on_is_repeated_after_the_interval(world: World) -> None:
    for _ in range(25):
        world.update(condition())
        world.clock.advance(HOUR / 2)
    assert world.email.told == [FIRING] * 4  # at 0, 4, 8 and 12 h


def test_info_goes_to_the_log_once_and_is_neither_repeated_nor_resolved(world: World) -> None:
    for _ in range(20):
        world.update(condition(INFO))
        world.clock.advance(HOUR)
    world.update()
    assert (world.log.told, world.email.told) == ([("firing", "info")], [])
    assert world.store.active_alerts() == []


def test_a_restart_neither_repeats_nor_forgets(world: World) -> None:
    world.update(condition())
    world.restart()
    world.update(condition())
    assert world.email.told == [FIRING]
    world.restart()
    world.update()
    assert world.email.told == [FIRING, RESOLVED]


def test_what_was_not_confirmed_is_sent_again_after_a_restart(world: World) -> None:
    world.email.fault = NotifyError("down")
    world.update(condition(), flush=False)
    world.restart()
    world.email.fault = None
    world.update(condition())
    assert world.email.told == [FIRING]
    assert world.log.told == [FIRING]  # was told before, is not told again
    world.update(condition())
    assert world.email.told == [FIRING]


def test_while_a_delivery_is_retried_the_alert_is_not_queued_again(world: World, wait_until: Any) -> None:
    world.email.fault = NotifyError("down")
    world.update(condition(), flush=False)
    for _ in range(5):
        world.clock.advance(5 * HOUR)
        world.update(condition(), flush=False)
    assert world.outbox.waiting == {"email": 1}
    world.email.fault = None
    assert world.outbox.flush(WAIT)
    assert world.email.told == [FIRING]


def test_a_rise_during_an_outage_is_told_when_it_ends_and_resolved_comes_last(world: World) -> None:
    world.email.fault = NotifyError("down")
    world.update(condition(ERROR), flush=False)
    world.update(condition(CRITICAL), flush=False)
    world.update(condition(CRITICAL), flush=False)
    world.update(flush=False)
    assert world.outbox.waiting["email"] == 3
    world.email.fault = None
    assert world.outbox.flush(WAIT)
    assert world.email.told == [FIRING, ("firing", "critical"), ("resolved", "critical")]


def test_a_late_confirmation_does_not_revive_a_resolved_alert(world: World) -> None:
    release = threading.Event()
    world.outbox.add_handler("email", lambda alert: release.wait(WAIT))
    world.update(condition(), flush=False)
    world.update(flush=False)
    release.set()
    assert world.outbox.flush(WAIT)
    assert world.store.active_alerts() == []


def test_a_message_given_up_is_tried_again_a_quarter_of_an_hour_later(world: World) -> None:
    world.email.fault = NotifyError("refused", permanent=True)
    for _ in range(3):
        world.update(condition())
        world.clock.advance(60)
    assert world.email.attempts == 1
    world.email.fault = None
    world.clock.advance(900)
    world.update(condition())
    assert (world.email.told, world.log.told) == ([FIRING], [FIRING])


def test_a_confirmation_of_an_earlier_episode_does_not_count_for_the_next(world: World) -> None:
    world.email.fault = NotifyError("down")
    world.update(condition(), flush=False)
    world.update(flush=False)
    world.update(condition(), flush=False)
    world.email.fault = None
    assert world.outbox.flush(WAIT)
    world.update(condition())
    assert world.email.told == [FIRING, RESOLVED, FIRING]


def test_the_cap_holds_messages_back_counts_them_and_sends_them_later(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.start(hourly_cap=3)
    many = [condition(version=str(i)) for i in range(5)]
    world.update(*many)
    world.update(*many)
    assert len(world.email.told) == 3
    assert len(world.log.told) >= 5
    assert world.engine.suppressed == {"email": 2}
    assert caplog.text.count("suppressed") == 2
    world.clock.advance(HOUR)
    world.update(*many)
    assert len(world.email.told) == 5


def test_resolved_is_not_held_back(world: World) -> None:
    world.start(hourly_cap=1)
    world.update(condition())
    world.update()
    assert world.email.told == [FIRING, RESOLVED]


def test_history_says_what_became_of_each_channel(world: World, tmp_path: Path) -> None:
    world.start(hourly_cap=1)
    world.router = lambda severity, model: ("log", "email", "pager")
    world.update(condition(), condition(name=ALERT_LATENCY_HIGH))
    queries = StoreQueries(tmp_path / "storage")
    stored = {a.alert.data["alertname"]: a.channels for a in queries.alerts()}
    queries.close()
    why = "failed: no handler is registered for channel 'pager'"
    assert stored[ALERT_DATA_DRIFT] == {"log": "sent", "email": "sent", "pager": why}
    assert stored[ALERT_LATENCY_HIGH] == {"log": "sent", "email": "suppressed", "pager": why}


def test_a_channel_that_gets_its_handler_late_is_told_then(world: World, tmp_path: Path) -> None:
    world.router = lambda severity, model: ("pager",)
    for _ in range(3):
        world.update(condition())
        world.clock.advance(60)
    queries = StoreQueries(tmp_path / "storage")
    assert len(queries.alerts()) == 1
    queries.close()
    pager = Inbox()
    world.outbox.add_handler("pager", pager)
    world.update(condition())
    assert pager.told == [FIRING]


def test_an_update_leaves_alone_what_it_does_not_speak_for(world: World) -> None:
    world.update(condition(), condition(name=ALERT_ERROR_RATE_HIGH), condition(version="2"))
    world.update(alertnames=(ALERT_ERROR_RATE_HIGH, ALERT_LATENCY_HIGH))
    assert world.email.told.count(RESOLVED) == 1
    world.update(alertnames=(ALERT_DATA_DRIFT,), model_version="2")
    assert [a.model_version for a in world.store.active_alerts()] == ["1"]
    world.engine.update("another", [], world.clock())
    assert len(world.store.active_alerts()) == 1


def test_active_since_is_when_it_began(world: World) -> None:
    assert world.engine.active_since(ALERT_DATA_DRIFT, "ad_score", "1") is None
    began = world.clock()
    world.update(condition(since=began))
    world.clock.advance(600)
    world.update(condition(since=world.clock()))
    assert world.engine.active_since(ALERT_DATA_DRIFT, "ad_score", "1") == began


def test_a_queue_that_overflows_while_an_alert_is_sent_does_not_deadlock(world: World, clock: Any) -> None:
    release = threading.Event()
    world.outbox = Outbox({"log": world.log, "email": lambda alert: release.wait(WAIT)}, capacity=2)
    world.engine = AlertEngine(world.store, world.outbox, world.router, clock=clock)
    conditions = [condition(version=str(i)) for i in range(6)]
    worker = threading.Thread(target=world.update, args=conditions, kwargs={"flush": False}, daemon=True)
    worker.start()
    worker.join(WAIT)
    assert not worker.is_alive()
    release.set()
    assert world.outbox.flush(WAIT)


STEP = st.tuples(
    st.sampled_from([None, INFO, WARNING, ERROR, CRITICAL]), st.sampled_from([60, 3 * HOUR]), st.booleans()
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=12))
def test_every_episode_is_told_and_ends_with_one_resolved(
    tmp_path_factory: pytest.TempPathFactory, clock: Any, steps: list[tuple[Severity | None, float, bool]]
) -> None:
    store = StoreWriter(tmp_path_factory.mktemp("storage"))
    world = World(store, clock)
    for severity, pause, killed in steps:
        world.update(*([] if severity is None else [condition(severity)]))
        clock.advance(pause)
        if killed:
            world.restart()
    world.update()
    for inbox, least in ((world.log, INFO), (world.email, ERROR), (world.slack, CRITICAL)):
        open_episode: list[str] = []
        for status, _ in inbox.told:
            if status == "resolved":
                assert open_episode, "resolved without firing"
                open_episode.clear()
            else:
                open_episode.append(status)
        assert not open_episode or least == INFO, "told that it fires, never that it is over"
        expected = any(severity is not None and severity >= least for severity, _, _ in steps)
        assert bool(inbox.told) == expected
    world.outbox.close(WAIT)
    store.close()


def test_a_hostile_model_id_goes_through_state_and_texts(world: World) -> None:
    name = "a\"b'\\{{ $value }}{}😀../x"
    odd = condition(model_id=name, text=plain_text("error", "off", name))
    world.engine.update(name, [odd], world.clock())
    world.engine.update(name, [], world.clock())
    assert world.outbox.flush(WAIT)
    assert [(a["status"], a["model_id"]) for a in world.email.alerts] == [("firing", name), ("resolved", name)]
