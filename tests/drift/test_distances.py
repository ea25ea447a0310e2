"""The further distances: against scipy, against brute force, by the laws they must obey, and with chance taken off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from modelwatch.drift.distances import CHUNK_CELLS, METHODS, scores

CELLS = 7
WIDTHS = np.linspace(0.5, 2.0, CELLS)
UNORDERED = ("psi", "chi_square", "cramers_v", "hellinger", "total_variation", "kl")
AT_MOST_ONE = ("cramers_v", "hellinger", "total_variation", "ks")
counts = arrays(np.float64, (3, CELLS), elements=st.integers(0, 10**6).map(lambda v: v / 4.0))
whole = arrays(np.int64, (3, CELLS), elements=st.integers(0, 10**6))


def score(method: str, o: object, r: object, *, debiased: bool = False, **options: object) -> np.ndarray:
    widths = {"widths": WIDTHS} if method == "wasserstein" else {}
    return scores(method, o, r, debiased=debiased, **{**widths, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Counts of twenty tests, every cell with something in it."""
    rng = np.random.default_rng(2)
    return rng.integers(1, 60, (20, CELLS)).astype(float), rng.integers(1, 900, (20, CELLS)).astype(float)


def test_chi_square_and_cramers_v_are_scipys(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    tables = [np.stack(pair) for pair in zip(*drawn, strict=True)]
    expected = [stats.chi2_contingency(table, correction=False).statistic for table in tables]
    np.testing.assert_allclose(score("chi_square", *drawn), expected, rtol=1e-9)
    association = [stats.contingency.association(table.astype(int), method="cramer") for table in tables]
    np.testing.assert_allclose(score("cramers_v", *drawn), association, rtol=1e-9)


def test_psi_and_kl_are_scipys_entropies_with_half_a_row_in_each_cell(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    pairs = [(o + 0.5, r + 0.5) for o, r in zip(*drawn, strict=True)]
    np.testing.assert_allclose(score("kl", *drawn), [stats.entropy(o, r) for o, r in pairs], rtol=1e-9)
    both = [stats.entropy(o, r) + stats.entropy(r, o) for o, r in pairs]
    np.testing.assert_allclose(score("psi", *drawn), both, rtol=1e-9)


def test_hellinger_total_variation_and_ks_are_the_textbooks(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    for o, r in zip(*drawn, strict=True):
        q, p = (o / o.sum()).tolist(), (r / r.sum()).tolist()
        pairs = list(zip(q, p, strict=True))
        assert score("hellinger", o, r) == pytest.approx((1 - sum((a * b) ** 0.5 for a, b in pairs)) ** 0.5, rel=1e-9)
        # The largest difference in the probability of any set of cells.
        assert score("total_variation", o, r) == pytest.approx(sum(max(a - b, 0.0) for a, b in pairs), rel=1e-9)
        assert score("ks", o, r) == pytest.approx(max(abs(sum(q[:i]) - sum(p[:i])) for i in range(CELLS)), rel=1e-9)


def test_ks_at_edges_between_all_values_is_scipys() -> None:
    rng = np.random.default_rng(4)
    now, before = rng.normal(0.3, 1.0, 40), rng.normal(0.0, 1.0, 60)
    values = np.sort(np.concatenate([now, before]))
    o, r = ((values[:, None] == side).sum(axis=1) for side in (now, before))
    assert scores("ks", o, r, debiased=False) == pytest.approx(stats.ks_2samp(now, before).statistic, rel=1e-12)


def test_wasserstein_is_scipys_for_values_spread_evenly_over_their_cells(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    points = 2000
    starts = np.concatenate([[0.0], np.cumsum(WIDTHS)[:-1]])
    values = (starts[:, None] + (np.arange(points) + 0.5) / points * WIDTHS[:, None]).ravel()
    expected = [stats.wasserstein_distance(values, values, np.repeat(o, points), np.repeat(r, points))
                for o, r in zip(*drawn, strict=True)]  # fmt: skip
    np.testing.assert_allclose(score("wasserstein", *drawn), expected, rtol=1e-5)


def test_what_lies_out_of_range_is_a_cell_without_width_at_the_end_of_the_range() -> None:
    before, now = [0.0, 50.0, 50.0, 0.0], [0.0, 0.0, 0.0, 100.0]
    assert scores("wasserstein", now, before, widths=[0.0, 1.0, 1.0, 0.0], debiased=False) == pytest.approx(1.0)


@given(o=counts, r=counts)
def test_distances_are_finite_not_negative_and_bounded_where_they_should_be(o: np.ndarray, r: np.ndarray) -> None:
    some = (o.sum(axis=1) > 0) & (r.sum(axis=1) > 0)
    for method in METHODS:
        plain, debiased = score(method, o, r), score(method, o, r, debiased=True)
        for found in (plain, debiased):
            assert np.isnan(found[~some]).all(), method
            assert np.isfinite(found[some]).all(), method
            assert (found[some] >= 0).all(), method
            assert method not in AT_MOST_ONE or (found[some] <= 1 + 1e-12).all(), method
        assert (debiased[some] <= plain[some]).all(), method


@given(o=counts)
def test_nothing_lies_between_counts_and_themselves(o: np.ndarray) -> None:
    some = o.sum(axis=1) > 0
    for method in METHODS:
        np.testing.assert_allclose(score(method, o, o)[some], 0.0, atol=1e-7, err_msg=method)


@given(o=counts, r=counts)
def test_the_two_sides_can_be_exchanged_but_for_kl(o: np.ndarray, r: np.ndarray) -> None:
    for method in METHODS.keys() - {"kl"}:
        for debiased in (False, True):
            here, there = score(method, o, r, debiased=debiased), score(method, r, o, debiased=debiased)
            np.testing.assert_allclose(here, there, rtol=1e-9, atol=1e-9, err_msg=method)


@given(o=counts, r=counts, seed=st.integers(0, 99))
def test_the_order_of_cells_means_nothing_where_it_should_not(o: np.ndarray, r: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(CELLS)
    for method in UNORDERED:
        there = score(method, o[:, order], r[:, order])
        np.testing.assert_allclose(there, score(method, o, r), rtol=1e-8, atol=1e-7, err_msg=method)


@given(o=counts, r=counts, more=st.integers(1, 9))
def test_padding_is_no_cell(o: np.ndarray, r: np.ndarray, more: int) -> None:
    def pad(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.zeros((*values.shape[:-1], more))], axis=-1)

    for method in METHODS:
        wider = {"widths": pad(WIDTHS)} if method == "wasserstein" else {}
        for debiased in (False, True):
            found = score(method, pad(o), pad(r), sizes=CELLS, debiased=debiased, **wider)
            expected = score(method, o, r, debiased=debiased)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=method)


@given(first=whole, second=whole, r=whole)
def test_counts_of_two_halves_add_up_to_the_whole_and_floats_say_what_integers_say(
    first: np.ndarray, second: np.ndarray, r: np.ndarray
) -> None:
    for method in METHODS:
        at_once = score(method, first + second, r, debiased=True)
        in_halves = score(method, first.astype(float) + second.astype(float), r.astype(float), debiased=True)
        assert np.array_equal(in_halves, at_once, equal_nan=True), method


@pytest.mark.parametrize("method", METHODS)
def test_the_order_and_the_number_of_tests_change_nothing_to_the_bit(method: str) -> None:
    rng = np.random.default_rng(6)
    o, r = rng.integers(0, 50, (501, CELLS)).astype(float), rng.integers(0, 900, (501, CELLS)).astype(float)
    all_of_them = score(method, o, r)
    order = rng.permutation(len(o))
    assert np.array_equal(score(method, o[order], r[order]), all_of_them[order], equal_nan=True)
    assert np.array_equal(score(method, o[3], r[3]), all_of_them[3], equal_nan=True)
    many = CHUNK_CELLS // (CELLS * len(o)) + 2
    stacked = score(method, np.broadcast_to(o, (many, *o.shape)), r)
    assert all(np.array_equal(part, all_of_them, equal_nan=True) for part in stacked)


@pytest.mark.parametrize("n", [50, 200, 1000, 10_000])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_left_where_nothing_changed_is_a_small_part_of_what_was_measured(method: str, n: int) -> None:
    rng = np.random.default_rng(n)
    share = np.full(20, 0.05)
    o, r = rng.multinomial(n, share, size=2000), rng.multinomial(20_000, share, size=2000)
    widths = np.full(20, 0.2)
    plain, left = scores(method, o, r, widths=widths, debiased=False), scores(method, o, r, widths=widths)
    # Of 50 rows in 20 cells the laws that hold for many rows are only roughly true.
    assert np.median(left) < (0.6 if n == 50 else 0.35) * np.median(plain)


def test_a_fixed_limit_of_the_debiased_psi_is_not_passed_by_chance_where_the_plain_one_would() -> None:
    rng = np.random.default_rng(8)
    share = np.full(20, 0.05)
    o, r = rng.multinomial(50, share, size=2000), rng.multinomial(20_000, share, size=2000)
    assert (scores("psi", o, r, debiased=False) > 0.2).mean() > 0.8
    assert (scores("psi", o, r) > 0.2).mean() < 0.15


@pytest.mark.parametrize("method", METHODS)
def test_a_larger_change_is_a_larger_distance(method: str) -> None:
    before = np.full(CELLS, 1000.0)
    moved = [before + step * np.arange(-3, 4) * 100 for step in (0.5, 1.0, 2.0, 3.0)]
    assert (np.diff(score(method, np.stack(moved), before, debiased=True)) > 0).all()


def test_a_distance_of_an_unknown_name_or_without_widths_is_refused() -> None:
    with pytest.raises(ValueError, match="'js' is not one of psi, chi_square"):
        scores("js", [1.0], [1.0])
    with pytest.raises(ValueError, match="wasserstein needs the widths"):
        scores("wasserstein", [1.0], [1.0])
