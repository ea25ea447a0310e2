"""Sidecars in this process and in their own, applications that record beside them, and HTTP to both."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ProductionMonitoringService, ReferenceProfile
from modelwatch.sidecar.server import Sidecar
from modelwatch.sidecar.settings import Settings

DEADLINE = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        raw = gzip.decompress(self.body) if self.headers.get("Content-Encoding") == "gzip" else self.body
        return raw.decode()


def http(url: str, body: bytes | None = None, method: str | None = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, method=method, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


class InProcess:
    """A sidecar on an event loop in a thread of this process."""

    def __init__(self, settings: Settings) -> None:
        self.sidecar: Any = None
        self.failure: BaseException | None = None
        self._settings = settings
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE)
        if self.failure is not None:
            raise self.failure

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            self.sidecar = Sidecar(self._settings)
            self.url = await self.sidecar.start()
        except BaseException as error:  # noqa: BLE001 - raised again where the test waits
            self.failure = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        self.ended = await self.sidecar.stop()

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE)

    def get(self, path: str, **headers: str) -> Answer:
        return http(self.url + path, None, None, **headers)

    def post(self, path: str, body: bytes = b"", **headers: str) -> Answer:
        return http(self.url + path, body, "POST", **headers)

    def sample(self, line_start: str) -> float | None:
        return sample(self.get("/metrics").text, line_start)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(DEADLINE)
        assert not self._thread.is_alive()


def sample(text: str, line_start: str) -> float | None:
    """Return the value of the first sample whose line begins so."""
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(line_start)), None)


class OwnProcess:
    """``modelwatch sidecar`` as people start it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._errors = (folder / f"sidecar-{time.monotonic_ns()}.err").open("w+", encoding="utf-8")
        command = [sys.executable, "-m", "modelwatch", "sidecar", "--listen", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        self.url = next((word for word in self.greeting.split() if word.startswith("http://")), "")

    @property
    def log(self) -> str:
        self._errors.flush()
        return Path(self._errors.name).read_text(encoding="utf-8")

    def get(self, path: str) -> Answer:
        return http(self.url + path)

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit code and what else was printed."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self._errors.close()


@pytest.fixture
def request_url() -> Callable[..., Answer]:
    """Return a function that asks any address: ``request_url(url, body, method, Header_Name=...)``."""
    return http


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def make_sidecar(storage: Path) -> Iterator[Callable[..., InProcess]]:
    """Return a factory of sidecars in this process, quick enough for tests."""
    made: list[InProcess] = []

    def make(**options: Any) -> InProcess:
        quick = {"storage": str(storage), "port": 0, "refresh_seconds": 0.1, "operational_seconds": 0.5}
        running = InProcess(Settings(**{**quick, **options}))
        made.append(running)
        return running

    yield make
    for running in made:
        running.stop()


@pytest.fixture
def start_process(tmp_path: Path, storage: Path) -> Iterator[Callable[..., OwnProcess]]:
    """Return a factory of sidecars in processes of their own."""
    made: list[OwnProcess] = []

    def start(*arguments: str) -> OwnProcess:
        process = OwnProcess(tmp_path, "--storage", str(storage), *arguments)
        made.append(process)
        return process

    yield start
    for process in made:
        process.close()


def columns(n: int, seed: int, *, kilometres: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    distance = rng.gamma(3.0, 300.0, n) * (1.609 if kilometres else 1.0)
    carrier = rng.choice(["UA", "AA", "DL", "B6"], n, p=[0.4, 0.3, 0.2, 0.1])
    return {"distance": distance, "carrier": carrier.tolist()}


@pytest.fixture(scope="session")
def profile_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scores = np.random.default_rng(2).beta(2.0, 5.0, 20_000)
    profile = ReferenceProfile.build(columns(20_000, 1), predictions=scores)
    return profile.save(tmp_path_factory.mktemp("profile") / "profile.json")


@pytest.fixture
def make_app(storage: Path) -> Iterator[Callable[..., ProductionMonitoringService]]:
    """Return a factory of applications on the storage, without a background thread unless asked for."""
    made: list[ProductionMonitoringService] = []

    def make(**options: Any) -> ProductionMonitoringService:
        service = ProductionMonitoringService(storage_path=storage, **{"background": False, **options})
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()


@pytest.fixture
def watched(profile_path: Path) -> dict[str, Any]:
    """Return a model that is checked every second over an hour, as told to ``register_model``."""
    return {
        "model_id": "flights",
        "reference": str(profile_path),
        "drift_detection_interval": "1s",
        "drift": {"windows": ["1h"]},
        "alert_channels": ["pager"],
    }


@pytest.fixture
def serve() -> Callable[..., None]:
    """Return a function that records two hours of predictions at once, up to now."""

    def record(service: ProductionMonitoringService, model_id: str = "flights", *, kilometres: bool = False) -> None:
        n, now = 4000, time.time()
        rows, scores = columns(n, 7, kilometres=kilometres), np.random.default_rng(8).beta(2.0, 5.0, n)
        for i in range(n):
            row = {name: values[i] for name, values in rows.items()}
            when = now - 7200.0 * (1 - i / n)
            service.record_prediction(model_id, float(scores[i]), row, latency_ms=2.0, timestamp=when)
        assert service.flush()

    return record
