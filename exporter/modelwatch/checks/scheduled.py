"""One scheduled drift check of one model version: counts of the store in, a result and what to remember out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelwatch.checks.common import (
    FAMILIES,
    MULTIVARIATE,
    NO_REFERENCE,
    NO_REFERENCE_PREDICTIONS,
    Absence,
    Subject,
    drifting_features,
    family_of,
    kinds_of,
    members_of,
    nothing,
    result_of,
)
from modelwatch.checks.multivariate import scheduled_multivariate
from modelwatch.drift.decision import check_budget
from modelwatch.drift.family import ScoredFamily, score_family, tolerances, unscored
from modelwatch.drift.shifts import mean_value, reference_mean
from modelwatch.drift.tracking import cleared_times, track
from modelwatch.policy import Severity
from modelwatch.records import CheckResult, WindowCounts
from modelwatch.windows.scored import candidates, window_lengths
from modelwatch.windows.store import recording_began, window_counts

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.queries import StoreQueries

__all__ = ["scheduled_check"]

UNCALIBRATED_CAP = Severity.WARNING


def scheduled_check(
    queries: StoreQueries,
    config: ModelMonitoringConfig,
    model_version: str,
    profile: ReferenceProfile | None,
    state: Mapping[str, Any],
    now: float,
    *,
    started_at: float,
    absence: Absence = NO_REFERENCE,
) -> tuple[CheckResult, dict[str, Any]]:
    """Score the recorded windows of a model version, in the light of earlier checks.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    config : ModelMonitoringConfig
        ``model_id``, ``interval_seconds``, ``drift``, ``features``.
    model_version : str
        Which version.
    profile : ReferenceProfile or None
        The reference that the counts were made over; without one the state is "no_reference".
    state : mapping
        What the check before this returned; empty for the first.
    now : float
        Seconds since the epoch: where the windows end.
    started_at : float
        When this process began to watch, seconds since the epoch: taken for the beginning of the recording where
        nothing is recorded.
    absence : (str, str)
        State and reason where there is no reference.

    Returns
    -------
    CheckResult, dict
        The result, and the state for the next check, which is plain JSON.

    Raises
    ------
    StorageError
        If the store can't be read. Nothing is caught here: a check that failed must not look like one that found
        nothing.
    """
    subject = Subject(config, model_version, profile, now, time.perf_counter())
    if profile is None:
        families = {name: nothing(name, absence[1], subject, state=absence[0]) for name in kinds_of(config)}
        return result_of(subject, families, {}, None), {}
    remembered = _remembered(state, profile)
    lengths = window_lengths(config)
    cleared: dict[str, float] = {}
    for name in FAMILIES:
        cleared |= cleared_times(remembered.get(name), now)
    first = recording_began(queries, config.model_id, model_version, profile.id, max(lengths.values()), now)
    windows = window_counts(
        queries, config.model_id, model_version, profile, lengths, now, cleared,
        began=min(started_at, now) if first is None else first,
    )  # fmt: skip
    scored, memory = {}, {}
    for name in FAMILIES:
        found = _scheduled_family(name, config, profile, windows, lengths)
        verdict, memory[name] = track(
            remembered.get(name), found, now, tolerances(config.drift), forget_after=max(lengths.values())
        )
        scored[name] = (found, verdict)
    families = {name: family_of(subject, *scored[name]) for name in FAMILIES}
    if MULTIVARIATE in kinds_of(config):
        families[MULTIVARIATE], memory[MULTIVARIATE] = scheduled_multivariate(
            queries, subject, windows, lengths, remembered.get(MULTIVARIATE), drifting_features(families),
            cleared_times(memory["data"], now),
            forget_after=max(lengths.values()),
        )  # fmt: skip
    mean = _prediction_mean(profile, scored["prediction"][0])
    rows = {window.window: window.rows for window in windows}
    return result_of(subject, families, rows, mean), {"profile": profile.id, "families": memory}


def _remembered(state: Mapping[str, Any], profile: ReferenceProfile) -> Mapping[str, Any]:
    """Return the families' states; what was found against another reference is not carried over."""
    return state.get("families", {}) if state.get("profile") == profile.id else {}


def _scheduled_family(
    drift_type: str,
    config: ModelMonitoringConfig,
    profile: ReferenceProfile,
    windows: Sequence[WindowCounts],
    lengths: Mapping[str, float],
) -> ScoredFamily:
    members = members_of(drift_type, profile, config)
    if drift_type == "prediction" and not members:
        return unscored(drift_type, "no_reference", NO_REFERENCE_PREDICTIONS)
    return score_family(
        drift_type,
        profile,
        windows,
        config.drift,
        check_budget(config.interval_seconds, config.drift.false_alarms_per_30d),
        members=members,
        cap=Severity.CRITICAL if profile.calibrated else UNCALIBRATED_CAP,
        candidates=candidates(config.drift, lengths, calibrated=profile.calibrated),
        only_full=not profile.calibrated,
    )


def _prediction_mean(profile: ReferenceProfile, scored: ScoredFamily) -> tuple[float, float] | None:
    table = scored.table
    if table is None or len(table.windows) <= table.watched:
        return None
    index = table.indices[0]
    before, now = reference_mean(profile, index), mean_value(profile, table.windows[table.watched], index)
    return None if before is None or now is None else (before, now)
