"""What is said to be unable to alarm is unable to, by the rule itself; what can alarm is not accused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelwatch import ModelMonitoringConfig, ReferenceProfile
from modelwatch.drift.blind_spots import blind_spots
from modelwatch.drift.decision import check_budget
from modelwatch.drift.family import score_family
from modelwatch.drift.table import SHAPE_TEST
from modelwatch.policy import Severity
from modelwatch.records import WindowCounts

ROWS = 2000


def reference(**columns: Any) -> ReferenceProfile:
    rng = np.random.default_rng(0)
    return ReferenceProfile.build({"age": rng.normal(40, 10, ROWS), **columns}, predictions=rng.random(ROWS))


def rare(present: int) -> list[float | None]:
    rng = np.random.default_rng(1)
    return [*rng.normal(0, 1, present).tolist(), *[None] * (ROWS - present)]


def config(**fields: Any) -> ModelMonitoringConfig:
    return ModelMonitoringConfig.model_validate({"model_id": "m", **fields})


def names(profile: ReferenceProfile, **fields: Any) -> list[str]:
    return [spot.feature for spot in blind_spots(config(**fields), profile)]


def test_what_has_one_value_or_hardly_any_is_named_with_the_reason() -> None:
    profile = reference(zero=np.zeros(ROWS), land=["IT"] * ROWS, rare=rare(2))
    spots = {spot.feature: spot.reason for spot in blind_spots(config(), profile)}
    assert spots == {
        "zero": "one value only in the reference (0): another one is told as novel, a gap as missing",
        "land": "one category only in the reference ('IT'): another one is told as novel, a gap as missing",
        "rare": "only 2 rows with a value in the reference: no change of its shape alone can be told from chance",
    }


def test_an_ordinary_reference_has_none() -> None:
    rng = np.random.default_rng(2)
    profile = reference(
        land=rng.choice(["IT", "NO"], ROWS), flag=rng.random(ROWS) < 0.001, almost=[0.0] * (ROWS - 1) + [1.0]
    )
    assert names(profile) == []


def test_what_is_excluded_is_not_spoken_of() -> None:
    assert names(reference(zero=np.zeros(ROWS)), features={"exclude": ["zero"]}) == []


def test_a_tolerance_that_no_change_reaches_is_found() -> None:
    rng = np.random.default_rng(2)
    profile = reference(coin=rng.random(ROWS) < 0.5)
    # All rows on one side of a fair coin are a distance of 0.56.
    wide = {"thresholds": {"warning": 0.6, "error": 0.7, "critical": 0.8}}
    assert names(profile, drift=wide) == []  # what is gross alarms, whatever the tolerance, until tolerances are learnt
    [spot] = blind_spots(config(drift=wide), replace(profile, calibrated=True))
    assert (spot.feature, spot.reason) == ("coin", "even the largest change of its shape is within the tolerance, 0.6")
    assert blind_spots(config(), replace(profile, calibrated=True)) == []


@pytest.mark.parametrize("present", [2, 3, 4, 5, 6, 8, 20, 60])
def test_the_rule_itself_agrees(present: int) -> None:
    """However many rows come, and into whichever cell: a shape alarms for exactly the inputs that are not named."""
    profile = reference(rare=rare(present))
    place = profile.feature_names.index("rare")
    member, first = profile.layout.features[place], profile.layout.offsets[place]
    alarmed = False
    for cell in range(member.shape_size):
        cells = np.asarray(profile.counts * 1e6, np.float64)
        cells[first : first + member.shape_size] = 0.0
        cells[first + cell] = present * 1e6
        window = WindowCounts("24h", 0.0, 86400.0, ROWS * 1e6, cells)
        scored = score_family(
            "data", profile, [window], config().drift, check_budget(3600.0), cap=Severity.WARNING,
            members=range(len(profile.feature_names)),
        )  # fmt: skip
        found = scored.severity[0, place, SHAPE_TEST] >= Severity.WARNING or scored.gross[0, place, SHAPE_TEST]
        alarmed = alarmed or bool(found)
    assert (names(profile) == ["rare"]) is not alarmed
