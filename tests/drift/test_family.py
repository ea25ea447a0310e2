"""One kind of drift in one check: what is tested, in which windows, and what is left out why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift.decision import severities, window_budget
from modelwatch.drift.family import ScoredFamily, score_family, worst_tests
from modelwatch.drift.family import test_results as results_of
from modelwatch.drift.readiness import in_unit_of, ready_windows
from modelwatch.drift.table import MISSING_TEST, NOVEL_TEST, SHAPE_TEST, measure, tally
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.records import WindowCounts

Window = Callable[..., WindowCounts]
Rows = Callable[..., dict[str, Any]]
BUDGET = 1 / 720


def scored(
    profile: ReferenceProfile, windows: list[WindowCounts], config: DriftMonitoringConfig, **options: object
) -> ScoredFamily:
    return score_family("data", profile, windows, config, BUDGET, members=range(4), **options)  # type: ignore[arg-type]


def severity_of(found: ScoredFamily) -> dict[str, int]:
    worst = found.severity.max(axis=(0, 2), initial=0)
    return dict(zip(found.features, worst.tolist(), strict=True))


def test_the_three_tests_of_a_feature_see_the_cells_they_should(profile: ReferenceProfile, window: Window) -> None:
    a = [0.0] * 50 + [99.0] * 7 + [-99.0] * 5 + [float("nan")] * 3 + ["no number"] * 2
    counted = window({"a": a, "city": ["Rome"] * 60 + ["Kyiv"] * 4 + [None] * 3})
    table = tally(profile.layout, [0, 3], counted.cells[None])[0]
    assert table[0, SHAPE_TEST].sum() == 50
    assert table[0, MISSING_TEST, :2].tolist() == [5, 62]
    assert table[0, NOVEL_TEST, :2].tolist() == [12, 50]
    assert table[1, SHAPE_TEST].sum() == 60
    assert table[1, MISSING_TEST, :2].tolist() == [3, 64]
    assert table[1, NOVEL_TEST, :2].tolist() == [4, 60]


def test_no_change_is_ok(profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows) -> None:
    found = scored(profile, [window(rows(2000))], config)
    assert found.state == "ok"
    assert max(severity_of(found).values()) < Severity.WARNING


def test_half_a_standard_deviation_in_one_feature_of_four_is_found_and_only_there(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    found = severity_of(scored(profile, [window(rows(1000, b=0.5))], config))
    assert found["b"] >= Severity.WARNING
    assert max(found[name] for name in ("a", "c", "city")) < Severity.WARNING


def test_missing_from_nothing_to_five_percent_is_found_by_the_missing_test(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    columns = rows(1000)
    columns["c"][:50] = np.nan
    found = scored(profile, [window(columns)], config)
    assert severity_of(found)["c"] >= Severity.WARNING
    assert worst_tests(found, found.severity)[0, 2] == MISSING_TEST


def test_a_new_category_is_found_by_the_novel_test(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    columns = rows(1000)
    columns["city"][:180] = "Kyiv"
    found = scored(profile, [window(columns)], config)
    assert severity_of(found)["city"] >= Severity.WARNING
    result = next(r for r in results_of(found, found.severity) if r.feature == "city")
    assert (result.test, result.window, result.n) == ("novel", "10s", 1000)
    assert result.score_low < result.score < result.score_high


def test_a_real_difference_within_tolerance_is_info(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    found = severity_of(scored(profile, [window(rows(100_000, a=0.06))], config))
    assert found["a"] == Severity.INFO


def test_score_is_that_of_the_worst_test_and_one_for_each_feature_and_window(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    columns = rows(3000)
    found = scored(profile, [window(columns), window(columns, "30s", seconds=30.0)], config)
    results = results_of(found, found.severity)
    assert [(r.feature, r.window) for r in results] == [
        (name, label) for name in ("a", "b", "c", "city") for label in ("10s", "30s")
    ]
    assert found.table is not None
    for r in results:
        f, w = found.features.index(r.feature), int(r.window == "30s")
        assert r.p_value == found.table.p_value[w, f].min()


def test_a_cap_caps(profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows) -> None:
    counted = window(rows(5000, a=3.0))
    assert severity_of(scored(profile, [counted], config))["a"] == Severity.CRITICAL
    assert severity_of(scored(profile, [counted], config, cap=Severity.WARNING))["a"] == Severity.WARNING


def test_gross_is_told_apart_only_where_a_cap_hides_it_and_with_rows_enough(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    def gross(n: int, shift: float, cap: Severity = Severity.WARNING) -> bool:
        return bool(scored(profile, [window(rows(n, a=shift))], config, cap=cap).gross.any())

    assert gross(1000, 2.0)
    assert not gross(150, 2.0)
    assert not gross(1000, 0.5)
    assert not gross(1000, 2.0, Severity.CRITICAL)


def test_a_watched_window_hears_only_what_is_gross(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    columns = rows(1000, b=0.6, c=1.5)
    columns["a"][:300] = 1e6
    clean = window(rows(1000), "30s", seconds=30.0)
    found = scored(profile, [window(columns), clean], config, candidates={"30s"}, cap=Severity.WARNING)
    assert found.gross[0, 0].tolist() == [False, False, True]
    assert not found.gross[0, 1].any()
    assert found.gross[0, 2].tolist() == [True, False, False]
    assert found.severity[0].max() == Severity.NONE
    assert {r.window for r in results_of(found, found.severity)} == {"30s"}


def test_too_few_rows_say_how_many_are_needed(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    found = scored(profile, [window(rows(12))], config)
    assert (found.state, found.reason) == ("insufficient_data", "needs 50 rows, has 12")
    assert results_of(found, found.severity) == ()


def test_a_window_that_is_not_full_says_how_far_it_is(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    young = replace(window(rows(500), full=False), start=996.0)
    found = scored(profile, [young], config)
    assert (found.state, found.reason) == ("warming_up", "10s window: 4 s of 10 s so far")
    assert scored(profile, [young], config, only_full=False).state == "ok"


def test_a_feature_that_was_cleared_waits_until_it_has_rows_from_a_whole_window(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    since = np.array([995.0, 990.0, 990.0, 990.0, 990.0])
    counted = replace(window(rows(1000, a=1.0, b=1.0)), since=since)
    found = scored(profile, [counted], config)
    assert (severity_of(found)["a"], severity_of(found)["b"]) == (Severity.NONE, Severity.CRITICAL)
    assert {r.feature for r in results_of(found, found.severity)} == {"a", "b", "c", "city"}
    assert severity_of(scored(profile, [counted], config, only_full=False))["a"] == Severity.CRITICAL


def test_windows_that_are_left_out_are_told_beside_those_that_are_scored(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    columns = rows(500)
    young = replace(window(columns, "30s", seconds=30.0, full=False), start=988.0)
    found = scored(profile, [window(columns), young], config)
    assert (found.state, found.reason) == ("ok", "30s window: 12 s of 30 s so far")


def test_a_feature_with_too_few_values_is_left_out_alone(
    profile: ReferenceProfile, window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    columns = rows(1000)
    columns["a"] = [float("nan")] * 1000
    found = scored(profile, [window(columns)], config)
    assert found.table is not None
    assert found.table.usable[0, 0].tolist() == [False, True, False]
    assert severity_of(found)["a"] == Severity.CRITICAL


def test_what_is_measured_does_not_depend_on_what_stands_beside_it(
    window: Window, config: DriftMonitoringConfig, rows: Rows
) -> None:
    """To the last bit: features left out or in another order, windows measured together or alone."""
    rng = np.random.default_rng(3)
    kinds = {f"n{bins}": rng.normal(size=3000) for bins in range(3)} | {
        "wide": rng.integers(0, 45, 3000).astype(str), "few": rng.integers(0, 3, 3000), "gaps": rng.normal(size=3000),
    }  # fmt: skip
    kinds["gaps"][::3] = np.nan
    whole = ReferenceProfile.build(kinds, bins=37)
    cells = np.stack([rng.poisson(whole.counts / 3.0) for _ in range(5)]).astype(np.float64)
    windows = [WindowCounts(str(i), 0.0, 3600.0, 1000.0, row) for i, row in enumerate(cells)]
    names = ("n", "m", "d", "k", "score", "p_real", "p_value")
    together = measure(whole, windows, range(6), config)
    for members in ([5, 4, 3, 2, 1, 0], [0], [1, 4], [4, 0], [3, 5], [5, 2, 3]):
        for some in ([0, 1, 2, 3, 4], [3], [1, 4]):
            alone = measure(whole, [windows[w] for w in some], members, config)
            for name in names:
                expected = getattr(together, name)[some][:, members]
                assert getattr(alone, name).tobytes() == np.ascontiguousarray(expected).tobytes(), (name, members)
            assert (alone.p_large == together.p_large[:, some][:, :, members]).all()


def test_more_windows_share_the_budget() -> None:
    large = np.zeros((3, 12))
    p = np.where(np.arange(12) == 0, 0.75 * 0.5 * BUDGET / 12, 0.9)
    assert severities(p, large, window_budget("data", BUDGET, 1))[0] > Severity.NONE
    assert severities(p, large, window_budget("data", BUDGET, 2))[0] == Severity.NONE


@pytest.mark.parametrize(
    ("whole", "passed", "words"),
    [(10.0, 4.0, "4 s"), (3600.0, 725.0, "12 min"), (86400.0, 11000.0, "3 h"), (604800.0, 200000.0, "2 days")],
)
def test_progress_is_told_in_the_unit_of_the_window(whole: float, passed: float, words: str) -> None:
    assert in_unit_of(whole, passed) == words


def test_without_windows_there_is_nothing_to_say() -> None:
    ready = ready_windows([], 50, seconds={})
    assert (ready.scored, ready.watched, ready.state, ready.reason) == ((), (), "insufficient_data", "")
