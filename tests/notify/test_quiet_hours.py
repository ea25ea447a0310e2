"""The alert engine while a channel has quiet hours: what waits, what gets through, what is told when they end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.conventions import ALERT_DATA_DRIFT, ALERT_LATENCY_HIGH
from modelwatch.notify.engine import AlertEngine, Condition
from modelwatch.notify.handlers import Handler
from modelwatch.notify.messages import plain_text
from modelwatch.notify.outbox import Outbox
from modelwatch.notify.retry import RetryPolicy
from modelwatch.policy import Severity
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries

WAIT = 10.0
HOUR = 3600.0
MODEL = "ad_score"
WARNING, ERROR, CRITICAL = Severity.WARNING, Severity.ERROR, Severity.CRITICAL
FIRING, RESOLVED = ("firing", "error"), ("resolved", "error")


class Inbox:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []

    def __call__(self, alert: dict[str, Any]) -> None:
        self.alerts.append(alert)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(alert["status"], alert["level"]) for alert in self.alerts]


class World:
    """An engine with an e-mail inbox that never sleeps, and a Slack one that does while it is night."""

    def __init__(self, store: StoreWriter, clock: Any) -> None:
        self.store, self.clock = store, clock
        self.email, self.slack = Inbox(), Inbox()
        self.night = False
        self.start()

    def start(self) -> None:
        handlers: dict[str, Handler] = {"email": self.email, "slack": self.slack}
        self.outbox = Outbox(handlers, policy=RetryPolicy(first=0.01, ceiling=0.01))
        self.engine = AlertEngine(
            self.store, self.outbox, lambda severity, model: ("email", "slack"), clock=self.clock,
            rests=lambda channel, severity, now: self.night and channel == "slack" and severity < CRITICAL,
        )  # fmt: skip

    def restart(self) -> None:
        self.outbox.close(WAIT)
        self.start()

    def update(self, *conditions: Condition, after: float = 60.0, **scope: Any) -> None:
        self.clock.advance(after)
        self.engine.update(MODEL, conditions, self.clock(), **scope)
        assert self.outbox.flush(WAIT)


def condition(severity: Severity = ERROR, name: str = ALERT_DATA_DRIFT) -> Condition:
    return Condition(
        alertname=name, model_id=MODEL, model_version="1", type="data_drift", severity=severity,
        text=plain_text(severity.label, f"off, {severity.label}", MODEL), data={"model_id": MODEL},
    )  # fmt: skip


@pytest.fixture
def world(store: StoreWriter, clock: Any) -> Iterator[World]:
    made = World(store, clock)
    yield made
    made.outbox.close(WAIT)


def test_what_still_fires_in_the_morning_is_told_then_and_others_are_told_at_once(world: World) -> None:
    world.night = True
    world.update(condition())
    world.update(condition())
    assert (world.email.told, world.slack.told) == ([FIRING], [])
    world.restart()
    world.night = False
    world.update(condition())
    world.update(condition())
    assert (world.email.told, world.slack.told) == ([FIRING], [FIRING])
    assert world.slack.alerts[0]["starts_at"] < world.slack.alerts[0]["timestamp"], "since when it really holds"


def test_what_came_and_went_in_the_night_is_never_told(world: World) -> None:
    world.night = True
    world.update(condition())
    world.update()
    world.night = False
    world.update()
    assert (world.email.told, world.slack.told) == ([FIRING, RESOLVED], [])


def test_what_is_bad_enough_gets_through_and_so_does_its_end(world: World) -> None:
    world.night = True
    world.update(condition(ERROR))
    world.update(condition(CRITICAL))
    assert world.slack.told == [("firing", "critical")]
    world.update()
    assert world.slack.told == [("firing", "critical"), ("resolved", "critical")]


@pytest.mark.parametrize("restarted", [False, True])
def test_the_end_of_what_was_told_before_waits_for_the_morning(world: World, restarted: bool) -> None:
    world.update(condition())
    world.night = True
    world.update(after=HOUR)
    world.update()
    assert (world.email.told, world.slack.told) == ([FIRING, RESOLVED], [FIRING])
    assert world.store.active_alerts() == [], "it is over, for whoever looks"
    if restarted:
        world.restart()
    world.night = False
    world.update(after=8 * HOUR)
    world.update()
    assert world.slack.told == [FIRING, RESOLVED]
    assert world.slack.alerts[1]["message"] == "ad_score: off, error; lasted 1 h", "not until the morning"
    assert world.slack.alerts[1]["alert_id"] == world.slack.alerts[0]["alert_id"]
    assert world.store.ended_alerts() == []


def test_the_history_has_one_end_and_what_became_of_it_on_each_channel(world: World) -> None:
    def ends() -> list[dict[str, str]]:
        with StoreQueries(world.store.folder) as queries:
            return [dict(found.channels) for found in queries.alerts() if found.alert.status == "resolved"]

    world.update(condition())
    world.night = True
    world.update()
    assert ends() == [{"email": "sent", "slack": "suppressed"}]
    world.night = False
    world.update()
    assert ends() == [{"email": "sent", "slack": "sent"}]


def test_what_comes_back_before_somebody_wakes_who_believes_it_never_went_is_no_news(world: World) -> None:
    world.update(condition())
    world.night = True
    world.update()
    world.update(condition())
    assert (world.email.told, world.slack.told) == ([FIRING, RESOLVED, FIRING], [FIRING])
    world.night = False
    world.update(condition())
    assert world.slack.told == [FIRING]
    world.update()
    assert (world.email.told, world.slack.told) == ([FIRING, RESOLVED] * 2, [FIRING, RESOLVED])


def test_an_update_about_something_else_tells_the_end_too(world: World) -> None:
    world.update(condition())
    world.night = True
    world.update()
    world.night = False
    world.update(condition(name=ALERT_LATENCY_HIGH), alertnames={ALERT_LATENCY_HIGH})
    assert world.slack.told == [FIRING, FIRING, RESOLVED] or world.slack.told == [FIRING, RESOLVED, FIRING]


def test_who_retires_a_model_is_awake(world: World) -> None:
    world.update(condition(), condition(name=ALERT_LATENCY_HIGH))
    world.night = True
    world.update(condition())
    world.engine.retire(MODEL, world.clock())
    assert world.outbox.flush(WAIT)
    assert world.slack.told == [FIRING, FIRING, RESOLVED, RESOLVED]
    assert world.store.ended_alerts() == world.store.active_alerts() == []


STEPS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([None, WARNING, ERROR, CRITICAL]), st.booleans()), max_size=12
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_nobody_is_woken_and_in_the_morning_everybody_knows_how_it_stands(
    steps: list[tuple[bool, Severity | None, bool]], store: StoreWriter, clock: Any
) -> None:
    world = World(store, clock)
    for night, severity, restart in steps:
        if restart:
            world.restart()
        before = len(world.slack.alerts)
        world.night = night
        world.update(*([condition(severity)] if severity is not None else []))
        for i in range(before, len(world.slack.alerts)):
            # An end is as bad as what somebody lies awake for.
            alert = world.slack.alerts[i if world.slack.alerts[i]["status"] == "firing" else i - 1]
            assert not night or alert["level"] == "critical"
    world.night = False
    last = steps[-1][1] if steps else None
    world.update(*([condition(last)] if last is not None else []))
    status = [alert["status"] for alert in world.slack.alerts]
    assert status[:1] in ([], ["firing"]), "an end of what nobody heard of"
    assert (status[-1:] == ["firing"]) is (last is not None)
    world.update()
    assert world.store.active_alerts() == world.store.ended_alerts() == []
    world.outbox.close(WAIT)
