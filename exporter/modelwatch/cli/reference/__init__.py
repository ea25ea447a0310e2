"""`modelwatch reference`: profiles from files, what they know, what sets two of them apart, and the new normal."""

from __future__ import annotations

import argparse

from modelwatch.cli.reference import build, diff, rebase, show

__all__ = ["add_parser"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `reference` command to the command line."""
    parser = subparsers.add_parser("reference", help="build, show, compare or renew a reference profile")
    commands = parser.add_subparsers(dest="reference_command", metavar="COMMAND", required=True)
    for module in (build, show, diff, rebase):
        module.add_parser(commands)
