"""Durations, names and numbers as people write them in a configuration."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from modelwatch.exceptions import ConfigError, did_you_mean
from modelwatch.names import MAX_NAME_LENGTH, show, validate_name

__all__ = [
    "MAX_NAME_LENGTH",
    "parse_duration",
    "parse_size",
    "plain_duration",
    "plain_number",
    "show",
    "size_text",
    "validate_name",
]

SECONDS_PER_UNIT: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
UNIT_WORDS: Mapping[str, str] = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "week": "w", "weeks": "w",
}  # fmt: skip
"""Words that people write instead of a unit: refused, but with the right unit in the answer."""

BYTES_PER_UNIT: Mapping[str, int] = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
SIZE = 'a number of bytes or a size such as "500MiB" or "10GB"'

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([a-zA-Z]+)")
_SPACED = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s+([a-zA-Z]+)")
_BARE = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def parse_duration(value: str | int | float | timedelta, *, default_unit: str | None = "m") -> float:
    """Return a duration in seconds.

    Parameters
    ----------
    value : str, int, float or timedelta
        ``"30m"``, ``"1h"``, ``"24h"``, ``"7d"``, ``"10s"``, ``"500ms"``, ``"1h30m"``; units are ms, s, m, h, d, w.
        A bare number is in `default_unit`.
    default_unit : {"ms", "s", "m", "h", "d", "w"} or None
        The unit of a bare number; None refuses bare numbers. Minutes by default, as in ``drift_detection_interval``.

    Returns
    -------
    float
        Seconds, finite, 0 or more.

    Raises
    ------
    ConfigError
        If it is no duration, negative or not finite; a bool is no duration either.

    Examples
    --------
    >>> parse_duration("1h30m"), parse_duration(30), parse_duration("500ms"), parse_duration(timedelta(hours=4))
    (5400.0, 1800.0, 0.5, 14400.0)
    """
    value = plain_duration(value)
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, str):
        seconds = _text_seconds(value.strip(), default_unit)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"must be {_allowed(default_unit)}, got {show(value)}")
    else:
        seconds = _bare_seconds(value, default_unit)
    if not math.isfinite(seconds) or seconds < 0:
        raise ConfigError(f"must be a finite duration of 0 or more, got {show(value)}")
    return seconds


def plain_duration(value: Any) -> Any:  # noqa: ANN401 - whatever comes, goes
    """Turn numpy's numbers and time differences into Python's, and leave everything else alone.

    >>> plain_duration(np.timedelta64(3, "h")), plain_duration(np.int64(60))
    (datetime.timedelta(seconds=10800), 60)
    """
    return plain_number(value.astype("timedelta64[us]") if isinstance(value, np.timedelta64) else value)


def _allowed(default_unit: str | None) -> str:
    bare = f" or a number (unit: {default_unit})" if default_unit else " with its unit"
    return f'a duration such as "500ms", "10s", "30m", "1h", "7d"{bare}'


def _bare_seconds(value: str | int | float, default_unit: str | None) -> float:
    if default_unit is None:
        raise ConfigError(f"must be {_allowed(None)}, got {show(value)}, which has no unit")
    try:
        return float(value) * SECONDS_PER_UNIT[default_unit]
    except OverflowError:
        return math.inf


def _text_seconds(text: str, default_unit: str | None) -> float:
    if _BARE.fullmatch(text):
        return _bare_seconds(text, default_unit)
    total, position = 0.0, 0
    while (part := _PART.match(text, position)) is not None:
        number, unit = part.groups()
        if unit not in SECONDS_PER_UNIT:
            raise ConfigError(f"must be {_allowed(default_unit)}, got {show(text)}{_unit_hint(number, unit)}")
        total += float(number) * SECONDS_PER_UNIT[unit]
        position = part.end()
    if position == 0 or position != len(text):
        if spaced := _SPACED.fullmatch(text):
            hint = _unit_hint(*spaced.groups())
            raise ConfigError(f"must be {_allowed(default_unit)}, got {show(text)}{hint}")
        raise ConfigError(f"must be {_allowed(default_unit)}, got {show(text)}")
    return total


def _unit_hint(number: str, unit: str) -> str:
    known = unit.lower() if unit.lower() in SECONDS_PER_UNIT else UNIT_WORDS.get(unit.lower())
    if known is not None:
        return f" (did you mean '{number}{known}'?)"
    return f"; there is no unit {unit!r}" + did_you_mean(unit, SECONDS_PER_UNIT)


def parse_size(value: str | int | float) -> int:
    """Return a size in bytes.

    Parameters
    ----------
    value : str, int or float
        A number of bytes, or a number with one of the units B, kB, MB, GB, TB (powers of 1 000) and KiB, MiB, GiB, TiB
        (of 1 024), in any case.

    Returns
    -------
    int
        Bytes, 1 or more.

    Raises
    ------
    ConfigError
        If it is no size.

    Examples
    --------
    >>> parse_size("10GB"), parse_size("1.5 KiB"), parse_size(4096)
    (10000000000, 1536, 4096)
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ConfigError(f"must be {SIZE}, got {show(value)}")
    if isinstance(value, str):
        bytes_ = _text_bytes(value.strip())
    else:
        bytes_ = float(value) if -math.inf < value < 2.0**63 else math.inf
    if not 1 <= bytes_ < 2.0**63:
        raise ConfigError(f"must be {SIZE}, of 1 byte or more, got {show(value)}")
    return int(bytes_)


def _text_bytes(text: str) -> float:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ConfigError(f"must be {SIZE}, got {show(text)}")
    number, unit = found.groups()
    by_name = {name.lower(): size for name, size in BYTES_PER_UNIT.items()}
    size = by_name.get(unit.lower() or "b")
    if size is None:
        units = ", ".join(BYTES_PER_UNIT)
        hint = did_you_mean(unit, BYTES_PER_UNIT)
        raise ConfigError(f"must be {SIZE}, got {show(text)}; there is no unit {unit!r}{hint}, there are: {units}")
    return float(number) * size


def size_text(size: float) -> str:
    """Return a number of bytes as people write it.

    >>> size_text(10_000_000_000), size_text(1536), size_text(0)
    ('10 GB', '1.54 kB', '0 B')
    """
    for unit in ("TB", "GB", "MB", "kB"):
        if size >= BYTES_PER_UNIT[unit]:
            return f"{float(f'{size / BYTES_PER_UNIT[unit]:.3g}'):g} {unit}"
    return f"{size:.0f} B"


def plain_number(value: Any) -> Any:  # noqa: ANN401 - whatever comes, goes
    """Turn a numpy scalar into the Python value it holds, and leave everything else alone.

    >>> import numpy as np
    >>> plain_number(np.float32(0.5)), plain_number("x")
    (0.5, 'x')
    """
    return value.item() if isinstance(value, np.generic) else value
