"""Slot files: two copies, takeover, growth, foreign and damaged files, full disks, several workers."""

from __future__ import annotations

import errno
import os
import random
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.recorder import slotfile
from modelwatch.recorder.blocks import Encoder, SlotTotals, decode
from modelwatch.recorder.slotreader import SlotReader
from modelwatch.recorder.slots import SlotDirectory

KEY = ("totals", "m", "1")


def totals(count: int, layout: str = "a", born: float = 1.0) -> SlotTotals:
    out = SlotTotals()
    out.vector(KEY, layout, 1, 1, born).ints[0] = count
    return out


def payload(count: int) -> bytes:
    return Encoder().encode(totals(count))


def shown(directory: SlotDirectory) -> int:
    block = directory.read()[0].vectors.get(KEY)
    return 0 if block is None else int(block.ints[0])


_NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
_BLOCKS = st.dictionaries(st.tuples(_NAMES, _NAMES), st.lists(st.integers(0, 2**62), max_size=4), max_size=4)


@given(
    vectors=_BLOCKS,
    names=st.dictionaries(st.tuples(_NAMES), st.dictionaries(_NAMES, st.integers(0, 2**40), max_size=3), max_size=3),
    gauges=st.dictionaries(
        st.tuples(_NAMES),
        st.dictionaries(_NAMES, st.tuples(st.floats(0, 1e10), st.floats(allow_nan=False)), max_size=3),
        max_size=3,
    ),
)
def test_a_payload_decodes_to_what_was_encoded(vectors: Any, names: Any, gauges: Any) -> None:
    given_totals = SlotTotals()
    for key, ints in vectors.items():
        block = given_totals.vector(key, "layout", len(ints), 2, 5.0)
        block.ints[:] = ints
        block.floats[:] = (0.5, -1.5)
    for key, counts in names.items():
        for name, amount in counts.items():
            given_totals.count(key, name, amount, 7.0, 100, "other")
    for key, values in gauges.items():
        for name, (at, value) in values.items():
            given_totals.set_gauge(key, name, value, at, 100)
    again = decode(Encoder().encode(given_totals))
    assert {k: (b.layout, b.born, b.ints.tolist(), b.floats.tolist()) for k, b in again.vectors.items()} == {
        k: ("layout", 5.0, ints, [0.5, -1.5]) for k, ints in vectors.items()
    }
    assert {k: b.counts for k, b in again.names.items()} == {k: b.counts for k, b in given_totals.names.items()}
    assert {k: b.values for k, b in again.gauges.items()} == {k: b.values for k, b in given_totals.gauges.items()}


def test_the_encoder_notices_new_names_and_blocks() -> None:
    encoder, counted = Encoder(), totals(1)
    encoder.encode(counted)
    counted.count(("classes",), "a", 3, 1.0, 10, "other")
    assert decode(encoder.encode(counted)).names["classes",].counts == {"a": 3}
    counted.count(("classes",), "b", 4, 1.0, 10, "other")
    assert decode(encoder.encode(counted)).names["classes",].counts == {"a": 3, "b": 4}


def test_blocks_add_only_where_layouts_are_equal_and_the_younger_layout_stands() -> None:
    summed = SlotTotals()
    for part in (totals(5, "old", 1.0), totals(7, "new", 2.0), totals(11, "old", 1.0), totals(1, "new", 2.0)):
        summed.add(part)
    block = summed.vectors[KEY]
    assert (block.layout, block.ints.tolist()) == ("new", [8])


def test_a_gauge_keeps_its_latest_value() -> None:
    summed = SlotTotals()
    for at, value in ((3.0, 30.0), (5.0, 50.0), (4.0, 40.0)):
        part = SlotTotals()
        part.set_gauge(("metrics",), "auc", value, at, 10)
        summed.add(part)
    assert summed.gauges["metrics",].values == {"auc": (5.0, 50.0)}


def test_each_worker_has_a_slot_and_a_reader_sums_them(tmp_path: Path) -> None:
    directory = SlotDirectory(tmp_path / "slots")
    slots = [directory.claim()[0] for _ in range(3)]
    for number, slot in enumerate(slots):
        directory.write(slot, payload(10**number))
    assert [slot.path.name for slot in slots] == ["0000.slot", "0001.slot", "0002.slot"]
    assert shown(SlotDirectory(tmp_path / "slots")) == 111
    for slot in slots:
        slot.close()


def test_the_slot_of_a_dead_worker_is_taken_over_and_counted_on(tmp_path: Path) -> None:
    directory = SlotDirectory(tmp_path)
    first, nothing = directory.claim()
    second, _ = directory.claim()
    assert nothing.vectors == {}
    directory.write(first, payload(5))
    directory.write(second, payload(6))
    first.close()
    taken, found = directory.claim()
    assert taken.path == first.path
    assert found.vectors[KEY].ints.tolist() == [5]
    directory.write(taken, payload(9))
    assert shown(directory) == 15
    assert len(list(tmp_path.glob("*.slot"))) == 2
    taken.close()
    second.close()


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, bytes, int]:
    """A slot that was written with 1, 2 and 3 and given up: where it is, its bytes, where its newest copy begins."""
    directory = SlotDirectory(tmp_path)
    slot, _ = directory.claim()
    for count in (1, 2, 3):
        directory.write(slot, payload(count))
    slot.close()
    return slot.path, slot.path.read_bytes(), slotfile.PAGE + slotfile.FIRST_CAPACITY * slot._index


def test_a_copy_damaged_anywhere_leaves_the_one_before_it(written: tuple[Path, bytes, int]) -> None:
    path, whole, newest = written
    rng = random.Random(3)
    for at in [*range(24), *(rng.randrange(24, 24 + len(payload(3))) for _ in range(60))]:
        torn = bytearray(whole)
        torn[newest + at] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(torn))
        assert shown(SlotDirectory(path.parent)) == 2, at
    path.write_bytes(whole)
    assert shown(SlotDirectory(path.parent)) == 3


def test_a_write_that_stops_after_any_byte_leaves_the_copy_before_it_until_it_is_whole(
    written: tuple[Path, bytes, int],
) -> None:
    path, before, newest = written
    directory = SlotDirectory(path.parent)
    slot, _ = directory.claim()
    directory.write(slot, payload(4))
    slot.close()
    after = path.read_bytes()
    older = slotfile.PAGE + slotfile.FIRST_CAPACITY * (newest == slotfile.PAGE)
    end = 24 + len(payload(4))
    assert before[:older] + after[older : older + end] + before[older + end :] == after
    for cut in range(end + 1):
        path.write_bytes(before[:older] + after[older : older + cut] + before[older + cut :])
        done = after[older + cut : older + end] == before[older + cut : older + end]
        assert shown(SlotDirectory(path.parent)) == (4 if done else 3), cut


def test_a_slot_whose_header_is_damaged_or_that_ends_early_is_lost_with_all_it_held(
    written: tuple[Path, bytes, int],
) -> None:
    path, whole, _ = written
    for at in range(28):  # magic, version, page, capacity, their CRC
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert SlotReader(path.parent).lost(path.name), at
    for end in (0, 1, 27, 28, slotfile.PAGE - 1, slotfile.PAGE, slotfile.PAGE + 23):
        path.write_bytes(whole[:end])
        assert SlotReader(path.parent).lost(path.name), end
    path.write_bytes(whole[: slotfile.PAGE + 24 + len(payload(3))])
    assert SlotReader(path.parent).lost(path.name) is False


def test_a_failed_write_leaves_the_newer_copy_and_is_made_good_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = SlotDirectory(tmp_path)
    slot, _ = directory.claim()
    directory.write(slot, payload(1))
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:50], offset))
    for _ in range(3):
        with pytest.raises(OSError, match="short write") as caught:
            directory.write(slot, payload(2))
        assert caught.value.errno == errno.ENOSPC
        assert shown(directory) == 1
    monkeypatch.undo()
    directory.write(slot, payload(2))
    assert shown(directory) == shown(SlotDirectory(tmp_path)) == 2
    slot.close()


def test_a_slot_grows_by_a_larger_file_in_its_place(tmp_path: Path) -> None:
    directory, reader = SlotDirectory(tmp_path), SlotDirectory(tmp_path)
    slot, _ = directory.claim()
    directory.write(slot, payload(1))
    assert shown(reader) == 1
    large = SlotTotals()
    large.vector(KEY, "a", 100_000, 1, 1.0).ints[0] = 7
    directory.write(slot, Encoder().encode(large))
    assert shown(reader) == 7
    assert not slot.lost()
    for count in (8, 9):
        large.vectors[KEY].ints[0] = count
        directory.write(slot, Encoder().encode(large))
    assert shown(reader) == shown(SlotDirectory(tmp_path)) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == [".epoch", ".lock", "0000.slot"]
    other, _ = directory.claim()
    assert other.path.name == "0001.slot"
    slot.close()
    other.close()


def test_foreign_and_damaged_files_are_neither_read_nor_taken_and_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = SlotDirectory(tmp_path)
    slot, _ = directory.claim()
    directory.write(slot, payload(4))
    (tmp_path / "0001.slot").write_text("somebody's notes")
    (tmp_path / "0002.slot").write_bytes(b"")
    whole = bytearray(slot.path.read_bytes())
    whole[slotfile.PAGE : slotfile.PAGE + 40] = whole[slotfile.PAGE + 65536 : slotfile.PAGE + 65576] = bytes(40)
    (tmp_path / "0003.slot").write_bytes(bytes(whole))
    newer = bytearray(slot.path.read_bytes())
    newer[8] = 9
    (tmp_path / "0004.slot").write_bytes(bytes(newer))
    (tmp_path / "0005.slot").mkdir()
    (tmp_path / "0006.slot").symlink_to("0000.slot")
    (tmp_path / "0007.slot").symlink_to("nowhere")
    os.mkfifo(tmp_path / "0008.slot")
    (tmp_path / "0009.slot").write_bytes(random.Random(1).randbytes(300_000))
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # a socket's path must be short
        listener.bind("0010.slot")
    (tmp_path / "readme.txt").write_text("not a slot by its name")
    found, problems = directory.read()
    assert found.vectors[KEY].ints.tolist() == [4]
    named = [Path(problem.split(" is skipped")[0]).name for problem in problems]
    assert named == [f"{i:04d}.slot" for i in range(1, 11)]
    assert directory.read()[1] == []
    another, nothing = directory.claim()
    assert another.path.name == "0011.slot"
    assert nothing.vectors == {}
    assert shown(directory) == 4
    assert (tmp_path / "0001.slot").read_text() == "somebody's notes"
    slot.close()
    another.close()


def test_what_a_kill_left_half_made_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "0000.slot.tmp").write_bytes(b"half")
    slot, _ = SlotDirectory(tmp_path).claim()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".epoch", ".lock", "0000.slot"]
    slot.close()


def test_a_folder_that_cannot_be_used_means_counting_alone_with_one_warning(
    make_recorder: Any, tmp_path: Path, see: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "slots").write_text("a file where the folder should be")
    recorder = make_recorder()
    for _ in range(3):
        recorder.record("m", 1, {})
        assert recorder.flush() is True
    assert recorder.shared is False
    assert see.totals(recorder) == (3, 0, 3)
    assert len([r for r in caplog.records if "counts alone" in r.message]) == 1
    assert see.names(recorder, "faults", "", "") == {"slots_unusable": 1}


def test_a_folder_put_where_a_slot_was_to_be_is_gone_round(
    make_recorder: Any, see: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = make_recorder()
    create = slotfile.create_file

    def create_while_somebody_makes_a_folder(path: Path, *args: Any) -> int:
        (tmp_path / "slots" / "0000.slot").mkdir(exist_ok=True)
        return create(path, *args)

    monkeypatch.setattr(slotfile, "create_file", create_while_somebody_makes_a_folder)
    recorder.record("m", 1, {})
    assert recorder.flush() is False
    assert recorder.shared
    assert recorder.flush() is True
    assert see.totals(recorder) == (1, 0, 1)
    assert (tmp_path / "slots" / "0001.slot").is_file()


def test_while_the_disk_is_full_counting_goes_on_in_memory_and_is_written_later(
    make_recorder: Any, see: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = make_recorder()
    recorder.record("m", 1, {})
    assert recorder.flush() is True

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    for _ in range(3):
        recorder.record("m", 1, {})
        assert recorder.flush() is False
    assert see.totals(recorder) == (1, 0, 1)
    assert len([r for r in caplog.records if "counters are not written" in r.message]) == 1
    monkeypatch.undo()
    assert recorder.flush() is True
    assert see.totals(recorder) == (4, 0, 4)
    assert see.names(recorder, "faults", "", "") == {"disk_full": 3}
    assert recorder.shared is True


def test_a_restarted_worker_counts_on_and_a_changed_layout_starts_that_block_at_zero(
    make_recorder: Any, see: Any
) -> None:
    first = make_recorder()
    first.record("m", 1, {}, latency_ms=1.0)
    first.close()
    second = make_recorder(model={"latency_bounds": (0.123,)})
    second.record("m", 1, {}, latency_ms=1.0)
    second.flush()
    assert see.totals(second) == (2, 0, 2)
    latency = second.snapshot().vectors["latency", "m", "1"]
    assert int(latency.ints.sum()) == 1
    assert "0.123" in latency.layout


def test_two_workers_see_the_same_sum(make_recorder: Any, see: Any, profile: Any) -> None:
    one, two = (make_recorder(model={"profile": profile}) for _ in range(2))
    for recorder, rows in ((one, 3), (two, 4)):
        for _ in range(rows):
            recorder.record("m", 0.3, {"age": 15.0, "city": "Oslo"})
        recorder.flush()
    for recorder in (one, two):
        assert see.totals(recorder) == (7, 0, 7)
        block = recorder.snapshot().vectors["profile", "m", "1", profile.id, ""]
        assert int(block.ints[-1]) == 7
        assert block.ints[:-1].sum() == 21
        assert np.allclose(block.floats, [7 * 15.0, 0.0, 7 * 0.3])
