"""What one recorder counts, keeps and hands to the store."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.recorder import RecordedModel, last_prediction_id
from modelwatch.recorder.ids import sampled
from modelwatch.recorder.open_blocks import BLOCK_BYTES, Limits
from modelwatch.records import ROW_LATENCY, ROW_METADATA, ROW_PREDICTION


def test_every_attempt_counts_and_its_row_reaches_slot_and_sink(
    make_recorder: Any, sink: Any, profile: Any, see: Any, clock: Any
) -> None:
    recorder = make_recorder(sink, model={"profile": profile})
    answer = recorder.record("m", 0.3, {"age": 5, "city": "Oslo"}, latency_ms=12.0, metadata={"who": "a"})
    recorder.record("m", 0.7, {"age": 50.0, "city": "Rome"}, latency_ms=2.0)
    assert answer["status"] == "success"
    assert answer["sampled"] is True
    assert recorder.buffered == 2
    assert see.totals(recorder) == (0, 0, 0)
    assert recorder.flush() is True
    assert see.totals(recorder) == (2, 0, 2)
    (totals,) = sink.totals
    assert (totals.attempts, totals.errors, totals.sampled, totals.latency_sum) == (2, 0, 2, pytest.approx(0.014))
    assert totals.start == clock.now // 300 * 300
    assert (totals.prediction_count, totals.prediction_sum) == (2, pytest.approx(1.0))
    (counts,) = sink.counts
    assert counts.profile_id == profile.id
    assert (counts.rows, int(counts.cells.sum())) == (2, 6)
    (chunk,) = sink.rows
    assert chunk.ids[0] == answer["prediction_id"]
    assert {name: list(column) for name, column in chunk.columns.items()} == {
        "age": [5, 50.0],
        "city": ["Oslo", "Rome"],
        ROW_PREDICTION: [0.3, 0.7],
        ROW_LATENCY: [12.0, 2.0],
        ROW_METADATA: [{"who": "a"}, None],
    }


def test_an_unknown_model_is_an_error_result_with_the_closest_name(make_recorder: Any) -> None:
    recorder = make_recorder(model={"model_id": "ad_score"})
    answer = recorder.record("ad_scor", 1, {})
    assert answer["status"] == "error"
    assert "did you mean 'ad_score'?" in answer["error"]
    for odd in (None, 3, [], {}, object()):
        assert recorder.record(odd, 1, {})["status"] == "error"
    assert recorder.record_actual("nobody", "id", 1)["status"] == "error"


def test_a_snapshot_is_taken_unless_the_caller_promises_not_to_change_the_features(
    make_recorder: Any, sink: Any
) -> None:
    recorder = make_recorder(sink)
    for copy in (True, False):
        features = {"a": 1.0, "b": 2.0}
        recorder.record("m", 0.5, features, copy=copy)
        features["a"] = 9.0
    array = np.array([0.1, 0.9])
    recorder.record("m", array, {"a": 3.0, "b": 2.0})
    array[1] = 0.0
    recorder.flush()
    assert list(sink.rows[0].columns["a"]) == [1.0, 9.0, 3.0]
    assert list(sink.rows[0].columns[ROW_PREDICTION])[2] == 0.9


def test_features_that_cannot_be_copied_are_recorded_by_reference_and_counted(make_recorder: Any, see: Any) -> None:
    class Stubborn:
        def __copy__(self) -> Stubborn:
            raise RuntimeError("no")

    recorder = make_recorder()
    assert recorder.record("m", 1.0, Stubborn())["status"] == "success"
    recorder.flush()
    assert see.totals(recorder) == (1, 0, 1)
    assert see.names(recorder, "faults", "m", "1") == {"snapshot": 1, "features": 1}


def test_failed_and_counted_only_attempts_are_not_looked_at(make_recorder: Any, sink: Any, see: Any) -> None:
    recorder = make_recorder(sink)
    assert recorder.record("m", None, {"a": 1}, error=ValueError("x"), latency_ms=1)["sampled"] is False
    assert recorder.record("m", None, {"a": 1}, error=True)["sampled"] is False
    assert recorder.record("m", None, {"a": 1}, counted_only=True)["sampled"] is False
    assert recorder.record("m", 1.0, {"a": 1}, error=False)["sampled"] is True
    recorder.flush()
    assert see.totals(recorder) == (4, 2, 1)
    assert len(sink.rows[0].ids) == 1


def test_sampling_is_decided_by_the_id_and_never_touches_totals_or_latency(
    make_recorder: Any, sink: Any, see: Any
) -> None:
    recorder = make_recorder(sink, model={"sampling_rate": 0.5})
    answers = [recorder.record("m", 0.5, {"a": 1}, latency_ms=1.0, prediction_id=f"id-{i}") for i in range(400)]
    recorder.flush()
    expected = [f"id-{i}" for i in range(400) if sampled(f"id-{i}", 0.5)]
    assert [a["prediction_id"] for a in answers if a["sampled"]] == expected
    assert see.totals(recorder) == (400, 0, len(expected))
    assert int(sink.totals[0].latency_cells.sum()) == 400
    assert sink.rows[0].ids == expected


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_sampling_is_even_over_ids_that_count_up_and_over_every_tenth_of_them(rate: float) -> None:
    hits = np.array([sampled(f"0123456789ab-{i}", rate) for i in range(20_000)])
    five_sigma = 5 * np.sqrt(rate * (1 - rate))
    assert abs(hits.mean() - rate) < five_sigma / np.sqrt(len(hits))
    for step in (2, 10):
        for first in range(step):
            part = hits[first::step]
            assert abs(part.mean() - rate) < five_sigma / np.sqrt(len(part))


def test_the_last_prediction_id_belongs_to_its_context(make_recorder: Any) -> None:
    recorder = make_recorder()
    answer = recorder.record("m", 1, {})
    assert last_prediction_id() == answer["prediction_id"]
    seen: list[str | None] = []
    thread = threading.Thread(target=lambda: seen.append(last_prediction_id()))
    thread.start()
    thread.join()
    assert seen == [None]


def test_ids_given_become_text_that_can_be_stored(make_recorder: Any, sink: Any) -> None:
    class Wordless:
        def __str__(self) -> str:
            raise RuntimeError("no")

    recorder = make_recorder(sink)
    ids = [recorder.record("m", 1, {}, prediction_id=given)["prediction_id"] for given in (7, "a\ud800", Wordless())]
    recorder.flush()
    assert ids[:2] == ["7", "a?"]
    assert sink.rows[0].ids == ids
    assert recorder.record_actual("m", Wordless(), 1)["status"] == "error"


def test_a_full_queue_drops_the_newest_and_counts_it_but_every_attempt_counts(
    make_recorder: Any, sink: Any, see: Any
) -> None:
    recorder = make_recorder(sink, max_queue=10)
    answers = [recorder.record("m", 0.5, {"a": i}, latency_ms=1.0) for i in range(100)]
    answers += [recorder.record("m", None, None, error="down") for _ in range(7)]
    assert recorder.buffered == 40
    assert [a["sampled"] for a in answers[:100]] == [True] * 10 + [False] * 90
    assert "queue is full" in answers[50]["warnings"][0]
    recorder.flush()
    recorder.flush()
    assert see.totals(recorder) == (107, 7, 10)
    assert see.names(recorder, "dropped", "m", "1") == {"queue_full": 90}
    assert sink.rows[0].columns["a"] == list(range(10))
    assert sum(t.attempts for t in sink.totals) == 107


def test_attempts_from_many_threads_are_counted_exactly_with_the_thread_running(
    make_recorder: Any, sink: Any, see: Any
) -> None:
    recorder = make_recorder(sink, start_thread=True, max_queue=64, flush_interval=0.01)

    def serve() -> None:
        for _ in range(2000):
            recorder.record("m", 0.5, {"a": 1.0}, latency_ms=1.0)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.flush() is True
    assert recorder.flush() is True
    attempts, errors, looked_at = see.totals(recorder)
    dropped = see.names(recorder, "dropped", "m", "1").get("queue_full", 0)
    assert (attempts, errors, looked_at + dropped) == (8000, 0, 8000)
    assert sum(t.attempts for t in sink.totals) == 8000
    assert sum(len(chunk.ids) for chunk in sink.rows) == looked_at


def test_several_versions_live_at_once_and_their_number_is_bounded(make_recorder: Any, see: Any) -> None:
    recorder = make_recorder()
    recorder.add_model(RecordedModel("m", "2"))
    recorder.record("m", 1, {})
    recorder.record("m", 1, {}, model_version="1")
    for i in range(30):
        recorder.record("m", 1, {}, model_version=f"canary-{i}")
    recorder.flush()
    assert see.totals(recorder, version="1") == see.totals(recorder, version="2") == (1, 0, 1)
    versions = {key[2] for key in recorder.snapshot().vectors if key[0] == "totals"}
    assert len(versions) == 21
    assert see.totals(recorder, version="__other__") == (12, 0, 12)


def test_latency_falls_in_the_first_bucket_whose_bound_it_does_not_exceed(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink, model={"latency_bounds": (0.123,)})
    for latency in (123.0, 123.1, 0.5, 99_999.0, 0, None):
        recorder.record("m", 1, {}, latency_ms=latency)
    for nonsense in (-1, float("nan"), float("inf"), "fast", True, object()):
        recorder.record("m", 1, {}, latency_ms=nonsense)
    recorder.flush()
    (totals,) = sink.totals
    bounds = [*totals.latency_bounds, float("inf")]
    assert 0.123 in bounds
    filled = {bounds[i]: int(n) for i, n in enumerate(totals.latency_cells) if n}
    assert filled == {0.0005: 2, 0.123: 1, 0.15: 1, float("inf"): 1}
    assert recorder.snapshot().names["faults", "m", "1"].counts == {"latency": 6}


def test_times_given_choose_the_interval_and_nonsense_counts_as_now(make_recorder: Any, sink: Any, clock: Any) -> None:
    recorder = make_recorder(sink, model={"count_interval": 60.0})
    hour_ago = clock.now - 3600
    moment = dt.datetime.fromtimestamp(hour_ago, dt.timezone.utc)
    for when in (hour_ago, moment, moment.isoformat(), np.datetime64(moment.replace(tzinfo=None)), int(hour_ago)):
        recorder.record("m", 1, {}, timestamp=when)
    odd_times: tuple[Any, ...] = ("yesterday", float("nan"), 1e300, -5, [], clock.now + 1e6)
    for nonsense in odd_times:
        recorder.record("m", 1, {}, timestamp=nonsense)
    recorder.flush()
    attempts = {t.start: t.attempts for t in sink.totals}
    assert attempts == {hour_ago // 60 * 60: 5, clock.now // 60 * 60: 6}
    assert recorder.snapshot().names["faults", "m", "1"].counts == {"timestamp": 6}


def test_an_interval_that_was_closed_and_opened_again_is_a_part_of_its_own(
    make_recorder: Any, sink: Any, clock: Any
) -> None:
    recorder = make_recorder(sink, model={"count_interval": 60.0})
    recorder._engine.worker._aggregator.intervals.limits = Limits(most_bytes=3 * BLOCK_BYTES)
    for minute in (0, 1, 2, 3, 0, 0):
        recorder.record("m", 1, {}, timestamp=clock.now - minute * 60)
        recorder.flush()
    by_start: Counter[float] = Counter()
    for totals in sink.totals:
        by_start[totals.start] += totals.attempts
    assert by_start[clock.now // 60 * 60] == 3
    assert sum(by_start.values()) == 6
    assert len(sink.totals) > len(by_start)


def test_however_many_models_predict_each_has_one_record_an_interval(
    make_recorder: Any, sink: Any, see: Any, profile: Any
) -> None:
    recorder = make_recorder(sink)
    models = [f"m{i}" for i in range(300)]
    for model_id in models:
        recorder.add_model(RecordedModel(model_id, profile=profile, log_predictions=False))
    for _ in range(5):
        for model_id in models:
            recorder.record(model_id, 0.5, {"age": 30.0, "city": "Oslo"})
        recorder.flush()
    for kept in (sink.totals, sink.counts, sink.minutes):
        assert len(kept) == len({record.model_id for record in kept}) == 300
    assert {t.attempts for t in sink.totals} == {c.rows for c in sink.counts} == {5}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.sampled_from([0.0, 30.0, 400.0, 4000.0]))))
def test_however_intervals_are_closed_and_opened_again_their_parts_add_up(
    make_recorder: Any, clock: Any, sink: Any, rows: list[tuple[str, int, float]]
) -> None:
    kept = type(sink)()
    recorder = make_recorder(kept)
    aggregator = recorder._engine.worker._aggregator
    aggregator.intervals.limits = aggregator.minutes.limits = Limits(comfortable_bytes=1, most_bytes=20_000)
    expected: Counter[tuple[str, float]] = Counter()
    for model_id, age, step in rows:
        clock.now += step
        bounds = (0.5,) if step == 30.0 else ()
        recorder.add_model(RecordedModel(model_id, count_interval=300.0, latency_bounds=bounds))
        at = clock.now - age * 1000.0
        recorder.record(model_id, 1, {}, timestamp=at)
        expected[model_id, at // 3600 * 3600] += 1
        recorder.flush()
    found: Counter[tuple[str, float]] = Counter()
    for totals in kept.totals:
        found[totals.model_id, totals.start // 3600 * 3600] += totals.attempts
    assert found == expected
    by_minute = Counter({(m.model_id, m.start): 0 for m in kept.minutes})
    for block in kept.minutes:
        by_minute[block.model_id, block.start] += int(block.sums[:, 0].sum())
    assert by_minute == expected


def test_metrics_are_gauges_whose_latest_time_wins_and_points_for_the_store(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink)
    recorder.set_metric("m", "auc", 0.9, 200.0, {"by": "me"})
    recorder.set_metric("m", "auc", 0.8, 100.0)
    recorder.set_metric("nobody", "auc", 0.8, 100.0)
    recorder.flush()
    assert recorder.snapshot().gauges["metrics", "m", "1"].values == {"auc": (200.0, 0.9)}
    points = [p for batch in sink.batches for p in batch.metrics]
    assert [(p.metric, p.value, p.timestamp, p.metadata) for p in points] == [
        ("auc", 0.9, 200.0, {"by": "me"}),
        ("auc", 0.8, 100.0, None),
    ]


def test_ground_truth_given_early_or_late_is_kept_by_prediction_id(make_recorder: Any, sink: Any, clock: Any) -> None:
    recorder = make_recorder(sink)
    early = recorder.record("m", 0.5, {}, actual=np.int64(1))
    assert recorder.record_actual("m", 42, [0])["prediction_id"] == "42"
    recorder.flush()
    (chunk,) = [a for batch in sink.batches for a in batch.actuals]
    assert (chunk.ids, chunk.values) == ([early["prediction_id"], "42"], [1, 0])


def test_metadata_are_cut_down_to_the_allowed_keys_and_excluded_features_are_not_kept(
    make_recorder: Any, sink: Any
) -> None:
    recorder = make_recorder(sink, model={"metadata_keys": ("a",), "exclude": ("secret",)})
    recorder.record("m", 0.5, {"x": 1, "secret": 2}, metadata={"a": 1, "ssn": 2})
    recorder.record("m", 0.5, {"x": 1}, metadata="text")
    recorder.flush()
    assert sink.rows[0].columns == {
        "x": [1, 1],
        ROW_PREDICTION: pytest.approx([0.5, 0.5]),
        ROW_METADATA: [{"a": 1}, None],
    }


def test_without_log_predictions_counts_are_stored_but_no_row(make_recorder: Any, sink: Any, profile: Any) -> None:
    recorder = make_recorder(sink, model={"log_predictions": False, "profile": profile})
    recorder.record("m", 0.3, {"age": 5, "city": "Oslo"})
    recorder.flush()
    assert sink.rows == []
    assert [c.rows for c in sink.counts] == [1]


def test_a_profile_can_be_swapped_while_recording(make_recorder: Any, sink: Any, profile: Any, see: Any) -> None:
    recorder = make_recorder(sink, model={"profile": profile})
    recorder.record("m", 0.3, {"age": 5})
    recorder.flush()
    other = see.profile(type(profile.layout)(profile.layout.features[:1]))
    recorder.set_profile("m", None, other)
    recorder.record("m", 0.3, {"age": 5})
    recorder.flush()
    assert {c.profile_id: c.rows for c in sink.counts} == {profile.id: 1, other.id: 1}
    assert recorder.layout(other.id) is other.layout
    assert recorder.layout("0" * 64) is None
    assert recorder.layout("../" * 9) is None


def test_after_close_a_record_is_an_error_result_and_closing_again_is_fine(make_recorder: Any, sink: Any) -> None:
    recorder = make_recorder(sink, start_thread=True)
    recorder.record("m", 1, {})
    recorder.close()
    recorder.close()
    assert recorder.record("m", 1, {}) == {"status": "error", "error": "the recorder is closed"}
    assert recorder.record_actual("m", "a", 1)["status"] == "error"
    recorder.set_metric("m", "auc", 1.0, 1.0)
    recorder.count_fault("m", "late")
    assert sink.totals[0].attempts == 1
    assert "modelwatch-recorder" not in {thread.name for thread in threading.enumerate()}


def test_a_failing_sink_loses_nothing_within_bounds_and_is_named_once(
    make_recorder: Any, sink: Any, see: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = make_recorder(sink)
    sink.fail = OSError("database is locked")
    for i in range(5):
        recorder.record("m", 0.5, {"a": i})
        assert recorder.flush() is False
    assert see.totals(recorder) == (5, 0, 5)
    assert [r.message for r in caplog.records if "store failed" in r.message] == [
        "modelwatch: the store failed, rows wait in memory: OSError('database is locked')"
    ]
    sink.fail = None
    assert recorder.flush() is True
    assert sum(t.attempts for t in sink.totals) == 5
    assert [value for chunk in sink.rows for value in chunk.columns["a"]] == list(range(5))
    recorder.flush()
    assert see.names(recorder, "faults", "", "")["store"] == 5


def test_rows_beyond_the_bound_are_dropped_oldest_first_and_counted(make_recorder: Any, sink: Any, see: Any) -> None:
    recorder = make_recorder(sink)
    recorder._engine.worker._pending._max_row_bytes = 2000
    sink.fail = OSError("full")
    for i in range(50):
        recorder.record("m", 0.5, {"a": i, "b": i})
        recorder.flush()
    sink.fail = None
    recorder.flush()
    recorder.flush()
    kept = [value for chunk in sink.rows for value in chunk.columns["a"]]
    assert kept == list(range(50 - len(kept), 50))
    assert 0 < len(kept) < 50
    assert see.names(recorder, "dropped", "m", "1") == {"store": 50 - len(kept)}
    assert sum(t.attempts for t in sink.totals) == 50


def test_one_chunk_that_cannot_be_written_does_not_hold_up_the_others(make_recorder: Any, sink: Any, see: Any) -> None:
    class Picky:
        def commit(self, batch: Any) -> None:
            if any("poison" in chunk.columns for chunk in batch.rows):
                raise ValueError("can't encode that")
            sink.commit(batch)

    recorder = make_recorder(Picky())
    sink.fail = OSError("first, the store is away")
    recorder.record("m", 0.5, {"good": 1})
    recorder.flush()
    recorder.record("m", 0.5, {"poison": 1})
    recorder.flush()
    sink.fail = None
    recorder.record("m", 0.5, {"good": 2})
    assert recorder.flush() is True
    assert [value for chunk in sink.rows for value in chunk.columns["good"]] == [1, 2]
    recorder.flush()
    assert see.names(recorder, "dropped", "m", "1") == {"store": 1}


class _Hostile:
    """Raises from everything that Python may ask of it."""

    def _no(self, *_: object) -> Any:
        raise RuntimeError("hostile")

    __str__ = __repr__ = __float__ = __iter__ = __len__ = __getitem__ = __eq__ = __bool__ = __copy__ = _no
    __hash__ = _no


_VALUES: st.SearchStrategy[Any] = st.deferred(
    lambda: st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.decimals(),
        st.complex_numbers(),
        st.text(),
        st.text(st.characters(categories=("Cs", "Cc"))),
        st.binary(),
        st.datetimes(),
        st.builds(object),
        st.builds(_Hostile),
        st.builds(lambda: (i for i in "abc")),
        st.builds(np.array, st.lists(st.floats(), max_size=4)),
        st.builds(lambda: np.zeros((2, 3))),
        st.builds(SimpleNamespace),
        st.just(int),
        st.lists(_VALUES, max_size=3),
        st.tuples(_VALUES, _VALUES),
        st.dictionaries(st.one_of(st.text(max_size=4), st.integers(), st.none()), _VALUES, max_size=4),
        st.sets(st.integers(), max_size=3),
    )
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(_VALUES, st.one_of(_VALUES, st.fixed_dictionaries({"age": _VALUES, "city": _VALUES})), _VALUES),
        min_size=1,
        max_size=6,
    ),
    odd=_VALUES,
)
def test_whatever_is_handed_in_nothing_is_raised_and_totals_are_right(
    make_recorder: Any, sink: Any, tmp_path: Any, profile: Any, calls: list[tuple[Any, Any, Any]], odd: Any
) -> None:
    sink = type(sink)()
    recorder = make_recorder(sink, model={"profile": profile}, storage=tmp_path / str(len(list(tmp_path.iterdir()))))
    for prediction, features, value in calls:
        also = dict.fromkeys(("actual", "metadata", "latency_ms", "prediction_id", "timestamp"), value)
        answer = recorder.record("m", prediction, features, **also)
        assert answer["status"] == "success"
    failed = True if odd is None else odd
    assert recorder.record("m", odd, odd, error=failed, model_version="1")["status"] == "success"
    assert recorder.record(odd, 1, {})["status"] in ("error", "success")
    assert recorder.flush() is True
    block = recorder.snapshot().vectors["totals", "m", "1"]
    expected_sampled = len(calls) + (odd is False)
    assert block.ints.tolist() == [len(calls) + 1, int(odd is not False), expected_sampled]
    assert sum(int(counts.cells.sum()) for counts in sink.counts) == 3 * expected_sampled
    faults = recorder.snapshot().names.get(("faults", "m", "1"))
    assert faults is None or "internal" not in faults.counts
    recorder.close()


def test_an_iterator_handed_in_as_features_is_not_consumed(make_recorder: Any) -> None:
    recorder = make_recorder()
    features = iter([1, 2, 3])
    recorder.record("m", 1, features)
    recorder.flush()
    assert list(features) == [1, 2, 3]
