"""Gross changes of a model that nothing is calibrated of: heard in the first hours, and not confused with the clock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from modelwatch.checks.replay import replay
from modelwatch.config import ModelMonitoringConfig
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import IntArray

HOURS = np.arange(9 * 24)
ROWS = 1000
Counts = Callable[..., IntArray]


def means(hours: IntArray, *, cycle: float = 0.5, weekend: float = 0.3) -> IntArray:
    """Mean by hour in standard deviations; hour 0 is a Thursday's, as 1970 began."""
    return cycle * np.sin(2 * np.pi * hours / 24) + weekend * ((hours // 24 + 3) % 7 >= 5)


def rows(rng: np.random.Generator, hour: int, n: int, mean: float) -> dict[str, IntArray]:
    return {"x": rng.normal(mean, 1.0, n), "still": rng.normal(size=n), "hour": np.full(n, hour % 24)}


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    rng = np.random.default_rng(1)
    four_weeks = np.arange(28 * 24)
    parts = [rows(rng, h, 60, mean) for h, mean in zip(four_weeks.tolist(), means(four_weeks), strict=True)]
    return ReferenceProfile.build({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


@pytest.fixture(scope="module")
def counts(profile: ReferenceProfile) -> Counts:
    assigner = CellAssigner(profile.layout)

    def make(added: float = 0.0, since: int = 10**6) -> IntArray:
        rng = np.random.default_rng(2)
        return np.stack([
            assigner.bin(rows(rng, h, ROWS, mean + added * (h >= since)), ROWS).cells
            for h, mean in zip(HOURS.tolist(), means(HOURS), strict=True)
        ])  # fmt: skip

    return make


def told(profile: ReferenceProfile, cells: IntArray, name: str, interval: str = "60m") -> list[Severity]:
    config = ModelMonitoringConfig.model_validate({"model_id": "m", "drift_detection_interval": interval})
    steps = replay(profile, config, HOURS * 3600.0, np.full(len(HOURS), ROWS), cells, first=3600.0)
    return [step.families["data"][1].feature_severity.get(name, Severity.NONE) for step in steps]


def test_a_daily_cycle_and_weekends_are_never_gross(profile: ReferenceProfile, counts: Counts) -> None:
    assert max(told(profile, counts(), "x")) <= Severity.WARNING
    assert max(told(profile, counts(), "still")) <= Severity.INFO


@pytest.mark.parametrize("interval", ["60m", "10m"])
def test_an_hour_of_the_day_as_a_feature_is_no_change(profile: ReferenceProfile, counts: Counts, interval: str) -> None:
    assert max(told(profile, counts(), "hour", interval)) <= Severity.WARNING


def test_a_shape_that_changes_grossly_is_an_error_after_two_hours(profile: ReferenceProfile, counts: Counts) -> None:
    # From 2 a.m. on, when the daily cycle adds to it; the first check that sees nothing but such rows is that at 3.
    severities = told(profile, counts(1.5, since=2), "x")
    assert severities[:5] == [Severity.NONE, Severity.NONE, Severity.NONE, Severity.ERROR, Severity.ERROR]


def test_a_value_that_stands_still_is_an_error_once_it_cannot_be_the_time_of_the_day(
    profile: ReferenceProfile, counts: Counts
) -> None:
    cells = counts()
    start, member = profile.layout.offsets[1], profile.layout.members[1]
    cells[:, start : start + member.shape_size] = 0
    cells[:, start + 5] = ROWS
    severities = told(profile, cells, "still")
    assert severities.index(Severity.ERROR) == 12


def test_it_ends_with_the_change(profile: ReferenceProfile, counts: Counts) -> None:
    cells = counts(1.5, since=2)
    cells[12:] = counts()[12:]
    severities = told(profile, cells, "x")
    assert severities[11] == Severity.ERROR
    assert max(severities[15:23]) < Severity.WARNING
