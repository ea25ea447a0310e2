"""The outbox: a dead channel delays nobody, nothing is lost silently, nothing raises into the caller."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.config import SlackReceiver
from modelwatch.demo.sinks import SlackSink
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.handlers import Handler
from modelwatch.notify.log import LogHandler
from modelwatch.notify.outbox import Outbox
from modelwatch.notify.retry import RetryPolicy
from modelwatch.notify.slack import SlackHandler

FAST = RetryPolicy(first=0.01, ceiling=0.02, max_age=60.0)
WAIT = 10.0


def note(number: int = 1, fingerprint: str = "f") -> dict[str, Any]:
    return {"alert_id": f"a{number}", "fingerprint": f"{fingerprint}{number}", "level": "error", "message": str(number)}


class Peer:
    """A handler that can be told to fail, and that one can wait for."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.attempts = 0
        self.fault: BaseException | None = None
        self._changed = threading.Condition()

    def __call__(self, alert: dict[str, Any]) -> None:
        with self._changed:
            self.attempts += 1
            self._changed.notify_all()
            if self.fault is not None:
                raise self.fault
            self.got.append(alert["message"])

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, WAIT)


class Results:
    def __init__(self) -> None:
        self.all: list[tuple[str, bool]] = []

    def __call__(self, channel: str, ok: bool) -> None:
        self.all.append((channel, ok))


@pytest.fixture
def results() -> Results:
    return Results()


@pytest.fixture
def make(results: Results) -> Iterator[Callable[..., Outbox]]:
    made: list[Outbox] = []

    def build(handlers: dict[str, Handler], **options: Any) -> Outbox:
        chosen: dict[str, Any] = {"policy": FAST, "on_result": results, **options}
        made.append(Outbox(handlers, **chosen))
        return made[-1]

    yield build
    for outbox in made:
        outbox.close(1.0)


def test_an_alert_reaches_all_its_channels_and_each_is_counted(make: Any, results: Results) -> None:
    email, slack = Peer(), Peer()
    outbox = make({"email": email, "slack": slack, "other": Peer()})
    assert outbox.submit(note(), ["email", "slack"]) == {"email": "queued", "slack": "queued"}
    assert outbox.flush(WAIT)
    assert (email.got, slack.got) == (["1"], ["1"])
    assert sorted(results.all) == [("email", True), ("slack", True)]


def test_a_channel_that_hangs_delays_no_other(make: Any) -> None:
    release, entered, alive = threading.Event(), threading.Event(), Peer()

    def hanging(alert: dict[str, Any]) -> None:
        entered.set()
        release.wait(WAIT)

    outbox = make({"dead": hanging, "alive": alive})
    begun = time.monotonic()
    for number in range(20):
        outbox.submit(note(number), ["dead", "alive"])
    assert time.monotonic() - begun < 2.0
    alive.wait(lambda: len(alive.got) == 20)
    assert entered.wait(WAIT)
    assert outbox.waiting["dead"] == 20
    release.set()


def test_a_failing_channel_is_tried_until_it_works(make: Any, results: Results) -> None:
    peer = Peer()
    peer.fault = NotifyError("down")
    outbox = make({"email": peer})
    outbox.submit(note(), ["email"])
    peer.wait(lambda: peer.attempts >= 3)
    assert results.all == []
    peer.fault = None
    assert outbox.flush(WAIT)
    assert results.all == [("email", True)]


def test_an_alert_that_grew_too_old_is_given_up(make: Any, results: Results, clock: Any) -> None:
    peer = Peer()
    peer.fault = NotifyError("down")
    outbox = make({"email": peer}, clock=clock, policy=RetryPolicy(first=0.0, max_age=3600.0))
    outbox.submit(note(), ["email"])
    peer.wait(lambda: peer.attempts >= 2)
    clock.advance(3601)
    assert outbox.flush(WAIT)
    assert results.all == [("email", False)]


def test_a_message_that_can_never_get_through_is_not_repeated(make: Any, results: Results) -> None:
    peer = Peer()
    peer.fault = NotifyError("invalid_payload", permanent=True)
    outbox = make({"slack": peer})
    assert outbox.deliver_now(note(), ["slack"], WAIT) == {"slack": "failed: invalid_payload"}
    assert outbox.flush(WAIT)
    assert (peer.attempts, results.all) == (1, [("slack", False)])


def test_one_alert_that_fails_does_not_hold_up_the_next(make: Any) -> None:
    got: list[str] = []

    def choosy(alert: dict[str, Any]) -> None:
        if alert["message"] == "1":
            raise ValueError("cannot format this one")
        got.append(alert["message"])

    outbox = make({"custom": choosy}, policy=RetryPolicy(first=30.0))
    outbox.submit(note(1), ["custom"])
    assert outbox.deliver_now(note(2), ["custom"], WAIT) == {"custom": "sent"}
    assert got == ["2"]


def test_resolved_does_not_overtake_firing(make: Any) -> None:
    peer = Peer()
    peer.fault = NotifyError("down")
    outbox = make({"email": peer})
    outbox.submit(note(1) | {"message": "firing"}, ["email"])
    peer.wait(lambda: peer.attempts >= 1)
    outbox.submit(note(1) | {"message": "resolved"}, ["email"])
    peer.fault = None
    assert outbox.flush(WAIT)
    assert peer.got == ["firing", "resolved"]


def test_retry_after_quiets_the_whole_channel(make: Any, clock: Any) -> None:
    peer = Peer()
    peer.fault = NotifyError("rate_limited", retry_after=30.0)
    outbox = make({"slack": peer}, clock=clock, policy=RetryPolicy(first=0.0))
    answer = outbox.deliver_now(note(1), ["slack"], WAIT)
    assert answer == {"slack": "failed: rate_limited; trying again"}
    peer.fault = None
    outbox.submit(note(2), ["slack"])
    assert not outbox.flush(0.05)
    assert peer.attempts == 1
    clock.advance(30.0)
    outbox.submit(note(3), ["slack"])  # wakes the thread, which looks at the clock
    assert outbox.flush(WAIT)
    assert sorted(peer.got) == ["1", "2", "3"]


def test_slack_says_429_and_gets_the_alert_later(make: Any, tmp_path: Any) -> None:
    with SlackSink() as chat:
        (tmp_path / "url").write_text(chat.url)
        chat.fail(429, retry_after=0)
        chat.fail(500)
        chat.fail(0)
        outbox = make({"slack": SlackHandler(SlackReceiver.model_validate({"url_file": str(tmp_path / "url")}))})
        outbox.submit(note(), ["slack"])
        chat.wait_for(lambda body: True, WAIT)
        assert chat.requests == 4


def test_a_full_queue_drops_its_oldest_and_counts_it(make: Any, results: Results) -> None:
    release, entered = threading.Event(), threading.Event()
    got: list[str] = []

    def slow(alert: dict[str, Any]) -> None:
        entered.set()
        release.wait(WAIT)
        got.append(alert["message"])

    outbox = make({"email": slow}, capacity=3)
    outbox.submit(note(0), ["email"])
    assert entered.wait(WAIT)
    for number in range(1, 6):
        outbox.submit(note(number), ["email"])
    assert outbox.dropped == {"email": 3}
    assert results.all == [("email", False)] * 3
    release.set()
    assert outbox.flush(WAIT)
    assert got == ["0", "4", "5"]


@pytest.mark.parametrize("fault", [ValueError("bad"), KeyError("x"), RecursionError(), SystemExit(1), TimeoutError()])
def test_whatever_a_handler_raises_stays_in_its_channel(make: Any, fault: BaseException) -> None:
    peer = Peer()
    peer.fault = fault
    outbox = make({"custom": peer})
    answer = outbox.deliver_now(note(), ["custom"], WAIT)
    assert answer["custom"].startswith(f"failed: {type(fault).__name__}")
    peer.fault = None
    assert outbox.flush(WAIT)
    assert peer.got == ["1"]


def test_a_fault_is_logged_once_until_something_worked(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer()
    peer.fault = RuntimeError("with url: /services/T0/SECRET")
    outbox = make({"custom": peer})
    for _ in range(2):
        start = peer.attempts
        peer.fault = RuntimeError("with url: /services/T0/SECRET")
        outbox.submit(note(), ["custom"])
        peer.wait(lambda start=start: peer.attempts >= start + 4)  # type: ignore[misc]
        peer.fault = None
        assert outbox.flush(WAIT)
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2
    assert "SECRET" not in caplog.text


def test_deliver_now_does_not_wait_for_ever(make: Any) -> None:
    release = threading.Event()
    outbox = make({"dead": lambda alert: release.wait(WAIT), "log": LogHandler()})
    assert outbox.deliver_now(note(), ["dead", "log"], 0.02) == {"dead": "queued", "log": "sent"}
    release.set()


def test_a_channel_without_handler_is_said_to_fail_until_it_has_one(make: Any) -> None:
    outbox = make({})
    why = "failed: no handler is registered for channel 'pager'"
    assert outbox.submit(note(), ["pager"]) == {"pager": why}
    peer = Peer()
    outbox.add_handler("pager", peer)
    assert outbox.deliver_now(note(), ["pager"], WAIT) == {"pager": "sent"}
    assert outbox.channels == ("pager",)


def test_a_replaced_handler_takes_over_what_is_waiting(make: Any) -> None:
    broken, good = Peer(), Peer()
    broken.fault = NotifyError("down")
    outbox = make({"email": broken})
    outbox.submit(note(), ["email"])
    broken.wait(lambda: broken.attempts >= 1)
    outbox.add_handler("email", good)
    assert outbox.flush(WAIT)
    assert good.got == ["1"]


def test_a_coroutine_function_is_refused_in_words(make: Any) -> None:
    async def handler(alert: dict[str, Any]) -> None:
        raise AssertionError(alert)

    answer = make({"custom": handler}).deliver_now(note(), ["custom"], WAIT)
    assert answer == {"custom": "failed: the handler is a coroutine function; pass a plain function"}


def test_a_handler_that_changes_its_alert_changes_no_other(make: Any) -> None:
    def vandal(alert: dict[str, Any]) -> None:
        alert["data"].clear()
        alert.clear()

    peer = Peer()
    outbox = make({"vandal": vandal, "email": peer})
    given_alert = note() | {"data": {"x": 1}}
    outbox.deliver_now(given_alert, ["vandal"], WAIT)
    assert given_alert["data"] == {"x": 1}


def test_bookkeeping_that_fails_stops_no_delivery(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    def full_disk(channel: str, ok: bool) -> None:
        raise OSError("no space left on device")

    peer = Peer()
    outbox = make({"email": peer}, on_result=full_disk)
    outbox.submit(note(1), ["email"])
    outbox.submit(note(2), ["email"])
    assert outbox.flush(WAIT)
    assert peer.got == ["1", "2"]
    assert "deliveries can't be recorded" in caplog.text


def test_close_gives_what_waits_one_last_try_and_is_idempotent(make: Any, results: Results) -> None:
    peer = Peer()
    peer.fault = NotifyError("down")
    outbox = make({"email": peer}, policy=RetryPolicy(first=1000.0))
    outbox.submit(note(), ["email"])
    peer.wait(lambda: peer.attempts == 1)
    peer.fault = None
    assert outbox.close(WAIT)
    assert outbox.close(WAIT)
    assert (peer.got, results.all) == (["1"], [("email", True)])
    assert outbox.submit(note(), ["email"]) == {"email": "failed: closed"}
    assert not [t for t in threading.enumerate() if t.name == "modelwatch-email"]


def test_close_leaves_a_handler_that_hangs_and_counts_the_loss(make: Any, results: Results) -> None:
    release, entered = threading.Event(), threading.Event()

    def hanging(alert: dict[str, Any]) -> None:
        entered.set()
        release.wait(WAIT)

    outbox = make({"dead": hanging})
    outbox.submit(note(), ["dead"])
    assert entered.wait(WAIT)
    assert not outbox.close(0.02)
    assert results.all == [("dead", False)]
    release.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # threads and fork: that is what is tested
def test_a_forked_child_delivers_its_own_alerts_and_none_of_the_parents(make: Any, tmp_path: Any) -> None:
    release, entered = threading.Event(), threading.Event()

    def write(alert: dict[str, Any]) -> None:
        entered.set()
        if alert["message"] == "1":
            release.wait(WAIT)
        with (tmp_path / str(os.getpid())).open("a") as file:
            file.write(alert["message"])

    outbox = make({"file": write})
    outbox.submit(note(1), ["file"])
    assert entered.wait(WAIT)
    child = os.fork()
    if child == 0:
        outbox.submit(note(2), ["file"])
        os._exit(0 if outbox.flush(WAIT) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / str(child)).read_text() == "2"
    release.set()
    assert outbox.flush(WAIT)
    assert (tmp_path / str(os.getpid())).read_text() == "1"


@given(attempts=st.integers(1, 10_000), seed=st.integers())
def test_pauses_grow_to_a_ceiling_with_jitter_below(attempts: int, seed: int) -> None:
    policy = RetryPolicy()
    whole = RetryPolicy(jitter=0.0).pause(attempts, random.Random(seed))
    assert whole == min(2.0 ** min(attempts - 1, 60), 120.0)
    assert 0.75 * whole <= policy.pause(attempts, random.Random(seed)) <= whole


def test_a_channel_that_is_removed_delivers_no_more(wait_until: Callable[..., None]) -> None:
    told: list[str] = []
    outbox = Outbox({"a": lambda alert: told.append(alert["message"]), "b": lambda alert: None})
    outbox.submit({"message": "before"}, ["a"])
    outbox.remove_handler("a")
    outbox.remove_handler("never there")
    wait_until(lambda: told == ["before"])
    assert outbox.channels == ("b",)
    assert outbox.submit({"message": "after"}, ["a"]) == {"a": "failed: no handler is registered for channel 'a'"}
    outbox.add_handler("a", lambda alert: told.append(alert["message"]))
    assert outbox.submit({"message": "again"}, ["a"]) == {"a": "queued"}
    assert outbox.close()
    assert told == ["before", "again"]


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_without_readable_text_stops_no_channel() -> None:
    peer = Peer()
    outbox = Outbox({"pager": peer}, policy=FAST)
    peer.fault = UnreadableError()
    answer = outbox.deliver_now(note(1), ["pager"], WAIT)
    assert answer == {"pager": "failed: UnreadableError: (its text can't be read); trying again"}
    peer.fault = None
    assert outbox.flush(WAIT)
    assert peer.got == ["1"]
    assert outbox.close()


def test_a_fault_of_ours_in_the_bookkeeping_is_logged_with_its_traceback_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken(channel: str, ok: bool) -> None:
        raise KeyError(channel, ok)

    outbox = Outbox({"pager": Peer()}, on_result=broken)
    for number in range(3):
        assert outbox.deliver_now(note(number), ["pager"], WAIT) == {"pager": "sent"}
    assert outbox.close()
    (record,) = [r for r in caplog.records if "can't be recorded" in r.getMessage()]
    assert record.exc_info is not None
