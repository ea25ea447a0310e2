"""Inputs whose shape can't alarm, whatever happens to it: what the rule implies of a reference before there is traffic.

Only what is certain is told. A shape test compares the cells of regular values; the change that it sees best is that
all rows fall into one of them. If that does not reach a warning however many rows come, nothing does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.drift.decision import check_budget, window_budget
from modelwatch.drift.family import GROSS_CONFIDENCE
from modelwatch.drift.means import largest_shift, mean_tolerances
from modelwatch.drift.statistics import GateResult, d_to_js, js_to_d, large_gate, two_gate
from modelwatch.drift.table import GROSS_SHAPE_JS, SHAPE_TEST, tally
from modelwatch.drift.tolerance import tolerances_of
from modelwatch.records import PREDICTIONS, BlindSpot, FeatureCells, FloatArray, IntArray

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = ["blind_spots"]

MANY_ROWS = 1e9
"""As good as any number of rows: what is left is the noise of the reference."""
NOISY = (
    "it varies as much by itself from day to day, and so does its mean: a longer reference, or a cap under"
    " drift.tolerance, lets it alarm; missing and new values do so anyway"
)


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
    members = [i for i, m in enumerate(profile.layout.members) if m.name not in config.features.exclude]
    budget = check_budget(config.interval_seconds, config.drift.false_alarms_per_30d)
    found = []
    for kind in ("data", "prediction"):
        mine = [i for i in members if (profile.layout.members[i].name in PREDICTIONS) == (kind == "prediction")]
        # One window is the most favourable case; a change of this input alone is judged at the level of one test.
        level = window_budget(kind, budget, 1) / max(_tests(profile, mine), 1)
        spans = np.array([*config.drift.window_seconds.values()])[:, None]
        tolerated = tolerances_of(profile, config.drift, mine, spans)
        natural = mean_tolerances(profile, mine, spans)
        least = tolerated.tau[0, :, :, SHAPE_TEST].min(axis=0)
        for place, member in enumerate(profile.layout.members[i] for i in mine):
            if tolerated.noisy[:, place].all():
                if largest_shift(profile, mine[place]) <= natural[:, place].min():
                    found.append(BlindSpot(member.name, NOISY))
                continue
            shape = profile.counts_of(member.name)[: member.shape_size]
            change = _Change(round(float(d_to_js(least[place])), 12), level, gross=not profile.calibrated)
            if reason := _reason(member, shape, change):
                found.append(BlindSpot(member.name, reason))
    return found


@dataclass(frozen=True)
class _Change:
    """What a change of a shape must be to alarm.

    Attributes
    ----------
    warning : float
        Jensen-Shannon distance that it must exceed.
    level : float
        p-value that it must have.
    gross : bool
        Whether what is gross alarms too, whatever the budget: so while nothing is calibrated.
    """

    warning: float
    level: float
    gross: bool


def _tests(profile: ReferenceProfile, members: Sequence[int]) -> int:
    """Return how many tests can be made: those that the reference holds any rows for."""
    reference = tally(profile.layout, members, np.asarray(profile.counts, dtype=np.float64)[None])
    return int((reference.sum(axis=-1) > 0).sum())


def _reason(member: FeatureCells, shape: IntArray, change: _Change) -> str:
    rows = int(shape.sum())
    if not rows:
        return "the reference holds no regular value of it"
    cells = _reachable(member)
    if len(cells) < 2:
        name = "value" if member.kind == "numeric" else "category"
        return f"one {name} only in the reference ({_only(member)}): another one is told as novel, a gap as missing"
    found = two_gate(*_changes(shape[cells]), js_to_d(change.warning))
    if not _alarms(found, change):
        if found.d.max() <= js_to_d(change.warning):
            return f"even the largest change of its shape is within the tolerance, {change.warning:.3g}"
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


def _changes(shape: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the largest changes, and the shape beside each: rows without end, all of them in one cell.

    The distance is convex in the observed shares, so no other change is as large as the largest of these.
    """
    observed = np.eye(len(shape)) * MANY_ROWS
    return observed, np.broadcast_to(shape.astype(np.float64), observed.shape)


def _alarms(found: GateResult, change: _Change) -> bool:
    """Return whether any change that was measured alarms."""
    within = large_gate(found.d, found.k, 1.0 / found.n + 1.0 / found.m, js_to_d(GROSS_SHAPE_JS))
    gross = change.gross and bool((within <= 1.0 - GROSS_CONFIDENCE).any())
    return gross or bool((found.p <= change.level).any())
