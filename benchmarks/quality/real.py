"""G6 and G8: real flights, with and without faults, and the car loans that nannyml brings along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modelwatch.policy import Severity
from quality import flights
from quality.alarms import UNSCORED, Heard, hear
from quality.figures import Figure
from quality.goals import Progress, quiet, table_line
from quality.loans import find_loans, load_loans, loan_profile, loan_stream

__all__ = ["faults_in_flights", "loans_before_and_after", "quiet_flights"]

FAULT_DAY, BEFORE_DAYS = 273, 10
"""The first of October, and how many days before it a stream begins."""


def quiet_flights(*, gaps: bool = False, only_shuffled: bool = False, say: Progress = quiet) -> list[Figure]:
    """G6: days in another order are no drift. Told besides: the order that they had, a summer after a spring."""
    year = flights.load(gaps=gaps)
    figures = []
    given_years = (
        ("flights, days shuffled within weekdays", flights.shuffled(year), 365, None if gaps else 1.0),
        ("flights in their order, July to September", year, 273, None),
    )
    for name, given, until, limit in given_years[:1] if only_shuffled else given_years:
        before, after = flights.split(given, until)
        profile = flights.reference(before)
        heard = hear(profile, flights.stream(profile, after), rows=[(after.seconds, after.data)])
        goal, what = ("G6" if limit is not None else ""), name + (", gaps of the weather as they are" if gaps else "")
        of = f"{_scored(heard, '24h') // 24} days, {_scored(heard, '1h')} hours"
        figures += [
            Figure(goal, f"episodes: {what}", heard.episodes(), limit, "", of=of),
            Figure("", f"checks in alarm: {what}", int((heard.model >= Severity.WARNING).sum()), None, "", of=of),
        ]
        for figure in figures[-2:]:
            say(table_line(figure))
    return figures


def faults_in_flights(faults: Sequence[flights.Fault] = flights.FAULTS, *, say: Progress = quiet) -> list[Figure]:
    """G8: faults put into the shuffled flights from the first of October on are found in the windows listed.

    Shares are over windows that hold faulty rows alone, and rows enough.
    """
    before, after = flights.split(flights.shuffled(flights.load()))
    profile = flights.reference(before)
    after = after.take(after.day >= FAULT_DAY - BEFORE_DAYS)
    figures = []
    for fault in faults:
        heard = hear(profile, flights.stream(profile, flights.inject(after, fault, FAULT_DAY)))
        for window, hours in (("1h", 1), ("24h", 24), ("168h", 168)):
            since = BEFORE_DAYS * 24 + hours - 1
            share = heard.share(window, fault.feature, since)
            least = fault.found.get(window)
            what = f"share of {window} windows in alarm: {fault.name}"
            figures.append(Figure("" if least is None else "G8", what, share, least, "", at_least=True, of="92 days"))
            say(table_line(figures[-1]))
        first = heard.delay(fault.feature, BEFORE_DAYS * 24)
        figures.append(Figure("", f"first told: {fault.name}", first, None, "h", of="from midnight on"))
        say(table_line(figures[-1]))
    return figures


def loans_before_and_after(python: Path, *, say: Progress = quiet) -> list[Figure]:
    """G6: nothing before the shift, every day after it. Empty where the environment has no nannyml."""
    folder = find_loans(python)
    if folder is None:
        return []
    before, after = load_loans(folder)
    profile = loan_profile(before)
    given = loan_stream(profile, after)
    heard = hear(profile, given, rows=[(after.seconds, after.data)])
    shift = (after.seconds[len(after.seconds) // 2] - given.starts[0]) / 3600.0
    calm = heard.model[: int(shift)]
    days = heard.windows["24h"].max(axis=1)[23::24]
    affected = days[int(np.ceil(shift / 24)) :]
    found = float((affected >= Severity.WARNING).mean())
    figures = [
        Figure("G6", "car loans: hours in alarm before the shift", int((calm >= Severity.WARNING).sum()), 0, "",
               of=f"{len(calm)} hours"),
        Figure("G6", "car loans: share of days in alarm after the shift", found, 1.0, "",
               at_least=True, of=f"{len(affected)} days"),
    ]  # fmt: skip
    for figure in figures:
        say(table_line(figure))
    return figures


def _scored(heard: Heard, window: str) -> int:
    return int((heard.windows[window].max(axis=1) != UNSCORED).sum())
