"""A reference with seasons: a daily cycle, weekends, and days that differ by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from modelwatch.profile import ReferenceProfile
from modelwatch.records import FloatArray

BEGIN = 1_767_225_600.0  # 2026-01-01, a Thursday, at 0:00 UTC


@dataclass
class Seasonal:
    """Rows of a few features over some days."""

    columns: dict[str, Any]
    seconds: FloatArray

    def build(self, rows: Any = slice(None), **options: Any) -> ReferenceProfile:
        """Build the profile of some of the rows."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return ReferenceProfile.build(columns, **{"timestamps": self.seconds[rows], **options})


def wandering(rng: np.random.Generator, days: int, sd: float) -> FloatArray:
    """Return a level for each day: an autoregressive process of order 1."""
    out = np.empty(days)
    out[0] = rng.normal() * sd
    for day in range(1, days):
        out[day] = 0.5 * out[day - 1] + rng.normal() * sd * np.sqrt(0.75)
    return out


@pytest.fixture(scope="session")
def seasonal() -> Callable[..., Seasonal]:
    """Return a maker of rows, so many an hour, with a day noise in standard deviations for each feature."""

    def make(days: int = 28, rows: int = 100, cycle: float = 0.5, weekend: float = 0.3, **noise: float) -> Seasonal:
        rng = np.random.default_rng(7)
        hour = np.repeat(np.arange(days * 24), rows)
        day = hour // 24
        season = cycle * np.sin(2 * np.pi * (hour % 24) / 24) + weekend * np.isin(day % 7, (2, 3))
        columns = {
            name: season + wandering(rng, days, sd)[day] + rng.normal(size=len(hour)) for name, sd in noise.items()
        }
        return Seasonal(columns, BEGIN + hour * 3600.0 + rng.uniform(0, 3600, len(hour)))

    return make
