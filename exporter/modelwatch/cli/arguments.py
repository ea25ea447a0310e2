"""Arguments that several commands take."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError

__all__ = ["add_sources", "positive", "whole"]


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
