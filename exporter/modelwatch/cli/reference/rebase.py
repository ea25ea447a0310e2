"""`modelwatch reference rebase`: what is normal for a feature from now on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modelwatch.cli.arguments import add_sources
from modelwatch.cli.tables import table, write
from modelwatch.exceptions import InputError

if TYPE_CHECKING:
    from modelwatch.cli.sources import Sources
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.rebase import Recorded
    from modelwatch.records import RowChunk
    from modelwatch.store.queries import StoreQueries

__all__ = ["add_parser", "run"]

_DESCRIPTION = """\
A feature has changed for good, and that is as it should be: take its reference anew from what was recorded since, and
leave all else as it is. Where more than 1 % of its values lie outside the cells that the profile has, other cells are
made of stored rows; the profile then has another id.
"""
_EXAMPLE = """\
example:
  modelwatch reference rebase profile.json --feature bid_floor --since 2026-11-20 --out profile.json

Write it over the file that your application loads, or pass --apply as well: processes on this storage then compare
with it at once.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "rebase",
        help="make what a feature does now its new normal",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="the profile until now")
    parser.add_argument("--feature", required=True, action="append", metavar="X", help="may be given several times")
    parser.add_argument("--since", required=True, metavar="T", help="a date, a time, or a duration ago such as 3d")
    parser.add_argument("--until", metavar="T", help="default: now")
    parser.add_argument("--model", metavar="ID", help="whose recordings (default: the model that FILE names)")
    parser.add_argument("--out", required=True, metavar="FILE", help="where the profile is written; may be FILE itself")
    parser.add_argument("--apply", action="store_true", help="compare the model with it from now on")
    add_sources(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Rebase features of a profile on what was recorded."""
    from modelwatch.cli.arguments import moment
    from modelwatch.cli.sources import known_models, models_named, open_sources
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.times import read_zone
    from modelwatch.store.queries import StoreQueries

    before = ReferenceProfile.load(args.file)
    for name in args.feature:
        before.member(name)
    sources = open_sources(args.config, args.storage)
    model_id = args.model or before.model_id
    if not model_id:
        raise InputError(f"--model is required: {args.file} does not say of which model it is")
    if sources.facts is None:
        raise InputError(sources.problem)
    models_named(known_models(sources), model_id)
    zone = read_zone(before.timezone or sources.config.timezone)
    since = moment("--since", args.since, sources.now, zone)
    until = moment("--until", args.until, sources.now, zone) if args.until else sources.now
    if since >= until:
        raise InputError("--since must lie in the past, and before --until")
    with StoreQueries(sources.folder) as queries:
        profile = _rebased(before, args.feature, _Span(queries, model_id, since, until))
    path = profile.save(args.out)
    write("\n".join([*_told(before, profile, args.feature), f"written to {path}"]))
    if args.apply:
        _apply(sources, args.config, model_id, profile)
        write(f"{model_id} is compared with it from now on, by all processes on {sources.folder}")
    return 0


@dataclass(frozen=True)
class _Span:
    """What was recorded of a model in a time."""

    queries: StoreQueries
    model_id: str
    since: float
    until: float

    def counts(self, profile: ReferenceProfile, name: str) -> Recorded:
        """Return the counts of a feature in the intervals that began in the time."""
        from modelwatch.profile.rebase import Recorded

        layout = profile.layout
        place = profile.feature_names.index(name)
        cells = slice(layout.offsets[place], layout.offsets[place] + layout.members[place].size)
        found = self.queries.interval_counts(self.model_id, profile.id, self.since, self.until, size=layout.size)
        inside = found.starts >= self.since
        sums = found.sums[inside, place] if len(found.starts) else found.starts
        return Recorded(found.starts[inside], found.cells[inside, cells], sums)

    def rows(self) -> RowChunk | None:
        """Return the stored rows of the time."""
        from modelwatch.service.learning import gather_rows

        return gather_rows(self.queries, self.model_id, self.since, self.until)


def _rebased(before: ReferenceProfile, names: Sequence[str], span: _Span) -> ReferenceProfile:
    from modelwatch.drift.words import share
    from modelwatch.profile.rebase import needs_new_cells, novel_share, rebase, rebase_on_rows

    profile, rows = before, None
    for name in dict.fromkeys(names):
        member, recorded = before.member(name), span.counts(before, name)
        if not len(recorded.starts):
            raise InputError(
                f"nothing of {span.model_id} was counted by profile {before.label} in that time: give the profile that "
                "the model is compared with, and a --since that lies in the past"
            )
        if not needs_new_cells(member, recorded):
            profile = rebase(profile, name, recorded, span.since)
            continue
        rows = rows or span.rows()
        if rows is None or name not in rows.columns:
            raise InputError(
                f"{share(novel_share(member, recorded))} of {name!r} lies outside the cells of the profile, and no rows"
                " are stored that others could be made of (log_predictions): build a profile from data of that time,"
                " by `modelwatch reference build`"
            )
        profile = rebase_on_rows(profile, name, rows.columns[name], rows.times, span.since)
    return replace(profile, revision=before.revision + 1)


def _told(before: ReferenceProfile, after: ReferenceProfile, names: Sequence[str]) -> list[str]:
    """Return what has become of each feature."""
    from modelwatch.drift.between import compare_profiles

    rows = []
    found = compare_profiles(before, after)
    for name in dict.fromkeys(names):
        changes = [f"{one.what}: {one.words}" for one in found if one.feature == name and one.words]
        cells = "the same cells" if before.member(name) == after.member(name) else "other cells"
        counted = f"{int(after.counts_of(name).sum()):,} rows".replace(",", " ")
        rows.append((name, counted, cells, "; ".join(changes) or "hardly any change"))
    lines = table(("feature", "from", "in", "before → now"), rows)
    if before.id != after.id:
        lines.append(f"the profile has other cells, {before.label} → {after.label}: recording by them begins anew")
    return lines


def _apply(sources: Sources, config_path: str | None, model_id: str, profile: ReferenceProfile) -> None:
    from modelwatch import DriftMonitoringService

    with DriftMonitoringService(sources.folder, config_path) as service:
        answer = service.set_reference(model_id, profile)
    if answer["status"] != "success":
        raise InputError(f"the profile is written, and could not be applied: {answer['error']}")
