"""How much each feature varies by itself: what it does between days on which nothing is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelwatch.records import FloatArray

LENGTHS = {"1h": 3600.0, "24h": 86400.0, "168h": 7 * 86400.0}
"""The lengths of window for which natural variation is learnt."""
TESTS = 3
"""shape, missing, novel."""


@dataclass(frozen=True, eq=False)
class Natural:
    """Natural variation in windows of one length: ``v = max(0, weighted / weight)`` on the scale of d.

    Attributes
    ----------
    weighted : ndarray, shape (members, 3)
        ``sum_w (d_w - k s_w) / s_w²`` over windows of the reference, by test: shape, missing, novel.
    weight : ndarray, shape (members, 3)
        ``sum_w 1 / s_w²``. Both add up over parts of a reference.
    """

    weighted: FloatArray
    weight: FloatArray

    @property
    def v(self) -> FloatArray:
        """Mean squared natural distance, free of sampling noise; 0 where nothing is known. Shape (members, 3)."""
        return np.maximum(self.weighted / np.where(self.weight > 0, self.weight, 1.0), 0.0)


def tolerance_factor(days: float) -> float:
    """Return ``c(D) = 16 (1 + 10/D)²``: how many times `v` is natural still; of few days, more.

    >>> round(tolerance_factor(14) ** 0.5, 1), round(tolerance_factor(56) ** 0.5, 1)
    (6.9, 4.7)
    """
    return float(16.0 * (1.0 + 10.0 / days) ** 2)
