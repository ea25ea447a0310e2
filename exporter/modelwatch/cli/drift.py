"""`modelwatch drift check`: did a file drift? Exit code 0 no, 1 yes, 2 it can't be told; for people and for builds."""

from __future__ import annotations

import argparse
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.cli.files import categories_of, check_column, names_in, pieces_of
from modelwatch.cli.progress import watched
from modelwatch.cli.tables import write
from modelwatch.exceptions import InputError, ProfileError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.reports import Content
    from modelwatch.windows.dataframe import Batch

__all__ = ["add_parser"]

OK, FINDING = 0, 1
FORMATS = ("text", "json", "junit", "html")
_SEVERITIES = ("info", "warning", "error", "critical")
_PROFILE_SUFFIXES = (".json",)

_DESCRIPTION = """\
Compare a file with a reference: a profile, or a file of a time when all was well. Says which columns drifted, how far
against which tolerance, and how; the chance of an alarm without any drift is one in 720, over all columns together.
"""
_EXAMPLE = """\
example:
  modelwatch drift check today.parquet --reference profile.json --predictions score --format junit --out drift.xml

Exit codes: 0 no drift of --min-severity or above, 1 drift, 2 the data, the reference or an argument is wrong.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `drift` command to the command line."""
    parser = commands.add_parser("drift", help="ask whether a file drifted")
    own = parser.add_subparsers(dest="drift_command", metavar="COMMAND", required=True)
    check = own.add_parser(
        "check",
        help="exit 0 clean, 1 drift, 2 bad input",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("data", metavar="DATA", help="a CSV, TSV, Parquet or Feather file")
    check.add_argument(
        "--reference", required=True, metavar="PROFILE|DATA", help="a profile (.json), or a file like DATA"
    )
    check.add_argument("--predictions", metavar="COL", help="column with what the model returned")
    check.add_argument("--timestamps", metavar="COL", help="column with times: ISO-8601 or Unix seconds")
    check.add_argument("--exclude", metavar="COL[,COL]", action="append", default=[], help="columns to leave out")
    check.add_argument(
        "--categorical", metavar="COL[,COL]", action="append", default=[],
        help="columns to read as categories, where --reference is data",
    )  # fmt: skip
    check.add_argument("--timezone", metavar="ZONE", help="IANA name; naive times are in it, default: UTC")
    check.add_argument(
        "--model", metavar="ID", default="", help="a model: its thresholds, tolerances and exclusions in --config hold"
    )
    check.add_argument(
        "--config", metavar="FILE", help="JSON or YAML (default: $MODELWATCH_CONFIG, then ./models.yaml)"
    )
    check.add_argument("--format", choices=FORMATS, default="text", help="default: %(default)s")
    check.add_argument("--out", metavar="FILE", help="write the report there; a line of text says what was found")
    check.add_argument(
        "--min-severity", choices=_SEVERITIES, default="warning", help="from where on it is drift, default: %(default)s"
    )
    check.add_argument(
        "--false-alarm-rate", type=_share, default=Fraction(1, 720), metavar="P",
        help="the chance of drift being found where there is none, such as 0.01 or 1/720 (the default)",
    )  # fmt: skip
    check.set_defaults(func=run_check)


def run_check(args: argparse.Namespace) -> int:
    """Compare a file with a reference and report."""
    from modelwatch.checks import counted_check, only
    from modelwatch.reports import comparison_of
    from modelwatch.reports.comparison import severity_named

    model = _model(args.model, args.config)
    _check_excluded(args)
    try:
        profile = _reference(args, model)
        config = _config(args, model, profile)
        batch = _counted(args, profile, config)
    except (InputError, ProfileError) as error:
        known = str(error).startswith(("--", args.data, args.reference))
        raise InputError(str(error) if known else f"{args.data} against {args.reference}: {error}") from error
    given = {"data": True, "prediction": args.predictions is not None}
    result = counted_check(config, profile, batch, given, 0.0, budget=float(args.false_alarm_rate))
    if args.predictions is None:
        result = only(result, ("data", "multivariate"))
    name = args.model or profile.model_id
    notes = () if _is_profile(args.reference) else profile.warnings
    least = severity_named(args.min_severity)
    found = comparison_of(
        replace(result, model_id=name), profile, batch.counts, config, least, named=bool(name), notes=notes
    )
    content = found.content.from_sources({"data": args.data, "reference": args.reference})
    _report(content, args.format, args.out)
    return FINDING if content.drifted else OK


def _is_profile(path: str) -> bool:
    return Path(path).name.lower().endswith(_PROFILE_SUFFIXES)


def _reference(args: argparse.Namespace, model: ModelMonitoringConfig | None) -> ReferenceProfile:
    """Return the profile that ``--reference`` names, or build one of that file."""
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.files import open_table

    if _is_profile(args.reference):
        return ReferenceProfile.load(args.reference)
    categorical = [*names_in(args.categorical), *(model.features.categorical if model else ())]
    file = open_table(args.reference, categorical)
    for option in ("predictions", "timestamps"):
        check_column(file, getattr(args, option), f"--{option}")
    exclude = [*names_in(args.exclude), *(model.features.exclude if model else ())]
    special = {args.predictions, args.timestamps}
    with watched(file) as table:
        return ReferenceProfile.build(
            table,
            args.predictions,
            None,
            args.timestamps,
            timezone=args.timezone,
            bins=20 if model is None else model.drift.bins,
            categorical=[name for name in categorical if name in file.columns and name not in special],
            exclude=[name for name in exclude if name in file.columns and name not in special],
        )


def _config(
    args: argparse.Namespace, model: ModelMonitoringConfig | None, profile: ReferenceProfile
) -> ModelMonitoringConfig:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.reports import NAMELESS

    config = model or ModelMonitoringConfig(model_id=NAMELESS)
    known = set(profile.feature_names)
    exclude = [name for name in (*config.features.exclude, *names_in(args.exclude)) if name in known]
    return config.model_copy(update={"features": config.features.model_copy(update={"exclude": tuple(exclude)})})


def _counted(args: argparse.Namespace, profile: ReferenceProfile, config: ModelMonitoringConfig) -> Batch:
    """Count the file in pieces, however large it is."""
    from modelwatch.drift.reference import strata_of
    from modelwatch.profile.files import open_table
    from modelwatch.profile.times import epoch_seconds, read_zone
    from modelwatch.windows.dataframe import Times, count_pieces

    file = open_table(args.data, [*categories_of(profile), *names_in(args.categorical)])
    times = Times(strata_of(profile, config.drift))
    zone = read_zone(args.timezone or profile.timezone)

    def pieces() -> Iterator[tuple[dict[str, Any], Any]]:
        for columns in pieces_of(file, profile, args.predictions, args.timestamps, names_in(args.exclude)):
            if args.timestamps is not None:
                times.add(epoch_seconds(columns.pop(args.timestamps), zone))
            yield columns, None if args.predictions is None else columns.pop(args.predictions)

    batch = count_pieces(profile, pieces())
    return batch if args.timestamps is None else times.of(batch, len(profile.layout.members))


def _check_excluded(args: argparse.Namespace) -> None:
    """Refuse a name that stands for nothing: most likely the column that it was meant for is still in."""
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.files import open_table

    given = names_in(args.exclude)
    if not given:
        return
    known = set(open_table(args.data).columns)
    if _is_profile(args.reference):
        known |= set(ReferenceProfile.load(args.reference).feature_names)
    else:
        known |= set(open_table(args.reference).columns)
    for name in given:
        if name not in known:
            raise InputError(f"--exclude: neither file has a column {name!r}{did_you_mean(name, known)}")


def _model(model_id: str, config_path: str | None) -> ModelMonitoringConfig | None:
    from modelwatch.cli.sources import models_named
    from modelwatch.config import find_config, load_config

    if not model_id:
        if config_path:
            raise InputError("--config: say which of its models with --model")
        return None
    path = config_path or find_config()
    return None if path is None else models_named(load_config(path).models, model_id)[-1]


def _report(content: Content, form: str, out: str | None) -> None:
    from modelwatch.reports import html_page, json_report, junit_report, text_report

    writers = {"text": text_report, "json": json_report, "junit": junit_report, "html": html_page}
    text = writers[form](content)
    if out is None:
        write(text)
        return
    try:
        Path(out).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {out}: can't be written: {error.strerror or error}") from error
    write(f"{text_report(content).splitlines()[0]}\nwritten to {out}")


def _share(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value < 1:
        msg = f"must be above 0 and below 1, such as 0.01 or 1/720, got {text[:80]!r}"
        raise argparse.ArgumentTypeError(msg)
    return value
