"""What a profile has learnt from timestamps, as JSON, and back: strata and natural variation of each member."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.divergence import D_PER_JS2
from modelwatch.profile.natural import LENGTHS, TESTS, Natural
from modelwatch.profile.strata import STRATA, Strata, StrataKind
from modelwatch.profile.times import read_zone
from modelwatch.profile.values import MAX_TEXT
from modelwatch.records import CellLayout, FloatArray, IntArray

_MAX_DAYS = 10**6


def dump_strata(counts: IntArray) -> str:
    """Return the counts of one member by stratum as JSON.

    >>> dump_strata(np.array([[1, 2, 0], [0, 0, 0], [0, 0, 3]]))
    '[[1,2],[],[0,0,3]]'
    """
    ends = counts.shape[1] - np.argmax(np.column_stack([counts[:, ::-1] > 0, np.ones(len(counts), bool)]), axis=1)
    rows = [row[:end] for row, end in zip(counts.tolist(), ends.tolist(), strict=True)]
    return json.dumps(rows, separators=(",", ":"))


def dump_natural(natural: Mapping[str, Natural], index: int) -> dict[str, list[list[float]]]:
    """Return natural variation of one member: by window the sums of its tests, their weights and their noise.

    A number has two lists more: of what its rows have in common, and of its mean.
    """
    out = {}
    for window, found in natural.items():
        noise = np.broadcast_to(found.noise, found.weight.shape)
        out[window] = [part[index].tolist() for part in (found.weighted, found.weight, noise)]
        more = [np.broadcast_to(part, (3, len(found.weight)))[:, index] for part in (found.clustered, found.means)]
        if any(part.any() for part in more):
            out[window] += [part.tolist() for part in more]
    return out


class LearntReader:
    """Reads what was learnt; trusts nothing.

    Parameters
    ----------
    source : str
        What messages begin with.
    layout : CellLayout
        The cells.
    members : sequence of mapping
        The members of the layout as they stand in the document.
    """

    def __init__(self, source: str, layout: CellLayout, members: Sequence[Mapping[str, Any]]) -> None:
        self._source = source
        self._layout = layout
        self._members = members
        names = [f"features[{i}]" for i in range(len(layout.features))]
        self._places = [*names, "prediction", "prediction_score"][: len(members)]

    def _fail(self, what: str) -> NoReturn:
        raise ProfileError(f"{self._source}: {what}")

    def strata(self, head: object, rows: int) -> Strata | None:
        """Return the counts by stratum, of no more than so many rows; None where there are none."""
        if head is None:
            return None
        if not isinstance(head, dict):
            self._fail(f"strata is {head!r:.40}; it must be an object with the keys kind and timezone")
        kind = self._kind(head.get("kind"))
        zone = head.get("timezone")
        if not isinstance(zone, str) or len(zone) > MAX_TEXT or not zone.isprintable():
            self._fail(f"strata.timezone is {zone!r:.40}; it must be the name of a time zone")
        try:
            read_zone(zone)
        except ProfileError as error:
            self._fail(f"strata.{error}")
        out = np.zeros((STRATA[kind], self._layout.size), dtype=np.int64)
        for index, offset in enumerate(self._layout.offsets):
            size = self._layout.members[index].size
            self._read_rows(index, out[:, offset : offset + size])
        # As floats: many counts, each of which is allowed, add up to more than a whole number holds.
        sums = np.add.reduceat(out.astype(np.float64), np.array(self._layout.offsets), axis=1)
        if (sums.sum(axis=0) > rows).any():
            self._fail(f"the counts of the strata add up to more than the {rows} rows")
        return Strata(kind, zone, out)

    def _kind(self, given: object) -> StrataKind:
        for kind in STRATA:
            if given == kind:
                return kind
        self._fail(f"strata.kind is {given!r:.40}; it must be one of {', '.join(STRATA)}")

    def _read_rows(self, index: int, out: IntArray) -> None:
        where = f"{self._places[index]}.strata"
        rows = self._members[index].get("strata")
        if not isinstance(rows, list) or len(rows) != len(out):
            self._fail(f"{where} must be a list of {len(out)} lists")
        for row, into in zip(rows, out, strict=True):
            if not isinstance(row, list) or len(row) > len(into):
                self._fail(f"{where} must be lists of at most {len(into)} counts")
            if not all(type(c) is int and 0 <= c < 2**53 for c in row):
                self._fail(f"{where} must be whole numbers of at least 0")
            into[: len(row)] = row

    def natural(self) -> dict[str, Natural]:
        """Return natural variation by window, for the windows that every member has."""
        given = [member.get("natural") for member in self._members]
        if all(one is None for one in given):
            return {}
        for where, one in zip(self._places, given, strict=True):
            if not isinstance(one, dict) or set(one) != set(LENGTHS):
                self._fail(f"{where}.natural must be an object with the keys {', '.join(LENGTHS)}")
        return {window: self._window([one[window] for one in given], window) for window in LENGTHS}  # type: ignore[index]

    def _window(self, given: list[object], window: str) -> Natural:
        out = np.zeros((5, len(given), TESTS))
        for index, parts in enumerate(given):
            where = f"{self._places[index]}.natural.{window}"
            if not isinstance(parts, list) or len(parts) not in (3, 5):
                self._fail(f"{where} must be three lists: the sums, their weights and their noise; two may follow")
            out[: len(parts), index] = [self._numbers(part, where) for part in parts]
            weighted, weight, noise, alike, means = out[:, index]
            # A distance has a largest value, and so has a mean of them.
            wrong = (weight < 0).any() or (noise < 0).any() or (weighted > weight * (D_PER_JS2 * 1.001)).any()
            if wrong or min(*alike[1:], *means[1:]) < 0:
                self._fail(f"{where} holds sums that do not belong to their weights")
        return Natural(out[0], out[1], out[2], out[3].T, out[4].T)

    def _numbers(self, given: object, where: str) -> FloatArray:
        if not isinstance(given, list) or len(given) != TESTS:
            self._fail(f"{where} must hold {TESTS} numbers a list: shape, missing, novel")
        if not all(type(x) in (int, float) and abs(x) < _LARGEST and math.isfinite(x) for x in given):
            self._fail(f"{where} holds something that is no number, or none that a sum could be")
        return np.array(given, dtype=np.float64)

    def days(self, given: object, natural: Mapping[str, Natural]) -> int:
        """Return of how many days natural variation is; none without a day."""
        if type(given) is not int or not (1 if natural else 0) <= given <= _MAX_DAYS:
            least = "1 where natural variation is learnt" if natural else "0"
            self._fail(f"natural_days is {given!r:.40}; it must be a whole number of at least {least}")
        return given


_LARGEST = 1e40  # weights are squares of numbers of rows, added up
