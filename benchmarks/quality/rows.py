"""Worlds drawn row by row, whose columns go together: for the whole rule, how inputs go together included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import FloatArray
from quality.columns import Column, State, columns, sample
from quality.worlds import BEGIN, HOUR, Season, Stream, season_means

__all__ = ["RowWorld", "Rows", "row_stream", "row_world"]

FACTORS, SHARED = 4, 0.5
"""So many things lie behind all columns, and make so much of the variance of each."""


@dataclass(frozen=True)
class Rows:
    """Rows as columns, with the time of each."""

    seconds: FloatArray
    data: Mapping[str, Any]


@dataclass(frozen=True)
class RowWorld:
    """A reference, and the truth behind it.

    Attributes
    ----------
    profile : ReferenceProfile
        Of `days` days of the traffic.
    columns : tuple of Column
    loadings : ndarray, shape (columns, factors)
        Squares add up to `SHARED` for each column.
    per_hour : int
        Rows.
    days : int
        Of the reference; production begins after them.
    season : Season
    phases, weekends : ndarray, shape (columns,)
        When the day of each is, and whether its weekends are up or down.
    """

    profile: ReferenceProfile
    columns: tuple[Column, ...]
    loadings: FloatArray
    per_hour: int
    days: int
    season: Season
    phases: FloatArray
    weekends: FloatArray


def row_world(count: int, seed: int, per_hour: int, season: Season, days: int = 28) -> RowWorld:
    """Return a world of `count` columns, its reference built from all rows of so many days, as a user builds it."""
    rng = np.random.default_rng([seed, count, per_hour, days, FACTORS])
    loadings = rng.standard_normal((count, FACTORS))
    loadings *= np.sqrt(SHARED) / np.linalg.norm(loadings, axis=1, keepdims=True)
    phases, weekends = rng.uniform(0.0, 24.0, count), rng.choice([-1.0, 1.0], count)
    empty = ReferenceProfile.build({"x": np.arange(100.0)})
    world = RowWorld(empty, columns(count), loadings, per_hour, days, season, phases, weekends)
    rows = _draw(world, rng, BEGIN, days * 24)
    profile = ReferenceProfile.build(dict(rows.data), timestamps=rows.seconds, timezone="UTC")
    return RowWorld(profile, world.columns, loadings, per_hour, days, season, phases, weekends)


def row_stream(
    world: RowWorld, seed: int, hours: int, *, alone: int | None = None, since: int = 0
) -> tuple[Stream, Rows]:
    """Draw `hours` hours of production; from hour `since` on column `alone` goes with nothing, but is as it was."""
    rng = np.random.default_rng([seed, world.per_hour, len(world.columns), FACTORS])
    begins = BEGIN + world.days * 24 * HOUR
    rows = _draw(world, rng, begins, hours)
    if alone is not None:
        name, later = world.columns[alone].name, rows.seconds >= begins + since * HOUR
        column = rows.data[name]
        hour = np.floor((rows.seconds - begins) / HOUR)
        # Within its hour, so that not even the mix of hours changes.
        order = np.lexsort((rng.random(len(column)), hour))
        rows.data[name][later] = column[order][later]
    groups = np.floor((rows.seconds - begins) / HOUR).astype(np.int64)
    parts = CellAssigner(world.profile.layout).bin_groups(dict(rows.data), groups, hours)
    starts = begins + HOUR * np.arange(hours, dtype=np.float64)
    counts = np.array([float(part.rows) for part in parts])
    return Stream(starts, counts, np.stack([part.cells for part in parts]).astype(np.float64)), rows


def _draw(world: RowWorld, rng: np.random.Generator, begins: float, hours: int) -> Rows:
    """Draw rows, in order of their hours."""
    starts = begins + HOUR * np.arange(hours, dtype=np.float64)
    means = season_means(world.season, (world.phases, world.weekends), rng, starts)
    hour = np.repeat(np.arange(hours), world.per_hour)
    factors = rng.standard_normal((FACTORS, len(hour)))
    data = {}
    for column, own, mean in zip(world.columns, world.loadings, means, strict=True):
        latent = own @ factors + np.sqrt(1.0 - SHARED) * rng.standard_normal(len(hour)) + mean[hour]
        data[column.name] = sample(column, rng, len(hour), State(mean=latent, sd=0.0))
    return Rows(starts[hour] + 0.5 * HOUR, data)
