"""`modelwatch backtest`: the whole rule over a time that is over, of what is stored or of a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.cli.arguments import add_sources
from modelwatch.cli.files import categories_of, names_in, pieces_of
from modelwatch.cli.progress import working
from modelwatch.cli.tables import write
from modelwatch.exceptions import ConfigError, InputError, StorageError, did_you_mean

if TYPE_CHECKING:
    from modelwatch.checks.backtest import Backtest
    from modelwatch.cli.sources import Sources
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.store.values import CountSeries
    from modelwatch.windows.together import RowPieces

__all__ = ["add_parser", "run"]

OK, FINDING = 0, 1
DEFAULT_SINCE = "30d"
LONGEST_FILE_INTERVAL = 900.0
"""Rows of a file are counted by a quarter of an hour, or shorter: all time zones differ by multiples of it."""

_DESCRIPTION = """\
Check a time that is over again, with the rule that scheduled checks follow: which alarms there would have been, when
and why, at which tolerance each feature would have been silent, and the YAML that makes it so. Of what is stored of a
model (--model), or of a file with times (--data, --timestamps, --reference).
"""
_EXAMPLE = """\
examples:
  modelwatch backtest --model ad_score_model_v1 --since 14d
  modelwatch backtest --model ad_score_model_v1 --since 14d --tolerance bid=0.12 --out backtest.html
  modelwatch backtest --data november.parquet --timestamps served_at --reference profile.json

Exit codes: 0 no alarm, 1 alarms, 2 usage, or nothing to look at.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "backtest",
        help="what would have alarmed, and the YAML to change it",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", metavar="ID", help="a model of the configuration or the storage")
    parser.add_argument("--version", metavar="V", help="its version (default: the one recorded last)")
    parser.add_argument(
        "--since", metavar="T", help=f"from when on: 14d ago, or a date or time (stored, default: {DEFAULT_SINCE})"
    )
    parser.add_argument("--until", metavar="T", help="until when (default: the end of what there is)")
    add_sources(parser)
    parser.add_argument("--data", metavar="FILE", help="a CSV, TSV, Parquet or Feather file instead of what is stored")
    parser.add_argument("--timestamps", metavar="COL", help="with --data: column with times")
    parser.add_argument("--predictions", metavar="COL", help="with --data: column with what the model returned")
    parser.add_argument(
        "--reference", metavar="PROFILE", help="a profile (default: the one that counts were made over)"
    )
    parser.add_argument("--exclude", metavar="COL[,COL]", action="append", default=[], help="features to leave out")
    parser.add_argument(
        "--tolerance", metavar="NAME=X", action="append", default=[], type=_tolerance,
        help="try a tolerance of a feature, as drift.tolerance would have it",
    )  # fmt: skip
    parser.add_argument("--timezone", metavar="ZONE", help="of times told and of naive times read, default: UTC")
    parser.add_argument("--format", choices=("text", "json", "html"), default="text", help="default: %(default)s")
    parser.add_argument(
        "--out", metavar="FILE", help="write it there; a name that ends in .html or .json is the format"
    )
    parser.set_defaults(func=run)


@dataclass(frozen=True)
class _Past:
    """What is checked again."""

    profile: ReferenceProfile
    config: ModelMonitoringConfig
    version: str
    series: CountSeries
    since: float | None
    until: float | None
    zone: tzinfo
    rows: RowPieces


def run(args: argparse.Namespace) -> int:
    """Check a past time again and report."""
    from modelwatch.checks.backtest import backtest

    past = _of_file(args) if args.data is not None else _of_storage(args)
    config = _as_told(past.config, args, past.profile)
    with working("checking that time again"):
        found = backtest(
            past.profile, config, past.series, model_version=past.version, first=past.since, until=past.until,
            rows=past.rows,
        )  # fmt: skip
    _report(found, args, past.zone)
    return FINDING if found.episodes else OK


# ── what is checked ──────────────────────────────────────────────────────────────────────────────────────────────


def _of_storage(args: argparse.Namespace) -> _Past:
    from modelwatch.cli.sources import known_models, models_named, open_sources
    from modelwatch.store.queries import StoreQueries

    if args.model is None:
        raise InputError("say what to check: --model ID of what is stored, or --data FILE with --timestamps")
    for option in ("timestamps", "predictions"):
        if getattr(args, option) is not None:
            raise InputError(f"--{option} goes with --data; what is stored has its own")
    sources = open_sources(args.config, args.storage)
    if sources.facts is None:
        raise StorageError(sources.problem)
    versions = models_named(known_models(sources), args.model)
    zone = _zone(args, sources)
    since = _time("--since", args.since or DEFAULT_SINCE, sources.now, zone)
    until = None if args.until is None else _time("--until", args.until, sources.now, zone)
    _check_order(since, until)
    queries = StoreQueries(sources.folder)
    version, profile_id, last = _recorded(queries, args, since)
    config = next((model for model in versions if model.model_version == version), versions[-1])
    profile = _profile(args, sources.folder, profile_id)
    first = since + config.interval_seconds
    end = last if until is None else min(until, last)
    series = queries.interval_counts(
        args.model, profile.id, since - _back(config), end, version, size=profile.layout.size
    )  # fmt: skip
    if not len(series.starts):
        raise InputError(f"{args.model}: nothing was counted over profile {profile.label} in that time")
    began = max(first, float(series.starts[0]) + config.interval_seconds)
    chunks = queries.row_sample(args.model, version, since - _back(config), end, sys.maxsize)
    rows = ((chunk.times, chunk.columns) for chunk in chunks)
    return _Past(profile, config, version, series, began, end, zone, rows)


def _recorded(queries: object, args: argparse.Namespace, since: float) -> tuple[str, str, float]:
    """Return version and profile that were counted last, and the end of that."""
    from modelwatch.store.queries import StoreQueries

    assert isinstance(queries, StoreQueries)
    subjects = [s for s in queries.subjects(args.model, since) if args.version is None or s[0] == args.version]
    counted = [s for s in subjects if s[1]]
    if not counted:
        what = f"version {args.version!r} of {args.model}" if args.version is not None else args.model
        raise InputError(f"{what}: nothing was counted since then; see `modelwatch doctor`, or give an earlier --since")
    version, profile_id, _, last = counted[-1]
    return version, profile_id, last


def _back(config: ModelMonitoringConfig) -> float:
    """How far the windows of the first check reach back: the longest may be extended to a month."""
    return max(31 * 86400.0, *config.drift.window_seconds.values())


def _profile(args: argparse.Namespace, folder: Path, profile_id: str) -> ReferenceProfile:
    from modelwatch.profile import ReferenceProfile

    if args.reference is None:
        return ReferenceProfile.load(folder / "profiles" / f"{profile_id}.json")
    profile = ReferenceProfile.load(args.reference)
    if profile.id != profile_id:
        raise InputError(
            f"--reference {args.reference}: its cells are not those that {args.model} was counted over"
            f" (profile {profile_id[:8]}, this one is {profile.label}); leave it out, or check a file with --data"
        )
    return profile


def _of_file(args: argparse.Namespace) -> _Past:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.files import open_table
    from modelwatch.profile.times import epoch_seconds, read_zone
    from modelwatch.windows.intervals import count_intervals

    for option in ("timestamps", "reference"):
        if getattr(args, option) is None:
            raise InputError(f"--data needs --{option}")
    for option in ("storage", "version"):
        if getattr(args, option) is not None:
            raise InputError(f"--{option} goes with what is stored, not with --data")
    profile = ReferenceProfile.load(args.reference)
    config = _config_for_file(args, profile)
    zone = _zone(args, None)
    seconds = min(LONGEST_FILE_INTERVAL, config.drift.count_interval_seconds * 3, config.interval_seconds)
    clock = args.timezone or profile.timezone

    def pieces() -> Iterator[dict[str, Any]]:
        file = open_table(args.data, categories_of(profile))
        return pieces_of(file, profile, args.predictions, args.timestamps, names_in(args.exclude))

    series = count_intervals(
        profile, pieces(), seconds, timestamps=args.timestamps, predictions=args.predictions, timezone=clock
    )  # fmt: skip
    end = float(series.starts[-1] + series.lengths[-1])
    since = None if args.since is None else _time("--since", args.since, end, zone)
    until = end if args.until is None else _time("--until", args.until, end, zone)
    _check_order(since, until)
    # Read once more, as only now it is known when checks are made: to keep all rows would take too much memory.
    rows = ((epoch_seconds(piece[args.timestamps], read_zone(clock)), piece) for piece in pieces())
    return _Past(profile, config, "", series, since, min(until, end), zone, rows)


def _config_for_file(args: argparse.Namespace, profile: ReferenceProfile) -> ModelMonitoringConfig:
    from modelwatch.cli.sources import models_named
    from modelwatch.config import ModelMonitoringConfig, find_config, load_config

    path = args.config or (find_config() if args.model else None)
    if path is not None:
        models = load_config(path).models
        if args.model is None and len(models) != 1:
            raise InputError("--config: say which of its models with --model")
        return models_named(models, args.model or models[0].model_id)[-1]
    return ModelMonitoringConfig(model_id=args.model or profile.model_id or Path(args.data).name)


def _as_told(
    config: ModelMonitoringConfig, args: argparse.Namespace, profile: ReferenceProfile
) -> ModelMonitoringConfig:
    """Return the configuration with what the command line says of features."""
    from modelwatch.checks.backtest import with_tolerance

    for option, names in (("--tolerance", dict(args.tolerance)), ("--exclude", names_in(args.exclude))):
        for name in names:
            if name not in profile.feature_names:
                hint = did_you_mean(name, profile.feature_names)
                raise InputError(f"{option}: the reference has no feature {name!r}{hint}")
    features = config.features.model_copy(update={"exclude": (*config.features.exclude, *names_in(args.exclude))})
    told = config.model_copy(update={"features": features})
    return with_tolerance(told, {**config.drift.tolerance, **dict(args.tolerance)})


# ── arguments ────────────────────────────────────────────────────────────────────────────────────────────────────


def _zone(args: argparse.Namespace, sources: Sources | None) -> tzinfo:
    from modelwatch.profile.times import read_zone

    return read_zone(args.timezone or (sources.config.timezone if sources is not None else None))


def _time(option: str, text: str, now: float, zone: tzinfo) -> float:
    """Return a moment: a duration before `now`, or a date or time, in `zone` unless it says another."""
    from modelwatch.config.values import parse_duration

    try:
        return now - parse_duration(text, default_unit=None)
    except ConfigError:
        pass
    try:
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        raise InputError(
            f"{option} must be a duration such as 14d, or a date or time such as 2026-11-01T06:00, got {text[:80]!r}"
        ) from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()


def _check_order(since: float | None, until: float | None) -> None:
    if since is not None and until is not None and since >= until:
        raise InputError("--since must lie before --until, and before the end of the data")


def _tolerance(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not name or not 0.0 < value < 1.0:
        msg = f"must be NAME=X with X a distance above 0 and below 1, such as bid=0.12, got {text[:80]!r}"
        raise argparse.ArgumentTypeError(msg)
    return name, value


# ── report ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _report(found: Backtest, args: argparse.Namespace, zone: tzinfo) -> None:
    from modelwatch.reports import backtest_html, backtest_json, backtest_text

    writers = {"text": backtest_text, "json": backtest_json, "html": backtest_html}
    if args.out is None:
        write(writers[args.format](found, zone))
        return
    form = {".html": "html", ".json": "json"}.get(Path(args.out).suffix.lower(), args.format)
    try:
        Path(args.out).write_text(writers[form](found, zone) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {args.out}: can't be written: {error.strerror or error}") from error
    write(f"{backtest_text(found, zone)}\nwritten to {args.out}")
