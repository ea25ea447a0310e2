"""What the hour makes of scores: the mean of each stratum, taken off before features are compared by their hours.

Where inputs have a daily cycle, they go together over a day by that alone, and within an hour in another way. With what
the hour makes of each taken off, an hour, a day and a week say the same of how features go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.strata import Strata, StrataKind, stratum_of
from modelwatch.records import CellLayout, FloatArray, IntArray

__all__ = ["HourMeans"]


@dataclass(frozen=True, eq=False)
class HourMeans:
    """Means of scores by stratum.

    Attributes
    ----------
    kind, timezone : str
        As those of :class:`~modelwatch.profile.strata.Strata`.
    means : ndarray, shape (strata + 1, features)
        The last row, which a row without a time is compared with, is 0.
    """

    kind: StrataKind
    timezone: str
    means: FloatArray

    @classmethod
    def of(cls, strata: Strata, layout: CellLayout, features: Sequence[str], tables: FloatArray) -> HourMeans:
        """Return the means of some features.

        Parameters
        ----------
        strata : Strata
            Counts of the reference by stratum.
        layout : CellLayout
            Of the counts.
        features : sequence of str
            Their names.
        tables : ndarray, shape (features, most cells)
            What each of their cells is worth; ends filled with 0.

        Examples
        --------
        >>> from modelwatch.records import FeatureCells
        >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(40.0, 80.0)),))
        >>> counts = np.zeros((48, layout.size), dtype=int)
        >>> counts[:24, 0], counts[24:, 1] = 1000, 1000  # the young come on weekdays
        >>> tables = np.array([[-1.0, 1.0, -3.0, 3.0, 0.0, 0.0, 0.0, 0.0]])
        >>> HourMeans.of(Strata("48", "UTC", counts), layout, ["age"], tables).means[[0, 30, -1], 0].tolist()
        [-1.0, 1.0, 0.0]
        """
        pools = strata.pools(layout)
        offsets = dict(zip((member.name for member in layout.members), layout.offsets, strict=True))
        sizes = {member.name: member.size for member in layout.members}
        means = np.zeros((len(pools.counts) + 1, len(features)))
        for place, (name, table) in enumerate(zip(features, tables, strict=True)):
            counts = pools.counts[:, offsets[name] : offsets[name] + sizes[name]].astype(np.float64)
            rows = counts.sum(axis=1)
            means[:-1, place] = np.where(rows > 0, counts @ table[: sizes[name]] / np.where(rows > 0, rows, 1.0), 0.0)
        return cls(strata.kind, strata.timezone, means)

    def places(self, seconds: FloatArray) -> IntArray:
        """Return the row of `means` of each time, the last one where there is no time."""
        return stratum_of(seconds, self.kind, self.timezone)

    def only(self, features: NDArray[np.bool_]) -> HourMeans:
        """Return the means of some features."""
        return HourMeans(self.kind, self.timezone, self.means[:, features])
