"""The alert engine while somebody wants silence, and towards channels that keep a picture of what fires."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.conventions import ALERT_BELOW_FLOOR, ALERT_DATA_DRIFT, ALERT_LATENCY_HIGH
from modelwatch.notify import alertmanager
from modelwatch.notify.engine import AlertEngine, Condition
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.handlers import Handler
from modelwatch.notify.messages import plain_text
from modelwatch.notify.outbox import Outbox
from modelwatch.notify.retry import RetryPolicy
from modelwatch.policy import Severity
from modelwatch.store import Silence, StoreWriter
from modelwatch.store.alerts import epoch_seconds
from modelwatch.store.queries import StoreQueries

WAIT = 10.0
HOUR, DAY = 3600.0, 86400.0
MODEL = "ad_score"
INFO, WARNING, ERROR, CRITICAL = Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL
FIRING, RESOLVED = ("firing", "error"), ("resolved", "error")


class Inbox:
    """A handler that keeps what it gets."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.fault: Exception | None = None

    def __call__(self, alert: dict[str, Any]) -> None:
        if self.fault is not None:
            raise self.fault
        self.alerts.append(alert)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(alert["status"], alert["level"]) for alert in self.alerts]


class Picture(Inbox):
    """What an Alertmanager would show: the levels that fire, by label set, as the entries say."""

    mirrors = True

    def __init__(self, clock: Any) -> None:
        super().__init__()
        self.clock = clock
        self.takes = 0.0
        self.ends: dict[tuple[tuple[str, str], ...], float] = {}

    def __call__(self, alert: dict[str, Any]) -> None:
        super().__call__(alert)
        self.clock.advance(self.takes)
        for entry in alertmanager.compose(alert):
            labels = tuple(sorted(entry["labels"].items()))
            self.ends[labels] = epoch_seconds(entry["endsAt"])

    @property
    def firing(self) -> list[str]:
        return [dict(labels)["severity"] for labels, end in self.ends.items() if end > self.clock()]


class World:
    def __init__(self, store: StoreWriter, clock: Any) -> None:
        self.store, self.clock = store, clock
        self.email, self.machine = Inbox(), Picture(clock)
        self.channels: dict[Severity, tuple[str, ...]] = dict.fromkeys(Severity, ("email", "machine"))
        self.cap = 20
        self.start()

    def start(self) -> None:
        handlers: dict[str, Handler] = {"email": self.email, "machine": self.machine}
        self.outbox = Outbox(handlers, policy=RetryPolicy(first=0.01, ceiling=0.01))
        self.engine = AlertEngine(
            self.store, self.outbox, lambda level, model: self.channels[level], clock=self.clock, hourly_cap=self.cap
        )

    def restart(self) -> None:
        self.outbox.close(WAIT)
        self.start()

    def update(self, *conditions: Condition) -> None:
        self.engine.update(MODEL, conditions, self.clock())
        assert self.outbox.flush(WAIT)

    def silence(self, seconds: float, model_id: str = MODEL, alertname: str = "") -> str:
        now = self.clock()
        made = Silence(f"s{now}-{model_id}-{alertname}", model_id, alertname, now, now + seconds)
        self.store.save_silence(made)
        return made.silence_id


def condition(severity: Severity = ERROR, name: str = ALERT_DATA_DRIFT, **changed: Any) -> Condition:
    fields: dict[str, Any] = {
        "alertname": name, "model_id": MODEL, "model_version": "1", "type": "data_drift", "severity": severity,
        "text": plain_text(severity.label, f"off, {severity.label}", MODEL), "data": {"model_id": MODEL},
    }  # fmt: skip
    return Condition(**(fields | changed))


@pytest.fixture
def world(store: StoreWriter, clock: Any) -> Iterator[World]:
    made = World(store, clock)
    yield made
    made.outbox.close(WAIT)


# ── silence ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model_id", "alertname"), [(MODEL, ""), ("", ""), (MODEL, ALERT_DATA_DRIFT), ("", ALERT_DATA_DRIFT)]
)
def test_nobody_is_told_during_a_silence_and_all_are_when_it_ends(world: World, model_id: str, alertname: str) -> None:
    world.silence(HOUR, model_id, alertname)
    world.update(condition())
    world.clock.advance(HOUR - 1)
    world.update(condition())
    assert (world.email.told, world.machine.told) == ([], [])
    assert [a.alertname for a in world.store.active_alerts()] == [ALERT_DATA_DRIFT], "still tracked"
    world.clock.advance(1)
    world.update(condition())
    assert (world.email.told, world.machine.told) == ([FIRING], [FIRING])
    assert world.email.alerts[0]["starts_at"] < world.email.alerts[0]["timestamp"], "since when it really holds"


@pytest.mark.parametrize(("model_id", "alertname"), [("other", ""), (MODEL, ALERT_LATENCY_HIGH)])
def test_a_silence_of_something_else_keeps_nothing_back(world: World, model_id: str, alertname: str) -> None:
    world.silence(HOUR, model_id, alertname)
    world.update(condition())
    assert world.email.told == [FIRING]


def test_what_begins_and_ends_within_a_silence_is_never_told(world: World) -> None:
    world.silence(HOUR)
    world.update(condition())
    world.clock.advance(60)
    world.update()
    world.clock.advance(HOUR)
    world.update()
    assert (world.email.told, world.machine.told) == ([], [])


def test_who_was_told_before_the_silence_is_told_that_it_is_over(world: World) -> None:
    world.update(condition())
    world.silence(HOUR)
    world.clock.advance(60)
    world.update()
    assert world.email.told == [FIRING, RESOLVED]
    assert world.machine.firing == []


def test_neither_a_rise_nor_a_repetition_breaks_a_silence(world: World) -> None:
    world.update(condition(WARNING))
    world.silence(10 * HOUR)
    for _ in range(9):
        world.clock.advance(HOUR)
        world.update(condition(CRITICAL))
    assert world.email.told == [("firing", "warning")]
    world.clock.advance(HOUR)
    world.update(condition(CRITICAL))
    assert world.email.told == [("firing", "warning"), ("firing", "critical")]


def test_a_silence_outlives_a_restart_and_ends_when_it_is_ended(world: World) -> None:
    world.silence(HOUR)
    world.update(condition())
    world.restart()
    world.update(condition())
    assert world.email.told == []
    assert len(world.store.end_silences(MODEL, "", world.clock())) == 1
    world.update(condition())
    assert world.email.told == [FIRING]


def test_overlapping_silences_hold_until_the_last_ends(world: World) -> None:
    world.silence(HOUR)
    world.silence(2 * HOUR, "")
    world.clock.advance(HOUR)
    world.update(condition())
    assert world.email.told == []
    world.clock.advance(HOUR)
    world.update(condition())
    assert world.email.told == [FIRING]


STEP = st.tuples(
    st.sampled_from([None, INFO, WARNING, ERROR, CRITICAL]), st.sampled_from([60.0, 1800.0, 3 * HOUR]), st.booleans(),
    st.sampled_from([0.0, 0.0, 600.0, 2 * HOUR]),
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=12))
def test_whatever_happens_firing_and_resolved_alternate_silences_are_kept_and_pictures_are_right(
    tmp_path_factory: pytest.TempPathFactory, clock: Any, steps: list[tuple[Severity | None, float, bool, float]]
) -> None:
    store = StoreWriter(tmp_path_factory.mktemp("storage"))
    world = World(store, clock)
    until = 0.0
    for severity, pause, killed, silence in steps:
        if silence:
            world.silence(silence)
            until = max(until, clock() + silence)
        before = len([status for status, _ in world.email.told if status == "firing"])
        world.update(*([] if severity is None else [condition(severity)]))
        after = len([status for status, _ in world.email.told if status == "firing"])
        if clock() < until:
            assert after == before, "told during a silence"
        elif severity is None:
            assert world.machine.firing == []
        else:
            assert [level for level in world.machine.firing if level != severity.label] == []
        clock.advance(pause)
        if killed:
            world.restart()
    world.update()
    for inbox in (world.email, world.machine):
        fires = False
        for status, _ in inbox.told:
            assert status == "firing" or fires, "resolved without firing"
            fires = status == "firing"
        assert not fires, "told that it fires, never that it is over"
    assert world.machine.firing == []
    world.outbox.close(WAIT)
    store.close()


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mirror_hears_at_each_look_what_people_hear_after_hours(world: World, tmp_path: Path) -> None:
    for _ in range(10):
        world.update(condition())
        world.clock.advance(60)
    assert world.email.told == [FIRING]
    assert world.machine.told == [FIRING] * 10
    queries = StoreQueries(tmp_path / "storage")
    assert len(queries.alerts()) == 1, "what is no news is no history"
    queries.close()


def test_a_mirror_is_told_once_a_minute_however_often_somebody_looks(world: World) -> None:
    for _ in range(120):
        world.update(condition())
        world.clock.advance(1)
    assert world.machine.told == [FIRING] * 3, "at 0, 45 and 90 s"


def test_a_slow_answer_makes_a_mirror_miss_no_look(world: World) -> None:
    world.machine.takes = 10.0
    for _ in range(5):
        world.update(condition())
        world.clock.advance(50)
    assert world.machine.told == [FIRING] * 5


def test_a_mirror_shows_the_level_of_now_on_the_way_up_and_down(world: World) -> None:
    for severity in (WARNING, CRITICAL, ERROR, INFO, ERROR):
        world.update(condition(severity))
        assert world.machine.firing == [severity.label]
        world.clock.advance(60)
    world.update()
    assert world.machine.firing == []


def test_people_get_the_levels_that_they_were_told_before(world: World) -> None:
    world.update(condition(WARNING))
    world.update(condition(CRITICAL))
    world.update()
    first, second, over = (alert["data"].get("earlier_levels") for alert in world.email.alerts)
    assert (first, second, over) == (None, ["warning"], ["critical"])


def test_a_mirror_that_could_not_be_reached_catches_up(world: World) -> None:
    world.update(condition(WARNING))
    world.machine.fault = NotifyError("refused", permanent=True)
    world.clock.advance(60)
    world.update(condition(CRITICAL))
    world.machine.fault = None
    world.clock.advance(900)
    world.update(condition(CRITICAL))
    assert world.machine.firing == ["critical"]


def test_a_mirror_is_beside_the_hourly_cap(world: World) -> None:
    world.cap = 2
    world.restart()
    world.update(*(condition(model_version=str(i)) for i in range(5)))
    assert (len(world.email.told), len(world.machine.told)) == (2, 5)


def test_a_mirror_shows_an_alert_that_somebody_silenced_afterwards_and_none_that_began_later(world: World) -> None:
    world.update(condition())
    world.silence(2 * DAY)
    for _ in range(47):
        world.clock.advance(HOUR)
        world.update(condition(), condition(name=ALERT_LATENCY_HIGH))
    assert world.machine.firing == ["error"], "ending it would say that all is well"
    assert {alert["data"]["alertname"] for alert in world.machine.alerts} == {ALERT_DATA_DRIFT}


def test_info_is_told_by_the_routing_and_its_end_too(world: World) -> None:
    world.channels[INFO] = ("machine",)
    world.update(condition(INFO))
    assert (world.email.told, world.machine.firing) == ([], ["info"])
    world.update()
    assert (world.email.told, world.machine.firing) == ([], [])


def test_metrics_of_one_alert_name_are_told_apart_from_beginning_to_end(world: World) -> None:
    auc, f1 = (condition(name=ALERT_BELOW_FLOOR, subject=metric, data={"metric": metric}) for metric in ("auc", "f1"))
    world.update(auc, f1)
    assert len(world.machine.firing) == 2
    world.update(f1)
    assert world.machine.firing == ["error"]
    [left] = [dict(labels)["metric"] for labels, end in world.machine.ends.items() if end > world.clock()]
    assert left == "f1"


def test_resolved_has_the_links_of_what_was_told(world: World) -> None:
    link = ("Runbook", "https://wiki.example.com/x")
    world.update(condition(text=replace(plain_text("error", "off", MODEL), links=(link,))))
    world.update()
    assert [alert["data"]["text"]["links"] for alert in world.email.alerts] == [[list(link)]] * 2
