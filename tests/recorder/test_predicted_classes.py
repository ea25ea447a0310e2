"""What counts as a predicted class, for labels and for scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def test_predicted_classes_are_counted_and_bounded(make_recorder: Any, see: Any) -> None:
    recorder = make_recorder(model={"task": "multiclass"})
    for i in range(60):
        recorder.record("m", f"class {i}", {})
    recorder.record("m", [0.1, 0.2, 0.7], {})
    recorder.record("m", "class 3", {})
    recorder.flush()
    counts = see.names(recorder, "classes", "m", "1", "")
    assert len(counts) == 51
    assert counts["__other__"] == 11
    assert counts["class 3"] == 2


def test_a_regression_or_a_score_adds_no_class(make_recorder: Any, see: Any) -> None:
    recorder = make_recorder(model={"task": "regression"})
    for value in (1, 2.5, 7):
        recorder.record("m", value, {})
    recorder.flush()
    assert see.names(recorder, "classes", "m", "1", "") == {}


@pytest.mark.parametrize("task", ["binary", "score"])
def test_scores_are_counted_by_the_side_of_the_decision_threshold_they_lie_on(
    task: str, make_recorder: Any, see: Any
) -> None:
    recorder = make_recorder(model={"task": task, "decision_threshold": 0.3})
    for value in (0.1, 0.3, 0.31, [0.2, 0.8], np.float32(0.9)):
        recorder.record("m", value, {})
    recorder.flush()
    assert see.names(recorder, "classes", "m", "1", "") == {"0": 2, "1": 3}
    for value in (0.1, None, "junk", float("nan"), 0.9):
        recorder.record("m", value, {})
    recorder.flush()
    assert see.names(recorder, "classes", "m", "1", "") == {"0": 3, "1": 4, "junk": 1}


@pytest.mark.parametrize(
    "model",
    [
        {"task": "binary"},
        {"task": "regression", "decision_threshold": 0.5},
        {"task": "", "decision_threshold": 0.5},
        {"decision_threshold": 0.5},
    ],
)
def test_numbers_that_are_no_scores_are_in_no_class(model: dict[str, Any], make_recorder: Any, see: Any) -> None:
    recorder = make_recorder(model=model)
    for value in (0.2, 0.7):
        recorder.record("m", value, {})
    recorder.flush()
    assert see.names(recorder, "classes", "m", "1", "") == {}


def test_labels_of_a_binary_model_are_not_held_against_the_threshold(make_recorder: Any, see: Any) -> None:
    recorder = make_recorder(model={"task": "binary", "decision_threshold": 0.5})
    for value in ("late", "late", "on time", True, 1):
        recorder.record("m", value, {})
    recorder.flush()
    assert see.names(recorder, "classes", "m", "1", "") == {"late": 2, "on time": 1, "True": 1, "1": 1}
