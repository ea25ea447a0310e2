"""While a reference is still to be learnt: which values are missing or unreadable, and rows to learn from.

Without a reference there are no cells. What can be told of a value without them is whether it is there and whether it
is a number or a category at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from operator import ne
from types import NoneType
from typing import Any

import numpy as np

from modelwatch.profile.values import read_category
from modelwatch.records import MISSING, FloatArray

FIRST_ROWS = 5000
"""Rows that a worker keeps whatever their times: as many as a reference is learnt from."""
ROWS_PER_INTERVAL = 350
"""Rows that it keeps of each further count interval: of 5 minutes each, some 100 000 a day."""

_READABLE = frozenset({bool, int, float, str, NoneType})


def count_unreadable(column: Sequence[Any] | FloatArray) -> tuple[int, int]:
    """
    Return how many values of a column are missing, and how many are neither numbers nor categories.

    >>> count_unreadable([1.0, None, float("nan"), "UA", {}]), count_unreadable(np.array([1.0, np.nan]))
    ((2, 1), (1, 0))
    """
    if isinstance(column, np.ndarray):
        return int(np.count_nonzero(np.isnan(column))), 0
    kinds = Counter(map(type, column))
    missing = kinds.get(NoneType, 0)
    if kinds.get(float):
        # Only a NaN differs from itself; other kinds might answer with anything.
        numbers = column if kinds.keys() <= _READABLE else [value for value in column if type(value) is float]
        missing += sum(map(ne, numbers, numbers))
    odd = Counter[bool]()
    if not kinds.keys() <= _READABLE:
        for value in column:
            if type(value) not in _READABLE:
                text, cell = read_category(value)
                odd[cell == MISSING] += text is None
    return missing + odd[True], odd[False]


def names_and_counts(columns: Mapping[str, Sequence[Any] | FloatArray]) -> dict[str, tuple[int, int]]:
    """Return ``{feature: (missing, unreadable)}`` of one slice of rows."""
    return {name: count_unreadable(column) for name, column in columns.items()}


class RowBudget:
    """
    How many rows a worker keeps to learn a reference from, where predictions are not logged.

    >>> budget = RowBudget()
    >>> budget.take(("ads", ""), 0.0, 6000), budget.take(("ads", ""), 300.0, 256), budget.take(("ads", ""), 300.0, 256)
    (5000, 256, 94)
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[int, float, int]] = {}

    def take(self, labels: tuple[str, str], start: float, rows: int) -> int:
        """Return how many of `rows` rows of the interval that begins at `start` may be kept, and count them."""
        total, interval, inside = self._kept.get(labels, (0, start, 0))
        inside = inside if interval == start else 0
        allowed = min(rows, max(FIRST_ROWS - total, ROWS_PER_INTERVAL - inside, 0))
        self._kept[labels] = (total + allowed, start, inside + allowed)
        return allowed
