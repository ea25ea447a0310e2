"""The table of all tests: what stands beside a feature changes nothing of it, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift.table import TestTable, measure
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import WindowCounts

MEASURED = ("n", "m", "d", "k", "score", "p_real", "p_value", "p_large")


def columns(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "wide": rng.normal(size=n),
        "few": rng.integers(0, 5, n).astype(float),
        "city": rng.choice(["Rome", "Oslo", "Lima"], n),
        "shop": rng.choice([f"shop{i}" for i in range(60)], n),
        "heavy": rng.lognormal(0.0, 2.0, n),
    }


@pytest.fixture(scope="module")
def table() -> Callable[[list[int]], TestTable]:
    profile = ReferenceProfile.build(columns(20_000, 1))
    counted = CellAssigner(profile.layout).bin(columns(3000, 2), 3000, None)
    window = WindowCounts("1h", 0.0, 3600.0, 3000.0, counted.cells.astype(float), True, counted.sums)
    return lambda members: measure(profile, [window], members, DriftMonitoringConfig())


@pytest.mark.parametrize("members", [[4, 2, 0, 3, 1], [1], [2], [0], [4, 1], [2, 1]])
def test_order_and_company_of_features_change_nothing_to_the_bit(
    table: Callable[[list[int]], TestTable], members: list[int]
) -> None:
    together, chosen = table([0, 1, 2, 3, 4]), table(members)
    for name in MEASURED:
        expected = np.take(getattr(together, name), members, axis=-2)
        assert np.array_equal(getattr(chosen, name), expected, equal_nan=True), name
