"""What sets two reference profiles apart, feature by feature, whether or not their cells are the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.drift.decision import ASKED_BUDGET, benjamini_hochberg
from modelwatch.drift.statistics import d_to_js, js_to_d, two_gate
from modelwatch.drift.table import TESTS
from modelwatch.drift.words import plain_number, share
from modelwatch.profile.moments import QUANTILES
from modelwatch.profile.natural import tolerance_factor
from modelwatch.records import HIGH, LOW, MISSING, FeatureCells, FloatArray

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["Difference", "compare_profiles"]

LEVEL = 0.05
"""Jensen-Shannon distance that is tolerated of what hardly varies by itself."""
_LENGTH = "168h"
"""Profiles cover weeks: what a week varies by is what they may differ by."""
Counts = tuple[FloatArray, FloatArray, FloatArray]
"""Of shape, missing and novel, each with the rest beside it."""


@dataclass(frozen=True)
class Difference:
    """One test of one feature, or a feature that only one of them has.

    Attributes
    ----------
    feature : str
        "" is the prediction.
    what : str
        shape, missing, novel; only in one; kind.
    score, tolerance : float
        Debiased Jensen-Shannon distance, and how much of it is tolerated; NaN where nothing could be measured.
    beyond : bool
        Whether it is real and beyond the tolerance.
    words : str
        What changed into what.
    """

    feature: str
    what: str
    score: float
    tolerance: float
    beyond: bool
    words: str


def compare_profiles(one: ReferenceProfile, other: ReferenceProfile, level: float = LEVEL) -> list[Difference]:
    """Return what a second profile has that the first has not, as one would say it of a batch of data.

    Parameters
    ----------
    one : ReferenceProfile
        The reference; what it has learnt of natural variation is tolerated.
    other : ReferenceProfile
        What is compared with it. Where cells differ, values are taken to lie evenly between the edges and quantiles
        that are known.
    level : float
        Distance that is tolerated at least.

    Returns
    -------
    list of Difference
        In the order of the first profile's features; only real ones (Benjamini-Hochberg over all tests).

    Examples
    --------
    >>> from modelwatch import ReferenceProfile
    >>> rng = np.random.default_rng(0)
    >>> one = ReferenceProfile.build({"age": rng.normal(40, 10, 6000), "bid": rng.random(6000)})
    >>> other = ReferenceProfile.build({"age": rng.normal(45, 10, 6000), "bid": rng.random(6000)})
    >>> [(d.feature, d.what, round(d.score, 1)) for d in compare_profiles(one, other) if d.beyond]
    [('age', 'shape', 0.2)]
    """
    pairs = list(_pairs(one, other))
    natural = one.natural.get(_LENGTH)
    tolerated = np.full((len(pairs), len(TESTS)), js_to_d(level))
    if natural is not None:
        places = {member.name: place for place, member in enumerate(one.layout.members)}
        v = natural.v[[places[pair.name] for pair in pairs]] if pairs else np.zeros_like(tolerated)
        tolerated = np.maximum(tolerated, tolerance_factor(one.natural_days) * v)
    # The more favourable of two ways to bring both to the same cells.
    ways = [[_tested(way, tau) for way in pair.ways] for pair, tau in zip(pairs, tolerated, strict=True)]
    found = np.array([np.min(way, axis=0) for way in ways]).reshape(len(pairs), len(TESTS), 3)
    real = benjamini_hochberg(-found[..., 1], ASKED_BUDGET)
    beyond = benjamini_hochberg(-found[..., 2], ASKED_BUDGET)
    out = {name: [difference] for name, difference in _one_sided(one, other)}
    for place, pair in enumerate(pairs):
        out[pair.name] = [
            Difference(
                pair.name, test, float(found[place, i, 0]), float(d_to_js(tolerated[place, i])),
                bool(beyond[place, i]), pair.words(test),
            )
            for i, test in enumerate(TESTS) if real[place, i]
        ]  # fmt: skip
    names = [m.name for m in one.layout.members] + [m.name for m in other.layout.members]
    return [difference for name in dict.fromkeys(names) for difference in out.get(name, ())]


def _tested(counts: tuple[Counts, Counts], tau: FloatArray) -> list[list[float]]:
    """Return of each test the score, and less than 0 the p-values of "no difference" and of "within tolerance"."""
    gates = [two_gate(o, r, t) for r, o, t in zip(*counts, tau, strict=True)]
    return [[float(np.nan_to_num(gate.score)), -float(gate.p_real), -float(gate.p)] for gate in gates]


def _one_sided(one: ReferenceProfile, other: ReferenceProfile) -> Iterator[tuple[str, Difference]]:
    first, second = ({m.name: m for m in p.layout.members} for p in (one, other))
    for name in dict.fromkeys([*first, *second]):
        mine, theirs = first.get(name), second.get(name)
        if mine is None or theirs is None:
            which = "first" if theirs is None else "second"
            yield name, Difference(name, f"only in the {which}", np.nan, np.nan, beyond=True, words="")
        elif mine.kind != theirs.kind:
            words = f"{mine.kind} → {theirs.kind}"
            yield name, Difference(name, "kind", np.nan, np.nan, beyond=True, words=words)


def _pairs(one: ReferenceProfile, other: ReferenceProfile) -> Iterator[_Pair]:
    theirs = {member.name: member for member in other.layout.members}
    for member in one.layout.members:
        found = theirs.get(member.name)
        if found is not None and found.kind == member.kind:
            yield _Pair(_Side(one, member), _Side(other, found))


class _Side:
    """What one profile counted of a feature."""

    def __init__(self, profile: ReferenceProfile, member: FeatureCells) -> None:
        self.member = member
        counts = profile.counts_of(member.name).astype(np.float64)
        self.shape = counts[: member.shape_size]
        tail = counts[member.shape_size :]
        self.rows = float(counts.sum())
        self.novel = float(tail[LOW] + tail[HIGH])
        self.missing = float(tail[MISSING:].sum())
        self.moments = profile.moments.get(member.name)

    @property
    def known(self) -> float:
        """Values inside its own range and vocabulary."""
        return float(self.shape.sum())

    def onto(self, member: FeatureCells) -> FloatArray:
        """Return how many values lie below the range of other cells, in each of them, and above."""
        edges = np.array(member.edges)
        # Halves, as the difference of two floats may be none.
        x, below = self._known_points()
        low, *up_to = (np.interp([member.minimum / 2.0, *edges / 2.0], x / 2.0, below, left=0.0) * self.known).tolist()
        if member.minimum <= self.member.minimum:
            low = 0.0
        return np.diff([0.0, low, *up_to, self.known])

    def _known_points(self) -> tuple[FloatArray, FloatArray]:
        """Return values, and the share of values up to each: edges, quantiles, and values that make up many rows."""
        edges = np.array(self.member.edges)
        shares = np.concatenate([[0.0], np.cumsum(self.shape)]) / max(self.known, 1.0)
        points = [*zip([self.member.minimum, *edges], shares.tolist(), strict=True)]
        if self.moments is not None:
            values = self.moments.quantiles
            points += [(values[name], level) for name, level in QUANTILES.items()]
            for value in {x for x in values.values() if list(values.values()).count(x) > 1}:
                # The whole cell of such a value is taken to be that value.
                cell = int(np.searchsorted(edges, value))
                points += [(value, shares[cell]), (value, shares[cell + 1])]
        x, below = np.array(sorted(points)).T
        return x, np.maximum.accumulate(below)


class _Pair:
    """A feature that both profiles have, of the same kind."""

    def __init__(self, one: _Side, other: _Side) -> None:
        self.one, self.other = one, other
        self.name = one.member.name

    @property
    def ways(self) -> list[tuple[Counts, Counts]]:
        """Counts of both over the same cells, for one way or two of finding such cells."""
        one, other = self.one, self.other
        if one.member == other.member:
            return [(_counts(one, one.shape), _counts(other, other.shape))]
        if one.member.kind == "categorical":
            mine, theirs, new = self._by_category()
            return [(_counts(one, mine), _counts(other, theirs, new))]
        low, *cells, high = other.onto(one.member)
        onto_first = _counts(one, one.shape), _counts(other, np.array(cells), low + high)
        back = one.onto(other.member)
        back[[1, -2]] += back[[0, -1]]  # what the second has no more, must not get lost
        return [onto_first, (_counts(one, back[1:-1]), _counts(other, other.shape, low + high))]

    def _by_category(self) -> tuple[FloatArray, FloatArray, float]:
        one, other = self.one.member, self.other.member
        both = [text for text in one.categories if text in other.categories]
        mine = [self.one.shape[one.categories.index(text)] for text in both]
        theirs = [self.other.shape[other.categories.index(text)] for text in both]
        known = {*one.categories, *one.known}
        new = sum(
            float(self.other.shape[place])
            for place, text in enumerate(other.categories)
            if text not in known and one.vocabulary_complete
        )
        rest = self.one.known - sum(mine), self.other.known - sum(theirs) - new
        return np.array([*mine, rest[0]]), np.array([*theirs, rest[1]]), new

    def words(self, test: str) -> str:
        """Return what changed into what."""
        one, other = self.one, self.other
        if test == "missing":
            return f"{share(one.missing / one.rows)} → {share(other.missing / other.rows)}"
        if test == "novel":
            new = self.ways[0][1][2][0]
            member = one.member
            where = (
                f"outside {plain_number(member.minimum)} to {plain_number(member.edges[-1])}"
                if member.kind == "numeric"
                else "in categories that the first has not seen"
            )
            return f"{share(new / other.rows)} {where}"
        if one.moments is not None and other.moments is not None:
            pairs = ("mean", one.moments.mean, other.moments.mean), ("sd", one.moments.sd, other.moments.sd)
            return ", ".join(f"{what} {plain_number(a)} → {plain_number(b)}" for what, a, b in pairs)
        return self._category_words()

    def _category_words(self) -> str:
        """Return the category whose share changed most."""
        one, other = self.one, self.other
        shares = {text: [count / one.rows, 0.0] for text, count in zip(one.member.categories, one.shape, strict=False)}
        for text, count in zip(other.member.categories, other.shape, strict=False):
            shares.setdefault(text, [0.0, 0.0])[1] = count / other.rows
        text = max(shares, key=lambda text: abs(shares[text][1] - shares[text][0]), default="")
        return f"{text[:40]!r} {share(shares[text][0])} → {share(shares[text][1])}" if shares else ""


def _counts(side: _Side, shape: FloatArray, novel: float = 0.0) -> Counts:
    """Return the cells of the three tests; `novel` are new to the other side."""
    new = side.novel + novel
    regular = side.known - novel
    return shape, np.array([side.missing, side.rows - side.missing]), np.array([new, regular])
