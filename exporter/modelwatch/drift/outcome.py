"""What a check says of one kind of drift, put together from what was measured and what is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelwatch.drift.family import ScoredFamily, test_results
from modelwatch.drift.further import further_results
from modelwatch.drift.readiness import in_unit_of
from modelwatch.drift.shifts import family_shifts
from modelwatch.drift.tracking import Verdict
from modelwatch.policy import Severity
from modelwatch.records import FamilyResult

if TYPE_CHECKING:
    from modelwatch.config import DriftMonitoringConfig
    from modelwatch.profile import ReferenceProfile

__all__ = ["family_result"]


def family_result(
    profile: ReferenceProfile | None,
    scored: ScoredFamily,
    verdict: Verdict,
    config: DriftMonitoringConfig,
    importance: Mapping[str, float],
    now: float,
) -> FamilyResult:
    """Return the outcome of one kind of drift.

    Parameters
    ----------
    profile : ReferenceProfile or None
        The reference; None if there is none, and then nothing was scored.
    scored : ScoredFamily
        What was measured.
    verdict : Verdict
        Severities, with the earlier checks taken into account.
    config : DriftMonitoringConfig
        ``min_rows``.
    importance : mapping of str to float
        Weights by feature for attribution.
    now : float
        Seconds since the epoch.

    Returns
    -------
    FamilyResult
        Its severity is the highest of any feature: Benjamini–Hochberg has already dealt with their number, and one
        broken column of a hundred must be heard.
    """
    severity = max(verdict.feature_severity.values(), default=Severity.NONE)
    state, reason = _state(scored, verdict, severity, config.min_rows, now)
    return FamilyResult(
        drift_type=scored.drift_type,
        state=state,
        severity=severity,
        reason=reason,
        tests=test_results(scored, verdict.severity),
        feature_severity=verdict.feature_severity,
        shifts=() if profile is None else family_shifts(profile, scored, verdict, importance),
        noisy=scored.noisy,
        further=further_results(scored.features, scored.table, scored.further, config.fixed_thresholds),
    )


def _state(scored: ScoredFamily, verdict: Verdict, severity: Severity, min_rows: float, now: float) -> tuple[str, str]:
    if severity >= Severity.WARNING:
        drifting = [n for n, s in verdict.feature_severity.items() if s >= Severity.WARNING and n not in verdict.held]
        return ("drift", scored.reason) if drifting else ("held", _held_reason(scored, verdict, now))
    if scored.state == "ok" and not verdict.feature_severity:
        return "insufficient_data", f"no input has {min_rows:.0f} values in a window yet"
    return scored.state, scored.reason


def _held_reason(scored: ScoredFamily, verdict: Verdict, now: float) -> str:
    passed = max(now - (verdict.last_scored or now), 0.0)
    why = scored.reason or "too few values to score"
    return f"{why}; last scored {in_unit_of(passed, passed)} ago"
