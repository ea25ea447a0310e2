"""Where the metrics of one service can be read."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from modelwatch import ProductionMonitoringService
from modelwatch.demo.servers import free_port
from modelwatch.exceptions import InputError, RegistryTakenError

MakeService = Callable[..., ProductionMonitoringService]
PREDICTIONS = 'modelwatch_predictions_total{model_id="m",model_version=""}'


@pytest.fixture
def recorded(make_service: MakeService) -> ProductionMonitoringService:
    """Return a service that recorded three predictions."""
    return record(make_service())


def record(service: ProductionMonitoringService, count: int = 3) -> ProductionMonitoringService:
    service.register_model({"model_id": "m"})
    for _ in range(count):
        service.record_prediction("m", 0.5, {"a": 1.0})
    assert service.flush()
    return service


def predictions(text: bytes) -> list[float]:
    lines = [line for line in text.decode().splitlines() if line.startswith(PREDICTIONS)]
    return [float(line.rpartition(" ")[2]) for line in lines]


def read(port: int) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return bytes(answer.read())


def get(app: Any) -> tuple[str, bytes]:
    started: list[Any] = []
    body = b"".join(app({"REQUEST_METHOD": "GET"}, lambda status, headers: started.append(status)))
    return started[0], body


def test_the_same_port_again_changes_nothing(recorded: ProductionMonitoringService) -> None:
    port = free_port()
    assert recorded.start_metrics_server(port) == recorded.start_metrics_server(port) == port
    assert recorded.metrics_places() == [f"http://127.0.0.1:{port}/metrics"]
    assert predictions(read(port)) == [3]


def test_a_second_service_of_the_storage_stands_by_and_shows_the_same_sum_later(
    make_service: MakeService, wait_until: Any
) -> None:
    port = free_port()
    first, second = make_service(), make_service()
    assert first.start_metrics_server(port) == second.start_metrics_server(port) == port
    assert second.metrics_places() == [f"served by another worker on http://127.0.0.1:{port}/metrics"]
    record(first, 3)
    record(second, 4)
    assert predictions(read(port)) == [7]
    first.close()
    wait_until(lambda: second.metrics_places() == [f"http://127.0.0.1:{port}/metrics"])
    assert predictions(read(port)) == [7]


def test_a_registry_made_for_every_request_can_show_a_service_and_is_let_go(
    recorded: ProductionMonitoringService,
) -> None:
    registries = []
    gc.disable()  # so that nothing but the last reference ends one
    try:
        for _ in range(50):
            registry = CollectorRegistry(support_collectors_without_names=True)
            recorded.register_collector(registry)
            recorded.register_collector(registry)
            assert predictions(generate_latest(registry)) == [3]
            registries.append(weakref.ref(registry))
        del registry
        assert [ref() for ref in registries] == [None] * 50
    finally:
        gc.enable()


def test_a_closed_service_leaves_every_registry(recorded: ProductionMonitoringService) -> None:
    registries = [CollectorRegistry() for _ in range(3)]
    for registry in registries:
        recorded.register_collector(registry)
    recorded.close()
    assert [generate_latest(registry) for registry in registries] == [b"", b"", b""]


def test_a_registry_shows_one_service_at_a_time(make_service: MakeService) -> None:
    registry = CollectorRegistry()
    first, second = make_service(), make_service()
    first.register_collector(registry)
    with pytest.raises(RegistryTakenError, match="already exposes"):
        second.register_collector(registry)
    first.close()
    second.register_collector(registry)
    assert generate_latest(registry).count(b"# TYPE modelwatch_build_info") == 1


@pytest.mark.parametrize("given", [None, "registry", CollectorRegistry])
def test_what_is_no_registry_is_refused_by_its_type(recorded: ProductionMonitoringService, given: Any) -> None:
    with pytest.raises(InputError, match=f"CollectorRegistry, got {type(given).__name__}"):
        recorded.register_collector(given)


def test_a_mounted_application_shows_our_metrics_and_no_others(make_service: MakeService) -> None:
    registry = CollectorRegistry()
    Counter("mine", "Somebody else's.", registry=registry).inc()
    service = record(make_service(registry=registry))
    status, text = get(service.make_wsgi_app())
    assert (status, predictions(text)) == ("200 OK", [3])
    assert b"mine_total" not in text
    assert b"mine_total" in read(service.start_metrics_server(0)), "a server shows the registry that was given"


def test_a_mounted_application_of_a_closed_service_says_so(recorded: ProductionMonitoringService) -> None:
    app = recorded.make_wsgi_app()
    recorded.close()
    status, text = get(app)
    assert (status, b"closed" in text) == ("503 Service Unavailable", True)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "multiprocess" in r.getMessage()]


def test_a_given_registry_with_a_multiprocess_collector_shows_both_and_needs_no_warning(
    make_service: MakeService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))  # type: ignore[no-untyped-call]
    service = make_service(registry=registry)
    service.register_model({"model_id": "ads"})
    service.record_prediction("ads", 0.5, {})
    service.flush()
    assert b'modelwatch_predictions_total{model_id="ads",model_version=""} 1.0' in generate_latest(registry)
    assert warnings(caplog) == []


def test_only_the_registry_of_the_process_is_invisible_in_multiprocess_mode(
    make_service: MakeService, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    make_service()
    make_service(registry=CollectorRegistry())
    assert warnings(caplog) == []
    make_service(registry=REGISTRY)
    (said,) = warnings(caplog)
    assert 'app.mount("/modelwatch", make_asgi_app())' in said
    assert "register_collector(registry)" in said


def test_a_closed_service_starts_no_server(recorded: ProductionMonitoringService) -> None:
    recorded.close()
    with pytest.raises(InputError, match=r"^the service is closed$"):
        recorded.start_metrics_server(0)
    assert recorded.metrics_places() == []
