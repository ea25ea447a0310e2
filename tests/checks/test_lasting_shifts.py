"""A shift that only the weekly window can show is told for as long as it lasts."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelwatch.checks.replay import replay
from modelwatch.config import ModelMonitoringConfig
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
    daily = [s.families["data"][0].severity[1].max() for s in steps]
    assert not loud[: 7 * 24].any()
    assert np.mean(np.array(daily)[8 * 24 : 28 * 24] >= Severity.WARNING) < 0.5  # a day alone does not show it
    found = int(np.argmax(loud))
    assert found <= 15 * 24  # within eight days
    assert loud[found : 28 * 24].all()
    assert not loud[-24:].any()  # and it ends when it ends
