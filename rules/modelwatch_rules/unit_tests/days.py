"""Histories of many days, which cases give as if they had been recorded."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from modelwatch_rules.unit_tests.case import Phase
from modelwatch_rules.unit_tests.context import Context

__all__ = ["SLOTS", "history", "slot"]

SLOTS = 25
"""Samples of a day: no two are just an hour apart, where one may or may not be in a window that ends at the other."""


def slot(of: Context) -> float:
    """Return the seconds from sample to sample."""
    return of.timing.day / SLOTS


def history(of: Context, slots: int, value: Callable[[int], float | None]) -> list[Phase]:
    """Return a series of so many slots and a last sample.

    Parameters
    ----------
    of
    slots
    value
        Is told how many slots before the last a sample is.
    """
    values = (value(ago) for ago in range(slots, -1, -1))
    return [(slot(of) * len(list(same)), number) for number, same in groupby(values)]
