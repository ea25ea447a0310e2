"""A sample of the rows of a table in pieces, as the cells that their values fall into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelwatch.profile.correlation import codes_of
from modelwatch.profile.normal_scores import MOST_CELLS, Codes
from modelwatch.profile.scan import SAMPLE, Hashes
from modelwatch.records import CellLayout, FeatureCells, FloatArray

__all__ = ["CodeSample"]

MOST_CODES = 60 * SAMPLE
"""Of more features than sixty, fewer rows."""


class CodeSample:
    """All rows up to a number of them, then those of which a hash of the row is ever smaller.

    Parameters
    ----------
    layout : CellLayout
        The cells; features that have too many of them are left out.
    """

    def __init__(self, layout: CellLayout) -> None:
        self._members = [member for member in layout.features if member.size <= MOST_CELLS]
        self._most = min(SAMPLE, MOST_CODES // max(len(self._members), 1))
        self._codes: list[Codes] = []
        self._hashes: list[Hashes] = []
        self._seconds: list[FloatArray] = []
        self._halvings = self._kept = 0

    def add(self, columns: Mapping[str, Any], hashes: Hashes, seconds: FloatArray | None) -> None:
        """Look at the next rows."""
        times = np.full(len(hashes), np.nan) if seconds is None else seconds
        self._keep(codes_of(self._members, columns, len(hashes)), hashes, times)
        while self._kept > self._most:
            self._halvings += 1
            everything = (
                np.concatenate(self._codes, axis=1),
                np.concatenate(self._hashes),
                np.concatenate(self._seconds),
            )
            self._codes, self._hashes, self._seconds, self._kept = [], [], [], 0
            self._keep(*everything)

    def _keep(self, codes: Codes, hashes: Hashes, seconds: FloatArray) -> None:
        if self._halvings:
            chosen = hashes < np.uint32(1 << (32 - self._halvings))
            codes, hashes, seconds = codes[:, chosen], hashes[chosen], seconds[chosen]
        self._codes.append(codes)
        self._hashes.append(hashes)
        self._seconds.append(seconds)
        self._kept += len(hashes)

    def codes(self, members: Sequence[FeatureCells]) -> Codes:
        """Return the cells of the sampled rows, shape (features, rows)."""
        places = [self._members.index(member) for member in members]
        return np.concatenate([codes[places] for codes in self._codes], axis=1)

    @property
    def seconds(self) -> FloatArray:
        """When each of them was."""
        return np.concatenate(self._seconds)
