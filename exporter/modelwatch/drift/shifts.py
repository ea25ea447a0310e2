"""What moved: which features carry a drift, by how much, and in which cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from modelwatch.drift.family import ScoredFamily, worst_tests
from modelwatch.drift.tracking import Verdict
from modelwatch.drift.words import cell_labels
from modelwatch.policy import Severity
from modelwatch.records import (
    HIGH,
    INVALID_TYPE,
    LOW,
    MISSING,
    FeatureCells,
    FeatureShift,
    FloatArray,
    WindowCounts,
)

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["family_shifts", "feature_shift", "mean_value", "reference_mean"]

MOST_CHANGED_CELLS = 3
_SHRUNK = 0.8


def family_shifts(
    profile: ReferenceProfile,
    scored: ScoredFamily,
    verdict: Verdict,
    importance: Mapping[str, float],
) -> tuple[FeatureShift, ...]:
    """Return how every feature moved that is at info or above and could be scored: worst first.

    The attribution of a feature is its share in the drift that was found: importance × how far the distance lies
    beyond sampling noise and its own tolerance, ``max(0, d - k·s - tau)``.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    scored : ScoredFamily
        What was measured.
    verdict : Verdict
        Severities.
    importance : mapping of str to float
        Weights by feature; 1 where unknown.

    Returns
    -------
    tuple of FeatureShift
    """
    table = scored.table
    if table is None or max(verdict.feature_severity.values(), default=Severity.NONE) < Severity.INFO:
        return ()
    worst = worst_tests(scored, verdict.severity)
    excess = np.where(table.usable, table.d - table.k * table.evidence - table.tau[0], 0.0).clip(min=0.0)
    found: list[tuple[Severity, float, FeatureShift]] = []
    for f, name in enumerate(scored.features):
        severity = verdict.feature_severity.get(name, Severity.NONE)
        if severity < Severity.INFO or not (worst[:, f] >= 0).any():
            continue
        w = _worst_window(scored, verdict, worst, f)
        weight = float(importance.get(name, 1.0)) * float(excess[w, f, worst[w, f]])
        shift = feature_shift(profile, table.windows[w], table.indices[f], table.reference_of(w))
        found.append((severity, weight, shift))
    total = sum(weight for _, weight, _ in found)
    found.sort(key=lambda item: (-item[0], -item[1], item[2].feature))
    return tuple(_with_attribution(shift, weight / total if total > 0 else 0.0) for _, weight, shift in found)


def _worst_window(scored: ScoredFamily, verdict: Verdict, worst: np.ndarray, f: int) -> int:
    """Return the window in which a feature is worst: by severity, then p-value; the shortest of equals."""
    table = scored.table
    assert table is not None

    def badness(w: int) -> tuple[int, float, int]:
        t = int(worst[w, f])
        return (-int(verdict.severity[w, f, t]), float(table.p_value[w, f, t]), w)

    return min((w for w in range(len(table.windows)) if worst[w, f] >= 0), key=badness)


def _with_attribution(shift: FeatureShift, attribution: float) -> FeatureShift:
    return FeatureShift(**{**shift.__dict__, "attribution": attribution})


def feature_shift(
    profile: ReferenceProfile, window: WindowCounts, index: int, reference: FloatArray | None = None
) -> FeatureShift:
    """Return how one member of a profile's layout moved in a window; attribution is left at 0.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    window : WindowCounts
        Counts now.
    index : int
        Index into ``profile.layout.members``.
    reference : ndarray or None, shape (layout.size,)
        What the window was compared with; None for the counts of the profile.

    Returns
    -------
    FeatureShift
        Missing includes invalid, of all rows; novel, below and above are shares of the rows that are not missing.
    """
    member = profile.layout.members[index]
    whole = np.asarray(profile.counts, np.float64)
    now, before = _own(profile, window.cells, index), _own(profile, whole if reference is None else reference, index)
    size = member.shape_size
    here = mean_value(profile, window, index)
    there = reference_mean(profile, index, binned=window.sums is None, reference=reference)
    moments = profile.moments.get(member.name)
    sd = moments.sd if moments is not None else 0.0
    valid, valid_before = now[: size + MISSING].sum(), before[: size + MISSING].sum()
    return FeatureShift(
        feature=member.name,
        window=window.window,
        shift_sd=(here - there) / sd if here is not None and there is not None and sd > 0 else None,
        missing_ratio=_ratio(now[size + MISSING :].sum(), now.sum()),
        missing_reference=_ratio(before[size + MISSING :].sum(), before.sum()),
        novel_ratio=_ratio(now[size + LOW] + now[size + HIGH], valid),
        novel_reference=_ratio(before[size + LOW] + before[size + HIGH], valid_before),
        below_ratio=_ratio(now[size + LOW], valid) if member.kind == "numeric" else 0.0,
        above_ratio=_ratio(now[size + HIGH], valid),
        attribution=0.0,
        changed=_most_changed(member, now, before),
        tail=_tail(member, now, before),
    )


def mean_value(profile: ReferenceProfile, window: WindowCounts, index: int) -> float | None:
    """Return the mean of a numeric member in a window, or None if it has none.

    In-range values by their sum where it is known, else by the middle of their bins; a value out of range counts as
    the reference minimum or maximum, so that a shift out of range is told as too small rather than too large.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    window : WindowCounts
        Counts now.
    index : int
        Index into ``profile.layout.members``.

    Returns
    -------
    float or None
    """
    member = profile.layout.members[index]
    cells = _own(profile, window.cells, index)
    total = None if window.sums is None else float(window.sums[index])
    return _mean(member, cells, total)


def reference_mean(
    profile: ReferenceProfile, index: int, *, binned: bool = False, reference: FloatArray | None = None
) -> float | None:
    """Return the mean of a numeric member in the reference, or None if it has none.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    index : int
        Index into ``profile.layout.members``.
    binned : bool
        Take it from the counts, to be compared with a window whose sums are not known: both are then off alike.
    reference : ndarray or None, shape (layout.size,)
        What a window was compared with. Its mean differs from that of the whole profile as their counts do.

    Returns
    -------
    float or None
    """
    member = profile.layout.members[index]
    moments = profile.moments.get(member.name)
    whole = np.asarray(profile.counts, np.float64)
    mean = _mean(member, _own(profile, whole if reference is None else reference, index), None)
    if moments is None or binned or mean is None:
        return mean
    if reference is None:
        return float(moments.mean)
    return float(moments.mean) + mean - (_mean(member, _own(profile, whole, index), None) or 0.0)


def _mean(member: FeatureCells, cells: FloatArray, total: float | None) -> float | None:
    size = member.shape_size
    rows = float(cells[: size + MISSING].sum())
    if member.kind != "numeric" or not member.edges or rows <= 0:
        return None
    if total is None:
        bounds = np.array([member.minimum, *member.edges])
        total = float(cells[:size] @ (bounds[:-1] / 2.0 + bounds[1:] / 2.0))
    outside = float(cells[size + LOW]) * member.minimum + float(cells[size + HIGH]) * member.edges[-1]
    return (total + outside) / rows


def _own(profile: ReferenceProfile, cells: FloatArray, index: int) -> FloatArray:
    start = profile.layout.offsets[index]
    return cells[start : start + profile.layout.members[index].size]


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _tail(member: FeatureCells, now: FloatArray, before: FloatArray) -> tuple[str, float, float, float] | None:
    """Return the tail that changed most, by ``(q - p)² / (p + q)`` as cells do: its side, edge, share before and now.

    The largest change of a cumulative share alone would lie near the median, where it tells little: that a seventh has
    become a third says more than that two fifths have become three. A tail that grew goes before one that shrank.
    """
    size = member.shape_size
    if member.kind != "numeric" or size < 2:
        return None
    q, p = ((counts[:size].cumsum() + counts[size + LOW])[:-1] / max(counts[: size + MISSING].sum(), 1.0)
            for counts in (now, before))  # fmt: skip
    valid = float(now[: size + MISSING].sum() > 0)
    q, p = np.stack([valid - q, q]), np.stack([1.0 - p, p])
    total = p + q
    change = np.where(total > 0, (q - p) ** 2 / np.where(total > 0, total, 1.0), 0.0)
    side, at = np.unravel_index(int(np.argmax(np.where(q >= p, change, _SHRUNK * change))), change.shape)
    return ("above", "below")[side], member.edges[at], float(p[side, at]), float(q[side, at])


def _most_changed(member: FeatureCells, now: FloatArray, before: FloatArray) -> tuple[tuple[str, float, float], ...]:
    """Return the cells with the largest ``(q - p)² / (p + q)``, the three kinds of invalid taken as one."""
    size = member.shape_size
    labels = (*cell_labels(member)[: size + INVALID_TYPE], "invalid")
    q, p = (
        np.append(counts[: size + INVALID_TYPE], counts[size + INVALID_TYPE :].sum()) / max(counts.sum(), 1.0)
        for counts in (now, before)
    )
    total = p + q
    change = np.where(total > 0, (q - p) ** 2 / np.where(total > 0, total, 1.0), 0.0)
    order = np.argsort(-change, kind="stable")[:MOST_CHANGED_CELLS]
    return tuple((labels[i], float(p[i]), float(q[i])) for i in order if change[i] > 0)
