"""The demo itself: prepares data, model and service, serves the flights, and follows the script until it ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from modelwatch.demo.flights import require_packages
from modelwatch.demo.inbox import Inbox
from modelwatch.demo.learning import learn
from modelwatch.demo.narrate import Narrator
from modelwatch.demo.prometheus import PrometheusWorld
from modelwatch.demo.script import PROFILES, Script, Step, Timetable
from modelwatch.demo.servers import find_binaries
from modelwatch.demo.serving import make_traffic
from modelwatch.demo.settings import config_text
from modelwatch.demo.sinks import SlackSink, SmtpSink
from modelwatch.demo.stream import Fault
from modelwatch.demo.workspace import Workspace
from modelwatch.exceptions import InputError
from modelwatch.service import ProductionMonitoringService

__all__ = ["DemoOptions", "run_demo"]

_TICK_SECONDS = 0.02
_SETUP_SECONDS = 5.0
_PORTS_TO_TRY = 50
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class DemoOptions:
    """What the command line says; see `modelwatch demo --help`."""

    duration: float | None = None
    exit_on_alert: bool = False
    speed: float = 1.0
    with_fault: bool = True
    profile: str = "default"
    port: int = 9100
    folder: Path | None = None
    seed: int | None = None
    prometheus: str = "auto"
    """Whether the alert comes through Prometheus and Alertmanager: "auto" if they are installed, "yes", "no"."""


def run_demo(options: DemoOptions, console: Console | None = None) -> int:
    """Run the demo from beginning to end.

    Parameters
    ----------
    options : DemoOptions
        What to do.
    console : rich.console.Console, optional
        Where to tell it; by default standard output.

    Returns
    -------
    int
        0, or 1 if an alert did not come in time, or came without a fault.

    Raises
    ------
    MissingPackageError
        A package of the ``[demo]`` extra is missing.
    InputError
        The speed is out of range, or the folder can't be used.
    """
    require_packages()
    times = PROFILES[options.profile].faster(options.speed)
    script = Script(
        times, with_fault=options.with_fault, exit_on_alert=options.exit_on_alert, duration=options.duration
    )
    stopper = _Stopper()
    with ExitStack() as cleanup:
        workspace = cleanup.enter_context(Workspace(options.folder))
        cleanup.enter_context(_signals(stopper))
        demo = _Demo(options, times, script, workspace, console or Console(highlight=False), stopper)
        try:
            demo.prepare(cleanup)
            demo.run()
        except _Stopped:
            demo.stopped = True
        cleanup.callback(demo.conclude)
    return script.exit_code


class _Stopped(BaseException):
    """Somebody asked to stop while the demo was being prepared."""


class _Stopper:
    """Turns a signal into an exception while things are prepared, into a flag while flights are served."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.preparing = True

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.asked.set()
        if self.preparing:
            self.preparing = False
            raise _Stopped


@contextmanager
def _signals(stopper: _Stopper) -> Iterator[None]:
    """Hand SIGINT, SIGTERM and SIGHUP to the stopper; they belong to the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stopper) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Demo:
    """One run. What `prepare` starts is stopped by the exit stack it is given, the last thing first."""

    def __init__(
        self,
        options: DemoOptions,
        times: Timetable,
        script: Script,
        workspace: Workspace,
        console: Console,
        stopper: _Stopper,
    ) -> None:
        self._options = options
        self._times = times
        self._script = script
        self._workspace = workspace
        self._stopper = stopper
        self._first_flight: float | None = None
        self._say = Narrator(console, self._elapsed)
        self._fault = Fault()
        self.stopped = False

    def _elapsed(self) -> float | None:
        return None if self._first_flight is None else time.monotonic() - self._first_flight

    # ── before the first flight ──────────────────────────────────────────────────────────────────────────────────

    def prepare(self, cleanup: ExitStack) -> None:
        """Read, train, build the reference; start the sinks and the service."""
        self._say.welcome(with_fault=self._options.with_fault, seconds=self._script.expected_length + _SETUP_SECONDS)
        files = self._workspace
        model, split = learn(
            files.flights, files.profile, self._say, shown_as=files.show(files.profile), seed=self._options.seed
        )
        smtp = cleanup.enter_context(SmtpSink())
        slack = cleanup.enter_context(SlackSink())
        binaries = find_binaries(self._options.prometheus)
        mode = "prometheus" if binaries is not None else "direct"
        files.write_secret(files.slack_url, slack.url)
        files.config.write_text(
            config_text(self._times, profile=files.profile, slack_url=files.slack_url, smtp_port=smtp.port, mode=mode),
            encoding="utf-8",
        )
        world = None
        if binaries is not None:
            world = PrometheusWorld(files.prometheus, binaries, files.config, files.storage)
        self._inbox = cleanup.enter_context(Inbox(smtp, slack, world.new_alert_lines if world is not None else None))
        self._service = ProductionMonitoringService(config_path=files.config, storage_path=files.storage)
        cleanup.callback(self._service.close)
        port = self._serve_metrics()
        self._traffic = make_traffic(self._service, model, split, self._times)
        if world is not None:
            self._say.prometheus(files.show(files.prometheus))
            world.start(cleanup, [port])
            self._say.world(world.url("sidecar"), world.url("prometheus"), world.url("alertmanager"))
        url = f"http://127.0.0.1:{port}/metrics"
        self._say.serving(len(split.stream), self._times, url, files.show(files.config))

    def _serve_metrics(self) -> int:
        wanted = self._options.port
        for port in (*range(wanted, min(wanted + _PORTS_TO_TRY, 65536)), 0):
            try:
                got = self._service.start_metrics_server(port)
            except InputError:
                continue
            if wanted not in (0, got):
                self._say.metrics_moved(wanted, got)
            return got
        msg = f"no port for the metrics is free, neither {wanted} nor any other"
        raise InputError(msg)

    # ── the flights ──────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Serve flights and follow the script until it ends or somebody asks to stop."""
        self._stopper.preparing = False
        self._first_flight = time.monotonic()
        next_report = self._times.report_every
        actions: dict[Step, Callable[[], None]] = {
            Step.FAULT: self._begin_fault,
            Step.CURE: self._end_fault,
            Step.ALERTED: self._say.alerted,
            Step.ALERT_OVERDUE: lambda: self._say.overdue("the alert has not arrived everywhere", self._since_fault()),
            Step.RESOLVED_OVERDUE: lambda: self._say.overdue(
                "'resolved' has not arrived everywhere", self._since_cure()
            ),
        }
        while not self._stopper.asked.wait(_TICK_SECONDS):
            now = time.monotonic() - self._first_flight
            self._traffic.serve_due(now)
            self._collect(now)
            steps = self._script.advance(now, self._inbox.arrivals)
            for step in steps:
                if step in actions:
                    actions[step]()
                    next_report = now + self._times.report_every
            if Step.END in steps:
                return
            if now >= next_report:
                next_report = now + self._times.report_every
                self._report()
        self.stopped = True

    def _collect(self, now: float) -> None:
        script = self._script
        for arrival in self._inbox.collect(now):
            since_fault = None if script.fault_at is None else arrival.at - script.fault_at
            since_cure = None if script.cured_at is None else arrival.at - script.cured_at
            self._say.arrived(arrival, since_fault, since_cure)
        for text in self._inbox.notes():
            self._say.note(text)

    def _report(self) -> None:
        model = self._service.get_service_status()["models"][0]
        self._say.progress(self._traffic.served, self._traffic.labelled, _state_words(model))

    def _begin_fault(self) -> None:
        self._traffic.begin_fault(self._fault)
        self._say.fault_begins(self._fault.carrier_share)

    def _end_fault(self) -> None:
        self._traffic.end_fault()
        self._say.fault_ends()

    def _since_fault(self) -> float:
        return (self._elapsed() or 0.0) - (self._script.fault_at or 0.0)

    def _since_cure(self) -> float:
        return (self._elapsed() or 0.0) - (self._script.cured_at or 0.0)

    # ── at the end ───────────────────────────────────────────────────────────────────────────────────────────────

    def conclude(self) -> None:
        """Say what happened."""
        if self.stopped:
            self._say.stopped()
        if self._first_flight is not None:
            self._say.summary(self._script, self._inbox.arrivals, self._traffic.served, str(self._workspace.shown))


def _state_words(model: dict[str, Any]) -> str:
    if model["last_check_at"] is None:
        return "the first check is still to come"
    if model["drift_severity"] == "none":
        return "nothing drifts"
    return f"drift: {model['drift_severity']}"
