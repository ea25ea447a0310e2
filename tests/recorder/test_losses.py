"""Whatever is not stored is counted, under the model and version that it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelwatch.recorder import RecordedModel, Recorder, pending


class Picky:
    """A sink that can't write ground truth or metric values called "poison"; away after a number of commits."""

    def __init__(self, patience: int = 1000) -> None:
        self.patience = patience
        self.kept: list[Any] = []

    def commit(self, batch: Any) -> None:
        self.patience -= 1
        if self.patience < 0:
            raise OSError("the store is away")
        values = [v for chunk in batch.actuals for v in chunk.values] + [p.metric for p in batch.metrics]
        if "poison" in values:
            raise ValueError("can't encode that")
        self.kept += values


def test_ground_truth_and_metric_values_beyond_the_bounds_are_counted(
    make_recorder: Any, sink: Any, see: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MAX_CHUNKS", 3)
    monkeypatch.setattr(pending, "MAX_POINTS", 2)
    recorder = make_recorder(sink)
    sink.fail = OSError("away")
    for i in range(5):
        recorder.record_actual("m", f"{i}a", i)
        recorder.record_actual("m", f"{i}b", i)
        recorder.set_metric("m", "auc", 0.5, float(i))
        recorder.flush()
    sink.fail = None
    recorder.flush()
    recorder.flush()
    assert [i for batch in sink.batches for chunk in batch.actuals for i in chunk.ids] == [
        f"{i}{part}" for i in (2, 3, 4) for part in "ab"
    ]
    assert [p.timestamp for batch in sink.batches for p in batch.metrics] == [3.0, 4.0]
    assert see.names(recorder, "dropped", "m", "1") == {"actuals": 4, "metrics": 3}


def test_counts_of_hundreds_of_models_wait_for_a_store_that_is_away_for_hours(
    make_recorder: Any, sink: Any, clock: Any, see: Any
) -> None:
    recorder = make_recorder(sink)
    models = [f"m{i}" for i in range(300)]
    for model_id in models:
        recorder.add_model(RecordedModel(model_id, count_interval=300.0, log_predictions=False))
    sink.fail = OSError("away")
    for _ in range(40):
        for model_id in models:
            recorder.record(model_id, 0.5, {})
        recorder.flush()
        clock.now += 300.0
    sink.fail = None
    recorder.flush()
    assert sum(t.attempts for t in sink.totals) == 300 * 40
    assert sum(m.sums[:, 0].sum() for m in sink.minutes) == 300 * 40
    assert see.names(recorder, "dropped", "m7", "") == {}


def test_counts_beyond_the_bounds_are_counted_as_dropped_and_the_latest_stay(
    make_recorder: Any, sink: Any, clock: Any, see: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MAX_ABSOLUTE_BYTES", 3500)
    recorder = make_recorder(sink, model={"count_interval": 60.0, "log_predictions": False})
    begin = clock.now
    sink.fail = OSError("away")
    for _ in range(20):
        recorder.record("m", 0.5, {})
        recorder.record("m", 0.5, {}, timestamp=begin - 3600.0)
        recorder.flush()
        clock.now += 60.0
    sink.fail = None
    recorder.flush()
    recorder.flush()
    lost = 21 - len(sink.totals)
    assert lost > 10
    assert see.names(recorder, "dropped", "m", "1") == {"counts": lost}
    kept = {t.start: t.attempts for t in sink.totals}
    assert kept[(begin - 3600.0) // 60 * 60] == 20  # the first of all, and still changing
    assert (begin + 19 * 60.0) // 60 * 60 in kept


def test_ground_truth_and_metric_values_that_the_sink_refuses_are_counted(make_recorder: Any, see: Any) -> None:
    picky = Picky()
    recorder = make_recorder(picky)
    recorder.add_model(RecordedModel("other", "7"))
    recorder.record_actual("m", "a", "poison")
    recorder.record_actual("m", "b", 1)
    recorder.record_actual("other", "c", 2)
    recorder.set_metric("other", "poison", 0.5, 1.0)
    recorder.set_metric("other", "auc", 0.5, 1.0)
    assert recorder.flush() is True
    recorder.flush()
    assert picky.kept == [2, "auc"]
    assert see.names(recorder, "dropped", "m", "1") == {"actuals": 2}
    assert see.names(recorder, "dropped", "other", "7") == {"metrics": 1}


def test_what_was_refused_counts_although_the_store_goes_away_right_after(make_recorder: Any, see: Any) -> None:
    picky = Picky(patience=2)
    recorder = make_recorder(picky)
    recorder.record_actual("m", "a", "poison")
    recorder.set_metric("m", "auc", 0.5, 1.0)
    assert recorder.flush() is False
    picky.patience = 1000
    assert recorder.flush() is True
    assert picky.kept == ["auc"]
    assert see.names(recorder, "dropped", "m", "1") == {"actuals": 1}


def test_ground_truth_that_finds_the_queue_full_is_counted(make_recorder: Any, sink: Any, see: Any) -> None:
    recorder = make_recorder(sink, max_queue=5)
    answers = [recorder.record_actual("m", i, i)["status"] for i in range(40)]
    assert answers == ["success"] * 5 + ["error"] * 35
    recorder.flush()
    assert see.names(recorder, "dropped", "m", "1") == {"actuals": 35}


def test_without_a_store_nothing_counts_as_dropped(make_recorder: Any, see: Any) -> None:
    recorder = make_recorder()
    recorder.record_actual("m", "a", 1)
    recorder.set_metric("m", "auc", 0.5, 1.0)
    recorder.flush()
    recorder.flush()
    assert see.names(recorder, "dropped", "m", "1") == {}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no file system here that refuses folders so")
def test_a_folder_that_can_never_be_made_leaves_the_process_counting_alone() -> None:
    recorder = Recorder(Path("/proc/modelwatch-test"), None, start_thread=False)
    recorder.add_model(RecordedModel("m"))
    recorder.record("m", 0.5, {})
    assert recorder.flush()
    assert not recorder.shared
    assert recorder.snapshot().vectors["totals", "m", ""].ints[0] == 1
