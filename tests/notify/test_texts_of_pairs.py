"""What a person is told of inputs that no longer go together."""

from __future__ import annotations

from dataclasses import replace

from modelwatch.notify.messages import AlertText, ModelFacts, drift_text
from modelwatch.policy import Severity
from modelwatch.records import CheckResult, CorrelationChange, FamilyResult, TestResult

NOW = 1795504200.0  # 2026-11-24 02:10 in New York
HOSTILE = '<script>alert("1")</script>\n`*_~|'


def change(first: str, second: str, before: float, now: float) -> CorrelationChange:
    return CorrelationChange(first, second, "24h", before, now, 0.5)


MIXED = FamilyResult(
    "multivariate",
    "drift",
    Severity.WARNING,
    tests=(
        TestResult("", "correlation", "24h", 4812.0, 2e4, 0.234, 0.2, 0.27, 0.05, 1e-9, 1e-9, Severity.WARNING),
        TestResult("", "correlation", "168h", 2e4, 2e4, 0.02, 0.0, 0.03, 0.05, 0.2, 1.0, Severity.NONE),
    ),
    feature_severity={"": Severity.WARNING},
    pairs=(change("bid_floor", "placement", 0.614, 0.048), change("bid_floor", "hour", -0.31, 0.001)),
)


def text(family: FamilyResult) -> AlertText:
    families = {
        "data": FamilyResult("data", "ok", Severity.NONE),
        "prediction": FamilyResult("prediction", "ok", Severity.NONE),
        "multivariate": family,
    }
    result = CheckResult("ads", "7", "ab" * 32, NOW, 0.1, False, families, {"24h": 4812.0}, 20000.0)
    return drift_text(result, family, facts=ModelFacts("ads"), since=NOW, now=NOW, timezone="America/New_York")


def test_the_subject_names_the_pair_that_changed_most() -> None:
    assert text(MIXED).subject == (
        "[WARNING] ads: inputs no longer go together as they did (bid_floor and placement) since 02:10 EST"
    )


def test_the_message_says_how_correlations_moved_and_how_sure_that_is() -> None:
    assert text(MIXED).lines == (
        "Version: 7",
        "Window: 24 h",
        "bid_floor and placement: correlation 0.61 → 0.05",
        "bid_floor and hour: correlation -0.31 → 0.00",
        "How far: root mean square change of the correlations 0.23, tolerance 0.05, 24 h window, n = 4 810",
        "How sure: n = 4 810 in the last 24 h against 20 000 in the reference; not chance (budget: 1 false alarm per 30"
        " days)",
        "Effect: predictions within tolerance; quality on real labels not measured",
        "Severity: warning at most: each of these inputs by itself may look as it always did",
        "Look first: what feeds bid_floor, placement, +1 more",
    )


def test_while_it_is_held_it_is_said_that_nothing_is_known() -> None:
    held = replace(MIXED, state="held", reason="needs 100 rows, has 3; last scored 2 h ago", tests=(), pairs=())
    made = text(held)
    assert made.subject == "[WARNING] ads: inputs no longer go together as they did since 02:10 EST"
    assert "Held: needs 100 rows, has 3; last scored 2 h ago" in made.lines
    assert "Look first: the inputs, then the model" in made.lines


def test_hostile_names_break_nothing() -> None:
    made = text(replace(MIXED, pairs=(change(HOSTILE, "b", 0.5, 0.1),)))
    assert "<script>" not in made.html
    assert "\n" not in made.subject
