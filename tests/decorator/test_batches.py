"""Which calls are batches, and what becomes of one that fails, is cancelled, or can't be read."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix

from modelwatch import monitor
from modelwatch.decorator import wrap
from modelwatch.exceptions import InputError
from modelwatch.records import ROW_LATENCY, ROW_METADATA, ROW_PREDICTION
from modelwatch.store.queries import StoreQueries

if TYPE_CHECKING:
    from .conftest import Recorded, Watched

MATRIX = np.arange(6.0).reshape(3, 2)
DICTS = [{"age": 1.0}, {"age": 2.0}, {"age": 3.0}]
THREE = [0.1, 0.2, 0.7]


def kind(call: dict[str, Any]) -> str:
    """Return what a call was recorded as."""
    if call["outcome"] == "ignored":
        return "counted"
    return f"{call['rows']} rows" if "rows" in call else "one row"


def recorded_as(recorded: Recorded, features: Any, result: Any, batch: bool | None = None) -> str:
    assert wrap(lambda features: result, lambda: recorded, batch=batch)(features) is result
    return kind(recorded.calls[-1])


@pytest.mark.parametrize(
    ("features", "result", "expected"),
    [
        ({"age": 1.0}, 0.5, "one row"),
        ({"age": 1.0, "embedding": [0.1, 0.2, 0.3]}, THREE, "one row"),
        ({"embedding": [0.1, 0.2, 0.3, 0.4]}, THREE, "one row"),
        ({"embedding": np.zeros(3)}, "cat", "one row"),
        ([1.0, 2.0, 3.0], THREE, "one row"),
        (["a", "b", "c"], THREE, "one row"),
        (np.zeros(3), np.array(THREE), "one row"),
        (MATRIX, 0.5, "one row"),
        (MATRIX[:1], np.array(THREE), "one row"),
        ([{"age": 1.0}], THREE, "one row"),
        (pd.Series({"age": 1.0}), np.array(THREE), "one row"),
        ("a text", THREE, "one row"),
        (None, THREE, "one row"),
        ([], 0.5, "one row"),
        ([], THREE, "one row"),
        ({}, THREE, "one row"),
        (MATRIX, {"score": 0.5}, "one row"),
        (MATRIX, np.array(0.5), "one row"),
        (np.zeros((3, 2, 2)), np.array(THREE), "one row"),
        (MATRIX, THREE, "3 rows"),
        (MATRIX, np.array(THREE), "3 rows"),
        (MATRIX, np.zeros((3, 5)), "3 rows"),
        (DICTS, THREE, "3 rows"),
        (DICTS, tuple(THREE), "3 rows"),
        ({"age": [1.0, 2.0, 3.0]}, THREE, "3 rows"),
        ({"age": MATRIX[:, 0], "bid": [1, 2, 3]}, np.array(THREE), "3 rows"),
        (pa.table({"age": [1.0, 2.0, 3.0]}), pa.array(THREE), "3 rows"),
        (pd.DataFrame(DICTS), pd.Series(THREE), "3 rows"),
        (csr_matrix(MATRIX), np.array(THREE), "3 rows"),
        (MATRIX[:1], np.array([0.5]), "1 rows"),
        (pd.DataFrame(DICTS)[:0], np.zeros(0), "0 rows"),
        ([], [], "0 rows"),
    ],
)
def test_it_is_a_batch_if_the_features_are_a_table_and_the_result_has_one_answer_per_row(
    recorded: Recorded, features: Any, result: Any, expected: str
) -> None:
    assert recorded_as(recorded, features, result) == expected
    assert recorded.faults == []


@pytest.mark.parametrize(
    ("features", "result", "said", "expected"),
    [
        ({"embedding": [0.1, 0.2, 0.7]}, THREE, False, "one row"),
        (MATRIX, THREE, False, "one row"),
        (["a", "b", "c"], THREE, True, "3 rows"),
        (np.zeros(3), np.array(THREE), True, "3 rows"),
        (pd.Series(["a", "b", "c"]), THREE, True, "3 rows"),
        (np.zeros((3, 2, 2)), np.array(THREE), True, "3 rows"),
        (MATRIX[:1], [0.5], True, "1 rows"),
    ],
)
def test_what_is_ambiguous_can_be_said(
    recorded: Recorded, features: Any, result: Any, said: bool, expected: str
) -> None:
    assert recorded_as(recorded, features, result, batch=said) == expected
    assert recorded.faults == []


@pytest.mark.parametrize(
    ("features", "result", "said"),
    [
        (MATRIX, [0.1, 0.9], None),
        (DICTS, [0.1] * 4, None),
        (pd.DataFrame(DICTS), np.zeros((2, 2)), None),
        ({"age": 1.0}, 0.5, True),
        (MATRIX, 0.5, True),
        (MATRIX, [], True),
    ],
)
def test_a_batch_that_cannot_be_read_is_one_attempt_and_a_fault(
    recorded: Recorded, watched: Watched, features: Any, result: Any, said: bool | None
) -> None:
    assert recorded_as(recorded, features, result, batch=said) == "counted"
    assert recorded.faults == ["batch"]

    watched.service.monitor("m", batch=said)(lambda features: result)(features)
    assert watched.attempts() == (1, 0, 0)
    assert watched.faults() == {"batch": 1}


def test_a_batch_whose_table_cannot_be_read_is_one_attempt_and_a_fault(watched: Watched) -> None:
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["age", "age"])
    assert watched.service.monitor("m")(lambda features: [0.1, 0.9])(frame) == [0.1, 0.9]
    assert watched.attempts() == (1, 0, 0)
    assert watched.faults() == {"record": 1}


@pytest.mark.parametrize(
    ("features", "said", "expected"),
    [
        (MATRIX, None, 3),
        (DICTS, None, 3),
        (pd.DataFrame(DICTS), None, 3),
        (pa.table({"age": [1.0, 2.0]}), None, 2),
        ({"age": [1.0, 2.0, 3.0]}, True, 3),
        (["a", "b"], True, 2),
        ({"embedding": [1.0, 2.0, 3.0]}, None, 1),
        (MATRIX, False, 1),
        (MATRIX[:1], None, 1),
        (MATRIX[:0], None, 1),
        ({"age": 1.0}, None, 1),
        (object(), True, 1),
    ],
)
@pytest.mark.parametrize("how", ["sync", "async", "block"])
def test_a_batch_that_fails_counts_a_failed_attempt_for_each_row_that_can_be_told(
    watched: Watched, features: Any, said: bool | None, expected: int, how: str
) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        fail(watched.service.monitor("m", batch=said), how, features, error)
    assert caught.value is error
    assert watched.attempts() == (expected, expected, 0)
    assert watched.faults() == {}


@pytest.mark.parametrize("how", ["sync", "async", "block"])
def test_of_an_ignored_exception_the_attempts_of_a_batch_count_and_no_error(watched: Watched, how: str) -> None:
    with pytest.raises(KeyError):
        fail(watched.service.monitor("m", ignore_errors=(KeyError,)), how, MATRIX, KeyError("no such user"))
    assert watched.attempts() == (3, 0, 0)
    assert watched.faults() == {}


def fail(monitored: Any, how: str, features: Any, error: Exception) -> None:
    """Let a prediction fail in a function, an async one, or a with block."""

    def predict(features: Any) -> float:
        raise error

    async def predict_later(features: Any) -> float:
        raise error

    if how == "sync":
        monitored(predict)(features)
    elif how == "async":
        asyncio.run(monitored(predict_later)(features))
    else:
        with monitored as call:
            call.features = features
            predict(features)


def test_the_rows_share_the_latency_of_the_call(watched: Watched) -> None:
    with watched.service.monitor("m") as call:
        call.features, call.prediction = DICTS, THREE
    assert watched.service.flush()
    block = watched.service._parts.recorder.snapshot().vectors["latency", "m", ""]
    assert int(block.ints.sum()) == 3
    with StoreQueries(watched.service.storage) as queries:
        latencies = [ms for c in queries.row_chunks("m", 0.0, 4e9) for ms in c.columns[ROW_LATENCY]]
    assert latencies == pytest.approx([float(block.floats[0]) * 1000 / 3] * 3)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["a", "b", "c"], ["a", "b", "c"]),
        (pd.Series(["a", "b", "c"]), ["a", "b", "c"]),
        (np.array([7, 8, 9]), ["7", "8", "9"]),
        ("r-7", ["r-7.0", "r-7.1", "r-7.2"]),
        (7, ["7.0", "7.1", "7.2"]),
    ],
    ids=["list", "Series", "array", "one text", "one number"],
)
def test_ids_metadata_and_timestamps_are_one_for_all_or_a_column(
    watched: Watched, ids: Any, expected: list[str]
) -> None:
    @watched.service.monitor("m", features="rows", prediction_id="ids", metadata="about", timestamp="when")
    def predict(*, rows: Any, ids: Any, about: Any, when: Any) -> list[float]:
        return THREE

    now = time.time()
    predict(rows=DICTS, ids=ids, about=[{"n": 0}, {"n": 1}, {"n": 2}], when=[now - 3, now - 2, now - 1])
    assert monitor.last_prediction_id() == expected[-1]
    assert stored(watched) == [(expected[n], THREE[n], {"n": n}, pytest.approx(now - 3 + n)) for n in range(3)]


def test_one_value_for_all_rows_is_each_rows(watched: Watched) -> None:
    @watched.service.monitor("m", metadata=lambda rows: {"job": 7}, timestamp=lambda rows: 1.7e9)
    def predict(rows: Any) -> list[float]:
        return THREE

    predict(DICTS)
    assert [row[2:] for row in stored(watched)] == [({"job": 7}, 1.7e9)] * 3


@pytest.mark.parametrize("segment", ["web", ["web", "app", "web"]])
def test_the_segments_of_a_batch_are_handed_over_as_they_are(recorded: Recorded, segment: Any) -> None:
    wrap(lambda rows: THREE, lambda: recorded, segment=lambda rows: segment)(DICTS)
    assert recorded.calls[0]["segment"] is segment


def stored(watched: Watched) -> list[tuple[Any, ...]]:
    assert watched.service.flush()
    with StoreQueries(watched.service.storage) as queries:
        chunks = queries.row_chunks("m", 0.0, 4e9)
        return [
            row
            for c in chunks
            for row in zip(c.ids, c.columns[ROW_PREDICTION], c.columns[ROW_METADATA], c.times.tolist(), strict=True)
        ]


class LazyFrame:
    """As of dask: to ask for its length or its values sets a cluster to work."""

    iloc = columns = None

    def compute(self) -> Any:
        raise AssertionError("the cluster works")

    __len__ = __array__ = compute
    shape = property(compute)


@pytest.mark.parametrize(
    ("features", "result"), [(LazyFrame(), THREE), (MATRIX, LazyFrame()), ({"age": LazyFrame()}, THREE)]
)
def test_nothing_is_asked_of_what_would_have_to_be_computed_first(
    recorded: Recorded, features: Any, result: Any
) -> None:
    assert recorded_as(recorded, features, result) == "one row"
    assert recorded.faults == []


@pytest.mark.parametrize("batch", ["yes", 2, []])
def test_batch_says_yes_no_or_nothing(recorded: Recorded, batch: Any) -> None:
    with pytest.raises(InputError, match=r"batch=…\) takes True, False, or None"):
        wrap(lambda features: 0.5, lambda: recorded, batch=batch)


def test_several_columns_as_arguments_are_a_batch(recorded: Recorded) -> None:
    wrap(lambda age, bid: age + bid, lambda: recorded)(MATRIX[:, 0], bid=MATRIX[:, 1])
    assert kind(recorded.calls[0]) == "3 rows"
    assert set(recorded.calls[0]["features"]) == {"age", "bid"}


def test_features_by_star_arguments_are_one_row(recorded: Recorded) -> None:
    wrap(lambda **row: 0.5, lambda: recorded)(age=1.0, city="Oslo")
    wrap(lambda *values: 0.5, lambda: recorded)(1.0, "Oslo")
    wrap(lambda age, **more: 0.5, lambda: recorded)(1.0, city="Oslo")
    assert [call["features"] for call in recorded.calls] == [
        {"age": 1.0, "city": "Oslo"},
        (1.0, "Oslo"),
        {"age": 1.0, "city": "Oslo"},
    ]


def test_a_table_before_further_keywords_is_the_features_unless_they_are_given(recorded: Recorded) -> None:
    def predict_proba(X: Any, **params: Any) -> Any:  # noqa: N803 - as scikit-learn has it
        return THREE

    wrapped = wrap(predict_proba, lambda: recorded)
    wrapped(MATRIX)
    wrapped(X=MATRIX)
    wrapped(MATRIX, scale=2.0)
    assert [kind(call) for call in recorded.calls] == ["3 rows", "3 rows", "one row"]


def test_an_only_argument_that_is_left_out_has_its_default(recorded: Recorded) -> None:
    def predict(age: float = 30.0) -> float:
        return 0.5

    wrap(predict, lambda: recorded)()
    assert (recorded.calls[0]["features"], recorded.faults) == (30.0, [])
