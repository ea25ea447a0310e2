"""Counting a batch of rows over the cells of a profile: the one place where a value gets its cell.

Numbers are binned by sorting each column and looking up the edges in it where that is faster than looking up every
value in the edges: for larger batches three times, on processors for which numpy's sort is vectorised; on others it is
slower at any size. So the two are timed once per process, in a millisecond.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from modelwatch.profile.columns import as_column, count_categories, fill_numbers
from modelwatch.records import (
    HIGH,
    INVALID_TYPE,
    LOW,
    MISSING,
    PREDICTION,
    PREDICTION_SCORE,
    CellLayout,
    FeatureCells,
    FloatArray,
    IntArray,
)

SORT_SIZES = (256, 1024)
"""From which of these sizes batches are sorted is a matter of timing; smaller ones are looked up value by value."""
NEVER = 1 << 62
_FLOAT64 = np.dtype(np.float64)
_spare: list[FloatArray] = []
"""Memory of `BLOCK_VALUES` numbers or a few more that nobody counts in just now; one for all models of a process."""
BLOCK_VALUES = 1 << 18
"""Numbers that are binned at once: 2 MiB, so that sorting stays in the cache and memory does not grow with rows."""


@dataclass(frozen=True)
class BinnedBatch:
    """A batch as counts: cells of shape (layout.size,), sums of in-range values of shape (len(layout.members),)."""

    rows: int
    cells: IntArray
    sums: FloatArray


class CellAssigner:
    """Counts batches over the cells of one layout. Holds no state between batches; safe to share between threads.

    Parameters
    ----------
    layout : CellLayout
        The cells.
    sort_rows : int, optional
        Batches of at least so many rows are sorted, smaller ones looked up value by value; by default whichever is
        faster here. The counts are the same.

    >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0)),))
    >>> batch = CellAssigner(layout).bin({"age": [5, 10.0, 11, -1, None, "x"]}, 6)
    >>> batch.cells.tolist()  # two bins; below, above, missing; invalid: type, parse, too_big
    [2, 1, 1, 0, 1, 0, 1, 0]
    >>> batch.sums.tolist()
    [26.0]
    """

    def __init__(self, layout: CellLayout, *, sort_rows: int | None = None) -> None:
        self.layout = layout
        self._sort_rows = sort_rows
        self._numeric = np.array([i for i, m in enumerate(layout.members) if m.kind == "numeric"], dtype=np.int64)
        self._blocks: dict[int, list[_NumericBlock]] = {}
        self._categorical = [
            (member, offset, {text: place for place, text in enumerate(member.categories)})
            for member, offset in zip(layout.members, layout.offsets, strict=True)
            if member.kind == "categorical"
        ]

    def bin(
        self,
        columns: Mapping[str, Any],
        n: int,
        predictions: Any = None,  # noqa: ANN401 - whatever a model returned
    ) -> BinnedBatch:
        """Count a batch; never raises, whatever the columns hold.

        Parameters
        ----------
        columns : mapping of str to column
            Lists, arrays, or anything with ``to_numpy``; a feature without a column is missing in every row. Scores of
            predicted classes stand among them under the name `PREDICTION_SCORE`; None is a column that holds none.
        n : int
            Number of rows.
        predictions : column, optional
            What the model returned. Without it the prediction's cells stay 0: nothing is known about them. So do those
            of its score without either column.

        Returns
        -------
        BinnedBatch
            Every member's cells add up to n.
        """
        cells = np.zeros(self.layout.size, dtype=np.int64)
        sums = np.zeros(len(self.layout.members))
        if n <= 0:
            return BinnedBatch(0, cells, sums)
        given = columns if self.layout.prediction is None else {**columns, PREDICTION: predictions}
        for block in self._blocks_for(n):
            self._count_numbers(block, given, n, cells, sums)
        for member, offset, places in self._categorical:
            _count_texts(member, places, given.get(member.name), n, cells[offset : offset + member.size])
        cells[self._unknown(columns, predictions)] = 0
        return BinnedBatch(n, cells, sums)

    def bin_groups(
        self,
        columns: Mapping[str, Any],
        groups: IntArray,
        count: int,
        predictions: Any = None,  # noqa: ANN401 - whatever a model returned
    ) -> list[BinnedBatch]:
        """Count a batch whose rows belong to groups: the same as :meth:`bin` of each group's rows.

        Parameters
        ----------
        columns : mapping of str to column
            As for :meth:`bin`.
        groups : ndarray of int, shape (n,)
            The group of each row, 0 to `count` - 1.
        count : int
            Number of groups.
        predictions : column, optional
            As for :meth:`bin`.

        Returns
        -------
        list of BinnedBatch
            One for each group.

        >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0)),))
        >>> one, other = CellAssigner(layout).bin_groups({"age": [5, 10.0, 11, "x"]}, np.array([0, 1, 1, 0]), 2)
        >>> one.cells.tolist(), other.sums.tolist()
        ([1, 0, 0, 0, 0, 0, 1, 0], [21.0])
        """
        n = len(groups)
        cells = np.zeros((count, self.layout.size), dtype=np.int64)
        sums = np.zeros((count, len(self.layout.members)))
        given = columns if self.layout.prediction is None else {**columns, PREDICTION: predictions}
        order = np.argsort(groups, kind="stable")
        rows = np.split(order, np.cumsum(np.bincount(groups, minlength=count))[:-1])
        for block in self._blocks_for(n) if n else ():
            _count_grouped_numbers(block, given, groups, rows, (cells, sums))
        for member, offset, places in self._categorical:
            parts = _parts(given.get(member.name), n, rows)
            for group, part in enumerate(parts):
                own = cells[group, offset : offset + member.size]
                _count_texts(member, places, part, len(rows[group]), own)
        cells[:, self._unknown(columns, predictions)] = 0
        return [BinnedBatch(len(rows[group]), cells[group], sums[group]) for group in range(count)]

    def _unknown(self, columns: Mapping[str, Any], predictions: object) -> slice:
        """Return which cells nothing is known of: those of predictions, or of their scores, that nobody gave."""
        layout = self.layout
        unknown = layout.predictions if predictions is None else layout.predictions[1:]
        if predictions is not None and PREDICTION_SCORE in columns:
            unknown = ()
        return slice(layout.size - sum(member.size for member in unknown), layout.size)

    def _sorts(self, n: int) -> bool:
        if self._sort_rows is not None:
            return n >= self._sort_rows
        return n >= SORT_SIZES[0] and n >= timed_sort_rows()

    def _blocks_for(self, n: int) -> list[_NumericBlock]:
        """Return the numeric members in blocks of `BLOCK_VALUES` values; there are few ways to divide them."""
        size = 1 << (max(1, BLOCK_VALUES // n).bit_length() - 1)
        size = min(size, max(1, len(self._numeric)))
        found = self._blocks.get(size)
        if found is None:
            parts = [self._numeric[first : first + size] for first in range(0, len(self._numeric), size)]
            found = self._blocks[size] = [_NumericBlock(self.layout, part) for part in parts]
        return found

    def _count_numbers(
        self, block: _NumericBlock, columns: Mapping[str, Any], n: int, cells: IntArray, sums: FloatArray
    ) -> None:
        # Memory that is used again: of fresh pages the system would fill each with zeros first, which costs as much as
        # sorting them. Whoever counts at the same time takes other memory.
        wanted = len(block.names) * (n + 1)
        try:
            memory = _spare.pop()
        except IndexError:
            memory = np.empty(0)
        if len(memory) < wanted:
            memory = np.empty(wanted)
        room = memory[:wanted].reshape(len(block.names), n + 1)
        room[:, n] = 0.0  # behind each row, which is an end to sum up to
        numbers = room[:, :n]
        for row, name, tail in zip(numbers, block.names, block.tails, strict=True):
            column = columns.get(name)
            if type(column) is np.ndarray and column.dtype is _FLOAT64 and column.shape == row.shape:
                row[:] = column  # the usual case of the recorder
                continue
            for reason, count in _read_numbers(column, n, row).items():
                cells[tail + reason] += count
                cells[tail + MISSING] -= count  # an invalid value is read as NaN, which is counted as missing below
        if self._sorts(n):
            numbers.sort(axis=1)
            sums[block.indices] = block.add_sorted(room, cells)
        else:
            sums[block.indices] = block.in_range_sums(numbers)
            block.add_each(numbers, cells)
        if not _spare and len(memory) <= 2 * BLOCK_VALUES:
            _spare.append(memory)


@cache
def timed_sort_rows() -> int:
    """Return from how many rows on sorting is faster on this machine; `NEVER` if it is not at any size that was timed.

    >>> timed_sort_rows() in (*SORT_SIZES, NEVER)
    True
    """
    values = np.random.default_rng(0).normal(size=(4, SORT_SIZES[-1]))
    edges = np.linspace(-2.0, 2.0, 16)
    for size in SORT_SIZES:
        part = np.ascontiguousarray(values[:, :size])
        if _fastest(_by_sorting, part, edges) < _fastest(_by_look_up, part, edges):
            return size
    return NEVER


def _by_sorting(values: FloatArray, edges: FloatArray) -> None:
    values = np.sort(values, axis=1)
    for row in values:
        row.searchsorted(edges, side="right")


def _by_look_up(values: FloatArray, edges: FloatArray) -> None:
    for row in values:
        np.bincount(edges.searchsorted(row, side="left"), minlength=len(edges) + 1)


def _fastest(work: Callable[[FloatArray, FloatArray], None], values: FloatArray, edges: FloatArray) -> float:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        work(values, edges)
        times.append(time.perf_counter() - began)
    return min(times)


class _NumericBlock:
    """Some numeric members of a layout, prepared for counting.

    Each has the cuts ``[just below minimum, *edges, inf]``. The number of cuts below a value is its slot: 0 is low,
    then come the bins, high, and, because NaN sorts behind inf, missing.
    """

    def __init__(self, layout: CellLayout, indices: IntArray) -> None:
        self.indices = indices
        members = [layout.members[i] for i in indices]
        self.names = [member.name for member in members]
        self.tails = [layout.offsets[i] + layout.members[i].shape_size for i in indices]
        self._minima = np.array([m.minimum if m.edges else np.inf for m in members]).reshape(-1, 1)
        self._maxima = np.array([m.edges[-1] if m.edges else -np.inf for m in members]).reshape(-1, 1)
        self._cuts = [_cuts(member) for member in members]
        self._slot_cells = [
            np.array([tail + LOW, *range(tail - m.shape_size, tail), tail + HIGH, tail + MISSING], dtype=np.int64)
            for m, tail in zip(members, self.tails, strict=True)
        ]
        # Of sorted rows, all members one after another: 0, how many values lie up to each cut, n.
        lengths = np.array([len(cuts) + 2 for cuts in self._cuts], dtype=np.int64)
        ends = np.cumsum(lengths)
        self._size = int(lengths.sum())
        self._last = ends - 1
        inner = np.ones(self._size, dtype=bool)
        inner[ends - lengths] = inner[self._last] = False
        self._at_cuts = np.flatnonzero(inner)
        steps = np.ones(max(self._size - 1, 0), dtype=bool)
        steps[self._last[:-1]] = False
        self._steps = np.flatnonzero(steps)
        self._all_cells = np.concatenate(self._slot_cells)
        self._in_range = np.column_stack([ends - lengths + 1, ends - 3])  # up to just below the minimum, the last edge

    def in_range_sums(self, numbers: FloatArray) -> FloatArray:
        """Return each row's sum of the values between minimum and maximum, kept finite."""
        inside = numbers >= self._minima
        inside &= numbers <= self._maxima
        with np.errstate(over="ignore", invalid="ignore"):
            sums: FloatArray = numbers.sum(axis=1)
            mixed = ~inside.all(axis=1)
            if mixed.any():
                sums[mixed] = np.where(inside[mixed], numbers[mixed], 0.0).sum(axis=1)
        return _kept_finite(sums)

    def add_sorted(self, room: FloatArray, cells: IntArray) -> FloatArray:
        """Add the counts of rows that are sorted, each with a zero behind it: look up the cuts in the values.

        Returns each row's sum of the values between minimum and maximum, which lie side by side.
        """
        n = room.shape[1] - 1
        up_to = np.zeros(self._size, dtype=np.int64)
        up_to[self._last] = n
        rows = zip(room[:, :n], self._cuts, strict=True)
        up_to[self._at_cuts] = np.concatenate([row.searchsorted(cuts, side="right") for row, cuts in rows])
        cells[self._all_cells] += np.diff(up_to)[self._steps]
        return _sums_between(room, up_to[self._in_range])

    def add_each(self, numbers: FloatArray, cells: IntArray) -> None:
        """Add the counts of rows in any order: look up the values in the cuts."""
        for row, cuts, slots in zip(numbers, self._cuts, self._slot_cells, strict=True):
            cells[slots] += np.bincount(cuts.searchsorted(row, side="left"), minlength=len(slots))

    def add_groups(self, numbers: FloatArray, groups: IntArray, cells: IntArray, sums: FloatArray) -> None:
        """Add the counts and sums of rows in any order to those of each row's group."""
        count = len(cells)
        inside = (numbers >= self._minima) & (numbers <= self._maxima)
        kept = np.where(inside, numbers, 0.0)
        for row, weights, cuts, slots, index in zip(
            numbers, kept, self._cuts, self._slot_cells, self.indices, strict=True
        ):
            width = len(slots)
            found = np.bincount(groups * width + cuts.searchsorted(row, side="left"), minlength=count * width)
            cells[:, slots] += found.reshape(count, width)
            sums[:, index] = np.nan_to_num(np.bincount(groups, weights, minlength=count))


def _count_grouped_numbers(
    block: _NumericBlock,
    columns: Mapping[str, Any],
    groups: IntArray,
    rows: list[IntArray],
    out: tuple[IntArray, FloatArray],
) -> None:
    """Count the numeric members of one block by group."""
    n, (cells, sums) = len(groups), out
    numbers = np.empty((len(block.names), n))
    for row, name, tail in zip(numbers, block.names, block.tails, strict=True):
        column = columns.get(name)
        if _read_numbers(column, n, row):
            for group, part in enumerate(_parts(column, n, rows)):
                size = len(rows[group])
                for reason, count in _read_numbers(part, size, np.empty(size)).items():
                    cells[group, tail + reason] += count
                    cells[group, tail + MISSING] -= count
    block.add_groups(numbers, groups, cells, sums)


def _parts(column: Any, n: int, rows: list[IntArray]) -> list[Any]:  # noqa: ANN401
    """Return a column's values by group; what is no column stays what it is, for each of them."""
    values = as_column(column, n) if column is not None else None
    if values is None:
        return [column] * len(rows)
    if isinstance(values, np.ndarray):
        return [values[some] for some in rows]
    return [[values[i] for i in some] for some in map(np.ndarray.tolist, rows)]


def _sums_between(room: FloatArray, ends: IntArray) -> FloatArray:
    """Return each row's sum of the values from the first of its ends up to the second."""
    starts = np.arange(len(room), dtype=np.int64) * room.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        sums: FloatArray = np.add.reduceat(room.reshape(-1), (ends + starts[:, None]).reshape(-1))[::2]
    sums[ends[:, 0] >= ends[:, 1]] = 0.0  # of nothing it returns what comes next
    return _kept_finite(sums)


def _kept_finite(sums: FloatArray) -> FloatArray:
    return sums if np.isfinite(sums).all() else np.nan_to_num(sums)


def _cuts(member: FeatureCells) -> FloatArray:
    below = math.nextafter(member.minimum, -math.inf) if member.edges else -math.inf
    return np.array([below, *member.edges, np.inf])


def _read_numbers(column: Any, n: int, out: FloatArray) -> Mapping[int, int]:  # noqa: ANN401
    """Write a column as numbers, NaN for missing and invalid; return the invalid ones by tail cell."""
    if column is None:
        out[:] = np.nan
        return {}
    values = as_column(column, n)
    if values is None:
        out[:] = np.nan
        return {INVALID_TYPE: n}
    return fill_numbers(values, out)


def _count_texts(
    member: FeatureCells,
    places: Mapping[str, int],
    column: Any,  # noqa: ANN401
    n: int,
    cells: IntArray,
) -> None:
    """Add a column's categories to one member's cells."""
    shape = member.shape_size
    values = as_column(column, n) if column is not None else None
    if values is None:
        cells[shape + (MISSING if column is None else INVALID_TYPE)] += n
        return
    texts, tail = count_categories(values)
    for text, count in texts.items():
        place = places.get(text)
        if place is None:
            # "other" is the last shape cell.
            known = text in member.known or not member.vocabulary_complete
            place = shape - 1 if known else shape + LOW
        cells[place] += count
    for reason, count in tail.items():
        cells[shape + reason] += count
