"""Scoring a batch that somebody hands over, for whoever is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelwatch.checks import Absence
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.records import CheckResult

TARGETS_WARNING = "current_targets were not used: concept drift is not scored in this release"


def batch_result(
    config: ModelMonitoringConfig,
    profile: ReferenceProfile | None,
    data: object,
    predictions: object,
    now: float,
    absence: Absence | None = None,
) -> tuple[CheckResult, list[str]]:
    """
    Score a batch against a profile; without one the state is `absence` (a state, and why), and nothing is guessed.

    Returns
    -------
    CheckResult, list of str
        The result, and what has to be said of the columns: a renamed one must not read as "nothing drifts".
    """
    from modelwatch import checks

    result = checks.asked_check(config, profile, data, predictions, now, absence=absence or checks.NO_REFERENCE)
    return result, [f.reason for f in result.families.values() if "not in the data" in f.reason]


def report_of(model_id: str, result: CheckResult, warnings: list[str]) -> dict[str, Any]:
    """Return a result as the public API says it (contract 1.1)."""
    from modelwatch import checks

    report = {"status": "success", "model_id": model_id, **checks.drift_report(result)}
    return report | ({"warnings": warnings} if warnings else {})
