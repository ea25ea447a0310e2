"""G1 to G5 and G7: what is promised about worlds whose truth is known, as functions that return figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from modelwatch.checks.common import rule_of
from modelwatch.drift.family import score_family
from modelwatch.drift.outcome import family_result
from modelwatch.drift.reference import strata_of
from modelwatch.drift.tracking import track
from modelwatch.records import FloatArray
from modelwatch.windows.sums import RunningSums
from quality.alarms import CONFIG, hear
from quality.columns import State
from quality.figures import Figure
from quality.worlds import Season, World, iid_world, seasonal_world, stream

__all__ = ["PER_HOUR", "delays", "false_alarms", "seasonal_false_alarms", "seconds_a_check", "small_shifts"]

PER_HOUR = (50, 200, 1_000, 10_000, 100_000)
MONTH = 720
BEFORE, AFTER = 192, 96
"""Hours of a stream before a fault, which fill the window of a week, and after it."""
NORMAL, CATEGORY = 0, 1
"""The columns that faults are put into."""
FALSE_ALARMS, FALSE_ALARMS_HARD, SEASONAL_FALSE_ALARMS = 0.5, 1.0, 1.0

Progress = Callable[[str], None]


def quiet(_line: str) -> None:
    """Say nothing."""


def false_alarms(
    months: int,
    counts: Sequence[int] = (25, 100),
    per_hour: Sequence[int] = PER_HOUR,
    *,
    kind: str = "rows",
    say: Progress = quiet,
) -> list[Figure]:
    """G1: episodes of alarm a month where nothing ever changes.

    Parameters
    ----------
    months : int
        Simulated model-months for each cell of the table, five of each reference.
    counts : sequence of int
        Numbers of features.
    per_hour : sequence of int
        Rows an hour.
    kind : {"rows", "traffic", "no times"}
        What the reference is: 20 000 rows of 28 days; 28 days of the traffic itself; 20 000 rows without times.
    say : callable
        Told of each figure.
    """
    figures = []
    for count in counts:
        for n in per_hour:
            episodes = 0
            for month in range(months):
                if month % 5 == 0:
                    world = _world(kind, count, month // 5, n)
                episodes += hear(world.profile, stream(world, month, n, MONTH)).episodes()
            what = f"false alarms, {count} features, {n} rows/h, reference of {_NAMES[kind]}"
            figures.append(Figure("G1", what, episodes / months, FALSE_ALARMS, "a month", of=f"{months} model-months"))
            say(table_line(figures[-1]))
    return figures


def seasonal_false_alarms(
    months: int,
    per_hour: Sequence[int] = (200, 2_000, 20_000),
    days: Sequence[int] = (28, 56),
    season: Season = Season(),  # noqa: B008 - frozen
    *,
    say: Progress = quiet,
) -> list[Figure]:
    """G2: the same with a daily cycle, weekends, and days that differ a little. Four months of each world."""
    figures = []
    for length in days:
        for n in per_hour:
            episodes = 0
            for month in range(months):
                if month % 4 == 0:
                    world = seasonal_world(25, month // 4, n, length, season)
                episodes += hear(world.profile, stream(world, month, n, MONTH)).episodes()
            what = f"false alarms, seasonal, day noise {season.noise} sd, {n} rows/h, reference of {length} days"
            limit = SEASONAL_FALSE_ALARMS if season.noise <= 0.05 and length >= 28 else None
            figures.append(Figure("G2", what, episodes / months, limit, "a month", of=f"{months} model-months"))
            say(table_line(figures[-1]))
    return figures


@dataclass(frozen=True)
class Shift:
    """A fault in one column, and after how many hours it has to be found, by rows an hour."""

    goal: str
    name: str
    place: int
    fault: State
    hours: dict[int, float]


SHIFTS = (
    Shift("G3", "mean + 0.5 sd", NORMAL, State(mean=0.5), {50: 18, 200: 3, 1_000: 1, 10_000: 1, 100_000: 1}),
    Shift("G3", "mean + 0.25 sd", NORMAL, State(mean=0.25), {50: 48, 200: 24, 1_000: 6, 10_000: 1}),
    Shift("G3", "sd x 1.5", NORMAL, State(sd=1.5), {50: 18, 200: 3, 1_000: 1}),
    Shift("G4", "missing 0 -> 5 %", NORMAL, State(missing=0.05), {50: 16, 200: 8, 1_000: 1}),
    Shift("G4", "missing 0 -> 1 %", NORMAL, State(missing=0.01), {1_000: 30, 10_000: 3}),
    Shift("G4", "category 50 -> 40 %, 30 -> 40 %", CATEGORY, State(moved=0.1), {50: 48, 200: 24, 1_000: 8, 10_000: 1}),
    Shift("", "1 % above the range", NORMAL, State(novel=0.01), {}),
)


def delays(
    runs: int,
    per_hour: Sequence[int] = PER_HOUR,
    shifts: Iterable[Shift] = SHIFTS,
    *,
    kind: str = "traffic",
    only_held: bool = False,
    say: Progress = quiet,
) -> list[Figure]:
    """G3, G4: median hours until one of 25 features that changed is at warning.

    `only_held` leaves out what no goal names.
    """
    figures = []
    for n in per_hour:
        chosen = [shift for shift in shifts if n in shift.hours or not only_held]
        found: dict[str, list[float]] = {shift.name: [] for shift in chosen}
        for run in range(runs):
            if run % 5 == 0:
                world = _world(kind, 25, run // 5, n)
            for shift in chosen:
                heard = hear(world.profile, stream(world, run, n, BEFORE + AFTER, {shift.place: shift.fault}, BEFORE))
                found[shift.name].append(heard.delay(world.columns[shift.place].name, BEFORE))
        for shift in chosen:
            limit = shift.hours.get(n)
            what = f"delay, {shift.name}, {n} rows/h, reference of {_NAMES[kind]}"
            median = float(np.median(found[shift.name]))
            figures.append(Figure(shift.goal, what, median, limit, "h", of=f"{runs} runs"))
            say(table_line(figures[-1]))
    return figures


def small_shifts(
    runs: int, per_hour: Sequence[int] = PER_HOUR, *, kind: str = "traffic", say: Progress = quiet
) -> list[Figure]:
    """G5: a tenth of a standard deviation is no alarm, however many rows say that it is there."""
    figures = []
    for n in per_hour:
        alarms = 0
        for run in range(runs):
            if run % 5 == 0:
                world = _world(kind, 25, run // 5, n)
            heard = hear(world.profile, stream(world, run, n, BEFORE + AFTER, {NORMAL: State(mean=0.1)}, BEFORE))
            alarms += int(np.isfinite(heard.delay(world.columns[NORMAL].name, BEFORE)))
        what = f"alarms at mean + 0.1 sd, {n} rows/h, reference of {_NAMES[kind]}"
        figures.append(Figure("G5", what, alarms, 0, "", of=f"{runs} runs"))
        say(table_line(figures[-1]))
    return figures


def seconds_a_check(rounds: int = 30) -> list[Figure]:
    """G7: processor time of a check of 100 features in three windows, from its counts on; one of them changed."""
    world = seasonal_world(100, 0, 1_000)
    given = stream(world, 0, 1_000, BEFORE, {NORMAL: State(mean=0.5)}, BEFORE - 24)
    rule = rule_of(CONFIG, world.profile)
    sums = np.zeros((len(given.starts), len(world.profile.layout.members)))
    running = RunningSums(
        _Series(given.starts, given.rows, given.cells, sums), world.profile, strata_of(world.profile, CONFIG.drift)
    )
    windows = running.windows(rule.lengths, given.end, given.starts[0], {})
    took = []
    for _ in range(rounds):
        began = time.process_time()
        found = score_family(
            "data", world.profile, windows, CONFIG.drift, rule.budget, members=range(100), cap=rule.cap,
            candidates=rule.candidates, only_full=rule.only_full,
        )  # fmt: skip
        verdict, _ = track(None, found, given.end)
        family_result(world.profile, found, verdict, CONFIG.drift, {}, given.end)
        took.append(time.process_time() - began)
    return [Figure("G7", "a check of 100 features, processor time", 1000 * float(np.median(took)), 20.0, "ms",
                   of=f"{rounds} rounds")]  # fmt: skip


class _Series(NamedTuple):
    starts: FloatArray
    rows: FloatArray
    cells: FloatArray
    sums: FloatArray


def table_line(figure: Figure) -> str:
    """Return a figure in one line."""
    held = "" if figure.limit is None else f" (limit {figure.limit:g}{'' if figure.met else ', MISSED'})"
    return f"{figure.goal or '--'} {figure.what}: {figure.measured:g} {figure.unit}{held}"


_NAMES = {"rows": "20 000 rows", "traffic": "28 days of traffic", "no times": "20 000 rows without times"}


def _world(kind: str, count: int, seed: int, per_hour: int) -> World:
    if kind == "traffic":
        return seasonal_world(count, seed, per_hour)
    return iid_world(count, seed, times=kind == "rows")
