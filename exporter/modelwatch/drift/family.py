"""One kind of drift ("data", "prediction") of one model in one check: counts in, tests with severities out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwatch.drift.decision import PROCEDURES, TIERS, severities, window_budget
from modelwatch.drift.further import Further, further_scores, with_fixed_thresholds
from modelwatch.drift.readiness import Readiness, ready_windows
from modelwatch.drift.statistics import d_to_js, js_bounds, js_to_d, large_gate
from modelwatch.drift.table import (
    GROSS_HOUR_SHAPE_JS,
    GROSS_SHAPE_JS,
    GROSS_SHARE_JS,
    SHAPE_TEST,
    TESTS,
    BoolArray,
    TestTable,
    measure,
)
from modelwatch.policy import Severity
from modelwatch.records import TestResult, WindowCounts

if TYPE_CHECKING:
    from modelwatch.config import DriftMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = [
    "Measured",
    "ScoredFamily",
    "found_severities",
    "judge",
    "measure_family",
    "measured",
    "ready_in",
    "score_family",
    "test_results",
    "unscored",
    "worst_tests",
]

GROSS_MIN_ROWS = 200.0
GROSS_CONFIDENCE = 0.95
_SEVERITIES = tuple(Severity)


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
    noisy : tuple of str
        Features whose shape can't alarm in any scored window, because they vary as much by themselves.
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
    noisy: tuple[str, ...] = ()
    further: Further | None = None


@dataclass(frozen=True)
class Measured:
    """One kind of drift in the windows of a check: measured, not judged yet.

    Attributes
    ----------
    drift_type : str
        "data" or "prediction".
    ready : Readiness
        Which windows are scored, which are only watched, and why others are left out.
    features : tuple of str
        Names of the members, "" for the prediction.
    table : TestTable or None
        Of the watched windows, then of the scored ones; None if there are none.
    config : DriftMonitoringConfig
        ``multiplicity``, ``fixed_thresholds``.
    further : Further or None
        Scores by further methods, if any are asked for.
    """

    drift_type: str
    ready: Readiness
    features: tuple[str, ...]
    table: TestTable | None
    config: DriftMonitoringConfig
    further: Further | None = None


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
        ``thresholds``, ``tolerance``, ``min_rows``, ``strata``, ``window_seconds``, ``multiplicity``, ``methods``,
        ``fixed_thresholds``.
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
    found = measure_family(
        drift_type, profile, windows, config, members=members, candidates=candidates, only_full=only_full
    )
    return judge(found, found_severities(found, budget), cap)


def ready_in(
    windows: Sequence[WindowCounts],
    config: DriftMonitoringConfig,
    *,
    candidates: Collection[str] | None = None,
    only_full: bool = True,
) -> Readiness:
    """Sort out which windows can be scored; see :func:`~modelwatch.drift.readiness.ready_windows`."""
    seconds = config.window_seconds | {w.window: w.end - w.start for w in windows if w.window not in config.windows}
    return ready_windows(windows, config.min_rows, seconds=seconds, candidates=candidates, only_full=only_full)


def measure_family(
    drift_type: str,
    profile: ReferenceProfile,
    windows: Sequence[WindowCounts],
    config: DriftMonitoringConfig,
    *,
    members: Sequence[int],
    candidates: Collection[str] | None = None,
    only_full: bool = True,
) -> Measured:
    """Measure one kind of drift in all windows that are ready; parameters as of :func:`score_family`."""
    ready = ready_in(windows, config, candidates=candidates, only_full=only_full)
    looked_at = (*ready.watched, *ready.scored)
    table = measure(profile, looked_at, members, config) if looked_at and members else None
    return measured(drift_type, profile, ready, config, members, table, range(len(looked_at)), only_full=only_full)


def measured(
    drift_type: str,
    profile: ReferenceProfile,
    ready: Readiness,
    config: DriftMonitoringConfig,
    members: Sequence[int],
    table: TestTable | None,
    places: Sequence[int],
    *,
    only_full: bool = True,
) -> Measured:
    """Return what was measured of the windows that are ready, which lie at some places of a table."""
    names = tuple(map(profile.layout.names.__getitem__, members))
    if table is None or not places:
        return Measured(drift_type, ready, names, None, config)
    mine = table.part(places, len(ready.watched), only_full=only_full)
    further = further_scores(profile, mine, config.further_methods, mine.reference)
    return Measured(drift_type, ready, names, mine, config, further)


def found_severities(found: Measured, budget: float) -> NDArray[np.int64]:
    """Return the severity of every test of one kind of drift, each window having its share of the budget.

    Parameters
    ----------
    found : Measured
        What was measured.
    budget : float
        Of the check, over all kinds of drift.

    Returns
    -------
    ndarray of int, shape (windows, features, tests)
        None in windows that are only watched.
    """
    table = found.table
    if table is None:
        return np.zeros((0, len(found.features), len(TESTS)), dtype=np.int64)
    out = np.zeros(table.tested.shape, dtype=np.int64)
    q = window_budget(found.drift_type, budget, len(found.ready.scored))
    procedure = PROCEDURES[found.config.multiplicity]
    some = np.asarray((table.tested & (table.p_real <= q)).any(axis=(1, 2)))  # in most checks none
    some[: table.watched] = False
    for place in np.flatnonzero(some):
        made = table.tested[place]
        p_real = np.where(made, table.p_real[place], np.nan).ravel()
        p_large = table.p_large[:, place].reshape(len(TIERS), -1)
        out[place] = severities(p_real, p_large, q, procedure).reshape(made.shape)
    return out


def judge(found: Measured, severity: NDArray[np.int64], cap: Severity = Severity.CRITICAL) -> ScoredFamily:
    """Put together what one check says of one kind of drift.

    Parameters
    ----------
    found : Measured
        What was measured.
    severity : ndarray of int, shape (windows, features, tests)
        As :func:`found_severities` returns them.
    cap : Severity
        Nothing above is given, but for gross changes, which are told apart for that.

    Returns
    -------
    ScoredFamily
    """
    ready, table = found.ready, found.table
    if table is None:
        return unscored(found.drift_type, ready.state, ready.reason, found.features)
    always = np.flatnonzero(table.tolerances.noisy[table.watched :].all(axis=0)) if ready.scored else ()
    severity = with_fixed_thresholds(severity, table, found.further, found.config.fixed_thresholds)
    return ScoredFamily(
        found.drift_type,
        "ok" if ready.scored else ready.state,
        ready.reason,
        found.features,
        table,
        np.minimum(severity, int(cap)),
        _gross(table) if cap < Severity.ERROR else np.zeros(severity.shape, dtype=np.bool_),
        tuple(found.features[int(f)] for f in always),
        found.further,
    )


def _gross(table: TestTable) -> BoolArray:
    """Find changes too large to wait for calibration: in the watched windows, and in the shortest scored one.

    What a feature is known to do by itself is not gross, however large it is.
    """
    limits = np.full((len(table.windows), 1, len(TESTS)), GROSS_SHARE_JS)
    limits[..., SHAPE_TEST] = GROSS_SHAPE_JS
    limits[: table.watched, :, SHAPE_TEST] = GROSS_HOUR_SHAPE_JS
    tau = np.maximum(js_to_d(limits), table.tolerances.natural)
    found = table.tested & (table.independent >= GROSS_MIN_ROWS)
    found[table.watched + 1 :] = False
    s = table.evidence
    found &= table.d - table.k * s > tau  # cheap, and hardly ever so
    if found.any():
        found &= large_gate(table.d, table.k, s, tau) <= 1.0 - GROSS_CONFIDENCE
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
    # The tolerance of what is noisy says nothing; its score is shown if it is real.
    p = np.where(table.usable, np.where(table.tested, table.p_value, table.p_real), 2.0)
    order = np.lexsort((-score, p, -np.where(table.usable, severity, -1)), axis=-1)
    return np.where(table.usable.any(axis=-1), order[..., 0], -1)


def test_results(scored: ScoredFamily, severity: NDArray[np.int64]) -> tuple[TestResult, ...]:
    """Return for each feature and window the worst test, features in order, windows ascending.

    Parameters
    ----------
    scored : ScoredFamily
        What was found.
    severity : ndarray of int, shape (windows, features, tests)
        Severities, gross changes included.

    Returns
    -------
    tuple of TestResult
        A watched window appears only where it holds a gross change.
    """
    table = scored.table
    if table is None:
        return ()
    worst = worst_tests(scored, severity)
    shown = worst >= 0
    if table.watched:
        shown[: table.watched] &= severity[: table.watched].max(axis=-1) >= Severity.WARNING
    f, w = np.nonzero(shown.T)
    t = worst[w, f]
    d, k, s, tau = (values[w, f, t] for values in (table.d, table.k, table.evidence, table.tau[0]))
    low, high = js_bounds(d, k, s)
    # A level that somebody wrote is told as it was written, not with the last digits of two roots.
    threshold = np.round(d_to_js(tau), 12)
    numbers = (
        table.n[w, f, t], table.m[w, f, t], table.score[w, f, t], low, high, threshold,
        table.p_real[w, f, t], table.p_value[w, f, t],
    )  # fmt: skip
    labels = [window.window for window in table.windows]
    columns = (
        map(scored.features.__getitem__, f.tolist()),
        map(TESTS.__getitem__, t.tolist()),
        map(labels.__getitem__, w.tolist()),
        *(values.tolist() for values in numbers),
        map(_SEVERITIES.__getitem__, severity[w, f, t].tolist()),
    )
    return tuple(map(TestResult, *columns))
