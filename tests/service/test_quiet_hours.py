"""Quiet hours of the configuration, from the file to the channel: in its time zone, and of a sidecar after a reload."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from modelwatch import ProductionMonitoringService
from modelwatch.policy import Severity
from modelwatch.sidecar.settings import Settings
from modelwatch.sidecar.watch import Watch

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "models": [
        {"model_id": "flights", "performance_threshold": {"error_rate": 0.02}, "alert_channels": ["email", "log"]}
    ],
    "alerting": {"quiet_hours": [{"times": ["22:00-07:00"]}], "severity_map": {"error": "critical"}},
}


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


def local(hour: int, day: int = 26, month: int = 11) -> float:
    return datetime(2026, month, day, hour, tzinfo=BERLIN).timestamp()


def test_what_fails_at_night_is_mailed_in_the_morning(
    make_service: Callable[..., ProductionMonitoringService], tmp_path: Path, clock: Any, inbox: Any
) -> None:
    clock.now = local(23)
    service = make_service(config_path=written(tmp_path, NIGHT))
    jobs, outbox = service._parts.jobs, service._parts.outbox
    assert jobs is not None
    for hour in (23, 6, 7):
        clock.now = local(hour, 26 if hour == 23 else 27)
        for i in range(600):
            service.record_prediction("flights", 0.5, {"a": 1.0}, error=i % 4 == 0)
        assert service.flush()
        clock.advance(60)
        jobs.operational(clock())
        assert outbox.flush(5.0)
        assert len(inbox.alerts) == (hour == 7)
    [alert] = inbox.alerts
    assert alert["level"] == "error", "modelwatch's own name, whatever the site's label is"
    assert service.send_alert("error", "by hand", {"model_id": "flights"})["channels"]["email"] == "sent"


def test_by_hand_people_are_told_at_any_hour(
    make_service: Callable[..., ProductionMonitoringService], tmp_path: Path, clock: Any, inbox: Any
) -> None:
    clock.now = local(3)
    service = make_service(config_path=written(tmp_path, NIGHT))
    assert service.send_alert("error", "look", {"model_id": "flights"})["channels"]["email"] == "sent"


def test_a_sidecar_keeps_to_the_quiet_hours_of_the_file_as_it_is_now(tmp_path: Path, clock: Any) -> None:
    path = written(tmp_path, NIGHT)
    watch = Watch(Settings(storage=str(tmp_path / "storage"), config_path=path), clock)
    try:
        rests = watch.routes.rests
        # 21:30 UTC is 22:30 in winter and 23:30 in summer; the clocks go back on 25 October at 3.
        assert [rests("email", Severity.ERROR, local(hour)) for hour in (6, 7, 21, 22)] == [True, False, False, True]
        assert rests("email", Severity.ERROR, local(7, 25, 10) - 1)
        assert not rests("email", Severity.ERROR, local(7, 25, 10))
        assert not rests("email", Severity.CRITICAL, local(3))
        assert not rests("log", Severity.INFO, local(3))
        written(tmp_path, NIGHT | {"timezone": "Asia/Kolkata"})
        watch.reload()
        assert [rests("email", Severity.ERROR, local(hour)) for hour in (6, 21)] == [False, True]
        written(tmp_path, NIGHT | {"alerting": {}})
        watch.reload()
        assert not rests("email", Severity.ERROR, local(3))
    finally:
        watch.close()
