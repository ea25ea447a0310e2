"""Sums by minute equal what one gets by going through the rows one by one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.recorder.minutes import HOUR_BYTES, Minutes, MinuteSheet
from modelwatch.recorder.open_blocks import Limits
from modelwatch.recorder.truth import compare
from modelwatch.records import MINUTE_FIELDS, MinuteBlock

HOUR = 3600.0
IDLE_SECONDS = Limits().idle_seconds
Sums = dict[tuple[str, int], dict[str, float]]


def summed(blocks: Iterable[MinuteBlock]) -> Sums:
    """Return sums by version and minute since 1970, over parts."""
    out: Sums = defaultdict(lambda: dict.fromkeys(MINUTE_FIELDS, 0.0))
    for block in blocks:
        for minute, row in zip(block.minutes.tolist(), block.sums.tolist(), strict=True):
            held = out[block.model_version, int(block.start // 60) + minute]
            for name, value in zip(MINUTE_FIELDS, row, strict=True):
                held[name] += value
    return dict(out)


def one_by_one(rows: list[dict[str, Any]], task: str) -> Sums:
    """Return the same from the rows as they were given."""
    out: Sums = defaultdict(lambda: dict.fromkeys(MINUTE_FIELDS, 0.0))
    for row in rows:
        held = out[row["model_version"], math.floor(row["timestamp"] / 60)]
        held["attempts"] += 1
        if row["latency_ms"] is not None and row["latency_ms"] >= 0:
            held["latency_count"] += 1
            held["latency_ms_sum"] += row["latency_ms"]
        if row["error"]:
            held["errors"] += 1
            continue
        prediction, actual = row["prediction"], row["actual"]
        held["prediction_count"] += 1
        held["prediction_sum"] += prediction
        if actual is None:
            continue
        if task == "binary":
            held["labelled"] += 1
            held["correct"] += (prediction > 0.5) == (actual == 1)
        else:
            held["pairs"] += 1
            held["absolute_error_sum"] += abs(prediction - actual)
            held["squared_error_sum"] += (prediction - actual) ** 2
    return dict(out)


def same(found: Sums, expected: Sums) -> None:
    assert set(found) == set(expected)
    for key, sums in expected.items():
        assert found[key] == pytest.approx(sums), key


scores = st.floats(0, 1)
rows_of_any_time = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.one_of(st.floats(0, 90), st.floats(0, 4 * HOUR), st.floats(0, 3 * 86400)),
            "model_version": st.sampled_from(["1", "2"]),
            "prediction": scores,
            "actual": st.none() | st.sampled_from([0, 1]) | st.sampled_from([0.0, 1.0]),
            "latency_ms": st.none() | st.floats(-1, 500),
            "error": st.sampled_from([None, None, None, "boom"]),
        }
    ),
    max_size=60,
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(batches=st.lists(rows_of_any_time, min_size=1, max_size=4), task=st.sampled_from(["binary", "regression"]))
def test_sums_by_minute_equal_those_of_going_through_the_rows(
    make_recorder: Any, clock: Any, sink: Any, batches: list[list[dict[str, Any]]], task: str
) -> None:
    kept = type(sink)()
    recorder = make_recorder(kept, model={"task": task, "decision_threshold": 0.5})
    rows = []
    for batch in batches:
        for row in batch:
            given = {key: value for key, value in row.items() if key != "age"} | {"timestamp": clock.now - row["age"]}
            rows.append(given)
            prediction = given["prediction"]
            recorder.record("m", prediction, {}, **{k: v for k, v in given.items() if k != "prediction"})
        assert recorder.flush()
    same(summed(kept.minutes), one_by_one(rows, task))


def test_rows_that_are_not_looked_at_count_as_attempts(make_recorder: Any, sink: Any, clock: Any) -> None:
    recorder = make_recorder(sink, model={"sampling_rate": 0.5})
    for i in range(400):
        recorder.record("m", 1.0, {}, latency_ms=2.0, timestamp=clock.now - i % 120)
    recorder.flush()
    totals = {name: sum(sums[name] for sums in summed(sink.minutes).values()) for name in MINUTE_FIELDS}
    assert (totals["attempts"], totals["latency_count"], totals["latency_ms_sum"]) == (400, 400, 800.0)
    assert 100 < totals["prediction_count"] == totals["prediction_sum"] < 300


def test_what_did_not_fit_in_the_queue_counts_as_attempts_of_now(make_recorder: Any, sink: Any, clock: Any) -> None:
    recorder = make_recorder(sink, max_queue=2)
    for _ in range(500):
        recorder.record("m", 1.0, {}, error=True)
    recorder.flush()
    (sums,) = summed(sink.minutes).values()
    assert (sums["attempts"], sums["errors"]) == (500, 500)


def sheet(at: float, rows: int = 1) -> MinuteSheet:
    made = MinuteSheet(np.full(rows, at))
    made.add_attempts(rows, 0, [False] * rows)
    return made


def test_a_block_that_was_idle_for_an_hour_is_never_written_again() -> None:
    minutes = Minutes()
    minutes.add(("m", "1"), sheet(10.0), now=0.0)
    (first,) = minutes.collect(0.0)
    minutes.add(("m", "1"), sheet(70.0), now=IDLE_SECONDS)
    (again,) = minutes.collect(IDLE_SECONDS)
    assert (again.part, again.minutes.tolist()) == (first.part, [0, 1])
    minutes.add(("m", "1"), sheet(20.0, rows=3), now=2 * IDLE_SECONDS + 1.0)
    (late,) = minutes.collect(2 * IDLE_SECONDS + 1.0)
    assert late.part > first.part
    assert (late.minutes.tolist(), late.sums[:, 0].tolist()) == ([0], [3.0])
    assert minutes.collect(2 * IDLE_SECONDS + 1.0) == []


def test_what_was_not_collected_before_its_block_was_closed_is_collected_after() -> None:
    minutes = Minutes()
    minutes.add(("m", "1"), sheet(10.0), now=0.0)
    minutes.add(("m", "1"), sheet(10.0), now=IDLE_SECONDS + 1.0)
    assert sorted(block.part for block in minutes.collect(IDLE_SECONDS + 1.0)) == [0, 1]


def test_open_blocks_are_bounded_and_none_of_the_closed_is_lost() -> None:
    minutes = Minutes(Limits(most_bytes=100 * HOUR_BYTES))
    for hour in range(300):
        minutes.add(("m", "1"), sheet(hour * HOUR), now=0.0)
    assert len(minutes._hours) == 100
    assert len({block.start for block in minutes.collect(0.0)}) == 300


def test_however_many_models_predict_each_has_one_block_an_hour() -> None:
    minutes, blocks = Minutes(), set()
    for flush in range(20):
        for model in range(2000):
            minutes.add((f"m{model}", "1"), sheet(1.0), now=float(flush))
        blocks |= {(block.model_id, block.part) for block in minutes.collect(float(flush))}
    assert len(blocks) == 2000


def test_hours_of_the_past_are_held_for_minutes_where_there_are_many_of_them() -> None:
    limits = Limits(comfortable_bytes=100 * HOUR_BYTES)
    minutes = Minutes(limits)
    for hour in range(300):
        minutes.add(("m", "1"), sheet(hour * HOUR), now=0.0)
    for now in (1.0, limits.resting_seconds + 1.0):
        minutes.add(("busy", "1"), sheet(1.0), now=now)
        assert len(minutes._hours) == 301
        minutes.collect(now)
    assert len(minutes._hours) == 100
    minutes.collect(limits.idle_seconds + limits.resting_seconds + 2.0)
    assert len(minutes._hours) == 0


def test_numbers_too_large_for_a_sum_stay_finite(make_recorder: Any, sink: Any, clock: Any) -> None:
    recorder = make_recorder(sink, model={"task": "regression"})
    for i in range(6):
        recorder.record("m", 1.7e308, {}, actual=-1.7e308, latency_ms=1e308, timestamp=clock.now - 40 * (i % 2))
    recorder.flush()
    assert all(np.isfinite(block.sums).all() for block in sink.minutes)


@pytest.mark.parametrize(
    ("task", "prediction", "actual", "right"),
    [
        ("binary", 0.9, 1, 1.0),
        ("binary", 0.5, 1, 0.0),  # the threshold itself is not above it
        ("binary", 0.9, True, 1.0),
        ("binary", 0.2, 0.0, 1.0),
        ("binary", 0.2, "no", None),  # nobody said which label is the positive one
        ("binary", 1, 1, 1.0),
        ("binary", 1, 0, 0.0),
        ("binary", True, 1, 1.0),
        ("binary", "yes", "yes", 1.0),
        ("binary", 0.9, None, None),
        ("binary", float("nan"), 1, None),
        ("multiclass", 2, 2.0, 1.0),
        ("multiclass", "2", 2, 1.0),
        ("multiclass", 3, "2", 0.0),
        ("multiclass", "cat", "dog", 0.0),
        ("multiclass", 10**400, 10**400, 1.0),
        (None, "cat", "cat", 1.0),
        (None, True, 1, 1.0),
        (None, 0.9, 1, None),
        ("score", 0.9, 1, None),
        ("regression", 1.0, 1.0, None),
    ],
)
@pytest.mark.parametrize("beside", [None, "text"])
def test_a_prediction_is_right_if_it_names_the_class_that_came_true(
    task: str | None, prediction: Any, actual: Any, right: float | None, beside: str | None
) -> None:
    # Beside a value of another type the row goes through the general way, which must agree with the fast one.
    predictions: list[Any] = [prediction] + ([beside] if beside else [])
    actuals: list[Any] = [actual] + ([beside] if beside else [])
    found, _ = compare(predictions, actuals, task, 0.5 if task == "binary" else None, 1)
    first = math.nan if found is None else float(found[0])
    assert (None if math.isnan(first) else first) == right


@given(st.lists(st.tuples(scores, st.sampled_from([0, 1, None])), min_size=1, max_size=50))
def test_scores_in_an_array_and_in_a_list_are_judged_alike(pairs: list[tuple[float, int | None]]) -> None:
    predictions, actuals = [p for p, _ in pairs], [a for _, a in pairs]
    fast, _ = compare(np.array(predictions), actuals, "binary", 0.5, 1)
    slow, _ = compare([*predictions, "x"], [*actuals, "x"], "binary", 0.5, 1)
    assert fast is not None
    assert slow is not None
    assert np.array_equal(fast, slow[:-1], equal_nan=True)


def test_the_positive_class_may_have_a_name() -> None:
    right, _ = compare(np.array([0.9, 0.9, 0.1]), ["churned", "stayed", "stayed"], "binary", 0.5, "churned")
    assert right is not None
    assert right.tolist() == [1.0, 0.0, 1.0]


def test_without_a_task_numbers_are_quantities_and_text_is_a_class() -> None:
    right, difference = compare([0.5, "cat", 3], [1.5, "dog", None], None, None, 1)
    assert right is not None
    assert difference is not None
    assert np.array_equal(right, [np.nan, 0.0, np.nan], equal_nan=True)
    assert np.array_equal(difference, [-1.0, np.nan, np.nan], equal_nan=True)


def test_scores_beside_zeros_and_ones_are_those_of_a_binary_classifier_without_a_task() -> None:
    right, off = compare(np.array([0.9, 0.2, 0.6]), [1, 1, None], None, 0.5, 1)
    assert off is None
    assert right is not None
    assert right[:2].tolist() == [1.0, 0.0]
    assert np.isnan(right[2])
    quantities, difference = compare(np.array([0.9, 0.2]), [1.0, 0.5], None, 0.5, 1)
    assert quantities is None
    assert difference is not None, "a half is no class"
