"""Timestamps of reference rows: from when to when, and how many days they cover."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.exceptions import ProfileError
from modelwatch.profile.values import read_number
from modelwatch.records import FloatArray

_QUARTER_HOUR = 900  # every time zone in use is offset by a multiple of it


def read_zone(name: str | None) -> tzinfo:
    """Return a time zone by its IANA name, UTC for None."""
    if name is None:
        return timezone.utc
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ProfileError(f"timezone {name!r} is not known; use an IANA name such as 'Europe/Rome'") from error


def epoch_seconds(column: NDArray[Any] | list[Any], zone: tzinfo) -> FloatArray:
    """Return timestamps as Unix seconds, NaN where missing.

    Parameters
    ----------
    column : ndarray or list
        datetime64, datetimes, dates as ISO-8601 texts, or Unix seconds. Naive ones are in `zone`.
    zone : tzinfo
        The business time zone.

    >>> epoch_seconds(["1970-01-01T01:00:00", None], timezone.utc)
    array([3600.,   nan])
    """
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        naive = column.astype("datetime64[us]")
        seconds: FloatArray = naive.astype(np.int64) / 1e6
        seconds[np.isnat(naive)] = np.nan
        return _shift_to_utc(seconds, zone)
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return np.array([_read_time(value, row, zone) for row, value in enumerate(values)], dtype=float)


def _shift_to_utc(seconds: FloatArray, zone: tzinfo) -> FloatArray:
    quarters = np.floor(seconds / _QUARTER_HOUR)
    distinct, inverse = np.unique(quarters[~np.isnan(quarters)], return_inverse=True)
    wall = [datetime.fromtimestamp(q * _QUARTER_HOUR, timezone.utc).replace(tzinfo=zone) for q in distinct.tolist()]
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


def count_days(seconds: FloatArray, zone: tzinfo) -> int:
    """Return the number of calendar days in `zone` on which there is at least one row."""
    quarters = np.unique(np.floor(seconds[~np.isnan(seconds)] / _QUARTER_HOUR))
    return len({datetime.fromtimestamp(q * _QUARTER_HOUR, zone).date() for q in quarters.tolist()})


def local_seconds(seconds: FloatArray, zone: tzinfo) -> FloatArray:
    """Return what the clocks in `zone` show at some times, as seconds since the epoch of a clock that never changes.

    >>> local_seconds(np.array([0.0, np.nan]), zoneinfo.ZoneInfo("Asia/Tokyo"))
    array([32400.,    nan])
    """
    known = np.isfinite(seconds)
    quarters, inverse = np.unique(np.floor(seconds[known] / _QUARTER_HOUR), return_inverse=True)
    moments = (datetime.fromtimestamp(quarter * _QUARTER_HOUR, zone) for quarter in quarters.tolist())
    offsets = np.array([(moment.utcoffset() or timedelta()).total_seconds() for moment in moments])
    out: FloatArray = np.where(known, seconds, np.nan)
    if len(offsets):
        out[known] += offsets[inverse]
    return out
