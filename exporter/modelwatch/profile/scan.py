"""What columns hold, from one pass over their rows in pieces, in a bounded memory.

Each piece has the same number of rows however they arrived, and a row is in the sample or not by a hash of its number:
so the outcome depends on the rows and their order alone.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.columns import count_categories
from modelwatch.profile.contents import Categories, Numbers, Seen, read_numbers
from modelwatch.profile.moments import Moments, moments_of
from modelwatch.profile.tables import Column
from modelwatch.records import FloatArray, Kind

__all__ = ["SAMPLE", "ColumnScan", "row_hashes"]

SAMPLE = 1_000_000
"""So many values of a column are all looked at; of more, a sample."""
_FEW = 64
_TEXTS = 100_000
_TEXT_BYTES, _VALUE_BYTES = 200, 12

Hashes = NDArray[np.uint32]


def row_hashes(first: int, rows: int) -> Hashes:
    """Return a hash of each row's number, uniform from 0 to 2³² - 1: SplitMix64 (Steele, Lea and Flood 2014).

    >>> row_hashes(0, 4).tolist() == [*row_hashes(0, 1).tolist(), *row_hashes(1, 3).tolist()]
    True
    """
    with np.errstate(over="ignore"):
        x = np.arange(first + 1, first + rows + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(32), dtype=np.uint32)


class ColumnScan:
    """One column. What kind of values it holds is known at the end only; each piece is read as what most of it is.

    Where that was wrong, `misread` says as what the column has to be read again.

    Parameters
    ----------
    kind : {"numeric", "categorical"}, optional
        What the column is read as; by each piece if not given.

    >>> scan = ColumnScan()
    >>> scan.add(np.array([3.0, np.nan, 1.0]), row_hashes(0, 3))
    >>> scan.seen.kind, scan.numbers.values.tolist(), scan.misread(scan.seen.kind)
    ('numeric', [1.0, 3.0], False)
    """

    def __init__(self, kind: Kind | None = None) -> None:
        self._kind = kind
        self.seen = Seen()
        self._numbers = NumberScan()
        self._categories = CategoryScan()
        self._pieces: Counter[Kind] = Counter()
        self._count = 0

    def add(self, column: Column, hashes: Hashes) -> None:
        """Read the next rows."""
        piece = Seen()
        piece.add(column)
        self.seen.kinds += piece.kinds
        self.seen.types += piece.types
        self._count += 1
        empty = not self._kind and not piece.kinds
        for kind in ("numeric", "categorical") if empty else (self._kind or piece.kind,):
            if kind is not None:
                self._pieces[kind] += 1
            if kind == "numeric":
                self._numbers.add(column, hashes)
            elif kind == "categorical":
                self._categories.add(column)

    def misread(self, kind: Kind | None) -> bool:
        """Tell whether a part of the column was read as something else."""
        return kind is not None and self._pieces[kind] < self._count

    @property
    def numbers(self) -> Numbers:
        """Its values as numbers."""
        return self._numbers.result()

    @property
    def categories(self) -> Categories:
        """Its values as categories."""
        return self._categories.result()

    @property
    def cost(self) -> int:
        """How many bytes it takes, about."""
        return self._numbers.cost + self._categories.cost


class NumberScan:
    """Numbers: all up to `SAMPLE` of them, then those of ever fewer rows; extremes and moments of all."""

    def __init__(self) -> None:
        self._values: list[FloatArray] = []
        self._hashes: list[Hashes] = []
        self._kept = self._count = self._invalid = 0
        self._halvings = 0
        self._few: FloatArray | None = np.empty(0)
        self._sums = _Sums()

    def add(self, column: Column, hashes: Hashes) -> None:
        """Read the next rows."""
        out, invalid = read_numbers(column)
        self._invalid += invalid
        finite = np.isfinite(out)
        values = out[finite] + 0.0  # of -0.0 and 0.0, one
        if not len(values):
            return
        self._count += len(values)
        self._sums.add(values)
        self._add_few(values)
        self._keep(values, hashes[finite])
        if self._kept > SAMPLE:
            self._values, self._hashes = [np.concatenate(self._values)], [np.concatenate(self._hashes)]
            while self._kept > SAMPLE:
                self._halvings += 1
                values, hashes = self._values.pop(), self._hashes.pop()
                self._kept = 0
                self._keep(values, hashes)

    def _keep(self, values: FloatArray, hashes: Hashes) -> None:
        if self._halvings:
            chosen = hashes < np.uint32(1 << (32 - self._halvings))
            values, hashes = values[chosen], hashes[chosen]
        self._values.append(values)
        self._hashes.append(hashes)
        self._kept += len(values)

    def _add_few(self, values: FloatArray) -> None:
        """Note the distinct values as long as they are few: none of them may be missed, however rare."""
        if self._few is not None and not np.isin(values, self._few).all():
            few = np.union1d(self._few, values)
            self._few = few if len(few) <= _FEW else None

    def result(self) -> Numbers:
        """Return what there was."""
        if not self._count:
            return Numbers(np.empty(0), self._invalid, None)
        values = np.sort(np.concatenate(self._values))
        if not self._halvings:
            return Numbers(values, self._invalid, moments_of(values))
        sums, quantiles = self._sums, moments_of(values).quantiles
        moments = Moments(sums.mean, sums.sd, sums.low, sums.high, quantiles)
        few = self._few if self._few is not None else np.array([sums.low, sums.high])
        absent = few[~np.isin(few, values)]
        return Numbers(np.sort(np.concatenate([values, absent])), self._invalid, moments)

    @property
    def cost(self) -> int:
        """How many bytes it takes, about."""
        return self._kept * _VALUE_BYTES


class _Sums:
    """Mean and spread of numbers that come in pieces (Chan, Golub and LeVeque 1983), and their extremes.

    Numbers are scaled by a power of two, which changes no digit and keeps squares inside the range of float.
    """

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self._n = 0
        self._mean = self._squares = 0.0
        self._exponent = -(10**6)

    def add(self, values: FloatArray) -> None:
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        exponent = math.frexp(max(abs(self.low), abs(self.high)))[1]
        if exponent > self._exponent:
            if self._n:
                change = self._exponent - exponent
                self._mean, self._squares = math.ldexp(self._mean, change), math.ldexp(self._squares, 2 * change)
            self._exponent = exponent
        scaled = np.ldexp(values, -self._exponent)
        n, mean = len(values), float(scaled.mean())
        squares = float(np.square(scaled - mean).sum())
        total = self._n + n
        away = mean - self._mean
        self._mean += away * n / total
        self._squares += squares + away * away * self._n * n / total
        self._n = total

    @property
    def mean(self) -> float:
        """Mean, between the extremes whatever rounding does."""
        return min(max(math.ldexp(self._mean, self._exponent), self.low), self.high)

    @property
    def sd(self) -> float:
        """Standard deviation, of the values themselves (divisor n)."""
        return math.ldexp(math.sqrt(self._squares / self._n), self._exponent) if self.high > self.low else 0.0


class CategoryScan:
    """Categories: all of the first `SAMPLE` rows; of more rows, the rarest are forgotten where there are very many."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._rows = 0
        self._before: tuple[int, int] | None = None  # how many of how many rows there were when some were forgotten

    def add(self, column: Column) -> None:
        """Read the next rows."""
        counted, _ = count_categories(column)
        self._rows += len(column)
        self._counted.update(counted)
        if self._rows > SAMPLE and len(self._counted) > 2 * _TEXTS:
            if self._before is None:
                self._before = len(self._counted), self._counted.total()
            # The order in which they came decides nothing: of equally rare ones, the text does.
            ordered = sorted(self._counted.items(), key=lambda item: (-item[1], item[0]))
            self._counted = Counter(dict(ordered[:_TEXTS]))

    def result(self) -> Categories:
        """Return what there was."""
        return Categories(self._counted, *(self._before or (len(self._counted), self._counted.total())))

    @property
    def cost(self) -> int:
        """How many bytes it takes, about."""
        return len(self._counted) * _TEXT_BYTES
