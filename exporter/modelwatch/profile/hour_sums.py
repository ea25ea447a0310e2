"""Counts by hour of rows that come in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.hours import HourCounts, count_hours
from modelwatch.profile.tables import Column
from modelwatch.profile.times import wall_hours
from modelwatch.records import FloatArray, IntArray

__all__ = ["HourSums"]

_AT_ONCE = 1 << 21
"""Cells of so many hours together are counted at a time."""


class HourSums:
    """Adds up counts by hour.

    Parameters
    ----------
    timezone : str or None
        IANA name of the zone of the clock.
    size : int
        Cells of the layout.
    """

    def __init__(self, timezone: str | None, size: int) -> None:
        self._timezone = timezone
        self._places: dict[int, int] = {}
        # An hour in which a cell has two thousand million rows is not to be feared, and this is half the memory.
        self._cells = np.zeros((0, size), dtype=np.int32)

    def count(
        self,
        assigner: CellAssigner,
        columns: Mapping[str, Column],
        predictions: Any,  # noqa: ANN401 - a column
        seconds: FloatArray,
    ) -> IntArray:
        """Count the next rows; return the counts of all of them.

        Parameters
        ----------
        assigner : CellAssigner
            Of the cells.
        columns, predictions
            As for `CellAssigner.bin`.
        seconds : ndarray, shape (rows,)
            When each row was, NaN where nobody knows.
        """
        total = np.zeros(assigner.layout.size, dtype=np.int64)
        for rows in self._parts(wall_hours(seconds, self._timezone), assigner.layout.size):
            part = columns if rows is None else {name: _some(column, rows) for name, column in columns.items()}
            own = predictions if rows is None or predictions is None else _some(predictions, rows)
            times = seconds if rows is None else seconds[rows]
            counts, hours = count_hours(assigner, part, own, times, self._timezone)
            total += counts
            self._add(hours)
        return total

    @staticmethod
    def _parts(hours: IntArray, size: int) -> Iterator[IntArray | None]:
        """Yield rows of a bounded number of hours; None is all of them, as where the table is in order of time."""
        starts = np.unique(hours)[:: max(1, _AT_ONCE // size)]
        if len(starts) < 2:
            yield None
            return
        order = np.argsort(hours, kind="stable")
        yield from np.split(order, np.searchsorted(hours[order], starts[1:]))

    def _add(self, found: HourCounts) -> None:
        places = np.array(
            [self._places.setdefault(hour, len(self._places)) for hour in found.hours.tolist()], dtype=int
        )
        if len(self._places) > len(self._cells):
            more = max(len(self._places) - len(self._cells), len(self._cells) // 2)
            self._cells = np.concatenate([self._cells, np.zeros((more, self._cells.shape[1]), dtype=np.int32)])
        self._cells[places] += found.cells.astype(np.int32)

    def result(self) -> HourCounts:
        """Return the counts of all hours."""
        hours = np.array(sorted(self._places), dtype=np.int64)
        cells: Any = self._cells[[self._places[hour] for hour in hours.tolist()]]
        return HourCounts(self._timezone, hours, cells)


def _some(column: Column, rows: IntArray) -> Column:
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]
