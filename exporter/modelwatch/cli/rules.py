"""``modelwatch rules``: write rules and routing for Prometheus and Alertmanager, and check what was written."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from modelwatch.config import MonitoringConfig, find_config, load_config
from modelwatch.exceptions import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelwatch_rules.generate import Options
    from modelwatch_rules.validate import Checked

__all__ = ["add_parser", "run_check", "run_generate", "run_test"]

DEFAULT_OUT = Path("rules/generated")
OK, FINDING = 0, 1
_TIMINGS = ("test", "demo", "production")

_EXAMPLE = """\
example:
  modelwatch rules generate --config models.yaml --out rules/generated --merge \\
      --scrape app=model-server:9100 --scrape sidecar=model-server:9877
  modelwatch rules check --out rules/generated
  modelwatch rules test --out rules/generated
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `rules` command to the command line."""
    parser = commands.add_parser(
        "rules",
        help="rules and routing for Prometheus and Alertmanager",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="rules_command", metavar="ACTION", required=True)
    _add_generate(actions)
    check = actions.add_parser(
        "check",
        help="ask promtool and amtool whether the files are right",
        epilog="Exit codes: 0 ok, 1 findings, 2 there is nothing to check.",
    )
    _add_out(check)
    check.set_defaults(func=lambda args: run_check(args.out, sys.stdout))
    test = actions.add_parser(
        "test",
        help="run the unit tests of the rules, with promtool",
        description="Run the unit tests that were generated with the rules: each alert fires when it should and only"
        " then, each recorded series is what its name says.",
        epilog="Exit codes: 0 ok, 1 a test failed, 2 there are no tests, or no promtool.",
    )
    _add_out(test)
    test.set_defaults(func=lambda args: run_test(args.out, sys.stdout))


def _add_generate(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "generate",
        help="write the files",
        description="Write Prometheus rules, a Prometheus configuration to start from, an Alertmanager configuration"
        " and its message templates. The rules cover every model that is exposed; the file adds whose absence is news,"
        " and who is told of what.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", metavar="FILE", help="JSON or YAML (default: $MODELWATCH_CONFIG, then ./models.yaml)"
    )
    _add_out(parser)
    parser.add_argument(
        "--timing", choices=_TIMINGS, default="production", help="how fast alerts come (default: %(default)s)"
    )
    parser.add_argument(
        "--merge", action="store_true", help="only our route, receivers and inhibitions, for an existing Alertmanager"
    )
    parser.add_argument(
        "--runbook-base", metavar="URL", help="alerts link to URL/<alertname>.md (default: the runbooks of modelwatch)"
    )
    parser.add_argument(
        "--grafana-url", metavar="URL", help="alerts link to our dashboards on this Grafana (default: no links)"
    )
    parser.add_argument(
        "--scrape",
        action="append",
        default=[],
        metavar="app=HOST:PORT",
        help="what Prometheus scrapes: app=HOST:PORT or sidecar=HOST:PORT; may be repeated",
    )
    parser.add_argument(
        "--alertmanager", action="append", default=[], metavar="HOST:PORT", help="where Prometheus sends alerts"
    )
    parser.add_argument("--log-url", metavar="URL", help="where the channel log goes (default: the sidecar here)")
    parser.add_argument("--deadman-url", metavar="URL", help="a webhook that raises the alarm when it is not called")
    for program, least in (("Alertmanager", "0.25"), ("Prometheus", "2.42")):
        parser.add_argument(
            f"--{program.lower()}-version",
            default=least,
            metavar="X.Y",
            help=f"the oldest {program} that will read the files; a later one lifts limits (default: %(default)s)",
        )
    parser.set_defaults(func=lambda args: run_generate(args, sys.stdout, sys.stderr))


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="default: %(default)s")


def run_generate(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Write all files, or none if the configuration has mistakes; say what was written, and warn of what is odd.

    Raises
    ------
    ConfigError
        If there is no configuration, or it has mistakes.
    InputError
        If an address can't be one, or a version is none that the files work with.
    """
    from modelwatch_rules.generate import generate
    from modelwatch_rules.routing import routing_warnings

    path = args.config or find_config()
    if path is None:
        raise ConfigError(
            "no configuration found: give --config FILE, set MODELWATCH_CONFIG, or write models.yaml here"
        )
    config: MonitoringConfig = load_config(path)
    options = _options(args)
    written = generate(config, args.out, options)
    for warning in routing_warnings(config, version=options.alertmanager_version):
        err.write(f"warning: {warning}\n")
    for file in written:
        out.write(f"{file}\n")
    return OK


def _options(args: argparse.Namespace) -> Options:
    from modelwatch_rules.generate import Options
    from modelwatch_rules.groups import DEFAULT_RUNBOOK_BASE
    from modelwatch_rules.scraping import DEFAULT_ALERTMANAGER, DEFAULT_TARGETS, parse_address, parse_target
    from modelwatch_rules.timing import TIMINGS
    from modelwatch_rules.versions import parse_version

    targets: dict[str, list[str]] = {kind: [] for kind in DEFAULT_TARGETS}
    for kind, address in map(parse_target, args.scrape):
        targets[kind].append(address)
    base = args.runbook_base or DEFAULT_RUNBOOK_BASE
    _check_base("--runbook-base", base)
    _check_base("--grafana-url", args.grafana_url)
    _check_address("--log-url", args.log_url)
    _check_address("--deadman-url", args.deadman_url)
    return Options(
        timing=TIMINGS[args.timing],
        merge=args.merge,
        runbook_base=base,
        grafana_url=args.grafana_url,
        # Who names the applications only still needs the sidecar scraped, or nothing would ever alert.
        targets={kind: targets[kind] or DEFAULT_TARGETS[kind] for kind in DEFAULT_TARGETS},
        alertmanagers=[parse_address(text) for text in args.alertmanager] or [DEFAULT_ALERTMANAGER],
        log_url=args.log_url,
        deadman_url=args.deadman_url,
        alertmanager_version=parse_version(args.alertmanager_version, "Alertmanager"),
        prometheus_version=parse_version(args.prometheus_version, "Prometheus"),
    )


def _check_base(option: str, url: str | None) -> None:
    """Refuse what can't be the beginning of an address, or would be a template in an alert."""
    _check_address(option, url)
    if url is not None and any(mark in url for mark in ("{{", "?", "#")):
        raise InputError(f"{option} must be the beginning of an address, without '?', '#' and '{{{{', got {url!r:.200}")


def _check_address(option: str, url: str | None) -> None:
    """Refuse what nobody can call; it is not repeated, as the address of a webhook is a secret."""
    from modelwatch.notify.secret_files import usable_address

    if url is not None and not usable_address(url):
        raise InputError(f"{option} must be an address that begins with https:// or http:// and names a server")


def run_check(folder: Path, out: TextIO) -> int:
    """Check generated files with what is installed; say what was not run.

    Raises
    ------
    InputError
        If the folder holds no generated files.
    """
    from modelwatch_rules.validate import check

    return _report(check(folder), out)


def run_test(folder: Path, out: TextIO) -> int:
    """Run the unit tests of generated rules.

    Raises
    ------
    InputError
        If the folder holds no tests, or promtool is not installed.
    """
    from modelwatch_rules.validate import run_tests

    return _report(run_tests(folder), out)


def _report(found: Sequence[Checked], out: TextIO) -> int:
    for checked in found:
        out.write(f"{checked.outcome:<8} {checked.what}\n")
        if checked.outcome != "ok" and checked.output:
            out.write("".join(f"         {line}\n" for line in checked.output.splitlines()))
    return FINDING if any(checked.outcome == "finding" for checked in found) else OK
