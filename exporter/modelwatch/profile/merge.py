"""Adding up two profiles of the same cells: parts of one reference, counted apart."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.build import row_warnings
from modelwatch.profile.correlation import CorrelationConstants
from modelwatch.profile.moments import QUANTILES, Moments
from modelwatch.profile.natural import Natural
from modelwatch.profile.reference import ReferenceProfile
from modelwatch.profile.strata import Strata
from modelwatch.profile.times import wall_hours
from modelwatch.records import HIGH, LOW, PREDICTIONS, FeatureCells, FloatArray, IntArray, prediction_words


def merge(one: ReferenceProfile, other: ReferenceProfile) -> ReferenceProfile:
    """Return the profile of both references; see `ReferenceProfile.merge`."""
    _check(one, other)
    ranges = [p.time_range for p in (one, other) if p.time_range is not None]
    counts = one.counts + other.counts
    natural = {
        window: _plus(one.natural.get(window), other.natural.get(window))
        for window in (one.natural if one.natural else other.natural)
    }
    rows = one.rows + other.rows
    about_rows = {*row_warnings(one.rows), *row_warnings(other.rows)}
    told = [text for text in (*one.warnings, *other.warnings) if text not in about_rows]
    return replace(
        one,
        counts=counts,
        rows=rows,
        moments=_all_moments(one, other),
        created=max(one.created, other.created),
        timezone=one.timezone or other.timezone,
        days=_days(one, other, one.days, other.days),
        time_range=(min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None,
        labelled_rows=one.labelled_rows + other.labelled_rows,
        importance={**other.importance, **one.importance},
        warnings=(*row_warnings(rows), *dict.fromkeys(told)),
        strata=_strata(one.strata, other.strata),
        natural=natural,
        natural_days=_days(one, other, one.natural_days, other.natural_days),
        calibrated=one.calibrated or other.calibrated,
        # Correlations of both together can't be had from those of each; the reference with more rows knows them best.
        correlation=_larger(one.correlation, other.correlation),
        correlation_by_hour=_larger(one.correlation_by_hour, other.correlation_by_hour),
        revision=one.revision + other.revision,
    )


def _larger(one: CorrelationConstants | None, other: CorrelationConstants | None) -> CorrelationConstants | None:
    known = [constants for constants in (one, other) if constants is not None]
    return max(known, key=lambda constants: constants.rows, default=None)


def _check(one: ReferenceProfile, other: ReferenceProfile) -> None:
    if not isinstance(other, ReferenceProfile):
        raise ProfileError(f"merge: a {type(other).__name__} is no ReferenceProfile")
    if one.id != other.id:
        raise ProfileError(
            f"merge: profiles {one.label} and {other.label} count over other cells: {_difference(one, other)};"
            " only counts over the same cells add up"
        )
    if one.strata and other.strata and _clock(one.strata) != _clock(other.strata):
        raise ProfileError(
            f"merge: hours are counted as {_clock(one.strata)} in one profile and as {_clock(other.strata)} in the"
            " other, so they don't add up; build them with the same timezone and strata"
        )


def _clock(strata: Strata) -> str:
    return f"{strata.kind} strata of {strata.timezone}"


def _difference(one: ReferenceProfile, other: ReferenceProfile) -> str:
    mine, theirs = ({m.name: m for m in p.layout.members} for p in (one, other))
    for name, member in mine.items():
        if theirs.get(name) != member:
            what = _called(name)
            return f"{what} has other cells" if name in theirs else f"only the first has {what}"
    new = next((name for name in theirs if name not in mine), None)
    if new is not None:
        return f"only the second has {_called(new)}"
    return "their features come in another order"


def _called(name: str) -> str:
    return f"the {prediction_words(name)}" if name in PREDICTIONS else repr(name)


def _plus(one: Natural | None, other: Natural | None) -> Natural:
    if one is None or other is None:
        return one or other or Natural(np.zeros((0, 3)), np.zeros((0, 3)))
    return one.plus(other)


def _strata(one: Strata | None, other: Strata | None) -> Strata | None:
    # Where only one part tells hours apart, its hours are what is known of them.
    if one is None or other is None:
        return one or other
    return Strata(one.kind, one.timezone, np.add(one.counts, other.counts, dtype=np.int64))


def _days(one: ReferenceProfile, other: ReferenceProfile, mine: int, theirs: int) -> int:
    """Return how many days both cover together; where they overlap, those of the longer one at least."""
    if not mine or not theirs or one.time_range is None or other.time_range is None:
        return max(mine, theirs)
    (_, end), (begin, _) = sorted([one.time_range, other.time_range])
    if begin <= end:
        return max(mine, theirs)
    last, first = wall_hours(np.array([end, begin]), one.timezone or other.timezone) // 24
    return mine + theirs - int(first == last)


def _all_moments(one: ReferenceProfile, other: ReferenceProfile) -> dict[str, Moments]:
    out = {}
    for member, offset in zip(one.layout.members, one.layout.offsets, strict=True):
        if member.name in one.moments and member.name in other.moments:
            own = slice(offset, offset + member.size)
            parts = [_Part(p.moments[member.name], member, p.counts[own]) for p in (one, other)]
            out[member.name] = _pooled(*parts)
    return out


class _Part:
    """What one profile knows of the distribution of a feature."""

    def __init__(self, moments: Moments, member: FeatureCells, cells: IntArray) -> None:
        self.moments = moments
        shape, tail = cells[: member.shape_size], cells[member.shape_size :]
        self.n = int(shape.sum() + tail[LOW] + tail[HIGH])
        edges, below = np.array([member.minimum, *member.edges]), np.cumsum([tail[LOW], *shape]) / max(self.n, 1)
        # Cells say how many values lie below their edges; quantiles say more about the tails, which a cell is wide for.
        points = [*zip(edges, below, strict=True), *((moments.quantiles[q], share) for q, share in QUANTILES.items())]
        x, share = np.array(sorted([*points, (moments.minimum, 0.0), (moments.maximum, 1.0)])).T
        self.x, self._share = x / 2.0, np.maximum.accumulate(share)

    def below(self, x: FloatArray) -> FloatArray:
        """Return the share of values up to ``2 x``: the difference of two floats may be none, that of halves is."""
        return np.interp(x, self.x, self._share)


def _pooled(one: _Part, other: _Part) -> Moments:
    weight = other.n / max(one.n + other.n, 1)
    mine, theirs = one.moments, other.moments
    low, high = min(mine.minimum, theirs.minimum), max(mine.maximum, theirs.maximum)
    mean = mine.mean * (1.0 - weight) + theirs.mean * weight
    between = 2.0 * math.sqrt(weight * (1.0 - weight)) * (theirs.mean / 2.0 - mine.mean / 2.0)
    sd = math.hypot(mine.sd * math.sqrt(1.0 - weight), theirs.sd * math.sqrt(weight), between)
    x = np.union1d(one.x, other.x)
    share = one.below(x) * (1.0 - weight) + other.below(x) * weight
    quantiles = np.clip(np.interp(list(QUANTILES.values()), share, x) * 2.0, low, high).tolist()
    return Moments(min(max(mean, low), high), sd, low, high, dict(zip(QUANTILES, quantiles, strict=True)))
