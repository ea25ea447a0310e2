"""``modelwatch check-config``: is the configuration right, who is told of what, and what will it cost."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from modelwatch.cli.arguments import positive, whole
from modelwatch.config import MonitoringConfig, find_config, load_config
from modelwatch.exceptions import ConfigError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from modelwatch.cli.config_forecast import Assumptions

__all__ = ["Options", "add_parser", "run"]

OK, FINDING, INPUT_ERROR = 0, 1, 2
_MOST_PREDICTIONS = 1e12
NO_CONFIG = "no configuration found: give --config FILE, set MODELWATCH_CONFIG, or write models.yaml here"

_DESCRIPTION = """\
Check a configuration file. Mistakes are told one per line: file, line, key and what is allowed instead. Of a file
without mistakes it is told who gets which alert, how many series and how much disk its models will take, and which
inputs can't alarm by their shape; what is probably not meant stands in lines that begin with "warning:".
"""
_EPILOG = """\
Series are exact for models whose reference is a file. Disk is an estimate for predictions that come evenly over the
day, without metadata and ground truth.

Exit codes: 0 ok, 1 warnings (with --strict only), 2 mistakes, or no file.
"""


@dataclass(frozen=True)
class Options:
    """What the command line says beside the file; see its help."""

    format: str = "text"
    strict: bool = False
    predictions_per_day: float | None = None
    workers: int = 1
    features: int | None = None

    def assumptions(self) -> Assumptions:
        """Return what is assumed where the configuration says nothing."""
        from modelwatch.cli.config_forecast import Assumptions

        given = {} if self.predictions_per_day is None else {"predictions": self.predictions_per_day}
        return Assumptions(workers=self.workers, inputs=self.features, **given)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "check-config",
        help="errors, series, disk, who gets which alert",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="JSON or YAML (default: $MODELWATCH_CONFIG, then ./models.yaml)"
    )
    parser.add_argument("--config", metavar="FILE", help="the same, as the other commands take it")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")
    parser.add_argument("--strict", action="store_true", help="exit code 1 if there are warnings")
    parser.add_argument(
        "--predictions-per-day", type=_predictions, metavar="N", help="of each model, for the disk (default: a million)"
    )
    parser.add_argument("--workers", type=_whole, default=1, metavar="N", help="processes that record (default: 1)")
    parser.add_argument("--features", type=_whole, metavar="N", help="inputs of models without a profile")
    parser.set_defaults(func=_run)


def _predictions(text: str) -> float:
    value = positive(text)
    if value > _MOST_PREDICTIONS:
        msg = f"must be at most {_MOST_PREDICTIONS:g}, got {text[:80]!r}"
        raise argparse.ArgumentTypeError(msg)
    return value


def _whole(text: str) -> int:
    return whole(text, 1, 100_000)


def _run(args: argparse.Namespace) -> int:
    if args.file and args.config and args.file != args.config:
        raise InputError(f"two files are given, {args.file!r} and --config {args.config!r}: give one")
    options = Options(args.format, args.strict, args.predictions_per_day, args.workers, args.features)
    return run(args.file or args.config, sys.stdout, sys.stderr, options)


def run(config_path: str | None, out: TextIO, err: TextIO, options: Options | None = None) -> int:
    """Check a configuration file and say what it sets up.

    Parameters
    ----------
    config_path
        The file; None looks where every command does: ``$MODELWATCH_CONFIG``, then ``./models.yaml``.
    out, err
        The report goes to `out`; mistakes, one per line, go to `err`. As JSON all goes to `out`.
    options
        Format, strictness, and what is assumed.

    Returns
    -------
    int
        0 if the file is right, 1 if there are warnings and they are asked for, 2 if it is wrong or there is none.
    """
    chosen = options or Options()
    path = config_path or find_config()
    try:
        if path is None:
            raise ConfigError(NO_CONFIG)
        report = _Report.of(path, load_config(path), chosen)
    except ConfigError as error:
        if chosen.format == "json":
            _write_json(out, {"file": None if path is None else str(path), "ok": False, "mistakes": _lines(error)})
        else:
            err.write(f"{error}\n")
        return INPUT_ERROR
    if chosen.format == "json":
        _write_json(out, report.as_json())
    else:
        out.write("".join(f"{line}\n" for line in report.lines()))
    return FINDING if chosen.strict and report.warnings else OK


def _lines(error: ConfigError) -> list[str]:
    return str(error).splitlines()


def _write_json(out: TextIO, value: object) -> None:
    out.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class _Report:
    """All that is told of a file without mistakes."""

    path: str
    text: list[str]
    fields: dict[str, object]
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: str | Path, config: MonitoringConfig, options: Options) -> _Report:
        # These import numpy and the collectors, which `modelwatch --help` does without.
        from modelwatch.cli.config_report import ConfigReport

        report = ConfigReport.of(config, options.assumptions(), traffic_given=options.predictions_per_day is not None)
        return cls(str(path), report.lines(), report.as_json(), report.warnings())

    def lines(self) -> list[str]:
        """Return the report for people."""
        return [f"{self.path}: OK", *self.text, *(f"warning: {warning}" for warning in self.warnings)]

    def as_json(self) -> dict[str, object]:
        """Return the report for machines."""
        return {"file": self.path, "ok": True, **self.fields, "warnings": self.warnings}
