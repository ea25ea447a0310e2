"""The mean of a feature whose shape varies too much by itself to be tested: a week's mean varies far less than a day.

The air of a day is like that of few other days, so no day is far from all; but a week that is as cold as the coldest
day ever was, is a change. The mean of normal scores takes the place of the shape in such windows: one test for another,
so that no more of them are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from modelwatch.drift.tolerance import learnt_length
from modelwatch.profile.divergence import D_PER_JS2
from modelwatch.profile.means import mean_shift
from modelwatch.profile.natural import tolerance_factor
from modelwatch.records import FloatArray

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["MeanShifts", "largest_shift", "mean_shifts", "mean_tolerances"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MeanShifts:
    """Shifts of means, in the windows where they are tested instead of shapes.

    Attributes
    ----------
    at : ndarray of bool, shape (windows, features)
        Where.
    square : ndarray, shape (tests,)
        Squared shifts, in squared standard deviations of the reference: a small one is a distance d of the same size.
    p_real : ndarray, shape (tests,)
        "There is no shift."
    natural : ndarray, shape (tests,)
        What is natural of the square, ``c(D)·v``.
    """

    at: BoolArray
    square: FloatArray
    p_real: FloatArray
    natural: FloatArray


def mean_tolerances(profile: ReferenceProfile, members: Sequence[int], seconds: FloatArray) -> FloatArray:
    """Return what is natural of the squared shift of means, ``c(D)·v``: (windows, features); inf where unknown.

    Parameters
    ----------
    profile : ReferenceProfile
        Knows how much means vary, if it has learnt it.
    members : sequence of int
        Indices into ``profile.layout.members``.
    seconds : ndarray, shape (windows, members) or (windows, 1)
        The time that rows come from, in each window for each member.
    """
    spans = np.broadcast_to(seconds, (len(seconds), len(members)))
    if profile.natural_days <= 0:
        return np.full(spans.shape, np.inf)
    variation = profile.mean_variation[learnt_length(spans), np.asarray(members, dtype=np.intp)]
    return np.asarray(tolerance_factor(profile.natural_days) * variation)


def mean_shifts(
    profile: ReferenceProfile,
    members: Sequence[int],
    cells: FloatArray,
    reference: FloatArray,
    seconds: FloatArray,
    noisy: BoolArray,
) -> MeanShifts | None:
    """Measure the means of what is too noisy for its shape to be tested.

    Parameters
    ----------
    profile : ReferenceProfile
        Says what cells are worth, and what is natural.
    members : sequence of int
        Indices into ``profile.layout.members``.
    cells, reference : ndarray, shape (windows, layout.size), or (1, layout.size) of `reference`
        Counts.
    seconds : ndarray, shape (windows, members) or (windows, 1)
        The time that rows come from.
    noisy : ndarray of bool, shape (windows, features)
        Where shapes are not tested.

    Returns
    -------
    MeanShifts or None
        None where no mean can be tested: of categories, and where means vary by nature by as much as can be measured.
    """
    natural = mean_tolerances(profile, members, seconds)
    at = noisy & (natural < D_PER_JS2)
    reference = np.broadcast_to(reference, cells.shape)
    square, p_real = np.zeros(at.shape), np.ones(at.shape)
    for f in np.flatnonzero(at.any(axis=0)).tolist():
        member, offset = profile.layout.members[members[f]], profile.layout.offsets[members[f]]
        scores = profile.normal_scores[members[f]]
        shape = slice(offset, offset + member.shape_size)
        o, r = cells[:, shape], reference[:, shape]
        at[:, f] &= (scores is not None) & (o.sum(axis=1) > 0) & (r.sum(axis=1) > 0)
        w = np.flatnonzero(at[:, f])
        if scores is not None and len(w):
            square[w, f], s = mean_shift(np.ascontiguousarray(o[w]), np.ascontiguousarray(r[w]), scores)
            p_real[w, f] = chdtrc(1.0, square[w, f] / s)
    return MeanShifts(at, square[at], p_real[at], natural[at]) if at.any() else None


def largest_shift(profile: ReferenceProfile, place: int) -> float:
    """Return the largest square that a mean can be off by: all rows in the lowest cell, or all in the highest.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    place : int
        Which member; of categories it is 0.
    """
    member, offset = profile.layout.members[place], profile.layout.offsets[place]
    scores = profile.normal_scores[place]
    shape = profile.counts[offset : offset + member.shape_size].astype(np.float64)
    if scores is None or not shape.any():
        return 0.0
    ends = np.zeros((2, len(shape)))
    ends[0, 0] = ends[1, -1] = 1.0
    square, _ = mean_shift(ends, np.broadcast_to(shape, ends.shape), scores)
    return float(square.max())
