"""One drift check of one model version: counts in, a result and what to remember out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from modelwatch.drift.decision import ASKED_BUDGET, check_budget
from modelwatch.drift.family import ScoredFamily, score_family, tolerances, unscored
from modelwatch.drift.outcome import family_result
from modelwatch.drift.report import drift_report, family_report
from modelwatch.drift.shifts import mean_value, reference_mean
from modelwatch.drift.tracking import Verdict, cleared_times, track, verdict_of
from modelwatch.policy import Severity
from modelwatch.records import PREDICTION, CheckResult, FamilyResult, WindowCounts
from modelwatch.windows.dataframe import Batch, count_batch
from modelwatch.windows.scored import candidates, window_lengths
from modelwatch.windows.store import recording_began, window_counts

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.queries import StoreQueries

__all__ = ["NO_REFERENCE", "Absence", "asked_check", "drift_report", "family_report", "only", "scheduled_check"]

FAMILIES = ("data", "prediction")
UNCALIBRATED_CAP = Severity.WARNING
Absence = tuple[str, str]
"""State and reason of a model without a reference: it has none, or is learning one."""
NO_REFERENCE: Absence = (
    "no_reference",
    "no reference profile: build one with ReferenceProfile.build, or `modelwatch reference build`",
)
ABSENT, UNLIKE = "not in the data", "of another kind than in the reference"
"""What is told of columns."""
NO_REFERENCE_PREDICTIONS = "the reference holds no predictions"


@dataclass(frozen=True)
class _Subject:
    """Whose check it is."""

    config: ModelMonitoringConfig
    model_version: str
    profile: ReferenceProfile | None
    now: float
    began: float
    """Reading of a steady clock, for the duration."""


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
    subject = _Subject(config, model_version, profile, now, time.perf_counter())
    if profile is None:
        families = {name: _nothing(name, absence[1], subject, state=absence[0]) for name in FAMILIES}
        return _result(subject, families, {}, None), {}
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
    families = {name: _family(subject, *scored[name]) for name in FAMILIES}
    mean = _prediction_mean(profile, scored["prediction"][0])
    rows = {window.window: window.rows for window in windows}
    return _result(subject, families, rows, mean), {"profile": profile.id, "families": memory}


def asked_check(
    config: ModelMonitoringConfig,
    profile: ReferenceProfile | None,
    data: Any,  # noqa: ANN401 - any table
    predictions: Any,  # noqa: ANN401 - any column
    now: float,
    *,
    absence: Absence = NO_REFERENCE,
) -> CheckResult:
    """Score a batch that somebody hands over: one check of its own, without memory and without a cap on severity.

    Parameters
    ----------
    config : ModelMonitoringConfig
        ``model_id``, ``model_version``, ``drift``, ``features``.
    profile : ReferenceProfile or None
        The reference; without one the state is "no_reference".
    data : DataFrame, dict of columns, list of dicts, 2-D array or None
        The features.
    predictions : array-like or None
        The predictions.
    now : float
        Seconds since the epoch.
    absence : (str, str)
        State and reason where there is no reference.

    Returns
    -------
    CheckResult
        The window is called "batch".

    Raises
    ------
    InputError
        If the batch can't be read or is empty.
    """
    subject = _Subject(config, config.model_version, profile, now, time.perf_counter())
    if profile is None:
        families = {name: _nothing(name, absence[1], subject, state=absence[0]) for name in FAMILIES}
        return _result(subject, families, {}, None)
    batch = count_batch(profile, data, predictions, now)
    given = {"data": data is not None, "prediction": predictions is not None}
    families = {}
    for name in FAMILIES:
        if not given[name]:
            families[name] = _nothing(name, f"no current_{'data' if name == 'data' else 'predictions'} was passed",
                                      subject, state="insufficient_data")  # fmt: skip
            continue
        members = _members(name, profile, config)
        found = (
            unscored(name, "no_reference", NO_REFERENCE_PREDICTIONS)
            if name == "prediction" and not members
            else score_family(
                name, profile, [batch.counts], config.drift, ASKED_BUDGET, members=members, only_full=False
            )
        )
        families[name] = _family(subject, found, verdict_of(found))
    families["data"] = _with_columns(families["data"], batch)
    return _result(subject, families, {batch.counts.window: batch.counts.rows}, None)


def only(result: CheckResult, kinds: Sequence[str]) -> CheckResult:
    """Return a result with some kinds of drift alone.

    Parameters
    ----------
    result : CheckResult
        Any.
    kinds : sequence of str
        Such as ``("data",)``.

    Returns
    -------
    CheckResult
    """
    return replace(result, families={name: family for name, family in result.families.items() if name in kinds})


def _remembered(state: Mapping[str, Any], profile: ReferenceProfile) -> Mapping[str, Any]:
    """Return the families' states; what was found against another reference is not carried over."""
    return state.get("families", {}) if state.get("profile") == profile.id else {}


def _members(drift_type: str, profile: ReferenceProfile, config: ModelMonitoringConfig) -> list[int]:
    left_out = set(config.features.exclude)
    wanted = [m.name == PREDICTION if drift_type == "prediction" else m.name not in left_out | {PREDICTION}
              for m in profile.layout.members]  # fmt: skip
    return [i for i, ok in enumerate(wanted) if ok]


def _scheduled_family(
    drift_type: str,
    config: ModelMonitoringConfig,
    profile: ReferenceProfile,
    windows: Sequence[WindowCounts],
    lengths: Mapping[str, float],
) -> ScoredFamily:
    members = _members(drift_type, profile, config)
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


def _family(subject: _Subject, scored: ScoredFamily, verdict: Verdict) -> FamilyResult:
    profile, config = subject.profile, subject.config
    importance = {**(profile.importance if profile is not None else {}), **config.features.importance}
    return family_result(profile, scored, verdict, config.drift, importance, subject.now)


def _nothing(drift_type: str, reason: str, subject: _Subject, *, state: str) -> FamilyResult:
    scored = unscored(drift_type, state, reason)
    return _family(subject, scored, verdict_of(scored))


def _with_columns(family: FamilyResult, batch: Batch) -> FamilyResult:
    """Say which features the batch lacks, and which of its columns nobody knows: often one is the other, misspelt.

    A column of another kind than the reference's drifts, and is most often a mistake of whoever made the batch.
    """
    told = [family.reason] if family.reason else []
    if batch.absent:
        told.append(f"{ABSENT}: {', '.join(batch.absent)}")
        told += [f"not in the reference: {', '.join(batch.unknown)}"] if batch.unknown else []
    if batch.unlike:
        told.append(f"{UNLIKE}: {'; '.join(batch.unlike)}")
    return replace(family, reason="; ".join(told))


def _prediction_mean(profile: ReferenceProfile, scored: ScoredFamily) -> tuple[float, float] | None:
    table = scored.table
    if table is None or len(table.windows) <= table.watched:
        return None
    index = table.indices[0]
    before, now = reference_mean(profile, index), mean_value(profile, table.windows[table.watched], index)
    return None if before is None or now is None else (before, now)


def _result(
    subject: _Subject,
    families: dict[str, FamilyResult],
    rows: Mapping[str, float],
    prediction_mean: tuple[float, float] | None,
) -> CheckResult:
    profile = subject.profile
    return CheckResult(
        model_id=subject.config.model_id,
        model_version=subject.model_version,
        profile_id="" if profile is None else profile.id,
        checked_at=subject.now,
        duration=time.perf_counter() - subject.began,
        calibrated=profile is not None and profile.calibrated,
        families=_cap_data_alone(families),
        windows=rows,
        reference_rows=0.0 if profile is None else float(profile.rows),
        prediction_mean=prediction_mean,
    )


def _cap_data_alone(families: dict[str, FamilyResult]) -> dict[str, FamilyResult]:
    """Keep data drift at error unless something else is wrong too: nobody is paged for inputs alone."""
    data = families["data"]
    if data.severity <= Severity.ERROR or families["prediction"].severity >= Severity.WARNING:
        return families
    return {**families, "data": replace(data, severity=Severity.ERROR)}
