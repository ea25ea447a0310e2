"""From which tolerance on a past time would have been silent.

With the features that alarmed tolerated entirely no alarm cuts a window short, so that what a replay then measures is
what a tolerance has to bear.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwatch.checks.common import Rule, rule_of
from modelwatch.checks.replay import Step, replay
from modelwatch.drift.decision import window_budget
from modelwatch.drift.family import GROSS_CONFIDENCE, GROSS_MIN_ROWS, ScoredFamily
from modelwatch.drift.shares import share_lower
from modelwatch.drift.statistics import d_to_js, js_lower, js_to_d, large_gate
from modelwatch.drift.table import GROSS_SHAPE_JS, GROSS_SHARE_JS, SHAPE_TEST, TESTS
from modelwatch.policy import Severity
from modelwatch.records import FloatArray

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.values import CountSeries
    from modelwatch.windows.together import Together

__all__ = ["Key", "Times", "is_silent", "needed_tolerances", "steps_of", "with_tolerance"]

ALL_TOLERATED = 0.999
STEP = 0.01
"""Tolerances are given in steps that somebody would write."""

Key = tuple[str, str]
"""Kind of drift and name of a feature, "" for the prediction."""
Times = tuple[float | None, float | None]
"""When the first check is made and the last; None for all that there is."""


def steps_of(
    profile: ReferenceProfile,
    config: ModelMonitoringConfig,
    series: CountSeries,
    times: Times,
    together: Together | None = None,
) -> Iterator[Step]:
    """Return the checks of a time again."""
    return replay(
        profile, config, series.starts, series.rows, series.cells, series.sums, first=times[0], until=times[1],
        together=together,
    )  # fmt: skip


def with_tolerance(config: ModelMonitoringConfig, tolerance: Mapping[str, float]) -> ModelMonitoringConfig:
    """Return a configuration with other tolerances by feature."""
    return config.model_copy(update={"drift": config.drift.model_copy(update={"tolerance": dict(tolerance)})})


def needed_tolerances(
    profile: ReferenceProfile,
    config: ModelMonitoringConfig,
    series: CountSeries,
    times: Times,
    alarmed: Mapping[Key, int],
) -> dict[Key, float]:
    """Return the tolerance from which on each feature would be silent, whatever the others do; none where none would.

    A test whose p-value is above the level of its window is never rejected by Benjamini–Hochberg, so that the lower
    bound at that level is what a tolerance has to reach.
    """
    tolerated = {name: ALL_TOLERATED for kind, name in alarmed if kind == "data"}
    rule = rule_of(config, profile)
    most = dict.fromkeys(alarmed, 0.0)
    silenced = with_tolerance(config, {**config.drift.tolerance, **tolerated})
    for step in steps_of(profile, silenced, series, times):
        for kind, (scored, _) in step.families.items():
            names = [name for k, name in alarmed if k == kind]
            for name, bound in zip(names, _bounds(scored, names, rule, config), strict=True):
                most[kind, name] = max(most[kind, name], bound)
    # Where nothing was too far away, it was not for want of tolerance: a fixed threshold knows none.
    out = {key: (math.floor(bound / STEP + 1e-9) + 1) * STEP for key, bound in most.items() if bound > 0.0}
    return {key: round(tolerance, 2) for key, tolerance in out.items() if tolerance < 1.0}


def _bounds(scored: ScoredFamily, names: Sequence[str], rule: Rule, config: ModelMonitoringConfig) -> list[float]:
    """Return the largest distance of each feature that is beyond doubt, at the level of its window."""
    table = scored.table
    if table is None or not names:
        return [0.0] * len(names)
    at = [scored.features.index(name) for name in names]
    d, k, s = (values[:, at] for values in (table.d, table.k, table.evidence))
    q = window_budget(scored.drift_type, rule.budget, len(table.windows) - table.watched)
    made = table.usable[:, at] & (table.p_real[:, at] <= q)
    made[: table.watched] = False
    warning = config.drift.thresholds.warning
    bounds = _lower(d, k, s, made, q, np.full(len(TESTS), warning))
    bounds[..., SHAPE_TEST + 1 :] = 0.0
    w, f, t = (np.asarray(place) for place in np.nonzero(made & (np.arange(len(TESTS)) != SHAPE_TEST)))
    if len(w):
        shares = table.shares((w, np.array(at)[f], t))
        exact = d_to_js(share_lower(*shares, s[w, f, t], q))
        bounds[w, f, t] = np.where(exact > warning, exact, 0.0)
    if rule.cap < Severity.ERROR:
        gross = table.usable[:, at] & (table.independent[:, at] >= GROSS_MIN_ROWS)
        gross[table.watched + 1 :] = False
        limits = np.full(len(TESTS), GROSS_SHARE_JS)
        limits[SHAPE_TEST] = GROSS_SHAPE_JS
        bounds = np.maximum(bounds, _lower(d, k, s, gross, 1.0 - GROSS_CONFIDENCE, limits))
    return [float(bound) for bound in bounds.max(axis=(0, 2), initial=0.0)]


def _lower(
    d: FloatArray, k: FloatArray, s: FloatArray, made: NDArray[np.bool_], q: float, least: FloatArray
) -> FloatArray:
    """Return lower bounds at a level where a distance is above the least one of its test, else 0."""
    out = np.zeros(d.shape)
    some = made & (large_gate(d, k, s, js_to_d(least)) <= q)
    if some.any():
        out[some] = js_lower(d[some], k[some], s[some], 1.0 - q)
    return out


def is_silent(profile: ReferenceProfile, config: ModelMonitoringConfig, series: CountSeries, times: Times) -> bool:
    """Say whether no feature alarms; the prediction may."""
    return all(
        max(step.families["data"][1].feature_severity.values(), default=Severity.NONE) < Severity.WARNING
        for step in steps_of(profile, config, series, times)
    )
