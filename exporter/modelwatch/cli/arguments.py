"""Arguments that several commands take."""

from __future__ import annotations

from argparse import ArgumentParser

__all__ = ["add_sources"]


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
