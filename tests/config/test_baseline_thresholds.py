"""Thresholds from what a model reached when it was trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch import ModelMonitoringConfig, thresholds_from_baseline
from modelwatch.config.thresholds import KNOWN_METRICS
from modelwatch.exceptions import InputError


def test_nine_tenths_of_a_floor_and_eleven_tenths_of_a_ceiling() -> None:
    assert thresholds_from_baseline({"accuracy": 0.92, "auc": 0.8, "latency_ms": 50, "error_rate": 0.02}) == {
        "accuracy": 0.828, "auc": 0.72, "latency_ms": 55.0, "error_rate": 0.022,
    }  # fmt: skip


def test_a_negative_r2_gets_worse_downwards() -> None:
    assert thresholds_from_baseline({"r2": -0.5}, margin=0.2) == {"r2": -0.6}


def test_no_margin_keeps_the_baseline_exactly() -> None:
    assert thresholds_from_baseline({"accuracy": 0.123456789012345678, "rmse": 1e300}, margin=0) == {
        "accuracy": 0.123456789012345678, "rmse": 1e300,
    }  # fmt: skip


def test_a_ceiling_stays_within_the_range_of_its_metric() -> None:
    assert thresholds_from_baseline({"error_rate": 0.99, "rmse": 1.7e308}, margin=0.5) == {
        "error_rate": 1.0, "rmse": pytest.approx(1.7976931348623157e308),
    }  # fmt: skip


def test_numpy_scalars_are_numbers() -> None:
    assert thresholds_from_baseline({"accuracy": np.float64(0.5), "mae": np.int64(10)}) == {
        "accuracy": 0.45,
        "mae": 11.0,
    }


def test_an_unknown_metric_is_a_floor_of_which_registering_warns() -> None:
    thresholds = thresholds_from_baseline({"conversion": 0.2})
    (warning,) = ModelMonitoringConfig(model_id="m", performance_threshold=thresholds).warnings
    assert thresholds == {"conversion": 0.18}
    assert "is taken as a floor; write {max:" in warning


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), True, "0.9", None, 10**400])
def test_a_baseline_that_is_no_finite_number_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="the baseline of rmse must be a finite number"):
        thresholds_from_baseline({"rmse": wrong})


@pytest.mark.parametrize(
    ("metric", "baseline", "allowed"),
    [("accuracy", 92, "from 0 to 1"), ("r2", 1.5, "of at most 1"), ("latency_ms", -1, "of 0 or more")],
)
def test_a_baseline_where_its_metric_never_goes_is_refused(metric: str, baseline: float, allowed: str) -> None:
    with pytest.raises(InputError, match=f"the baseline of {metric} must be a number {allowed}, got"):
        thresholds_from_baseline({metric: baseline})


@pytest.mark.parametrize("margin", [-0.1, 1, 1.5, float("nan"), True, "10%", None])
def test_a_margin_out_of_range_is_refused(margin: Any) -> None:
    with pytest.raises(InputError, match="margin must be a number of 0 or more and below 1"):
        thresholds_from_baseline({"accuracy": 0.9}, margin=margin)


def test_something_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(InputError, match="metrics must be a mapping of metric to baseline, got list"):
        thresholds_from_baseline(["accuracy"])  # type: ignore[arg-type]


@st.composite
def _baselines(draw: st.DrawFn) -> dict[str, float]:
    names = draw(st.lists(st.sampled_from(sorted(KNOWN_METRICS)), unique=True, min_size=1))
    return {
        name: draw(st.floats(max(KNOWN_METRICS[name].lowest, -1e12), min(KNOWN_METRICS[name].highest, 1e12)))
        for name in names
    }


@given(_baselines(), st.floats(0, 1, exclude_max=True))
def test_every_result_is_a_valid_configuration_that_its_own_baseline_passes(
    baselines: dict[str, float], margin: float
) -> None:
    thresholds = thresholds_from_baseline(baselines, margin)
    config = ModelMonitoringConfig(model_id="m", performance_metrics=list(baselines), performance_threshold=thresholds)
    for metric, baseline in baselines.items():
        threshold = config.thresholds[metric]
        assert threshold.min is None or threshold.min <= baseline
        assert threshold.max is None or threshold.max >= baseline
        assert (threshold.min is not None) is KNOWN_METRICS[metric].floor


@given(_baselines(), st.floats(0, 0.98), st.floats(0.001, 0.019))
def test_a_wider_margin_is_never_stricter(baselines: dict[str, float], margin: float, more: float) -> None:
    narrow, wide = thresholds_from_baseline(baselines, margin), thresholds_from_baseline(baselines, margin + more)
    for metric in baselines:
        assert wide[metric] <= narrow[metric] if KNOWN_METRICS[metric].floor else wide[metric] >= narrow[metric]
