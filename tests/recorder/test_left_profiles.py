"""The counts by a profile go an hour after the last worker left it, from all slots at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.records import CellLayout, FeatureCells

HOUR = 3600.0


@pytest.fixture
def other_profile(profile: Any) -> Any:
    layout = CellLayout((FeatureCells("age", "numeric", edges=(1.0, 2.0)),))
    assert layout.id != profile.id
    return type(profile)(layout)


def counted(recorder: Recorder, profile: Any) -> int | None:
    """Return the rows that were counted by a profile, over all slots; None if there is no such block."""
    block = recorder.snapshot().vectors.get(("profile", "m", "1", profile.id, ""))
    return None if block is None else int(block.ints[-1])


def work(*recorders: Recorder, rows: int = 1) -> None:
    for recorder in recorders:
        for _ in range(rows):
            recorder.record("m", 0.3, {"age": 1.5})
        assert recorder.flush()


def swap(profile: Any, *recorders: Recorder) -> None:
    for recorder in recorders:
        recorder.set_profile("m", None, profile)


@pytest.fixture
def two(make_recorder: Any, profile: Any) -> tuple[Recorder, Recorder]:
    """Two workers that counted 3 rows each, after a dead one that counted 4."""
    dead = make_recorder(model={"profile": profile})
    one, two = (make_recorder(model={"profile": profile}) for _ in range(2))
    work(dead, rows=4)
    dead.close()
    third = make_recorder(model={"profile": profile})  # takes the dead one's slot over, so that theirs are their own
    work(one, two, rows=3)
    third.close()
    return one, two


def test_an_hour_after_all_left_it_its_counts_are_gone(
    two: Any, profile: Any, other_profile: Any, clock: Any, tmp_path: Path
) -> None:
    swap(other_profile, *two)
    work(*two)
    clock.now += HOUR - 60
    work(*two)
    assert counted(two[0], profile) == 10
    clock.now += 600
    work(two[0])
    for recorder in (*two, Recorder(tmp_path, None, start_thread=False)):
        assert counted(recorder, profile) is None
        assert counted(recorder, other_profile) == 5
    work(*two)
    sizes = [len(recorder._engine.worker._aggregator.totals.vectors) for recorder in two]
    assert sizes == [3, 3], "totals, latency and one profile"


def test_as_long_as_one_worker_counts_by_it_nothing_goes(
    two: Any, profile: Any, other_profile: Any, clock: Any
) -> None:
    one, other = two
    swap(other_profile, one)
    for hours in range(1, 4):
        work(one, other)
        clock.now += HOUR / 2
        assert counted(one, profile) == 10 + hours


def test_a_model_that_is_not_asked_for_hours_keeps_the_counts_by_its_profile(
    two: Any, profile: Any, clock: Any
) -> None:
    for _ in range(10):
        clock.now += HOUR / 2
        for recorder in two:
            assert recorder.flush()
    assert counted(two[0], profile) == 10


def test_a_worker_of_another_model_drops_what_no_living_worker_holds_and_nothing_else(
    two: Any, profile: Any, clock: Any, tmp_path: Path
) -> None:
    stranger = Recorder(tmp_path, None, clock=clock, start_thread=False)
    stranger.add_model(RecordedModel("another"))

    def pass_an_hour(*living: Recorder) -> None:
        for _ in range(7):
            clock.now += 600
            for recorder in living:
                assert recorder.flush()
            stranger.record("another", 0.5, {})
            assert stranger.flush()

    one, other = two
    pass_an_hour(one, other)
    assert counted(stranger, profile) == 10
    other.close()
    pass_an_hour(one)
    assert counted(stranger, profile) == 10
    one.close()
    pass_an_hour()
    assert counted(stranger, profile) is None
    stranger.close()


def test_a_segment_without_predictions_stays_as_long_as_its_profile(two: Any, profile: Any, clock: Any) -> None:
    one, other = two
    totals = one._engine.worker._aggregator.totals
    layout = profile.layout
    segment = totals.vector(("profile", "m", "1", profile.id, "NZ"), layout.id, layout.size + 1, 2, clock.now)
    segment.ints[-1] = 7
    for _ in range(4):
        work(one, other)
        clock.now += HOUR / 2
    assert int(one.snapshot().vectors["profile", "m", "1", profile.id, "NZ"].ints[-1]) == 7


def test_a_profile_that_comes_back_counts_from_zero_in_every_slot(
    two: Any, profile: Any, other_profile: Any, clock: Any, make_recorder: Any
) -> None:
    one, other = two
    swap(other_profile, one, other)
    clock.now += HOUR + 600
    work(one)
    assert counted(one, profile) is None
    swap(profile, one, other)
    work(other)
    assert counted(one, profile) == 1, "its own slot still holds what was dropped"
    work(one, rows=2)
    assert counted(one, profile) == 3
    third = make_recorder(model={"profile": profile})  # takes the dead one's slot over
    work(third)
    assert counted(one, profile) == 4


def test_what_is_counted_in_the_moment_of_the_drop_is_kept(
    two: Any, profile: Any, other_profile: Any, clock: Any
) -> None:
    one, other = two
    swap(other_profile, one)
    clock.now += HOUR + 600
    for _ in range(2):
        other.record("m", 0.3, {"age": 1.5})
    with other._engine._quiet_lock:
        other._engine.worker.drain(other._engine.queue, other.entries())
    work(one)  # drops it, since what the other one counted is in no slot yet
    assert counted(one, profile) is None
    assert other.flush()
    assert counted(one, profile) == 2


def test_an_index_forgets_what_was_dropped_once_no_slot_holds_it(
    two: Any, profile: Any, other_profile: Any, clock: Any, make_recorder: Any, tmp_path: Path
) -> None:
    one, other = two
    workers = [one, other, make_recorder(model={"profile": profile})]
    work(workers[2])
    profiles = [profile, other_profile]
    for turn in range(6):
        swap(profiles[(turn + 1) % 2], *workers)
        work(*workers)
        clock.now += HOUR + 600
        work(*workers)
        work(*workers)
    assert (tmp_path / "slots" / ".epoch").read_text().count("profile") <= 1
    assert counted(one, profile) == 9


def test_profiles_that_are_swapped_under_load_let_no_counter_fall(
    make_recorder: Any, profile: Any, other_profile: Any, tmp_path: Path, wait_until: Any
) -> None:
    workers = [make_recorder(model={"profile": profile}, start_thread=True, flush_interval=0.001) for _ in range(2)]
    reader = Recorder(tmp_path, None, start_thread=False)
    stop, recorded = threading.Event(), [0, 0]

    def load(number: int) -> None:
        while not stop.is_set():
            recorded[number] += workers[number].record("m", 0.3, {"age": 1.5})["sampled"]
            if recorded[number] % 100 == 0:
                stop.wait(0.001)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    seen: dict[Any, int] = {}
    try:
        for turn in range(60):
            swap((other_profile, profile)[turn % 2], workers[turn % 3 % 2])
            before = sum(recorded)
            for _ in range(5):
                now = {key: int(block.ints.sum()) for key, block in reader.snapshot().vectors.items()}
                assert all(now.get(key, 0) >= value for key, value in seen.items())
                seen = now
            wait_until(lambda: sum(recorded) > before)  # noqa: B023 - asked at once
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for worker in workers:
        assert worker.flush()
    assert (counted(reader, profile) or 0) + (counted(reader, other_profile) or 0) == sum(recorded)
    assert min(counted(reader, p) or 0 for p in (profile, other_profile)) > 0
