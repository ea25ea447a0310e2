"""What a value of a performance metric is worth."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.config import ModelMonitoringConfig, Threshold
from modelwatch.performance import judge, threshold_severity, verdicts
from modelwatch.policy import Severity


@pytest.mark.parametrize(
    ("metric", "severity", "written", "worth"),
    [
        ("auc", None, True, Severity.CRITICAL),
        ("auc", None, False, Severity.WARNING),
        ("auc", "info", True, Severity.INFO),
        ("latency_ms", None, True, Severity.ERROR),
        ("error_rate", None, False, Severity.WARNING),
        ("error_rate", "critical", True, Severity.CRITICAL),
    ],
)
def test_a_broken_threshold_is_worth_what_was_written_and_a_default_never_above_warning(
    metric: str, severity: str | None, written: bool, worth: Severity
) -> None:
    threshold = Threshold.model_validate({"metric": metric, "max": 1.0, "severity": severity, "written": written})
    assert threshold_severity(threshold) is worth


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(-1e7, 1e7))
def test_a_value_inside_its_bounds_is_worth_nothing_and_outside_names_the_bound(
    low: float, width: float, value: float
) -> None:
    found = judge(Threshold(metric="x", min=low, max=low + width), value, 5.0)
    expected = "min" if value < low else "max" if value > low + width else None
    assert found.bound == expected
    assert (found.severity is Severity.NONE) == (expected is None)
    assert found.limit == {"min": low, "max": low + width, None: None}[expected]


def test_no_number_breaks_nothing() -> None:
    assert judge(Threshold(metric="auc", min=0.8), math.nan, 0.0).severity is Severity.NONE


def test_metrics_without_value_or_threshold_and_those_measured_from_requests_are_left_out() -> None:
    config = ModelMonitoringConfig(
        model_id="m", performance_threshold={"auc": 0.85, "rmse": {"max": 2, "severity": "error"}, "latency_ms": 5}
    )
    latest = {"rmse": (3.0, 7.0), "latency_ms": (99.0, 7.0), "f1": (0.1, 7.0)}
    (found,) = verdicts(config, latest)
    assert (found.metric, found.value, found.at, found.severity) == ("rmse", 3.0, 7.0, Severity.ERROR)
    assert (found.bound, found.limit) == ("max", 2.0)
