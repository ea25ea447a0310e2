"""A batch that somebody asks about, and what is told of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwatch import checks
from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import InputError
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile

Rows = Callable[..., dict[str, Any]]
KEYS = ("drift_detected", "drift_types", "severity", "summary", "details", "top_features", "performance")


def test_a_batch_without_drift_says_so(
    profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Rows
) -> None:
    report = checks.drift_report(checks.asked_check(config, profile, pd.DataFrame(make_rows(2000)), None, 1.0))
    assert tuple(report) == KEYS
    assert (report["drift_detected"], report["drift_types"], report["top_features"]) == (False, [], [])
    assert report["summary"] == "no drift: 4 inputs within tolerance (batch: 2000 rows)"
    assert report["details"]["data"]["state"] == "ok"
    assert report["details"]["prediction"]["reason"] == "no current_predictions was passed"


def test_drift_is_told_with_names_and_numbers(
    profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Rows
) -> None:
    rows = make_rows(5000, km=1.609, unseen=0.18)
    result = checks.asked_check(config, profile, rows, np.random.default_rng(1).beta(2, 5, 5000), 1.0)
    report = checks.drift_report(result)
    assert report["drift_detected"] is True
    assert report["drift_types"] == ["data"]
    assert report["summary"].startswith("2 of 4 inputs drifted: ")
    assert "distance (mean +" in report["summary"]
    assert re.search(r"carrier \(1[789] % unseen values\)", report["summary"])
    assert set(report["top_features"]) == {"distance", "carrier"}
    carrier = report["details"]["data"]["features"]["carrier"]
    assert (carrier["test"], carrier["n"], carrier["window"], carrier["state"]) == ("novel", 5000.0, "batch", "drift")
    assert carrier["score"] > carrier["threshold"] == 0.05
    assert list(report["details"]["data"]["features"])[:2] == report["top_features"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_further_scores_and_fixed_thresholds_are_told_where_they_are_asked_for(
    profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Rows
) -> None:
    drift = config.drift.model_copy(update={"methods": ("ks",), "fixed_thresholds": {"psi": 0.005}})
    asking = config.model_copy(update={"drift": drift})
    rows = make_rows(50_000, km=1.06)
    assert checks.drift_report(checks.asked_check(config, profile, rows, None, 1.0))["drift_detected"] is False
    report = checks.drift_report(checks.asked_check(asking, profile, rows, None, 1.0))
    assert (report["severity"], report["top_features"]) == ("warning", ["distance"])
    found = report["details"]["data"]["features"]
    assert set(found["distance"]["further_scores"]) == {"ks", "psi"}
    assert set(found["carrier"]["further_scores"]) == {"psi"}
    assert found["distance"]["further_scores"]["psi"] > 0.005
    assert re.search(r"distance \(mean \+.*, PSI 0\.0\d+, fixed threshold 0\.005\)", report["summary"])
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_severity_is_not_capped_but_data_alone_stays_an_error(
    profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Rows
) -> None:
    rows = make_rows(5000, unseen=0.5)
    alone = checks.asked_check(config, profile, rows, None, 1.0).families["data"]
    assert (alone.severity, alone.feature_severity["carrier"]) == (Severity.ERROR, Severity.CRITICAL)
    both = checks.asked_check(config, profile, rows, np.ones(5000), 1.0)
    assert both.families["data"].severity == Severity.CRITICAL
    assert checks.drift_report(both)["drift_types"] == ["data", "prediction"]
    assert checks.drift_report(both)["summary"].count("predictions drifted") == 1


def test_predictions_alone_are_scored_alone(profile: ReferenceProfile, config: ModelMonitoringConfig) -> None:
    result = checks.asked_check(config, profile, None, np.full(1000, 0.9), 1.0)
    assert result.families["data"].state == "insufficient_data"
    assert result.families["prediction"].severity >= Severity.WARNING
    report = checks.drift_report(result)
    assert list(report["details"]["prediction"]["features"]) == ["prediction"]
    assert report["top_features"] == []


def test_a_missing_column_is_told_beside_the_one_nobody_knows(
    profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Rows
) -> None:
    rows = make_rows(1000)
    rows["carier"] = rows.pop("carrier")
    family = checks.asked_check(config, profile, rows, None, 1.0).families["data"]
    assert family.reason == "not in the data: carrier; not in the reference: carier"
    assert set(family.feature_severity) == {"distance", "hour", "delay"}


def test_a_batch_of_twelve_rows_is_too_small(
    profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Rows
) -> None:
    result = checks.asked_check(config, profile, make_rows(12), None, 1.0)
    assert (result.families["data"].state, result.families["data"].reason) == (
        "insufficient_data", "needs 50 rows, has 12",
    )  # fmt: skip
    report = checks.drift_report(result)
    assert report["summary"].startswith("not scored: needs 50 rows, has 12")
    assert report["severity"] == "none"


def test_a_reference_without_predictions_says_so(config: ModelMonitoringConfig, make_rows: Rows) -> None:
    bare = ReferenceProfile.build(make_rows(2000))
    result = checks.asked_check(config, bare, make_rows(200), np.zeros(200), 1.0)
    assert (result.families["prediction"].state, result.families["prediction"].reason) == (
        "no_reference", "the reference holds no predictions",
    )  # fmt: skip


def test_nothing_to_score_is_an_input_error(profile: ReferenceProfile, config: ModelMonitoringConfig) -> None:
    with pytest.raises(InputError, match="pass current_data"):
        checks.asked_check(config, profile, None, None, 1.0)


def test_only_keeps_the_kinds_asked_for(
    profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Rows
) -> None:
    result = checks.only(checks.asked_check(config, profile, make_rows(100), np.zeros(100), 1.0), ("data",))
    assert list(result.families) == ["data"]


def test_the_order_of_columns_changes_nothing(
    profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Rows
) -> None:
    frame = pd.DataFrame(make_rows(3000, km=1.1))
    one = checks.asked_check(config, profile, frame, None, 1.0).families["data"]
    two = checks.asked_check(config, profile, frame[frame.columns[::-1]], None, 1.0).families["data"]
    assert one.tests == two.tests
