"""Carrying over what an earlier profile of a model has learnt, so that retraining does not mean learning anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.natural import Natural
from modelwatch.profile.reference import ReferenceProfile
from modelwatch.profile.strata import Strata
from modelwatch.records import TAIL_CELLS, FeatureCells, FloatArray, IntArray, shown_name

_LISTED = 5


def carry_over(profile: ReferenceProfile, donor: ReferenceProfile) -> ReferenceProfile:
    """Return a profile with the strata and the natural variation of another, by the names of features.

    What the profile has learnt itself stays. Counts by hour are its own counts, in the proportions in which the
    donor's hours differ from the donor's whole: what training and production differ in stays to be seen.

    Parameters
    ----------
    profile : ReferenceProfile
        The new one.
    donor : ReferenceProfile
        The earlier one; its cells may be others.

    Returns
    -------
    ReferenceProfile

    Raises
    ------
    ProfileError
        If the donor is no profile.
    """
    if not isinstance(donor, ReferenceProfile):
        raise ProfileError(f"inherit is of type {type(donor).__name__}; give a ReferenceProfile, see its load")
    if profile.calibrated:
        return profile
    if not donor.natural:
        nothing = f"inherit: profile {donor.label} has learnt no tolerances that could be carried over"
        return replace(profile, warnings=(*profile.warnings, nothing))
    places = _places(profile, donor)
    new = [
        repr(shown_name(member.name)) for member, place in zip(profile.layout.members, places, strict=True) if place < 0
    ]
    listed = ", ".join(new[:_LISTED]) + (f" and {len(new) - _LISTED} more" if len(new) > _LISTED else "")
    told = [f"inherit: profile {donor.label} knows nothing of {listed}"] if new else []
    return replace(
        profile,
        strata=_strata(profile, donor, donor.strata, places) if donor.strata is not None else None,
        natural={window: _natural(found, places) for window, found in donor.natural.items()},
        natural_days=donor.natural_days,
        calibrated=donor.calibrated,
        options={**profile.options, "inherited_from": donor.id},
        warnings=(*profile.warnings, *told),
    )


def _places(profile: ReferenceProfile, donor: ReferenceProfile) -> IntArray:
    """Return where the donor has each member; -1 where it has none of that name and kind."""
    known = {(member.name, member.kind): place for place, member in enumerate(donor.layout.members)}
    return np.array([known.get((m.name, m.kind), -1) for m in profile.layout.members], dtype=np.int64)


def _natural(found: Natural, places: IntArray) -> Natural:
    known = (places >= 0)[:, None]
    parts = (found.weighted, found.weight, np.broadcast_to(found.noise, found.weight.shape))
    weighted, weight, noise = (np.where(known, part[places], 0.0) for part in parts)
    clustered, means = (
        np.where(places >= 0, np.broadcast_to(part, (3, len(found.weight)))[:, places], 0.0)
        for part in (found.clustered, found.means)
    )
    return Natural(weighted, weight, noise, clustered, means)


def _strata(profile: ReferenceProfile, donor: ReferenceProfile, strata: Strata, places: IntArray) -> Strata:
    # Each hour has as many rows as it had with the donor, at most: there is no more to know of what an hour is like.
    rows = strata.counts[:, : donor.layout.members[0].size].sum(axis=1)
    rows = np.floor(rows * min(1.0, profile.rows / max(int(rows.sum()), 1))).astype(np.int64)
    out = np.empty((len(rows), profile.layout.size), dtype=np.int64)
    for member, offset, place in zip(profile.layout.members, profile.layout.offsets, places.tolist(), strict=True):
        own = profile.counts[offset : offset + member.size] + np.zeros((len(rows), 1))
        if place >= 0:
            theirs, begin = donor.layout.members[place], donor.layout.offsets[place]
            by_hour = _rebinned(strata.counts[:, begin : begin + theirs.size], theirs, member)
            scaled = own * _proportion(by_hour)
            own = np.where(scaled.any(axis=1, keepdims=True), scaled, own)
        out[:, offset : offset + member.size] = _whole(own, rows)
    return Strata(strata.kind, strata.timezone, out)


def _proportion(by_hour: FloatArray) -> FloatArray:
    """Return by how much each hour's share of each cell differs from that of the whole; 1 where nothing is known."""
    whole = by_hour.sum(axis=0)
    hour = by_hour.sum(axis=1, keepdims=True)
    known = (whole > 0) & (hour > 0)
    expected = hour * whole / max(float(whole.sum()), 1.0)
    return np.where(known, by_hour / np.where(known, expected, 1.0), 1.0)


def _whole(shares: FloatArray, rows: IntArray) -> IntArray:
    """Return whole numbers in proportion to the shares of each hour, which add up to its rows."""
    totals = shares.sum(axis=1, keepdims=True)
    ends = np.cumsum(shares / np.where(totals > 0, totals, 1.0), axis=1) * rows[:, None]
    ends[:, -1] = rows
    whole: IntArray = np.rint(ends).astype(np.int64)
    whole[:, 1:] -= whole[:, :-1].copy()
    return whole


def _rebinned(counts: IntArray, theirs: FeatureCells, mine: FeatureCells) -> FloatArray:
    """Return counts over one member's cells as counts over another's, with values even within a cell."""
    if theirs == mine:
        return counts.astype(np.float64)
    shape = theirs.shape_size
    out = np.zeros((len(counts), mine.size))
    out[:, -TAIL_CELLS:] = counts[:, -TAIL_CELLS:]
    if mine.kind == "numeric":
        below = np.cumsum(np.column_stack([np.zeros(len(counts)), counts[:, :shape]]), axis=1)
        known, asked = np.array([theirs.minimum, *theirs.edges]), np.array([mine.minimum, *mine.edges])
        out[:, : mine.shape_size] = np.diff([np.interp(asked, known, row) for row in below], axis=1)
        return out
    places = {text: place for place, text in enumerate(mine.categories)}
    other = mine.shape_size - 1
    for place, text in enumerate(theirs.categories):
        out[:, places.get(text, other)] += counts[:, place]
    out[:, other] += counts[:, shape - 1]
    return out
