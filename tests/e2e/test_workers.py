"""Real gunicorn and uvicorn with four workers: one of them serves the metrics of all, whoever is killed."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelwatch.demo.servers import Server, free_port

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
WORKERS = 4
TAKE_OVER_SECONDS = 5.0
GUNICORN = ["-m", "gunicorn", "--workers", str(WORKERS), "--chdir", str(HERE), "--bind", "127.0.0.1:{port}"]
UVICORN = ["-m", "uvicorn", "--workers", str(WORKERS), "--app-dir", str(HERE), "--port", "{port}"]
KINDS = {
    "gunicorn": [*GUNICORN, "worker_app:wsgi"],
    "uvicorn": [*UVICORN, "worker_app:asgi"],
    "max_requests": [*GUNICORN, "--max-requests", "30", "worker_app:wsgi"],
    "preload_app": [*GUNICORN, "--config", str(HERE / "worker_config.py"), "worker_app:wsgi"],
    "preload_app, served by the master": [*GUNICORN, "--preload", "worker_app:wsgi"],
}
Wait = Callable[..., None]


def fetch(url: str, **headers: str) -> tuple[Any, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(url, headers=named), timeout=10) as answer:
        return answer.headers, answer.read()


@dataclass
class Site:
    """A running server with workers, and what was read of its metrics."""

    server: Server
    url: str
    metrics_port: int
    highest: float = 0.0

    def predict(self, times: int) -> set[int]:
        """Make predictions; return the pids of those who answered."""
        return {int(fetch(f"{self.url}/predict")[1]) for _ in range(times)}

    def total(self, url: str = "") -> float | None:
        """Return the predictions of all workers as scraped; None if nobody answers. It must never fall."""
        try:
            _, text = fetch(url or f"http://127.0.0.1:{self.metrics_port}/metrics")
        except (urllib.error.URLError, OSError):
            return None
        found = [line for line in text.decode().splitlines() if line.startswith("modelwatch_predictions_total{")]
        value = float(found[0].rpartition(" ")[2]) if found else 0.0
        assert value >= self.highest, f"fell from {self.highest} to {value}"
        self.highest = value
        return value

    @property
    def log(self) -> str:
        return self.server.log.read_text()


def serving_pid(port: int) -> int:
    """Return who listens on a port, as the system knows it; 0 if nobody does."""
    wanted = f"0100007F:{port:04X}"
    inodes = {
        columns[9]
        for columns in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if columns[1] == wanted and columns[3] == "0A"
    }
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(fd) in {f"socket:[{inode}]" for inode in inodes} for fd in process.glob("fd/*")):
                return int(process.name)
        except OSError:
            continue  # it ended, or is somebody else's
    return 0


@pytest.fixture
def make_site(tmp_path: Path, wait_until: Wait) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(kind: str, **environment: str) -> Site:
        port, metrics_port = free_port(), free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, *(word.format(port=port) for word in KINDS[kind])]
        places = {"METRICS_PORT": str(metrics_port)} if kind != "preload_app" else {"FORKED_PORT": str(metrics_port)}
        env = {**os.environ, **places, **environment, "PYTHONDONTWRITEBYTECODE": "1"}
        server = Server(kind, command, tmp_path / f"{port}.log", f"{url}/modelwatch", env=env)
        sites.append(Site(server, url, metrics_port))
        server.wait_ready(60)
        return sites[-1]

    yield make
    for site in sites:
        site.server.stop()


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn", "preload_app"])
def test_when_the_serving_worker_is_killed_another_takes_over_and_no_total_falls(
    kind: str, make_site: Callable[..., Site], wait_until: Wait
) -> None:
    early = kind == "preload_app"
    site = make_site(kind, **({"EARLY": "1"} if early else {}))
    wait_until(lambda: site.total() is not None, 30)
    done = 40 + early
    site.predict(40)
    wait_until(lambda: site.total() == done)
    for _ in range(2):
        victim = serving_pid(site.metrics_port)
        assert victim not in (0, site.server.pid), "a worker serves"
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: site.total() is not None and serving_pid(site.metrics_port) != victim, TAKE_OVER_SECONDS)  # noqa: B023
        wait_until(lambda: site.total() == done)
    wait_until(lambda: len(site.predict(8)) > 1, 30)
    site.server.stop()
    assert "ddress already in use" not in site.log
    assert "Traceback" not in site.log


def test_workers_that_are_replaced_after_some_requests_hand_the_port_on(
    make_site: Callable[..., Site], wait_until: Wait
) -> None:
    site = make_site("max_requests")
    wait_until(lambda: site.total() is not None, 30)
    first, done = serving_pid(site.metrics_port), 0

    def handed_on() -> bool:
        nonlocal done
        site.predict(10)
        done += 10
        site.total()
        return serving_pid(site.metrics_port) not in (0, first)

    wait_until(handed_on, 60)
    wait_until(lambda: site.total() == done)
    assert "ddress already in use" not in site.log
    assert "Traceback" not in site.log


def test_a_master_that_loaded_the_application_serves_for_its_workers(
    make_site: Callable[..., Site], wait_until: Wait
) -> None:
    site = make_site("preload_app, served by the master", EARLY="1")
    assert serving_pid(site.metrics_port) == site.server.pid
    pids = site.predict(40)
    wait_until(lambda: site.total() == 41)
    os.kill(pids.pop(), signal.SIGKILL)
    site.predict(10)
    wait_until(lambda: site.total() == 51)
    assert serving_pid(site.metrics_port) == site.server.pid
    assert "Traceback" not in site.log


def test_an_application_with_another_storage_on_the_same_port_is_told_so(
    tmp_path: Path, make_site: Callable[..., Site]
) -> None:
    site = make_site("gunicorn")
    env = {**os.environ, "METRICS_PORT": str(site.metrics_port), "MODELWATCH_STORAGE": str(tmp_path / "elsewhere")}
    command = [sys.executable, *(word.format(port=free_port()) for word in KINDS["gunicorn"])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert f"metrics can't be served on 127.0.0.1:{site.metrics_port}: Address already in use" in done.stderr
    assert f"another storage than {tmp_path / 'elsewhere'}" in done.stderr


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_mounted_metrics_are_what_prometheus_reads(
    kind: str, make_site: Callable[..., Site], wait_until: Wait, require_server: Callable[[str], str]
) -> None:
    site = make_site(kind, METRICS_PORT="")
    mounted = f"{site.url}/modelwatch/metrics"
    site.predict(30)
    wait_until(lambda: site.total(mounted) == 30)
    headers, text = fetch(mounted)
    assert headers["Content-Type"].startswith("text/plain")
    headers, packed = fetch(mounted, Accept_Encoding="gzip")
    assert (headers["Content-Encoding"], b"modelwatch_build_info{" in gzip.decompress(packed)) == ("gzip", True)
    headers, open_metrics = fetch(mounted, Accept="application/openmetrics-text;version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert open_metrics.endswith(b"# EOF\n")
    _, chosen = fetch(f"{mounted}?name%5B%5D=modelwatch_predictions_total")
    assert [line for line in chosen.decode().splitlines() if not line.startswith("#")] == [
        'modelwatch_predictions_total{model_id="served",model_version=""} 30.0'
    ]
    promtool = require_server("promtool")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
