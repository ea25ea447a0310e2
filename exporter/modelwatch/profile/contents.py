"""What a column holds, as far as its cells depend on it: of a column in memory, or of one that was read in pieces."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from numbers import Real
from typing import Protocol

import numpy as np

from modelwatch.profile.columns import count_categories, fill_numbers
from modelwatch.profile.moments import Moments, moments_of
from modelwatch.profile.tables import Column
from modelwatch.profile.values import is_missing
from modelwatch.records import FloatArray, Kind

__all__ = ["Categories", "Contents", "InMemory", "Numbers", "Seen"]


@dataclass(frozen=True)
class Numbers:
    """A column's numbers.

    Attributes
    ----------
    values : ndarray
        Finite ones, sorted: all of them, or the least, the greatest and a uniform sample.
    invalid : int
        How many values are no numbers.
    moments : Moments or None
        Of all of them; None if there are none.
    """

    values: FloatArray
    invalid: int
    moments: Moments | None


@dataclass(frozen=True)
class Categories:
    """A column's categories.

    Attributes
    ----------
    counted : Counter of str
        How often each was seen; where there are very many, the most frequent.
    distinct, rows : int
        How many different ones there were in how many rows that have one.
    """

    counted: Counter[str]
    distinct: int
    rows: int


class Contents(Protocol):
    """What a column holds."""

    @property
    def seen(self) -> Seen:
        """Types of its values."""

    @property
    def numbers(self) -> Numbers:
        """Its values as numbers."""

    @property
    def categories(self) -> Categories:
        """Its values as categories."""


class InMemory:
    """What a column in memory holds.

    >>> column = InMemory([2, "3", None, "x"])
    >>> column.seen.kind, column.numbers.values.tolist(), column.numbers.invalid, column.categories.distinct
    ('categorical', [2.0, 3.0], 1, 3)
    """

    def __init__(self, column: Column) -> None:
        self._column = column

    @cached_property
    def seen(self) -> Seen:
        """Types of its values."""
        seen = Seen()
        seen.add(self._column)
        return seen

    @cached_property
    def numbers(self) -> Numbers:
        """Its values as numbers."""
        out, invalid = read_numbers(self._column)
        # Sorted, so that what is computed from them does not depend on the order of rows.
        values = np.sort(out[np.isfinite(out)] + 0.0)  # of -0.0 and 0.0, one
        return Numbers(values, invalid, moments_of(values) if len(values) else None)

    @cached_property
    def categories(self) -> Categories:
        """Its values as categories."""
        counted, _ = count_categories(self._column)
        return Categories(counted, len(counted), counted.total())


def read_numbers(column: Column) -> tuple[FloatArray, int]:
    """Return a column as numbers, NaN where there is none, and how many values are invalid."""
    out = np.empty(len(column))
    return out, fill_numbers(column, out).total()


@dataclass
class Seen:
    """The types of values, counted.

    >>> seen = Seen()
    >>> seen.add(["a", "b", 3])
    >>> seen.add(np.array([1.5, 2.5, np.nan]))
    >>> seen.kind
    'numeric'
    """

    kinds: Counter[Kind | None] = field(default_factory=Counter)
    types: Counter[type] = field(default_factory=Counter)

    def add(self, column: Column) -> None:
        """Count the values of a column, or of a part of it."""
        if isinstance(column, np.ndarray) and column.dtype != object:
            by_dtype: dict[str, Kind] = {"i": "numeric", "u": "numeric", "f": "numeric", "b": "categorical"}
            kind: Kind | None = "categorical" if column.dtype.kind in "UT" else by_dtype.get(column.dtype.kind)
            self.kinds[kind] += len(column)
            if kind is None:
                present = int((~np.isnat(column)).sum()) if column.dtype.kind in "mM" else len(column)
                self.types += Counter({column.dtype.type: present})
            return
        types = Counter(type(value) for value in column if not is_missing(value))
        for type_, count in types.items():
            self.kinds[_kind_of_type(type_)] += count
        self.types += types

    @property
    def kind(self) -> Kind | None:
        """The kind of most of the values; None if most are neither numbers nor texts."""
        seen = self.kinds
        # Nothing but gaps is left out later, for want of a number.
        return max(seen, key=lambda kind: (seen[kind], kind is not None)) if seen else "numeric"

    @property
    def other(self) -> str:
        """What values are held that are neither numbers nor texts."""
        if any(issubclass(type_, (date, time, timedelta, np.datetime64, np.timedelta64)) for type_ in self.types):
            return "it holds dates or times; derive a number or a category from it"
        held = ", ".join(sorted({type_.__name__ for type_ in self.types})[:3])
        return f"it holds neither numbers nor texts but {held or 'dates without a value'}"


def _kind_of_type(type_: type) -> Kind | None:
    if issubclass(type_, (str, bool, np.bool_, Enum)):
        return "categorical"
    if issubclass(type_, np.timedelta64):
        return None  # to numpy a kind of integer
    return "numeric" if issubclass(type_, (Decimal, Real)) else None
