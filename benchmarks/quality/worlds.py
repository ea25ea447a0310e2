"""Worlds without drift whose truth is known, and faults to put into them; everything follows from seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from modelwatch.profile import ReferenceProfile
from modelwatch.records import FloatArray
from quality.columns import Column, State, columns, draw_column, draw_counts, sample
from quality.learning import learned

__all__ = ["BEGIN", "HOUR", "Season", "Stream", "World", "iid_world", "season_means", "seasonal_world", "stream"]

HOUR = 3600.0
BEGIN = 1704067200.0
"""Monday, 1 January 2024, 0:00 UTC."""
NO_FAULT: Mapping[int, State] = {}


@dataclass(frozen=True)
class Stream:
    """Counts by hour.

    Attributes
    ----------
    starts : ndarray, shape (hours,)
        Seconds since the epoch.
    rows : ndarray, shape (hours,)
    cells : ndarray, shape (hours, layout.size)
    """

    starts: FloatArray
    rows: FloatArray
    cells: FloatArray

    @property
    def end(self) -> float:
        """When the last hour ends."""
        return float(self.starts[-1]) + HOUR


@dataclass(frozen=True)
class Season:
    """How the latents' means move with nothing being wrong, in their standard deviations.

    Attributes
    ----------
    daily : float
        Amplitude of a sine of 24 hours; each column has a phase of its own.
    weekend : float
        Shift on Saturdays and Sundays, up or down.
    noise : float
        Standard deviation of what is new each day, an AR(1) of coefficient `persistence`.
    """

    daily: float = 0.5
    weekend: float = 0.3
    noise: float = 0.05
    persistence: float = 0.5


@dataclass(frozen=True)
class World:
    """A reference, and the truth behind it."""

    profile: ReferenceProfile
    columns: tuple[Column, ...]
    begins: float
    """When production begins: where the reference ends."""
    season: Season | None = None
    phases: FloatArray = field(default_factory=lambda: np.zeros(0))
    weekends: FloatArray = field(default_factory=lambda: np.zeros(0))


def iid_world(count: int, seed: int, rows: int = 20_000, days: int = 28, *, times: bool = True) -> World:
    """Return a world of `count` columns that never change, its reference built from rows as a user builds it."""
    rng = np.random.default_rng([seed, count])
    those = columns(count)
    data = {column.name: sample(column, rng, rows) for column in those}
    seconds = BEGIN + np.sort(rng.uniform(0.0, days * 24 * HOUR, rows)) if times else None
    profile = ReferenceProfile.build(data, timestamps=seconds, timezone="UTC" if times else None)
    return World(profile, those, BEGIN + days * 24 * HOUR)


def seasonal_world(count: int, seed: int, per_hour: int, days: int = 28, season: Season | None = None) -> World:
    """Return a world whose reference is `days` days of its own traffic, `per_hour` rows each hour.

    Edges come from a sample of rows, counts from draws: 20 000 rows an hour over 56 days are 27 million rows.
    Without a season the world is one that never changes, with a reference as large as the traffic makes it.
    """
    rng = np.random.default_rng([seed, count, per_hour, days])
    those = columns(count)
    season = season or Season(0.0, 0.0, 0.0)
    world = World(
        iid_world(count, seed).profile, those, BEGIN + days * 24 * HOUR, season,
        rng.uniform(0.0, 24.0, count), rng.choice([-1.0, 1.0], count),
    )  # fmt: skip
    hours = days * 24
    starts = BEGIN + HOUR * np.arange(hours, dtype=np.float64)
    means = _means(world, rng, starts)
    pick = rng.integers(hours, size=20_000)
    data = {c.name: sample(c, rng, len(pick), State(mean=means[i, pick])) for i, c in enumerate(those)}
    profile = ReferenceProfile.build(data, timestamps=starts[pick], timezone="UTC")
    rows = np.full(hours, float(per_hour))
    cells = draw_counts(profile.layout, those, [State(mean=mean) for mean in means], rng, rows)
    return replace(world, profile=learned(profile, starts, cells))


def stream(
    world: World, seed: int, per_hour: int, hours: int, faults: Mapping[int, State] = NO_FAULT, since: int = 0
) -> Stream:
    """Draw `hours` hours of production.

    Parameters
    ----------
    world : World
        Whose columns.
    seed : int
        Another one gives another production of the same world.
    per_hour : int
        Rows.
    hours : int
        Length.
    faults : mapping of int to State
        By number of the column, from hour `since` on; means are added to what the season makes of them.
    since : int
        The hour at which the faults begin.
    """
    rng = np.random.default_rng([seed, per_hour, len(world.columns)])
    starts = world.begins + HOUR * np.arange(hours, dtype=np.float64)
    means = _means(world, rng, starts)
    rows = np.full(hours, float(per_hour))
    layout = world.profile.layout
    cells = draw_counts(layout, world.columns, [State(mean=mean) for mean in means], rng, rows)
    for place, fault in faults.items():
        faulty = replace(fault, mean=means[place] + np.asarray(fault.mean))
        member, offset = layout.members[place], layout.offsets[place]
        counts = draw_column(world.columns[place], member, faulty, rng, rows)
        cells[since:, offset : offset + member.size] = counts[since:]
    return Stream(starts, rows, cells)


def _means(world: World, rng: np.random.Generator, starts: FloatArray) -> FloatArray:
    """Return the latents' means, shape (columns, hours)."""
    if world.season is None:
        return np.zeros((len(world.columns), len(starts)))
    return season_means(world.season, (world.phases, world.weekends), rng, starts)


def season_means(
    season: Season, of_columns: tuple[FloatArray, FloatArray], rng: np.random.Generator, starts: FloatArray
) -> FloatArray:
    """Return what a season makes of the latents' means, given phases and weekends; shape (columns, hours)."""
    phases, weekends = of_columns
    if season == Season(0.0, 0.0, 0.0):
        return np.zeros((len(phases), len(starts)))
    hours = np.floor((starts - BEGIN) / HOUR)
    days = np.floor(hours / 24).astype(np.int64)
    cycle = season.daily * np.sin(2 * np.pi * (hours % 24 - phases[:, None]) / 24)
    weekend = season.weekend * weekends[:, None] * (days % 7 >= 5)
    noise = _autoregressive(rng, len(phases), int(days[-1] - days[0]) + 1, season)
    return np.asarray(cycle + weekend + noise[:, days - days[0]])


def _autoregressive(rng: np.random.Generator, count: int, days: int, season: Season) -> FloatArray:
    fresh = rng.standard_normal((count, days))
    out = np.empty_like(fresh)
    out[:, 0] = fresh[:, 0]
    for day in range(1, days):
        out[:, day] = season.persistence * out[:, day - 1] + np.sqrt(1 - season.persistence**2) * fresh[:, day]
    return season.noise * out
