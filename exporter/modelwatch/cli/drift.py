"""`modelwatch drift check`: did a file drift? Exit code 0 no, 1 yes, 2 it can't be told; for people and for builds."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.cli.files import categories_of, names_in, read_columns
from modelwatch.cli.tables import write
from modelwatch.exceptions import InputError, ProfileError, did_you_mean

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.profile import ReferenceProfile
    from modelwatch.reports import Content

__all__ = ["add_parser", "reference_of"]

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
    from modelwatch.reports import compare

    model = _model(args.model, args.config)
    reference = reference_of(args)
    data = _data(args, reference)
    features = None if model is None else model.features
    exclude = [*names_in(args.exclude), *(features.exclude if features else ())]
    _check_excluded(args, reference)
    try:
        found = compare(
            reference,
            data,
            predictions=args.predictions,
            timestamps=args.timestamps,
            exclude=[name for name in exclude if name in data or name in _names(reference)],
            categorical=[*names_in(args.categorical), *(features.categorical if features else ())],
            timezone=args.timezone,
            drift=None if model is None else model.drift,
            importance=None if features is None else features.importance,
            min_severity=args.min_severity,
            false_alarm_rate=float(args.false_alarm_rate),
            model_id=args.model or getattr(reference, "model_id", ""),
        )
    except (InputError, ProfileError) as error:
        raise InputError(f"{args.data} against {args.reference}: {error}") from error
    content = found.content.from_sources({"data": args.data, "reference": args.reference})
    _report(content, args.format, args.out)
    return FINDING if content.drifted else OK


def reference_of(args: argparse.Namespace) -> ReferenceProfile | dict[str, Any]:
    """Return the profile that ``--reference`` names, or the columns of the file."""
    from modelwatch.profile import ReferenceProfile

    if Path(args.reference).name.lower().endswith(_PROFILE_SUFFIXES):
        return ReferenceProfile.load(args.reference)
    return read_columns(args.reference, names_in(args.categorical), names_in(args.exclude))


def _data(args: argparse.Namespace, reference: ReferenceProfile | dict[str, Any]) -> dict[str, Any]:
    from modelwatch.profile import ReferenceProfile

    exclude, special = names_in(args.exclude), [name for name in (args.predictions, args.timestamps) if name]
    # A code such as "007" in a CSV reads as the reference reads it.
    if isinstance(reference, ReferenceProfile):
        return read_columns(
            args.data, categories_of(reference), exclude, {*reference.feature_names, *special} - set(exclude)
        )
    texts = [name for name, column in reference.items() if isinstance(column, list) and _is_text(column)]
    return read_columns(args.data, [*texts, *names_in(args.categorical)], exclude)


def _names(reference: ReferenceProfile | dict[str, Any]) -> Collection[str]:
    return reference if isinstance(reference, dict) else reference.feature_names


def _check_excluded(args: argparse.Namespace, reference: ReferenceProfile | dict[str, Any]) -> None:
    """Refuse a name that stands for nothing: most likely the column that it was meant for is still in."""
    from modelwatch.profile.files import open_table

    known = {*open_table(args.data).columns, *_names(reference)}
    known |= set(open_table(args.reference).columns) if isinstance(reference, dict) else set()
    for name in names_in(args.exclude):
        if name not in known:
            raise InputError(f"--exclude: neither file has a column {name!r}{did_you_mean(name, known)}")


def _is_text(column: Sequence[Any]) -> bool:
    return isinstance(next((value for value in column if value is not None), None), str)


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
