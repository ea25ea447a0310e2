"""G1 and G2 of the whole rule on rows: columns that go together, what each does and how they do so looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelwatch.policy import Severity
from quality.alarms import hear
from quality.figures import Figure
from quality.goals import AFTER, BEFORE, FALSE_ALARMS, MONTH, SEASONAL_FALSE_ALARMS, Progress, quiet, table_line
from quality.rows import row_stream, row_world
from quality.worlds import Season

__all__ = ["ROWS_PER_HOUR", "lost_correlations", "rows_false_alarms"]

ROWS_PER_HOUR = (50, 200, 1_000)
STILL = Season(0.0, 0.0, 0.0)
COLUMNS, ALONE = 25, 0
A_WORLD = 5
"""So many months, or runs, are of one reference."""


def rows_false_alarms(
    months: int, per_hour: Sequence[int] = ROWS_PER_HOUR, season: Season = STILL, *, say: Progress = quiet
) -> list[Figure]:
    """Measure episodes of alarm a month, of features or of how they go together, where nothing ever changes."""
    goal, limit = ("G1", FALSE_ALARMS) if season == STILL else ("G2", SEASONAL_FALSE_ALARMS)
    figures = []
    for n in per_hour:
        episodes = 0
        for month in range(months):
            if month % A_WORLD == 0:
                world = row_world(COLUMNS, month // A_WORLD, n, season)
            given, rows = row_stream(world, month, MONTH)
            episodes += hear(world.profile, given, rows=[(rows.seconds, rows.data)]).episodes()
        what = f"false alarms, the whole rule on rows of {COLUMNS} features that go together,{_of(season)} {n} rows/h"
        figures.append(Figure(goal, what, episodes / months, limit, "a month", of=f"{months} model-months"))
        say(table_line(figures[-1]))
    return figures


def lost_correlations(
    runs: int, per_hour: Sequence[int] = ROWS_PER_HOUR, season: Season = STILL, *, say: Progress = quiet
) -> list[Figure]:
    """Measure median hours until it is told that one feature goes with nothing any more; no goal names it."""
    figures = []
    for n in per_hour:
        found = []
        for run in range(runs):
            if run % A_WORLD == 0:
                world = row_world(COLUMNS, run // A_WORLD, n, season)
            given, rows = row_stream(world, run, BEFORE + AFTER, alone=ALONE, since=BEFORE)
            heard = hear(world.profile, given, rows=[(rows.seconds, rows.data)])
            loud = heard.together[BEFORE:] >= Severity.WARNING
            found.append(float(np.argmax(loud)) + 1.0 if loud.any() else float("inf"))
        what = f"delay, one of {COLUMNS} features goes with nothing,{_of(season)} {n} rows/h"
        figures.append(Figure("", what, float(np.median(found)), None, "h", of=f"{runs} runs"))
        say(table_line(figures[-1]))
    return figures


def _of(season: Season) -> str:
    return "" if season == STILL else " seasonal,"
