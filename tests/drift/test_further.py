"""Scores by further methods, fixed thresholds, and how many tests share a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift.distances import scores
from modelwatch.drift.family import ScoredFamily, score_family
from modelwatch.drift.further import further_results
from modelwatch.drift.tracking import track
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.records import WindowCounts

Window = Callable[..., WindowCounts]
Rows = Callable[..., dict[str, Any]]
EVERY = ("psi", "chi_square", "cramers_v", "hellinger", "total_variation", "kl", "ks", "wasserstein")


def scored(profile: ReferenceProfile, windows: list[WindowCounts], budget: float = 1e-3, **config: Any) -> ScoredFamily:
    made = DriftMonitoringConfig(windows=("10s",), **config)
    return score_family("data", profile, windows, made, budget, members=range(4))


def test_a_feature_is_scored_over_all_its_cells_in_the_order_of_their_values(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    columns = rows(4000, a=0.5)
    columns["a"][:100], columns["a"][100:250], columns["a"][250:260] = np.nan, 1e9, -1e9
    found = scored(profile, [window(columns)], methods=EVERY).further
    assert found is not None
    member, moments = profile.member("a"), profile.moments["a"]
    a = np.asarray(columns["a"])
    bounds = np.array([member.minimum, *member.edges])
    shape = np.histogram(a, bounds)[0].tolist()
    now = [10, *shape, 150]
    own = profile.counts_of("a")
    size = member.shape_size
    before = [own[size], *own[:size], own[size + 1]]
    for i, method in enumerate(found.methods):
        if method in ("ks", "wasserstein"):
            widths = np.array([0.0, *np.diff(bounds), 0.0]) / moments.sd
            expected = scores(method, now, before, widths=widths)
        else:
            expected = scores(method, [*now, 100], [*before, own[size + 2 :].sum()])
        assert found.scores[i, 0, 0] == pytest.approx(float(expected), rel=0.01), method


def test_what_needs_an_order_has_no_score_of_categories(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    found = scored(profile, [window(rows(1000))], methods=EVERY)
    results = further_results(found.features, found.table, found.further, {"psi": 0.2})
    of_city = [one.method for one in results if one.feature == "city"]
    assert of_city == [method for method in EVERY if method not in ("ks", "wasserstein")]
    assert {one.limit for one in results if one.method == "psi"} == {0.2}
    assert {one.limit for one in results if one.method == "ks"} == {None}
    assert all(0 <= one.score < 0.2 for one in results if one.method not in ("chi_square",))


def test_unseen_and_missing_values_count_too(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    unseen, missing = rows(4000), rows(4000)
    unseen["city"][:1000] = "Kyiv"
    missing["city"] = np.where(np.arange(4000) < 1000, None, missing["city"].astype(object))
    for columns in (unseen, missing):
        found = scored(profile, [window(columns)], methods=("total_variation",)).further
        assert found is not None
        assert found.scores[0, 0, 3] == pytest.approx(0.25, abs=0.02)


def test_without_methods_nothing_is_scored_by_them(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    found = scored(profile, [window(rows(1000))])
    assert found.further is None
    assert further_results(found.features, found.table, found.further, {}) == ()


def test_windows_that_are_too_small_or_only_watched_have_no_further_scores(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    found = score_family(
        "data",
        profile,
        [window(rows(1000)), window(rows(3000), "30s", seconds=30.0)],
        DriftMonitoringConfig(windows=("10s", "30s"), methods=("psi",)),
        1e-3,
        members=range(4),
        candidates=("30s",),
    )
    results = further_results(found.features, found.table, found.further, {})
    assert {one.window for one in results} == {"30s"}


def test_beyond_a_fixed_threshold_what_is_real_is_a_warning_and_never_more(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    moved = [window(rows(50_000, a=0.1, b=1.0))]
    by_tolerance = scored(profile, moved)
    by_psi = scored(profile, moved, fixed_thresholds={"psi": 0.005})
    assert by_tolerance.severity[0, 0].max() == Severity.INFO
    assert by_psi.severity[0, 0].tolist() == [Severity.WARNING, Severity.NONE, Severity.NONE]
    # What was worse stays so, and what did not move stays still.
    assert by_psi.severity[0, 1].max() == by_tolerance.severity[0, 1].max() == Severity.CRITICAL
    assert by_psi.severity[0, 2:].max() <= Severity.INFO
    assert (scored(profile, moved, fixed_thresholds={"psi": 0.2}).severity == by_tolerance.severity).all()


def test_a_score_beyond_a_fixed_threshold_that_may_be_chance_is_nothing(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    beyond = 0
    for _ in range(30):
        found = scored(profile, [window(rows(60))], budget=1 / 720, fixed_thresholds={"psi": 0.01, "ks": 0.01})
        assert found.further is not None
        beyond += int((found.further.scores > 0.01).any())
        assert found.severity.max() == Severity.NONE
    assert beyond > 20


def test_a_warning_by_a_fixed_threshold_stands_until_the_score_is_back(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    config: dict[str, Any] = {"fixed_thresholds": {"psi": 0.005}}
    state: dict[str, Any] | None = None
    told = []
    for step in range(8):
        a = 0.1 if step < 4 else 0.0
        now = 1000.0 + 10.0 * step
        found = scored(profile, [replace(window(rows(50_000, a=a)), start=now - 10.0, end=now)], **config)
        verdict, state = track(state, found, now)
        told.append(verdict.feature_severity["a"])
    assert told[:6] == [Severity.WARNING] * 6
    assert told[7] < Severity.WARNING


def test_the_stricter_procedure_finds_less(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    found = {"bh": 0, "by": 0}
    for _ in range(30):
        moved = [window(rows(300, a=0.33))]
        for multiplicity in found:
            severity = scored(profile, moved, 1 / 72, multiplicity=multiplicity).severity
            found[multiplicity] += int((severity >= Severity.WARNING).any())
    assert found["by"] < found["bh"]
