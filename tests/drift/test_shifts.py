"""What moved, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch.config import DriftMonitoringConfig
from modelwatch.drift.family import score_family
from modelwatch.drift.shifts import family_shifts, feature_shift, mean_value, reference_mean
from modelwatch.drift.tracking import verdict_of
from modelwatch.drift.words import cell_labels, shift_words
from modelwatch.profile import ReferenceProfile
from modelwatch.records import FeatureCells, FeatureShift, WindowCounts

Window = Callable[..., WindowCounts]
Rows = Callable[..., dict[str, Any]]
STILL = FeatureShift("a", "1h", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_a_shift_of_the_mean_is_told_in_reference_standard_deviations(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    counted = window(rows(20_000, a=0.5))
    assert feature_shift(profile, counted, 0).shift_sd == pytest.approx(0.5, abs=0.03)
    assert feature_shift(profile, replace(counted, sums=None), 0).shift_sd == pytest.approx(0.5, abs=0.1)
    assert feature_shift(profile, counted, 3).shift_sd is None


def test_values_out_of_range_pull_the_mean_to_the_end_of_the_range(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    columns = rows(10_000)
    columns["a"][:5000] = 1e9
    expected = (columns["a"][5000:].sum() + 5000 * profile.moments["a"].maximum) / 10_000
    assert mean_value(profile, window(columns), 0) == pytest.approx(expected)
    assert mean_value(profile, window(columns), 3) is None
    assert reference_mean(profile, 0) == profile.moments["a"].mean
    assert reference_mean(profile, 3) is None


def test_shares_of_missing_and_novel_values(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    columns = rows(1000)
    columns["a"][:100] = math.nan
    columns["a"][100:280] = 1e9
    columns["a"][280:370] = -1e9
    columns["city"][:250] = "Kyiv"
    counted = window(columns)
    a, city = feature_shift(profile, counted, 0), feature_shift(profile, counted, 3)
    assert (a.missing_ratio, a.missing_reference) == (0.1, 0.0)
    assert (a.below_ratio, a.above_ratio) == (0.1, 0.2)
    assert a.novel_ratio == pytest.approx(0.3)
    assert (city.novel_ratio, city.below_ratio, city.above_ratio) == (0.25, 0.0, 0.0)
    assert city.changed[0][0] == "unseen"


def test_the_three_cells_that_changed_most_are_named(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    columns = rows(1000)
    columns["city"] = np.array(["Rome"] * 100 + ["Oslo"] * 700 + ["Lima"] * 200)
    shift = feature_shift(profile, window(columns), 3)
    assert [label for label, _, _ in shift.changed][:2] == ["Rome", "Oslo"]
    assert shift.changed[0][1] == pytest.approx(0.5, abs=0.02)
    assert shift.changed[0][2] == 0.1
    assert len(shift.changed) <= 3


def test_the_tail_that_grew_most_for_its_size_is_told(profile: ReferenceProfile, window: Window, rows: Rows) -> None:
    columns, member, own = rows(20_000, a=0.5), profile.member("a"), profile.counts_of("a")
    tail = feature_shift(profile, window(columns), 0).tail
    assert tail is not None
    side, edge, before, now = tail
    assert side == "above"
    assert before == pytest.approx(1.0 - own[: member.edges.index(edge) + 1].sum() / own.sum())
    assert now == pytest.approx((columns["a"] > edge).mean())

    def change(at: float) -> float:
        was = 1.0 - float(own[: member.edges.index(at) + 1].sum() / own.sum())
        has = float((columns["a"] > at).mean())
        return (has - was) ** 2 / (has + was)

    assert change(edge) == max(map(change, member.edges[:-1]))
    # A fifth or so has become a third: far from the middle, where half has become two thirds.
    assert 0.1 < before < 0.25
    assert 1.5 < now / before < 2.2


def test_of_a_mean_that_fell_the_lower_tail_is_told_and_of_a_spread_that_shrank_a_tail_that_did(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    fell = feature_shift(profile, window(rows(20_000, a=-0.5)), 0).tail
    columns = rows(20_000)
    columns["a"] = columns["a"] / 3.0
    shrank = feature_shift(profile, window(columns), 0).tail
    assert fell is not None
    assert shrank is not None
    assert (fell[0], fell[2] < fell[3], shrank[2] > shrank[3]) == ("below", True, True)


def test_values_out_of_range_are_in_the_tail_and_categories_have_none(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    columns = rows(1000)
    columns["a"][:400] = 1e9
    tail = feature_shift(profile, window(columns), 0).tail
    assert tail is not None
    assert tail[0] == "above"
    assert tail[3] >= 0.4
    assert feature_shift(profile, window(columns), 3).tail is None


def test_a_window_without_values_has_a_tail_in_which_nothing_is(
    profile: ReferenceProfile, window: Window, rows: Rows
) -> None:
    columns = rows(100)
    columns["a"][:] = math.nan
    tail = feature_shift(profile, window(columns), 0).tail
    assert tail is not None
    assert tail[3] == 0.0


def test_attribution_shares_out_the_excess_by_importance(
    profile: ReferenceProfile, window: Window, rows: Rows, config: DriftMonitoringConfig
) -> None:
    found = score_family("data", profile, [window(rows(5000, a=1.0, b=1.0))], config, 1e-3, members=range(4))
    verdict = verdict_of(found)
    even = {s.feature: s for s in family_shifts(profile, found, verdict, {})}
    assert even["a"].attribution == pytest.approx(0.5, abs=0.05)
    assert sum(s.attribution for s in even.values()) == pytest.approx(1.0)
    weighted = family_shifts(profile, found, verdict, {"b": 3.0})
    assert [s.feature for s in weighted][:2] == ["b", "a"]
    assert weighted[0].attribution == pytest.approx(0.75, abs=0.05)


def test_bins_carry_labels_a_person_understands() -> None:
    distance = FeatureCells("distance", "numeric", minimum=17.0, edges=(1009.0, 1400.0, 4983.0))
    assert cell_labels(distance)[:6] == (
        "17 to 1009",
        "1009 to 1400",
        "1400 to 4983",
        "below 17",
        "above 4983",
        "missing",
    )
    carrier = FeatureCells("carrier", "categorical", categories=("UA",))
    assert cell_labels(carrier)[:3] == ("UA", "other", "unseen")
    assert len(cell_labels(distance)) == distance.size
    assert len(cell_labels(carrier)) == carrier.size


@pytest.mark.parametrize(
    ("changes", "test", "words"),
    [
        ({"shift_sd": 0.9, "novel_ratio": 0.31, "above_ratio": 0.31}, "novel",
         "mean +0.90 sd, 31 % above the reference range (was 0 %)"),
        ({"shift_sd": -0.13}, "shape", "mean -0.13 sd"),
        ({"shift_sd": None, "novel_ratio": 0.18}, "novel", "18 % unseen values (was 0 %)"),
        ({"missing_ratio": 0.05, "missing_reference": 0.01}, "missing", "5 % missing (was 1 %)"),
        ({"novel_ratio": 0.2, "below_ratio": 0.1, "above_ratio": 0.1}, "novel",
         "20 % outside the reference range (was 0 %)"),
        ({"novel_ratio": 0.2, "below_ratio": 0.2}, "novel", "20 % below the reference range (was 0 %)"),
        ({"shift_sd": None, "changed": (("UA", 0.2, 0.35), ("AA", 0.3, 0.15))}, "shape",
         "UA: 20 % → 35 %, AA: 30 % → 15 %"),
        ({"shift_sd": 0.614, "tail": ("above", 1597.0, 0.14, 0.28)}, "shape",
         "mean +0.61 sd, share above 1 600 doubled"),
        ({"shift_sd": -0.3, "tail": ("below", 0.5, 0.1, 0.29)}, "shape", "mean -0.30 sd, share below 0.5 tripled"),
        ({"shift_sd": -0.3, "tail": ("above", 41_183.0, 0.4, 0.21)}, "shape",
         "mean -0.30 sd, share above 41 200 halved"),
        ({"shift_sd": 0.3, "tail": ("above", 1600.0, 0.14, 0.35)}, "shape",
         "mean +0.30 sd, share above 1 600: 14 % → 35 %"),
        ({"shift_sd": 0.3, "tail": ("above", 9.0, 0.0, 0.05)}, "shape", "mean +0.30 sd, share above 9: 0 % → 5 %"),
        # A tail is told where the shape failed, it moved, and not one cell of it alone, or what lies out of range.
        ({"missing_ratio": 0.05, "tail": ("above", 9.0, 0.1, 0.2)}, "missing", "5 % missing (was 0 %)"),
        ({"shift_sd": 0.3, "tail": ("above", 9.0, 0.1, 0.115)}, "shape", "mean +0.30 sd"),
        ({"shift_sd": 0.3, "tail": ("above", 9.0, 0.1, 0.5), "changed": (("12 to 13", 0.0, 0.4),)}, "shape",
         "mean +0.30 sd, 12 to 13: 0 % → 40 %"),
        ({"shift_sd": 0.9, "novel_ratio": 0.3, "above_ratio": 0.3, "tail": ("above", 9.0, 0.1, 0.4)}, "shape",
         "mean +0.90 sd, 30 % above the reference range (was 0 %)"),
    ],
)  # fmt: skip
def test_shifts_in_words(changes: dict[str, Any], test: str, words: str) -> None:
    assert shift_words(replace(STILL, **changes), test) == words
