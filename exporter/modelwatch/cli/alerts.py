"""``modelwatch alerts``: ring the real pager by the real path, and look at what was sent."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from modelwatch.cli.arguments import add_sources
from modelwatch.exceptions import InputError, StorageError, did_you_mean

if TYPE_CHECKING:
    from modelwatch.cli.ring import Outcome, Ring
    from modelwatch.cli.sources import Sources
    from modelwatch.config import ModelMonitoringConfig

__all__ = ["add_parser", "run_list", "run_test"]

OK, FINDING = 0, 1
DEFAULT_ALERTMANAGER = "http://localhost:9093"
_LIMIT = 20

_TEST = """\
Send one alert that is marked as a test on the way that a real one of this model and severity takes, and tell what
became of it on each channel. Mode direct: by the channels' own senders. Mode prometheus: to Alertmanager, with the
labels that its routes look at; the alert ends by itself after five minutes.
"""
_EXAMPLE = """\
example:
  modelwatch alerts test --model ad_score_model_v1 --severity critical

Exit codes: 0 everybody was told, 1 somebody or nobody was, 2 usage, or no such model.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("alerts", help="ring the pager as a test; what was sent")
    actions = parser.add_subparsers(dest="alerts_command", metavar="ACTION", required=True)
    test = actions.add_parser(
        "test",
        help="one alert that is a test, by the real path",
        description=_TEST,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    test.add_argument("--model", required=True, metavar="ID", help="whose alerts are tested")
    test.add_argument("--severity", required=True, metavar="S", help="info, warning, error or critical")
    test.add_argument("--channel", metavar="C", help="this channel only (mode direct)")
    test.add_argument("--dry-run", action="store_true", help="only say who would be told")
    test.add_argument(
        "--alertmanager", metavar="URL", default=DEFAULT_ALERTMANAGER, help="mode prometheus (default: %(default)s)"
    )
    add_sources(test)
    test.set_defaults(func=lambda args: run_test(args, sys.stdout))
    listing = actions.add_parser(
        "list", help="the latest alerts of a storage", epilog="Exit codes: 0 ok, 2 no storage."
    )
    listing.add_argument("--model", metavar="ID", help="of this model only")
    listing.add_argument("--limit", type=int, default=_LIMIT, metavar="N", help="default: %(default)s")
    listing.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")
    add_sources(listing)
    listing.set_defaults(func=lambda args: run_list(args, sys.stdout))


# ── test ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def run_test(args: argparse.Namespace, out: TextIO) -> int:
    """Send a test alert and tell what became of it.

    Returns
    -------
    int
        0 if everybody whom a real alert would reach was told, else 1.

    Raises
    ------
    InputError
        If there is no such severity or channel.
    UnknownModelError
        If neither the configuration nor the storage knows the model.
    """
    from modelwatch.cli.ring import Ring
    from modelwatch.cli.sources import known_models, level_of, models_named, open_sources

    level = level_of(args.severity)
    sources = open_sources(args.config, args.storage)
    models = known_models(sources)
    ring = Ring.now(models_named(models, args.model)[-1], level)
    if sources.config.alerting.mode == "prometheus":
        return _by_alertmanager(args, sources, ring, out)
    return _directly(args, sources, models, ring, out)


def _directly(
    args: argparse.Namespace, sources: Sources, models: list[ModelMonitoringConfig], ring: Ring, out: TextIO
) -> int:
    from modelwatch.cli.quiet import held_now
    from modelwatch.cli.ring import direct_channels, send_directly
    from modelwatch.policy import Severity

    told, known = direct_channels(sources, models, ring)
    chosen = told
    if args.channel is not None:
        if args.channel not in {*known, *told}:
            hint = did_you_mean(args.channel, known)
            listed = ", ".join(sorted(known))
            raise InputError(f"--channel {args.channel[:200]!r} is no channel{hint}; there are: {listed}")
        chosen = (args.channel,)
    out.write(f"{ring.level} of {ring.model.model_id}, sent by modelwatch itself (alerting.mode: direct)\n")
    if args.channel is not None and args.channel not in told:
        out.write(f"  a real one would not go to {args.channel}\n")
    if not chosen:
        out.write("  nobody would be told\n")
        return FINDING
    out.write("".join(f"  {line}\n" for line in _silenced(sources, ring)))
    held = held_now(sources.config, Severity[ring.level.name], chosen, ring.at)
    width = max(map(len, chosen))
    out.write("".join(f"  {channel:<{width}}  a real one would be held: quiet hours\n" for channel in held))
    if args.dry_run:
        out.write("".join(f"  {channel:<{width}}  would be told\n" for channel in chosen))
        return OK if set(chosen) <= known else FINDING
    outcomes = send_directly(sources, models, replace(ring, held=held), chosen)
    out.write("".join(f"  {one.channel:<{width}}  {one.said}{_left_open(sources, one)}\n" for one in outcomes))
    failed = sum(not outcome.ok for outcome in outcomes)
    if failed:
        out.write(f"{failed} of {len(outcomes)} failed: modelwatch doctor says what is wrong with a channel\n")
    return FINDING if failed else OK


def _left_open(sources: Sources, outcome: Outcome) -> str:
    from modelwatch.cli.audience import receivers_of

    receiver = receivers_of(sources.config).get(outcome.channel)
    pages = receiver is not None and receiver.type == "pagerduty"
    return "; the incident stays open until somebody resolves it" if pages and outcome.ok else ""


def _silenced(sources: Sources, ring: Ring) -> list[str]:
    """Return which silences keep real alerts of the model from being told, which a test is nevertheless."""
    from modelwatch.notify.wording import clock_time
    from modelwatch.service.silences import scope_words

    in_force = sources.facts.silences if sources.facts is not None else ()
    zone = sources.config.timezone
    return [
        f"a real one would not be told until {clock_time(made.ends_at, ring.at, zone)}: {scope_words(made)} silenced"
        for made in in_force
        if made.model_id in ("", ring.model.model_id)
    ]


def _by_alertmanager(args: argparse.Namespace, sources: Sources, ring: Ring, out: TextIO) -> int:
    from modelwatch.cli.quiet import held_now
    from modelwatch.policy import Severity
    from modelwatch_rules.routing import expected_receivers

    if args.channel is not None:
        raise InputError("--channel: in mode prometheus the routes of Alertmanager decide who is told; leave it out")
    names = {
        merge: expected_receivers(
            sources.config, ring.model.model_id, ring.level.value, model_version=ring.model.model_version, merge=merge
        )
        for merge in (False, True)
    }
    heard = _heard(sources, names[False])
    held = held_now(sources.config, Severity[ring.level.name], heard, ring.at)
    out.write(f"{ring.level} of {ring.model.model_id}, through Alertmanager (alerting.mode: prometheus)\n")
    out.write(f"  the generated routing tells  {_with_quiet(heard, held)}\n")
    if not heard:
        return FINDING
    found = OK
    if not args.dry_run:
        expected = [set(names[False]), set(names[True])]
        found = _posted(args.alertmanager, sources, replace(ring, held=held), expected, out)
    if set(heard) <= set(held):
        out.write("  failed: quiet hours keep everybody from being told now\n")
        return FINDING
    return found


def _heard(sources: Sources, expected: tuple[str, ...]) -> list[str]:
    """Return the receivers that stand for a channel; one that stands for nobody does not."""
    from modelwatch.cli.audience import receivers_of
    from modelwatch.policy import LOG

    return [name for name in expected if name in {LOG, *receivers_of(sources.config)}]


def _with_quiet(names: Sequence[str], held: Collection[str]) -> str:
    """Return receivers in a row, with who of them is muted; in somebody else's file ours have a prefix."""
    from modelwatch_rules.routing import PREFIX

    muted = {*held, *(PREFIX + channel for channel in held)}
    return ", ".join(f"{name} (muted by quiet hours)" if name in muted else name for name in names) or "nobody"


def _posted(url: str, sources: Sources, ring: Ring, expected: list[set[str]], out: TextIO) -> int:
    from modelwatch.cli.ring import post_to_alertmanager
    from modelwatch.notify.errors import NotifyError
    from modelwatch.notify.wording import clock_time

    try:
        posted = post_to_alertmanager(url, ring, sources.config)
    except NotifyError as error:
        out.write(f"  failed: {error}\n")
        return FINDING
    ends = clock_time(posted.ends_at, ring.at, sources.config.timezone)
    out.write(f"  this Alertmanager tells      {_with_quiet(posted.receivers, ring.held)}\n")
    out.write(f"  posted; it ends by itself at {ends}\n")
    if posted.muted_by:
        out.write(f"  failed: {posted.muted_by} keeps it from being told\n")
        return FINDING
    # Somebody else's routes may tell others too.
    if not any(wanted <= set(posted.receivers) for wanted in expected):
        out.write(
            "  failed: the receivers of this configuration are not among them: give Alertmanager what modelwatch rules"
            " generate writes\n"
        )
        return FINDING
    return OK


# ── list ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def run_list(args: argparse.Namespace, out: TextIO) -> int:
    """Show the latest alerts of a storage, newest first.

    Raises
    ------
    InputError
        If the limit is none.
    StorageError
        If there is no storage, or it can't be read.
    UnknownModelError
        If nobody knows the model.
    """
    from modelwatch.cli.sources import known_models, models_named, open_sources
    from modelwatch.cli.tables import table
    from modelwatch.store.queries import StoreQueries

    if args.limit < 1:
        raise InputError(f"--limit must be 1 or more, got {args.limit}")
    sources = open_sources(args.config, args.storage)
    if sources.facts is None:
        raise StorageError(sources.problem)
    with StoreQueries(sources.folder) as queries:
        found = queries.alerts(args.model, limit=args.limit)
    if args.model is not None and not found:
        models_named(known_models(sources), args.model)
    if args.format == "json":
        alerts = [{**stored.alert.as_dict(), "channels": stored.channels} for stored in found]
        out.write(json.dumps(alerts, indent=2, ensure_ascii=False) + "\n")
        return OK
    rows = [
        [a.timestamp[:19], a.level, a.status, a.model_id, ", ".join(stored.channels) or "nobody", _headline(a.message)]
        for stored in found
        for a in [stored.alert]
    ]
    lines = table(["time (UTC)", "level", "status", "model", "channels", "message"], rows, indent="")
    out.write("".join(f"{line}\n" for line in lines) if rows else "no alerts\n")
    return OK


def _headline(message: str) -> str:
    from modelwatch.notify.wording import shorten

    return shorten(message.partition("\n")[0], 120)
