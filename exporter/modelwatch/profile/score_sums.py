"""Sums of rows' normal scores and of their products: they add up over rows, and correlations follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.correlation import CorrelationConstants, correlations_from, pairs_of
from modelwatch.profile.normal_scores import Codes
from modelwatch.records import FloatArray, IntArray

__all__ = ["ScoreSums"]

_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class ScoreSums:
    """Sums over some rows.

    Attributes
    ----------
    n : float
        Rows.
    sums : ndarray, shape (features,)
        Of their scores.
    products : ndarray, shape (features, features)
        Of the products of two scores of a row.

    Examples
    --------
    >>> from modelwatch.profile import ReferenceProfile
    >>> a, b = np.random.default_rng(0).normal(size=(2, 5000))
    >>> constants = ReferenceProfile.build({"a": a, "b": 0.6 * a + 0.8 * b}).correlation
    >>> low, high = np.zeros((2, 50), dtype=np.uint8), np.full((2, 50), 19, dtype=np.uint8)
    >>> ScoreSums.of(constants, np.hstack([low, high])).correlation().round(6).tolist()
    [1.0]
    """

    n: float
    sums: FloatArray
    products: FloatArray

    @classmethod
    def of(cls, constants: CorrelationConstants, codes: Codes, places: IntArray | None = None) -> ScoreSums:
        """Sum the scores of rows, a part at a time; arguments as of ``constants.scores_of``."""
        features = len(codes)
        sums, products = np.zeros(features), np.zeros((features, features))
        for first in range(0, codes.shape[1], _CHUNK):
            part = slice(first, first + _CHUNK)
            scores = constants.scores_of(codes[:, part], None if places is None else places[part])
            sums += scores.sum(axis=1)
            products += scores @ scores.T
        return cls(float(codes.shape[1]), sums, products)

    def __sub__(self, other: ScoreSums) -> ScoreSums:
        return ScoreSums(self.n - other.n, self.sums - other.sums, self.products - other.products)

    def only(self, features: NDArray[np.intp]) -> ScoreSums:
        """Return those of some features."""
        return ScoreSums(self.n, self.sums[features], self.products[np.ix_(features, features)])

    def matrix(self) -> FloatArray:
        """Return the correlations, shape (features, features); NaN beside a feature that has one score only."""
        return correlations_from(self.products - np.outer(self.sums, self.sums) / max(self.n, 1.0), self.n)

    def correlation(self) -> FloatArray:
        """Return the upper triangle of :meth:`matrix`, row by row."""
        return np.asarray(self.matrix()[pairs_of(len(self.sums))])
