"""The queue between request path and background thread: bounded in rows and in bytes, read model by model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelwatch.recorder import RecordedModel
from modelwatch.recorder.engine import PROBE_ROWS
from modelwatch.recorder.gather import BLOCK, SLICE
from modelwatch.recorder.sizes import rough_size, words_each
from modelwatch.records import ROW_LATENCY

MEGABYTE = 2**20


@pytest.mark.parametrize(
    "features",
    [
        {"text": "x" * MEGABYTE},
        {"image": np.zeros(MEGABYTE // 8)},
        [np.zeros(MEGABYTE // 8)],
        {"nested": {"texts": ["x" * 1000] * 1049}},
    ],
    ids=["text", "array", "list", "nested"],
)
def test_large_rows_fill_the_queue_by_their_bytes_and_every_attempt_counts(
    make_recorder: Any, see: Any, features: Any
) -> None:
    recorder = make_recorder(max_queue_bytes=20 * MEGABYTE)
    answers = [recorder.record("m", 0.5, features) for _ in range(200)]
    looked_at = sum(answer["sampled"] for answer in answers)
    assert 18 <= looked_at <= 22
    assert "queue is full" in answers[-1]["warnings"][0]
    recorder.flush()
    assert see.totals(recorder) == (200, 0, looked_at)
    assert see.names(recorder, "dropped", "m", "1")["queue_full"] == 200 - looked_at
    assert recorder.record("m", 0.5, features)["sampled"] is True  # there is room again


def test_rows_that_grow_all_at_once_overshoot_by_one_probe_at_most(make_recorder: Any) -> None:
    recorder = make_recorder(max_queue_bytes=20 * MEGABYTE)
    for _ in range(PROBE_ROWS // 2):
        recorder.record("m", 0.5, {"text": "x"})
    large = [recorder.record("m", 0.5, {"text": "x" * MEGABYTE})["sampled"] for _ in range(400)]
    assert sum(large) <= PROBE_ROWS + 20


def test_small_rows_fill_the_queue_by_their_number(make_recorder: Any) -> None:
    recorder = make_recorder(max_queue=1000)
    sampled = [recorder.record("m", 0.5, {"a": 1.0, "b": "Oslo"})["sampled"] for _ in range(1500)]
    assert sum(sampled) == 1000


def test_attempts_of_models_in_turn_are_counted_with_their_own_rows(make_recorder: Any, sink: Any, see: Any) -> None:
    recorder = make_recorder(sink, max_queue=10**6)
    recorder.add_model(RecordedModel("other", "1"))
    recorder.add_model(RecordedModel("rare", "1"))
    rows = BLOCK + SLICE + 7
    for i in range(rows):
        recorder.record("m", 0.5, {"i": float(i), "x": 1.0}, latency_ms=1.0)
        recorder.record("other", 0.5, {"j": float(i)}, error="down" if i % 3 == 0 else None)
    recorder.record("rare", 0.5, None)
    recorder.flush()
    failed = len(range(0, rows, 3))
    assert see.totals(recorder) == (rows, 0, rows)
    assert see.totals(recorder, "other") == (rows, failed, rows - failed)
    assert see.totals(recorder, "rare") == (1, 0, 1)
    stored = {chunk.model_id: chunk for chunk in sink.rows}
    assert stored["m"].columns["i"].tolist() == list(range(rows))
    assert list(stored["other"].columns["j"]) == [float(i) for i in range(rows) if i % 3]
    assert stored["m"].columns[ROW_LATENCY].tolist() == [1.0] * rows


def test_columns_that_come_and_go_between_slices_are_none_where_they_were_not(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink, max_queue=10**6)
    for i in range(SLICE + 1):
        recorder.record("m", 0.5, {"a": float(i), "b": 1.0} if i < SLICE else {"b": 1.0}, actual=1 if i == 3 else None)
    recorder.flush()
    column = sink.rows[0].columns["a"]
    assert list(column) == [*map(float, range(SLICE)), None]
    (actuals,) = [chunk for batch in sink.batches for chunk in batch.actuals]
    assert actuals.values == [1]


class Secretive:
    """Raises on whatever it is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __sizeof__(self) -> int:
        raise RuntimeError("sizeof")


def test_sizes_are_told_from_outside() -> None:
    assert rough_size(Secretive()) < 1000
    assert rough_size([Secretive()] * 1000) > 1000
    endless: list[Any] = []
    endless.append(endless)
    assert rough_size(endless) < 1000
    assert words_each([Secretive(), Secretive()]) >= 1
    assert words_each(np.array(["x" * 800] * 3)) == 400


def test_small_batches_are_counted_together_and_each_row_once(make_recorder: Any, sink: Any, see: Any) -> None:
    recorder = make_recorder(sink)
    added: list[int] = []
    aggregator = recorder._engine.worker._aggregator
    add = aggregator.add

    def noting(entry: Any, rows: Any, now: float) -> None:
        added.append(len(rows.ids))
        add(entry, rows, now)

    aggregator.add = noting
    for i in range(100):
        features = np.full((3, 2), float(i)) if i % 2 else [{"f0": float(i), "f1": float(i)}] * 3
        recorder.record_many("m", [0.5] * 3, features, latency_ms=3.0, errors=[False, False, i == 7])
    recorder.record("m", 0.5, {"f0": 100.0, "f1": 1.0}, error="down")
    recorder.flush()
    assert see.totals(recorder) == (301, 2, 299)
    assert sorted(added) == [2, 299]
    expected = [float(i) for i in range(100) for _ in range(3)]
    expected.remove(7.0)
    assert sorted(sink.rows[0].columns["f0"]) == expected
    assert sum(t.latency_sum for t in sink.totals) == pytest.approx(0.3)


def test_a_large_batch_is_counted_in_blocks(make_recorder: Any, sink: Any, see: Any) -> None:
    recorder = make_recorder(sink)
    recorder.record_many("m", np.zeros(7), np.zeros((7, 1)))
    recorder.record_many("m", np.zeros(3 * BLOCK + 1), np.zeros((3 * BLOCK + 1, 1)))
    recorder.flush()
    assert see.totals(recorder)[2] == 3 * BLOCK + 8
    assert recorder._engine.backlog.waiting == 0


def test_a_type_that_raises_when_it_is_asked_has_a_size_too() -> None:
    class Kind(type):
        def __getattr__(cls, name: str) -> Any:
            raise RuntimeError(name)

    assert rough_size([Kind("Made", (), {})()]) < 1000
