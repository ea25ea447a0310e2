"""The same windows looked at by other libraries with their own defaults: in how many any column drifts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.policy import Severity
from quality import flights
from quality.alarms import UNSCORED, hear
from quality.beside import Windows, ask
from quality.columns import columns, sample
from quality.goals import Progress, quiet
from quality.loans import Loans, find_loans, load_loans, loan_profile, loan_stream
from quality.worlds import HOUR, Stream, iid_world, stream

__all__ = ["Row", "as_json", "beside", "table"]

IID = {50: 30, 200: 30, 1_000: 20, 10_000: 6}
"""How many windows of how many rows are drawn. A reference of 20 000 rows is the same for all."""
REFERENCE = 20_000
EVIDENTLY_EVERY = 6
DAY = 24


@dataclass(frozen=True)
class Row:
    """One library on one set of windows.

    Attributes
    ----------
    data : str
        Which windows.
    who : str
        Which library.
    windows : int
        How many it was asked about.
    share : float
        In which share of them any column drifted.
    columns : float
        How many columns a window.
    """

    data: str
    who: str
    windows: int
    share: float
    columns: float


def beside(python: Path, *, say: Progress = quiet) -> list[Row]:
    """Ask all libraries about independent rows without drift, about flights and, where they are, about car loans."""
    rows: list[Row] = []
    for data, ours, given in [*_independent(), *_flights(), *_loans(python)]:
        rows.append(_row(data, "modelwatch", ours))
        for who, answer in ask(python, given, evidently_every=EVIDENTLY_EVERY).items():
            rows.append(Row(data, who, len(answer.columns), answer.any_column, answer.mean_columns))
        for row in rows[-5:]:
            say(f"{row.data}: {row.who} {row.share:.2f} of {row.windows} windows, {row.columns:.1f} columns")
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown, a library a column."""
    names = list(dict.fromkeys(row.who for row in rows))
    lines = ["| share of windows with any alarm | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for data in dict.fromkeys(row.data for row in rows):
        own = {row.who: row for row in rows if row.data == data}
        cells = [f"{own[name].share:.2f} ({own[name].columns:.1f})" if name in own else "" for name in names]
        lines.append(f"| {data} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [asdict(row) for row in rows]


Case = tuple[str, NDArray[np.int64], Windows]
"""Its name; what our windows show, (windows, features); and the same windows for the others."""


def _row(data: str, who: str, found: NDArray[np.int64]) -> Row:
    loud = found[found.max(axis=1) != UNSCORED] >= Severity.WARNING
    return Row(data, who, len(loud), float(loud.any(axis=1).mean()), float(loud.sum(axis=1).mean()))


def _independent() -> Iterator[Case]:
    those = columns(25)
    rng = np.random.default_rng(3)
    reference = {column.name: sample(column, rng, REFERENCE) for column in those}
    world = iid_world(25, 0)
    for n, windows in IID.items():
        current = {column.name: sample(column, rng, n * windows) for column in those}
        chunks = np.minimum(np.arange(REFERENCE) // n, REFERENCE // n - 1)
        given = Windows(reference, current, np.repeat(np.arange(windows), n), chunks)
        ours = hear(world.profile, stream(world, 1, n, 720)).windows["1h"]
        yield f"no drift, 25 columns, {n} rows", ours, given


def _flights() -> Iterator[Case]:
    year = flights.load()
    for name, data, until in (
        ("flights, days shuffled: no drift", flights.shuffled(year), 365),
        ("flights, July to September after January to June", year, 273),
    ):
        before, after = flights.split(data, until)
        profile = flights.reference(before)
        given = Windows(before.data, after.data, after.day - after.day.min(), before.day)
        yield name, _daily(hear(profile, flights.stream(profile, after)).windows), given


def _loans(python: Path) -> Iterator[Case]:
    folder = find_loans(python)
    if folder is None:
        return
    before, after = load_loans(folder)
    profile = loan_profile(before)
    counted = loan_stream(profile, after)
    ours = _daily(hear(profile, counted).windows)
    half = after.seconds[len(after.seconds) // 2]
    last = int((half - counted.starts[0]) // (DAY * HOUR))
    for name, days in (("car loans before the shift", range(last)), ("car loans after it", range(last + 1, len(ours)))):
        yield name, ours[days.start : days.stop], _loan_windows(before, after, counted, days)


def _loan_windows(before: Loans, after: Loans, counted: Stream, days: range) -> Windows:
    day = np.floor((after.seconds - counted.starts[0]) / (DAY * HOUR)).astype(np.int64)
    kept = (day >= days.start) & (day < days.stop)
    chunks = np.floor((before.seconds - before.seconds[0]) / (DAY * HOUR)).astype(np.int64)
    current = {name: column[kept] for name, column in after.data.items()}
    return Windows(before.data, current, day[kept] - days.start, chunks)


def _daily(windows: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return what the window of a day shows at each midnight."""
    return np.asarray(windows["24h"][DAY - 1 :: DAY])
