"""``modelwatch dashboards generate``: Grafana dashboards as files, for provisioning."""

from __future__ import annotations

import argparse
import sys
from typing import TextIO

__all__ = ["add_parser", "run_generate"]

OK = 0
DEFAULT_OUT = "grafana/dashboards"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "dashboards",
        help="Grafana dashboards as files",
        description="Grafana dashboards of everything that modelwatch exposes, as JSON for provisioning or import.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    generate = actions.add_parser(
        "generate",
        help="write the dashboards into a folder",
        description="Write the dashboards (all models, one model, the monitoring itself) into a folder, for a Grafana "
        "10 or later that provisions from it or for import by hand. They fit every model; nothing in them depends on a "
        "configuration.",
        epilog="Exit codes: 0 ok, 2 the folder can't be written.",
    )
    generate.add_argument("--out", metavar="DIR", default=DEFAULT_OUT, help=f"default: {DEFAULT_OUT}")
    generate.set_defaults(func=lambda args: run_generate(args.out, sys.stdout))


def run_generate(out_folder: str, out: TextIO) -> int:
    """Write all dashboards and say where.

    Parameters
    ----------
    out_folder
        Made if it does not exist; files of the same names are replaced, others are left alone.
    out
        Gets one path per line.

    Returns
    -------
    int
        0.

    Raises
    ------
    InputError
        If the folder can't be written to.
    """
    from modelwatch_grafana import write_dashboards

    for path in write_dashboards(out_folder):
        out.write(f"{path}\n")
    return OK
