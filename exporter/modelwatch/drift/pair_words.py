"""Drift between features as plain dicts and in words."""

from __future__ import annotations

from typing import Any

from modelwatch.policy import Severity
from modelwatch.records import CorrelationChange, FamilyResult, TestResult

__all__ = ["changed_together", "correlation_words", "foremost_test", "pair_words", "summary_words", "together_report"]

MOST_TOLD = 2


def correlation_words(change: CorrelationChange) -> str:
    """Return how a pair moved.

    >>> correlation_words(CorrelationChange("bid_floor", "placement", "24h", 0.614, 0.048, 0.7))
    'correlation 0.61 → 0.05'
    """
    return f"correlation {_number(change.before)} → {_number(change.now)}"


def pair_words(change: CorrelationChange) -> str:
    """Return the names of a pair.

    >>> pair_words(CorrelationChange("bid_floor", "placement", "24h", 0.6, 0.0, 0.7))
    'bid_floor and placement'
    """
    return f"{change.first} and {change.second}"


def _together_words(family: FamilyResult) -> str:
    """Return the pairs that changed most: ``a and b (correlation 0.61 → 0.05)``; "" if none is known."""
    return ", ".join(f"{pair_words(one)} ({correlation_words(one)})" for one in family.pairs[:MOST_TOLD])


def changed_together(family: FamilyResult) -> list[str]:
    """Return the features of the pairs that changed most, each once, first the one that most of the change is of."""
    parts: dict[str, float] = {}
    for pair in family.pairs:
        for name in (pair.first, pair.second):
            parts[name] = parts.get(name, 0.0) + pair.share
    return sorted(parts, key=lambda name: -parts[name])


def foremost_test(family: FamilyResult) -> TestResult | None:
    """Return the test of the window that deviates most."""
    return min(family.tests, key=lambda test: (-test.severity, test.p_value, -test.score), default=None)


def together_report(family: FamilyResult) -> dict[str, Any]:
    """Return what is told of features together.

    Parameters
    ----------
    family : FamilyResult
        Multivariate drift.

    Returns
    -------
    dict
        ``state``, ``severity``, ``reason``; of the window that deviates most ``score``, ``threshold``, ``n``,
        ``window``, ``test``, ``p_value``, ``score_low``, ``score_high``; and ``pairs``, worst first.
    """
    out: dict[str, Any] = {
        "state": family.state,
        "severity": family.severity.label,
        "reason": family.reason,
        "features": {},
        "pairs": [_pair_report(change) for change in family.pairs],
    }
    test = foremost_test(family)
    if test is not None:
        names = ("score", "threshold", "n", "window", "test", "p_value", "score_low", "score_high")
        out |= {name: getattr(test, name) for name in names}
    return out


def _pair_report(change: CorrelationChange) -> dict[str, Any]:
    return {
        "features": [change.first, change.second],
        "before": change.before,
        "now": change.now,
        "share": change.share,
        "change": correlation_words(change),
    }


def summary_words(family: FamilyResult) -> str:
    """Return multivariate drift as a part of a sentence."""
    held = f" (held: {family.reason})" if family.state == "held" else ""
    told = _together_words(family) if family.severity >= Severity.INFO else ""
    return f"inputs no longer go together as they did{f': {told}' if told else ''}{held}"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")
