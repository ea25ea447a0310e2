"""Recording many predictions by one call: counted as if they had been recorded one by one."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.recorder import RecordedModel, Recorder, last_prediction_id
from modelwatch.recorder.batch import Backlog
from modelwatch.recorder.ids import mixed_hashes, sampled
from modelwatch.recorder.reading import sampled_rows
from modelwatch.records import ROW_LATENCY, ROW_METADATA, ROW_PREDICTION


class Uncopyable:
    """Features that are no features, and don't let themselves be looked at."""

    def __len__(self) -> int:
        return 3

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


AGES = [5.0, 15.0, None, 50.0, float("nan"), -3.0]
CITIES = ["Oslo", "Rome", "Bern", "Paris", None, "Oslo"]
SCORES = [0.1, 0.9, 0.4, 0.2, 0.7, 0.3]


def _polars() -> Any:
    return pytest.importorskip("polars", reason="polars is read where it is installed, and not needed")


def _frame() -> Any:
    return pd.DataFrame({"age": AGES, "city": CITIES})


TABLES: dict[str, Callable[[], Any]] = {
    "a pandas DataFrame": _frame,
    "a polars DataFrame": lambda: _polars().DataFrame({"age": AGES, "city": CITIES}, strict=False),
    "a pyarrow table": lambda: pa.table({"age": pa.array(AGES, pa.float64()), "city": pa.array(CITIES)}),
    "a dict of columns": lambda: {"age": AGES, "city": CITIES},
    "a list of dicts": lambda: [{"age": a, "city": c} for a, c in zip(AGES, CITIES, strict=True)],
    "a list of rows": lambda: [[a, c] for a, c in zip(AGES, CITIES, strict=True)],
    "a 2-D array": lambda: np.array(list(zip(AGES, CITIES, strict=True)), dtype=object),
}
PREDICTIONS: dict[str, Callable[[], Any]] = {
    "a list": lambda: list(SCORES),
    "a 1-D array": lambda: np.array(SCORES),
    "a column": lambda: np.array(SCORES).reshape(-1, 1),
    "probabilities of two classes": lambda: np.array([[1 - s, s] for s in SCORES]),
    "a DataFrame of probabilities": lambda: pd.DataFrame({"no": [1 - s for s in SCORES], "yes": SCORES}),
    "a pandas Series": lambda: pd.Series(SCORES),
    "a polars Series": lambda: _polars().Series(SCORES),
}


def _state(recorder: Recorder, sink: Any) -> dict[str, Any]:
    """Return all that was counted and stored, without names of workers and ids."""
    assert recorder.flush()
    found = recorder.snapshot()
    return {
        "vectors": {
            k: (b.layout, b.ints.tolist(), [f"{x:.9g}" for x in b.floats.tolist()]) for k, b in found.vectors.items()
        },
        "names": {key: block.counts for key, block in found.names.items()},
        "intervals": sorted((t.start, t.attempts, t.errors, t.sampled, t.prediction_count) for t in sink.totals),
        "cells": sorted((c.start, c.rows, c.cells.tolist()) for c in sink.counts),
        "minutes": sorted(
            (m.start, m.minutes.tolist(), [f"{x:.9g}" for x in m.sums.ravel().tolist()]) for m in sink.minutes
        ),
        "rows": _rows_of(sink),
        "learning": [
            (c.times.tolist(), {n: list(map(_plain, v)) for n, v in c.columns.items()})
            for batch in sink.batches
            for c in batch.learning
        ],
        "actuals": [(a.times.tolist(), a.values) for batch in sink.batches for a in batch.actuals],
    }


def _plain(value: Any) -> Any:
    """Return a value as it sorts: in a column that begins with a float a whole number is one more float."""
    if isinstance(value, float) and value != value:
        return None
    return float(value) if type(value) is int and abs(value) < 2**53 else value


def _rows_of(sink: Any) -> list[dict[str, Any]]:
    """Return stored rows without what is missing, which one column shows as None and another as NaN."""
    out: list[dict[str, Any]] = []
    for chunk in sink.rows:
        columns = {n: c.tolist() if isinstance(c, np.ndarray) else c for n, c in chunk.columns.items()}
        for i, when in enumerate(chunk.times.tolist()):
            row = {name: _plain(column[i]) for name, column in columns.items()}
            out.append({"at": when, **{name: value for name, value in row.items() if value is not None}})
    return sorted(out, key=repr)


@pytest.fixture
def both(tmp_path: Path, clock: Any, profile: Any, sink: Any) -> Callable[..., tuple[Recorder, Any, Recorder, Any]]:
    """Return a factory of two recorders of one model, each with a storage and a sink of its own."""
    made = itertools.count()

    def make(**model: Any) -> tuple[Recorder, Any, Recorder, Any]:
        found: list[Any] = []
        for side in ("one", "many"):
            mine = type(sink)()
            recorder = Recorder(tmp_path / f"{side}-{next(made)}", mine, clock=clock, start_thread=False)
            recorder.add_model(RecordedModel("m", "1", **{"profile": profile, "task": "score", **model}))
            found += [recorder, mine]
        return tuple(found)

    return make


@pytest.mark.parametrize("table", TABLES)
def test_any_common_table_counts_as_its_rows_do(table: str, both: Any) -> None:
    one, one_sink, many, many_sink = both()
    for age, city, score in zip(AGES, CITIES, SCORES, strict=True):
        one.record("m", score, {"age": age, "city": city})
    answer = many.record_many("m", SCORES, TABLES[table]())
    assert (answer["status"], answer["recorded"], answer["sampled"]) == ("success", 6, 6)
    assert _state(many, many_sink) == _state(one, one_sink)


@pytest.mark.parametrize("shape", PREDICTIONS)
def test_predictions_may_be_a_column_or_probabilities(shape: str, both: Any) -> None:
    one, one_sink, many, many_sink = both()
    for age, score in zip(AGES, SCORES, strict=True):
        one.record("m", score, {"age": age, "city": None})
    assert many.record_many("m", PREDICTIONS[shape](), {"age": AGES, "city": [None] * 6})["status"] == "success"
    mine, theirs = _state(many, many_sink), _state(one, one_sink)
    for row in (*mine["rows"], *theirs["rows"]):
        row[ROW_PREDICTION] = round(row[ROW_PREDICTION], 12)
    assert mine == theirs


def test_of_many_classes_the_most_probable_is_the_answer(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink, model={"task": "multiclass"})
    recorder.record_many("m", np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]), None)
    recorder.flush()
    (chunk,) = sink.rows
    assert chunk.columns[ROW_PREDICTION] == ["2", "0"]


_values = st.one_of(
    st.none(), st.integers(-50, 60), st.floats(allow_nan=True, allow_infinity=True), st.booleans(), st.text(max_size=4)
)
_cities = st.sampled_from(["Oslo", "Rome", "Bern", "Paris", "", None, 3])
_row = st.tuples(
    _values,
    _cities,
    st.one_of(st.floats(0, 1), st.integers(0, 1), st.booleans(), st.none(), st.sampled_from(["yes", "no"])),
    st.one_of(st.none(), st.floats(-1, 500), st.just("slow")),
    st.one_of(st.none(), st.integers(0, 1)),
    st.sampled_from([None, None, None, True, "timeout", False]),
    st.one_of(st.none(), st.dictionaries(st.sampled_from(["who", "where"]), st.integers(0, 9), max_size=2)),
    st.sampled_from([0.0, 10.0, 400.0, 900.0, -1e12]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    rows=st.lists(_row, min_size=1, max_size=40),
    rate=st.sampled_from([1.0, 0.5, 0.0]),
    keys=st.sampled_from([None, ("who",)]),
    as_dicts=st.booleans(),
    task=st.sampled_from(["score", "binary", "multiclass", "regression", None]),
    options=st.sampled_from([{}, {"profile": None, "learning": True}, {"log_predictions": False}]),
    more=st.sampled_from([{}, {"log_predictions": False}]),
)
def test_a_batch_counts_exactly_as_its_rows_one_by_one(
    both: Any, clock: Any, rows: list[Any], rate: float, keys: Any, as_dicts: bool, task: str | None,
    options: dict[str, Any], more: dict[str, Any],
) -> None:  # fmt: skip
    one, one_sink, many, many_sink = both(sampling_rate=rate, metadata_keys=keys, task=task, **{**options, **more})
    ids = [f"id-{i}" for i in range(len(rows))]
    ages, cities, scores, latencies, actuals, errors, metadata, ago = (
        list(column) for column in zip(*rows, strict=True)
    )
    times = [clock.now - seconds for seconds in ago]
    answers = [
        one.record(
            "m", scores[i], {"age": ages[i], "city": cities[i]}, actual=actuals[i], metadata=metadata[i],
            latency_ms=latencies[i], prediction_id=ids[i], timestamp=times[i], error=errors[i],
        )
        for i in range(len(rows))
    ]  # fmt: skip
    features = (
        [{"age": a, "city": c} for a, c in zip(ages, cities, strict=True)]
        if as_dicts
        else {"age": ages, "city": cities}
    )
    answer = many.record_many(
        "m", scores, features, actuals=actuals, metadata=metadata, latency_ms=latencies, prediction_ids=ids,
        timestamps=times, errors=errors,
    )  # fmt: skip
    assert answer["prediction_ids"] == ids
    assert answer["recorded"] == len(rows)
    assert answer["sampled"] == sum(a["sampled"] for a in answers)
    assert _state(many, many_sink) == _state(one, one_sink)


@given(st.lists(st.text(max_size=8), max_size=50), st.floats(0, 1))
def test_the_sampling_decision_is_that_of_single_rows(ids: list[str], rate: float) -> None:
    mask = sampled_rows(ids, rate)
    expected = [sampled(text, rate) for text in ids]
    assert (expected == [True] * len(ids)) if mask is None else (mask.tolist() == expected)


def test_mixing_leaves_the_hashes_handed_over_as_they_are() -> None:
    crcs = np.array([1, 2, 3], np.uint32)
    mixed_hashes(crcs)
    assert crcs.tolist() == [1, 2, 3]


def test_one_latency_is_that_of_the_whole_call_and_each_row_took_its_share(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink)
    recorder.record_many("m", np.zeros(100), None, latency_ms=50.0)
    recorder.flush()
    (totals,) = sink.totals
    assert (totals.attempts, totals.latency_sum) == (100, pytest.approx(0.05))
    assert list(sink.rows[0].columns[ROW_LATENCY]) == [0.5] * 100


def test_a_latency_per_row_is_taken_as_it_is(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink)
    recorder.record_many("m", [0.1, 0.2], None, latency_ms=np.array([3.0, 5.0]))
    recorder.flush()
    assert sink.totals[0].latency_sum == pytest.approx(0.008)


def test_times_may_be_datetimes_of_pandas_too(make_recorder: Any, sink: Any, clock: Any) -> None:
    recorder = make_recorder(sink)
    moment = dt.datetime.fromtimestamp(clock.now - 60, dt.timezone.utc)
    recorder.record_many("m", [1.0, 2.0], None, timestamps=pd.Series([moment, moment]))
    recorder.record_many("m", [1.0], None, timestamps=np.array([moment.replace(tzinfo=None)], "datetime64[ns]"))
    recorder.record_many("m", [1.0, 2.0], None, timestamps=moment)
    recorder.flush()
    times = np.concatenate([chunk.times for chunk in sink.rows])
    assert times == pytest.approx([clock.now - 60] * 5)


def test_metadata_for_all_and_segments_stand_with_every_row(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink)
    recorder.record_many("m", [1.0, 2.0], None, metadata={"job": 7}, segment=["web", "app"])
    recorder.record_many("m", [3.0], None, metadata=[{"segment": "own", "k": 1}], segment="web")
    recorder.record_many("m", [4.0], None, segment="web")
    recorder.flush()
    assert [m for chunk in sink.rows for m in chunk.columns[ROW_METADATA]] == [
        {"job": 7, "segment": "web"}, {"job": 7, "segment": "app"}, {"segment": "web", "k": 1}, {"segment": "web"},
    ]  # fmt: skip


def test_what_the_caller_changes_later_is_not_seen_unless_he_promised_not_to(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink)
    for copy in (True, False):
        array, scores, columns, dicts = np.ones((2, 2)), np.ones(2), {"a": [1.0, 1.0]}, [{"a": 1.0}, {"a": 1.0}]
        for features in (array, columns, dicts):
            recorder.record_many("m", scores, features, copy=copy)
        array[:], scores[:], columns["a"][0], dicts[0]["a"] = 9.0, 9.0, 9.0, 9.0
        recorder.flush()
        rows = _rows_of(sink)
        assert any(9.0 in row.values() for row in rows) is not copy
        sink.batches.clear()


WRONG: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "too few rows": ([1, 2, 3], np.zeros((2, 2)), {}, "features has 2 rows, there are 3 predictions"),
    "too many dicts": ([1], [{}, {}], {}, "features has 2 rows, there are 1 predictions"),
    "ragged columns": ([1, 2], {"a": [1, 2], "b": [1]}, {}, "column 'b' has 1 rows"),
    "scalars for columns": ([1, 2], {"a": 1.0}, {}, "'a' is of type float; pass one value per row"),
    "one prediction": (0.7, {"a": [1.0]}, {}, "predictions must hold one value per row, got float"),
    "text": ("yes", [{}], {}, "predictions must hold one value per row, got str"),
    "a cube": (np.zeros((2, 2, 2)), None, {}, "predictions has shape (2, 2, 2)"),
    "an array of one dimension": ([1, 2], np.zeros(2), {}, "must have 2, rows by features"),
    "actuals": ([1, 2], None, {"actuals": [1]}, "actuals has 1 values, there are 2 predictions"),
    "ids": ([1, 2], None, {"prediction_ids": ["a"]}, "prediction_ids has 1 values, there are 2 predictions"),
    "latencies": ([1, 2], None, {"latency_ms": [1.0]}, "latency_ms has 1 values"),
    "times": ([1, 2], None, {"timestamps": [1.0]}, "timestamps has 1 values"),
    "metadata": ([1, 2], None, {"metadata": [{}]}, "metadata has 1 values"),
    "errors": ([1, 2], None, {"errors": [True]}, "errors has 1 values"),
    "nothing at all": (None, None, {}, "predictions must hold one value per row, got None"),
    "no predictions": (None, {"a": [1.0]}, {}, "predictions must hold one value per row, got None"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_batch_that_does_not_fit_together_is_a_sentence_and_counts_nothing(
    mistake: str, make_recorder: Any, see: Any
) -> None:
    predictions, features, options, sentence = WRONG[mistake]
    recorder = make_recorder()
    answer = recorder.record_many("m", predictions, features, **options)
    assert answer["status"] == "error"
    assert sentence in answer["error"]
    recorder.flush()
    assert see.totals(recorder) == (0, 0, 0)


def test_an_unknown_model_and_a_closed_recorder_are_error_results(make_recorder: Any) -> None:
    recorder = make_recorder()
    assert "no model 'n' is registered" in recorder.record_many("n", [1], None)["error"]
    recorder.close()
    assert recorder.record_many("m", [1], None) == {"status": "error", "error": "the recorder is closed"}
    assert recorder.record_actuals("m", ["a"], [1]) == {"status": "error", "error": "the recorder is closed"}


def test_no_predictions_at_all_are_no_error(make_recorder: Any, see: Any) -> None:
    recorder = make_recorder()
    answer = recorder.record_many("m", [], pd.DataFrame({"a": []}), latency_ms=3.0)
    assert answer == {"status": "success", "model_id": "m", "prediction_ids": [], "sampled": 0, "recorded": 0}
    recorder.flush()
    assert see.totals(recorder) == (0, 0, 0)


def test_rows_that_there_is_no_room_for_are_counted_and_said(make_recorder: Any, sink: Any, see: Any) -> None:
    recorder = make_recorder(sink)
    recorder._engine.backlog = Backlog(50)  # 10 rows of 4 features and a prediction
    answer = recorder.record_many("m", np.zeros(25), np.zeros((25, 4)), latency_ms=100.0)
    assert (answer["recorded"], answer["sampled"]) == (25, 10)
    assert answer["warnings"] == ["the queue is full: 15 predictions are counted, but their features are not looked at"]
    recorder.flush()
    assert see.totals(recorder) == (25, 0, 10)
    assert sink.totals[0].latency_sum == pytest.approx(0.1)
    assert recorder.snapshot().names["dropped", "m", "1"].counts["queue_full"] == 15
    assert recorder.record_many("m", np.zeros(10), np.zeros((10, 4)))["sampled"] == 10  # there is room again


def test_even_where_nothing_fits_every_attempt_counts(make_recorder: Any, see: Any) -> None:
    recorder = make_recorder(max_queue=2)
    for i in range(20):
        assert recorder.record_many("m", [0.5, 0.5], None, errors=[i == 0, False])["status"] == "success"
    recorder.flush()
    attempts, errors, looked_at = see.totals(recorder)
    assert (attempts, errors) == (40, 1)
    assert looked_at < 40
    assert recorder.snapshot().names["dropped", "m", "1"].counts["queue_full"] == 39 - looked_at


calls = st.lists(
    st.tuples(st.sampled_from(["predictions", "actuals", "broken", "flush"]), st.integers(0, 30), st.integers(0, 6)),
    max_size=25,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls, st.integers(0, 60), st.integers(0, 40))
def test_whatever_was_refused_the_room_is_what_it_was_once_everything_is_flushed(
    make_recorder: Any, sink: Any, calls: list[tuple[str, int, int]], room: int, light_room: int
) -> None:
    recorder = make_recorder(sink, max_queue=20, model={"sampling_rate": 0.7})
    engine = recorder._engine
    engine.backlog, engine.light_backlog = Backlog(room), Backlog(light_room)
    for what, rows, width in calls:
        if what == "flush":
            recorder.flush()
        elif what == "actuals":
            recorder.record_actuals("m", [f"{i}" for i in range(rows)], np.ones(rows))
        else:
            failed = [i % 3 == 0 for i in range(rows)]
            features = np.zeros((rows, width)) if what == "predictions" else [Uncopyable()] * rows
            recorder.record_many("m", np.zeros(rows), features, errors=failed)
    recorder.flush()
    assert (engine.backlog.waiting, engine.light_backlog.waiting) == (0, 0)
    whole = recorder.record_actuals("m", [f"{i}" for i in range(room)], np.ones(room))
    assert whole["status"] == "success"
    recorder.flush()


def test_ground_truth_that_can_not_be_copied_takes_no_room(
    make_recorder: Any, sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = make_recorder(sink)

    def fail(column: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("modelwatch.recorder.many.reading.copied", fail)
    assert recorder.record_actuals("m", ["a", "b"], [1, 0])["status"] == "error"
    assert recorder.record_many("m", [0.5], [{"x": 1.0}])["status"] == "error"
    assert recorder._engine.backlog.waiting == 0


def test_the_last_id_of_a_batch_is_the_last_prediction(make_recorder: Any) -> None:
    recorder = make_recorder()
    answer = recorder.record_many("m", [1, 2, 3], None)
    assert len(set(answer["prediction_ids"])) == 3
    assert last_prediction_id() == answer["prediction_ids"][-1]


def test_ground_truth_of_many_predictions_is_stored_once(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink)
    answer = recorder.record_actuals("m", ["a", "b", "c"], np.array([1.0, float("nan"), 0.0]))
    assert answer == {"status": "success", "model_id": "m", "recorded": 3}
    recorder.flush()
    (chunk,) = [c for batch in sink.batches for c in batch.actuals]
    assert dict(zip(chunk.ids, chunk.values, strict=True)) == {"a": 1.0, "c": 0.0}


def test_ground_truth_that_does_not_fit_its_ids_is_a_sentence(make_recorder: Any) -> None:
    recorder = make_recorder()
    assert "actuals has 1 values, there are 2 prediction_ids" in recorder.record_actuals("m", ["a", "b"], [1])["error"]
    assert "1 of them are missing" in recorder.record_actuals("m", ["a", None], [1, 0])["error"]


def test_a_batch_of_another_version_counts_there(make_recorder: Any, see: Any) -> None:
    recorder = make_recorder()
    recorder.record_many("m", [1.0, 2.0], None, model_version="2")
    recorder.flush()
    assert see.totals(recorder, "m", "2") == (2, 0, 2)


def test_many_rows_reach_the_store_in_chunks_of_a_bounded_length(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink)
    recorder.record_many("m", np.arange(100_000.0), np.arange(100_000.0).reshape(-1, 1))
    recorder.flush()
    assert max(len(chunk.ids) for chunk in sink.rows) <= 1 << 15
    values = np.concatenate([chunk.columns["f0"] for chunk in sink.rows])
    assert (values == np.arange(100_000.0)).all()
    assert all(len(chunk.ids) == len(chunk.times) for chunk in sink.rows)
