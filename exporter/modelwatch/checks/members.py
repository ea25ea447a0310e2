"""Those that are scored together: the versions of a model, and its segments, under one budget of false alarms.

Three live versions are looked at with three times the tests, not with three times the budget: all tests of one kind of
drift in one window go through one multiplicity procedure, whoever they are about (drift.md 2.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.checks.common import Rule, Subject
from modelwatch.drift.decision import PROCEDURES, TIERS, severities, window_budget
from modelwatch.drift.family import Measured, found_severities
from modelwatch.drift.table import TestTable
from modelwatch.policy import Severity

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.records import WindowCounts

__all__ = ["Member", "decide_together"]

Severities = NDArray[np.int64]


@dataclass(frozen=True)
class Member:
    """A version of a model, or a part of it, that was measured and not judged.

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
    measured : mapping of str to Measured or None
        By kind of drift; None where the reference holds nothing of it.
    rule : Rule
        What the check may take; that of the first member holds for the budget.
    """

    subject: Subject
    profile: ReferenceProfile
    remembered: Mapping[str, Any]
    windows: tuple[WindowCounts, ...]
    measured: Mapping[str, Measured | None]
    rule: Rule


def decide_together(drift_type: str, members: Sequence[Member]) -> list[Severities | None]:
    """Decide on one kind of drift of all members at once.

    Parameters
    ----------
    drift_type : {"data", "prediction"}
        Which kind.
    members : sequence of Member
        Who shares the budget of the check.

    Returns
    -------
    list of ndarray of int or None
        For each member, in order, the severity of each of its tests, shape (windows, features, tests); None where
        nothing was measured. The family's share of the budget is split over the windows that anybody has.
    """
    found = [member.measured[drift_type] for member in members]
    out: list[Severities | None] = [
        None if measured is None else found_severities(measured, members[0].rule.budget) for measured in found
    ]
    # Who is looked at for gross changes alone takes no part, and no level from the others.
    found = [
        measured if member.rule.cap > Severity.NONE else None for measured, member in zip(found, members, strict=True)
    ]
    there = [measured for measured in found if measured is not None and measured.table is not None]
    if len(there) < 2:
        return out
    places = _places(found)
    q = window_budget(drift_type, members[0].rule.budget, len(places))
    for tables in places.values():
        decided = _decided([table for _, table, _ in tables], [place for _, _, place in tables], q, there[0])
        for (member, _, place), severity in zip(tables, decided, strict=True):
            mine = out[member]
            assert mine is not None
            mine[place] = severity
    return out


def _places(found: Sequence[Measured | None]) -> dict[str, list[tuple[int, TestTable, int]]]:
    """Return by window who is scored in it, and where it stands in whose table."""
    out: dict[str, list[tuple[int, TestTable, int]]] = {}
    for member, measured in enumerate(found):
        table = None if measured is None else measured.table
        if table is not None:
            for place in range(table.watched, len(table.windows)):
                out.setdefault(table.windows[place].window, []).append((member, table, place))
    return out


def _decided(tables: Sequence[TestTable], places: Sequence[int], q: float, one: Measured) -> list[Severities]:
    """Return the severities of all tests of one window; all members have the procedure of any `one` of them."""
    at = list(zip(tables, places, strict=True))
    real = [np.where(table.tested[place], table.p_real[place], np.nan).ravel() for table, place in at]
    large = [table.p_large[:, place].reshape(len(TIERS), -1) for table, place in at]
    procedure = PROCEDURES[one.config.multiplicity]
    decided = severities(np.concatenate(real), np.concatenate(large, axis=1), q, procedure)
    parts = np.split(decided, np.cumsum([len(tests) for tests in real])[:-1])
    return [part.reshape(table.tested[place].shape) for part, (table, place) in zip(parts, at, strict=True)]
