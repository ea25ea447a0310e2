"""How the features of a reference go together: correlations of their normal scores, and how much these vary by chance.

The distance of a window from the reference is ``T = sum over pairs of (atanh r_window - atanh r_reference)²``. What T
is where nothing changed is not known beforehand, as features depend on each other; so it is taken from resamples of
the reference, once, when the profile is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.hour_means import HourMeans
from modelwatch.profile.natural import tolerance_factor
from modelwatch.profile.normal_scores import Codes, cells_of
from modelwatch.records import CellLayout, FeatureCells, FloatArray, IntArray

__all__ = [
    "MOST_FEATURES",
    "CorrelationConstants",
    "correlations",
    "fisher",
    "pairs_of",
    "scores_of",
]

MOST_FEATURES = 60
"""Of more, the most important ones are taken."""
STRONGEST = 0.99
"""Stronger correlations count as this: between 0.99 and 1 lie whole units of atanh, made by a handful of odd rows."""


@dataclass(frozen=True, eq=False)
class CorrelationConstants:
    """What a profile knows of its features together.

    Attributes
    ----------
    features : tuple of str
        Those that are compared, in the order of the layout.
    scores : tuple of ndarray
        For each feature, what each of its cells is worth.
    correlation : ndarray, shape (pairs,)
        Of the scores in the reference: the upper triangle, row by row.
    rows : int
        Rows that it was measured on.
    mean, sd, skew : float
        Of T over resamples of `resample_rows` rows.
    resample_rows : int
        Rows of a resample.
    days : int
        Days that natural variation was learnt from; 0 if it was not.
    natural : mapping of str to (float, float)
        By length of window (see :data:`modelwatch.profile.natural.LENGTHS`): ``sum e / f²`` and ``sum 1 / f²`` over
        windows of the reference, where e is the part of T by pair that is not chance and f goes with its noise.
    hours : HourMeans or None
        What is taken off the scores of each hour; None where nothing is.
    """

    features: tuple[str, ...]
    scores: tuple[FloatArray, ...]
    correlation: FloatArray
    rows: int
    mean: float
    sd: float
    skew: float
    resample_rows: int
    days: int = 0
    natural: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    hours: HourMeans | None = None

    @cached_property
    def tables(self) -> FloatArray:
        """The scores as one array, shape (features, most cells), ends filled with 0."""
        out = np.zeros((len(self.scores), max(map(len, self.scores))))
        for row, table in zip(out, self.scores, strict=True):
            row[: len(table)] = table
        return out

    @cached_property
    def atanh(self) -> FloatArray:
        """Fisher's transform of the correlations, shape (pairs,)."""
        return fisher(self.correlation)

    def scores_of(self, codes: Codes, places: IntArray | None = None) -> FloatArray:
        """Return the scores of rows, shape (features, n).

        Parameters
        ----------
        codes : ndarray of uint8, shape (features, n)
            Their cells.
        places : ndarray of int, shape (n,), optional
            Their strata, as ``hours.places`` returns them.
        """
        scores = scores_of(self.tables, codes)
        if self.hours is not None and places is not None:
            scores -= self.hours.means[places].T
        return scores

    def without(self, name: str) -> CorrelationConstants | None:
        """Return the constants of the other features; None if fewer than two are left."""
        if name not in self.features:
            return self
        kept = np.array([feature != name for feature in self.features])
        first, second = pairs_of(len(kept))
        pairs = kept[first] & kept[second]
        if not pairs.any():
            return None
        return replace(
            self,
            features=tuple(feature for feature in self.features if feature != name),
            scores=tuple(table for feature, table in zip(self.features, self.scores, strict=True) if feature != name),
            correlation=self.correlation[pairs],
            # T adds up over pairs. It varies less over some of them, by how much is not known.
            mean=self.mean * float(pairs.mean()),
            hours=None if self.hours is None else self.hours.only(kept),
        )

    def noise_factor(self, n: float) -> float:
        """Return by what T of `n` rows is larger than that of a resample: ``n0 (1/(n - 3) + 1/m)``."""
        return self.resample_rows * (1.0 / (n - 3.0) + 1.0 / self.rows)

    def natural_square(self, seconds: float) -> float:
        """Return the mean squared natural distance by pair in windows of such a length; 0 if it is not learnt."""
        v = {label: max(weighted / weight, 0.0) for label, (weighted, weight) in self.natural.items() if weight > 0}
        if seconds < 12 * 3600.0:
            return v.get("1h", v.get("24h", 0.0))
        if seconds < 84 * 3600.0:
            return v.get("24h", 0.0)
        return v.get("168h", v.get("24h", 0.0) / 2.0)

    def tolerance(self, least: float, seconds: float) -> float:
        """Return the distance (root mean square over pairs) that is tolerated in a window.

        Parameters
        ----------
        least : float
            What is tolerated of features that don't vary by themselves.
        seconds : float
            Length of the window.
        """
        natural = tolerance_factor(self.days) * self.natural_square(seconds) if self.days else 0.0
        return float(max(least**2, natural) ** 0.5)


def pairs_of(features: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the second feature of each pair, in the order of the upper triangle.

    >>> [place.tolist() for place in pairs_of(3)]
    [[0, 0, 1], [1, 2, 2]]
    """
    return np.triu_indices(features, 1)


def fisher(correlation: FloatArray) -> FloatArray:
    """Return ``atanh r``, whose noise does not depend on r (Fisher 1921), of at most :data:`STRONGEST`."""
    return np.asarray(np.arctanh(np.clip(correlation, -STRONGEST, STRONGEST)))


def scores_of(tables: FloatArray, codes: Codes) -> FloatArray:
    """Return the scores of rows by their cells; both have features in front."""
    return np.asarray(np.take_along_axis(tables, codes.astype(np.intp), axis=1))


def correlations(scores: FloatArray) -> FloatArray:
    """Return the correlations of rows' scores.

    Parameters
    ----------
    scores : ndarray, shape (..., features, rows)

    Returns
    -------
    ndarray, shape (..., features, features)
        NaN beside a feature that has one score only.

    Examples
    --------
    >>> correlations(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 1.0, 1.0]])).round(6).tolist()
    [[1.0, 1.0, nan], [1.0, 1.0, nan], [nan, nan, nan]]
    """
    centred = scores - scores.mean(axis=-1, keepdims=True)
    products = centred @ np.swapaxes(centred, -1, -2)
    return correlations_from(products, scores.shape[-1])


def correlations_from(products: FloatArray, n: float) -> FloatArray:
    """Return correlations from sums of products of deviations from the mean; NaN beside a constant feature."""
    squares = np.diagonal(products, axis1=-2, axis2=-1)
    # What is left of a constant one is rounding.
    lengths = np.sqrt(np.where(squares > 1e-9 * n, squares, np.nan))
    return np.asarray(products / (lengths[..., :, None] * lengths[..., None, :]))


def codes_of(members: Sequence[FeatureCells], columns: Mapping[str, Any], n: int) -> Codes:
    """Return the cells of rows, shape (features, n); a feature without a column is missing in each row."""
    out: Codes = np.empty((len(members), n), dtype=np.uint8)
    for row, member in zip(out, members, strict=True):
        row[:] = cells_of(member, columns.get(member.name), n)
    return out


def chosen(layout: CellLayout, names: Sequence[str], importance: Mapping[str, float]) -> list[FeatureCells]:
    """Return at most :data:`MOST_FEATURES` of the named features, the most important ones, in order."""
    wanted = set(names)
    members = [member for member in layout.features if member.name in wanted]
    ranked = sorted(members, key=lambda member: -importance.get(member.name, 0.0))
    kept = {member.name for member in ranked[:MOST_FEATURES]}
    return [member for member in members if member.name in kept]
