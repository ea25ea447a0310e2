"""One scheduled drift check of a model: counts of the store in, for each version a result and what to remember out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.checks.common import (
    FAMILIES,
    MULTIVARIATE,
    NO_REFERENCE,
    NO_REFERENCE_PREDICTIONS,
    Absence,
    Rule,
    Subject,
    drifting_features,
    family_of,
    kinds_of,
    members_of,
    nothing,
    result_of,
    rule_of,
)
from modelwatch.checks.members import Member, decide_together
from modelwatch.checks.multivariate import scheduled_multivariate
from modelwatch.checks.parts import Part, against, baseline_part, brief
from modelwatch.checks.repeats import StoredRepeats
from modelwatch.drift.family import Measured, ScoredFamily, judge, measure_family, unscored
from modelwatch.drift.reference import strata_of
from modelwatch.drift.shifts import mean_value, reference_mean
from modelwatch.drift.tracking import cleared_times, track
from modelwatch.policy import Severity
from modelwatch.profile.learnt import WHOLE
from modelwatch.records import CheckResult, WindowCounts
from modelwatch.windows.store import recording_began, window_counts

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.queries import StoreQueries

__all__ = ["scheduled_check", "scheduled_checks"]


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
    """Score the recorded windows of the one version of a model that is live; see :func:`scheduled_checks`."""
    versions, states = {model_version: profile}, {model_version: state}
    done = scheduled_checks(queries, config, versions, states, now, started_at=started_at, absence=absence)
    return done[model_version]


def scheduled_checks(
    queries: StoreQueries,
    config: ModelMonitoringConfig,
    versions: Mapping[str, ReferenceProfile | None],
    states: Mapping[str, Mapping[str, Any]],
    now: float,
    *,
    started_at: float,
    absence: Absence = NO_REFERENCE,
    calibration: str = "",
    segments: Mapping[str, Mapping[str, ReferenceProfile]] | None = None,
) -> dict[str, tuple[CheckResult, dict[str, Any]]]:
    """Score the recorded windows of all live versions of a model under one budget, in the light of earlier checks.

    Parameters
    ----------
    queries : StoreQueries
        The store.
    config : ModelMonitoringConfig
        ``model_id``, ``interval_seconds``, ``drift``, ``features``.
    versions : mapping of str to ReferenceProfile or None
        By version, the reference that the counts were made over; without one the state is "no_reference".
    states : mapping of str to mapping
        By version, what the check before this returned; absent or empty for the first.
    now : float
        Seconds since the epoch: where the windows end.
    started_at : float
        When this process began to watch, seconds since the epoch: taken for the beginning of the recording where
        nothing is recorded.
    absence : (str, str)
        State and reason where there is no reference.
    calibration : str
        How far learning normal variation from production has come, as a phrase; "" if it is learnt.
    segments : mapping of str to mapping, optional
        By version, its segments, and what each is compared with. Of one that is not calibrated, gross changes are told
        alone.

    Returns
    -------
    dict of str to (CheckResult, dict)
        By version, the result, and the state for the next check, which is plain JSON.

    Raises
    ------
    StorageError
        If the store can't be read. Nothing is caught here: a check that failed must not look like one that found
        nothing.
    """
    began = time.perf_counter()
    subjects = {
        version: Subject(config, version, profile, now, began, calibration) for version, profile in versions.items()
    }
    members: dict[tuple[str, str], Member] = {}
    repeats: dict[str, StoredRepeats] = {}
    for version, subject in subjects.items():
        if subject.profile is None:
            continue
        state = states.get(version) or {}
        repeats[version] = mine = StoredRepeats(queries, config, version)
        members[version, WHOLE] = _measured(queries, subject, Part(WHOLE, subject.profile), state, started_at, mine)
        for part in _parts(queries, subject, subject.profile, (segments or {}).get(version, {})):
            before = (state.get("parts") or {}).get(part.name) or {}
            members[version, part.name] = _measured(queries, subject, part, before, started_at, mine)
    decided = {name: decide_together(name, list(members.values())) for name in FAMILIES}
    versions_known = sum(part == WHOLE for _, part in members)
    done: dict[str, tuple[CheckResult, dict[str, Any]]] = {}
    for place, ((version, part_name), member) in enumerate(members.items()):
        found = _finished(member, {name: decided[name][place] for name in FAMILIES})
        if part_name == WHOLE:
            done[version] = _with_multivariate(queries, member, _told(found, repeats[version]), versions_known)
        else:
            done[version] = _with_part(done[version], part_name, found)
    return {
        version: _with_baseline(subject, done[version]) if version in done else _absent(subject, absence)
        for version, subject in subjects.items()
    }


def _parts(
    queries: StoreQueries, subject: Subject, profile: ReferenceProfile, segments: Mapping[str, ReferenceProfile]
) -> list[Part]:
    """Return what a version is looked at by besides the whole of it."""
    config = subject.config
    out = [
        Part(name, reference, segment=name, gross_only=not reference.calibrated) for name, reference in segments.items()
    ]
    compare = config.drift.compare
    if compare is not None and subject.model_version != compare.baseline_version:
        longest = max(rule_of(config, profile).lengths.values())
        baseline = baseline_part(queries, config, profile, longest, subject.now)
        out += [] if baseline is None else [baseline]
    return out


def _with_multivariate(
    queries: StoreQueries, member: Member, found: tuple[CheckResult, dict[str, Any]], versions: int
) -> tuple[CheckResult, dict[str, Any]]:
    """Return what was found of a version, with how its features go together; the live versions share the budget."""
    (result, state), config = found, member.subject.config
    if MULTIVARIATE not in kinds_of(config):
        return found
    family, memory = scheduled_multivariate(
        queries,
        member.subject,
        member.windows,
        replace(member.rule, budget=member.rule.budget / versions),
        member.remembered.get(MULTIVARIATE),
        drifting_features(result.families),
        cleared_times(state["families"]["data"], member.subject.now),
    )
    return (
        replace(
            result,
            families={**result.families, MULTIVARIATE: family},
            duration=time.perf_counter() - member.subject.began,
        ),
        {**state, "families": {**state["families"], MULTIVARIATE: memory}},
    )


def _told(found: tuple[CheckResult, dict[str, Any]], repeats: StoredRepeats) -> tuple[CheckResult, dict[str, Any]]:
    (result, state), families = found, found[0].families
    return replace(result, families={**families, "data": repeats.tell(families["data"])}), state


def _with_part(
    whole: tuple[CheckResult, dict[str, Any]], name: str, part: tuple[CheckResult, dict[str, Any]]
) -> tuple[CheckResult, dict[str, Any]]:
    """Return what was found of a version, with what was found of a part of it."""
    (result, state), (found, memory) = whole, part
    return (
        replace(result, segments={**result.segments, name: brief(found.families)}),
        {**state, "parts": {**state.get("parts", {}), name: memory}},
    )


def _with_baseline(subject: Subject, found: tuple[CheckResult, dict[str, Any]]) -> tuple[CheckResult, dict[str, Any]]:
    """Say so where the baseline has too few rows to be compared with."""
    (result, state), compare = found, subject.config.drift.compare
    if compare is None or subject.model_version == compare.baseline_version:
        return found
    name = against(compare.baseline_version)
    if name in result.segments:
        return found
    needs = f"needs {subject.config.drift.min_rows} rows that are counted as those of this version, has fewer"
    reason = f"the baseline, version {compare.baseline_version}, {needs}"
    families = {kind: nothing(kind, reason, subject, state="insufficient_data") for kind in FAMILIES}
    return replace(result, segments={**result.segments, name: families}), state


def _absent(subject: Subject, absence: Absence) -> tuple[CheckResult, dict[str, Any]]:
    families = {name: nothing(name, absence[1], subject, state=absence[0]) for name in kinds_of(subject.config)}
    return result_of(subject, families, {}, None), {}


def _measured(
    queries: StoreQueries,
    subject: Subject,
    part: Part,
    state: Mapping[str, Any],
    started_at: float,
    repeats: StoredRepeats,
) -> Member:
    """Measure one member in all windows."""
    profile, now = part.profile, subject.now
    subject = replace(subject, profile=profile)
    if part.name != WHOLE:  # what it is compared with is known by hours alone
        subject = replace(subject, config=_by_hours(subject.config))
    config = subject.config
    remembered = _remembered(state, profile)
    rule = rule_of(config, profile)
    if part.name != WHOLE:
        rule = replace(rule, least_rows=0.0, cap=Severity.NONE if part.gross_only else rule.cap)
    lengths = rule.lengths
    cleared: dict[str, float] = {}
    for name in FAMILIES:
        cleared |= cleared_times(remembered.get(name), now)
    first = recording_began(queries, config.model_id, subject.model_version, profile.id, max(lengths.values()), now)
    windows = window_counts(
        queries, config.model_id, subject.model_version, profile, lengths, now, cleared,
        began=min(started_at, now) if first is None else first, strata=strata_of(profile, config.drift),
        least_rows=rule.least_rows, segment=part.segment,
    )  # fmt: skip
    windows = repeats.put_in(windows)
    measured = {name: _measured_family(name, config, profile, windows, rule) for name in FAMILIES}
    return Member(subject, profile, remembered, tuple(windows), measured, rule)


def _finished(member: Member, decided: Mapping[str, NDArray[np.int64] | None]) -> tuple[CheckResult, dict[str, Any]]:
    """Take the earlier checks into account, and put the result together."""
    subject, rule = member.subject, member.rule
    families, memory = {}, {}
    mean = None
    for name, severity in decided.items():
        found = member.measured[name]
        scored = (
            unscored(name, "no_reference", NO_REFERENCE_PREDICTIONS)
            if found is None or severity is None
            else judge(found, severity, rule.cap)
        )
        verdict, memory[name] = track(
            member.remembered.get(name),
            scored,
            subject.now,
            forget_after=rule.forget_after,
            confirm=subject.config.drift.confirming,
        )
        families[name] = family_of(subject, scored, verdict)
        mean = _prediction_mean(member.profile, scored) if name == "prediction" else mean
    rows = {window.window: window.rows for window in member.windows}
    return result_of(subject, families, rows, mean), {"profile": member.profile.id, "families": memory}


def _by_hours(config: ModelMonitoringConfig) -> ModelMonitoringConfig:
    return config.model_copy(update={"drift": config.drift.model_copy(update={"strata": "auto"})})


def _remembered(state: Mapping[str, Any], profile: ReferenceProfile) -> Mapping[str, Any]:
    """Return the families' states; what was found against another reference is not carried over."""
    return state.get("families", {}) if state.get("profile") == profile.id else {}


def _measured_family(
    drift_type: str,
    config: ModelMonitoringConfig,
    profile: ReferenceProfile,
    windows: Sequence[WindowCounts],
    rule: Rule,
) -> Measured | None:
    """Measure one kind of drift; None if the reference holds no predictions."""
    members = members_of(drift_type, profile, config)
    if drift_type == "prediction" and not members:
        return None
    return measure_family(
        drift_type,
        profile,
        windows,
        config.drift,
        members=members,
        candidates=rule.candidates,
        only_full=rule.only_full,
    )


def _prediction_mean(profile: ReferenceProfile, scored: ScoredFamily) -> tuple[float, float] | None:
    table = scored.table
    if table is None or len(table.windows) <= table.watched:
        return None
    index = table.indices[0]
    before = reference_mean(profile, index, reference=table.reference_of(table.watched))
    now = mean_value(profile, table.windows[table.watched], index)
    return None if before is None or now is None else (before, now)
