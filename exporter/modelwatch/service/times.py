"""Times as people give and read them: naive datetimes are local time, answers are ISO-8601 UTC."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import numpy as np

from modelwatch.exceptions import InputError
from modelwatch.recorder.outcomes import MILLISECONDS_FROM, plain_datetime, unix_seconds

LAST_SECOND = 253_402_300_799.0
"""The last one of the year 9999, where calendars end."""


def iso(seconds: float) -> str:
    """Return seconds since 1970 as ISO-8601 in UTC.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def moment(value: object, name: str) -> float | None:
    """
    Return a time that somebody asks by, as seconds since 1970; None for None.

    Parameters
    ----------
    value
        A datetime or ISO-8601 text, local time unless it says otherwise, or seconds (or milliseconds) since 1970.
        Datetimes before 1970 stand for its beginning.
    name
        The argument's name, for the message.

    Raises
    ------
    InputError
        If it is no time.

    >>> moment("2026-01-01T00:00:00Z", "start_time") == moment(1767225600, "start_time")
    True
    """
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is None:
        msg = (
            f"{name} must be a datetime, ISO-8601 text such as '2026-01-31T12:00:00Z' or seconds since 1970, "
            f"got {value!r:.80}"
        )
        raise InputError(msg)
    return seconds


def _seconds(value: object) -> float | None:
    """Return a time as seconds since 1970; those of calendars are brought within what can be stored and shown."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            return None
    if isinstance(value, (datetime, np.datetime64)):
        if value != value:  # NaT, which pandas calls a datetime too
            return None
        try:
            return _clamped(_timestamp(plain_datetime(value)))
        except (ValueError, OverflowError):  # a year that only numpy knows
            return LAST_SECOND if value > np.datetime64("9999-12-31") else 0.0
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        seconds = unix_seconds(float(value))  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - a stranger's __float__ may raise anything
        return None
    return seconds if 0.0 <= seconds < MILLISECONDS_FROM else None


def _timestamp(value: datetime) -> float:
    try:
        return value.timestamp()
    except (OverflowError, ValueError, OSError):  # the calendar's first or last day, which is none in UTC
        return value.replace(tzinfo=timezone.utc).timestamp()


def _clamped(seconds: float) -> float:
    return min(max(seconds, 0.0), LAST_SECOND)


def time_range(start_time: object, end_time: object) -> tuple[float, float]:
    """
    Return the range that somebody asks for, both ends included; open ends are infinite.

    Raises
    ------
    InputError
        If an end is no time, or the range ends before it starts.
    """
    start, end = moment(start_time, "start_time"), moment(end_time, "end_time")
    if start is not None and end is not None and start > end:
        msg = f"start_time must not lie after end_time, got {iso(start)} and {iso(end)}"
        raise InputError(msg)
    return (-math.inf if start is None else start), (math.inf if end is None else end)
