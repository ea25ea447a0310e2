"""`modelwatch reference show`: what a profile knows, in the terminal."""

from __future__ import annotations

import argparse

from modelwatch.cli.tables import write

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser("show", help="what a profile knows, in the terminal")
    parser.add_argument("file", metavar="FILE", help="a profile written by `reference build` or ReferenceProfile.save")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Show what a profile knows."""
    from modelwatch.profile import ReferenceProfile

    write(ReferenceProfile.load(args.file).summary())
    return 0
