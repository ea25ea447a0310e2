"""Times as people give and read them: naive datetimes are local time, answers are ISO-8601 UTC."""

from __future__ import annotations

from datetime import datetime, timezone

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
