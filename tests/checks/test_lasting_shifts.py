"""A shift that only the weekly window can show is told for as long as it lasts."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelwatch.checks.replay import replay
from modelwatch.config import ModelMonitoringConfig
from modelwatch.drift.statistics import d_to_js
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile

HOUR = 3600.0
BEGIN = 1_767_571_200.0
"""A Monday, 0:00 UTC."""
ROWS = 400


def wandering(rng: np.random.Generator, days: int, shift: float = 0.0) -> list[Any]:
    """Hours of rows whose mean is another each day, by half a standard deviation."""
    means = np.repeat(shift + rng.normal(0.0, 0.5, days), 24)
    return [rng.normal(mean, 1.0, ROWS) for mean in means]


def test_what_only_a_week_shows_is_not_cleared_by_a_day_that_tolerates_it() -> None:
    rng = np.random.default_rng(5)
    before = wandering(rng, 84)
    rows = np.concatenate(before)
    seconds = BEGIN + np.repeat(np.arange(len(before)), ROWS) * HOUR
    profile = ReferenceProfile.build({"x": rows}, timestamps=seconds, timezone="UTC")
    hours = wandering(rng, 7) + wandering(rng, 21, shift=1.4) + wandering(rng, 14)
    cells = np.stack([CellAssigner(profile.layout).bin({"x": values}, ROWS).cells for values in hours])
    starts = float(seconds[-1]) + HOUR * np.arange(1, len(hours) + 1)
    steps = list(replay(
        profile, ModelMonitoringConfig(model_id="m"), starts, np.full(len(hours), ROWS), cells, first=starts[0] + HOUR,
        until=starts[-1] + HOUR,
    ))  # fmt: skip
    loud = np.array([s.families["data"][1].feature_severity.get("x", 0) >= Severity.WARNING for s in steps])
    _, day, week = np.array([s.families["data"][0].severity[:, 0, 0] for s in steps]).T >= Severity.WARNING
    tables = [table for table in (s.families["data"][0].table for s in steps) if table is not None]
    assert len(tables) == len(steps)
    distance = np.array([table.score[:, 0, 0] for table in tables])
    tolerated = d_to_js(tables[-1].tau[0, 2, 0, 0])
    assert not loud[: 7 * 24].any()
    assert not day.any()
    found = int(np.argmax(loud))
    assert found <= 14 * 24  # within a week
    near = week & (distance[:, 1] < tolerated)
    assert near.sum() >= 24  # days that are near the reference, in a week that is not
    assert loud[near].all()
    assert not loud[-24:].any()  # and it ends when it ends
