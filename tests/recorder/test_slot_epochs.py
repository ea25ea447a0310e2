"""A slot that is lost takes all others' counts with it: counters begin at zero, and never fall by a part."""

from __future__ import annotations

import fcntl
import json
import os
import random
import resource
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelwatch.recorder import Recorder, slotreader, slots
from modelwatch.recorder.slotindex import read_index


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(random.Random(path.name).randbytes(200_000))


def cut_short(path: Path) -> None:
    os.truncate(path, 100)


def put_a_folder_there(path: Path) -> None:
    path.unlink()
    with suppress(FileExistsError):  # its worker was quicker
        path.mkdir()


def put_a_copy_there(path: Path) -> None:
    """As a backup that is played back: the bytes are right, the file isn't the one that its worker holds."""
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.replace(path)


WAYS_TO_LOSE = [remove, damage, cut_short, put_a_folder_there]


def record(recorder: Recorder, rows: int) -> None:
    for _ in range(rows):
        recorder.record("m", 0.5, {})


def epoch(storage: Path) -> int:
    index = read_index(storage / "slots")
    assert index is not None
    return index.epoch


@pytest.fixture
def three(make_recorder: Any, tmp_path: Path) -> tuple[Recorder, Recorder, Callable[[], int]]:
    """Two living workers that counted 2 and 3, a dead one that counted 5, and what a scrape shows of them: 10."""
    dead, one, two = make_recorder(), make_recorder(), make_recorder()
    for recorder, rows in ((dead, 5), (one, 2), (two, 3)):
        record(recorder, rows)
        assert recorder.flush()
    dead.close()
    reader = Recorder(tmp_path, None, start_thread=False)

    def shown() -> int:
        block = reader.snapshot().vectors.get(("totals", "m", "1"))
        return 0 if block is None else int(block.ints[0])

    assert shown() == 10
    return one, two, shown


@pytest.mark.parametrize("lose", WAYS_TO_LOSE)
@pytest.mark.parametrize("name", ["0000.slot", "0001.slot", "0002.slot"])
def test_a_reader_that_finds_a_slot_lost_shows_zero_then_what_is_new(
    name: str, lose: Callable[[Path], None], three: Any, tmp_path: Path
) -> None:
    one, two, shown = three
    before = epoch(tmp_path)
    lose(tmp_path / "slots" / name)
    assert shown() == 0
    assert epoch(tmp_path) != before
    record(one, 4)
    assert one.flush()
    assert shown() == 4
    record(two, 1)
    assert two.flush()
    assert shown() == 5
    assert len(json.loads((tmp_path / "slots" / ".epoch").read_bytes())["slots"]) <= 3


@pytest.mark.parametrize("lose", [*WAYS_TO_LOSE, put_a_copy_there])
def test_a_worker_that_finds_its_own_slot_lost_counts_only_what_it_had_not_written(
    lose: Callable[[Path], None], three: Any, tmp_path: Path
) -> None:
    one, two, shown = three
    record(one, 4)
    lose(tmp_path / "slots" / "0001.slot")
    if lose in (damage, cut_short):  # the file is still its own: only who reads it finds out
        assert shown() == 0
    assert one.flush()
    assert shown() == 4
    record(two, 1)
    assert two.flush()
    assert shown() == 5


def test_a_worker_that_finds_the_slot_of_a_dead_one_gone_begins_the_new_epoch_without_any_reader(
    three: Any, tmp_path: Path
) -> None:
    one, _, shown = three
    (tmp_path / "slots" / "0000.slot").unlink()
    record(one, 4)
    assert one.flush()
    assert shown() == 4


@pytest.mark.parametrize("lose", WAYS_TO_LOSE)
def test_an_index_that_is_lost_is_an_epoch_that_is_over(
    lose: Callable[[Path], None], three: Any, tmp_path: Path
) -> None:
    one, two, shown = three
    index = tmp_path / "slots" / ".epoch"
    before = index.read_bytes()
    lose(index)
    assert shown() == 0
    if lose is put_a_folder_there:
        index.rmdir()
    index.write_bytes(before)
    assert shown() == 0, "what was shown as nothing does not come back"
    for recorder, total in ((one, 1), (two, 2)):
        record(recorder, 1)
        assert recorder.flush()
        assert shown() == total


def test_a_folder_that_somebody_removes_is_made_anew_by_each_worker_as_it_counts(three: Any, tmp_path: Path) -> None:
    one, two, shown = three
    shutil.rmtree(tmp_path / "slots")
    assert shown() == 0
    for recorder, rows, total in ((two, 1, 1), (one, 2, 3), (two, 1, 4)):
        record(recorder, rows)
        assert recorder.flush()
        assert shown() == total


def test_a_slot_made_anew_on_the_inode_of_the_one_that_is_gone_is_read(
    three: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat = os.fstat

    def of_one_inode(fd: int) -> os.stat_result:
        there = fstat(fd)
        return os.stat_result((there[0], 1, *there[2:]))

    monkeypatch.setattr(slotreader, "os", SimpleNamespace(**{**vars(os), "fstat": of_one_inode}))
    one, two, shown = three
    assert shown() == 10
    shutil.rmtree(tmp_path / "slots")
    assert shown() == 0
    for recorder, total in ((one, 1), (two, 2), (one, 3), (two, 4)):
        record(recorder, 1)
        assert recorder.flush()
        assert shown() == total


def test_a_reader_that_cannot_begin_an_epoch_shows_nothing_until_somebody_does(
    three: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, shown = three
    monkeypatch.setattr(slots, "LOCK_PATIENCE_SECONDS", 0.01)
    slot = tmp_path / "slots" / "0000.slot"
    with open(tmp_path / "slots" / ".lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        slot.rename(tmp_path / "away")
        assert shown() == 0
        (tmp_path / "away").rename(slot)
        assert shown() == 0, "what was shown as nothing does not come back"
    assert shown() == 0
    record(one, 1)
    assert one.flush()
    assert shown() == 1


def test_a_process_that_can_open_no_more_files_shows_what_it_read_last(three: Any) -> None:
    one, _, shown = three
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert shown() == 10
        record(one, 4)
        assert not one.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert shown() == 10
    assert one.flush()
    assert shown() == 14


def test_workers_that_all_notice_at_once_go_over_to_one_epoch(make_recorder: Any, see: Any, tmp_path: Path) -> None:
    workers = [make_recorder() for _ in range(8)]
    for worker in workers:
        record(worker, 10)
        worker.flush()
    assert see.totals(workers[0])[0] == 80
    for _ in range(5):
        (tmp_path / "slots" / "0003.slot").unlink()
        start = threading.Barrier(len(workers))

        def flush(worker: Recorder, start: threading.Barrier = start) -> None:
            record(worker, 1)
            start.wait()
            assert worker.flush()

        threads = [threading.Thread(target=flush, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert see.totals(workers[0])[0] <= 8
        assert {path.name for path in (tmp_path / "slots").glob("*.slot")} == {f"{i:04d}.slot" for i in range(8)}
        for worker in workers:
            record(worker, 1)
            assert worker.flush()
        assert 8 <= see.totals(workers[0])[0] <= 16


def test_a_worker_that_finds_its_slot_lost_and_the_folder_unusable_counts_alone_from_zero(
    three: Any, tmp_path: Path, see: Any
) -> None:
    one, _, _ = three
    shutil.rmtree(tmp_path / "slots")
    (tmp_path / "slots").write_text("something else")
    record(one, 4)
    assert one.flush()
    assert one.shared is False
    assert see.totals(one)[0] == 4


def test_gauges_outlive_an_epoch(three: Any, tmp_path: Path) -> None:
    one, two, _ = three
    one.set_metric("m", "auc", 0.75, 1.0)
    two.set_metric("m", "f1", 0.5, 1.0)
    one.flush()
    two.flush()
    (tmp_path / "slots" / "0000.slot").unlink()
    for recorder in (one, two):
        assert {n: v for n, (_, v) in recorder.snapshot().gauges["metrics", "m", "1"].values.items()} == {
            "auc": 0.75,
            "f1": 0.5,
        }
        record(recorder, 1)
        recorder.flush()


def test_a_copy_of_a_slot_in_the_folder_counts_nowhere_and_is_taken_over_empty(
    three: Any, make_recorder: Any, tmp_path: Path
) -> None:
    _, _, shown = three
    folder = tmp_path / "slots"
    shutil.copyfile(folder / "0001.slot", folder / "0009.slot")
    assert shown() == 10
    for total in (11, 12):  # the first takes the dead worker's slot over, the second the copy
        recorder = make_recorder()
        record(recorder, 1)
        assert recorder.flush()
        assert shown() == total
    index = read_index(folder)
    assert index is not None
    assert index.slots == {"0000.slot", "0001.slot", "0002.slot", "0009.slot"}


class World:
    """Workers on one storage to which everything happens that can, and a Prometheus that scrapes them."""

    def __init__(self, make_recorder: Any, storage: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.make, self.folder = make_recorder, storage / "slots"
        self.workers = [make_recorder() for _ in range(3)]
        self.readers = [Recorder(storage, None, start_thread=False) for _ in range(2)]
        self.recorded = self.increase = self.last = 0

    def count(self) -> None:
        rows = self.rng.randrange(5)
        record(self.rng.choice(self.workers), rows)
        self.recorded += rows

    def flush(self) -> None:
        assert self.rng.choice(self.workers).flush()

    def replace_worker(self) -> None:
        self.workers.pop(self.rng.randrange(3)).close()
        self.workers.append(self.make())

    def lose(self) -> None:
        paths = [path for path in sorted(self.folder.glob("*.slot")) if path.is_file()]
        if paths:
            self.rng.choice(WAYS_TO_LOSE)(self.rng.choice(paths))

    def lose_index(self) -> None:
        (self.folder / ".epoch").unlink(missing_ok=True)

    def scrape(self) -> None:
        """As ``increase()`` does: a fall is a restart from zero."""
        block = self.rng.choice(self.readers).snapshot().vectors.get(("totals", "m", "1"))
        now = 0 if block is None else int(block.ints[0])
        self.increase += now - self.last if now >= self.last else now
        self.last = now

    def step(self) -> None:
        (happens,) = self.rng.choices(
            [self.count, self.flush, self.scrape, self.replace_worker, self.lose, self.lose_index],
            [20, 20, 20, 4, 2, 1],
        )
        happens()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_lost_whenever_prometheus_never_counts_anything_twice(
    seed: int, make_recorder: Any, tmp_path: Path
) -> None:
    world = World(make_recorder, tmp_path, seed)
    for _ in range(400):
        world.step()
        assert world.increase <= world.recorded
    assert world.increase > world.recorded / 3


def test_while_workers_are_at_work_nothing_is_counted_twice_either(make_recorder: Any, tmp_path: Path) -> None:
    world = World(make_recorder, tmp_path, 7)
    stop, recorded = threading.Event(), [0, 0, 0]

    def work(number: int) -> None:
        while not stop.is_set():
            recorded[number] += 2
            record(world.workers[number], 2)
            world.workers[number].flush()  # False where it finds its slot lost just then: it is tried again

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(3000):
            if turn % 8 == 0:
                (world.lose if turn % 40 else world.lose_index)()
            world.scrape()
            assert world.increase <= sum(recorded)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for worker in world.workers:
        record(worker, 1)
        assert worker.flush()
        assert worker.shared
    world.scrape()
    assert 0 < world.increase <= sum(recorded) + 3
