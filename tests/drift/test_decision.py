"""How many tests of a check become severities, and how rarely that happens by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelwatch.drift.decision import (
    FAMILY_SHARES,
    PROCEDURES,
    benjamini_hochberg,
    benjamini_yekutieli,
    check_budget,
    severities,
    window_budget,
)
from modelwatch.drift.statistics import js_to_d, large_gate, two_gate

p_values = st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=12)


def by_the_book(p: list[float], q: float) -> list[bool]:
    """Reject the i smallest for the largest i with p_(i) <= q i / K."""
    made = sorted(v for v in p if v == v)
    limit = -1.0
    for i, value in enumerate(made, start=1):
        if value <= q * i / len(made):
            limit = value
    return [v <= limit for v in p]


@given(p=p_values, q=st.floats(0.001, 0.5))
def test_benjamini_hochberg_is_the_textbooks(p: list[float], q: float) -> None:
    assert benjamini_hochberg(p, q).tolist() == by_the_book(p, q)


@given(p=p_values, q=st.floats(0.001, 0.5), seed=st.integers(0, 99))
def test_the_order_of_features_does_not_matter(p: list[float], q: float, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(p))
    values = np.array(p, dtype=np.float64)
    assert benjamini_hochberg(values[order], q).tolist() == benjamini_hochberg(values, q)[order].tolist()


def test_an_hourly_check_may_take_a_720th() -> None:
    assert check_budget(3600.0) == pytest.approx(1 / 720)
    assert check_budget(5.0) == pytest.approx(5 / 60 / 43200)
    assert check_budget(3600.0, 4.0) == pytest.approx(4 / 720)
    assert check_budget(1e9) == 1.0


def test_kinds_of_drift_share_the_budget_and_windows_split_their_share() -> None:
    assert sum(FAMILY_SHARES.values()) == pytest.approx(1.0)
    assert window_budget("data", 1 / 720, 2) == pytest.approx(0.5 / 720 / 2)
    assert window_budget("prediction", 1 / 720, 1) == pytest.approx(0.15 / 720)


def test_severity_is_the_highest_tier_whose_tolerance_is_exceeded() -> None:
    p_real = np.array([1e-9, 1e-9, 1e-9, 1e-9, 0.7, np.nan])
    p_large = np.array(
        [
            [1e-9, 1e-9, 1e-9, 0.9, 1e-9, 1.0],
            [1e-9, 1e-9, 0.9, 0.9, 1e-9, 1.0],
            [1e-9, 0.9, 1.0, 0.9, 1e-9, 1.0],
        ]
    )
    assert severities(p_real, p_large, 1e-3).tolist() == [4, 3, 2, 1, 0, 0]


@pytest.mark.parametrize("n", [200, 2000])
def test_no_drift_hardly_ever_alarms(n: int) -> None:
    """G1 in small: three model-months of hourly checks, 25 features, an hour and a day, budget 1 per month."""
    rng = np.random.default_rng(n)
    features, cells, m, months, hours = 25, 20, 20_000, 3, 720
    q = window_budget("data", 1 / 720, 2)
    taus = js_to_d([0.05, 0.10, 0.20])
    episodes = 0
    for _ in range(months):
        reference = rng.multinomial(m, np.full(cells, 1 / cells), size=features).astype(float)
        hourly = rng.multinomial(n, np.full(cells, 1 / cells), size=(hours, features)).astype(float)
        running = np.concatenate([np.zeros((1, features, cells)), np.cumsum(hourly, axis=0)])
        for counts in (hourly, running[24:] - running[:-24]):
            found = two_gate(counts, reference, taus[0])
            s = 1 / found.n + 1 / found.m
            large = np.stack([large_gate(found.d, found.k, s, tau) for tau in taus])
            alarms = [
                (severities(found.p_real[i], large[:, i], q) >= 2).any() for i in np.flatnonzero(
                    (found.p <= q).any(axis=1))
            ]  # fmt: skip
            episodes += int(np.sum(alarms))
    assert episodes <= 1


def test_half_a_standard_deviation_is_found_in_the_first_window_of_a_thousand() -> None:
    assert share_of_alarms(0.5, 1000, runs=60) == 1.0


def test_a_tenth_of_a_standard_deviation_never_alarms_however_many_rows() -> None:
    assert share_of_alarms(0.1, 10_000, runs=100) == 0.0


def share_of_alarms(shift: float, n: int, runs: int) -> float:
    """How often one of 25 normal features that shifted is at warning, at the level of an hourly check."""
    rng = np.random.default_rng(7)
    edges = np.quantile(rng.normal(size=20_000), np.linspace(0, 1, 21)[1:-1])
    q = window_budget("data", 1 / 720, 2)
    taus = js_to_d([0.05, 0.10, 0.20])
    alarms = 0
    for _ in range(runs):
        reference = np.stack([np.bincount(edges.searchsorted(rng.normal(size=20_000)), minlength=20) for _ in range(2)])
        means = (shift, 0.0)
        window = np.stack([np.bincount(edges.searchsorted(rng.normal(mu, 1, n)), minlength=20) for mu in means])
        found = two_gate(window, reference, taus[0])
        large = np.stack([large_gate(found.d, found.k, 1 / found.n + 1 / found.m, tau) for tau in taus])
        # 24 more features that did not move: the worst case for the one that did.
        p_real = np.concatenate([found.p_real, np.full(23, 0.5)])
        large = np.concatenate([large, np.ones((3, 23))], axis=1)
        alarms += int(severities(p_real, large, q)[0] >= 2)
    return alarms / runs


def by_the_other_book(p: list[float], q: float) -> list[bool]:
    """Reject the i smallest for the largest i with p_(i) <= q i / (K (1 + 1/2 + ... + 1/K))."""
    made = sum(v == v for v in p)
    return by_the_book(p, q / sum(1 / i for i in range(1, made + 1)) if made else q)


@given(p=p_values, q=st.floats(0.001, 0.5))
def test_benjamini_yekutieli_is_the_textbooks_and_never_the_laxer_one(p: list[float], q: float) -> None:
    found = benjamini_yekutieli(p, q)
    assert found.tolist() == by_the_other_book(p, q)
    assert (found <= benjamini_hochberg(p, q)).all()


def test_benjamini_yekutieli_is_scipys() -> None:
    p = np.random.default_rng(3).beta(0.2, 4, 50)
    adjusted = stats.false_discovery_control(p, method="by")
    assert benjamini_yekutieli(p, 0.05).tolist() == (adjusted <= 0.05).tolist()
    assert 0 < benjamini_yekutieli(p, 0.05).sum() < benjamini_hochberg(p, 0.05).sum()


def test_severities_follow_the_procedure_that_was_asked_for() -> None:
    p_real = np.array([0.005, 0.9, 0.9, 0.9])
    p_large = np.stack([np.array([0.005, 1.0, 1.0, 1.0]), np.ones(4), np.ones(4)])
    assert severities(p_real, p_large, 0.03)[0] == 2
    assert severities(p_real, p_large, 0.03, PROCEDURES["by"])[0] == 0
