"""Finding models, scoring them, taking over and giving back, and living through faults."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from modelwatch import AlertLevel, checks
from modelwatch.service.loop import CheckLoop

DRIFT = 'modelwatch_drift_severity{drift_type="data",feature="",model_id="flights"'
CHECKS = 'modelwatch_drift_checks_total{model_id="flights"'


def _write(path: Path, config: dict[str, Any]) -> Path:
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def test_a_model_that_an_application_registers_is_found_scored_and_exposed(
    make_sidecar: Any, make_app: Any, watched: Any, serve: Any, wait_until: Any
) -> None:
    sidecar = make_sidecar()
    app = make_app()
    app.register_model(watched)
    serve(app, kilometres=True)
    wait_until(lambda: (sidecar.sample(DRIFT) or 0) >= 2, 20)
    page = sidecar.get("/").text
    assert "drift: distance" in page
    assert "degraded" in page or "unhealthy" in page
    before = sidecar.sample(CHECKS)
    wait_until(lambda: sidecar.sample(CHECKS) > before)


def test_the_file_goes_over_what_applications_say_and_lists_models_of_its_own(
    make_sidecar: Any, make_app: Any, tmp_path: Path
) -> None:
    make_app().register_model({"model_id": "served", "latency_quantile": 0.5, "owner": "app"})
    models = [{"model_id": "served", "latency_quantile": 0.9}, {"model_id": "planned"}]
    sidecar = make_sidecar(config_path=_write(tmp_path / "models.json", {"models": models}))
    assert sidecar.sample('modelwatch_latency_quantile_ratio{model_id="served"') == 0.9
    assert sidecar.sample('modelwatch_latency_quantile_ratio{model_id="planned"') == 0.95
    page = sidecar.get("/").text
    assert "owner app" in page
    assert "the file wins" in page


def test_a_restarted_sidecar_shows_the_last_results_at_once(
    make_sidecar: Any, make_app: Any, watched: Any, serve: Any
) -> None:
    app = make_app()
    app.register_model({**watched, "drift_detection_interval": "7d"})
    serve(app, kilometres=True)
    jobs = app._parts.jobs
    for _ in range(3):
        jobs.check("flights", time.time())
    sidecar = make_sidecar()
    assert (sidecar.sample(DRIFT), sidecar.sample(CHECKS)) == (3.0, 3.0)
    next_check = sidecar.sidecar._schedule.next_check("flights")
    assert next_check - time.time() > 6 * 86400, "what was just checked is not checked again"


def test_checks_change_hands_and_back(make_sidecar: Any, make_app: Any, watched: Any, wait_until: Any) -> None:
    app = make_app()
    app.register_model(watched)
    loop: Any = CheckLoop(app._parts.jobs, app._parts.claims)
    loop.tick(time.time())
    assert loop.owner
    sidecar = make_sidecar(lease_seconds=2.0)
    assert not sidecar.sidecar.watch.owner, "the application has them until it sees the sidecar"
    assert app.get_service_status()["checks"]["sidecar"]
    assert "stands by" in sidecar.get("/").text

    assert loop.tick(time.time()) <= 2.0
    assert not loop.owner
    wait_until(lambda: sidecar.sidecar.watch.owner)
    loop.tick(time.time())
    assert not loop.owner

    sidecar.stop()
    loop.tick(time.time())
    assert loop.owner
    loop.close()


def test_of_two_sidecars_one_checks_and_the_other_takes_over(make_sidecar: Any, wait_until: Any) -> None:
    first, second = make_sidecar(lease_seconds=2.0), make_sidecar(lease_seconds=2.0)
    assert (first.sidecar.watch.owner, second.sidecar.watch.owner) == (True, False)
    first.stop()
    wait_until(lambda: second.sidecar.watch.owner)


def test_one_models_fault_stops_no_other(
    make_sidecar: Any, make_app: Any, watched: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = checks.scheduled_checks

    def faulty(queries: Any, config: Any, *rest: Any, **options: Any) -> Any:
        if config.model_id == "broken":
            raise RuntimeError("this model can't be scored")
        return real(queries, config, *rest, **options)

    monkeypatch.setattr(checks, "scheduled_checks", faulty)
    app = make_app()
    for model_id in ("broken", "flights"):
        app.register_model({**watched, "model_id": model_id})
    sidecar = make_sidecar()
    wait_until(lambda: (sidecar.sample('modelwatch_drift_check_failures_total{model_id="broken"') or 0) >= 2, 20)
    wait_until(lambda: (sidecar.sample(CHECKS) or 0) >= 2)
    assert sidecar.sample('modelwatch_drift_check_failures_total{model_id="flights"') == 0


def test_a_storage_that_goes_away_and_comes_back_is_survived(
    make_sidecar: Any, make_app: Any, storage: Path, wait_until: Any, watched: Any
) -> None:
    app = make_app()
    app.register_model(watched)
    app.close()
    sidecar = make_sidecar(lease_seconds=1.0)
    wait_until(lambda: sidecar.sample(CHECKS))
    away = storage.with_name("away")
    storage.rename(away)
    storage.write_text("no folder", encoding="utf-8")
    wait_until(lambda: not sidecar.sidecar.watch.owner)
    assert sidecar.get("/-/healthy").status == 200
    assert "modelwatch_config_last_reload_successful" in sidecar.get("/metrics").text

    storage.unlink()
    away.rename(storage)
    wait_until(lambda: sidecar.sidecar.watch.owner)
    before = sidecar.sample(CHECKS)
    wait_until(lambda: (sidecar.sample(CHECKS) or 0) > (before or 0))


def test_a_storage_that_is_emptied_is_begun_anew(make_sidecar: Any, storage: Path, wait_until: Any) -> None:
    sidecar = make_sidecar(lease_seconds=1.0)
    shutil.rmtree(storage)
    wait_until(lambda: (storage / "modelwatch.db").exists())
    wait_until(lambda: sidecar.sidecar.watch.owner)


def test_a_reload_changes_interval_and_receivers_while_it_runs(
    make_sidecar: Any, tmp_path: Path, wait_until: Any
) -> None:
    path = _write(tmp_path / "models.json", {"models": [{"model_id": "m", "schedule": "0 3 * * *"}]})
    sidecar = make_sidecar(config_path=path, enable_lifecycle=True)
    watch, schedule = sidecar.sidecar.watch, sidecar.sidecar._schedule
    due = schedule.next_check("m")
    assert time.localtime(due).tm_hour == 3

    (tmp_path / "url").write_text("http://127.0.0.1:9/x", encoding="utf-8")
    alerting = {"mode": "prometheus", "receivers": {"slack": {"url_file": str(tmp_path / "url")}}, "hourly_cap": 3}
    models = [{"model_id": "m", "drift_detection_interval": "30m"}, {"model_id": "n"}]
    _write(path, {"alerting": alerting, "models": models, "timezone": "Asia/Tokyo"})
    assert sidecar.post("/-/reload").status == 200
    assert sorted(m.config.model_id for m in watch.models()) == ["m", "n"]
    assert (watch.routes.channels, watch.outbox.channels) == ({"log", "slack"}, ("log", "slack"))
    assert "Prometheus and Alertmanager" in sidecar.get("/").text
    assert watch.jobs.timezone == "Asia/Tokyo"
    wait_until(lambda: schedule.next_check("m") not in (None, due))
    assert schedule.next_check("m") - time.time() < 1860

    path.write_text("{", encoding="utf-8")
    refused = sidecar.post("/-/reload")
    assert refused.status == 400
    assert "not valid JSON" in refused.text
    assert sorted(m.config.model_id for m in watch.models()) == ["m", "n"]
    assert sidecar.sample("modelwatch_config_last_reload_successful") == 0.0

    _write(path, {"models": [{"model_id": "n"}]})
    assert sidecar.post("/-/reload").status == 200
    assert [m.config.model_id for m in watch.models()] == ["n"]
    assert (watch.outbox.channels, schedule.next_check("m")) == (("log",), None)


def test_in_prometheus_mode_scheduled_alerts_are_kept_track_of_and_sent_to_nobody(
    make_sidecar: Any, make_app: Any, watched: Any, serve: Any, wait_until: Any, tmp_path: Path
) -> None:
    heard: list[str] = []
    app = make_app(alert_handlers={"pager": lambda alert: heard.append(alert["message"])})
    app.register_model(watched)
    serve(app, kilometres=True)
    config = _write(tmp_path / "models.json", {"alerting": {"mode": "prometheus"}, "models": []})
    sidecar = make_sidecar(config_path=config)
    claims = app._parts.claims
    assert claims is None, "no background thread here"
    wait_until(lambda: app._parts.store.active_alerts("flights"), 20)
    assert "1 of 2 inputs drifted" in sidecar.get("/").text
    assert sidecar.sample("modelwatch_notifications_total{") is None
    assert app.send_alert(AlertLevel.ERROR, "by hand", {"model_id": "flights"})["channels"] == {"pager": "sent"}
    assert heard == ["by hand"]


def test_a_look_at_itself_is_no_scrape(make_sidecar: Any) -> None:
    sidecar = make_sidecar()
    assert "metrics last read <b>never since it started</b>" in sidecar.get("/").text
    assert sidecar.sample("modelwatch_last_scrape_timestamp_seconds") == 0.0
    assert time.time() - sidecar.sample("modelwatch_last_scrape_timestamp_seconds") < 10
    assert "metrics last read <b>never" not in sidecar.get("/").text


def test_a_check_that_does_not_end_keeps_nobody_from_stopping(
    make_sidecar: Any, make_app: Any, watched: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = threading.Event(), threading.Event()

    def hangs(*_: Any, **__: Any) -> Any:
        begun.set()
        over.wait(60)
        raise RuntimeError("too late")

    monkeypatch.setattr(checks, "scheduled_checks", hangs)
    make_app().register_model(watched)
    sidecar = make_sidecar(stop_seconds=0.1)
    assert begun.wait(20)
    assert sidecar.get("/-/healthy").status == 200, "scoring does not hold up HTTP"
    sidecar.stop()
    assert sidecar.ended is False
    over.set()


def test_a_job_that_a_stop_cancelled_is_no_error_in_the_log(
    make_sidecar: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make_sidecar().stop()
    log = logging.getLogger("apscheduler.executors.default")
    for error in (asyncio.CancelledError(), RuntimeError("a real one")):
        try:
            raise error
        except BaseException:
            log.exception("Error running job operations")
    assert ["a real one" in str(record.exc_info) for record in caplog.records if record.name == log.name] == [True]
