"""Scoring a batch that somebody hands over, for whoever is asked."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from modelwatch.exceptions import MissingPackageError

if TYPE_CHECKING:
    from modelwatch.checks import Absence
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.records import CheckResult

TARGETS_WARNING = "current_targets were not used: concept drift is not scored in this release"


def load_checks() -> ModuleType:
    """
    Return the module that scores, which a model server without scipy does without.

    Raises
    ------
    MissingPackageError
        If a package is missing; the message says which.
    """
    try:
        return import_module("modelwatch.checks")
    except ModuleNotFoundError as error:
        msg = f"drift is scored with {error.name}: pip install {error.name}"
        raise MissingPackageError(msg) from error


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
    checks = load_checks()
    told = (checks.ABSENT, checks.UNLIKE)
    result = checks.asked_check(config, profile, data, predictions, now, absence=absence or checks.NO_REFERENCE)
    return result, [f.reason for f in result.families.values() if any(words in f.reason for words in told)]


def report_of(model_id: str, result: CheckResult, warnings: list[str]) -> dict[str, Any]:
    """Return a result as the public API says it (contract 1.1)."""
    checks = load_checks()
    report = {"status": "success", "model_id": model_id, **checks.drift_report(result)}
    return report | ({"warnings": warnings} if warnings else {})
