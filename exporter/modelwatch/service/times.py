"""Times as people give and read them: naive datetimes are local time, answers are ISO-8601 UTC."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import numpy as np

from modelwatch.exceptions import InputError
from modelwatch.recorder.outcomes import MILLISECONDS_FROM


def seconds_of(value: object) -> float | None:
    """
    Return a time as seconds since 1970, or None for what is no time; never raises.

    >>> seconds_of(1_790_000_000_000) == seconds_of(1_790_000_000)
    True
    """
    try:
        seconds = value.timestamp() if isinstance(value, datetime) else float(value)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - the recorder boundary: a stranger's __float__ may raise anything
        return None
    if MILLISECONDS_FROM <= seconds < 1000 * MILLISECONDS_FROM:
        seconds /= 1000.0
    return seconds if 0.0 <= seconds < MILLISECONDS_FROM else None


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
    seconds = None if isinstance(value, (bool, np.bool_)) else seconds_of(_parsed(value))
    if seconds is None or math.isnan(seconds):
        msg = (
            f"{name} must be a datetime, ISO-8601 text such as '2026-01-31T12:00:00Z' or seconds since 1970, "
            f"got {value!r:.80}"
        )
        raise InputError(msg)
    return seconds


def _parsed(value: object) -> object:
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").astype(np.int64) / 1e6
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError:
        return None


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
