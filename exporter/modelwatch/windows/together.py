"""How the features of any window of a past time go together, from sums of its rows' scores between marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from modelwatch.profile.correlation import CorrelationConstants, codes_of
from modelwatch.profile.score_sums import ScoreSums
from modelwatch.records import FloatArray

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["RowPieces", "Together"]

RowPieces = Iterable[tuple[FloatArray, Mapping[str, Any]]]
"""Rows in pieces: the time of each, seconds since the epoch, and columns by feature."""


class Together:
    """Running sums over time of the scores of rows.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    constants : CorrelationConstants
        What it knows of its features together.
    marks : array_like, shape (marks,)
        Times at which windows begin or end.
    pieces : RowPieces
        The rows, in any order. Those without a time (NaN), and before the first mark or after the last, don't count.

    Attributes
    ----------
    constants : CorrelationConstants

    Examples
    --------
    >>> from modelwatch.profile import ReferenceProfile
    >>> a, b = np.random.default_rng(0).normal(size=(2, 1000))
    >>> profile = ReferenceProfile.build({"a": a, "b": a + b})
    >>> piece = np.arange(1000.0), {"a": a, "b": np.where(np.arange(1000) < 600, a + b, b)}
    >>> sums = Together(profile, profile.correlation, [0.0, 600.0, 1000.0], [piece])
    >>> [sums.between(*times).correlation().round(1).tolist() for times in ((0.0, 600.0), (600.0, 1000.0))]
    [[0.7], [0.1]]
    """

    def __init__(
        self,
        profile: ReferenceProfile,
        constants: CorrelationConstants,
        marks: ArrayLike,
        pieces: RowPieces,
    ) -> None:
        self.constants = constants
        self._members = [profile.member(name) for name in constants.features]
        self._marks = np.unique(np.asarray(marks, dtype=np.float64))
        features, between = len(self._members), max(len(self._marks) - 1, 0)
        # Sums up to each mark once all is there; before, of what came since the mark before it.
        self._n = np.zeros(between + 1)
        self._sums = np.zeros((between + 1, features))
        self._products = np.zeros((between + 1, features, features))
        for times, columns in pieces:
            self._add(times, columns)
        for running in (self._n, self._sums, self._products):
            np.cumsum(running, axis=0, out=running)

    def _add(self, times: FloatArray, columns: Mapping[str, Any]) -> None:
        places = np.where(np.isnan(times), 0, np.searchsorted(self._marks, times, side="right"))
        order = np.argsort(places, kind="stable")
        codes, places = codes_of(self._members, columns, len(times))[:, order], places[order]
        hours = None if self.constants.hours is None else self.constants.hours.places(times[order])
        for place in np.unique(places[(places > 0) & (places < len(self._marks))]).tolist():
            first, last = np.searchsorted(places, (place, place + 1)).tolist()
            found = ScoreSums.of(self.constants, codes[:, first:last], None if hours is None else hours[first:last])
            self._n[place] += found.n
            self._sums[place] += found.sums
            self._products[place] += found.products

    @property
    def rows(self) -> float:
        """How many there are."""
        return float(self._n[-1])

    def between(self, start: float, end: float) -> ScoreSums:
        """Return the sums of the rows of ``[start, end)``; what lies between two marks counts from the later one."""
        first, last = np.searchsorted(self._marks, (start, end)).clip(0, len(self._marks) - 1).tolist()
        first = min(first, last)
        return ScoreSums(
            float(self._n[last] - self._n[first]),
            self._sums[last] - self._sums[first],
            self._products[last] - self._products[first],
        )
