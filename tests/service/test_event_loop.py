"""Called on a running event loop nothing blocks it; what takes long works from a thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.service.actions import WAIT_SECONDS
from modelwatch.store.queries import StoreQueries

LONGEST_PAUSE = 1.0
"""Far below what a channel that hangs is waited for, far above what a busy machine does to a loop."""


async def _with_heartbeat(work: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    """Run `work` on the loop; return its result and the longest time the loop did nothing else."""
    longest, last, done = 0.0, time.perf_counter(), False

    async def beat() -> None:
        nonlocal longest, last
        while not done:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0)  # the first beat
    result = await work()
    done = True
    await heart
    return result, longest


class Hanging:
    """A handler that hangs until it is let go."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, alert: dict[str, Any]) -> None:
        self.called.set()
        self.let_go.wait(60)


@pytest.fixture
def hanging() -> Any:
    handler = Hanging()
    yield handler
    handler.let_go.set()


def test_an_alert_sent_on_a_loop_is_queued_and_the_loop_goes_on_while_the_channel_hangs(
    make_service: Any, hanging: Hanging, tmp_path: Path, wait_until: Any
) -> None:
    service = make_service(alert_handlers={"pager": hanging})
    service.register_model({"model_id": "m", "alert_channels": ["pager", "nobody"]})

    async def send() -> dict[str, Any]:
        answer: dict[str, Any] = service.send_alert("error", "it is off", {"model_id": "m"})
        assert await asyncio.to_thread(hanging.called.wait, 10)
        return answer

    answer, pause = asyncio.run(_with_heartbeat(send))
    assert pause < LONGEST_PAUSE < WAIT_SECONDS
    assert answer["status"] == "success"
    assert answer["channels"] == {
        "pager": "queued", "nobody": "failed: no handler is registered for channel 'nobody'",
    }  # fmt: skip
    hanging.let_go.set()

    def in_history() -> bool:
        with StoreQueries(tmp_path / "storage") as queries:
            return [a.channels.get("pager") for a in queries.alerts("m", 0.0, 2e9)] == ["sent"]

    wait_until(in_history)


def test_off_a_loop_an_alert_waits_for_its_channels(make_service: Any, inbox: Any) -> None:
    service = make_service()
    assert service.send_alert("error", "it is off")["channels"]["email"] == "sent"
    assert [alert["message"] for alert in inbox.alerts] == ["it is off"]


def test_an_alert_sent_on_a_loop_right_before_closing_is_still_delivered(make_service: Any, inbox: Any) -> None:
    service = make_service()

    async def send() -> None:
        service.send_alert("error", "the last word")

    asyncio.run(send())
    service.close()
    assert [alert["message"] for alert in inbox.alerts] == ["the last word"]


def test_recording_on_a_loop_takes_no_time_though_store_and_disk_are_busy(make_service: Any, tmp_path: Path) -> None:
    import sqlite3

    service = make_service()
    service.register_model({"model_id": "m"})
    other = sqlite3.connect(tmp_path / "storage" / "modelwatch.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # nobody else can write now

    async def record() -> list[dict[str, Any]]:
        answers = []
        for i in range(200):
            answers.append(service.record_prediction("m", 0.5, {"a": 1.0}, prediction_id=f"id-{i}"))
            answers.append(service.record_actual("m", f"id-{i}", 1))
            answers.append(service.update_model_metric("m", "accuracy", 0.9))
            await asyncio.sleep(0)
        answers.append(service.record_predictions("m", np.zeros(10_000), np.zeros((10_000, 5))))
        answers.append(service.record_actuals("m", [f"id-{i}" for i in range(200)], [1] * 200))
        return answers

    answers, pause = asyncio.run(_with_heartbeat(record))
    assert {answer["status"] for answer in answers} == {"success"}
    assert pause < LONGEST_PAUSE
    other.execute("ROLLBACK")
    other.close()
    assert service.flush()
    assert service.get_service_status()["models"][0]["predictions"] == 10_200


def test_what_takes_long_works_from_a_thread(make_service: Any, watched: Any, rows: Any) -> None:
    service: ProductionMonitoringService = make_service()

    async def work() -> dict[str, Any]:
        registered = await asyncio.to_thread(service.register_model, watched)
        service.record_prediction("flights", 0.3, {"distance": 500.0, "carrier": "UA", "hour": 9.0})
        flushed = await asyncio.to_thread(service.flush)
        drift = await asyncio.to_thread(service.monitor_model_drift, "flights", rows(500, 3, kilometres=True))
        status = await asyncio.to_thread(service.get_service_status)
        return {"registered": registered, "flushed": flushed, "drift": drift, "status": status}

    answers, pause = asyncio.run(_with_heartbeat(work))
    assert pause < LONGEST_PAUSE
    assert answers["registered"]["status"] == "success"
    assert answers["flushed"] is True
    assert answers["drift"]["top_features"] == ["distance"]
    assert answers["status"]["models"][0]["predictions"] == 1


def test_recording_imports_no_asyncio(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from modelwatch import ProductionMonitoringService\n"
        f"s = ProductionMonitoringService(storage_path={str(tmp_path / 's')!r}, background=False)\n"
        "s.register_model({'model_id': 'm'}); s.record_predictions('m', [0.5], {'a': [1.0]}); s.flush()\n"
        "heavy = {'pandas', 'polars', 'scipy', 'sqlalchemy', 'aiohttp', 'apscheduler', 'plotly', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "from modelwatch.service.actions import on_event_loop\n"
        "before = 'asyncio' in sys.modules; on_event_loop(); assert ('asyncio' in sys.modules) is before\n"
        "s.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
