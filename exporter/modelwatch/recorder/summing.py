"""Adding up slots by arrays: which number goes where follows from their headers, and these hardly ever change."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwatch.recorder.blocks import GaugesBlock, Key, NamesBlock, SlotNumbers, SlotTotals, VectorBlock
from modelwatch.recorder.exemplars import ID_INTS, Exemplars
from modelwatch.records import FloatArray, IntArray

__all__ = ["Summing"]

Places = NDArray[np.intp]
_ID = np.arange(ID_INTS)


@dataclass(frozen=True)
class Counting:
    """
    What of slots counts.

    Attributes
    ----------
    current
        By slot: whether all of it does. Of others only the gauges do.
    dropped
        Vector blocks that don't count if they were begun at a time or before it.
    """

    current: tuple[bool, ...]
    dropped: Mapping[Key, float]

    def takes(self, slot: int, kind: str, key: Key, rest: Sequence[Any]) -> bool:
        """Whether a block of a slot's header counts."""
        if kind == "gauges":
            return True
        return self.current[slot] and (kind != "vector" or rest[1] > self.dropped.get(key, -math.inf))


class Summing:
    """Sums slots, as :meth:`SlotTotals.add` would one by one; keeps what it found out about their headers."""

    def __init__(self) -> None:
        self._plan = _Plan([], Counting((), {}))

    def sum(self, slots: Sequence[SlotNumbers], counting: Counting | None = None) -> SlotTotals:
        """Return the sum of slots, all or what counts; where the layouts of a block differ, the youngest stands."""
        shapes = [slot.shape for slot in slots]
        if counting is None:
            counting = Counting((True,) * len(slots), {})
        plan = self._plan
        # Equal headers of one slot are one object, see the reader.
        known = len(plan.shapes) == len(shapes) and all(map(operator.is_, plan.shapes, shapes))
        if not known or plan.counting != counting:
            plan = self._plan = _Plan(shapes, counting)
        return plan.sum(slots)


@dataclass
class _Vector:
    """A vector block of the sum."""

    layout: str
    born: float
    size: int
    n_floats: int
    ints: int = 0
    floats: int = 0
    touched: int = 0


@dataclass
class _Named:
    """A block of the sum with parts that have names, or are buckets: the place of each, from `start` on."""

    names: dict[Any, int] = field(default_factory=dict)
    start: int = 0
    touched: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.names)

    def meet(self, names: Iterable[Any]) -> None:
        for name in names:
            self.names.setdefault(name, len(self.names))


class _Route(NamedTuple):
    """From where in a slot's numbers to where in the sum."""

    source: Places
    to: Places


class _SlotRoutes(NamedTuple):
    """The routes of all numbers of a slot; those of pairs (time, value) begin at the time."""

    ints: _Route
    floats: _Route
    touched: _Route
    gauges: _Route
    exemplars: _Route
    ids: Places
    """Where the ids of the exemplars begin."""


@dataclass
class _Drawing:
    """A route in the making."""

    source: list[int] = field(default_factory=list)
    to: list[int] = field(default_factory=list)

    def add(self, source: int, to: int, size: int = 1) -> None:
        self.source += range(source, source + size)
        self.to += range(to, to + size)

    def add_named(self, source: int, step: int, block: _Named, names: Sequence[Any]) -> None:
        self.source += range(source, source + step * len(names), step)
        self.to += [block.start + block.names[name] for name in names]

    def done(self) -> _Route:
        return _Route(np.array(self.source, np.intp), np.array(self.to, np.intp))


class _Plan:
    """How slots with certain headers are added up."""

    def __init__(self, shapes: list[list[Any]], counting: Counting) -> None:
        self.shapes, self.counting = shapes, counting
        self._vectors: dict[Key, _Vector] = {}
        self._names: dict[Key, _Named] = {}
        self._gauges: dict[Key, _Named] = {}
        self._exemplars: dict[Key, _Named] = {}
        for number, shape in enumerate(shapes):
            for kind, labels, *rest in shape:
                key: Key = tuple(labels)
                if counting.takes(number, kind, key, rest):
                    self._meet(kind, key, rest)
        self._n_ints = self._n_floats = self._n_touched = self._n_gauges = self._n_exemplars = 0
        self._lay_out()
        self._routes = [self._route(number, shape) for number, shape in enumerate(shapes)]

    def _meet(self, kind: str, key: Key, rest: list[Any]) -> None:
        if kind == "names":
            self._names.setdefault(key, _Named()).meet(rest[0])
        elif kind == "gauges":
            self._gauges.setdefault(key, _Named()).meet(rest[0])
        elif kind == "exemplars":
            self._exemplars.setdefault(key, _Named()).meet(rest[1])
        else:
            layout, born, size, n_floats = rest
            known = self._vectors.get(key)
            if known is None or (born, layout) > (known.born, known.layout):
                self._vectors[key] = _Vector(layout, born, size, n_floats)

    def _lay_out(self) -> None:
        for vector in self._vectors.values():
            vector.ints, vector.floats, vector.touched = self._n_ints, self._n_floats, self._n_touched
            self._n_ints += vector.size
            self._n_floats += vector.n_floats
            self._n_touched += 1
        for names in self._names.values():
            names.start, names.touched = self._n_ints, self._n_touched
            self._n_ints += len(names.names)
            self._n_touched += 1
        for gauges in self._gauges.values():
            gauges.start = self._n_gauges
            self._n_gauges += len(gauges.names)
        for exemplars in self._exemplars.values():
            exemplars.start = self._n_exemplars
            self._n_exemplars += len(exemplars.names)

    def _route(self, number: int, shape: list[Any]) -> _SlotRoutes:
        ints, floats, touched, gauges, exemplars, ids = (_Drawing() for _ in range(6))
        i = f = 0
        for kind, labels, *rest in shape:
            key: Key = tuple(labels)
            vector, takes = self._vectors.get(key), self.counting.takes(number, kind, key, rest)
            if kind == "vector":
                layout, _, size, n_floats = rest
                if takes and vector is not None and layout == vector.layout:
                    ints.add(i, vector.ints, size)
                    floats.add(f, vector.floats, n_floats)
                    touched.add(f + n_floats, vector.touched)
                i, f = i + size, f + n_floats + 1
            elif kind == "names":
                if takes:
                    ints.add_named(i, 1, self._names[key], rest[0])
                    touched.add(f, self._names[key].touched)
                i, f = i + len(rest[0]), f + 1
            elif kind == "gauges":
                gauges.add_named(f, 2, self._gauges[key], rest[0])
                f += 2 * len(rest[0])
            else:
                layout, places = rest
                if takes and vector is not None and layout == vector.layout:
                    exemplars.add_named(f, 2, self._exemplars[key], places)
                    ids.add_named(i, ID_INTS, self._exemplars[key], places)
                i, f = i + ID_INTS * len(places), f + 2 * len(places)
        drawn = ints.done(), floats.done(), touched.done(), gauges.done(), exemplars.done()
        return _SlotRoutes(*drawn, ids.done().source)

    def sum(self, slots: Sequence[SlotNumbers]) -> SlotTotals:
        ints, floats = np.zeros(self._n_ints, np.int64), np.zeros(self._n_floats)
        touched, gauges = np.zeros(self._n_touched), np.full((self._n_gauges, 2), -np.inf)
        exemplars, ids = np.full((self._n_exemplars, 2), -np.inf), np.zeros((self._n_exemplars, ID_INTS), np.int64)
        for slot, routes in zip(slots, self._routes, strict=True):
            ints[routes.ints.to] += slot.ints[routes.ints.source]
            floats[routes.floats.to] += slot.floats[routes.floats.source]
            last = slot.floats[routes.touched.source]
            touched[routes.touched.to] = np.maximum(touched[routes.touched.to], last)
            _take_later(gauges, slot.floats, routes.gauges)
            later = _take_later(exemplars, slot.floats, routes.exemplars)
            ids[routes.exemplars.to[later]] = slot.ints[routes.ids[later, None] + _ID]
        return SlotTotals(
            dict(self._vector_blocks(ints, floats, touched.tolist())),
            dict(self._names_blocks(ints.tolist(), touched.tolist())),
            dict(self._gauges_blocks(gauges.tolist())),
            dict(self._exemplars_blocks(exemplars, ids)),
        )

    def _vector_blocks(
        self, ints: IntArray, floats: FloatArray, touched: list[float]
    ) -> Iterator[tuple[Key, VectorBlock]]:
        for key, v in self._vectors.items():
            counts, sums = ints[v.ints : v.ints + v.size], floats[v.floats : v.floats + v.n_floats]
            yield key, VectorBlock(v.layout, v.born, counts, sums, touched[v.touched])

    def _names_blocks(self, ints: list[int], touched: list[float]) -> Iterator[tuple[Key, NamesBlock]]:
        for key, block in self._names.items():
            counts = dict(zip(block.names, ints[block.start : block.end], strict=True))
            yield key, NamesBlock(counts, touched[block.touched])

    def _gauges_blocks(self, gauges: list[list[float]]) -> Iterator[tuple[Key, GaugesBlock]]:
        for key, block in self._gauges.items():
            pairs = gauges[block.start : block.end]
            yield key, GaugesBlock({name: (at, value) for name, (at, value) in zip(block.names, pairs, strict=True)})

    def _exemplars_blocks(self, pairs: FloatArray, ids: IntArray) -> Iterator[tuple[Key, Exemplars]]:
        for key, block in self._exemplars.items():
            some = slice(block.start, block.end)
            if key in self._vectors:
                layout = self._vectors[key].layout
                yield key, Exemplars.of(layout, list(block.names), ids[some].tobytes(), pairs[some])


def _take_later(pairs: FloatArray, floats: FloatArray, route: _Route) -> NDArray[np.bool_]:
    """Take over those pairs of a slot that are not older than what is there; return which."""
    later: NDArray[np.bool_] = floats[route.source] >= pairs[route.to, 0]
    source, to = route.source[later], route.to[later]
    pairs[to, 0], pairs[to, 1] = floats[source], floats[source + 1]
    return later
