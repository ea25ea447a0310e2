"""The memory between checks, fed with windows made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift.family import ScoredFamily, score_family, unscored
from modelwatch.drift.tracking import clear_tiers, cleared_times, track, verdict_of
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import WindowCounts

Rows = Callable[..., dict[str, Any]]


@pytest.fixture
def score(
    profile: ReferenceProfile, window: Callable[..., WindowCounts], config: DriftMonitoringConfig
) -> Callable[..., ScoredFamily]:
    """Score a short window and, if given, a long one that ends with it."""

    def make(
        short: dict[str, Any], long: dict[str, Any] | None = None, *, now: float = 0.0, **options: Any
    ) -> ScoredFamily:
        windows = [window(short, end=now)]
        if long is not None:
            windows.append(window(long, "30s", end=now, seconds=30.0))
        return score_family("data", profile, windows, config, 1e-5, members=range(4), **options)

    return make


def test_a_severity_rises_at_once_and_falls_after_three_clean_checks(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    state: dict[str, Any] = {}
    seen = []
    for now, shift in enumerate((0.0, 0.9, 0.0, 0.0, 0.0, 0.0)):
        verdict, state = track(state, score(rows(4000, a=shift), now=now), now)
        seen.append(verdict.feature_severity["a"])
    assert seen[0] < Severity.WARNING
    assert seen[1:4] == [Severity.CRITICAL] * 3
    assert seen[4] < Severity.WARNING
    assert cleared_times(state, 5.0) == {"a": 4.0}
    assert state["tests"] == {}


def test_clean_checks_must_be_in_a_row(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    state: dict[str, Any] = {}
    for now, shift in enumerate((0.9, 0.0, 0.0, 0.9, 0.0, 0.0)):
        verdict, state = track(state, score(rows(4000, a=shift), now=now), now)
        assert verdict.feature_severity["a"] == Severity.CRITICAL, now


def test_it_falls_to_the_highest_tier_that_is_not_clear(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    state: dict[str, Any] = {}
    seen = []
    for now, shift in enumerate((1.0, 0.35, 0.35, 0.35, 0.35)):
        verdict, state = track(state, score(rows(8000, a=shift), now=now), now)
        seen.append(verdict.feature_severity["a"])
    assert seen == [Severity.CRITICAL] * 3 + [Severity.ERROR] * 2
    assert cleared_times(state, 9.0) == {}


def test_a_longer_window_that_still_holds_the_bad_rows_has_no_say(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    bad = rows(12_000, a=0.8)
    state: dict[str, Any] = {}
    for now in range(4):
        short = rows(4000, a=0.8 if now == 0 else 0.0)
        verdict, state = track(state, score(short, bad, now=now), now)
    assert verdict.feature_severity["a"] == Severity.NONE
    assert "a" in state["cleared_at"]


def test_rows_from_before_a_fall_do_not_raise_again_what_fell(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    bad = rows(24_000, a=1.2)
    state: dict[str, Any] = {}
    seen = []
    for now in range(0, 60, 5):
        short = rows(8000, a=1.2 if now == 0 else 0.35)
        verdict, state = track(state, score(short, bad, now=now), now)
        seen.append(verdict.feature_severity["a"])
    assert seen[:3] == [Severity.CRITICAL] * 3
    # At 15 s it fell to error; the long window began after that only from 45 s on, and is then heard again.
    assert seen[3:9] == [Severity.ERROR] * 6
    assert seen[9] == Severity.CRITICAL


def test_a_short_window_with_few_rows_cannot_clear(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    state: dict[str, Any] = {}
    _, state = track(state, score(rows(300, a=1.0), rows(9000, a=1.0)), 0)
    for now in range(1, 6):
        verdict, state = track(state, score(rows(300), rows(9000, a=1.0), now=now), now)
    assert verdict.feature_severity["a"] >= Severity.WARNING


def test_a_long_window_of_rows_from_before_does_not_end_what_a_short_one_still_sees(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    """The short one has too few rows to raise the severity anew, and enough to say that the distance is still there."""
    before = rows(30_000)

    def told_but_not_raised(short: dict[str, Any]) -> bool:
        found = score(short, before)
        assert found.table is not None
        return found.severity[0, 0, 0] == Severity.INFO and bool(found.table.p_large[0, 0, 0, 0] < 0.01)

    slight = next(short for _ in range(200) if told_but_not_raised(short := rows(400, a=0.36)))
    _, state = track({}, score(rows(400, a=1.2), before), 0)
    for now in range(1, 8):
        found = score(slight, before, now=now)
        verdict, state = track(state, found, now)
        assert verdict.feature_severity["a"] >= Severity.WARNING
    for now in range(8, 11):
        verdict, state = track(state, score(rows(400), before, now=now), now)
    assert verdict.feature_severity["a"] == Severity.NONE


def test_two_cell_tests_clear_with_fewer_rows_than_shapes(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    found = score(rows(1200))
    assert found.table is not None
    clear, _ = clear_tiers(found.table, found.severity)
    assert clear[:, 1:, 0].all()
    assert clear[:, :, 2].all()


def test_a_small_reference_lets_what_cannot_be_told_from_it_clear(config: DriftMonitoringConfig) -> None:
    """A reference of 1 000 rows is off by more than the tolerance by chance; alarms must end all the same."""
    rng = np.random.default_rng(2)
    cleared = 0
    for seed in range(20):
        small = ReferenceProfile.build({"a": np.random.default_rng(seed).normal(size=1000)})
        assigner = CellAssigner(small.layout)
        state: dict[str, Any] = {}
        for now, shift in enumerate((1.0, 0.0, 0.0, 0.0, 0.0, 0.0)):
            cells = assigner.bin({"a": rng.normal(shift, 1.0, 5000)}, 5000).cells.astype(np.float64)
            counted = WindowCounts("10s", now - 10.0, float(now), 5000.0, cells)
            found = score_family("data", small, [counted], config, 1e-5, members=[0])
            verdict, state = track(state, found, now)
            assert now > 0 or verdict.feature_severity["a"] == Severity.CRITICAL
        cleared += verdict.feature_severity["a"] < Severity.WARNING
    assert cleared >= 19


def test_without_rows_a_severity_is_held_for_a_day_and_then_dropped(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    nothing = unscored("data", "insufficient_data", "needs 50 rows, has 0", ("a", "b", "c", "city"))
    verdict, state = track({}, score(rows(4000, a=1.0)), 0.0)
    assert verdict.held == frozenset()
    verdict, state = track(state, nothing, 80_000.0)
    assert verdict.feature_severity == {"a": Severity.CRITICAL}
    assert verdict.held == {"a"}
    assert verdict.last_scored == 0.0
    verdict, state = track(state, nothing, 86_401.0)
    assert verdict.feature_severity == {}
    assert state["cleared_at"] == {"a": 86_401.0}


def test_rows_that_come_back_end_the_holding_but_not_the_severity(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    nothing = unscored("data", "insufficient_data", "", ("a", "b", "c", "city"))
    _, state = track({}, score(rows(4000, a=1.0)), 0.0)
    _, state = track(state, nothing, 50_000.0)
    verdict, state = track(state, score(rows(4000)), 60_000.0)
    assert (verdict.feature_severity["a"], verdict.held) == (Severity.CRITICAL, frozenset())
    verdict, _ = track(state, nothing, 140_000.0)
    assert verdict.held == {"a"}


def test_a_feature_that_turns_all_missing_keeps_its_shape_severity_too(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    _, state = track({}, score(rows(4000, a=1.0)), 0.0)
    gone = rows(4000)
    gone["a"] = [float("nan")] * 4000
    verdict, state = track(state, score(gone), 1.0)
    assert verdict.feature_severity["a"] == Severity.CRITICAL
    assert set(state["tests"]["a"]) == {"shape", "missing"}
    for now in (2.0, 3.0, 4.0):
        verdict, state = track(state, score(rows(4000), now=now), now)
    assert verdict.feature_severity["a"] < Severity.WARNING


def test_info_is_not_held(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    verdict, state = track({}, score(rows(100_000, a=0.07)), 0.0)
    assert verdict.feature_severity["a"] == Severity.INFO
    verdict, _ = track(state, score(rows(1000)), 1.0)
    assert verdict.feature_severity["a"] == Severity.NONE


def test_a_gross_change_is_an_error_once_two_checks_in_a_row_find_it(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    def seen(*shifts: float) -> list[Severity]:
        state: dict[str, Any] = {}
        out = []
        for now, shift in enumerate(shifts):
            found = score(rows(1000, a=shift), now=now, cap=Severity.WARNING)
            verdict, state = track(state, found, now)
            out.append(verdict.feature_severity["a"])
        return out

    assert seen(2.0, 2.0) == [Severity.WARNING, Severity.ERROR]
    assert seen(2.0, 0.0, 2.0) == [Severity.WARNING] * 3


def test_a_severity_that_is_to_be_confirmed_is_told_once_enough_checks_found_it(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    def told(confirm: tuple[int, int], *shifts: float | None) -> list[Severity]:
        state: dict[str, Any] = {}
        out = []
        for now, shift in enumerate(shifts):
            nothing = unscored("data", "insufficient_data", "", ("a", "b", "c", "city"))
            found = nothing if shift is None else score(rows(4000, a=shift), now=now)
            verdict, state = track(json.loads(json.dumps(state)), found, now, confirm=confirm)
            out.append(verdict.feature_severity.get("a", Severity.NONE))
        return out

    none, info, error, critical = Severity.NONE, Severity.INFO, Severity.ERROR, Severity.CRITICAL
    assert told((2, 3), 0.9, 0.0, 0.0, 0.9)[:1] == [info]
    assert max(told((2, 3), 0.9, 0.0, 0.0, 0.9)) <= info
    assert told((2, 3), 0.9, 0.0, 0.9)[0::2] == [info, critical]
    assert told((2, 2), 0.9, 0.35, 0.9) == [info, error, error]  # of the last two, both found an error
    assert told((2, 3), 0.9, None, 0.9) == [info, none, critical]  # a check without rows says nothing
    assert told((2, 3), 0.9, 0.9, 0.0, 0.0, 0.0)[1:] == [critical] * 3 + [none]


def test_what_is_gross_has_its_own_confirmation(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    state: dict[str, Any] = {}
    for now in range(2):
        found = score(rows(1000, a=2.0), now=now, cap=Severity.WARNING)
        verdict, state = track(state, found, now, confirm=(5, 9))
    assert verdict.feature_severity["a"] == Severity.ERROR


def test_a_state_from_before_there_was_anything_to_confirm_is_read(
    score: Callable[..., ScoredFamily], rows: Rows
) -> None:
    _, old = track({}, score(rows(4000, a=0.9)), 0.0)
    assert "recent" not in old
    verdict, _ = track(old, score(rows(4000, a=0.9)), 1.0, confirm=(2, 3))
    assert verdict.feature_severity["a"] == Severity.CRITICAL


def test_the_state_survives_json_at_every_step(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    direct: dict[str, Any] = {}
    written: dict[str, Any] = {}
    for now, shift in enumerate((0.0, 1.2, 1.2, 0.35, 0.35, 0.35, 0.0, 0.0, 0.0, 0.0)):
        found = score(rows(6000, a=shift), now=now, cap=Severity.WARNING)
        one, direct = track(direct, found, now)
        two, written = track(json.loads(json.dumps(written)), found, now)
        assert one.feature_severity == two.feature_severity
    assert json.loads(json.dumps(direct)) == written


def test_features_that_left_the_profile_are_forgotten(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    _, state = track({}, score(rows(4000, a=1.0)), 0.0)
    state["tests"]["gone"] = state["tests"]["a"]
    verdict, state = track(state, score(rows(4000)), 1.0)
    assert "gone" not in verdict.feature_severity
    assert set(state["tests"]) == {"a"}


def test_a_clock_that_went_back_does_not_deafen_a_feature() -> None:
    assert cleared_times({"cleared_at": {"a": 500.0, "b": 50.0}}, 100.0) == {"a": 100.0, "b": 50.0}


def test_what_was_cleared_is_forgotten_with_the_longest_window(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    state: dict[str, Any] = {"cleared_at": {"a": 0.0}}
    _, kept = track(state, score(rows(1000)), 25.0, forget_after=30.0)
    _, dropped = track(state, score(rows(1000)), 31.0, forget_after=30.0)
    assert (kept["cleared_at"], dropped["cleared_at"]) == ({"a": 0.0}, {})


def test_a_check_that_stands_alone_has_no_memory(score: Callable[..., ScoredFamily], rows: Rows) -> None:
    found = score(rows(1000, a=1.0))
    assert verdict_of(found).feature_severity["a"] == Severity.CRITICAL
    assert verdict_of(replace(found, severity=found.severity * 0)).feature_severity["a"] == Severity.NONE
