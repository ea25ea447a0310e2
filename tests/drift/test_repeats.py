"""Rows that repeat an entity are as much evidence as the entities are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift import family
from modelwatch.drift.family import ScoredFamily, score_family
from modelwatch.drift.multivariate import measure as measure_together
from modelwatch.drift.table import TestTable, measure
from modelwatch.drift.tracking import clear_tiers
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.records import WindowCounts
from modelwatch.windows.repeats import column_repeats

Rows = Callable[..., dict[str, Any]]
Window = Callable[..., WindowCounts]
MEMBERS = range(4)
BY_EVIDENCE = ("m", "d", "k", "score", "p_real", "p_value", "p_large", "evidence", "independent")


def repeated(columns: dict[str, Any], often: int) -> dict[str, Any]:
    return {name: np.repeat(values, often) for name, values in columns.items()}


def spoilt(columns: dict[str, Any]) -> dict[str, Any]:
    """Return rows of which some are missing, some unseen and some beyond the range."""
    columns["b"][:40] = np.nan
    columns["c"][:15] = 99.0
    columns["city"][:25] = "Bonn"
    return columns


@pytest.fixture
def tables(profile: ReferenceProfile, rows: Rows, window: Window) -> tuple[TestTable, TestTable]:
    """The table of unique rows, and that of a window in which each of them comes five times."""
    unique = spoilt(rows(400, a=0.4))
    five = replace(window(repeated(unique, 5)), repeats=5.0)
    config = DriftMonitoringConfig()
    one, many = (measure(profile, [w], MEMBERS, config) for w in (window(unique), five))
    return one, many


def test_a_window_of_repeats_measures_as_its_entities_do(tables: tuple[TestTable, TestTable]) -> None:
    one, many = tables
    assert (one.p_value < 1e-3).any()
    for name in BY_EVIDENCE:
        assert np.allclose(getattr(many, name), getattr(one, name), rtol=1e-9, atol=0.0), name
    assert np.array_equal(many.n, one.n * 5)


def test_alarms_end_by_as_much_evidence_too(tables: tuple[TestTable, TestTable]) -> None:
    clear = [clear_tiers(table, np.zeros(table.n.shape, dtype=np.int64)) for table in tables]
    assert np.array_equal(clear[0][0], clear[1][0])
    assert np.array_equal(clear[0][1], clear[1][1])


def test_results_show_rows_and_the_bounds_of_entities(
    profile: ReferenceProfile, rows: Rows, window: Window, config: DriftMonitoringConfig
) -> None:
    unique = rows(400, a=0.6)

    def found(of: WindowCounts) -> ScoredFamily:
        return score_family("data", profile, [of], config, 1e-4, members=MEMBERS)

    one, many = found(window(unique)), found(replace(window(repeated(unique, 5)), repeats=5.0))
    assert np.array_equal(one.severity, many.severity)
    for a, b in zip(family.test_results(one, one.severity), family.test_results(many, many.severity), strict=True):
        assert (b.n, b.severity) == (5 * a.n, a.severity)
        assert (b.score_low, b.score_high) == pytest.approx((a.score_low, a.score_high))


def test_without_an_entity_rows_that_come_five_times_alarm_and_with_one_they_do_not(
    profile: ReferenceProfile, window: Window, rows: Rows, config: DriftMonitoringConfig
) -> None:
    def alarms(repeats: float) -> int:
        windows = [replace(window(repeated(rows(100), 5)), repeats=repeats) for _ in range(40)]
        found = [score_family("data", profile, [w], config, 0.01, members=MEMBERS).severity for w in windows]
        return sum(int((severity >= Severity.INFO).any()) for severity in found)

    assert alarms(1.0) > 30
    assert alarms(5.0) <= 2


def test_users_that_come_unequally_often_alarm_no_more_than_independent_rows(
    profile: ReferenceProfile, window: Window, rows: Rows, config: DriftMonitoringConfig
) -> None:
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(100):
        often = np.minimum(rng.pareto(1.2, 300) * 2 + 1, 500).astype(np.int64)
        users = np.repeat(np.arange(300), often)
        sent = {name: np.repeat(values, often) for name, values in rows(300).items()}
        found = replace(window(sent), repeats=column_repeats(users).mean)
        severity = score_family("data", profile, [found], config, 0.05, members=MEMBERS).severity
        alarms += int((severity >= Severity.INFO).any())
    assert alarms <= 5


def test_a_window_that_repeats_nothing_is_measured_to_the_bit_as_beside_one_that_does(
    profile: ReferenceProfile, rows: Rows, window: Window, config: DriftMonitoringConfig
) -> None:
    plain, twice = window(spoilt(rows(500))), replace(window(rows(500)), repeats=2.0)
    alone, beside = (measure(profile, windows, MEMBERS, config) for windows in ([plain], [plain, twice]))
    for name in ("n", "m", "d", "k", "score", "p_real", "p_value", "evidence"):
        assert np.array_equal(getattr(alone, name)[0], getattr(beside, name)[0], equal_nan=True), name


def test_correlations_are_as_sure_as_the_entities_are_many(profile: ReferenceProfile, rows: Rows) -> None:
    unique = rows(400)
    one = measure_together(profile, unique, 400, "10s")
    five = measure_together(profile, repeated(unique, 5), 2000, "10s", repeats=5.0)
    assert one is not None
    assert five is not None
    assert five.p_value(0.0) == pytest.approx(one.p_value(0.0))
    assert five.bounds() == pytest.approx(one.bounds())
