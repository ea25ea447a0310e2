"""Several applications on one storage: each model is checked, by one process, whoever's it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelwatch import ProductionMonitoringService
from modelwatch.service.loop import LEASE_SECONDS, CheckLoop

MakeService = Callable[..., ProductionMonitoringService]


def loop_of(service: ProductionMonitoringService, clock: Any) -> CheckLoop:
    assert service._parts.jobs is not None
    return CheckLoop(service._parts.jobs, clock=clock)


def checked(service: ProductionMonitoringService) -> set[str]:
    return {model["model_id"] for model in service.get_service_status()["models"] if model["last_check_at"]}


def fail(service: ProductionMonitoringService, model_id: str) -> None:
    for _ in range(200):
        service.record_prediction(model_id, None, {}, error="down")
    assert service.flush()


def test_applications_with_models_of_their_own_check_their_own(make_service: MakeService, clock: Any) -> None:
    boxes: dict[str, list[dict[str, Any]]] = {"ads": [], "health": []}
    services = {name: make_service(alert_handlers={"email": box.append}) for name, box in boxes.items()}
    for name, service in services.items():
        service.register_model({"model_id": name, "alert_channels": ["email"], "performance_threshold":
                                {"error_rate": {"max": 0.01, "severity": "error"}}})  # fmt: skip
        fail(service, name)
    loops = {name: loop_of(service, clock) for name, service in services.items()}
    clock.advance(3710.0)
    for name, service in services.items():
        fail(service, name)
        loops[name].tick(clock())
        assert service._parts.outbox.flush(5.0)
    assert all(loop.owner for loop in loops.values())
    assert checked(services["ads"]) == {"ads"}
    assert checked(services["health"]) == {"health"}
    told = {name: [alert["model_id"] for alert in box] for name, box in boxes.items()}
    assert told == {"ads": ["ads"], "health": ["health"]}, "each by its own handler, once"


def test_a_model_of_two_applications_is_checked_by_one_until_that_is_gone(
    make_service: MakeService, clock: Any
) -> None:
    first, second = make_service(), make_service(alert_handlers={})
    for service in (first, second):
        service.register_model({"model_id": "ads"})
    second.register_model({"model_id": "health"})
    one, other = loop_of(first, clock), loop_of(second, clock)
    clock.advance(3710.0)
    one.tick(clock())
    other.tick(clock())
    jobs = {service: service._parts.jobs for service in (first, second)}
    assert jobs[first].intervals().keys() == {"ads"}  # type: ignore[union-attr]
    assert jobs[second].intervals().keys() == {"health"}  # type: ignore[union-attr]
    clock.advance(LEASE_SECONDS + 1)  # the first one was killed: it renews nothing
    other.tick(clock())
    assert jobs[second].intervals().keys() == {"ads", "health"}  # type: ignore[union-attr]
    jobs[second].leases.release()  # type: ignore[union-attr]
    one.tick(clock())
    assert one.owner, "what is given back is taken at once"
