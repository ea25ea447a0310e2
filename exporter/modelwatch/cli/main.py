"""Commands by what one wants to do; each lives in a module of its own and is imported when it is used.

Exit codes: 0 ok, 1 finding, 2 usage or input error. A user's mistake is a sentence on stderr, never a traceback.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import modelwatch
from modelwatch.cli import alerts, backtest, check_config, dashboards, demo, doctor, drift, reference, rules, sidecar
from modelwatch.exceptions import ModelwatchError

EXIT_OK, EXIT_FINDING, EXIT_USAGE = 0, 1, 2

OVERVIEW = """\
START      demo              real flights, a fault, an alert
           doctor            what is wrong, and the fix
           check-config      errors, series, disk, who gets which alert
REFERENCE  reference build   a reference profile from your data
           reference show    what a profile knows, in the terminal
           reference diff    what sets two profiles apart
           reference rebase  make what an input does now its new normal
RUN        sidecar           score, export, notify: beside your applications
LOOK       alerts list       the latest alerts, and who was told
ACT        alerts test       ring the real pager by the real path, marked as a test
TUNE, CI   backtest          what would have alarmed, and the YAML to change it
           drift check       did a file drift? exit 0 clean, 1 drift, 2 bad input
DEPLOY     rules generate    rules and routing for Prometheus and Alertmanager
           rules check       what promtool and amtool say about them
           rules test        their unit tests
           dashboards generate   Grafana dashboards as files
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="modelwatch",
        description="Know when your model goes wrong, and sleep when it does not.",
        epilog=OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"modelwatch {modelwatch.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (demo, doctor, check_config, reference, sidecar, alerts, backtest, drift, dashboards, rules):
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.func(args))
    except ModelwatchError as error:
        sys.stderr.write(f"modelwatch: {error}\n")
        return EXIT_USAGE
    except BrokenPipeError:
        # Somebody piped us into `head`; silence is what they expect.
        sys.stderr.close()
        return EXIT_OK
    except KeyboardInterrupt:
        return 130
