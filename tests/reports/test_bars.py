"""Bars show each row once, however the cells lie, and stay within the range where the rows are."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from modelwatch.profile import ReferenceProfile
from modelwatch.records import TAIL_CELLS
from modelwatch.reports.bars import MOST_CATEGORIES, STEPS, Bars, bars_of
from modelwatch.reports.pictures import NARROW, distributions


def profile_of(values: Any, **options: Any) -> ReferenceProfile:
    return ReferenceProfile.build({"x": values}, **options)


RNG = np.random.default_rng(0)
NUMBERS = {
    "normal": RNG.normal(size=2000),
    "heavy tails": RNG.pareto(0.5, 2000),
    "zero-inflated": np.where(RNG.random(2000) < 0.7, 0.0, RNG.exponential(size=2000)),
    "integers": RNG.poisson(3.0, 2000),
    "constant": np.full(2000, 5.0),
    "largest numbers": RNG.choice([-1.7e308, 0.0, 1.7e308], 2000),
    "denormal numbers": RNG.choice([0.0, 5e-324, 1e-300], 2000),
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.filterwarnings("error")
def test_every_row_is_in_one_bar(kind: str) -> None:
    profile = profile_of(NUMBERS[kind])
    current = np.arange(1.0, profile.member("x").size + 1.0)
    bars = bars_of(profile, "x", current)
    assert sum(bars.reference) == pytest.approx(1.0)
    assert sum(bars.current) == pytest.approx(1.0)
    assert min(*bars.reference, *bars.current) >= 0.0
    assert len(bars.labels) == len(bars.reference) == len(bars.current)
    assert bars.regular == (1 if kind == "constant" else STEPS)
    assert bars.labels[bars.regular :] == ("below", "above", "missing", "invalid")


def test_a_far_value_does_not_squeeze_all_others_into_one_bar() -> None:
    values = np.append(RNG.normal(size=3000), 1e9)
    bars = bars_of(profile_of(values), "x", profile_of(values).counts_of("x").astype(float))
    assert max(bars.reference) < 0.2


def test_bars_of_the_same_counts_are_the_same() -> None:
    profile = profile_of(NUMBERS["normal"])
    bars = bars_of(profile, "x", profile.counts_of("x").astype(np.float64) * 3.0)
    assert bars.current == pytest.approx(bars.reference)


def test_the_largest_categories_of_either_side_have_a_bar_each() -> None:
    names = [f"c{i:02}" for i in range(40)]
    profile = profile_of(RNG.choice(names, 4000, p=np.linspace(2, 1, 40) / np.linspace(2, 1, 40).sum()))
    member = profile.member("x")
    current = np.zeros(member.size)
    current[member.categories.index("c39")] = 90.0
    current[-TAIL_CELLS] = 10.0
    bars = bars_of(profile, "x", current)
    assert bars.regular == MOST_CATEGORIES + 1
    assert bars.labels[bars.regular - 1 :] == ("other", "unseen")
    assert bars.current[bars.labels.index("c39")] == pytest.approx(0.9)
    assert bars.current[-1] == pytest.approx(0.1)


def test_nothing_at_all_is_no_bar_and_no_error() -> None:
    profile = profile_of(NUMBERS["normal"])
    bars = bars_of(profile, "x", np.zeros(profile.member("x").size))
    assert sum(bars.current) == 0.0
    assert bars.labels[bars.regular :] == ()


def test_short_names_of_narrow_bars_do_not_lie_upon_each_other() -> None:
    names = tuple(f"c{i}" for i in range(14))
    bars = Bars(names, (1 / 14,) * 14, (1 / 14,) * 14, regular=14, numeric=False)
    drawn = re.findall(r'<text x="([0-9.]+)"[^>]*>(c[0-9]+)</text>', distributions(bars, "carrier", width=NARROW))
    assert len(drawn) >= 6
    ends = [(float(x) - 3.1 * len(name), float(x) + 3.1 * len(name)) for x, name in drawn]
    assert all(left[1] < right[0] for left, right in pairwise(ends))
