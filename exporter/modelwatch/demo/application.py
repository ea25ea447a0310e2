"""The demo's model server alone, for docker-compose: others scrape it, score it and tell people.

It serves flights until it is stopped, with an upstream fault for some minutes of every quarter of an hour, so that
there is something to see. A small web server beside it plays Slack and prints what it receives.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from modelwatch.config import default_storage_path, find_config, load_config
from modelwatch.demo.flights import require_packages
from modelwatch.demo.learning import learn
from modelwatch.demo.script import Timetable
from modelwatch.demo.serving import make_traffic
from modelwatch.demo.settings import MODEL_ID
from modelwatch.demo.sinks import SlackSink
from modelwatch.demo.stream import Fault, Traffic
from modelwatch.exceptions import InputError
from modelwatch.service import ProductionMonitoringService

__all__ = ["ApplicationOptions", "FaultCycle", "run_application"]

logger = logging.getLogger("modelwatch.demo")
TICK_SECONDS = 0.02
SLACK_PATH = "/services/T000/B000/sink"


@dataclass(frozen=True)
class FaultCycle:
    """When the fault is on: for `length` seconds, `first` seconds after the start and then every `period`."""

    first: float = 120.0
    length: float = 180.0
    period: float = 900.0

    def is_on(self, elapsed: float) -> bool:
        """Return whether the fault is on `elapsed` seconds after the start.

        >>> cycle = FaultCycle(first=10, length=5, period=60)
        >>> [cycle.is_on(t) for t in (0, 10, 14, 15, 70)]
        [False, True, True, False, True]
        """
        return elapsed >= self.first and (elapsed - self.first) % self.period < self.length


@dataclass(frozen=True)
class ApplicationOptions:
    """What the command line says; see `modelwatch demo --help`."""

    addr: str = "127.0.0.1"
    port: int = 9100
    slack_port: int | None = None
    rate: float = 100.0
    cycle: FaultCycle = FaultCycle()


class _Log:
    """Tells the log what was learnt."""

    def flights_read(self, count: int) -> None:
        """Say how many flights were read."""
        logger.info("read %d flights of 2013", count)

    def model_trained(self, flights: int, accuracy: float) -> None:
        """Say how many flights the model learnt from."""
        logger.info("trained on %d flights of January to March; right about %.0f %% of others", flights, 100 * accuracy)

    def profile_built(self, flights: int, path: str) -> None:
        """Say where the reference profile lies."""
        logger.info("reference profile of %d later flights: %s", flights, path)


def run_application(options: ApplicationOptions) -> int:
    """
    Serve flights until SIGINT or SIGTERM.

    The configuration comes from ``$MODELWATCH_CONFIG`` and must list the demo's model with a `reference`, which is
    where the profile is written.

    Raises
    ------
    MissingPackageError
        A package of the ``[demo]`` extra is missing.
    InputError
        There is no configuration, or it does not say where the profile goes.
    """
    require_packages()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = find_config()
    if config is None:
        msg = "set MODELWATCH_CONFIG to a configuration that lists the model 'flight_delay'"
        raise InputError(msg)
    profile = _profile_path(config)
    storage = default_storage_path(None, load_config(config))
    storage.mkdir(parents=True, exist_ok=True)
    profile.parent.mkdir(parents=True, exist_ok=True)
    learnt = learn(storage / "flights.npz", profile, _Log(), shown_as=str(profile))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ProductionMonitoringService(config) as service:
        port = service.start_metrics_server(options.port, options.addr)
        logger.info("metrics: http://%s:%d/metrics", options.addr, port)
        traffic = make_traffic(service, learnt.model, learnt.split, Timetable(rate=options.rate))
        with contextlib.ExitStack() as cleanup:
            slack = None
            if options.slack_port is not None:
                slack = cleanup.enter_context(SlackSink(address=(options.addr, options.slack_port)))
                logger.info("a stand-in for Slack: http://%s:%d%s", options.addr, slack.port, SLACK_PATH)
            _serve(traffic, options.cycle, stop, slack)
    return 0


def _profile_path(config: Path) -> Path:
    for model in load_config(config).models:
        if model.model_id == MODEL_ID and model.reference != "auto":
            return Path(model.reference)
    msg = f"{config}: lists no model {MODEL_ID!r} with a 'reference' path, which is where the profile is written"
    raise InputError(msg)


def _serve(traffic: Traffic, cycle: FaultCycle, stop: threading.Event, slack: SlackSink | None) -> None:
    started, faulty, shown = time.monotonic(), False, 0
    while not stop.wait(TICK_SECONDS):
        elapsed = time.monotonic() - started
        if cycle.is_on(elapsed) != faulty:
            faulty = not faulty
            if faulty:
                logger.warning("FAULT: distances in kilometres, and carrier codes that the model has never seen")
                traffic.begin_fault(Fault())
            else:
                logger.warning("FIXED: miles and known carriers again")
                traffic.end_fault()
        traffic.serve_due(elapsed)
        for message in slack.messages[shown:] if slack is not None else ():
            shown += 1
            logger.info("Slack received: %s", message)
    logger.info("stopped after %d flights", traffic.served)
