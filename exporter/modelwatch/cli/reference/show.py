"""`modelwatch reference show`: what a profile knows, in the terminal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from modelwatch.cli.tables import table, write

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show",
        help="what a profile knows, in the terminal",
        description="Show what a profile knows: a small histogram of each feature, from which difference on a change "
        "is told, what can't raise an alarm and why, and what all this is good for.",
    )
    parser.add_argument("file", metavar="FILE", help="a profile written by `reference build` or ReferenceProfile.save")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Show what a profile knows."""
    from modelwatch.profile import ReferenceProfile

    profile = ReferenceProfile.load(args.file)
    write(profile.summary())
    if lines := _blind(profile):
        write("\n".join(["", "Shape changes in these can't alarm, at the default thresholds:", *lines]))
    return 0


def _blind(profile: ReferenceProfile) -> list[str]:
    """Say which shapes can't alarm, and why."""
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.drift.blind_spots import blind_spots
    from modelwatch.records import shown_name

    spots = blind_spots(ModelMonitoringConfig(model_id=profile.model_id or "model"), profile)
    return table(("feature", "why"), [(shown_name(spot.feature), spot.reason) for spot in spots]) if spots else []
