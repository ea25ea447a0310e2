"""What cases about alerts have in common that last, and that are about a model and have a severity of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modelwatch.conventions import MODEL_ID
from modelwatch.policy import Severity
from modelwatch_rules.unit_tests.case import Case
from modelwatch_rules.unit_tests.context import IN_CODE, Context

__all__ = ["check_lasting", "everybody", "long_enough", "told"]


def everybody(of: Context) -> list[str]:
    """Return all models of the configuration, and one that is in none."""
    return list(dict.fromkeys((of.subject, of.neighbour, IN_CODE, *(model.model_id for model in of.config.models))))


def told(of: Context, alert: str, about: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return the alerts about models, by their labels, as severe as each model says; "none" is no alert."""
    severities = [(labels, of.severity(alert, labels[MODEL_ID])) for labels in about]
    return [{**labels, "severity": of.style.severities[s]} for labels, s in severities if s is not Severity.NONE]


def long_enough(of: Context) -> float:
    """Return for how long something must last to fire for some samples."""
    return of.up(of.timing.hold) + 4 * of.step


def check_lasting(
    case: Case, of: Context, alert: str, begin: float, end: float, expected: Sequence[Mapping[str, str]]
) -> None:
    """Say that what is so from `begin` to just before `end` fires once it has lasted, and a while longer."""
    hold, keep = of.up(of.timing.hold), of.up(of.timing.keep_firing)
    case.silent(begin + hold - of.step, alert)
    case.fires(begin + hold, alert, *expected)
    case.fires(end + keep - of.step, alert, *expected)
    case.silent(end + keep, alert)
