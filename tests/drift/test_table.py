"""The table of all tests: what stands beside a feature changes nothing of it, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift.family import score_family
from modelwatch.drift.outcome import family_result
from modelwatch.drift.shares import PASSED
from modelwatch.drift.statistics import two_gate
from modelwatch.drift.table import SHAPE_TEST, TestTable, measure, tally
from modelwatch.drift.tracking import track
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


def counted(profile: ReferenceProfile, rows: int, seed: int) -> WindowCounts:
    """Return a window of such rows, some of them missing."""
    given = columns(rows, seed + 100)
    given["wide"][::7] = np.nan
    found = CellAssigner(profile.layout).bin(given, rows, None)
    return WindowCounts("1h", 0.0, 3600.0, float(rows), found.cells.astype(float), True, found.sums)


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


def test_each_test_of_a_table_is_to_the_bit_what_two_gate_makes_of_its_cells() -> None:
    profile = ReferenceProfile.build(columns(20_000, 1))
    windows = [counted(profile, rows, seed) for seed, rows in enumerate((60, 3000, 40_000))]
    found = measure(profile, windows, range(5), DriftMonitoringConfig())
    names = ("p_real", "score", "d", "k", "n", "m")
    for w, window in enumerate(windows):
        sides = [tally(profile.layout, range(5), np.asarray(c, float)[None])[0] for c in (window.cells, profile.counts)]
        for f, t in np.ndindex(5, 3):
            alone = two_gate(sides[0][f, t], sides[1][f, t], found.tau[0, w, f, t])
            measured = [getattr(found, name)[w, f, t] for name in names]
            expected = [alone.p_real, alone.score, alone.d, alone.k, alone.n, alone.m]
            if t == SHAPE_TEST or alone.p_real > PASSED:  # else it is tested exactly
                measured += [found.p_value[w, f, t], found.p_large[0, w, f, t]]
                expected += [alone.p, alone.p_large]
            assert np.array_equal(measured, expected, equal_nan=True), (w, f, t)


def test_a_model_among_many_is_to_the_bit_what_it_is_alone() -> None:
    given = [columns(5000, seed) for seed in range(4)]
    given[1].pop("few")
    given[2]["city"] = np.array(["Rome", "Oslo"])[np.arange(5000) % 2]
    profiles = [ReferenceProfile.build(table) for table in given]
    windows = [counted(profile, 2000, 9) for profile in profiles]

    def scored(place: int) -> str:
        members, config = range(len(profiles[place].layout.members)), DriftMonitoringConfig()
        found = score_family("data", profiles[place], [windows[place]], config, 1.0, members=members, only_full=False)
        verdict, memory = track(None, found, 3600.0)
        return repr((family_result(profiles[place], found, verdict, config, {}, 3600.0), memory))

    alone = [scored(place) for place in range(4)]
    assert len(set(alone)) == 4
    assert [scored(place) for place in (3, 1, 0, 2, 1, 3)] == [alone[place] for place in (3, 1, 0, 2, 1, 3)]
