"""Counts by hour: what strata and natural variation are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.strata import STRATA, Strata, StrataKind, stratum_of_hour
from modelwatch.profile.times import wall_hours
from modelwatch.records import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class HourCounts:
    """Counts of every hour in which there were any, by the clock on the wall.

    Attributes
    ----------
    timezone : str or None
        Whose clock; None is UTC.
    hours : ndarray of int, shape (hours,)
        Ascending, each once: hours since the year 1, as `wall_hours` counts them; ``hours // 24`` is the day.
    cells : ndarray of int, shape (hours, layout.size)
        Their counts.

    Examples
    --------
    >>> quarters = HourCounts.gathered(np.arange(6) * 900.0, np.ones((6, 3), dtype=int), "UTC")
    >>> (quarters.hours % 24).tolist(), quarters.cells[:, 0].tolist(), quarters.days
    ([0, 1], [4, 2], 1)
    """

    timezone: str | None
    hours: IntArray
    cells: IntArray

    @property
    def days(self) -> int:
        """On how many calendar days there was anything."""
        return len(np.unique(self.hours // 24))

    @classmethod
    def gathered(cls, seconds: FloatArray, cells: IntArray, timezone: str | None) -> HourCounts:
        """Add up counts of shorter intervals.

        Parameters
        ----------
        seconds : ndarray, shape (intervals,)
            When each began, in seconds since 1970; those of no time are left out.
        cells : ndarray of int, shape (intervals, layout.size)
            Their counts.
        timezone : str or None
            IANA name of the zone of the clock.

        Returns
        -------
        HourCounts
        """
        return cls._summed(wall_hours(seconds, timezone), cells, timezone)

    @classmethod
    def _summed(cls, hours: IntArray, cells: IntArray, timezone: str | None) -> HourCounts:
        known = hours >= 0
        order = np.argsort(hours[known], kind="stable")
        distinct, starts = np.unique(hours[known][order], return_index=True)
        sorted_cells = cells[known][order]
        sums = np.add.reduceat(sorted_cells, starts, axis=0) if len(starts) else sorted_cells
        return cls(timezone, distinct, sums)

    def plus(self, other: HourCounts) -> HourCounts:
        """Return the counts of both; their clocks are the same."""
        together = np.concatenate([self.hours, other.hours]), np.concatenate([self.cells, other.cells])
        return self._summed(*together, self.timezone)

    def strata(self, kind: StrataKind) -> Strata:
        """Return the counts by stratum."""
        counts = np.zeros((STRATA[kind], self.cells.shape[1]), dtype=np.int64)
        np.add.at(counts, stratum_of_hour(self.hours, kind), self.cells)
        return Strata(kind, self.timezone or "UTC", counts)


def count_hours(
    assigner: CellAssigner,
    columns: Mapping[str, Any],
    predictions: Any,  # noqa: ANN401 - a column
    seconds: FloatArray,
    timezone: str | None,
) -> tuple[IntArray, HourCounts]:
    """Count rows by the hour.

    Parameters
    ----------
    assigner : CellAssigner
        Of the cells.
    columns, predictions
        As for `CellAssigner.bin`.
    seconds : ndarray, shape (rows,)
        When each row was, NaN where nobody knows.
    timezone : str or None
        IANA name of the zone of the clock.

    Returns
    -------
    counts : ndarray of int, shape (layout.size,)
        Of all rows, also of those without a time.
    hours : HourCounts
    """
    hours, groups = np.unique(wall_hours(seconds, timezone), return_inverse=True)
    batches = assigner.bin_groups(columns, groups.reshape(-1), len(hours), predictions)
    cells = np.stack([batch.cells for batch in batches])
    known = hours >= 0
    return cells.sum(axis=0), HourCounts(timezone, hours[known], cells[known])
