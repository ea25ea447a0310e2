"""``modelwatch doctor``: what is wrong, and the fix."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, TextIO

from modelwatch.cli.arguments import add_sources

if TYPE_CHECKING:
    from pathlib import Path

    from modelwatch.cli.checkups.finding import Checkup, Finding, Patient
    from modelwatch.config import MonitoringConfig
    from modelwatch.store.inspection import StorageFacts

__all__ = ["add_parser", "run"]

OK, FINDING = 0, 1
_APP, _SIDECAR = "http://127.0.0.1:9100", "http://127.0.0.1:9877"
_DESCRIPTION = """\
Look at everything between a prediction and the person who is alerted: storage, who runs the checks, where metrics are
served, whether Prometheus scrapes them and evaluates our rules, whether Alertmanager knows our receivers, whether each
channel could deliver. Nothing is changed, and nothing is sent (`modelwatch alerts test` does that).
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="what is wrong, and the fix",
        description=_DESCRIPTION,
        epilog="Exit codes: 0 all is well, 1 problems, 2 usage.",
    )
    add_sources(parser)
    parser.add_argument("--app", metavar="URL", help=f"metrics of the application (default: {_APP})")
    parser.add_argument("--sidecar", metavar="URL", help=f"the sidecar (default: {_SIDECAR})")
    parser.add_argument(
        "--prometheus", metavar="URL", help="default: http://localhost:9090 in mode prometheus, else not asked"
    )
    parser.add_argument(
        "--alertmanager", metavar="URL", help="default: those that Prometheus tells, else http://localhost:9093"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")
    parser.set_defaults(func=lambda args: run(args, sys.stdout))


def run(args: argparse.Namespace, out: TextIO) -> int:
    """Look at everything and report; return 1 if there is any problem."""
    from modelwatch.cli.checkups.finding import Status, run_checkups

    found, config, configured = _configuration(args.config)
    unreadable = any(finding.status is Status.PROBLEM for finding in found)
    patient = _patient(args, config, configured=configured, unreadable=unreadable)
    found += run_checkups(_checkups(), patient)
    problems = sum(finding.status is Status.PROBLEM for finding in found)
    if args.format == "json":
        report = {"ok": not problems, "findings": [_as_json(finding) for finding in found]}
        out.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    else:
        out.write("".join(f"{line}\n" for line in [*_lines(found), "", _verdict(problems)]))
    return FINDING if problems else OK


def _checkups() -> list[tuple[str, Checkup]]:
    from modelwatch.cli.checkups import alertmanager, channels, endpoints, prometheus, storage

    return [
        ("storage", storage.look_at_storage),
        ("checks", storage.look_at_checks),
        ("models", storage.look_at_models),
        ("metrics", endpoints.look_at_endpoints),
        ("Prometheus", prometheus.look_at_prometheus),
        ("Alertmanager", alertmanager.look_at_alertmanager),
        ("who is told", channels.look_at_audience),
        ("quiet hours", channels.look_at_quiet_hours),
        ("silences", channels.look_at_silences),
        ("channels", channels.look_at_channels),
    ]


def _configuration(path: str | None) -> tuple[list[Finding], MonitoringConfig, bool]:
    """Return the configuration, an empty one if it has mistakes: then all else is looked at nevertheless."""
    from modelwatch.cli.checkups.finding import ok, problem, skipped
    from modelwatch.config import MonitoringConfig, environment_receivers, find_config, load_config
    from modelwatch.exceptions import ConfigError

    file = path or find_config()
    try:
        environment_receivers()
        if file is None:
            words = "none: models register themselves, and MODELWATCH_SLACK_URL_FILE may name a receiver"
            return [skipped("configuration", words)], MonitoringConfig(), False
        config = load_config(file)
    except ConfigError as error:
        lines = str(error).splitlines()
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        fix = "modelwatch check-config" + ("" if file is None else f" {file}")
        return [problem("configuration", f"{lines[0]}{more}", fix)], MonitoringConfig(), False
    count = len(config.models)
    words = f"{file}, {count} model{'s' * (count != 1)}, alerting.mode {config.alerting.mode}"
    return [ok("configuration", words)], config, True


def _patient(args: argparse.Namespace, config: MonitoringConfig, *, configured: bool, unreadable: bool) -> Patient:
    from modelwatch.cli.checkups.finding import Patient
    from modelwatch.config import default_storage_path

    folder = default_storage_path(args.storage, config).absolute()
    now = time.time()
    return Patient(
        config,
        configured,
        folder,
        _facts(folder, now),
        now,
        app=_APP if args.app is None else args.app,
        sidecar=_SIDECAR if args.sidecar is None else args.sidecar,
        prometheus=args.prometheus,
        alertmanager=args.alertmanager,
        given=frozenset(o for o, url in (("--app", args.app), ("--sidecar", args.sidecar)) if url is not None),
        unreadable=unreadable,
    )


def _facts(folder: Path, now: float) -> StorageFacts | None:
    from modelwatch.exceptions import StorageError
    from modelwatch.store.inspection import inspect_storage

    try:
        return inspect_storage(folder, now)
    except (StorageError, OSError):  # the checkup of the storage says why
        return None


def _lines(found: list[Finding]) -> list[str]:
    width = max(len(finding.what) for finding in found)
    indent = " " * (10 + width)
    lines = []
    for finding in found:
        lines.append(f"{finding.status.value:<8} {finding.what:<{width}} {finding.said}")
        if finding.fix:
            lines.append(f"{indent}fix: {finding.fix}")
    return lines


def _verdict(problems: int) -> str:
    return f"{problems} problem{'s' * (problems != 1)}" if problems else "all is well, as far as this could look"


def _as_json(finding: Finding) -> dict[str, str]:
    return {"what": finding.what, "status": finding.status.value, "said": finding.said, "fix": finding.fix}
