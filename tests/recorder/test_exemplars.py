"""The latest prediction in each latency bucket: kept by every worker, shown by whichever is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.recorder import Recorder
from modelwatch.recorder.exemplars import ID_BYTES, Exemplars

KEY = ("latency", "m", "1")


def shown(recorder: Recorder, key: tuple[str, ...] = KEY) -> dict[int, tuple[float, float, str]]:
    """Return what a scrape would show, by the place of the bucket: when, seconds, id."""
    block = recorder.snapshot().exemplars.get(key)
    found = {} if block is None else block.latest
    return {place: (at, seconds, name.decode()) for place, (at, seconds, name) in found.items()}


def ids(recorder: Recorder) -> set[str]:
    return {name for _, _, name in shown(recorder).values()}


def test_each_bucket_shows_its_latest_prediction_with_time_and_seconds(make_recorder: Any, clock: Any) -> None:
    recorder = make_recorder(model={"latency_bounds": (0.02,)})
    for number, latency in enumerate((12.0, 700.0, 19.0, 99_000.0, 15.0)):
        clock.now += 1
        recorder.record("m", 0.5, {}, latency_ms=latency, prediction_id=f"p{number}")
    recorder.flush()
    bounds = recorder.entries()[0].bounds
    places = [int(np.searchsorted(bounds, seconds)) for seconds in (0.015, 0.7, 99.0)]
    assert places[2] == len(bounds)
    assert shown(recorder) == {
        places[0]: (clock.now, 0.015, "p4"),
        places[1]: (clock.now - 3, 0.7, "p1"),
        places[2]: (clock.now - 1, 99.0, "p3"),
    }


def test_failures_and_predictions_that_are_not_sampled_or_not_timed_are_no_examples(make_recorder: Any) -> None:
    recorder = make_recorder(model={"sampling_rate": 0.5})
    recorder.record("m", None, {}, latency_ms=1.0, error=True, prediction_id="failed")
    recorder.record("m", 0.5, {}, prediction_id="without")
    answers = [recorder.record("m", 0.5, {}, latency_ms=float(2**i), prediction_id=f"p{i}") for i in range(14)]
    for odd in (None, -1.0, float("nan"), "soon"):
        answers.append(recorder.record("m", 0.5, {}, latency_ms=odd, prediction_id=f"odd {odd}"))
    recorder.flush()
    sampled = {answer["prediction_id"] for answer in answers if answer["sampled"]}
    assert 2 < len(ids(recorder)) <= len(sampled) < len(answers)
    assert ids(recorder) <= {name for name in sampled if name.startswith("p")}


def test_whoever_is_asked_shows_those_of_all_workers_and_the_latest_wins(make_recorder: Any, clock: Any) -> None:
    first, second = make_recorder(), make_recorder()
    first.record("m", 0.5, {}, latency_ms=3.0, prediction_id="early")
    first.record("m", 0.5, {}, latency_ms=800.0, prediction_id="slow")
    clock.now += 5
    second.record("m", 0.5, {}, latency_ms=3.0, prediction_id="late")
    second.flush()
    first.flush()
    assert ids(first) == ids(second) == {"late", "slow"}
    clock.now += 5
    first.record("m", 0.5, {}, latency_ms=3.0, prediction_id="again")
    first.flush()
    assert ids(first) == ids(second) == {"again", "slow"}


def test_they_outlive_the_worker_that_saw_them(make_recorder: Any, clock: Any) -> None:
    first = make_recorder()
    first.record("m", 0.5, {}, latency_ms=3.0, prediction_id="a")
    first.close()
    second = make_recorder()
    clock.now += 1
    second.record("m", 0.5, {}, latency_ms=800.0, prediction_id="b")
    second.flush()
    assert ids(second) == {"a", "b"}


def test_those_of_a_retired_model_or_of_buckets_that_are_gone_are_not_shown(make_recorder: Any, tmp_path: Any) -> None:
    recorder = make_recorder()
    recorder.record("m", 0.5, {}, latency_ms=3.0, prediction_id="a")
    recorder.flush()
    other = make_recorder(model={"latency_bounds": (0.004,)})
    other.record("m", 0.5, {}, latency_ms=3.0, prediction_id="b")
    other.flush()
    block = recorder.snapshot()
    assert block.exemplars[KEY].layout == block.vectors[KEY].layout
    assert len(ids(recorder)) == 1
    recorder.retire({"m"})
    assert shown(recorder) == {}


def test_ids_of_any_text_are_kept_if_they_fit(make_recorder: Any) -> None:
    recorder = make_recorder()
    for latency, name in ((1.0, "ü" * (ID_BYTES // 2)), (30.0, 'a "b"\\\n'), (400.0, "x" * (ID_BYTES + 1))):
        recorder.record("m", 0.5, {}, latency_ms=latency, prediction_id=name)
    recorder.flush()
    assert ids(recorder) == {"ü" * (ID_BYTES // 2), 'a "b"\\\n'}


def test_batches_have_them_too(make_recorder: Any) -> None:
    recorder = make_recorder()
    latencies = np.array([1.0, 1.0, 40.0, np.nan, 700.0])
    recorder.record_many(
        "m",
        np.zeros(5),
        {"a": np.zeros(5)},
        latency_ms=latencies,
        prediction_ids=list("abcde"),
        errors=[False, False, False, False, True],
    )
    recorder.flush()
    assert ids(recorder) == {"b", "c"}


def test_the_header_of_a_slot_stays_while_ids_change(make_recorder: Any, clock: Any) -> None:
    recorder = make_recorder()
    headers = []
    for number in range(3):
        clock.now += 1
        recorder.record("m", 0.5, {}, latency_ms=3.0, prediction_id="x" * (number + 1))
        recorder.flush()
        headers.append(recorder._engine.worker._encoder._header)
    assert headers[0] is headers[1] is headers[2]
    assert ids(recorder) == {"xxx"}


ROWS = st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100), st.text("ab", min_size=1, max_size=3)), max_size=30)


@given(slices=st.lists(ROWS, max_size=4), sampling=st.randoms(use_true_random=False))
def test_slices_keep_what_rows_one_by_one_would(slices: list[Any], sampling: Any) -> None:
    by_slice, by_row = Exemplars("x"), Exemplars("x")
    for rows in slices:
        timed = np.array([row for row in range(len(rows)) if sampling.random() < 0.7], np.intp)
        places = np.array([place for place, _, _ in rows], np.intp)[timed]
        values = places / 10 + 0.01
        times = np.array([at for _, at, _ in rows])
        by_slice.keep(places, [name for _, _, name in rows], values, times, timed)
        last = {int(place): int(row) for place, row in zip(places, timed, strict=True)}
        for place, row in last.items():
            by_row.put(place, rows[row][1], place / 10 + 0.01, rows[row][2].encode())
    assert by_slice.latest == by_row.latest
