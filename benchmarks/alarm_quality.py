"""How often the default alarms for nothing, and how soon it finds what is wrong: G1 to G8, beside other libraries.

Run it from the repository, with modelwatch[demo] installed::

    python benchmarks/alarm_quality.py                     # all goals, 40 simulated model-months a cell
    python benchmarks/alarm_quality.py --months 10 --goals G1 G2
    python benchmarks/alarm_quality.py --quick             # what `make test` asserts too: a minute
    python benchmarks/alarm_quality.py --peers .venv/quality-peers/bin/python --json out.json

It takes an hour or more, and exits with 1 if a goal is missed. Everything follows from fixed seeds. The peers need an
environment of their own (see ``benchmarks/requirements-quality-peers.txt``; `make quality` makes it), which is also
where the car loans come from.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from quality import comparison, goals, real
from quality.figures import Figure, as_json, table
from quality.subset import SUBSET
from quality.together import lost_correlations, rows_false_alarms
from quality.worlds import Season

MONTHS, RUNS, SMALL_RUNS = 40, 40, 100
TIMED = "G7"
LONGEST_FIRST = ("G3", "G1", "G2 on rows", "G1 on rows", "G5", "G2", "G6", "G8")
Goals = dict[str, Callable[[], list[Figure]]]


def all_goals(months: int, peers: Path | None) -> Goals:
    """Return by name what measures each goal; fewer months mean fewer runs in proportion."""
    runs, small = max(1, RUNS * months // MONTHS), max(1, SMALL_RUNS * months // MONTHS)
    return {
        "G1": lambda: [
            *goals.false_alarms(months, kind="traffic", say=say),
            *goals.false_alarms(months, kind="rows", say=say),
            *goals.false_alarms(months, (25,), kind="no times", say=say),
        ],
        "G1 on rows": lambda: [*rows_false_alarms(months, say=say), *lost_correlations(runs // 4, say=say)],
        "G2": lambda: goals.seasonal_false_alarms(months, say=say),
        "G2 on rows": lambda: [
            *rows_false_alarms(months, season=Season(), say=say),
            *lost_correlations(runs // 4, season=Season(), say=say),
        ],
        "G3": lambda: [*goals.delays(runs, say=say), *goals.delays(runs, kind="rows", say=say)],
        "G5": lambda: goals.small_shifts(small, say=say),
        "G6": lambda: [
            *real.quiet_flights(say=say),
            *real.quiet_flights(gaps=True, say=say),
            *(real.loans_before_and_after(peers, say=say) if peers else []),
        ],
        "G7": goals.seconds_a_check,
        "G8": lambda: real.faults_in_flights(say=say),
    }


def say(line: str) -> None:
    """Show that it goes on."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--months", type=int, default=MONTHS, help="simulated model-months for each cell of a table")
    parser.add_argument("--goals", nargs="*", help="G1 to G8; G3 stands for G4 too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="so many goals at a time")
    parser.add_argument("--quick", action="store_true", help="a part of each goal, in a minute")
    parser.add_argument("--peers", type=Path, help="the Python of an environment with the peers")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    began = time.time()
    figures = goals_in_a_minute() if options.quick else _measured(options)
    print(table(figures))
    beside = comparison.beside(options.peers, say=say) if options.peers and not options.quick else []
    if beside:
        print("\n" + comparison.table(beside))
    about = {"months": options.months, "seconds": round(time.time() - began), "python": platform.python_version(),
             "numpy": np.__version__, "scipy": scipy.__version__}  # fmt: skip
    print(f"\n{about['seconds']} s; " + ("all goals met" if all(f.met for f in figures) else "GOALS MISSED"))
    if options.json:
        found: dict[str, Any] = {"about": about, "figures": as_json(figures), "beside": comparison.as_json(beside)}
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0 if all(f.met for f in figures) else 1


def _measured(options: argparse.Namespace) -> list[Figure]:
    """Return the figures of the goals that are asked for; what takes time is measured last, by itself."""
    names = [n for n in all_goals(options.months, None) if not options.goals or n.partition(" ")[0] in options.goals]
    alone = [name for name in names if name == TIMED]
    found: dict[str, list[Figure]] = {}
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
        # The longest ones first.
        together = sorted((name for name in names if name not in alone), key=LONGEST_FIRST.index)
        asked = [(name, options.months, options.peers) for name in together]
        found |= zip(together, pool.map(_one, asked, chunksize=1), strict=True)
    found |= {name: _one((name, options.months, options.peers)) for name in alone}
    return [figure for name in names for figure in found[name]]


def _one(asked: tuple[str, int, Path | None]) -> list[Figure]:
    """Measure one goal, in a process of its own."""
    name, months, peers = asked
    return all_goals(months, peers)[name]()


def goals_in_a_minute() -> list[Figure]:
    """Return a part of every goal, with the same limits."""
    return [figure for measure in SUBSET.values() for figure in measure()]


if __name__ == "__main__":
    sys.exit(main())
