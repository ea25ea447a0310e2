"""One test of a difference: against scipy, against brute force, and by the laws it must obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import betainc, chdtrc

from modelwatch.drift.statistics import (
    CACHED_CELLS,
    GateResult,
    d_to_js,
    gates,
    js_bounds,
    js_lower,
    js_to_d,
    js_upper,
    large_gate,
    no_change_probability,
    noncentral_sf,
    real_gate,
    two_gate,
    within_tolerance,
)

TAU = float(js_to_d(0.05))
counts = arrays(np.float64, (3, 8), elements=st.floats(0, 1e6, allow_subnormal=False).map(lambda v: round(v, 3)))


def test_distance_is_scipys_jensen_shannon() -> None:
    rng = np.random.default_rng(0)
    o, r = rng.integers(0, 50, (20, 9)).astype(float), rng.integers(1, 50, (20, 9)).astype(float)
    expected = [jensenshannon(x, y, base=2) for x, y in zip(o, r, strict=True)]
    np.testing.assert_allclose(d_to_js(two_gate(o, r, TAU).d), expected, rtol=1e-12)


def test_score_is_debiased_by_the_expected_noise() -> None:
    o, r = np.array([30.0, 50.0, 20.0]), np.array([400.0, 400.0, 200.0])
    raw = jensenshannon(o, r, base=2)
    noise = 2 * (1 / 100 + 1 / 1000) / (8 * np.log(2))
    assert two_gate(o, r, TAU).score == pytest.approx(np.sqrt(raw**2 - noise), rel=1e-12)


def test_without_rare_cells_real_is_the_pooled_chi_square() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        o, r = rng.integers(20, 60, 6).astype(float), rng.integers(500, 900, 6).astype(float)
        expected = stats.chi2_contingency([o, r], correction=False).pvalue
        assert real_gate(o, r) == pytest.approx(expected, rel=1e-9)


def test_rare_cells_are_tested_exactly() -> None:
    o, r = np.array([200.0, 200.0, 3.0, 1.0]), np.array([5000.0, 5000.0, 1.0, 0.0])
    n, m = o.sum(), r.sum()
    p_rare = stats.binom.sf(3, 5, n / (n + m))
    p_common = stats.chi2_contingency([o[:2], r[:2]], correction=False).pvalue
    pooled = (o + r) / (n + m)
    statistic = (((o / n - r / m) ** 2 / pooled)[:2]).sum() / (1 / n + 1 / m)
    assert real_gate(o, r) == pytest.approx(min(1.0, 2 * min(p_rare, stats.chi2.sf(statistic, 1))), rel=1e-9)
    assert p_common > 0.5 > 1e-4 > real_gate(o, r)


def test_rare_cells_with_fractional_counts_lie_between_the_whole_ones() -> None:
    def p(extra: float) -> float:
        return float(real_gate([100.0, 100.0, extra], [5000.0, 5000.0, 0.0]))

    assert p(2.0) > p(2.5) > p(3.0)


@pytest.mark.parametrize("k", [1, 9, 19, 49])
@pytest.mark.parametrize("nc", [0.5, 5.0, 50.0, 500.0])
def test_noncentral_tail_is_scipys_within_the_stated_error(k: int, nc: float) -> None:
    for tail in (0.95, 0.5, 0.05, 1e-3, 3e-5):
        x = stats.ncx2.isf(tail, k, nc)
        ratio = float(noncentral_sf(x, k, nc)) / tail
        assert 0.93 < ratio < (2.3 if k == 1 else 1.3), tail


def test_without_noncentrality_the_tail_is_exact() -> None:
    x = np.array([0.0, 1.0, 30.0, 300.0])
    np.testing.assert_allclose(noncentral_sf(x, 19, 0.0), stats.chi2.sf(x, 19), rtol=1e-10)


@given(x=st.floats(2, 500), k=st.integers(1, 60), nc=st.floats(0.001, 500), more=st.floats(0.01, 50))
def test_the_tail_grows_with_the_noncentrality_and_falls_with_x(x: float, k: int, nc: float, more: float) -> None:
    here = noncentral_sf(x, k, nc)
    assert noncentral_sf(x, k, nc + more) >= here - 1e-12
    assert noncentral_sf(x + more, k, nc) <= here + 1e-12


def test_bounds_are_where_the_measured_distance_would_be_a_one_in_twenty_surprise() -> None:
    d, k, s = np.array([0.05, 0.1, 0.6]), np.array([19.0, 9.0, 1.0]), np.array([0.0011, 0.0021, 0.0101])
    low, high = js_lower(d, k, s), js_upper(d, k, s)
    np.testing.assert_allclose(noncentral_sf(d / s, k, js_to_d(low) / s), 0.05, rtol=1e-6)
    np.testing.assert_allclose(noncentral_sf(d / s, k, js_to_d(high) / s), 0.95, rtol=1e-6)


@given(d=st.floats(0, 5.5), k=st.integers(2, 60), n=st.integers(50, 10**6))
def test_bounds_are_those_that_bisection_finds(d: float, k: int, n: int) -> None:
    s = 1 / n + 1 / 20000
    for tail, bound in zip((0.05, 0.95), js_bounds(d, k, s), strict=True):
        low, high = 0.0, 10.0
        for _ in range(50):
            middle = (low + high) / 2
            below = noncentral_sf(d / s, k, middle / s + 1e-300) < tail
            low, high = (middle, high) if below else (low, middle)
        assert bound == pytest.approx(min(float(d_to_js(low)), 1.0), abs=1e-6)
    assert js_bounds(d, k, s).tolist() == pytest.approx([float(js_lower(d, k, s)), float(js_upper(d, k, s))], abs=1e-9)


@given(d=st.floats(0, 5.5), k=st.integers(1, 60), n=st.integers(50, 10**6))
def test_bounds_enclose_the_score(d: float, k: int, n: int) -> None:
    s = 1 / n + 1 / 20000
    score = float(d_to_js(d - k * s))
    assert 0 <= js_lower(d, k, s) <= score + 1e-3
    assert js_upper(d, k, s) >= score - 0.06 * np.sqrt(s * 50) - 1e-9
    assert js_upper(d, k, s) <= 1


@given(d=st.floats(0, 1), k=st.integers(2, 60), n=st.integers(50, 10**6), js=st.floats(0.01, 0.5))
def test_within_tolerance_says_what_the_upper_bound_says(d: float, k: int, n: int, js: float) -> None:
    s = 1 / n + 1 / 20000
    high = float(js_upper(d, k, s))
    if abs(high - js) > 1e-6 and high < 1:
        assert bool(within_tolerance(d, k, s, js_to_d(js))) == (high < js)


@pytest.mark.parametrize("n", [60, 200, 10_000])
def test_no_distance_at_all_is_within_any_tolerance(n: int) -> None:
    assert within_tolerance(0.0, 1, 1 / n + 1 / 20000, js_to_d([0.01, 0.05, 0.2])).all()


def test_no_change_probability_is_the_share_of_clean_windows_that_pass() -> None:
    rng = np.random.default_rng(3)
    m, k = 200_000, 19
    reference = rng.multinomial(m, np.full(k + 1, 1 / (k + 1)))
    for n in (500, 1000, 2000, 4000):
        windows = rng.multinomial(n, np.full(k + 1, 1 / (k + 1)), size=4000)
        found = two_gate(windows, reference[None], TAU)
        s = 1 / n + 1 / m
        passed = within_tolerance(found.d, found.k, s, TAU).mean()
        assert float(no_change_probability(k, s, TAU)) == pytest.approx(passed, abs=0.035), n


def test_two_thousand_rows_show_a_clean_window_at_the_warning_tolerance() -> None:
    assert no_change_probability(19, 1 / 2200 + 1 / 20000, TAU) > 0.9 > no_change_probability(19, 1 / 1500, TAU)


@pytest.mark.parametrize(("observed", "reference"), [([0.0, 0.0], [5.0, 5.0]), ([5.0, 5.0], [0.0, 0.0])])
def test_an_empty_side_is_no_evidence_and_no_score(observed: list[float], reference: list[float]) -> None:
    found = two_gate(observed, reference, TAU)
    assert (float(found.p), float(found.p_real), float(found.p_large)) == (1.0, 1.0, 1.0)
    assert np.isnan(found.score)


def test_one_cell_is_never_a_difference() -> None:
    found = two_gate([100.0, 0.0], [900.0, 0.0], TAU)
    assert found.p == 1.0
    assert found.score == 0.0


def test_tolerance_zero_asks_for_significance_alone() -> None:
    d, k, s = 0.05, 19.0, 0.0011
    assert large_gate(d, k, s, 0.0) == pytest.approx(stats.chi2.sf(d / s, k), rel=1e-9)


@given(o=counts, r=counts)
def test_p_values_and_scores_stay_in_bounds(o: np.ndarray, r: np.ndarray) -> None:
    found = two_gate(o, r, TAU)
    for p in (found.p, found.p_real, found.p_large):
        assert ((p >= 0) & (p <= 1)).all()
    scored = (found.n > 0) & (found.m > 0)
    assert np.isnan(found.score[~scored]).all()
    assert ((found.score[scored] >= 0) & (found.score[scored] <= 1)).all()


@given(o=counts, r=counts)
def test_distance_is_symmetric(o: np.ndarray, r: np.ndarray) -> None:
    np.testing.assert_allclose(two_gate(o, r, TAU).d, two_gate(r, o, TAU).d, atol=1e-12)


@given(o=counts, r=counts, order=st.permutations(range(8)), tests=st.permutations(range(3)))
def test_order_of_cells_and_of_tests_does_not_matter(
    o: np.ndarray, r: np.ndarray, order: list[int], tests: list[int]
) -> None:
    found, turned = two_gate(o, r, TAU), two_gate(o[tests][:, order], r[tests][:, order], TAU)
    for name in ("p", "p_real", "p_large", "score", "d", "k"):
        np.testing.assert_allclose(getattr(turned, name), getattr(found, name)[tests], rtol=1e-6, atol=1e-9)


@given(o=counts, r=counts, cells=st.integers(1, 9))
def test_padding_with_empty_cells_does_not_matter(o: np.ndarray, r: np.ndarray, cells: int) -> None:
    nothing = np.zeros((3, cells))
    found, padded = two_gate(o, r, TAU), two_gate(np.hstack([o, nothing]), np.hstack([r, nothing]), TAU)
    for name in ("p", "p_real", "p_large", "score", "d", "k"):
        np.testing.assert_allclose(getattr(padded, name), getattr(found, name), rtol=1e-6, atol=1e-9)


def test_a_few_percent_of_fraction_hardly_moves_a_result() -> None:
    rng = np.random.default_rng(5)
    o, r = rng.multinomial(2000, np.full(20, 0.05)).astype(float), np.full(20, 1000.0)
    whole, stretched = two_gate(o, r, TAU), two_gate(o * 1.03, r, TAU)
    assert float(stretched.d) == pytest.approx(float(whole.d), rel=1e-9)
    assert float(stretched.score) == pytest.approx(float(whole.score), abs=0.01)


def test_many_tests_at_once_say_to_the_bit_what_each_says_alone() -> None:
    rng = np.random.default_rng(9)
    tests, cells = 3 * (CACHED_CELLS // 24), 24
    o, r = rng.integers(0, 40, (tests, cells)).astype(float), rng.integers(0, 900, cells).astype(float)
    tau = rng.choice(js_to_d([0.05, 0.1]), tests)
    at_once = two_gate(o, r, tau)
    by_three = two_gate(o.reshape(3, -1, cells), r, tau.reshape(3, -1))
    for i in (0, 1, CACHED_CELLS // cells - 1, CACHED_CELLS // cells, tests - 1):
        alone = two_gate(o[i], r, tau[i])
        for name in vars(alone):
            assert getattr(alone, name) == getattr(at_once, name)[i], name
            assert getattr(alone, name) == getattr(by_three, name).reshape(-1)[i], name


def windows(tests: int, cells: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts of tests large, small and empty, whole and fractional, and tolerances."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(cells, 0.4), tests)
    rows = zip(rng.choice([0, 1, 40, 3000], tests), rng.choice([0, 500, 20_000], tests), share, strict=True)
    o, r = np.moveaxis(np.array([[rng.multinomial(n, p), rng.multinomial(m, p)] for n, m, p in rows], float), 1, 0)
    o[::3] *= 1.013
    r[1::3] *= 0.77
    return o, r, rng.choice([0.0, TAU, 4 * TAU], tests)


def plainly(o: np.ndarray, r: np.ndarray) -> tuple[float, float, float]:
    """Return d, k and the p-value of "no difference" of one test, without any of what makes many of them fast."""
    n, m = o.sum(), r.sum()
    q, p = o / n, r / m
    half = np.where(p + q > 0, p + q, 1.0) / 2.0
    both = [share * np.log(np.where(share > 0, share / half, 1.0)) for share in (p, q)]
    d = min(max(8.0 * ((both[0] + both[1]).sum() / 2.0), 0.0), 8.0 * np.log(2.0))
    pool = (o + r) / (n + m)
    common = n * pool >= 2.0
    terms = np.where(common, (q - p) * (q - p) / np.where(common, pool, 1.0), 0.0)
    p_real = chdtrc(max(common.sum() - 1.0, 1.0), terms.sum() / (1.0 / n + 1.0 / m))
    o_rare, r_rare = (np.where(common, 0.0, side).sum() for side in (o, r))
    if o_rare > 0:
        p_real = min(1.0, 2.0 * min(p_real, betainc(o_rare, r_rare + 1.0, n / (n + m))))
    return d, max((p + q > 0).sum() - 1.0, 1.0), p_real


@pytest.mark.parametrize("cells", [2, 3, 24, 56])
def test_what_makes_many_tests_fast_changes_no_bit(cells: int) -> None:
    o, r, tau = windows(400, cells, seed=cells)
    found = two_gate(o, r, tau)
    for i in np.flatnonzero((found.n > 0) & (found.m > 0)):
        assert (found.d[i], found.k[i], found.p_real[i]) == plainly(o[i], r[i])


def test_tests_of_different_numbers_of_cells_made_at_once_say_to_the_bit_what_each_says_alone() -> None:
    parts = [windows(tests, cells, seed=tests) for tests, cells in ((150, 24), (300, 2), (30, 2), (1, 56))]
    many = [windows(CACHED_CELLS // 20, 24, seed=1), windows(7, 2, seed=2)]  # more than are made in one step
    for some in (parts, many):
        for part, found in zip(some, gates(some), strict=True):
            for together, alone in zip(found, vars(two_gate(*part)).values(), strict=True):
                assert np.array_equal(together, alone, equal_nan=True)
    assert [GateResult(*found).p.shape for found in gates(parts)] == [(150,), (300,), (30,), (1,)]


def test_bounds_of_a_test_are_to_the_bit_what_they_are_alone() -> None:
    found = two_gate(*windows(300, 24, seed=5))
    at = np.flatnonzero((found.n > 0) & (found.m > 0))
    d, k, s = found.d[at], found.k[at], 1.0 / found.n[at] + 1.0 / found.m[at]
    together = js_bounds(d, k, s)
    assert (together[0] == 0).any()
    assert (together[0] > 0).any()
    assert together.T.tolist() == [js_bounds(*of_one).tolist() for of_one in zip(d, k, s, strict=True)]


def test_whole_numbers_as_integers_and_as_floats_say_the_same_to_the_bit() -> None:
    rng = np.random.default_rng(10)
    o, r = rng.integers(0, 40, (30, 24)), rng.integers(0, 900, (30, 24))
    whole, floats = two_gate(o, r, TAU), two_gate(o.astype(float), r.astype(float), TAU)
    assert all(np.array_equal(getattr(whole, name), getattr(floats, name)) for name in vars(whole))


def test_no_tests_are_no_error() -> None:
    assert two_gate(np.zeros((0, 5)), np.ones((1, 5)), 0.1).p.shape == (0,)
