"""The score of the predicted class: kept beside the class, and counted where the reference has such scores."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.profile import ReferenceProfile
from modelwatch.profile.cells import CellAssigner
from modelwatch.recorder.outcomes import scored_predictions
from modelwatch.recorder.reading import read_predictions
from modelwatch.records import MISSING, PREDICTION, PREDICTION_SCORE, ROW_PREDICTION

MATRIX = np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.3, 0.4, 0.3]])
TOP = [0.7, 0.8, 0.4]
GIVEN = {
    "vectors": MATRIX.tolist(),
    "arrays": list(MATRIX),
    "float32": list(MATRIX.astype(np.float32)),
    "rows of one": [[row] for row in MATRIX.tolist()],
    "mappings": [{str(i): value for i, value in enumerate(row)} for row in MATRIX.tolist()],
    "matrix": MATRIX,
    "frame": pd.DataFrame(MATRIX, columns=["cat", "dog", "fox"]),
    "objects": MATRIX.astype(object),
}


@pytest.fixture(scope="module")
def scored() -> ReferenceProfile:
    """Return a reference with scores of classes."""
    rng = np.random.default_rng(0)
    return ReferenceProfile.build({"age": rng.normal(size=2000)}, rng.dirichlet([4.0, 2.0, 1.0], 2000))


def stored(sink: Any, name: str) -> list[Any]:
    return [value for chunk in sink.rows for value in list(chunk.columns.get(name, [None] * len(chunk.ids)))]


def cells_of(sink: Any, profile: ReferenceProfile, name: str) -> np.ndarray:
    place = profile.layout.members.index(profile.member(name))
    first = profile.layout.offsets[place]
    return cast("np.ndarray", sum(counts.cells for counts in sink.counts))[first : first + profile.member(name).size]


@pytest.mark.parametrize("kind", GIVEN)
def test_the_class_and_its_score_are_stored_and_counted(
    kind: str, make_recorder: Any, sink: Any, scored: ReferenceProfile
) -> None:
    recorder = make_recorder(sink, model={"task": "multiclass", "profile": scored})
    assert recorder.record_many("m", GIVEN[kind], {"age": [0.0, 0.1, 0.2]})["recorded"] == 3
    recorder.flush()
    assert stored(sink, ROW_PREDICTION) == ["2", "0", "1"]
    assert stored(sink, PREDICTION_SCORE) == pytest.approx(TOP)
    expected = CellAssigner(scored.layout).bin({PREDICTION_SCORE: stored(sink, PREDICTION_SCORE)}, 3, ["2", "0", "1"])
    first = scored.layout.offsets[1]
    assert expected.cells[first:].sum() == 6
    np.testing.assert_array_equal(sum(counts.cells for counts in sink.counts)[first:], expected.cells[first:])


def test_a_batch_counts_as_its_rows_do(make_recorder: Any, sink: Any, tmp_path: Any, scored: ReferenceProfile) -> None:
    other = type(sink)()
    model = {"task": "multiclass", "profile": scored}
    one = make_recorder(sink, model=model, storage=tmp_path / "one")
    many = make_recorder(other, model=model, storage=tmp_path / "many")
    for row in MATRIX:
        one.record("m", row, {"age": 0.5})
    many.record_many("m", MATRIX, {"age": [0.5] * 3})
    for recorder in (one, many):
        recorder.flush()
    assert cells_of(sink, scored, PREDICTION_SCORE).tolist() == cells_of(other, scored, PREDICTION_SCORE).tolist()
    assert stored(sink, PREDICTION_SCORE) == stored(other, PREDICTION_SCORE) == TOP


def test_an_array_is_looked_at_by_the_background_thread_and_may_change_after_the_call(
    make_recorder: Any, sink: Any
) -> None:
    recorder = make_recorder(sink, model={"task": "multiclass"})
    mine = MATRIX.copy()
    recorder.record_many("m", mine, None)
    mine[:] = 0.0
    recorder.flush()
    assert stored(sink, PREDICTION_SCORE) == TOP
    assert read_predictions(MATRIX) is MATRIX


@pytest.mark.parametrize("step", [1, 2])
def test_arrays_rows_and_labels_count_together(
    step: int, make_recorder: Any, sink: Any, scored: ReferenceProfile, clock: Any
) -> None:
    recorder = make_recorder(sink, model={"task": "multiclass", "profile": scored, "count_interval": 60.0})
    recorder.record_many("m", MATRIX, {"age": [0.5] * 3}, timestamps=[clock.now - 90.0, clock.now, clock.now])
    if step == 2:
        recorder.record_many("m", ["1", MATRIX[0], None], {"age": [0.5] * 3})
    recorder.record_many("m", MATRIX[:2], {"age": [0.5] * 2})
    recorder.flush()
    labels = sorted(filter(None, stored(sink, ROW_PREDICTION)))
    assert labels == sorted(["2", "0", "1", "2", "0", *(["1", "2"] if step == 2 else [])])
    scores = [score for score in stored(sink, PREDICTION_SCORE) if score is not None and not math.isnan(score)]
    assert sorted(scores) == sorted([*TOP, *TOP[:2], *([0.7] if step == 2 else [])])
    assert cells_of(sink, scored, PREDICTION_SCORE).sum() == 5 + 3 * (step == 2)


def test_all_scores_that_wait_count_as_memory(make_recorder: Any) -> None:
    recorder = make_recorder(model={"task": "multiclass"})
    recorder.record_many("m", np.zeros((10, 500)), None)
    assert recorder._engine.backlog.waiting >= 5000
    recorder.flush()
    assert recorder._engine.backlog.waiting == 0


def test_labels_alone_are_stored_and_counted_as_ever(make_recorder: Any, sink: Any) -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(["cat", "dog", "fox"], 2000).tolist()
    profile = ReferenceProfile.build({"age": rng.normal(size=2000)}, labels)
    recorder = make_recorder(sink, model={"task": "multiclass", "profile": profile})
    for label in ("cat", "dog", "emu"):
        recorder.record("m", label, {"age": 0.5})
    recorder.flush()
    assert stored(sink, ROW_PREDICTION) == ["cat", "dog", "emu"]
    assert all(PREDICTION_SCORE not in chunk.columns for chunk in sink.rows)
    assert cells_of(sink, profile, PREDICTION).sum() == 3


def test_where_the_reference_has_labels_alone_scores_are_kept_for_the_next_one(make_recorder: Any, sink: Any) -> None:
    profile = ReferenceProfile.build({"age": np.arange(300.0)}, ["0", "1", "2"] * 100)
    recorder = make_recorder(sink, model={"profile": profile})
    recorder.record_many("m", MATRIX, {"age": [1.0, 2.0, 3.0]})
    recorder.flush()
    assert stored(sink, PREDICTION_SCORE) == TOP
    assert sum(counts.cells for counts in sink.counts).shape == (profile.layout.size,)


def test_a_row_without_a_score_misses_one(make_recorder: Any, sink: Any, scored: ReferenceProfile) -> None:
    recorder = make_recorder(sink, model={"task": "multiclass", "profile": scored})
    given: list[Any] = [MATRIX[0], "0", None, [math.nan] * 3, [None, 0.2, 0.6], {}, ["a", "b", "c"]]
    for value in given:
        recorder.record("m", value, {"age": 0.5})
    recorder.flush()
    assert stored(sink, ROW_PREDICTION)[:6] == ["2", "0", None, None, "2", None]
    np.testing.assert_array_equal(stored(sink, PREDICTION_SCORE), [0.7, *[math.nan] * 3, 0.6, math.nan, math.nan])
    cells = cells_of(sink, scored, PREDICTION_SCORE)
    size = scored.member(PREDICTION_SCORE).shape_size
    assert (cells[:size].sum(), cells[size + MISSING], cells.sum()) == (2, 5, 7)
    assert cells_of(sink, scored, PREDICTION).sum() == 7


def test_scores_are_counted_by_segment(make_recorder: Any, sink: Any, scored: ReferenceProfile) -> None:
    recorder = make_recorder(sink, model={"task": "multiclass", "profile": scored, "segments": ("country",)})
    recorder.record_many("m", MATRIX, {"age": [0.5] * 3}, segment=["de", "de", "it"])
    recorder.flush()
    first = scored.layout.offsets[-1]
    found = {counts.segment: int(counts.cells[first:].sum()) for counts in sink.counts}
    assert found == {"de": 2, "it": 1}


def test_rows_to_learn_from_have_their_scores(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink, model={"learning": True, "log_predictions": False})
    recorder.record_many("m", MATRIX, {"age": [0.5] * 3})
    recorder.flush()
    (chunk,) = [chunk for batch in sink.batches for chunk in batch.learning]
    assert chunk.columns[PREDICTION_SCORE].tolist() == TOP


def test_a_matrix_that_holds_no_numbers_is_refused_in_words(make_recorder: Any) -> None:
    recorder = make_recorder(model={"task": "multiclass"})
    answer = recorder.record_many("m", np.array([["a", "b", "c"]]), None)
    assert answer["status"] == "error"
    assert "must be numbers, the scores of classes" in answer["error"]


_number = st.floats(width=32) | st.none() | st.integers(-3, 3)
_row = st.one_of(st.none(), st.sampled_from(["a", "b"]), st.lists(_number, min_size=3, max_size=5), st.floats(0, 1))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(_row, max_size=8))
def test_whatever_is_scored_is_the_highest_of_its_row(rows: list[Any]) -> None:
    plain, scores, unreadable = scored_predictions(rows)
    assert (len(plain), unreadable) == (len(rows), 0)
    for place, row in enumerate(rows):
        score = math.nan if scores is None else scores[place]
        known = [v for v in row if v is not None and v == v] if isinstance(row, list) else []
        assert score == max(known) if known else math.isnan(score)
        assert not known or row[int(plain[place])] == score
