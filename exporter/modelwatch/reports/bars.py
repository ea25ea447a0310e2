"""The distribution of one feature as bars: the reference and what is compared with it, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.drift.words import plain_number
from modelwatch.records import HIGH, INVALID_TYPE, LOW, MISSING, TAIL_CELLS, FeatureCells, FloatArray

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["Bars", "bars_of"]

STEPS = 24
"""Bars of a numeric feature: equal steps of its range."""
MOST_CATEGORIES = 16
_TAIL = 0.15
"""A range that reaches further than this beyond its middle 98 %, in lengths of it, is cut there."""


@dataclass(frozen=True)
class Bars:
    """Shares of rows, of the reference and now.

    Attributes
    ----------
    labels : tuple of str
        What each bar holds.
    reference, current : tuple of float
        Shares of all rows, 0 to 1; they add up to 1 unless there are no rows.
    regular : int
        So many leading bars show ordinary values; the others out-of-range, unseen, missing and invalid ones.
    numeric : bool
        Whether the regular bars are steps of a range rather than categories.
    """

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    regular: int
    numeric: bool


def bars_of(profile: ReferenceProfile, name: str, current: FloatArray, reference: FloatArray | None = None) -> Bars:
    """Return the bars of one member of a profile.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    name : str
        A feature; "" for the prediction.
    current : ndarray, shape (member.size,)
        Counts that are compared with it.
    reference : ndarray, shape (member.size,), optional
        Counts of the reference; those of the profile if not given.

    Returns
    -------
    Bars

    Examples
    --------
    >>> from modelwatch.profile import ReferenceProfile
    >>> profile = ReferenceProfile.build({"plan": ["free"] * 80 + ["pro"] * 20})
    >>> bars = bars_of(profile, "plan", np.array([30.0, 10.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    >>> bars.labels, bars.reference, bars.current
    (('free', 'pro', 'unseen'), (0.8, 0.2, 0.0), (0.6, 0.2, 0.2))
    """
    member = profile.member(name)
    given = profile.counts_of(name) if reference is None else reference
    both = np.stack([np.asarray(given, dtype=np.float64), np.asarray(current, dtype=np.float64)])
    both = both / np.maximum(both.sum(axis=1, keepdims=True), 1e-300)
    labels, shares = _steps(profile, member, both) if member.kind == "numeric" else _categories(member, both)
    special, tail = _special(member, both[:, -TAIL_CELLS:])
    return Bars(
        labels=(*labels, *special),
        reference=tuple(np.concatenate([shares[0], tail[0]]).tolist()),
        current=tuple(np.concatenate([shares[1], tail[1]]).tolist()),
        regular=len(labels),
        numeric=member.kind == "numeric",
    )


def _steps(profile: ReferenceProfile, member: FeatureCells, both: FloatArray) -> tuple[list[str], FloatArray]:
    """Spread each cell evenly over what is shown of it, and cut the range into equal steps."""
    inside = both[:, : member.shape_size]
    low, high = _range(profile, member)
    if not low < high:
        return [plain_number(member.minimum)], inside.sum(axis=1, keepdims=True)
    # Scaled, so that the width of a range of the largest numbers is a number too.
    scale = max(abs(member.minimum), abs(member.edges[-1]))
    edges = np.clip(np.array([member.minimum, *member.edges]) / scale, low / scale, high / scale)
    bounds = np.linspace(low / scale, high / scale, STEPS + 1)
    running = np.concatenate([np.zeros((2, 1)), np.cumsum(inside, axis=1)], axis=1)
    at = np.stack([np.interp(bounds, edges, row) for row in running])
    at[:, 0], at[:, -1] = 0.0, running[:, -1]
    texts = [plain_number(float(bound) * scale) for bound in bounds]
    return [f"{a} to {b}" for a, b in pairwise(texts)], np.diff(at, axis=1)


def _range(profile: ReferenceProfile, member: FeatureCells) -> tuple[float, float]:
    low, high = member.minimum, member.edges[-1]
    moments = profile.moments.get(member.name)
    if moments is None:
        return low, high
    q01, q99 = moments.quantiles["q01"], moments.quantiles["q99"]
    reach = _TAIL * (q99 / 2 - q01 / 2) * 2
    if not 0.0 < reach < np.inf:
        return low, high
    return (low if low >= q01 - reach else q01), (high if high <= q99 + reach else q99)


def _categories(member: FeatureCells, both: FloatArray) -> tuple[list[str], FloatArray]:
    """Keep the largest categories on either side, in the reference's order; the others are one bar."""
    named = len(member.categories)
    largest = np.argsort(-both[:, :named].max(axis=0), kind="stable")[:MOST_CATEGORIES]
    kept = np.sort(largest)
    rest = both[:, : member.shape_size].sum(axis=1) - both[:, kept].sum(axis=1)
    labels = [member.categories[i] or "(empty)" for i in kept]
    shares = both[:, kept]
    if named > len(kept) or member.known or not member.vocabulary_complete:
        return [*labels, "other"], np.concatenate([shares, np.maximum(rest, 0.0)[:, None]], axis=1)
    return labels, shares


def _special(member: FeatureCells, tail: FloatArray) -> tuple[list[str], FloatArray]:
    """Return what is no ordinary value, where there is any on either side."""
    missing, invalid = tail[:, MISSING], tail[:, INVALID_TYPE:].sum(axis=1)
    if member.kind == "numeric":
        named = [("below", tail[:, LOW]), ("above", tail[:, HIGH])]
    else:
        named = [("unseen", tail[:, LOW] + tail[:, HIGH])]
    shown = [(label, share) for label, share in [*named, ("missing", missing), ("invalid", invalid)] if share.any()]
    shares = np.stack([share for _, share in shown], axis=1) if shown else np.zeros((2, 0))
    return [label for label, _ in shown], shares
