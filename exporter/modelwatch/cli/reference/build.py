"""`modelwatch reference build`: a profile from a file."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable

from modelwatch.cli.progress import watched
from modelwatch.cli.tables import write
from modelwatch.exceptions import InputError, did_you_mean

__all__ = ["add_parser", "run"]

_TASKS = ("binary", "multiclass", "regression", "score")
_EXAMPLE = """\
example:
  modelwatch reference build held_out.parquet --predictions score --actuals label \\
      --timestamps served_at --exclude customer_id --out reference.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    build = commands.add_parser(
        "build",
        help="a reference profile from your data",
        description="Build a reference profile from data on which the model is known to work: held-out data with the "
        "model's predictions. No rows go into the profile.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("data", metavar="DATA", help="a CSV, TSV, Parquet or Feather file")
    build.add_argument("--out", required=True, metavar="FILE", help="where the profile is written (JSON)")
    build.add_argument("--predictions", metavar="COL", help="column with what the model returned")
    build.add_argument("--actuals", metavar="COL", help="column with the ground truth")
    build.add_argument("--timestamps", metavar="COL", help="column with times: ISO-8601 or Unix seconds")
    build.add_argument("--exclude", metavar="COL[,COL]", action="append", default=[], help="columns to leave out")
    build.add_argument(
        "--categorical", metavar="COL[,COL]", action="append", default=[], help="columns to read as categories"
    )
    build.add_argument("--decision-threshold", type=float, default=0.5, metavar="X", help="default: %(default)s")
    build.add_argument("--bins", type=int, default=20, metavar="N", help="cells per feature, default: %(default)s")
    build.add_argument("--task", choices=_TASKS, help="inferred from the predictions if not given")
    build.add_argument("--timezone", metavar="ZONE", help="IANA name; naive times are in it, default: UTC")
    build.add_argument(
        "--strata",
        choices=("auto", "none", "48", "168"),
        default="auto",
        help="which hours are alike: those of the same hour of the day on weekdays or weekends (48, what auto means "
        "from 14 days on), of the same hour of the week (168, from 8 weeks on), or all (none)",
    )
    build.add_argument(
        "--inherit",
        metavar="PROFILE",
        help="an earlier profile of the model: its learnt tolerances go on, where DATA has fewer than 14 days",
    )
    build.add_argument("--model-id", default="", metavar="ID", help="stored in the profile")
    build.add_argument("--model-version", default="", metavar="VERSION", help="stored in the profile")
    build.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Build a profile from a file, write it, and say what it knows."""
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.files import open_table

    categorical, exclude = _split(args.categorical), _split(args.exclude)
    inherit = ReferenceProfile.load(args.inherit) if args.inherit else None
    file = open_table(args.data, categorical)
    special = [getattr(args, name) for name in ("predictions", "actuals", "timestamps")]
    for name in ("predictions", "actuals", "timestamps"):
        _check_known(file.columns, [getattr(args, name)], f"--{name}", args.data)
    _check_known(file.columns, exclude, "--exclude", args.data)
    _check_known(file.columns, categorical, "--categorical", args.data)
    with watched(file) as table:
        profile = ReferenceProfile.build(
            table,
            args.predictions,
            args.actuals,
            args.timestamps,
            decision_threshold=args.decision_threshold,
            timezone=args.timezone,
            inherit=inherit,
            bins=args.bins,
            categorical=[name for name in categorical if name not in special and name not in exclude],
            exclude=[name for name in exclude if name not in special],
            model_id=args.model_id,
            model_version=args.model_version,
            task=args.task,
            strata=args.strata,
        )
    path = profile.save(args.out)
    write(f"{profile.summary()}\nwritten to {path}")
    return 0


def _split(given: Iterable[str]) -> list[str]:
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def _check_known(columns: Collection[str], names: Iterable[str | None], argument: str, source: str) -> None:
    for name in names:
        if name is not None and name not in columns:
            raise InputError(f"{argument}: {source} has no column {name!r}{did_you_mean(name, columns)}")
