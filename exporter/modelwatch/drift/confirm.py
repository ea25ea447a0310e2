"""What one check alone is not enough for: what a user wants confirmed, and gross changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.drift.family import ScoredFamily
from modelwatch.drift.statistics import two_gate
from modelwatch.drift.table import GROSS_SHAPE_JS, SHAPE_TEST, TESTS, BoolArray, TestTable
from modelwatch.policy import Severity
from modelwatch.records import FloatArray

__all__ = ["confirm_found", "confirm_gross"]

CHECKS_TO_CONFIRM_GROSS = 2
HALF_A_DAY = 43200.0
"""For so long what stands nearly still may be the clock."""
CLOCK_CELLS, CLOCK_SHARE = 2, 0.9

Seen = dict[str, dict[str, Any]]


def confirm_found(
    before: Mapping[str, Mapping[str, Sequence[int]]], scored: ScoredFamily, confirm: tuple[int, int]
) -> tuple[NDArray[np.int64], dict[str, dict[str, list[int]]]]:
    """Lower to info what too few of the last checks found; return severities, and what those checks found.

    Parameters
    ----------
    before : mapping
        By feature and test, the worst severities that the last checks found.
    scored : ScoredFamily
        What this check found. Where it could not score a test, it is passed over, not counted against it.
    confirm : (int, int)
        ``(m, n)``: m of the last n checks have to agree.

    Returns
    -------
    ndarray, dict
        Severities, and what to hand on.
    """
    agreeing, of = confirm
    if of == 1:
        return scored.severity, {}
    severity = scored.severity.copy()
    recent = {name: {test: list(found) for test, found in tests.items()} for name, tests in before.items()}
    worst = severity.max(axis=0, initial=0)
    for f, t in np.argwhere(worst >= Severity.WARNING):
        recent.setdefault(scored.features[f], {}).setdefault(TESTS[t], [])
    places = {name: f for f, name in enumerate(scored.features)}
    usable = None if scored.table is None else np.asarray(scored.table.tested.any(axis=0))
    out: dict[str, dict[str, list[int]]] = {}
    for name, test, found in ((n, t, found) for n, tests in recent.items() for t, found in tests.items()):
        f, t = places.get(name), TESTS.index(test) if test in TESTS else None
        if f is None or t is None:
            continue
        if usable is not None and usable[f, t]:
            found = [*found, int(worst[f, t])][-of:]
            told = sorted(found, reverse=True)[agreeing - 1] if len(found) >= agreeing else int(Severity.NONE)
            severity[:, f, t] = np.minimum(severity[:, f, t], max(told, int(Severity.INFO)))
        if any(value >= Severity.WARNING for value in found):
            out.setdefault(name, {})[test] = found
    return severity, out


def confirm_gross(
    before: Mapping[str, Mapping[str, int]], seen: Mapping[str, Mapping[str, Any]], scored: ScoredFamily
) -> tuple[BoolArray, dict[str, dict[str, int]], Seen]:
    """Return which gross changes are sure: two checks in a row found them.

    A shape in a window of less than a day has to be found in two windows one after the other that are like each other,
    and where it is nearly all in two cells, it has to stay so for half a day: what tells the time, as an hour or a part
    of the day does, is always gross in such a window, and another one in the next.

    Parameters
    ----------
    before : mapping
        By feature and test, how many checks in a row found a gross change.
    seen : mapping
        By feature, the shape in the first of the windows that found it gross, and where that window ended.
    scored : ScoredFamily
        What this check found.

    Returns
    -------
    ndarray of bool, dict, dict
        In the shape of ``scored.gross``, and what to hand on of both.
    """
    gross, table = scored.gross.copy(), scored.table
    if table is None or not gross.any():
        return gross, {}, {}
    kept: Seen = {}
    sure = np.zeros(gross.shape[1:], dtype=np.bool_)
    if table.watched:
        for f in np.flatnonzero(gross[0, :, SHAPE_TEST]).tolist():
            name = scored.features[f]
            kept[name], sure[f, SHAPE_TEST] = _follow(seen.get(name), table, f)
    by_part_of_day = gross & False
    by_part_of_day[0, :, SHAPE_TEST] = gross[0, :, SHAPE_TEST] & sure[:, SHAPE_TEST]
    if table.watched:
        gross[0, :, SHAPE_TEST] = False
    counts: dict[str, dict[str, int]] = {}
    confirmed = np.zeros(gross.shape[1:], dtype=np.bool_)
    for f, t in np.argwhere(gross.any(axis=0)):
        name, test = scored.features[f], TESTS[t]
        count = min(int(before.get(name, {}).get(test, 0)) + 1, CHECKS_TO_CONFIRM_GROSS)
        counts.setdefault(name, {})[test] = count
        confirmed[f, t] = count >= CHECKS_TO_CONFIRM_GROSS
    return (gross & confirmed) | by_part_of_day, counts, kept


def _follow(seen: Mapping[str, Any] | None, table: TestTable, f: int) -> tuple[dict[str, Any], bool]:
    """Return what to remember of a shape that is gross in the first window, and whether an earlier one was like it."""
    window, shape = table.windows[0], _shape(table, f)
    now = {"end": window.end, "cells": shape.tolist()}
    if seen is None or len(seen["cells"]) != len(shape):
        return now, False
    if float(two_gate(shape, np.asarray(seen["cells"], dtype=np.float64), 0.0).score) >= GROSS_SHAPE_JS:
        return now, False
    still = np.sort(shape)[-CLOCK_CELLS:].sum() >= CLOCK_SHARE * shape.sum()
    needed = max(window.end - window.start, HALF_A_DAY if still else 0.0)
    return dict(seen), window.end - float(seen["end"]) >= needed


def _shape(table: TestTable, f: int) -> FloatArray:
    """Return the shape cells of a feature in the first window."""
    member = table.members[f]
    first = table.offsets[f]
    return table.windows[0].cells[first : first + member.shape_size]
