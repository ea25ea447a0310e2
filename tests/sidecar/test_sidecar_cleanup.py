"""The sidecar cleans up what it watches, one step at a time, and checks go on meanwhile."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from modelwatch.exceptions import StorageError
from modelwatch.records import FlushBatch, RowChunk

DAY = 86400.0


def age(app: Any, chunks: int) -> None:
    """Put rows into the store that are older than a day, and than what a reference is learnt from."""
    at = time.time() - 20 * DAY
    for i in range(chunks):
        chunk = RowChunk("flights", "", np.array([at + i]), ["i"], {"x": [1.0]})
        app._parts.store.commit(FlushBatch("w", rows=[chunk]))


def test_the_sidecar_cleans_up_step_by_step_and_the_applications_status_says_so(
    make_sidecar: Any, make_app: Any, wait_until: Any
) -> None:
    app = make_app()
    app.register_model({"model_id": "flights", "retention_days": 1})
    age(app, 250)
    sidecar = make_sidecar(cleanup_seconds=0.2)
    wait_until(lambda: app.get_service_status()["storage"]["last_cleanup"] is not None)
    assert app.get_service_status()["storage"]["last_cleanup"]["removed_rows"] == 250
    assert sidecar.get("/-/healthy").status == 200


def test_the_first_cleanup_is_due_ten_minutes_after_the_start(make_sidecar: Any, make_app: Any) -> None:
    make_app().register_model({"model_id": "flights"})
    sidecar = make_sidecar()
    job = sidecar.sidecar._schedule._scheduler.get_job("cleanup")
    assert job.next_run_time.timestamp() - time.time() == pytest.approx(600.0, abs=30.0)
    assert job.trigger.interval.total_seconds() == 3600.0


def test_checks_go_on_between_the_steps_of_a_cleanup_and_after_one_that_fails(
    make_sidecar: Any, make_app: Any, watched: Any, serve: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    app.register_model(watched)
    serve(app, kilometres=False)
    tried: list[str] = []

    def refuse(*_: Any) -> Any:
        tried.append("cleanup")
        raise StorageError("the disk is full")

    monkeypatch.setattr("modelwatch.store.StoreWriter.settled_days", refuse)
    sidecar = make_sidecar(cleanup_seconds=0.2)
    wait_until(lambda: tried)
    checks = 'modelwatch_drift_checks_total{model_id="flights"'
    before = sidecar.sample(checks) or 0
    wait_until(lambda: (sidecar.sample(checks) or 0) > before, 20)
    assert tried == ["cleanup"]
