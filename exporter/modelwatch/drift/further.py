"""Scores by further methods, and the fixed thresholds that some are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelwatch.conventions import ORDERED_METHODS
from modelwatch.drift.distances import scores
from modelwatch.drift.table import TestTable
from modelwatch.policy import Severity
from modelwatch.records import HIGH, LOW, MISSING, CellLayout, FloatArray, FurtherScore

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["Further", "further_results", "further_scores", "with_fixed_thresholds"]

Limits = Mapping[Any, float]
"""By method. To type checkers, names of methods as keys are no texts."""


@dataclass(frozen=True)
class Further:
    """Scores by further methods.

    Attributes
    ----------
    methods : tuple of str
        Which.
    scores : ndarray, shape (methods, windows, features)
        Debiased; NaN where nothing is scored, or a method doesn't apply.
    """

    methods: tuple[str, ...]
    scores: FloatArray


def further_scores(
    profile: ReferenceProfile, table: TestTable, methods: Sequence[str], reference: ArrayLike | None = None
) -> Further | None:
    """Score what a table holds by further methods.

    A feature has one score: over all its cells, what is missing, unseen or out of range among them; by the methods that
    need an order, over its numbers.

    Parameters
    ----------
    profile : ReferenceProfile
        Its cells and standard deviations.
    table : TestTable
        Which members, in which windows; windows that are only watched are not scored.
    methods : sequence of str
        Names of :data:`~modelwatch.drift.distances.METHODS`.
    reference : array_like, shape (windows or 1, layout.size), optional
        What is compared with; the counts of the profile by default.

    Returns
    -------
    Further or None
        None if there are no methods.
    """
    if not methods:
        return None
    before = np.atleast_2d(np.asarray(profile.counts if reference is None else reference, dtype=np.float64))
    now = np.stack([window.cells / window.repeats for window in table.windows])
    places, sizes, numeric = _places(profile.layout, table.indices)
    observed, expected = (_gather(profile.layout, table.indices, places, sizes, cells) for cells in (now, before))
    numbers = (np.arange(places.shape[-1]) < (sizes - 1)[:, None]) & numeric[:, None]
    scored = np.asarray(table.usable.any(axis=-1))
    scored[: table.watched] = False
    found = np.full((len(methods), *scored.shape), np.nan)
    for i, method in enumerate(methods):
        if method in ORDERED_METHODS:
            widths = _widths(profile, table, places.shape[-1])
            values = scores(method, observed * numbers, expected * numbers, widths=widths)
        else:
            values = scores(method, observed, expected, sizes=sizes)
        found[i] = np.where(scored, values, np.nan)
    return Further(tuple(methods), found)


def with_fixed_thresholds(
    severity: NDArray[np.int64], table: TestTable, further: Further | None, limits: Limits
) -> NDArray[np.int64]:
    """Raise to a warning what is beyond a fixed threshold and real: some test of the feature is at info or above.

    Parameters
    ----------
    severity : ndarray of int, shape (windows, features, tests)
        As the tests found it.
    table : TestTable
        What was measured.
    further : Further or None
        Scores by further methods.
    limits : mapping of str to float
        Fixed thresholds by method.

    Returns
    -------
    ndarray of int
        With the most certain of the real tests at warning, if none was. Never more: such a threshold says nothing of
        how bad it is.
    """
    if further is None or not limits:
        return severity
    limit = np.array([limits.get(method, np.inf) for method in further.methods])
    beyond = (further.scores > limit[:, None, None]).any(axis=0)
    real = severity >= Severity.INFO
    most_certain = np.argmin(np.where(real, table.p_real, 2.0), axis=-1)
    raised = np.asarray(beyond & real.any(axis=-1))
    is_it = np.arange(severity.shape[-1]) == most_certain[..., None]
    return np.where(raised[..., None] & is_it, np.maximum(severity, int(Severity.WARNING)), severity)


def further_results(
    features: Sequence[str], table: TestTable | None, further: Further | None, limits: Limits
) -> tuple[FurtherScore, ...]:
    """Return the scores by further methods that are known, as plain values.

    Parameters
    ----------
    features : sequence of str
        Names, in the order of the table.
    table : TestTable or None
        What was measured.
    further : Further or None
        Scores by further methods.
    limits : mapping of str to float
        Fixed thresholds by method.

    Returns
    -------
    tuple of FurtherScore
        Methods in order, features in order, windows ascending.
    """
    if table is None or further is None:
        return ()
    return tuple(
        FurtherScore(method, features[f], table.windows[w].window, float(further.scores[i, w, f]), limits.get(method))
        for i, method in enumerate(further.methods)
        for f, w in np.argwhere(np.isfinite(further.scores[i]).T)
    )


def _places(layout: CellLayout, indices: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return where the cells of members lie in ascending order, the last of each being that of missing values.

    Beyond the last cell of a member stands its first once more; how many there are is told beside, and whether they
    have an order.
    """
    rows = []
    for i in indices:
        member, start = layout.members[i], layout.offsets[i]
        tail = start + member.shape_size
        # What was never seen of categories is counted where of numbers that is which lies below the range.
        above = [tail + HIGH] if member.kind == "numeric" else []
        rows.append([tail + LOW, *range(start, tail), *above, tail + MISSING])
    width = max(map(len, rows), default=0)
    places = np.array([row + [row[0]] * (width - len(row)) for row in rows], dtype=np.intp).reshape(len(rows), width)
    numeric = np.array([layout.members[i].kind == "numeric" for i in indices], dtype=np.bool_)
    return places, np.array([len(row) for row in rows], dtype=np.intp), numeric


def _gather(
    layout: CellLayout, indices: Sequence[int], places: NDArray[np.intp], sizes: NDArray[np.intp], cells: FloatArray
) -> FloatArray:
    """Return counts of shape (windows, members, cells), invalid values added to those that are missing."""
    out = np.where(np.arange(places.shape[-1]) < sizes[:, None], cells[:, places], 0.0)
    for f, i in enumerate(indices):
        tail = layout.offsets[i] + layout.members[i].shape_size
        out[:, f, sizes[f] - 1] = cells[:, tail + MISSING : layout.offsets[i] + layout.members[i].size].sum(axis=-1)
    return out


def _widths(profile: ReferenceProfile, table: TestTable, cells: int) -> FloatArray:
    """Return the widths of cells in reference standard deviations; NaN where there are none."""
    out = np.full((len(table.members), cells), np.nan)
    for f, member in enumerate(table.members):
        moments = profile.moments.get(member.name)
        if member.kind == "numeric" and moments is not None and moments.sd > 0:
            bounds = np.array([member.minimum, *member.edges]) / moments.sd
            out[f] = 0.0
            out[f, 1 : len(bounds)] = np.diff(bounds)
    return out
