"""What every test gets: a clean environment, a storage folder of its own, a clock it can turn."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shared CI machine stalls now and then; a deadline would fail tests for reasons that are not theirs.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


class Clock:
    """A clock that stands still until told otherwise."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("MODELWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MODELWATCH_STORAGE", str(tmp_path / "default-storage"))


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], object], float], None]:
    """Wait for a condition with a deadline; the condition is asked again as soon as an event or 20 ms pass."""
    import threading
    import time

    tick = threading.Event()

    def wait(condition: Callable[[], object], timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout} s: {condition}"
            tick.wait(0.02)

    return wait


ALSO_CALLED = {"alertmanager": ("prometheus-alertmanager",), "chromium": ("chromium-browser", "google-chrome")}
"""Debian and upstream differ in names."""


@pytest.fixture(scope="session")
def require_server() -> Callable[[str], str]:
    """Return the path of a program; without it a test is skipped at home and fails where CI=true."""

    def require(name: str) -> str:
        for candidate in (name, *ALSO_CALLED.get(name, ())):
            if path := shutil.which(candidate):
                return path
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{name} is not installed, and CI must not skip what needs it")
        pytest.skip(f"{name} is not installed")

    return require


class SilentPeer:
    """A server that takes every connection and never answers."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/hook"
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                self.connections.append(self._server.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        """Hang up on everybody who waits, and take nobody any more; idempotent."""
        if not self._thread.is_alive():
            return
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)
        for connection in self.connections:
            connection.close()


@pytest.fixture
def silent_peer() -> Iterator[SilentPeer]:
    """Return a server that never answers; name it after what calls it, so that it hangs up first."""
    peer = SilentPeer()
    yield peer
    peer.close()
