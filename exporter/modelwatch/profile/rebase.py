"""The new normal: one feature of a reference counted anew from production, all others as they were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.contents import InMemory
from modelwatch.profile.correlation import CorrelationConstants
from modelwatch.profile.kinds import LeftOut, read_feature
from modelwatch.profile.moments import QUANTILES, Moments
from modelwatch.profile.reference import MIN_ROWS, ReferenceProfile
from modelwatch.profile.strata import STRATA, Strata
from modelwatch.profile.tables import Column
from modelwatch.records import HIGH, LOW, CellLayout, FeatureCells, FloatArray, IntArray

__all__ = ["MOST_NOVEL", "Recorded", "needs_new_cells", "novel_share", "rebase", "rebase_on_rows"]

MOST_NOVEL = 0.01
"""Where more than this share of values is out of range or unseen, the cells no longer say what they hold."""
_BINS = 20


@dataclass(frozen=True)
class Recorded:
    """Counts of one feature in production.

    Attributes
    ----------
    starts : ndarray, shape (intervals,)
        When each interval began, seconds since 1970.
    cells : ndarray, shape (intervals, cells)
        Counts over the cells that the profile has.
    sums : ndarray, shape (intervals,)
        Sums of the values in range.
    """

    starts: FloatArray
    cells: FloatArray
    sums: FloatArray


def novel_share(member: FeatureCells, recorded: Recorded) -> float:
    """Return which share of rows lies out of range or is unseen."""
    counts = recorded.cells.sum(axis=0)
    return float((counts[member.shape_size + LOW] + counts[member.shape_size + HIGH]) / max(counts.sum(), 1.0))


def needs_new_cells(member: FeatureCells, recorded: Recorded) -> bool:
    """Tell whether so much is out of range or unseen that other cells are needed."""
    return novel_share(member, recorded) > MOST_NOVEL


def rebase(profile: ReferenceProfile, name: str, recorded: Recorded, since: float) -> ReferenceProfile:
    """Return a profile with the counts of one feature taken from production; the cells stay, and so does the id.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference until now.
    name : str
        The feature.
    recorded : Recorded
        Its counts.
    since : float
        When its new normal began, seconds since 1970; noted in the profile.

    Raises
    ------
    ProfileError
        If the profile has no such feature, or there are too few rows.
    """
    member = profile.member(name)
    counts = np.rint(recorded.cells.sum(axis=0)).astype(np.int64)
    _check_rows(name, int(counts.sum()))
    moments = dict(profile.moments)
    if name in moments:
        moments[name] = _binned_moments(member, counts, float(recorded.sums.sum()), moments[name])
    own = None
    if profile.strata is not None:
        own = np.zeros((STRATA[profile.strata.kind], member.size), dtype=np.int64)
        np.add.at(own, profile.strata.index(recorded.starts), np.rint(recorded.cells).astype(np.int64))
    return _replaced(profile, name, (member, counts, own), moments, since)


def rebase_on_rows(
    profile: ReferenceProfile, name: str, column: Column, times: FloatArray, since: float
) -> ReferenceProfile:
    """Return a profile with other cells for one feature, made and counted from rows; it has another id.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference until now.
    name : str
        The feature.
    column : ndarray or list
        Its values in rows of production.
    times : ndarray, shape (rows,)
        When each row was, seconds since 1970.
    since : float
        When its new normal began; noted in the profile.

    Raises
    ------
    ProfileError
        If the profile has no such feature, there are too few rows, or they hold nothing that can be watched.
    """
    member = profile.member(name)
    _check_rows(name, len(column))
    bins = profile.options.get("bins", _BINS)
    reading = read_feature(
        name, InMemory(column), bins if isinstance(bins, int) else _BINS, categorical=member.kind == "categorical",
        asked=True,
    )  # fmt: skip
    if isinstance(reading, LeftOut):
        raise ProfileError(reading.why)
    assigner = CellAssigner(CellLayout((reading.cells,)))
    counts = assigner.bin({name: column}, len(column)).cells
    own = None
    if profile.strata is not None:
        groups = profile.strata.index(times)
        batches = assigner.bin_groups({name: column}, groups, STRATA[profile.strata.kind])
        own = np.stack([batch.cells for batch in batches])
    moments = {key: value for key, value in profile.moments.items() if key != name}
    if reading.moments is not None:
        moments[name] = reading.moments
    return _replaced(profile, name, (reading.cells, counts, own), moments, since)


def _check_rows(name: str, rows: int) -> None:
    if rows < MIN_ROWS:
        raise ProfileError(f"{name!r} has {rows} rows in that time; a reference needs at least {MIN_ROWS}")


def _replaced(
    profile: ReferenceProfile,
    name: str,
    new: tuple[FeatureCells, IntArray, IntArray | None],
    moments: dict[str, Moments],
    since: float,
) -> ReferenceProfile:
    """Return the profile with the cells, counts and counts by stratum of one feature."""
    cells, counts, own = new
    place = profile.feature_names.index(name)
    begin = profile.layout.offsets[place]
    end = begin + profile.layout.members[place].size
    features = (*profile.layout.features[:place], cells, *profile.layout.features[place + 1 :])
    strata = profile.strata
    if strata is not None and own is not None:
        by_stratum = np.concatenate([strata.counts[:, :begin], own, strata.counts[:, end:]], axis=1)
        strata = Strata(strata.kind, strata.timezone, by_stratum)
    began = datetime.fromtimestamp(since, timezone.utc).isoformat(timespec="seconds")
    noted: dict[str, Any] = {**_noted(profile), name: {"since": began, "rows": int(counts.sum())}}
    return replace(
        profile,
        layout=replace(profile.layout, features=features),
        counts=np.concatenate([profile.counts[:begin], counts, profile.counts[end:]]),
        strata=strata,
        # How it goes together with the others now is not known.
        correlation=_without(profile.correlation, name),
        correlation_by_hour=_without(profile.correlation_by_hour, name),
        moments=moments,
        options={**profile.options, "rebased": noted},
        revision=profile.revision + 1,
    )


def _without(constants: CorrelationConstants | None, name: str) -> CorrelationConstants | None:
    return None if constants is None else constants.without(name)


def _noted(profile: ReferenceProfile) -> dict[str, Any]:
    noted = profile.options.get("rebased")
    return noted if isinstance(noted, dict) else {}


def _binned_moments(member: FeatureCells, counts: IntArray, total: float, before: Moments) -> Moments:
    """Return moments by cells: values lie evenly between edges, and their mean is known."""
    shape = counts[: member.shape_size].astype(np.float64)
    n = float(shape.sum())
    if not n or member.minimum == member.edges[-1]:
        return before
    edges = np.array([member.minimum, *member.edges]) / 2.0  # the difference of two floats may be none
    below = np.concatenate([[0.0], np.cumsum(shape)]) / n
    middles, widths = edges[1:] + edges[:-1], np.diff(edges) * 2.0
    mean = float(np.clip(total / n, member.minimum, member.edges[-1]))
    scale = float(np.abs(edges).max() * 2.0)
    # Of the uniform distribution within a cell, a twelfth of its width squared.
    squares = (np.square((middles - mean) / scale) + np.square(widths / scale) / 12.0) * shape
    sd = float(np.sqrt(squares.sum() / n)) * scale
    quantiles = np.interp(list(QUANTILES.values()), below, edges * 2.0).tolist()
    return Moments(mean, sd, member.minimum, member.edges[-1], dict(zip(QUANTILES, quantiles, strict=True)))
