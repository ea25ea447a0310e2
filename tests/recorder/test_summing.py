"""Slots are added up by arrays: the same sums as block by block, whatever their headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelwatch.recorder.blocks import Encoder, SlotNumbers, SlotTotals, decode, read_numbers, split_header
from modelwatch.recorder.slotindex import SlotIndex
from modelwatch.recorder.slots import SlotDirectory
from modelwatch.recorder.summing import Counting, Summing

KEYS = [("totals", "m", "1"), ("totals", "m", "2"), ("profile", "m", "1", "p", "")]
LAYOUTS = {"old": 2, "new": 3}
NAMES = st.sampled_from(["a", "b", "ü", ""])


@st.composite
def slots(draw: st.DrawFn) -> SlotTotals:
    out = SlotTotals()
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
        layout = draw(st.sampled_from(list(LAYOUTS)))
        born = (1.0 if layout == "old" else 2.0) + draw(st.floats(0, 0.5))
        block = out.vector(key, layout, LAYOUTS[layout], 1, born)
        block.ints[:] = draw(st.lists(st.integers(0, 2**50), min_size=LAYOUTS[layout], max_size=LAYOUTS[layout]))
        block.floats[0], block.touched = draw(st.floats(-1e9, 1e9)), draw(st.floats(0, 1e9))
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
        for name, amount in draw(st.dictionaries(NAMES, st.integers(0, 2**40))).items():
            out.count(key, name, amount, draw(st.floats(0, 1e9)), 100, "other")
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
        for name, (at, value) in draw(st.dictionaries(NAMES, st.tuples(st.floats(0, 5), st.floats(-9, 9)))).items():
            out.set_gauge(key, name, value, at, 100)
    for key, block in out.vectors.items():
        for place, at in draw(st.dictionaries(st.integers(0, 3), st.integers(1, 9), max_size=3)).items():
            out.exemplars_of(key, block.layout).put(place, float(at), 0.5, draw(st.sampled_from([b"id", b"y" * 64])))
    return out


def numbers(totals: SlotTotals) -> SlotNumbers:
    payload = Encoder().encode(totals)
    return read_numbers(payload, json.loads(split_header(payload)[0]))


def plain(totals: SlotTotals) -> dict[str, Any]:
    return {
        "vectors": {
            k: (b.layout, b.born, b.ints.tolist(), b.floats.tolist(), b.touched) for k, b in totals.vectors.items()
        },
        "names": {k: (b.counts, b.touched) for k, b in totals.names.items() if b.counts},
        "gauges": {k: b.values for k, b in totals.gauges.items() if b.values},
        "exemplars": {k: b.latest for k, b in totals.exemplars.items() if b.latest},
    }


@given(found=st.lists(slots(), max_size=4))
def test_the_sum_is_that_of_adding_one_slot_after_the_other(found: list[SlotTotals]) -> None:
    expected = SlotTotals()
    for totals in found:
        expected.add(decode(Encoder().encode(totals)))
    summing, parts = Summing(), [numbers(totals) for totals in found]
    assert plain(summing.sum(parts)) == plain(expected)
    assert plain(summing.sum(parts)) == plain(expected)  # with headers that are known now
    assert plain(summing.sum(parts[1:])) == plain(Summing().sum(parts[1:]))


@given(
    found=st.lists(st.tuples(slots(), st.booleans()), max_size=4),
    dropped=st.dictionaries(st.sampled_from(KEYS), st.floats(0.5, 3), max_size=2),
)
def test_what_does_not_count_is_left_out_as_by_the_index(found: list[Any], dropped: dict[Any, float]) -> None:
    index, expected = SlotIndex(7, dropped=dropped), SlotTotals()
    for totals, current in found:
        expected.add(index.counted(decode(Encoder().encode(totals)), 7 if current else 5))
    summing, parts = Summing(), [numbers(totals) for totals, _ in found]
    summing.sum(parts)
    shown = plain(summing.sum(parts, Counting(tuple(current for _, current in found), dropped)))
    assert {key: shown[key] for key in ("vectors", "names", "gauges")} == {
        key: plain(expected)[key] for key in ("vectors", "names", "gauges")
    }


def test_of_two_layouts_the_youngest_stands_with_all_that_have_it_in_whatever_order_they_are_read() -> None:
    def counted(layout: str, born: float, count: int) -> SlotNumbers:
        out = SlotTotals()
        out.vector(KEYS[0], layout, 1, 0, born).ints[0] = count
        return numbers(out)

    parts = [counted("a", 1.0, 1), counted("b", 2.0, 10), counted("a", 3.0, 100)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        block = Summing().sum([parts[i] for i in order]).vectors[KEYS[0]]
        assert (block.layout, block.born, block.ints.tolist()) == ("a", 3.0, [101])


def test_what_is_done_to_a_sum_is_not_in_the_next() -> None:
    out = SlotTotals()
    out.vector(KEYS[0], "a", 1, 1, 1.0).ints[0] = 5
    out.count(KEYS[0], "x", 1, 1.0, 9, "other")
    summing, parts = Summing(), [numbers(out)]
    first = summing.sum(parts)
    first.vectors[KEYS[0]].ints += 1
    first.names[KEYS[0]].counts["x"] += 1
    second = summing.sum(parts)
    assert (second.vectors[KEYS[0]].ints.tolist(), second.names[KEYS[0]].counts) == ([5], {"x": 1})


def test_a_slot_that_stands_is_not_parsed_again_and_a_header_only_when_it_changes(tmp_path: Path) -> None:
    writer, reader, encoder = SlotDirectory(tmp_path), SlotDirectory(tmp_path), Encoder()
    slot, totals = writer.claim()

    def read() -> SlotNumbers:
        return reader._reader.read_one(slot.path.name).numbers

    totals.vector(KEYS[0], "a", 1, 1, 1.0)
    writer.write(slot, encoder.encode(totals))
    first = read()
    assert read() is first
    totals.vectors[KEYS[0]].ints[0] = 7
    writer.write(slot, encoder.encode(totals))
    second = read()
    assert second.shape is first.shape
    assert second.ints.tolist() == [7]
    totals.count(KEYS[1], "x", 1, 1.0, 9, "other")
    writer.write(slot, encoder.encode(totals))
    assert read().shape is not first.shape
    assert reader.read()[0].names[KEYS[1]].counts == {"x": 1}
    slot.close()
