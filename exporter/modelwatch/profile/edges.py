"""Where the cells of a numeric feature begin and end, and which categories have a cell of their own.

The rules of drift scoring: cells must be fine enough to see a shift, and each must hold enough of the reference for
its share to be known.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from modelwatch.conventions import OTHER, UNSEEN
from modelwatch.profile.values import can_be_category
from modelwatch.records import FeatureCells, FloatArray, IntArray

MIN_CELL_SHARE = 0.005
TOP_CATEGORIES = 50
MAX_VOCABULARY = 10_000

_QUANTILE, _POINT_MASS, _KEPT = range(3)


def numeric_cells(name: str, values: FloatArray, bins: int, keep: tuple[float, ...] = ()) -> FeatureCells:
    """Return the cells of a numeric feature.

    With at most `bins` distinct values each has a cell, with edges half-way to its neighbours. Otherwise a value that
    makes up 1/bins of the rows or more has a cell of its own, the rest is cut at its quantiles k/bins, and cells
    that hold less than 0.5 % of the rows are merged with a neighbour.

    Parameters
    ----------
    name : str
        The feature.
    values : ndarray, shape (n,)
        Finite values of the reference, at least one.
    bins : int
        About how many cells.
    keep : tuple of float
        Values that must be edges if they lie inside the range (a decision threshold); not used where every
        distinct value has a cell.

    >>> numeric_cells("dice", np.array([1.0, 2, 2, 3]), 20).edges
    (1.5, 2.5, 3.0)
    >>> numeric_cells("x", np.arange(1.0, 1001), 10).edges[:3]
    (100.0, 200.0, 300.0)
    """
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64) + 0.0, return_counts=True)
    if len(distinct) <= bins:
        edges = [*_midpoints(distinct[:-1], distinct[1:]).tolist(), float(distinct[-1])]
    else:
        edges = _mixed_edges(distinct, counts, bins, keep)
    return FeatureCells(name=name, kind="numeric", minimum=float(distinct[0]), edges=tuple(edges))


def _midpoints(low: FloatArray, high: FloatArray) -> FloatArray:
    """Return edges that part two neighbours: low <= edge < high, whatever rounding does."""
    middle = low / 2 + high / 2
    out: FloatArray = np.where((middle >= low) & (middle < high), middle, low)
    return out


def _mixed_edges(distinct: FloatArray, counts: IntArray, bins: int, keep: tuple[float, ...]) -> list[float]:
    maximum = float(distinct[-1])
    rank: dict[float, int] = {}
    is_mass = counts >= counts.sum() / bins
    rest, rest_counts = distinct[~is_mass], counts[~is_mass]
    for edge in _quantiles(rest, rest_counts, bins).tolist():
        rank[edge] = _QUANTILE
    at = np.flatnonzero(is_mass)
    below = at[at > 0]
    above = at[at < len(distinct) - 1]
    for edge in _midpoints(distinct[below - 1], distinct[below]).tolist():
        rank[edge] = _POINT_MASS
    for edge in _midpoints(distinct[above], distinct[above + 1]).tolist():
        rank[edge] = _POINT_MASS
    for edge in keep:
        if distinct[0] <= edge < maximum:
            rank[float(edge) + 0.0] = _KEPT
    rank[maximum] = _KEPT
    return _merge_small(rank, distinct, counts)


def _quantiles(distinct: FloatArray, counts: IntArray, bins: int) -> FloatArray:
    """Return the unique quantiles at k/bins of a sample given as distinct values and counts (method "lower")."""
    if not len(distinct):
        return distinct
    cumulative = np.cumsum(counts)
    positions = np.arange(1, bins + 1) * (int(cumulative[-1]) - 1) // bins
    # A 0-based position p falls on the first value whose cumulative count exceeds p.
    out: FloatArray = np.unique(distinct[np.searchsorted(cumulative, positions, side="right")])
    return out


def _merge_small(rank: dict[float, int], distinct: FloatArray, counts: IntArray) -> list[float]:
    """Drop edges until every cell holds enough, quantiles before the edges of point masses; kept ones stay."""
    edges = sorted(rank)
    cumulative = np.concatenate([[0], np.cumsum(counts)])
    up_to = cumulative[np.searchsorted(distinct, edges, side="right")]
    held: list[int] = np.diff(up_to, prepend=0).tolist()
    least = MIN_CELL_SHARE * int(cumulative[-1])
    while True:
        small = [i for i, count in enumerate(held) if count < least]
        # Edge i parts cells i and i+1, so a small cell can lose the edge on either side.
        options = {j for i in small for j in (i - 1, i) if 0 <= j < len(edges) - 1 and rank[edges[j]] != _KEPT}
        if not options:
            return edges
        drop = min(options, key=lambda j: (rank[edges[j]], held[j] + held[j + 1], j))
        held[drop : drop + 2] = [held[drop] + held[drop + 1]]
        del edges[drop]


def category_cells(name: str, counted: Counter[str]) -> FeatureCells:
    """Return the cells of a categorical feature: its 50 most frequent categories; the rarer are known as "other".

    A vocabulary of more than 10 000 is not kept: a category that has no cell then counts as "other", never as unseen.

    >>> category_cells("carrier", Counter({"UA": 3, "AA": 5})).categories
    ('AA', 'UA')
    """
    usable = {text: count for text, count in counted.items() if can_be_category(text)}
    ordered = sorted(usable, key=lambda text: (text in (OTHER, UNSEEN), -usable[text], text))
    # These two name cells in the exposed metrics, so a category of that name can only be "other".
    top = [text for text in ordered[:TOP_CATEGORIES] if text not in (OTHER, UNSEEN)]
    known = ordered[len(top) :]
    complete = len(ordered) <= MAX_VOCABULARY
    return FeatureCells(
        name=name,
        kind="categorical",
        categories=tuple(top),
        known=frozenset(known) if complete else frozenset(),
        vocabulary_complete=complete,
    )
