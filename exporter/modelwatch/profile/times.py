"""Timestamps of reference rows: from when to when, which hour of which day, and how many days they cover."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.exceptions import ProfileError
from modelwatch.profile.values import read_number
from modelwatch.records import FloatArray, IntArray

QUARTER_HOUR = 900  # every time zone in use is offset by a multiple of it


def read_zone(name: str | None) -> tzinfo:
    """Return a time zone by its IANA name, UTC for None."""
    if name is None:
        return timezone.utc
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ProfileError(f"timezone {name!r} is not known; use an IANA name such as 'Europe/Rome'") from error


def epoch_seconds(column: NDArray[Any] | list[Any], zone: tzinfo, first: int = 0) -> FloatArray:
    """Return timestamps as Unix seconds, NaN where missing.

    Parameters
    ----------
    column : ndarray or list
        datetime64, datetimes, dates as ISO-8601 texts, or Unix seconds. Naive ones are in `zone`.
    zone : tzinfo
        The business time zone.
    first : int
        The number of the first row, for messages.

    >>> epoch_seconds(["1970-01-01T01:00:00", None], timezone.utc)
    array([3600.,   nan])
    """
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        naive = column.astype("datetime64[us]")
        seconds: FloatArray = naive.astype(np.int64) / 1e6
        seconds[np.isnat(naive)] = np.nan
        return _shift_to_utc(seconds, zone)
    if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
        numbers = column.astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return np.array([_read_time(value, row, zone) for row, value in enumerate(values, first)], dtype=float)


def _shift_to_utc(seconds: FloatArray, zone: tzinfo) -> FloatArray:
    quarters = np.floor(seconds / QUARTER_HOUR)
    distinct, inverse = np.unique(quarters[~np.isnan(quarters)], return_inverse=True)
    wall = [datetime.fromtimestamp(q * QUARTER_HOUR, timezone.utc).replace(tzinfo=zone) for q in distinct.tolist()]
    offsets = np.array([(moment.utcoffset() or timedelta()).total_seconds() for moment in wall])
    out: FloatArray = seconds.copy()
    if len(offsets):
        out[~np.isnan(seconds)] -= offsets[inverse]
    return out


def _read_time(value: Any, row: int, zone: tzinfo) -> float:  # noqa: ANN401
    if isinstance(value, str):
        try:
            # "Z" is read from Python 3.11 on only.
            value = datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
        except ValueError as error:
            raise ProfileError(f"timestamps: {value[:40]!r} in row {row} is no ISO-8601 time") from error
    number, reason = read_number(value)
    if reason is None:
        return number if np.isfinite(number) else np.nan
    try:
        return float((value if value.tzinfo is not None else value.replace(tzinfo=zone)).timestamp())
    except (AttributeError, TypeError, ValueError, OverflowError, OSError) as error:
        raise ProfileError(f"timestamps: {str(value)[:40]!r} in row {row} is no time") from error


def wall_hours(seconds: FloatArray, zone: str | None) -> IntArray:
    """Return the hour that the clock on the wall showed, counted from the year 1; -1 for what is no time.

    Of an hour that comes twice, because clocks were put back, both are the same.

    Parameters
    ----------
    seconds : ndarray
        Seconds since 1970.
    zone : str or None
        IANA name of the time zone, None for UTC.

    Raises
    ------
    ProfileError
        If a time lies outside the years 1 to 9999.

    >>> hour, other, none = wall_hours(np.array([0.0, 90000.0, np.nan]), "Europe/Rome")  # in Rome it was 1 o'clock
    >>> int(hour % 24), int(other - hour), int(none)
    (1, 25, -1)
    """
    seconds = np.asarray(seconds, dtype=np.float64)
    out = np.full(seconds.shape, -1, dtype=np.int64)
    known = np.isfinite(seconds)
    quarters, inverse = np.unique(np.floor(seconds[known] / QUARTER_HOUR), return_inverse=True)
    hours = [_wall_hour(zone, int(quarter)) for quarter in quarters.tolist()]
    out[known] = np.array(hours, dtype=np.int64)[inverse.reshape(-1)]
    return out


@lru_cache(maxsize=1 << 17)
def _wall_hour(zone: str | None, quarter: int) -> int:
    try:
        wall = datetime.fromtimestamp(quarter * QUARTER_HOUR, read_zone(zone))
    except (ValueError, OverflowError, OSError) as error:
        raise ProfileError(
            f"timestamps: {quarter * QUARTER_HOUR:.4g} seconds since 1970 is in no year from 1 to 9999;"
            " are these milliseconds?"
        ) from error
    return wall.toordinal() * 24 + wall.hour


def local_seconds(seconds: FloatArray, zone: tzinfo) -> FloatArray:
    """Return what the clocks in `zone` show at some times, as seconds since the epoch of a clock that never changes.

    >>> local_seconds(np.array([0.0, np.nan]), zoneinfo.ZoneInfo("Asia/Tokyo"))
    array([32400.,    nan])
    """
    known = np.isfinite(seconds)
    quarters, inverse = np.unique(np.floor(seconds[known] / QUARTER_HOUR), return_inverse=True)
    moments = (datetime.fromtimestamp(quarter * QUARTER_HOUR, zone) for quarter in quarters.tolist())
    offsets = np.array([(moment.utcoffset() or timedelta()).total_seconds() for moment in moments])
    out: FloatArray = np.where(known, seconds, np.nan)
    if len(offsets):
        out[known] += offsets[inverse]
    return out
