"""One kind of drift ("data", "prediction") of one model in one check: counts in, tests with severities out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwatch.drift.decision import PROCEDURES, TIERS, Procedure, severities, window_budget
from modelwatch.drift.further import Further, further_scores, with_fixed_thresholds
from modelwatch.drift.readiness import ready_windows
from modelwatch.drift.statistics import js_bounds, js_to_d, large_gate
from modelwatch.drift.table import SHAPE_TEST, TESTS, BoolArray, TestTable, build_table
from modelwatch.policy import Severity
from modelwatch.records import TestResult, WindowCounts

if TYPE_CHECKING:
    from modelwatch.config import DriftMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = ["ScoredFamily", "score_family", "test_results", "tolerances", "unscored", "worst_tests"]

GROSS_SHAPE_JS = 0.30
GROSS_SHARE_JS = 0.15
GROSS_MIN_ROWS = 200.0
GROSS_CONFIDENCE = 0.95


@dataclass(frozen=True)
class ScoredFamily:
    """What one check found, before the memory of earlier checks has its say.

    Attributes
    ----------
    drift_type : str
        "data" or "prediction".
    state : str
        "ok" if anything was scored; else why not: "warming_up", "insufficient_data", "no_reference".
    reason : str
        Why windows are left out, as a phrase.
    features : tuple of str
        Names of the members, "" for the prediction.
    table : TestTable or None
        None if nothing was scored.
    severity : ndarray of int, shape (windows, features, tests)
        Capped; none in windows that are only watched.
    gross : ndarray of bool, same shape
        Changes that are an error if the next check finds them too.
    further : Further or None
        Scores by further methods, if any are asked for.
    """

    drift_type: str
    state: str
    reason: str
    features: tuple[str, ...]
    table: TestTable | None
    severity: NDArray[np.int64]
    gross: BoolArray
    further: Further | None = None


def tolerances(config: DriftMonitoringConfig) -> tuple[float, ...]:
    """Return the Jensen–Shannon distances of the tiers, ascending."""
    levels = config.thresholds
    return (levels.warning, levels.error, levels.critical)


def unscored(drift_type: str, state: str, reason: str, features: Sequence[str] = ()) -> ScoredFamily:
    """Return a family in which nothing could be scored."""
    nothing = np.zeros((0, len(features), len(TESTS)))
    return ScoredFamily(
        drift_type, state, reason, tuple(features), None, nothing.astype(np.int64), nothing.astype(np.bool_)
    )


def score_family(
    drift_type: str,
    profile: ReferenceProfile,
    windows: Sequence[WindowCounts],
    config: DriftMonitoringConfig,
    budget: float,
    *,
    members: Sequence[int],
    cap: Severity = Severity.CRITICAL,
    candidates: Collection[str] | None = None,
    only_full: bool = True,
) -> ScoredFamily:
    """Score one kind of drift in all windows that are ready.

    Parameters
    ----------
    drift_type : {"data", "prediction"}
        Decides the share of the budget.
    profile : ReferenceProfile
        The reference.
    windows : sequence of WindowCounts
        Ascending by length.
    config : DriftMonitoringConfig
        ``thresholds``, ``min_rows``, ``window_seconds``, ``multiplicity``, ``methods``, ``fixed_thresholds``.
    budget : float
        The chance of a false alarm that this check may take, over all kinds of drift.
    members : sequence of int
        Which members of ``profile.layout`` belong to the family.
    cap : Severity
        Nothing above is given, but for gross changes, which are told apart for that.
    candidates : collection of str or None
        Labels of the windows that are scored when ready; None for all.
    only_full : bool
        See :func:`~modelwatch.drift.readiness.ready_windows`.

    Returns
    -------
    ScoredFamily
    """
    seconds = config.window_seconds | {w.window: w.end - w.start for w in windows if w.window not in config.windows}
    ready = ready_windows(windows, config.min_rows, seconds=seconds, candidates=candidates, only_full=only_full)
    names = [profile.layout.members[i].name for i in members]
    looked_at = (*ready.watched, *ready.scored)
    if not looked_at or not members:
        return unscored(drift_type, ready.state, ready.reason, names)
    watched = len(ready.watched)
    table = build_table(profile, looked_at, members, tolerances(config), config.min_rows, watched=watched)
    found = np.zeros(table.usable.shape, dtype=np.int64)
    q = window_budget(drift_type, budget, len(ready.scored))
    for place in range(watched, len(looked_at)):
        found[place] = _window_severities(table, place, q, PROCEDURES[config.multiplicity])
    further = further_scores(profile, table, config.further_methods)
    found = with_fixed_thresholds(found, table, further, config.fixed_thresholds)
    return ScoredFamily(
        drift_type,
        "ok" if ready.scored else ready.state,
        ready.reason,
        tuple(names),
        table,
        np.minimum(found, int(cap)),
        _gross(table) if cap < Severity.ERROR else np.zeros(found.shape, dtype=np.bool_),
        further,
    )


def _window_severities(table: TestTable, place: int, q: float, procedure: Procedure) -> NDArray[np.int64]:
    """Share the level of one window over all tests that could be made in it."""
    made = table.usable[place]
    p_real = np.where(made, table.p_real[place], np.nan).ravel()
    p_large = table.p_large[:, place].reshape(len(TIERS), -1)
    return np.asarray(severities(p_real, p_large, q, procedure).reshape(made.shape))


def _gross(table: TestTable) -> BoolArray:
    """Find changes too large to wait for calibration: in the watched windows, and in the shortest scored one."""
    limits = np.full(len(TESTS), GROSS_SHARE_JS)
    limits[SHAPE_TEST] = GROSS_SHAPE_JS
    p_within = large_gate(table.d, table.k, table.sampling, js_to_d(limits))
    found = table.usable & (table.n >= GROSS_MIN_ROWS) & (p_within <= 1.0 - GROSS_CONFIDENCE)
    found[table.watched + 1 :] = False
    return np.asarray(found)


def worst_tests(scored: ScoredFamily, severity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each window and feature, the index of the worst test: by severity, then p-value, then score.

    Parameters
    ----------
    scored : ScoredFamily
        With a table.
    severity : ndarray of int, shape (windows, features, tests)
        Severities, gross changes included.

    Returns
    -------
    ndarray of int, shape (windows, features)
        -1 where no test could be made.
    """
    table = scored.table
    assert table is not None
    score = np.where(table.usable, table.score, -1.0)
    p = np.where(table.usable, table.p_value, 2.0)
    order = np.lexsort((-score, p, -np.where(table.usable, severity, -1)), axis=-1)
    return np.where(table.usable.any(axis=-1), order[..., 0], -1)


def test_results(scored: ScoredFamily, severity: NDArray[np.int64], threshold: float) -> tuple[TestResult, ...]:
    """Return for each feature and window the worst test, features in order, windows ascending.

    Parameters
    ----------
    scored : ScoredFamily
        What was found.
    severity : ndarray of int, shape (windows, features, tests)
        Severities, gross changes included.
    threshold : float
        Tolerance of a warning, a Jensen–Shannon distance.

    Returns
    -------
    tuple of TestResult
        A watched window appears only where it holds a gross change.
    """
    table = scored.table
    if table is None:
        return ()
    worst = worst_tests(scored, severity)
    at = np.maximum(worst, 0)[..., None]
    chosen = {
        name: np.take_along_axis(values, at, axis=-1)[..., 0]
        for name, values in {
            "n": table.n, "m": table.m, "d": table.d, "k": table.k, "s": table.sampling, "score": table.score,
            "p_real": table.p_real, "p": table.p_value, "severity": severity,
        }.items()
    }  # fmt: skip
    low, high = js_bounds(chosen["d"], chosen["k"], chosen["s"])
    is_scored = np.arange(len(table.windows))[:, None] >= table.watched
    shown = (worst >= 0) & (is_scored | (chosen["severity"] >= Severity.WARNING))
    return tuple(
        TestResult(
            feature=scored.features[f],
            test=TESTS[worst[w, f]],
            window=table.windows[w].window,
            n=float(chosen["n"][w, f]),
            m=float(chosen["m"][w, f]),
            score=float(chosen["score"][w, f]),
            score_low=float(low[w, f]),
            score_high=float(high[w, f]),
            threshold=threshold,
            p_real=float(chosen["p_real"][w, f]),
            p_value=float(chosen["p"][w, f]),
            severity=Severity(int(chosen["severity"][w, f])),
        )
        for f, w in np.argwhere(shown.T)
    )
