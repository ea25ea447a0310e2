"""``modelwatch check-config``: is the configuration right, and if not, what to change where."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from modelwatch.config import (
    ModelMonitoringConfig,
    MonitoringConfig,
    channels_without_receiver,
    environment_receivers,
    find_config,
    load_config,
)
from modelwatch.exceptions import ConfigError, did_you_mean
from modelwatch.notify.secret_files import secret_problem

if TYPE_CHECKING:
    from modelwatch.config.alerting import Receiver

__all__ = ["add_parser", "run"]

OK = 0
INPUT_ERROR = 2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "check-config",
        help="errors in a configuration file, before they matter",
        description="Check a configuration file: every mistake on a line of its own, with file, line, key and what is "
        "allowed instead. A file without mistakes is summed up, and files of secrets that are of no use are warned of.",
        epilog="Exit codes: 0 ok, 2 mistakes, or no file.",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="JSON or YAML (default: $MODELWATCH_CONFIG, then ./models.yaml)"
    )
    parser.set_defaults(func=lambda args: run(args.config, sys.stdout, sys.stderr))


def run(config_path: str | None, out: TextIO, err: TextIO) -> int:
    """Check a configuration file and say what it sets up.

    Parameters
    ----------
    config_path
        The file; None looks where every command does: ``$MODELWATCH_CONFIG``, then ``./models.yaml``.
    out, err
        The summary goes to `out`; mistakes, one per line, go to `err`.

    Returns
    -------
    int
        0 if the file is right, 2 if it is not or there is none.
    """
    path = config_path or find_config()
    if path is None:
        err.write("no configuration found: give --config FILE, set MODELWATCH_CONFIG, or write models.yaml here\n")
        return INPUT_ERROR
    try:
        config = load_config(path)
        served = environment_receivers()
    except ConfigError as error:
        err.write(f"{error}\n")
        return INPUT_ERROR
    out.write(f"{path}: OK\n")
    for line in _summary(config):
        out.write(f"  {line}\n")
    for warning in _warnings(config, served):
        out.write(f"warning: {warning}\n")
    return OK


def _summary(config: MonitoringConfig) -> list[str]:
    count = len(config.models)
    lines = [f"{count} model{'' if count == 1 else 's'}" if count else "no models: only those that register themselves"]
    width = max((len(model.model_id) for model in config.models), default=0)
    lines += [f"{model.model_id:<{width}}  {_model_line(model)}" for model in config.models]
    if config.alerting.mode == "prometheus":
        lines.append("alerts of scheduled checks: by Prometheus and Alertmanager (modelwatch rules generate)")
    if receivers := config.alerting.receivers:
        listed = ", ".join(f"{name} ({r.type})" if name != r.type else name for name, r in receivers.items())
        lines.append(f"receivers: {listed}")
    return lines


def _model_line(model: ModelMonitoringConfig) -> str:
    learning = " · rows are kept until its reference is learnt" if _keeps_rows_to_learn(model) else ""
    return f"{_schedule(model)}{learning}"


def _keeps_rows_to_learn(model: ModelMonitoringConfig) -> bool:
    return not model.log_predictions and model.reference == "auto"


def _schedule(model: ModelMonitoringConfig) -> str:
    version = f"version {model.model_version} · " if model.model_version else ""
    channels = ", ".join(model.alert_channels) if model.channels_written else "every receiver, else log"
    if model.schedule is not None:
        return f"{version}windows {', '.join(model.drift.windows)} at {model.schedule!r} · channels {channels}"
    every = model.drift_detection_interval
    interval = every if isinstance(every, str) and not every.isdecimal() else f"{every} min"
    return f"{version}windows {', '.join(model.drift.windows)} every {interval} · channels {channels}"


def _warnings(config: MonitoringConfig, served: Mapping[str, Receiver]) -> list[str]:
    receivers = {**served, **config.alerting.receivers}
    problems = {name: secret_problem(receiver) for name, receiver in receivers.items()}
    return [
        *(f"receiver {name!r} can't deliver: {problem}" for name, problem in problems.items() if problem),
        *(f"{model.model_id}: {warning}" for model in config.models for warning in model.warnings),
        *(
            f"{model.model_id}: the channel {channel!r} has no receiver; it reaches nobody unless the application"
            f" registers a handler {channel!r}{did_you_mean(channel, receivers)}"
            for model in config.models
            for channel in channels_without_receiver(model, config.alerting, served)
        ),
    ]
