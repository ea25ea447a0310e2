"""Versions and segments share one budget of false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from modelwatch.checks.common import Subject, members_of, rule_of
from modelwatch.checks.members import Member, decide_together
from modelwatch.config import ModelMonitoringConfig
from modelwatch.drift.family import found_severities, measure_family
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


def a_member(reference: ReferenceProfile, columns: dict[str, np.ndarray]) -> Member:
    cells = CellAssigner(reference.layout).bin(columns, 500, None).cells
    return member_of(reference, WindowCounts("1h", 0.0, 3600.0, 500.0, np.asarray(cells, dtype=np.float64)))


def member_of(reference: ReferenceProfile, window: WindowCounts) -> Member:
    found = measure_family(
        "data", reference, [window], CONFIG.drift, members=members_of("data", reference, CONFIG), only_full=False
    )
    rule = replace(rule_of(CONFIG, reference), budget=BUDGET)
    return Member(Subject(CONFIG, "1", reference, 0.0, 0.0), reference, {}, (window,), {"data": found}, rule)


def alone(member: Member) -> np.ndarray:
    (severity,) = decide_together("data", [member])
    assert severity is not None
    return severity


def together(members: Sequence[Member]) -> list[np.ndarray]:
    return [severity for severity in decide_together("data", members) if severity is not None]


def any_found(severities: Sequence[np.ndarray]) -> bool:
    return any(bool((severity >= Severity.INFO).any()) for severity in severities)


def test_one_version_is_decided_upon_as_if_there_were_no_others(reference: ReferenceProfile) -> None:
    member = a_member(reference, rows(np.random.default_rng(1), [0.5]))
    measured = member.measured["data"]
    assert measured is not None
    assert alone(member).tolist() == found_severities(measured, BUDGET).tolist()
    assert alone(member).max() >= Severity.WARNING


def test_three_versions_raise_no_more_false_alarms_than_one(reference: ReferenceProfile) -> None:
    rng, checks = np.random.default_rng(2), 400
    shared = each = 0
    for _ in range(checks):
        members = [a_member(reference, rows(rng)) for _ in range(3)]
        shared += any_found(together(members))
        each += any_found([alone(member) for member in members])
    level = BUDGET / 2
    assert shared / checks <= level + 2.6 * np.sqrt(level * (1 - level) / checks)
    assert each > 2 * shared, "what it would be with a budget for each"


def test_drift_of_one_version_is_found_beside_others_and_is_its_own(reference: ReferenceProfile) -> None:
    rng = np.random.default_rng(3)
    members = [a_member(reference, rows(rng, shifts)) for shifts in ((), (0.0, 1.0), ())]
    found = [severity.max(axis=(0, 2)).tolist() for severity in together(members)]
    assert found[1][1] >= Severity.ERROR
    assert all(severity < Severity.WARNING for place in (0, 2) for severity in found[place])


def test_a_version_without_rows_takes_nothing_from_the_others(reference: ReferenceProfile) -> None:
    member = a_member(reference, rows(np.random.default_rng(6), [0.5]))
    silent = member_of(reference, WindowCounts("1h", 0.0, 3600.0, 0.0, np.zeros(reference.layout.size)))
    found = together([member, silent])
    assert found[0].tolist() == alone(member).tolist()
    assert found[1].size == 0


def test_the_stricter_procedure_holds_over_all_versions_too(reference: ReferenceProfile) -> None:
    strict = CONFIG.drift.model_copy(update={"multiplicity": "by"})
    rng = np.random.default_rng(8)
    found = {"bh": 0, "by": 0}
    for _ in range(40):
        members = [a_member(reference, rows(rng, [0.2])) for _ in range(2)]
        for name in found:
            measured = [member.measured["data"] for member in members]
            told = [
                replace(member, measured={"data": one if name == "bh" else replace(one, config=strict)})
                for member, one in zip(members, measured, strict=True)
                if one is not None
            ]
            found[name] += any_found(together(told))
    assert 0 < found["by"] < found["bh"]
