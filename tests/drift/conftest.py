"""A reference of normal features and a category, and windows over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import WindowCounts

NAMES = ("a", "b", "c")


def sample(rng: np.random.Generator, n: int, **shift: float) -> dict[str, Any]:
    """Rows as the reference's are, but for the means given by feature name."""
    columns: dict[str, Any] = {name: rng.normal(shift.get(name, 0.0), 1.0, n) for name in NAMES}
    columns["city"] = rng.choice(["Rome", "Oslo", "Lima"], n, p=[0.5, 0.3, 0.2])
    return columns


@pytest.fixture
def rows() -> Callable[..., dict[str, Any]]:
    """Draw new rows: ``rows(1000, b=0.5)``."""
    rng = np.random.default_rng(11)
    return lambda n, **shift: sample(rng, n, **shift)


@pytest.fixture(scope="session")
def profile() -> ReferenceProfile:
    rng = np.random.default_rng(1)
    return ReferenceProfile.build(sample(rng, 20_000), predictions=rng.random(20_000))


@pytest.fixture
def window(profile: ReferenceProfile) -> Callable[..., WindowCounts]:
    assigner = CellAssigner(profile.layout)

    def make(
        columns: dict[str, Any],
        label: str = "10s",
        *,
        predictions: Any = None,
        end: float = 1000.0,
        seconds: float = 10.0,
        full: bool = True,
    ) -> WindowCounts:
        n = len(next(iter(columns.values())))
        batch = assigner.bin(columns, n, predictions)
        return WindowCounts(label, end - seconds, end, float(n), batch.cells.astype(np.float64), full, batch.sums)

    return make


@pytest.fixture
def config() -> DriftMonitoringConfig:
    return DriftMonitoringConfig(windows=("10s", "30s"))
