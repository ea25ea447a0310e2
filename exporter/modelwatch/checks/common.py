"""What scheduled and asked-for checks have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modelwatch.drift.decision import check_budget
from modelwatch.drift.family import ScoredFamily, unscored
from modelwatch.drift.outcome import family_result
from modelwatch.drift.tracking import Verdict, verdict_of
from modelwatch.policy import Severity
from modelwatch.records import PREDICTIONS, CheckResult, FamilyResult
from modelwatch.windows.scored import EXTENDED_SECONDS, candidates, extends, window_lengths

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = [
    "FAMILIES",
    "MULTIVARIATE",
    "NO_REFERENCE",
    "Absence",
    "Rule",
    "Subject",
    "drifting_features",
    "family_of",
    "kinds_of",
    "members_of",
    "nothing",
    "only",
    "result_of",
    "rule_of",
]

FAMILIES = ("data", "prediction")
"""Kinds of drift that counts tell of."""
MULTIVARIATE = "multivariate"
UNCALIBRATED_CAP = Severity.WARNING
Absence = tuple[str, str]
"""State and reason of a model without a reference: it has none, or is learning one."""
NO_REFERENCE: Absence = (
    "no_reference",
    "no reference profile: build one with ReferenceProfile.build, or `modelwatch reference build`",
)
NO_REFERENCE_PREDICTIONS = "the reference holds no predictions"


@dataclass(frozen=True)
class Subject:
    """Whose check it is."""

    config: ModelMonitoringConfig
    model_version: str
    profile: ReferenceProfile | None
    now: float
    began: float
    """Reading of a steady clock, for the duration."""
    calibration: str = ""
    """How far learning normal variation from production has come, as a phrase."""


@dataclass(frozen=True)
class Rule:
    """What a scheduled check of a model may take, and how far it goes.

    Attributes
    ----------
    lengths : dict of str to float
        Windows that are looked at, in seconds, ascending.
    candidates : set of str
        Those of them that are scored when they are ready.
    budget : float
        The chance of a false alarm.
    cap : Severity
        Nothing above is given, but for gross changes.
    only_full : bool
        Whether a window waits until recording has gone on for its whole length.
    least_rows : float
        The longest window goes back further if it holds fewer; 0 for never.
    forget_after : float
        For how long it matters when a feature was cleared, in seconds.
    """

    lengths: dict[str, float]
    candidates: set[str]
    budget: float
    cap: Severity
    only_full: bool
    least_rows: float
    forget_after: float


def rule_of(config: ModelMonitoringConfig, profile: ReferenceProfile) -> Rule:
    """Return the rule of a model's scheduled checks against a reference."""
    calibrated = profile.calibrated
    lengths = window_lengths(config)
    scored = candidates(config.drift, lengths, calibrated=calibrated)
    further = extends(lengths, scored)
    return Rule(
        lengths=lengths,
        candidates=scored,
        budget=check_budget(config.interval_seconds, config.drift.false_alarms_per_30d),
        cap=Severity.CRITICAL if calibrated else UNCALIBRATED_CAP,
        only_full=not calibrated,
        least_rows=float(config.drift.min_rows) if further else 0.0,
        forget_after=EXTENDED_SECONDS if further else max(lengths.values()),
    )


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


def kinds_of(config: ModelMonitoringConfig) -> tuple[str, ...]:
    """Return the kinds of drift that are looked for."""
    return FAMILIES if config.drift.multivariate == "off" else (*FAMILIES, MULTIVARIATE)


def drifting_features(families: Mapping[str, FamilyResult]) -> set[str]:
    """Return the features that drift by themselves."""
    severities = families["data"].feature_severity
    return {name for name, severity in severities.items() if severity >= Severity.WARNING}


def members_of(drift_type: str, profile: ReferenceProfile, config: ModelMonitoringConfig) -> list[int]:
    """Return the places in the layout of the features, or of the prediction and its score."""
    left_out = PREDICTIONS.union(config.features.exclude)
    of_predictions = drift_type == "prediction"
    wanted = [m.name in PREDICTIONS if of_predictions else m.name not in left_out for m in profile.layout.members]
    return [i for i, ok in enumerate(wanted) if ok]


def family_of(subject: Subject, scored: ScoredFamily, verdict: Verdict) -> FamilyResult:
    """Return the outcome of one kind of drift."""
    profile, config = subject.profile, subject.config
    importance = {**(profile.importance if profile is not None else {}), **config.features.importance}
    return family_result(profile, scored, verdict, config.drift, importance, subject.now)


def nothing(drift_type: str, reason: str, subject: Subject, *, state: str) -> FamilyResult:
    """Return the outcome of a kind of drift that could not be scored."""
    scored = unscored(drift_type, state, reason)
    return family_of(subject, scored, verdict_of(scored))


def result_of(
    subject: Subject,
    families: dict[str, FamilyResult],
    rows: Mapping[str, float],
    prediction_mean: tuple[float, float] | None,
) -> CheckResult:
    """Return the outcome of a check from those of its kinds of drift."""
    profile = subject.profile
    if profile is not None and not profile.calibrated and subject.calibration:
        counted = {n: _with_calibration(f, subject.calibration) for n, f in families.items() if n in FAMILIES}
        families = {**families, **counted}
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


def _with_calibration(family: FamilyResult, calibration: str) -> FamilyResult:
    if family.state in ("held", "no_reference"):
        return family
    return replace(family, reason="; ".join(filter(None, (family.reason, calibration))))


def _cap_data_alone(families: dict[str, FamilyResult]) -> dict[str, FamilyResult]:
    """Keep data drift at error unless something else is wrong too: nobody is paged for inputs alone."""
    data = families["data"]
    if data.severity <= Severity.ERROR or families["prediction"].severity >= Severity.WARNING:
        return families
    return {**families, "data": replace(data, severity=Severity.ERROR)}
