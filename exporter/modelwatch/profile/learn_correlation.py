"""Learning from the rows of a reference how its features go together, when a profile is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timezone, tzinfo
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.correlation import (
    CorrelationConstants,
    chosen,
    correlations,
    fisher,
    pairs_of,
)
from modelwatch.profile.hour_means import HourMeans
from modelwatch.profile.natural import LENGTHS
from modelwatch.profile.normal_scores import MOST_CELLS, Codes, score_table
from modelwatch.profile.score_sums import ScoreSums
from modelwatch.profile.strata import Strata
from modelwatch.profile.times import local_seconds
from modelwatch.records import CellLayout, FeatureCells, FloatArray, IntArray

__all__ = ["RESAMPLES", "RESAMPLE_ROWS", "learn_by_hour", "learn_correlation", "least_rows"]

RESAMPLES, RESAMPLE_ROWS = 400, 500
MOST_ROWS = 1_000_000
"""Of more rows, so many are drawn."""
ONE_SCORE = 0.99
"""A feature is left out if as many rows have one and the same score: its correlations are made by the few others."""
LEAST_DAYS, LEAST_WEEKS = 14, 8
MOST_WINDOWS = 2_000
_BATCH = 20
_DECIMALS = 4
_DIGITS = 6
_DAY = 86400.0


def least_rows(features: int) -> int:
    """Return how many rows a window needs for its correlations to say anything.

    >>> least_rows(4), least_rows(60)
    (100, 300)
    """
    return max(100, 5 * features)


def learn_correlation(
    layout: CellLayout,
    counts: IntArray,
    coded: Callable[[Sequence[FeatureCells]], Codes],
    importance: Mapping[str, float],
    seconds: FloatArray | None = None,
    zone: tzinfo = timezone.utc,
) -> CorrelationConstants | None:
    """Measure the correlations of a reference, and how much their distance varies by chance and by nature.

    Parameters
    ----------
    layout : CellLayout
        The cells.
    counts : ndarray of int, shape (layout.size,)
        Rows of the reference by cell.
    coded : callable
        Returns the cells of the rows of the reference, or of a sample of them, as `codes_of` does.
    importance : mapping of str to float
        Which features to take if there are too many.
    seconds : ndarray, shape (rows,), optional
        When each of these rows was, Unix seconds, NaN where it is not known: natural variation is learnt by its days.
    zone : tzinfo
        Where days begin.

    Returns
    -------
    CorrelationConstants or None
        None where fewer than two features have anything to go together.

    Examples
    --------
    >>> from modelwatch.profile import ReferenceProfile
    >>> a, b = np.random.default_rng(0).normal(size=(2, 5000))
    >>> constants = ReferenceProfile.build({"a": a, "b": 0.6 * a + 0.8 * b}).correlation
    >>> constants.features, constants.rows, constants.correlation.round(1).tolist()
    (('a', 'b'), 5000, [0.6])
    """
    tables = {
        member.name: score_table(member, counts[offset : offset + member.size])
        for member, offset in zip(layout.members, layout.offsets, strict=True)
        if member.size <= MOST_CELLS
    }
    varied = [
        member.name
        for member, offset in zip(layout.members, layout.offsets, strict=True)
        if member in layout.features and member.name in tables
        and _largest_share(tables[member.name], counts[offset : offset + member.size]) <= ONE_SCORE
    ]  # fmt: skip
    members = chosen(layout, varied, importance)
    if len(members) < 2:
        return None
    codes = coded(members)
    scores = tuple(tables[member.name] for member in members)
    unlearnt = CorrelationConstants(
        tuple(member.name for member in members), scores, np.zeros(0), codes.shape[1], 0.0, 0.0, 0.0, RESAMPLE_ROWS
    )
    return _learnt(unlearnt, codes, seconds, zone, np.random.default_rng(int(layout.id[:16], 16)))


def learn_by_hour(
    whole: CorrelationConstants,
    layout: CellLayout,
    strata: Strata,
    coded: Callable[[Sequence[FeatureCells]], Codes],
    seconds: FloatArray,
    zone: tzinfo = timezone.utc,
) -> CorrelationConstants | None:
    """Measure the same with what the hour makes of each feature taken off.

    Parameters
    ----------
    whole : CorrelationConstants
        As :func:`learn_correlation` returns them: of the same features and scores.
    layout, coded, seconds, zone
        As for :func:`learn_correlation`.
    strata : Strata
        The hours of the reference.

    Returns
    -------
    CorrelationConstants or None
    """
    members = [member for member in layout.features if member.name in whole.features]
    known = np.flatnonzero(np.isfinite(seconds))
    codes = coded(members)[:, known]
    hours = HourMeans(strata, layout, whole.features, whole.scores)
    unlearnt = replace(whole, days=0, natural={}, hours=hours)
    return _learnt(unlearnt, codes, seconds[known], zone, np.random.default_rng(int(layout.id[:16], 16)))


def _learnt(
    unlearnt: CorrelationConstants, codes: Codes, seconds: FloatArray | None, zone: tzinfo, rng: np.random.Generator
) -> CorrelationConstants | None:
    """Return the constants of rows; None where these are too few, or a feature is constant."""
    rows = codes.shape[1]
    if rows < RESAMPLE_ROWS // 5:
        return None
    if rows > MOST_ROWS:
        drawn = np.sort(rng.choice(rows, MOST_ROWS, replace=False))
        codes, seconds = codes[:, drawn], None if seconds is None else seconds[drawn]
    places = None if unlearnt.hours is None or seconds is None else unlearnt.hours.places(seconds)
    # So that the order of the rows does not matter.
    order = np.lexsort(codes if places is None else (*codes, places))
    codes, seconds = codes[:, order], None if seconds is None else seconds[order]
    those = _Rows(codes, None if places is None else places[order])
    total = those.sums(unlearnt)
    correlation = total.correlation()
    if np.isnan(correlation).any():
        return None
    mean, sd, skew = _moments(_resampled(unlearnt, those, fisher(correlation), rng))
    learnt = replace(
        unlearnt, correlation=correlation.round(_DECIMALS), rows=codes.shape[1], mean=_rounded(mean), sd=_rounded(sd),
        skew=_rounded(skew),
    )  # fmt: skip
    return learnt if seconds is None else _with_natural(learnt, those, local_seconds(seconds, zone), total)


class _Rows(NamedTuple):
    """Rows as their cells, and the strata that they belong to, where it matters."""

    codes: Codes
    places: IntArray | None

    def take(self, which: NDArray[np.intp] | slice) -> _Rows:
        """Return some of them."""
        return _Rows(self.codes[:, which], None if self.places is None else self.places[which])

    def sums(self, constants: CorrelationConstants) -> ScoreSums:
        """Return the sums of their scores."""
        return ScoreSums.of(constants, *self)


def _largest_share(table: FloatArray, counts: IntArray) -> float:
    by_score = np.bincount(np.unique(table, return_inverse=True)[1], counts)
    return float(by_score.max() / max(counts.sum(), 1))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


# ── chance ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _resampled(
    constants: CorrelationConstants, those: _Rows, reference: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return T of each resample."""
    features, rows = those.codes.shape
    first, second = pairs_of(features)
    found = []
    for _ in range(RESAMPLES // _BATCH):
        drawn = rng.integers(0, rows, (_BATCH, RESAMPLE_ROWS))
        scores = constants.scores_of(*those.take(drawn.ravel())).reshape(features, _BATCH, RESAMPLE_ROWS)
        measured = fisher(correlations(np.swapaxes(scores, 0, 1))[:, first, second])
        # A feature that is constant in a resample says nothing.
        found.append(np.nansum((measured - reference) ** 2, axis=1))
    return np.concatenate(found)


def _moments(values: FloatArray) -> tuple[float, float, float]:
    mean, sd = float(values.mean()), float(values.std())
    return mean, sd, float((((values - mean) / sd) ** 3).mean()) if sd > 0.0 else 0.0


# ── nature ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _with_natural(
    constants: CorrelationConstants, those: _Rows, seconds: FloatArray, total: ScoreSums
) -> CorrelationConstants:
    """Return the constants with natural variation, if there are days enough to learn it from."""
    known = np.flatnonzero(np.isfinite(seconds))
    known = known[np.argsort(seconds[known], kind="stable")]
    those, seconds = those.take(known), seconds[known]
    days = len(np.unique(np.floor(seconds / _DAY)))
    if days < LEAST_DAYS:
        return constants
    natural = {}
    for label, length in LENGTHS.items():
        if length > _DAY and days < length / _DAY * LEAST_WEEKS:
            continue
        # Monday is the first day of a week: the epoch began on a Thursday.
        since = seconds + (3 * _DAY if length > _DAY else 0.0)
        windows, left_out = np.floor(since / length), np.floor(since / max(length, _DAY))
        weighted, weight = _variation(constants, those, windows, left_out, total)
        if weight > 0.0:
            natural[label] = (_rounded(weighted), _rounded(weight))
    return replace(constants, days=days if natural else 0, natural=natural)


def _variation(
    constants: CorrelationConstants, those: _Rows, windows: FloatArray, left_out: FloatArray, total: ScoreSums
) -> tuple[float, float]:
    """Return ``sum e / f²`` and ``sum 1 / f²`` over windows, each compared with the reference without its own day."""
    weighted = weight = 0.0
    day, others = np.nan, np.zeros(0)
    for first, last in _spread(windows, least_rows(len(constants.features))):
        if left_out[first] != day:
            day = left_out[first]
            begin, end = np.searchsorted(left_out, day, "left"), np.searchsorted(left_out, day, "right")
            others = fisher((total - those.take(slice(begin, end)).sums(constants)).correlation())
        squares = (fisher(those.take(slice(first, last)).sums(constants).correlation()) - others) ** 2
        usable = int(np.isfinite(squares).sum())
        if usable:
            factor = constants.noise_factor(last - first)
            natural = float(np.nansum(squares)) / usable - factor * constants.mean / len(squares)
            weighted, weight = weighted + natural / factor**2, weight + 1.0 / factor**2
    return weighted, weight


def _spread(windows: FloatArray, least: int) -> Iterator[tuple[int, int]]:
    """Yield where windows of rows enough begin and end; of too many, some that are spread evenly."""
    begins = np.flatnonzero(np.diff(windows, prepend=np.nan) != 0)
    ends = np.append(begins[1:], len(windows))
    large = np.flatnonzero(ends - begins >= least)
    if len(large) > MOST_WINDOWS:
        large = large[np.linspace(0, len(large) - 1, MOST_WINDOWS).astype(np.intp)]
    for place in large:
        yield int(begins[place]), int(ends[place])
