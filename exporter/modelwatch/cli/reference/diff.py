"""`modelwatch reference diff`: what sets two profiles apart."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from modelwatch.cli.tables import table, write

if TYPE_CHECKING:
    from modelwatch.drift.between import Difference
    from modelwatch.profile import ReferenceProfile

__all__ = ["add_parser", "run"]

OK, FINDING = 0, 1

_DESCRIPTION = """\
Compare two profiles feature by feature, such as last month's and this month's. What is told is real, beyond chance;
what lies beyond the tolerance of the first profile is marked. Where the cells differ, values are taken to lie evenly
between the edges and quantiles that are known.
"""
_EPILOG = "Exit codes: 0 nothing beyond tolerance, 1 something is, 2 usage, or a file that can't be read."


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "diff",
        help="what sets two profiles apart",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", metavar="A", help="a profile")
    parser.add_argument("second", metavar="B", help="another")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Compare two profiles."""
    from modelwatch.drift.between import compare_profiles
    from modelwatch.profile import ReferenceProfile

    first, second = ReferenceProfile.load(args.first), ReferenceProfile.load(args.second)
    found = compare_profiles(first, second)
    beyond = {difference.feature for difference in found if difference.beyond}
    names = {member.name for profile in (first, second) for member in profile.layout.members}
    alike = len(names) - len({difference.feature for difference in found})
    lines = [f"A  {_title(first)}", f"B  {_title(second)}", *_settings(first, second), ""]
    if found:
        lines += [*table(("feature", "what", "JS", "tolerated", "", "from A to B"), [_row(one) for one in found]), ""]
    lines.append(f"{len(beyond)} of {len(names)} beyond tolerance, {alike} alike")
    write("\n".join(lines))
    return FINDING if beyond else OK


def _title(profile: ReferenceProfile) -> str:
    return f"{profile.label} revision {profile.revision}, {profile.verdict}"


def _settings(first: ReferenceProfile, second: ReferenceProfile) -> list[str]:
    """Return what differs but for the data."""
    pairs = {
        "task": (first.task, second.task),
        "decision threshold": (first.decision_threshold, second.decision_threshold),
        "time zone": (first.timezone or "UTC", second.timezone or "UTC"),
    }
    lines = [f"{what}: {mine} → {theirs}" for what, (mine, theirs) in pairs.items() if mine != theirs]
    return lines if first.id == second.id else ["their cells differ: counts are compared as well as may be", *lines]


def _row(difference: Difference) -> tuple[str, ...]:
    from modelwatch.records import shown_name

    numbers = ["" if math.isnan(x) else f"{x:.2f}" for x in (difference.score, difference.tolerance)]
    mark = "beyond" if difference.beyond else ""
    return shown_name(difference.feature), difference.what, *numbers, mark, difference.words
