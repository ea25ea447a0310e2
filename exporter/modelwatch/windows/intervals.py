"""Rows with times, counted by interval over the cells of a reference, as the store would have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.exceptions import InputError
from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.times import epoch_seconds, read_zone
from modelwatch.records import FloatArray, IntArray
from modelwatch.store.values import CountSeries

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["count_intervals"]

MOST_INTERVALS = 200_000


def count_intervals(
    profile: ReferenceProfile,
    pieces: Iterable[Mapping[str, Any]],
    seconds: float,
    *,
    timestamps: str,
    predictions: str | None = None,
    timezone: str | None = None,
) -> CountSeries:
    """Count rows by interval.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    pieces : iterable of dict of columns
        The rows, in any order and in pieces of any size.
    seconds : float
        Length of an interval; intervals begin at whole multiples of it.
    timestamps, predictions : str
        Names of columns.
    timezone : str, optional
        IANA name of the zone of naive times; UTC if not given.

    Returns
    -------
    CountSeries
        Rows without a time are ``ignored``.

    Raises
    ------
    InputError
        If no row has a time, or they span too many intervals.
    ProfileError
        If a time can't be read.

    Examples
    --------
    >>> from modelwatch.profile import ReferenceProfile
    >>> profile = ReferenceProfile.build({"age": np.arange(500.0)})
    >>> series = count_intervals(profile, [{"age": [1, 2, 3], "at": [10.0, 70.0, 65.0]}], 60.0, timestamps="at")
    >>> series.starts.tolist(), series.rows.tolist()
    ([0.0, 60.0], [1.0, 2.0])
    """
    zone = read_zone(timezone)
    assigner = CellAssigner(profile.layout)
    counted: dict[int, _Counted] = {}
    absent = set(profile.feature_names)
    ignored = 0
    for piece in pieces:
        absent -= set(piece)
        times = epoch_seconds(piece[timestamps], zone)
        known = ~np.isnan(times)
        ignored += int((~known).sum())
        places = np.floor(times[known] / seconds).astype(np.int64)
        if len(counted) + len(np.unique(places)) > MOST_INTERVALS:
            raise InputError(
                f"{timestamps}: the rows span more than {MOST_INTERVALS} intervals of {seconds:g} s; are these times?"
            )
        if not len(places):
            continue
        columns = {name: _some(piece[name], known) for name in profile.feature_names if name in piece}
        scores = None if predictions is None else _some(piece[predictions], known)
        _add(counted, assigner, columns, scores, places)
    if not counted:
        raise InputError(f"{timestamps}: no row has a time")
    series = _series(counted, seconds, ignored)
    for member, offset in zip(profile.layout.members, profile.layout.offsets, strict=True):
        if member.name in absent:  # nothing is known about it, which is not the same as missing
            series.cells[:, offset : offset + member.size] = 0.0
    return series


class _Counted:
    """The rows of one interval."""

    def __init__(self, cells: int, members: int) -> None:
        self.rows = 0
        self.cells: IntArray = np.zeros(cells, dtype=np.int64)
        self.sums: FloatArray = np.zeros(members)


def _some(column: Any, known: np.ndarray) -> Any:  # noqa: ANN401
    """Return the values of some rows."""
    if known.all():
        return column
    if isinstance(column, np.ndarray):
        return column[known]
    return [value for value, keep in zip(column, known.tolist(), strict=True) if keep]


def _add(
    counted: dict[int, _Counted],
    assigner: CellAssigner,
    columns: Mapping[str, Any],
    scores: Any,  # noqa: ANN401
    places: IntArray,
) -> None:
    distinct, groups = np.unique(places, return_inverse=True)
    layout = assigner.layout
    for place, binned in zip(
        distinct.tolist(), assigner.bin_groups(columns, groups, len(distinct), scores), strict=True
    ):
        into = counted.setdefault(place, _Counted(layout.size, len(layout.members)))
        into.rows += binned.rows
        into.cells += binned.cells
        into.sums += binned.sums


def _series(counted: Mapping[int, _Counted], seconds: float, ignored: int) -> CountSeries:
    order = sorted(counted)
    return CountSeries(
        starts=np.array(order, dtype=np.float64) * seconds,
        lengths=np.full(len(order), seconds),
        rows=np.array([counted[place].rows for place in order], dtype=np.float64),
        cells=np.stack([counted[place].cells for place in order]).astype(np.float64),
        sums=np.stack([counted[place].sums for place in order]),
        ignored=ignored,
    )
