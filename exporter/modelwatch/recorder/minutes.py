"""Sums by minute, for the history of metrics: blocks of one hour of this worker, as absolute values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelwatch.recorder.open_blocks import BLOCK_BYTES, Limits, closable
from modelwatch.recorder.outcomes import Values, finite_sum, floats_or_list
from modelwatch.recorder.truth import numbers_or_nan
from modelwatch.records import HOUR_SECONDS, MINUTE_FIELDS, MINUTE_SECONDS, FloatArray, IntArray, MinuteBlock

(
    ATTEMPTS, ERRORS, LATENCIES, LATENCY_SUM, PREDICTIONS, PREDICTION_SUM, LABELLED, CORRECT, PAIRS, ABSOLUTE_SUM,
    SQUARED_SUM,
) = range(len(MINUTE_FIELDS))  # fmt: skip

MINUTES = HOUR_SECONDS // MINUTE_SECONDS
HOUR_BYTES = MINUTES * len(MINUTE_FIELDS) * 8 + BLOCK_BYTES


class MinuteSheet:
    """
    Sums by minute over one slice of rows; where all fall in one minute, as live ones do, plain numbers do.

    Parameters
    ----------
    times
        Shape (n,): seconds since 1970.
    """

    __slots__ = ("_minutes", "_row", "_sums", "first", "first_at", "last_at")

    def __init__(self, times: FloatArray) -> None:
        self.first_at, self.last_at = float(times.min()), float(times.max())
        self.first, last = int(self.first_at // MINUTE_SECONDS), int(self.last_at // MINUTE_SECONDS)
        self._row = [0.0] * len(MINUTE_FIELDS)
        self._minutes: IntArray | None = None
        if last > self.first:
            self._sums = np.zeros((last - self.first + 1, len(MINUTE_FIELDS)))
            self._minutes = np.floor_divide(times, MINUTE_SECONDS).astype(np.int64) - self.first

    @property
    def sums(self) -> FloatArray:
        """By minute from `first` on, shape (minutes, len(MINUTE_FIELDS))."""
        return np.array([self._row]) if self._minutes is None else self._sums

    def add_attempts(self, attempts: int, errors: int, failed: Any) -> None:  # noqa: ANN401 - a sequence of bools
        """Count rows, of which `errors` failed; `failed` says which, if any did."""
        if self._minutes is None:
            self._row[ATTEMPTS], self._row[ERRORS] = float(attempts), float(errors)
            return
        self._sums[:, ATTEMPTS] += self._sum(self._minutes)
        if errors:
            self._sums[:, ERRORS] += self._sum(self._minutes[np.array(failed, bool)])

    def add_latencies(self, given: Sequence[Any] | FloatArray, count: int, total: float) -> None:
        """Add latencies in milliseconds; `count` of them are right, and `total` is their sum."""
        if self._minutes is None:
            self._row[LATENCIES], self._row[LATENCY_SUM] = float(count), total
        elif count:
            numbers = numbers_or_nan(floats_or_list(given))
            self._add(LATENCIES, np.where(numbers >= 0, numbers, np.nan), LATENCY_SUM)

    def add_predictions(self, predictions: Values, count: int, total: float) -> None:
        """Add predictions; `count` of them are finite numbers, and `total` is their sum."""
        if self._minutes is None:
            self._row[PREDICTIONS], self._row[PREDICTION_SUM] = float(count), total
        elif count:
            self._add(PREDICTIONS, numbers_or_nan(predictions), PREDICTION_SUM)

    def add_right(self, right: FloatArray) -> None:
        """Add 1.0 for right and 0.0 for wrong predictions, NaN for what can't be told."""
        self._add(LABELLED, right, CORRECT)

    def add_differences(self, differences: FloatArray) -> None:
        """Add prediction minus actual, NaN where there are no two numbers."""
        with np.errstate(over="ignore"):
            squares = differences * differences
        self._add(PAIRS, np.abs(differences), ABSOLUTE_SUM, (SQUARED_SUM, squares))

    def _add(self, count: int, values: FloatArray, total: int, further: tuple[int, FloatArray] | None = None) -> None:
        good = np.isfinite(values)
        columns = [(total, values)] if further is None else [(total, values), further]
        if self._minutes is None:
            self._row[count] = float(np.count_nonzero(good))
            for place, column in columns:
                self._row[place] = finite_sum(column[good])
            return
        where = self._minutes[good]
        self._sums[:, count] += self._sum(where)
        for place, column in columns:
            self._sums[:, place] += self._sum(where, column[good])

    def _sum(self, where: IntArray, weights: FloatArray | None = None) -> FloatArray:
        return np.bincount(where, weights, len(self._sums)).astype(np.float64)


@dataclass
class _Hour:
    part: int
    added_at: float
    sums: FloatArray
    dirty: bool = True

    @property
    def size(self) -> int:
        return HOUR_BYTES


_Key = tuple[str, str, int]


@dataclass
class Minutes:
    """
    Open hours of one worker.

    Values are absolute, so that a flush that is tried again, or seen twice, changes nothing. A closed hour that is
    opened again starts from zero under a higher `part`, which the store adds to the earlier ones. An hour to which
    nothing was added for `limits.idle_seconds` is closed before more is, so that an old block never changes again.
    """

    limits: Limits = field(default_factory=Limits)
    _hours: OrderedDict[_Key, _Hour] = field(default_factory=OrderedDict)
    _leaving: list[MinuteBlock] = field(default_factory=list)
    _closed: int = 0

    def add(self, labels: tuple[str, str], sheet: MinuteSheet, now: float) -> None:
        """Add one slice of one model version."""
        first, sums = sheet.first, sheet.sums
        end = first + len(sums)
        for hour in range(first // MINUTES, (end - 1) // MINUTES + 1):
            low, high = max(first, hour * MINUTES), min(end, (hour + 1) * MINUTES)
            held = self._open((*labels, hour), now)
            with np.errstate(over="ignore", invalid="ignore"):
                held.sums[low - hour * MINUTES : high - hour * MINUTES] += sums[low - first : high - first]

    def add_attempts(self, labels: tuple[str, str], attempts: int, errors: int, now: float) -> None:
        """Count attempts of which nothing but their number is known, as of now."""
        minute = int(now // MINUTE_SECONDS)
        hour = self._open((*labels, minute // MINUTES), now)
        hour.sums[minute % MINUTES, :2] += attempts, errors

    def _open(self, key: _Key, now: float) -> _Hour:
        held = self._hours.get(key)
        if held is not None and not 0 <= now - held.added_at <= self.limits.idle_seconds:
            self._close(key)
            held = None
        if held is None:
            held = self._hours[key] = _Hour(self._closed, now, np.zeros((MINUTES, len(MINUTE_FIELDS))))
            if len(self._hours) * HOUR_BYTES > self.limits.most_bytes:  # between two flushes too
                self._close(next(iter(self._hours)))
        held.added_at, held.dirty = now, True
        self._hours.move_to_end(key)
        return held

    def _close(self, key: _Key) -> None:
        held = self._hours.pop(key)
        if held.dirty:
            self._leaving.append(_block(key, held))
        self._closed += 1

    def collect(self, now: float) -> list[MinuteBlock]:
        """Return the hours that changed since the last call, and close those that are not needed open."""
        changed, self._leaving = self._leaving, []
        for key, held in self._hours.items():
            if held.dirty:
                changed.append(_block(key, held))
                held.dirty = False
        for key in list(closable(self._hours, self.limits, now)):
            self._close(key)
        return changed


def _block(key: _Key, held: _Hour) -> MinuteBlock:
    touched = np.flatnonzero(held.sums[:, ATTEMPTS])
    sums = held.sums[touched]
    if not np.isfinite(sums).all():
        sums = np.nan_to_num(sums)
    return MinuteBlock(key[0], key[1], float(key[2] * HOUR_SECONDS), held.part, touched, sums)


__all__ = ["MinuteSheet", "Minutes"]
