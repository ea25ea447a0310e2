"""Errands: one thread, a bounded queue, and nobody who hands one over waits."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwatch.service import actions, errands
from modelwatch.service.errands import Errands

WAIT = 10.0


def _names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "modelwatch-errands"]


def test_errands_are_done_in_order_and_all_begun_before_one_that_hangs_is_finished() -> None:
    order: list[str] = []
    all_put, all_begun = threading.Event(), threading.Event()

    def errand(name: str) -> Callable[[], Callable[[], object]]:
        def finish() -> None:
            assert all_begun.wait(WAIT)
            order.append(f"finish {name}")

        def begin() -> Callable[[], object]:
            all_put.wait(WAIT)
            order.append(f"begin {name}")
            if name == "c":
                all_begun.set()
            return finish

        return begin

    queue = Errands()
    assert [queue.put(errand(name)) for name in "abc"] == [True] * 3
    all_put.set()
    assert queue.close(WAIT)
    assert order == ["begin a", "begin b", "begin c", "finish a", "finish b", "finish c"]


def test_what_does_not_fit_is_refused_at_once_and_closing_waits_for_the_rest() -> None:
    let_go, done = threading.Event(), []
    queue = Errands(capacity=3)

    def begin() -> Callable[[], object]:
        let_go.wait(WAIT)
        return lambda: done.append(1)

    assert [queue.put(begin) for _ in range(5)] == [True, True, True, False, False]
    assert not queue.close(0.0)
    let_go.set()
    assert queue.close(WAIT)
    assert len(done) == 3
    assert not queue.put(begin)


def test_an_errand_that_breaks_stops_no_later_one(monkeypatch: pytest.MonkeyPatch, wait_until: Any) -> None:
    said: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    queue, done = Errands(), threading.Event()

    def broken() -> Callable[[], object]:
        raise KeyError

    assert queue.put(broken)
    wait_until(lambda: said and not queue._thread.is_alive())  # type: ignore[union-attr]
    assert queue.put(lambda: done.set)
    assert done.wait(WAIT)
    assert queue.close(WAIT)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_begins_with_an_empty_queue_of_its_own() -> None:
    let_go = threading.Event()
    queue = Errands(capacity=1)
    assert queue.put(lambda: lambda: let_go.wait(WAIT))
    child = os.fork()
    if child == 0:
        done = threading.Event()
        took = queue.put(lambda: done.set) and done.wait(WAIT)
        os._exit(0 if took else 1)
    assert os.waitpid(child, 0)[1] == 0
    let_go.set()
    assert queue.close(WAIT)


def test_a_storm_of_alerts_on_an_event_loop_makes_one_thread_and_never_waits(
    make_service: Any, inbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "CAPACITY", 200)
    service = make_service()
    service._parts.errands = Errands(capacity=200)
    service.register_model({"model_id": "m", "alert_channels": ["email"]})
    locked = sqlite3.connect(tmp_path / "storage" / "modelwatch.db", isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")  # what is sent can't be stored for now

    async def storm() -> list[str]:
        before = threading.active_count()
        answers = [service.send_alert("error", f"no {i}", {"model_id": "m"})["channels"]["email"] for i in range(500)]
        assert threading.active_count() <= before + 3  # the errands', the channel's, the log's
        return answers

    answers = asyncio.run(storm())
    assert len(_names()) == 1
    assert set(answers) == {"queued", actions.CROWDED}
    assert 200 <= answers.count("queued") < 500
    locked.execute("ROLLBACK")
    locked.close()
    service.close()
    assert len(inbox.alerts) == answers.count("queued")
