"""What the hour makes of scores: the mean of each stratum, taken off before features are compared by their hours.

Where inputs have a daily cycle, they go together over a day by that alone, and within an hour in another way. With what
the hour makes of each taken off, an hour, a day and a week say the same of how features go together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.strata import Strata, stratum_of
from modelwatch.records import CellLayout, FloatArray, IntArray

__all__ = ["HourMeans"]


@dataclass(frozen=True, eq=False)
class HourMeans:
    """Means of scores by stratum.

    Attributes
    ----------
    strata : Strata
        Counts of the reference by stratum.
    layout : CellLayout
        Of the counts.
    features : tuple of str
        The features in question.
    scores : tuple of ndarray, each of shape (cells,)
        What each of their cells is worth.

    Examples
    --------
    >>> from modelwatch.records import FeatureCells
    >>> layout = CellLayout((FeatureCells("age", "numeric", minimum=0.0, edges=(40.0, 80.0)),))
    >>> counts = np.zeros((48, layout.size), dtype=int)
    >>> counts[:24, 0], counts[24:, 1] = 1000, 1000  # the young come on weekdays
    >>> worth = np.array([-1.0, 1.0, -3.0, 3.0, 0.0, 0.0, 0.0, 0.0])
    >>> HourMeans(Strata("48", "UTC", counts), layout, ("age",), (worth,)).means[[0, 30, -1], 0].tolist()
    [-1.0, 1.0, 0.0]
    """

    strata: Strata
    layout: CellLayout
    features: tuple[str, ...]
    scores: tuple[FloatArray, ...]

    @cached_property
    def means(self) -> FloatArray:
        """The means, shape (strata + 1, features); the last row, of rows without a time, is 0.

        Worked out when rows are compared: who reads a profile to count by it never needs them.
        """
        counts = self.strata.pools(self.layout).counts
        places = {member.name: place for place, member in enumerate(self.layout.members)}
        means = np.zeros((len(counts) + 1, len(self.features)))
        for column, (name, score) in enumerate(zip(self.features, self.scores, strict=True)):
            first = self.layout.offsets[places[name]]
            own = counts[:, first : first + len(score)].astype(np.float64)
            rows = own.sum(axis=1)
            means[:-1, column] = np.where(rows > 0, own @ score / np.where(rows > 0, rows, 1.0), 0.0)
        return means

    def places(self, seconds: FloatArray) -> IntArray:
        """Return the row of `means` of each time, the last one where there is no time."""
        return stratum_of(seconds, self.strata.kind, self.strata.timezone)

    def only(self, features: NDArray[np.bool_]) -> HourMeans:
        """Return the means of some features."""
        kept = np.flatnonzero(features).tolist()
        return HourMeans(
            self.strata, self.layout, tuple(self.features[i] for i in kept), tuple(self.scores[i] for i in kept)
        )
