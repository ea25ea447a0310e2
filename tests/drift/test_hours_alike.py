"""What seems the same at all hours is not told for an hour that always was another."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift.family import score_family
from modelwatch.drift.table import SHAPE_TEST, measure
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import WindowCounts

BEGIN = 1_767_225_600.0  # a Thursday, 0:00 UTC
CONFIG = DriftMonitoringConfig()


def values(
    rng: np.random.Generator, hours: NDArray[np.float64], *, at_three: float, moved: float = 0.0
) -> dict[str, object]:
    return {"x": rng.normal(size=len(hours)) + at_three * (hours % 24 == 3) + moved}


def reference(seed: int, at_three: float) -> ReferenceProfile:
    """A day of 30 rows an hour, for 28 days."""
    hours = np.repeat(np.arange(28 * 24.0), 30)
    columns = values(np.random.default_rng(seed), hours, at_three=at_three)
    return ReferenceProfile.build(columns, timestamps=BEGIN + 3600.0 * hours, timezone="UTC")


def window(profile: ReferenceProfile, hour: int, rows: int, *, at_three: float, moved: float = 0.0) -> WindowCounts:
    """An hour of a Friday in production, with many more rows than the reference has of such hours."""
    start = BEGIN + 29 * 86400.0 + 3600.0 * hour
    hours = np.full(rows, 24.0 * 29 + hour)
    columns = values(np.random.default_rng(hour), hours, at_three=at_three, moved=moved)
    cells = CellAssigner(profile.layout).bin(columns, rows, None).cells.astype(np.float64)
    assert profile.strata is not None
    strata = np.zeros((1, 48))
    strata[0, profile.strata.index(np.array([start]))] = rows
    return WindowCounts("1h", start, start + 3600.0, float(rows), cells, True, strata=strata)


def severity(profile: ReferenceProfile, given: WindowCounts) -> int:
    found = score_family("data", profile, [given], CONFIG, 1 / 720, members=[0], only_full=False)
    return int(found.severity[0, 0, SHAPE_TEST])


@pytest.fixture(scope="module")
def hidden() -> list[ReferenceProfile]:
    """References in which one hour is another by 0.25 standard deviations, and that do not show it."""
    made = (reference(seed, at_three=0.25) for seed in range(12))
    found = [p for p in made if p.strata is not None and p.strata.pools(p.layout).flat[0]]
    assert len(found) >= 3
    return found


def test_an_hour_that_always_was_another_is_no_drift(hidden: list[ReferenceProfile]) -> None:
    told = [severity(profile, window(profile, 3, 5000, at_three=0.25)) for profile in hidden]
    assert np.mean([level >= Severity.WARNING for level in told]) <= 0.2
    table = measure(hidden[0], [window(hidden[0], 3, 5000, at_three=0.25)], [0], CONFIG)
    assert table.m[0, 0, SHAPE_TEST] == hidden[0].rows, "it is compared with the whole reference at first"


def test_a_change_is_found_as_soon_as_the_whole_reference_lets_it(hidden: list[ReferenceProfile]) -> None:
    for profile in hidden:
        assert severity(profile, window(profile, 5, 5000, at_three=0.25, moved=0.3)) >= Severity.WARNING
