"""A sample of rows that come in pieces: for what is to be known of whole rows, however many there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.windows.rows import MOST_ROWS

__all__ = ["RowSample"]

Keys = NDArray[np.float64]


class RowSample:
    """All rows up to a number of them, then each with a chance that halves as more come.

    Which rows are kept depends on their order alone, not on how they are cut into pieces.

    Parameters
    ----------
    most : int
        Never more are kept.

    Examples
    --------
    >>> sample = RowSample(most=100)
    >>> for start in range(0, 1000, 250):
    ...     sample.add({"km": np.arange(start, start + 250.0)}, 250)
    >>> 25 < sample.rows <= 100, len(sample.columns["km"]) == sample.rows
    (True, True)
    """

    def __init__(self, most: int = MOST_ROWS) -> None:
        self._most = most
        self._rng = np.random.default_rng(0)
        self._chance = 1.0
        self._keys: list[Keys] = []
        self._columns: dict[str, list[list[Any]]] = {}

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return sum(map(len, self._keys))

    @property
    def columns(self) -> dict[str, list[Any]]:
        """Their values by column."""
        return {name: [value for part in parts for value in part] for name, parts in self._columns.items()}

    def add(self, columns: Mapping[str, Any], count: int) -> None:
        """Look at the next rows; every piece has the columns of the first."""
        keys = self._rng.random(count)
        kept = np.flatnonzero(keys < self._chance)
        self._keys.append(keys[kept])
        for name, column in columns.items():
            self._columns.setdefault(name, []).append(_picked(column, kept))
        while self.rows > self._most:
            self._chance /= 2.0
            self._thin()

    def _thin(self) -> None:
        kept = [np.flatnonzero(keys < self._chance) for keys in self._keys]
        self._keys = [keys[places] for keys, places in zip(self._keys, kept, strict=True)]
        self._columns = {
            name: [[part[i] for i in places] for part, places in zip(parts, kept, strict=True)]
            for name, parts in self._columns.items()
        }


def _picked(column: Any, kept: NDArray[np.intp]) -> list[Any]:  # noqa: ANN401 - any column
    if isinstance(column, np.ndarray):
        return column[kept].tolist()  # type: ignore[no-any-return]
    return [column[i] for i in kept.tolist()]
