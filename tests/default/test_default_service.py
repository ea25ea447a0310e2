"""The default service behind ``monitor``: made when it is needed, exposed somewhere, and said in one line."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

import modelwatch.default as default_module
from modelwatch import (
    ProductionMonitoringService,
    make_asgi_app,
    make_wsgi_app,
    monitor,
    register_collector,
    start_metrics_server,
)
from modelwatch.default_service import DefaultService
from modelwatch.demo.servers import free_port
from modelwatch.exceptions import InputError, RegistryTakenError


@pytest.fixture(autouse=True)
def default(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[DefaultService]:
    """Return a default service that nobody used before, in the place of this process's."""
    fresh = DefaultService()
    monkeypatch.setattr(default_module, "_default", fresh)
    caplog.set_level(logging.INFO, "modelwatch")
    yield fresh
    fresh.close()


def predict(model_id: str = "m") -> None:
    @monitor(model_id)
    def function(features: dict[str, float]) -> float:
        return 0.5

    function({"a": 1.0})
    assert monitor.flush()


def get(app: Any) -> tuple[str, str]:
    started: list[Any] = []
    body = b"".join(app({"REQUEST_METHOD": "GET"}, lambda status, headers: started.append(status)))
    return started[0], body.decode()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.getMessage().startswith("modelwatch records")]


def place(caplog: pytest.LogCaptureFixture) -> str:
    (line,) = lines(caplog)
    return line.rpartition("metrics: ")[2] if "http" not in line else line.partition("metrics: ")[2]


# ── the one log line ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_line_names_model_storage_reference_and_the_registry_where_nothing_else_was_asked_for(
    caplog: pytest.LogCaptureFixture, default: DefaultService
) -> None:
    predict()
    (line,) = lines(caplog)
    service = default.service()
    assert line == (
        f"modelwatch records m (registered by itself); storage {service.storage}; "
        f"reference: {service.reference_of('m')}; metrics: the prometheus_client registry"
    )
    assert caplog.records[-1].levelno == logging.INFO


def test_the_line_comes_once_for_each_model_however_many_functions_serve_it(caplog: pytest.LogCaptureFixture) -> None:
    for model_id in ("a", "b", "a", "a"):
        predict(model_id)
    assert [line.split()[2] for line in lines(caplog)] == ["a", "b"]


def test_the_line_gives_the_address_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    port = start_metrics_server(0)
    predict()
    assert place(caplog) == f"http://127.0.0.1:{port}/metrics"


def test_the_line_says_if_another_worker_serves(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with ProductionMonitoringService(storage_path=os.environ["MODELWATCH_STORAGE"], background=False) as other:
        other.start_metrics_server(port)
        assert start_metrics_server(port) == port
        predict()
    assert place(caplog) == f"served by another worker on http://127.0.0.1:{port}/metrics"


@pytest.mark.parametrize(("make", "name"), [(make_asgi_app, "make_asgi_app"), (make_wsgi_app, "make_wsgi_app")])
def test_the_line_says_if_the_metrics_are_mounted(caplog: pytest.LogCaptureFixture, make: Any, name: str) -> None:
    make()
    make()
    predict()
    assert place(caplog) == f"mounted by {name}"


def test_the_line_says_if_the_metrics_are_nowhere(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with ProductionMonitoringService(storage_path=tmp_path / "other", registry=REGISTRY, background=False):
        predict()
    assert place(caplog).startswith("nowhere yet: call start_metrics_server()")


# ── exposition ───────────────────────────────────────────────────────────────────────────────────────────────────

PREDICTIONS = 'modelwatch_predictions_total{model_id="m",model_version=""}'


def test_nothing_is_started_before_the_first_request(default: DefaultService) -> None:
    app, registry = make_wsgi_app(), CollectorRegistry()
    make_asgi_app()
    register_collector(registry)
    register_collector(registry)
    assert default.current is None
    assert not Path(os.environ["MODELWATCH_STORAGE"]).exists()
    status, text = get(app)
    assert (status, "modelwatch_build_info{" in text) == ("200 OK", True)
    assert default.current is not None


def test_every_way_shows_the_same_numbers(default: DefaultService) -> None:
    app, registry = make_wsgi_app(), CollectorRegistry()
    register_collector(registry)
    predict()
    predict()
    for text in (get(app)[1], generate_latest(registry).decode(), generate_latest(REGISTRY).decode()):
        assert [line for line in text.splitlines() if line.startswith(PREDICTIONS)] == [f"{PREDICTIONS} 2.0"]


def test_the_registry_of_the_process_shows_it_once_also_if_asked_to(default: DefaultService) -> None:
    register_collector(REGISTRY)
    predict()
    register_collector(REGISTRY)
    assert generate_latest(REGISTRY).decode().count(f"\n{PREDICTIONS} ") == 1
    monitor.close()
    assert PREDICTIONS not in generate_latest(REGISTRY).decode()


def test_a_registry_of_another_service_is_refused_and_what_is_no_registry_too(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    other = ProductionMonitoringService(storage_path=tmp_path / "other", registry=registry, background=False)
    with other, pytest.raises(RegistryTakenError):
        register_collector(registry)
    with pytest.raises(InputError, match="CollectorRegistry, got str"):
        register_collector("registry")  # type: ignore[arg-type]


def test_a_wrong_configuration_is_503_and_one_warning_and_harms_no_other_metrics(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "models.yaml").write_text("models: 7\n")
    monkeypatch.setenv("MODELWATCH_CONFIG", str(tmp_path / "models.yaml"))
    registry = CollectorRegistry()
    register_collector(registry)
    app = make_wsgi_app()
    for _ in range(2):
        assert get(app)[0] == "503 Service Unavailable"
        assert generate_latest(registry) == b""
    (said,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "models" in said


def test_the_clock_is_handed_to_the_service(default: DefaultService) -> None:
    assert default.clock is time.time
    default.clock = lambda: 1_700_000_000.0
    service = default.service()
    assert service.register_model({"model_id": "m"})["registered_at"] == "2023-11-14T22:13:20+00:00"


# ── beside prometheus_client's multiprocess mode ─────────────────────────────────────────────────────────────────

MULTIPROCESS = """
import json, logging, os, sys
from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess
from modelwatch import make_wsgi_app, monitor, register_collector

logging.basicConfig(level=logging.WARNING, format="%(message)s")
first = sys.argv[1] == "mounted"
app = make_wsgi_app() if first else None
mine = Counter("mine", "Of the application.")

@monitor("m")
def predict(features):
    mine.inc()
    return 0.5

workers = []
for count in (3, 4):
    pid = os.fork()
    if pid == 0:
        for i in range(count):
            predict({"a": float(i)})
        os._exit(0 if monitor.flush() else 1)
    workers.append(pid)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in workers)

def bare():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return registry

told = bare()
register_collector(told)
print(json.dumps({
    "bare": generate_latest(bare()).decode(),
    "told": generate_latest(told).decode(),
    "mounted": b"".join((app or make_wsgi_app())({"REQUEST_METHOD": "GET"}, lambda *_: None)).decode(),
}))
"""


@pytest.mark.e2e
@pytest.mark.parametrize(("mode", "warned"), [("mounted", 0), ("not mounted", 2)])
def test_beside_real_multiprocess_mode_both_recipes_show_the_sum_and_who_followed_none_is_warned(
    tmp_path: Path, mode: str, warned: int
) -> None:
    (tmp_path / "multiproc").mkdir()
    places = {"MODELWATCH_STORAGE": str(tmp_path / "s"), "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "multiproc")}
    done = subprocess.run(
        [sys.executable, "-c", MULTIPROCESS, mode],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **places},
    )
    assert done.returncode == 0, done.stderr
    texts = json.loads(done.stdout)
    assert "mine_total 7.0" in texts["bare"]
    assert "modelwatch" not in texts["bare"]
    assert ("mine_total 7.0" in texts["told"], f"{PREDICTIONS} 7.0" in texts["told"]) == (True, True)
    assert (f"{PREDICTIONS} 7.0" in texts["mounted"], "mine_total" in texts["mounted"]) == (True, False)
    assert done.stderr.count("PROMETHEUS_MULTIPROC_DIR is set") == warned, done.stderr  # once in each worker
    assert done.stderr.count("register_collector(registry)") == warned


def test_the_port_is_given_back_when_the_default_service_is_closed() -> None:
    port = start_metrics_server(free_port())
    monitor.close()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_bare_decorator_watches_latency_and_errors_and_no_other_metric(tmp_path: Path) -> None:
    @monitor("bare")
    def predict(features: dict[str, float]) -> float:
        return 0.5

    try:
        predict({"bid": 1.0})
        config = default_module._default.service()._parts.book.get("bare").config
        assert config.performance_metrics == ["latency_ms", "error_rate"]
    finally:
        monitor.close()
