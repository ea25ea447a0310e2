"""Versions and segments share one budget of false alarms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from modelwatch.checks.common import Subject, members_of
from modelwatch.checks.members import Member, decide_together
from modelwatch.config import ModelMonitoringConfig
from modelwatch.drift.family import ScoredFamily, score_family
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import WindowCounts

CONFIG = ModelMonitoringConfig(model_id="ads", drift={"windows": ["1h"]})
FEATURES = [f"f{i}" for i in range(10)]
BUDGET = 0.2
"""Of which the one window of the data gets half."""


@pytest.fixture(scope="module")
def reference() -> ReferenceProfile:
    rng = np.random.default_rng(5)
    return ReferenceProfile.build({name: rng.normal(size=20_000) for name in FEATURES})


def rows(rng: np.random.Generator, shifts: Sequence[float] = ()) -> dict[str, np.ndarray]:
    moved = dict(zip(FEATURES, shifts, strict=False))
    return {name: rng.normal(size=500) + moved.get(name, 0.0) for name in FEATURES}


def a_member(
    reference: ReferenceProfile, columns: dict[str, np.ndarray], *, cap: Severity = Severity.CRITICAL
) -> Member:
    cells = CellAssigner(reference.layout).bin(columns, 500, None).cells
    window = WindowCounts("1h", 0.0, 3600.0, 500.0, np.asarray(cells, dtype=np.float64))
    scored = score_family(
        "data", reference, [window], CONFIG.drift, BUDGET, members=members_of("data", reference, CONFIG), cap=cap
    )
    return Member(Subject(CONFIG, "1", reference, 0.0, 0.0), reference, {}, (window,), {"data": scored}, cap)


def any_found(scored: Sequence[ScoredFamily]) -> bool:
    return any(bool((family.severity >= Severity.INFO).any()) for family in scored)


def test_one_version_is_decided_upon_as_if_there_were_no_others(reference: ReferenceProfile) -> None:
    member = a_member(reference, rows(np.random.default_rng(1), [0.5]))
    (decided,) = decide_together("data", [member], BUDGET)
    assert decided.severity.tolist() == member.scored["data"].severity.tolist()
    assert decided.severity.max() >= Severity.WARNING


def test_three_versions_raise_no_more_false_alarms_than_one(reference: ReferenceProfile) -> None:
    rng, checks = np.random.default_rng(2), 400
    together = alone = 0
    for _ in range(checks):
        members = [a_member(reference, rows(rng)) for _ in range(3)]
        together += any_found(decide_together("data", members, BUDGET))
        alone += any_found([member.scored["data"] for member in members])
    level = BUDGET / 2
    spread = np.sqrt(level * (1 - level) / checks)
    assert together / checks <= level + 2.6 * spread
    assert alone > 2 * together, "what it would be with a budget for each"


def test_drift_of_one_version_is_found_beside_others_and_is_its_own(reference: ReferenceProfile) -> None:
    rng = np.random.default_rng(3)
    members = [
        a_member(reference, rows(rng)),
        a_member(reference, rows(rng, [0.0, 1.0])),
        a_member(reference, rows(rng)),
    ]
    found = [scored.severity.max(axis=(0, 2)).tolist() for scored in decide_together("data", members, BUDGET)]
    assert found[1][1] >= Severity.ERROR
    assert all(severity < Severity.WARNING for place in (0, 2) for severity in found[place])


def test_each_version_keeps_its_own_cap(reference: ReferenceProfile) -> None:
    shifted = rows(np.random.default_rng(4), [2.0])
    free, capped = a_member(reference, shifted), a_member(reference, shifted, cap=Severity.WARNING)
    found = decide_together("data", [free, capped], BUDGET)
    assert [int(scored.severity.max()) for scored in found] == [Severity.CRITICAL, Severity.WARNING]


def test_a_version_without_rows_takes_nothing_from_the_others(reference: ReferenceProfile) -> None:
    member = a_member(reference, rows(np.random.default_rng(6), [0.5]))
    empty = WindowCounts("1h", 0.0, 3600.0, 0.0, np.zeros(reference.layout.size))
    nothing = score_family("data", reference, [empty], CONFIG.drift, BUDGET, members=[0])
    silent = Member(member.subject, reference, {}, (empty,), {"data": nothing}, Severity.CRITICAL)
    found = decide_together("data", [member, silent], BUDGET)
    assert found[0].severity.tolist() == member.scored["data"].severity.tolist()
    assert found[1].table is None
