"""Inputs whose shape can't alarm, whatever happens to it: what the rule implies of a reference before there is traffic.

Only what is certain is told. A shape test compares the cells of regular values; the change that it sees best is that
all rows fall into one of them. If that does not reach a warning however many rows come, nothing does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.drift.decision import check_budget, window_budget
from modelwatch.drift.family import tolerances
from modelwatch.drift.statistics import js_to_d, two_gate
from modelwatch.drift.table import TESTS
from modelwatch.records import PREDICTION, BlindSpot, FeatureCells, IntArray

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = ["blind_spots"]

MANY_ROWS = 1e9
"""As good as any number of rows: what is left is the noise of the reference."""


def blind_spots(config: ModelMonitoringConfig, profile: ReferenceProfile) -> list[BlindSpot]:
    """Return the inputs of a reference whose shape can't alarm.

    Parameters
    ----------
    config : ModelMonitoringConfig
        Thresholds, budget, interval, and inputs that are left out.
    profile : ReferenceProfile
        The reference.

    Examples
    --------
    >>> from modelwatch import ModelMonitoringConfig, ReferenceProfile
    >>> X = {"age": np.random.default_rng(0).normal(40, 10, 500), "country": ["IT"] * 500, "zero": np.zeros(500)}
    >>> profile = ReferenceProfile.build(X)
    >>> [spot.feature for spot in blind_spots(ModelMonitoringConfig(model_id="ads"), profile)]
    ['country', 'zero']
    """
    members = [m for m in profile.layout.members if m.name not in config.features.exclude]
    inputs = sum(member.name != PREDICTION for member in members)
    warning = tolerances(config.drift)[0]
    found = []
    for member in members:
        kind, tests = ("prediction", 1) if member.name == PREDICTION else ("data", inputs)
        # One window is the most favourable case; a change of this input alone is judged at the level of one test.
        level = window_budget(kind, _budget(config), 1) / (tests * len(TESTS))
        shape = profile.counts_of(member.name)[: member.shape_size]
        if reason := _reason(member, shape, warning, level):
            found.append(BlindSpot(member.name, reason))
    return found


def _budget(config: ModelMonitoringConfig) -> float:
    return check_budget(config.interval_seconds, config.drift.false_alarms_per_30d)


def _reason(member: FeatureCells, shape: IntArray, warning: float, level: float) -> str:
    rows = int(shape.sum())
    if not rows:
        return "the reference holds no regular value of it"
    cells = _reachable(member)
    if len(cells) < 2:
        name = "value" if member.kind == "numeric" else "category"
        return f"one {name} only in the reference ({_only(member)}): another one is told as novel, a gap as missing"
    if _least_p_value(shape[cells], warning) > level:
        counted = f"{rows} row{'s' * (rows != 1)}"
        return f"only {counted} with a value in the reference: no change of its shape alone can be told from chance"
    return ""


def _reachable(member: FeatureCells) -> Sequence[int]:
    """Return the shape cells that any value can fall into: "other" holds known categories, if there are any."""
    if member.kind == "numeric" or member.known or not member.vocabulary_complete:
        return range(member.shape_size)
    return range(len(member.categories))


def _only(member: FeatureCells) -> str:
    return f"{member.edges[-1]:.6g}" if member.kind == "numeric" else repr(member.categories[0])[:40]


def _least_p_value(shape: IntArray, warning: float) -> float:
    """Return the smallest p-value of a warning that any change of a shape can have.

    The distance is convex in the observed shares, so it is largest where all rows are in one cell.
    """
    observed = np.eye(len(shape)) * MANY_ROWS
    found = two_gate(observed, np.broadcast_to(shape.astype(np.float64), observed.shape), js_to_d(warning))
    return float(np.min(found.p))
