"""Times as people give and read them: naive datetimes are local time, answers are ISO-8601 UTC."""

from __future__ import annotations

from datetime import datetime, timezone


def seconds_of(value: object) -> float | None:
    """Return a time as seconds since 1970, or None for what is no time (recording must not raise)."""
    try:
        seconds = value.timestamp() if isinstance(value, datetime) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return seconds if 0.0 <= seconds < 1e11 else None


def iso(seconds: float) -> str:
    """Return seconds since 1970 as ISO-8601 in UTC.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
