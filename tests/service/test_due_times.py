"""When a check is due next: by interval and by schedule, across clock changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from modelwatch import ModelMonitoringConfig
from modelwatch.service.loop import CheckLoop
from modelwatch.service.schedule import next_due

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def by_schedule(text: str) -> ModelMonitoringConfig:
    return ModelMonitoringConfig(model_id="m", schedule=text)


def test_an_interval_counts_from_when_the_check_was_due_and_makes_up_for_nothing() -> None:
    config = ModelMonitoringConfig(model_id="m", drift_detection_interval="10s")
    assert next_due(config, None, due=100.0, now=103.0) == 110.0
    assert next_due(config, None, due=100.0, now=500.0) == 501.0


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        ("0 2 * * *", "2026-11-24 01:59:59", "2026-11-24 02:00"),
        ("0 2 * * *", "2026-11-24 02:00:00", "2026-11-25 02:00"),
        ("*/20 9-10 * * mon", "2026-11-24 12:00", "2026-11-30 09:00"),
        ("0 0 1 * 0", "2026-11-24 12:00", "2026-11-29 00:00"),
        ("0 0 1 * 0", "2026-11-29 12:00", "2026-12-01 00:00"),
        ("30 4 * * *", "2027-03-27 12:00", "2027-03-28 04:30"),
        ("30 4 * * *", "2026-10-24 12:00", "2026-10-25 04:30"),
    ],
)
def test_a_schedule_is_read_in_its_time_zone_as_cron_does(schedule: str, now: str, due: str) -> None:
    moment = at(now)
    assert next_due(by_schedule(schedule), BERLIN, moment, moment) == at(due)


def test_another_zone_is_another_moment() -> None:
    moment = at("2026-11-24 12:00", "UTC")
    due = {zone: next_due(by_schedule("0 2 * * *"), zone, moment, moment) for zone in (BERLIN, "UTC")}
    assert due["UTC"] - due[BERLIN] == 3600.0


def test_the_loop_of_an_application_follows_a_schedule(make_service: Any, clock: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m", "schedule": "*/30 * * * *"})
    loop = CheckLoop(service._parts.jobs, clock=clock)
    checked: list[float] = []
    for _ in range(91):
        clock.advance(60.0)
        loop.tick(clock())
        results = service._parts.store.latest_results()
        checked += [r.checked_at for r in results if not checked or r.checked_at != checked[-1]]
    assert len(checked) == 3
    assert all(moment % 1800 < 60 for moment in checked)
    assert results[0].interval == 1800.0
