"""A clock that was ahead, or is set back, stops nothing for longer than it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelwatch import ProductionMonitoringService
from modelwatch.service.check_leases import CheckLeases
from modelwatch.service.loop import LEASE_SECONDS, CheckLoop

MakeService = Callable[..., ProductionMonitoringService]
DAY, HOUR = 86400.0, 3600.0


def checks(service: ProductionMonitoringService) -> int:
    store = service._parts.store
    assert store is not None
    return sum(result.checks for result in store.latest_results())


def test_checks_go_on_within_an_interval_once_the_clock_is_right_again(make_service: MakeService, clock: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m"})
    assert service._parts.jobs is not None
    loop = CheckLoop(service._parts.jobs, clock=clock)
    loop.tick(clock())
    clock.advance(30 * DAY)
    loop.tick(clock())
    before = checks(service)
    clock.advance(-30 * DAY)
    for _ in range(3 * 60):
        clock.advance(60.0)
        loop.tick(clock())
    assert checks(service) >= before + 2, "once an hour, as configured"
    assert loop._operational_due is not None
    assert loop._operational_due <= clock() + 60.0


def test_a_retired_model_comes_back_though_the_clock_was_set_back(make_service: MakeService, clock: Any) -> None:
    service = make_service()
    service.register_model({"model_id": "m"})
    service.retire_model("m")
    clock.advance(-HOUR)
    assert service.register_model({"model_id": "m"})["status"] == "success"
    assert service.record_prediction("m", 0.5, {})["status"] == "success"
    assert [m["model_id"] for m in service.get_service_status()["models"]] == ["m"]


def test_work_that_takes_longer_than_a_lease_renews_it_on_the_way(make_service: MakeService, clock: Any) -> None:
    store = make_service()._parts.store
    assert store is not None
    first, second = (CheckLeases(store, lambda: ["a", "b"], clock) for _ in range(2))
    assert first.acquire(clock(), LEASE_SECONDS)
    for model_id in ("a", "b"):
        clock.advance(LEASE_SECONDS * 0.9)
        assert first.still_holds(model_id)
        assert not second.acquire(clock(), LEASE_SECONDS)
    clock.advance(LEASE_SECONDS * 2)
    assert second.acquire(clock(), LEASE_SECONDS), "who stops altogether loses it"
    assert not first.still_holds("b")
