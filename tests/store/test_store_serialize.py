"""Check results survive JSON, which never holds NaN."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from enum import Enum

import numpy as np
import pytest

from modelwatch.policy import Severity
from modelwatch.records import CheckResult, FamilyResult, FeatureShift, FurtherScore, TestResult
from modelwatch.store import check_result_from_json, check_result_to_json
from modelwatch.store.serialize import dump_json, plain, summarize_check


def _test(feature: str, window: str, p: float, severity: Severity) -> TestResult:
    return TestResult(feature, "shape", window, 100.0, 1e4, 0.1, 0.05, 0.2, 0.08, p, p, severity)


@pytest.fixture
def result() -> CheckResult:
    shift = FeatureShift("x", "24h", None, 0.1, 0.0, 0.2, 0.0, 0.0, np.float64(0.5), 1.0, (("≤ 3", 0.5, 0.1),))
    tests = (
        _test("x", "1h", 0.5, Severity.NONE),
        _test("x", "24h", 1e-9, Severity.WARNING),
        _test("y", "24h", math.nan, Severity.NONE),
    )
    severities = {"x": Severity.WARNING, "y": Severity.NONE}
    family = FamilyResult("data", "drift", Severity.WARNING, "", tests, severities, (shift,))
    return CheckResult("m", "1", "p" * 8, 5.0, 0.1, False, {"data": family}, {"24h": np.int64(100)}, 1e4, (0.1, 0.2))


def test_a_check_result_comes_back(result: CheckResult) -> None:
    back = check_result_from_json(json.loads(json.dumps(check_result_to_json(result), allow_nan=False)))
    assert math.isnan(back.families["data"].tests[2].p_value)
    assert back.families["data"].tests[:2] == result.families["data"].tests[:2]
    assert back.families["data"].shifts == result.families["data"].shifts
    assert back.families["data"].feature_severity == result.families["data"].feature_severity
    assert back.families["data"].severity is Severity.WARNING
    assert (back.prediction_mean, back.windows, back.reference_rows) == ((0.1, 0.2), {"24h": 100.0}, 1e4)


def test_what_later_releases_added_comes_back_or_takes_its_default(result: CheckResult) -> None:
    shift = replace(result.families["data"].shifts[0], tail=("above", 1600.0, 0.14, 0.28))
    further = (FurtherScore("psi", "x", "24h", 0.31, 0.2), FurtherScore("ks", "x", "24h", 0.1))
    family = replace(result.families["data"], shifts=(shift,), further=further, noisy=("y",))
    value = json.loads(json.dumps(check_result_to_json(replace(result, families={"data": family})), allow_nan=False))
    back = check_result_from_json(value).families["data"]
    assert (back.shifts, back.further, back.noisy) == ((shift,), further, ("y",))
    del value["families"]["data"]["further"], value["families"]["data"]["shifts"][0]["tail"]
    old = check_result_from_json(value).families["data"]
    assert (old.shifts[0].tail, old.further) == (None, ())


def test_severities_are_numbers_and_nan_is_none(result: CheckResult) -> None:
    family = check_result_to_json(result)["families"]["data"]
    assert type(family["severity"]) is int
    assert family["tests"][2]["p_value"] is None
    assert family["shifts"][0]["changed"] == [["≤ 3", 0.5, 0.1]]


def test_keys_of_a_newer_release_are_ignored_and_missing_ones_take_their_default(result: CheckResult) -> None:
    value = check_result_to_json(result) | {"moon": 1}
    value["families"]["data"]["phase"] = 2
    del value["prediction_mean"], value["families"]["data"]["shifts"]
    back = check_result_from_json(value)
    assert back.prediction_mean is None
    assert back.families["data"].shifts == ()


def test_the_summary_keeps_each_features_foremost_score(result: CheckResult) -> None:
    summary = summarize_check(check_result_to_json(result))
    assert summary["severity"] == 2
    family = summary["families"]["data"]
    assert (family["state"], family["features"]["x"]["window"]) == ("drift", "24h")
    assert family["features"]["y"] == {"score": 0.1, "threshold": 0.08, "severity": 0, "window": "24h", "test": "shape"}


def test_anything_becomes_json() -> None:
    class Colour(Enum):
        RED = "red"

    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    values = {1: Colour.RED, None: {"b", "a"}, "n": [math.inf, np.float32(math.nan), np.arange(2)], "o": object}
    assert plain(values) == {"1": "red", "None": ["a", "b"], "n": [None, None, [0, 1]], "o": "<class 'object'>"}
    assert json.loads(dump_json({"deep": deep, "text": "\ud800"}))["text"] == "\ud800"
