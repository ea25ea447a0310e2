"""The rows that all candidates record, and how they take turns. Needs nothing but Python, as peers' environments do."""

from __future__ import annotations

import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL, VERSION = "ad_score", "2026.11"
CATEGORIES = tuple("abcdefgh")
EDGES = 15
Row = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """Rows of numeric and categorical features, and a score for each."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    rows: list[Row]
    scores: list[float]

    @property
    def features(self) -> int:
        """How many features a row has."""
        return len(self.numeric) + len(self.categorical)

    @property
    def edges(self) -> list[float]:
        """Bucket bounds that fit the numeric features."""
        return [-2.1 + 4.2 * i / (EDGES - 1) for i in range(EDGES)]


def workload(features: int, rows: int, seed: int = 7) -> Workload:
    """Return rows of `features` features, of which a fifth are categories (a tenth from 50 features on)."""
    rng = random.Random(seed)
    categories = features // 5 if features < 50 else features // 10
    numeric = tuple(f"n{i}" for i in range(features - categories))
    categorical = tuple(f"c{i}" for i in range(categories))

    def row() -> Row:
        texts = {name: rng.choice(CATEGORIES) for name in categorical}
        return {**{name: rng.gauss(0.0, 1.0) for name in numeric}, **texts}

    return Workload(numeric, categorical, [row() for _ in range(rows)], [rng.random() for _ in range(rows)])


@dataclass(frozen=True)
class Cost:
    """What one row cost in each round, in nanoseconds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over rounds."""
        return statistics.median(self.rounds)

    def over(self, other: Cost) -> dict[str, float]:
        """Return this cost as a multiple of another of the same rounds: median, and the middle 80 % of rounds."""
        ratios = sorted(mine / theirs for mine, theirs in zip(self.rounds, other.rounds, strict=True))
        spread = len(ratios) // 10
        return {"median": statistics.median(ratios), "low": ratios[spread], "high": ratios[-1 - spread]}


Candidate = Callable[[], float]
"""Does its work once; returns nanoseconds per row."""


def take_turns(candidates: dict[str, Candidate], rounds: int) -> dict[str, Cost]:
    """Run all candidates in turn, so that a busy moment hits all alike; the first round warms up and does not count."""
    took: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, run in candidates.items():
            gc.collect()
            cost = run()
            if number:
                took[name].append(cost)
    return {name: Cost(tuple(costs)) for name, costs in took.items()}


def timed(work: Callable[[], object], rows: int, clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Return how many nanoseconds a row took."""
    began = clock()
    work()
    return (clock() - began) / rows


def write_json(path: Path | None, found: object) -> None:
    """Write results for machines, if anybody wants them."""
    if path is not None:
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a head, the first column left, others right."""
    cells = [list(head), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())
