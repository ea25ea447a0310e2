"""The counters of one worker in memory, and how they are laid out in a slot.

A block is found by its family and label values, never by its position, because label sets appear at run time:

- a *vector* block has a fixed layout (text that says what its numbers are); blocks add only where layouts are equal,
  and a block whose layout changes starts again at zero, whole;
- a *names* block counts by name (classes, reasons); new names are appended;
- a *gauges* block holds (time, value) by name; the latest wins;
- an *exemplars* block belongs to the vector block of its key, and holds (time, value, id) by place; the latest wins.

Payload: ``u32 header length | header (JSON) | padding to 8 | int64 … | float64 …``, all little-endian. The header lists
the blocks in order; the numbers follow in that order.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from modelwatch.recorder.exemplars import ID_INTS, Exemplars
from modelwatch.records import FloatArray, IntArray

BlockKind = Literal["vector", "names", "gauges", "exemplars"]
Key = tuple[str, ...]
"""Family, then label values."""

_LENGTH = struct.Struct("<I")


@dataclass
class VectorBlock:
    """Counts and sums of a fixed layout."""

    layout: str
    born: float
    ints: IntArray
    floats: FloatArray
    touched: float = 0.0
    """When it last counted anything; 0 for never."""


@dataclass
class NamesBlock:
    """Counts by name."""

    counts: dict[str, int] = field(default_factory=dict)
    touched: float = 0.0


@dataclass
class GaugesBlock:
    """(time, value) by name."""

    values: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass
class SlotTotals:
    """Blocks by key: one worker's, or the sum over workers."""

    vectors: dict[Key, VectorBlock] = field(default_factory=dict)
    names: dict[Key, NamesBlock] = field(default_factory=dict)
    gauges: dict[Key, GaugesBlock] = field(default_factory=dict)
    exemplars: dict[Key, Exemplars] = field(default_factory=dict)

    def vector(self, key: Key, layout: str, n_ints: int, n_floats: int, now: float) -> VectorBlock:
        """Return the vector block of `key`; a new one, all zero, if there is none or its layout differs."""
        block = self.vectors.get(key)
        if block is None or block.layout != layout:
            born = now if block is None else _after(block.born, now)
            block = VectorBlock(layout, born, np.zeros(n_ints, np.int64), np.zeros(n_floats, np.float64))
            self.vectors[key] = block
        return block

    def count(self, key: Key, name: str, amount: int, now: float, limit: int, overflow: str) -> None:
        """Add `amount` to a name of a names block; beyond `limit` names, to the name `overflow`."""
        block = self.names.setdefault(key, NamesBlock())
        if name not in block.counts and len(block.counts) >= limit:
            name = overflow
        block.counts[name] = block.counts.get(name, 0) + amount
        block.touched = max(block.touched, now)

    def know(self, key: Key, names: Iterable[str]) -> None:
        """Let a names block have names that nobody has counted yet."""
        names = tuple(names)
        if names:
            counts = self.names.setdefault(key, NamesBlock()).counts
            for name in names:
                counts.setdefault(name, 0)

    def set_gauge(self, key: Key, name: str, value: float, at: float, limit: int) -> bool:
        """Set a gauge unless it holds a later value; False if it would be one name too many."""
        block = self.gauges.setdefault(key, GaugesBlock())
        if name not in block.values and len(block.values) >= limit:
            return False
        if at >= block.values.get(name, (float("-inf"), 0.0))[0]:
            block.values[name] = (at, value)
        return True

    def exemplars_of(self, key: Key, layout: str) -> Exemplars:
        """Return the exemplars of a vector block; new ones if there are none or its layout differs."""
        block = self.exemplars.get(key)
        if block is None or block.layout != layout:
            block = self.exemplars[key] = Exemplars(layout)
        return block

    def add(self, other: SlotTotals) -> None:
        """Add the blocks of `other`; where layouts differ the younger block stands."""
        for key, vector in other.vectors.items():
            self._add_vector(key, vector)
        for key, names in other.names.items():
            mine = self.names.setdefault(key, NamesBlock())
            for name, amount in names.counts.items():
                mine.counts[name] = mine.counts.get(name, 0) + amount
            mine.touched = max(mine.touched, names.touched)
        for key, gauges in other.gauges.items():
            for name, (at, value) in gauges.values.items():
                self.set_gauge(key, name, value, at, limit=2**31)
        for key, exemplars in other.exemplars.items():
            if key in self.vectors and self.vectors[key].layout == exemplars.layout:
                self.exemplars_of(key, exemplars.layout).add(exemplars)

    def count_on(self, fresh: SlotTotals) -> None:
        """Add what a worker counted before it took over these blocks; where layouts differ, its own stand."""
        for key, block in fresh.vectors.items():
            old = self.vectors.get(key)
            if old is not None and old.layout != block.layout:
                block.born = _after(old.born, block.born)
        self.add(fresh)

    def copy(self) -> SlotTotals:
        """Return the same, to be added to; what is in a vector block is still nobody's to change."""
        names = {key: NamesBlock(dict(block.counts), block.touched) for key, block in self.names.items()}
        gauges = {key: GaugesBlock(dict(block.values)) for key, block in self.gauges.items()}
        return SlotTotals(dict(self.vectors), names, gauges, dict(self.exemplars))

    def since(self, old: SlotTotals) -> SlotTotals:
        """Return what was counted after `old`, an earlier state of these blocks; gauges as they are."""
        out = SlotTotals(gauges=self.gauges)
        for key, block in self.vectors.items():
            before = old.vectors.get(key)
            ints, floats = block.ints, block.floats
            if before is not None and before.layout == block.layout and bool((ints >= before.ints).all()):
                ints, floats = ints - before.ints, floats - before.floats
            if ints.any():
                out.vectors[key] = VectorBlock(block.layout, block.born, ints, floats, block.touched)
        for key, names in self.names.items():
            known = old.names[key].counts if key in old.names else {}
            counts = {name: n - known.get(name, 0) for name, n in names.counts.items() if n > known.get(name, 0)}
            if counts:
                out.names[key] = NamesBlock(counts, names.touched)
        return out

    def holds(self, key: Key, at: float) -> bool:
        """Whether there is a vector block that was begun at a time or before it."""
        return key in self.vectors and self.vectors[key].born <= at

    def restart(self, key: Key, at: float, old: SlotTotals) -> None:
        """Let a vector block that was dropped at a time count from zero: what it counted after `old`."""
        fresh = SlotTotals({key: self.vectors.pop(key)}).since(old)
        for block in fresh.vectors.values():
            block.born = _after(at, block.born)
            self.vectors[key] = block

    def forget(self, model_ids: Collection[str]) -> None:
        """Leave out all blocks of some models."""
        self.vectors = {key: block for key, block in self.vectors.items() if key[1] not in model_ids}
        self.names = {key: block for key, block in self.names.items() if key[1] not in model_ids}
        self.gauges = {key: block for key, block in self.gauges.items() if key[1] not in model_ids}
        self.exemplars = {key: block for key, block in self.exemplars.items() if key[1] not in model_ids}

    def _add_vector(self, key: Key, block: VectorBlock) -> None:
        mine = self.vectors.get(key)
        if mine is None or (mine.layout != block.layout and (block.born, block.layout) > (mine.born, mine.layout)):
            self.vectors[key] = VectorBlock(
                block.layout, block.born, block.ints.copy(), block.floats.copy(), block.touched
            )
            self.exemplars.pop(key, None)
        elif mine.layout == block.layout:
            mine.ints += block.ints
            mine.floats += block.floats
            mine.born = max(mine.born, block.born)
            mine.touched = max(mine.touched, block.touched)


@dataclass(frozen=True)
class SlotNumbers:
    """A payload as it stands: what its header says, and the numbers, not divided into blocks."""

    shape: list[Any]
    ints: IntArray
    floats: FloatArray


def _after(old: float, now: float) -> float:
    """Return `now`, or a little more than `old` where the clock went back: the newer layout has to be the younger."""
    return max(now, math.nextafter(old, math.inf))


class Encoder:
    """Turns blocks into a payload; keeps the JSON header while no block or name is added."""

    def __init__(self) -> None:
        self._shape: list[Any] = []
        self._header = b""

    def encode(self, totals: SlotTotals) -> bytes:
        """Return the payload of `totals`."""
        shape: list[Any] = [
            ["vector", key, b.layout, b.born, len(b.ints), len(b.floats)] for key, b in totals.vectors.items()
        ]
        shape += [["names", key, list(b.counts)] for key, b in totals.names.items()]
        shape += [["gauges", key, list(b.values)] for key, b in totals.gauges.items()]
        shape += [["exemplars", key, b.layout, list(b.latest)] for key, b in totals.exemplars.items()]
        if shape != self._shape or not self._header:
            text = json.dumps(shape, separators=(",", ":")).encode()
            padding = -(len(text) + _LENGTH.size) % 8
            self._header = _LENGTH.pack(len(text) + padding) + text + b" " * padding
            self._shape = shape
        return b"".join([self._header, *_integers(totals), *_floats(totals)])


def _integers(totals: SlotTotals) -> list[bytes]:
    out = [np.ascontiguousarray(b.ints, "<i8").tobytes() for b in totals.vectors.values()]
    out += [np.array(list(b.counts.values()), "<i8").tobytes() for b in totals.names.values()]
    out += [exemplars.id_bytes() for exemplars in totals.exemplars.values()]
    return out


def _floats(totals: SlotTotals) -> list[bytes]:
    out = []
    for vector in totals.vectors.values():
        out += [np.ascontiguousarray(vector.floats, "<f8").tobytes(), struct.pack("<d", vector.touched)]
    out += [struct.pack("<d", names.touched) for names in totals.names.values()]
    out += [np.array(list(b.values.values()), "<f8").tobytes() for b in totals.gauges.values()]
    out += [exemplars.number_bytes() for exemplars in totals.exemplars.values()]
    return out


def split_header(payload: bytes) -> tuple[bytes, int]:
    """
    Return the header of a payload, and where its numbers begin.

    Raises
    ------
    ValueError
        If the payload is shorter than its header says.
    """
    if len(payload) < _LENGTH.size:
        msg = f"a payload of {len(payload)} bytes has no header"
        raise ValueError(msg)
    (length,) = _LENGTH.unpack_from(payload)
    end = _LENGTH.size + length
    if end > len(payload):
        msg = f"a payload of {len(payload)} bytes can't hold a header of {length}"
        raise ValueError(msg)
    return payload[_LENGTH.size : end], end


def decode(payload: bytes, shape: list[Any] | None = None) -> SlotTotals:
    """
    Rebuild blocks from a payload.

    Parameters
    ----------
    payload
        What :meth:`Encoder.encode` returned.
    shape
        The parsed header, if the caller has it already.

    Raises
    ------
    ValueError
        If the payload isn't one.
    """
    header, _ = split_header(payload)
    return totals_of(read_numbers(payload, json.loads(header) if shape is None else shape))


def read_numbers(payload: bytes, shape: list[Any], n_ints: int | None = None) -> SlotNumbers:
    """
    Return the numbers of a payload with the header `shape`.

    Parameters
    ----------
    payload
        What :meth:`Encoder.encode` returned.
    shape
        Its header.
    n_ints
        How many of its numbers are integers, if the caller knows from another payload with this header.

    Raises
    ------
    ValueError
        If the payload isn't one.
    """
    _, position = split_header(payload)
    if n_ints is None:
        n_ints = sum(map(_integers_of, shape))
    if (len(payload) - position) % 8 or n_ints * 8 > len(payload) - position:
        msg = f"a payload of {len(payload)} bytes does not match its header"
        raise ValueError(msg)
    ints = np.frombuffer(payload, "<i8", n_ints, position).astype(np.int64)
    floats = np.frombuffer(payload, "<f8", -1, position + 8 * n_ints).astype(np.float64)
    return SlotNumbers(shape, ints, floats)


def _integers_of(block: list[Any]) -> int:
    """Return how many integers a block of a header has."""
    kind = block[0]
    if kind == "vector":
        return int(block[4])
    return ID_INTS * len(block[3]) if kind == "exemplars" else len(block[2]) if kind == "names" else 0


def totals_of(numbers: SlotNumbers) -> SlotTotals:
    """Divide numbers into blocks."""
    blocks, ints, floats = numbers.shape, numbers.ints, numbers.floats
    out = SlotTotals()
    i = f = 0
    for kind, labels, *rest in blocks:
        key: Key = tuple(labels)
        if kind == "vector":
            layout, born, size, n_floats = rest
            end = f + n_floats
            out.vectors[key] = VectorBlock(layout, born, ints[i : i + size], floats[f:end], float(floats[end]))
            i, f = i + size, end + 1
        elif kind == "names":
            amounts = ints[i : i + len(rest[0])].tolist()
            out.names[key] = NamesBlock(dict(zip(rest[0], amounts, strict=True)), float(floats[f]))
            i, f = i + len(amounts), f + 1
        elif kind == "exemplars":
            layout, places = rest
            size, pairs_of = ID_INTS * len(places), floats[f : f + 2 * len(places)].reshape(-1, 2)
            out.exemplars[key] = Exemplars.of(layout, places, ints[i : i + size].tobytes(), pairs_of)
            i, f = i + size, f + 2 * len(places)
        else:
            pairs = floats[f : f + 2 * len(rest[0])].reshape(-1, 2).tolist()
            out.gauges[key] = GaugesBlock({n: (at, value) for n, (at, value) in zip(rest[0], pairs, strict=True)})
            f += 2 * len(rest[0])
    return out
