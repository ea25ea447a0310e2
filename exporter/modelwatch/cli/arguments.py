"""Arguments that several commands take."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, tzinfo

from modelwatch.exceptions import ConfigError, InputError

__all__ = ["add_sources", "moment", "positive", "whole"]


def add_sources(parser: ArgumentParser) -> None:
    """Add the arguments that say where configuration and storage are."""
    parser.add_argument(
        "--config", metavar="FILE", help="JSON or YAML (default: $MODELWATCH_CONFIG, then ./models.yaml)"
    )
    parser.add_argument(
        "--storage",
        metavar="DIR",
        help="the storage folder (default: $MODELWATCH_STORAGE, then as applications do)",
    )


def positive(text: str) -> float:
    """Return a number above 0.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none; what :func:`float` says would be told with the name of this function.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        msg = f"must be a number above 0, got {text[:80]!r}"
        raise ArgumentTypeError(msg)
    return value


def whole(text: str, least: int, most: int) -> int:
    """Return a whole number within limits.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none.
    """
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        msg = f"must be a whole number from {least} to {most}, got {text[:80]!r}"
        raise ArgumentTypeError(msg)
    return value


def moment(option: str, text: str, now: float, zone: tzinfo) -> float:
    """Return a time in seconds since 1970: a date or time, in `zone` unless it says another, or a duration ago.

    Raises
    ------
    InputError
        If it is none of them.

    Examples
    --------
    >>> from datetime import timezone
    >>> moment("--since", "3d", 1e6, timezone.utc), moment("--since", "1970-01-02", 1e6, timezone.utc)
    (740800.0, 86400.0)
    """
    from modelwatch.config.values import parse_duration

    try:
        return now - parse_duration(text, default_unit=None)
    except ConfigError:
        pass
    try:
        # "Z" is read from Python 3.11 on only.
        found = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        msg = f"{option} must be a duration such as 3d, or a date or time such as 2026-11-01T06:00, got {text[:80]!r}"
        raise InputError(msg) from None
