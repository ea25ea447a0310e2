"""The demo's Prometheus world: sidecar, Prometheus and Alertmanager on loopback ports, with generated files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from modelwatch.config import load_config
from modelwatch.demo.servers import HOST, Binaries, Server, free_port
from modelwatch_rules.generate import ALERTMANAGER_FILE, PROMETHEUS_FILE, Options, generate
from modelwatch_rules.timing import DEMO, Timing, prometheus_duration

__all__ = ["PrometheusWorld"]

_ALERT_LINE = re.compile(r"^.*\bmodelwatch\.alerts\b.*$", re.MULTILINE)


class PrometheusWorld:
    """
    Sidecar, Prometheus and Alertmanager over one storage.

    Parameters
    ----------
    folder
        Gets generated files, data and logs.
    binaries
        The programs.
    config
        The models.yaml, with ``alerting.mode: prometheus``.
    storage
        The storage that the application records to.
    timing
        How fast everything goes.
    deadman_url
        What the watchdog calls; None for nobody.

    Attributes
    ----------
    sidecar, prometheus, alertmanager : Server
        The programs, once :meth:`start` was called.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Binaries,
        config: Path,
        storage: Path,
        timing: Timing = DEMO,
        *,
        deadman_url: str | None = None,
    ) -> None:
        self.folder = folder
        self._binaries = binaries
        self._config = config
        self._storage = storage
        self._timing = timing
        self._deadman_url = deadman_url
        self._ports = {name: free_port() for name in ("sidecar", "prometheus", "alertmanager")}
        self._read = 0
        self.sidecar: Server
        self.prometheus: Server
        self.alertmanager: Server

    def url(self, name: str) -> str:
        """Return the address of "sidecar", "prometheus" or "alertmanager"."""
        return f"http://{HOST}:{self._ports[name]}"

    def start(self, cleanup: ExitStack, app_ports: list[int]) -> None:
        """
        Generate the files, start the programs and wait until they are ready.

        Parameters
        ----------
        cleanup
            Stops what is started.
        app_ports
            Where the application serves its metrics.

        Raises
        ------
        ServerError
            If a program does not start.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._generate(app_ports)
        self.sidecar = cleanup.enter_context(self._start_sidecar())
        self.alertmanager = cleanup.enter_context(self._start_alertmanager())
        self.prometheus = cleanup.enter_context(self._start_prometheus())
        for server in (self.sidecar, self.alertmanager, self.prometheus):
            server.wait_ready()

    def _generate(self, app_ports: list[int]) -> None:
        sidecar = f"{HOST}:{self._ports['sidecar']}"
        generate(
            load_config(self._config),
            self.folder,
            Options(
                timing=self._timing,
                targets={"app": [f"{HOST}:{port}" for port in app_ports], "sidecar": [sidecar]},
                alertmanagers=[f"{HOST}:{self._ports['alertmanager']}"],
                log_url=f"http://{sidecar}/api/v1/alerts",
                deadman_url=self._deadman_url,
            ),
        )

    def _start_sidecar(self) -> Server:
        command = [
            sys.executable, "-m", "modelwatch", "sidecar", "--config", str(self._config),
            "--storage", str(self._storage), "--listen", f"{HOST}:{self._ports['sidecar']}",
        ]  # fmt: skip
        # The console encoding of whoever started us must not decide what a log line may hold.
        env = {**os.environ, "PYTHONUTF8": "1"}
        return Server("sidecar", command, self.sidecar_log, f"{self.url('sidecar')}/-/ready", env=env)

    def _start_prometheus(self) -> Server:
        command = [
            self._binaries.prometheus,
            f"--config.file={self.folder / PROMETHEUS_FILE}",
            f"--storage.tsdb.path={self.folder / 'prometheus-data'}",
            f"--web.listen-address={HOST}:{self._ports['prometheus']}",
            f"--rules.alert.resend-delay={prometheus_duration(self._timing.resend_delay)}",
        ]
        return Server("Prometheus", command, self.folder / "prometheus.log", f"{self.url('prometheus')}/-/ready")

    def _start_alertmanager(self) -> Server:
        command = [
            self._binaries.alertmanager,
            f"--config.file={self.folder / ALERTMANAGER_FILE}",
            f"--storage.path={self.folder / 'alertmanager-data'}",
            f"--web.listen-address={HOST}:{self._ports['alertmanager']}",
            f"--web.external-url={self.url('alertmanager')}",
            "--cluster.listen-address=",
        ]
        log = self.folder / "alertmanager.log"
        return Server("Alertmanager", command, log, f"{self.url('alertmanager')}/-/ready")

    @property
    def sidecar_log(self) -> Path:
        """What the sidecar prints, the ``log`` channel among it."""
        return self.folder / "sidecar.log"

    def new_alert_lines(self) -> Iterator[str]:
        """Yield the lines of the ``log`` channel that the sidecar has written since the last call."""
        with self.sidecar_log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._read)
            text = log.read()
        whole = text.rpartition("\n")[0]
        self._read += len(whole.encode()) + 1 if whole else 0
        yield from _ALERT_LINE.findall(whole)
