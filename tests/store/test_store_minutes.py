"""Sums by minute in the store: what is read is what was written, before and after they are summed into days."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelwatch.exceptions import InputError, StorageError
from modelwatch.records import MINUTE_FIELDS, FlushBatch, MinuteBlock
from modelwatch.store import StoreWriter
from modelwatch.store.history import MARKER_SECONDS
from modelwatch.store.minutes import MinuteSums, pack_minutes, sum_minutes

DAY = 86400.0
HOUR = 3600.0
N = len(MINUTE_FIELDS)
NOW = 20_000 * DAY + 5 * HOUR


def block(
    start: float,
    minutes: list[int],
    value: float = 1.0,
    *,
    part: int = 0,
    version: str = "1",
    model_id: str = "m",
) -> MinuteBlock:
    return MinuteBlock(model_id, version, start, part, np.array(minutes), np.full((len(minutes), N), value))


def whole(fields: Any) -> Any:
    """Return counts where the field is a count, any number where it is a sum."""
    return np.where([name.endswith("_sum") for name in MINUTE_FIELDS], fields, np.abs(np.round(fields)))


tables = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        st.sets(st.integers(0, 59), min_size=n, max_size=n).map(sorted),
        hnp.arrays(np.float64, (n, N), elements=st.floats(-1e12, 1e12) | st.just(0.0)).map(whole),
    )
)


@given(tables)
def test_what_is_packed_comes_out_again(table: tuple[list[int], Any]) -> None:
    minutes, sums = table
    found = sum_minutes([(7200.0, pack_minutes(np.array(minutes), sums))])
    assert found.minutes.tolist() == [120 + minute for minute in minutes]
    assert np.array_equal(np.column_stack([found.sums[name] for name in MINUTE_FIELDS]), sums)


@given(st.lists(st.tuples(st.sampled_from([0.0, 3600.0, 10 * DAY, 9000 * DAY]), tables), max_size=6))
def test_blocks_are_added_minute_by_minute(blocks: list[tuple[float, tuple[list[int], Any]]]) -> None:
    expected: dict[int, Any] = {}
    for start, (minutes, sums) in blocks:
        for minute, row in zip(minutes, sums, strict=True):
            key = int(start // 60) + minute
            expected[key] = expected.get(key, 0.0) + row
    found = sum_minutes([(start, pack_minutes(np.array(m), s)) for start, (m, s) in blocks], MINUTE_FIELDS[:4])
    assert found.minutes.tolist() == sorted(expected)
    for place, name in enumerate(MINUTE_FIELDS[:4]):
        assert found.sums[name] == pytest.approx([expected[minute][place] for minute in sorted(expected)], abs=1e-3)


def test_sums_that_do_not_fit_their_minutes_are_refused() -> None:
    for minutes, sums in ((np.array([1, 2]), np.ones((1, N))), (np.array([], np.int64), np.ones((0, N)))):
        with pytest.raises(InputError, match="do not fit"):
            pack_minutes(minutes, sums)


@pytest.mark.parametrize("damage", [b"", b"M", b"X" + pack_minutes(np.array([1]), np.ones((1, N)))[1:]])
def test_bytes_that_hold_no_sums_are_an_error(damage: bytes) -> None:
    good = pack_minutes(np.array([1]), np.ones((1, N)))
    for data in (damage, good[:-1], good + b"x"):
        with pytest.raises(StorageError, match="sums by minute"):
            sum_minutes([(0.0, data)])


def same(found: MinuteSums, expected: MinuteSums) -> None:
    assert found.minutes.tolist() == expected.minutes.tolist()
    for name, column in expected.sums.items():
        assert found.sums[name] == pytest.approx(column), name


class Turned:
    """A store on a clock that a test turns."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.store = StoreWriter(folder, lambda: self.now)

    def write(self, *blocks: MinuteBlock, worker: str = "w") -> None:
        self.store.commit(FlushBatch(worker, minutes=list(blocks)))

    def roll_up(self) -> int:
        return sum(self.store.roll_up_day(m, day, self.now) for m, day in self.store.settled_days(self.now))

    def tables(self) -> tuple[int, int, int]:
        """Return how many hours there are with data, without, and how many days."""
        ask = (
            "SELECT sum(length(data) > 0), sum(length(data) = 0), (SELECT count(*) FROM minute_days) FROM minute_hours"
        )
        hours, marks, days = self.store._database.run(lambda c: c.execute(ask).fetchone())
        return hours or 0, marks or 0, days


@pytest.fixture
def turned(folder: Path) -> Any:
    made = Turned(folder)
    yield made
    made.store.close()


def test_a_flush_that_is_tried_again_changes_nothing(turned: Turned) -> None:
    turned.write(block(0.0, [1, 2]), block(0.0, [2], part=1))
    turned.write(block(0.0, [1, 2], 5.0))
    turned.write(block(0.0, [1, 2], 5.0))
    turned.write(block(0.0, [2, 3]), worker="w2")
    found = turned.store.minute_sums("m")
    assert found.minutes.tolist() == [1, 2, 3]
    assert found.sums["attempts"].tolist() == [5.0, 7.0, 1.0]


def test_only_the_minutes_fields_and_models_asked_for_come_back(turned: Turned) -> None:
    turned.write(block(0.0, list(range(60))), block(HOUR, [0, 5]), block(0.0, [7], model_id="other"))
    turned.write(block(-DAY + 23 * HOUR, [59]))
    found = turned.store.minute_sums("m", 57 * 60.0 + 1, HOUR, ["errors"])
    assert found.minutes.tolist() == [58, 59, 60]
    assert set(found.sums) == {"errors"}
    assert turned.store.minute_sums("m", -60.0, 0.0).minutes.tolist() == [-1, 0]
    assert turned.store.minute_sums("nobody").minutes.tolist() == []


@pytest.mark.parametrize("late", [False, True])
def test_summing_days_up_changes_no_answer(turned: Turned, late: bool) -> None:
    rng = np.random.default_rng(3)
    start = NOW - 4 * DAY
    for worker in ("a", "b", "c"):
        for hour in range(0, 96, 5):
            minutes = np.sort(rng.choice(60, 20, replace=False))
            sums = rng.integers(0, 500, (20, N)).astype(float) + np.where(
                [n.endswith("_sum") for n in MINUTE_FIELDS], 0.25, 0.0
            )
            for version in ("1", "2"):
                begin = (start + hour * HOUR) // HOUR * HOUR
                turned.write(MinuteBlock("m", version, begin, 0, minutes, sums), worker=worker)
    if late:  # what comes after the days were summed is added to them a day later
        turned.now += 2 * DAY
        assert turned.roll_up() > 0
        turned.write(block(start // HOUR * HOUR, [3, 4]), worker="d")
    before = turned.store.minute_sums("m")
    ranges = [(start + 5 * HOUR, start + 50 * HOUR), (start + DAY, start + DAY + 600)]
    parts = [turned.store.minute_sums("m", *asked) for asked in ranges]
    turned.now += 2 * DAY
    moved = turned.roll_up()
    assert moved == (1 if late else 120)
    assert turned.tables()[0] == 0
    same(turned.store.minute_sums("m"), before)
    for asked, part in zip(ranges, parts, strict=True):
        same(turned.store.minute_sums("m", *asked), part)


def test_hours_of_today_and_hours_written_in_the_last_day_stay(turned: Turned) -> None:
    yesterday, today = NOW // DAY * DAY - DAY, NOW // DAY * DAY
    turned.write(block(yesterday, [0]), block(today, [0]))
    turned.now += 23 * HOUR
    assert turned.roll_up() == 0  # the day before ended, but was written less than a day ago
    turned.now += 2 * HOUR
    assert turned.roll_up() == 2
    assert turned.tables() == (0, 2, 2)


def test_the_day_that_has_not_ended_is_left(turned: Turned) -> None:
    turned.now = NOW // DAY * DAY + 1.0
    turned.write(block(turned.now // DAY * DAY + 40 * HOUR, [0]))
    turned.now += 30 * HOUR
    assert turned.store.settled_days(turned.now) == []


def test_a_worker_that_wakes_up_after_days_does_not_count_its_hour_twice(turned: Turned) -> None:
    begin = NOW // DAY * DAY - DAY
    turned.write(block(begin, [0, 1], 3.0))
    turned.now += 2 * DAY
    assert turned.roll_up() == 1
    before = turned.store.minute_sums("m")
    turned.write(block(begin, [0, 1, 2], 3.0))  # absolute values: the hour as it was, and a minute more
    same(turned.store.minute_sums("m"), before)
    turned.now += MARKER_SECONDS + 1.0
    assert turned.store.forget_summed_hours(turned.now) == 1
    same(turned.store.minute_sums("m"), before)


def test_a_day_is_summed_in_bounded_steps(turned: Turned) -> None:
    begin = NOW // DAY * DAY - DAY
    for hour in range(10):
        turned.write(block(begin + hour * HOUR, [0]))
    before = turned.store.minute_sums("m")
    turned.now += 2 * DAY
    steps = [turned.store.roll_up_day("m", begin, turned.now, limit=4) for _ in range(4)]
    assert steps == [4, 4, 2, 0]
    same(turned.store.minute_sums("m"), before)


def test_hours_that_hold_no_sums_are_said_and_stop_no_other(turned: Turned, caplog: pytest.LogCaptureFixture) -> None:
    begin = NOW // DAY * DAY - DAY
    turned.write(block(begin, [0]), block(begin, [0], version="2"), block(begin, [0], model_id="other"))
    spoil = "UPDATE minute_hours SET data = x'00' WHERE model_id = 'm' AND model_version = '1'"
    turned.store._database.run(lambda c: c.execute(spoil).rowcount)
    turned.now += 2 * DAY
    assert turned.roll_up() == 2
    assert turned.tables() == (1, 2, 2)
    assert "can't be summed" in caplog.text


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from modelwatch.records import MINUTE_FIELDS, FlushBatch, MinuteBlock
from modelwatch.store import StoreWriter
store = StoreWriter(Path(sys.argv[1]), lambda: float(sys.argv[2]))
sums = np.ones((1, len(MINUTE_FIELDS)))
store.commit(FlushBatch(sys.argv[3], minutes=[MinuteBlock("m", "1", float(sys.argv[4]), 0, np.array([7]), sums)]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_that_are_killed_after_a_flush_lose_nothing(
    turned: Turned, folder: Path, wait_until: Callable[..., None]
) -> None:
    begin = NOW // DAY * DAY - DAY
    for worker in ("a", "b"):
        argv = [sys.executable, "-c", KILLED, str(folder), str(NOW), worker, str(begin)]
        assert subprocess.run(argv, check=False, timeout=60).returncode == -signal.SIGKILL
    turned.now += 2 * DAY
    assert turned.roll_up() == 2
    assert turned.store.minute_sums("m").sums["attempts"].tolist() == [2.0]
