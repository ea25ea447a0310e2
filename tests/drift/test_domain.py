"""Drift between features by a classifier that tries to tell rows of now from earlier ones."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from modelwatch.drift import domain
from modelwatch.drift.decision import window_budget
from modelwatch.exceptions import MissingPackageError
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile

LEVEL = window_budget("multivariate", 1 / 720, 1)


def draw(rng: np.random.Generator, n: int, r: float = 0.7) -> tuple[dict[str, Any], int]:
    a, noise = rng.normal(size=(2, n))
    return {"a": a, "b": r * a + np.sqrt(1 - r**2) * noise, "town": rng.choice(["Rome", "Oslo"], n)}, n


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    return ReferenceProfile.build(draw(np.random.default_rng(0), 3000)[0])


def test_rows_that_go_together_otherwise_can_be_told_from_earlier_ones(profile: ReferenceProfile) -> None:
    rng = np.random.default_rng(1)
    judged = domain.judge_domain(profile, draw(rng, 1500, r=-0.7), draw(rng, 3000), "24h", LEVEL)
    assert judged is not None
    assert judged.test.severity == Severity.WARNING
    assert (judged.test.test, judged.test.n, judged.test.m, judged.test.threshold) == ("domain", 1500, 3000, 0.05)
    assert 0.3 < judged.test.score_low < judged.test.score < judged.test.score_high < 0.5
    assert not judged.is_clear


@pytest.mark.parametrize("n", [100, 500, 2000])
def test_rows_like_earlier_ones_can_not(profile: ReferenceProfile, n: int) -> None:
    rng = np.random.default_rng(n)
    found = [domain.judge_domain(profile, draw(rng, n), draw(rng, n), "24h", LEVEL) for _ in range(5)]
    assert {one.test.severity for one in found if one is not None} == {Severity.NONE}
    assert None not in found


def test_too_few_rows_or_inputs_say_nothing(profile: ReferenceProfile) -> None:
    rng = np.random.default_rng(2)
    assert domain.judge_domain(profile, draw(rng, 99), draw(rng, 500), "24h", LEVEL) is None
    assert domain.judge_domain(profile, draw(rng, 500), draw(rng, 99), "24h", LEVEL) is None
    rows, n = draw(rng, 500)
    assert domain.judge_domain(profile, ({"a": rows["a"]}, n), (rows, n), "24h", LEVEL) is None
    nothing = ReferenceProfile.build({"a": np.arange(300.0)})
    assert domain.judge_domain(nothing, (rows, n), (rows, n), "24h", LEVEL) is None


def test_of_many_rows_some_are_taken(profile: ReferenceProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "MOST_ROWS", 400)
    rng = np.random.default_rng(3)
    judged = domain.judge_domain(profile, draw(rng, 900), draw(rng, 300), "24h", LEVEL)
    assert judged is not None
    assert (judged.test.n, judged.test.m) == (400, 300)


def test_the_area_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    scores, labels = rng.integers(0, 10, 500) / 10.0, rng.integers(0, 2, 500)
    assert domain._auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_without_scikit_learn_it_is_said_what_to_install(
    profile: ReferenceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    rng = np.random.default_rng(5)
    with pytest.raises(MissingPackageError, match="pip install scikit-learn"):
        domain.judge_domain(profile, draw(rng, 200), draw(rng, 200), "24h", LEVEL)
