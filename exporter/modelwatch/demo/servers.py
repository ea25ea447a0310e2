"""Programs that run beside the demo, and beside tests: started on free loopback ports, waited for, stopped."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from modelwatch.exceptions import InputError, ModelwatchError

__all__ = ["Binaries", "Server", "ServerError", "find_binaries", "free_port"]

HOST = "127.0.0.1"
ALERTMANAGER_NAMES = ("prometheus-alertmanager", "alertmanager")  # Debian's name, then upstream's
STOP_SECONDS = 10.0
HOW_TO_INSTALL = "on Debian: apt-get install prometheus prometheus-alertmanager"


class ServerError(ModelwatchError):
    """A program that runs beside the demo did not start, or ended by itself."""


@dataclass(frozen=True)
class Binaries:
    """Paths of the programs."""

    prometheus: str
    alertmanager: str


def find_binaries(wanted: str) -> Binaries | None:
    """
    Return where Prometheus and Alertmanager are, or None if the demo does without them.

    Parameters
    ----------
    wanted
        ``"auto"`` takes them if they are there, ``"yes"`` insists, ``"no"`` does without.

    Raises
    ------
    InputError
        If `wanted` is "yes" and one is missing.
    """
    if wanted == "no":
        return None
    prometheus = shutil.which("prometheus")
    alertmanager = next(filter(None, map(shutil.which, ALERTMANAGER_NAMES)), None)
    if prometheus is not None and alertmanager is not None:
        return Binaries(prometheus, alertmanager)
    if wanted == "yes":
        missing = "prometheus" if prometheus is None else "alertmanager"
        msg = f"--prometheus yes: {missing} is not on PATH; {HOW_TO_INSTALL}"
        raise InputError(msg)
    return None


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Server:
    """
    One program: started at once, its output in a file, stopped with SIGTERM and, if that is not enough, SIGKILL.

    Parameters
    ----------
    name
        As people know it.
    command
        Program and arguments.
    log
        File that gets what it prints.
    ready
        URL that answers 200 once it is ready.
    env
        Environment; None for this process's own.
    cwd
        Working directory; None for this process's own.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        ready: str,
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self.ready = ready
        self._env = env
        self._cwd = cwd
        self._pause = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it; also again, after it was stopped or killed."""
        with self.log.open("ab") as output:
            # A session of its own: Ctrl-C in the terminal is for the demo, which stops its programs in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own generated command line
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._env,
                cwd=self._cwd, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id; 0 if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def wait_ready(self, timeout: float = 30.0) -> None:
        """
        Wait until it answers.

        Raises
        ------
        ServerError
            If it ends or does not answer in time; the message holds the end of its output.
        """
        deadline = time.monotonic() + timeout
        while not self._answers():
            if not self.pid:
                raise ServerError(f"{self.name} ended while it was starting: {self._last_words()}")
            if time.monotonic() >= deadline:
                raise ServerError(f"{self.name} is not ready after {timeout:.0f} s: {self._last_words()}")
            self._pause.wait(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.ready, timeout=2) as answer:  # noqa: S310 - a loopback http URL of ours
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else "it said nothing"

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it; idempotent."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
