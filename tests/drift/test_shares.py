"""Shares of missing and novel values are tested exactly against what is tolerated of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift.shares import PASSED, share_gate, share_lower, shares_at
from modelwatch.drift.statistics import js_to_d, two_gate
from modelwatch.drift.table import MISSING_TEST, NOVEL_TEST, measure
from modelwatch.profile import ReferenceProfile
from modelwatch.records import HIGH, MISSING, TAIL_CELLS, WindowCounts

Window = Callable[..., WindowCounts]
Rows = Callable[..., dict[str, Any]]
TAU = js_to_d(0.05)


def edge(expected: float, tau: float) -> float:
    """The share above the expected one at which the distance is tau, by another library."""
    from scipy.optimize import brentq

    def beyond(q: float) -> float:
        both = (q + expected) / 2
        pairs = ((q, both), (1 - q, 1 - both), (expected, both), (1 - expected, 1 - both))
        return float(4 * sum(a * np.log(a / b) for a, b in pairs if a > 0)) - tau

    return float(brentq(beyond, expected, 1 - 1e-12, xtol=1e-15))


@pytest.mark.parametrize(("rows", "held", "expected"), [(58, 9, 0.0), (1000, 60, 0.02), (20_000, 900, 0.04)])
def test_it_is_the_binomial_tail_at_the_share_that_is_just_tolerated(rows: int, held: int, expected: float) -> None:
    ours = share_gate(held / rows, expected, 1 / rows, TAU)
    theirs = stats.binom.sf(held - 1, rows, edge(expected, float(TAU)))
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_a_share_that_fell_is_one_of_the_rest_that_rose() -> None:
    rose, fell = share_gate([0.3, 0.7], [0.1, 0.9], 1 / 200, TAU)
    assert rose == pytest.approx(fell)
    assert rose < 1e-3


@pytest.mark.parametrize("m", [200, 2000, 100_000])
@pytest.mark.parametrize(("n", "true"), [(58, 0.0), (58, 0.1), (1000, 0.002), (1000, 0.3), (20_000, 0.05)])
def test_at_the_tolerance_itself_it_keeps_the_level(n: int, true: float, m: int) -> None:
    """However few rows of a reference say what is expected."""
    rng = np.random.default_rng(3)
    o, r = rng.binomial(n, edge(true, float(TAU)), 40_000), rng.binomial(m, true, 40_000)
    cells = np.zeros((2, 40_000, TAIL_CELLS))
    cells[0, :, MISSING], cells[1, :, MISSING] = o, r
    sides = np.full((40_000, 1, 3), float(n)), np.full((40_000, 1, 3), float(m))
    at = np.arange(40_000), np.zeros(40_000, dtype=int), np.full(40_000, MISSING_TEST)
    share, expected = shares_at(np.zeros(1, dtype=int), (cells[0], cells[1]), sides, np.ones((40_000, 1, 3)), at)
    p = share_gate(share, expected, 1 / n + 1 / m, TAU)
    for level in (0.02, 0.002):
        assert (p <= level).mean() <= 1.3 * level


@given(st.floats(0, 1), st.floats(0, 1), st.integers(50, 10**7), st.floats(1e-6, 1.0))
def test_a_larger_tolerance_is_never_exceeded_more_surely(q: float, p: float, rows: int, level: float) -> None:
    found = share_gate(q, p, 1 / rows, js_to_d([0.0, 0.02, 0.05, 0.1, 0.2, 1.0]))
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= -1e-12).all()
    assert found[-1] == 1.0
    assert 0.0 <= share_lower(q, p, 1 / rows, level) <= js_to_d(1.0)


@given(st.floats(0.02, 0.98), st.floats(0, 1), st.integers(50, 10**6), st.floats(1e-7, 0.04))
def test_the_lower_bound_is_where_the_test_turns(q: float, p: float, rows: int, level: float) -> None:
    tau = float(share_lower(q, p, 1 / rows, level))
    if tau > 1e-6:
        assert share_gate(q, p, 1 / rows, tau * (1 - 1e-4)) <= level * (1 + 1e-6)
        assert share_gate(q, p, 1 / rows, tau * (1 + 1e-4)) >= level * (1 - 1e-6)


def test_a_check_uses_it_where_a_share_has_changed(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    columns = rows(60)
    columns["a"] = np.where(np.arange(60) < 9, np.nan, columns["a"])
    columns["b"] = np.where(np.arange(60) < 9, 1e6, columns["b"])
    given_window = window(columns)
    found = measure(profile, [given_window], range(4), DriftMonitoringConfig())
    for feature, test in ((0, MISSING_TEST), (1, NOVEL_TEST)):
        tail = found.offsets[feature] + found.members[feature].shape_size
        assert given_window.cells[tail + (MISSING if test == MISSING_TEST else HIGH)] == 9
        s, m = found.sampling[0, feature, test], found.m[0, feature, test]
        expected = share_gate(9 / 60, 1 / (m + 2), s, js_to_d([0.05, 0.1, 0.2]))
        assert found.p_large[:, 0, feature, test] == pytest.approx(expected)
        assert found.p_value[0, feature, test] == found.p_large[0, 0, feature, test]
        chi = two_gate([9.0, 51.0], [0.0, m], TAU)
        assert found.p_large[0, 0, feature, test] < float(chi.p_large) / 1000, "a handful of rows tells"
    assert (found.p_large[0, 0, 2:, MISSING_TEST] > PASSED).all()
