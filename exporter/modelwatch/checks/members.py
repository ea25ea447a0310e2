"""Those that are scored together: the versions of a model, and its segments, under one budget of false alarms.

Three live versions are looked at with three times the tests, not with three times the budget: all tests of one kind of
drift in one window go through one multiplicity procedure, whoever they are about (drift.md 2.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.checks.common import Subject
from modelwatch.drift.decision import severities, window_budget
from modelwatch.drift.family import ScoredFamily
from modelwatch.policy import Severity

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.records import FloatArray, WindowCounts

__all__ = ["Member", "decide_together"]


@dataclass(frozen=True)
class Member:
    """A version of a model, or a part of it, that was measured and not decided upon.

    Attributes
    ----------
    subject : Subject
        Which version.
    profile : ReferenceProfile
        What it is compared with.
    remembered : mapping
        By kind of drift, what the check before left.
    windows : tuple of WindowCounts
        Ascending by length.
    scored : mapping of str to ScoredFamily
        By kind of drift, each as if it stood alone.
    cap : Severity
        Nothing above is given.
    """

    subject: Subject
    profile: ReferenceProfile
    remembered: Mapping[str, Any]
    windows: tuple[WindowCounts, ...]
    scored: Mapping[str, ScoredFamily]
    cap: Severity


def decide_together(drift_type: str, members: Sequence[Member], budget: float) -> list[ScoredFamily]:
    """Decide on one kind of drift of all members at once.

    Parameters
    ----------
    drift_type : {"data", "prediction"}
        Which kind.
    members : sequence of Member
        Who shares the budget.
    budget : float
        The chance of a false alarm that this check may take, over all members and kinds of drift.

    Returns
    -------
    list of ScoredFamily
        One for each member, in order. The family's share of the budget is split over the windows that anybody has.
    """
    alone = [member.scored[drift_type] for member in members]
    if len(alone) < 2:
        return alone
    places = _places(alone)
    q = window_budget(drift_type, budget, len(places))
    found = [np.zeros(scored.severity.shape, dtype=np.int64) for scored in alone]
    for tables in places.values():
        for (member, place), decided in zip(tables, _decided(alone, tables, q), strict=True):
            found[member][place] = np.minimum(decided, int(members[member].cap))
    return [replace(scored, severity=severity) for scored, severity in zip(alone, found, strict=True)]


def _places(alone: Sequence[ScoredFamily]) -> dict[str, list[tuple[int, int]]]:
    """Return by window who scored it, and where it stands in whose table."""
    out: dict[str, list[tuple[int, int]]] = {}
    for member, scored in enumerate(alone):
        table = scored.table
        if table is not None:
            for place in range(table.watched, len(table.windows)):
                out.setdefault(table.windows[place].window, []).append((member, place))
    return out


def _decided(alone: Sequence[ScoredFamily], tables: Sequence[tuple[int, int]], q: float) -> list[np.ndarray]:
    real: list[FloatArray] = []
    large: list[FloatArray] = []
    shapes: list[tuple[int, ...]] = []
    for member, place in tables:
        table = alone[member].table
        assert table is not None
        made = table.usable[place]
        shapes.append(made.shape)
        real.append(np.where(made, table.p_real[place], np.nan).ravel())
        large.append(table.p_large[:, place].reshape(len(table.p_large), -1))
    decided = severities(np.concatenate(real), np.concatenate(large, axis=1), q)
    parts = np.split(decided, np.cumsum([tests.size for tests in real])[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
