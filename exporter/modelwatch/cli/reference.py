"""`modelwatch reference build` and `reference show`: profiles from files, and what they know."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwatch.exceptions import InputError, did_you_mean

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

_TASKS = ("binary", "multiclass", "regression", "score")
_PARQUET = (".parquet", ".pq")
_TEXT = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

_EXAMPLE = """\
example:
  modelwatch reference build held_out.parquet --predictions score --actuals label \\
      --timestamps served_at --exclude customer_id --out reference.json
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `reference` command to the command line."""
    parser = subparsers.add_parser("reference", help="build or show a reference profile")
    commands = parser.add_subparsers(dest="reference_command", metavar="COMMAND", required=True)
    _add_build(commands)
    show = commands.add_parser("show", help="what a profile knows, in the terminal")
    show.add_argument("file", metavar="FILE", help="a profile written by `reference build` or ReferenceProfile.save")
    show.set_defaults(func=run_show)


def _add_build(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    build = commands.add_parser(
        "build",
        help="a reference profile from your data",
        description="Build a reference profile from data on which the model is known to work: held-out data with the "
        "model's predictions. No rows go into the profile.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("data", metavar="DATA", help="a CSV, TSV or Parquet file")
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
    build.add_argument("--model-id", default="", metavar="ID", help="stored in the profile")
    build.add_argument("--model-version", default="", metavar="VERSION", help="stored in the profile")
    build.set_defaults(func=run_build)


def run_build(args: argparse.Namespace) -> int:
    """Build a profile from a file, write it, and say what it knows."""
    from modelwatch.profile import ReferenceProfile

    categorical = _split(args.categorical)
    columns = read_file(Path(args.data), categorical)
    special = {
        argument: _take(columns, getattr(args, argument), f"--{argument}", args.data)
        for argument in ("predictions", "actuals", "timestamps")
    }
    exclude = _split(args.exclude)
    _check_known(columns, exclude, "--exclude", args.data)
    _check_known(columns, categorical, "--categorical", args.data)
    used = {column for column in (args.predictions, args.actuals, args.timestamps) if column is not None}
    profile = ReferenceProfile.build(
        {name: column for name, column in columns.items() if name not in used and name not in exclude},
        **special,
        decision_threshold=args.decision_threshold,
        timezone=args.timezone,
        bins=args.bins,
        categorical=[name for name in categorical if name not in used and name not in exclude],
        model_id=args.model_id,
        model_version=args.model_version,
        task=args.task,
    )
    path = profile.save(args.out)
    _print(profile)
    sys.stdout.write(f"written to {path}\n")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Show what a profile knows."""
    from modelwatch.profile import ReferenceProfile

    _print(ReferenceProfile.load(args.file))
    return 0


def _print(profile: ReferenceProfile) -> None:
    text = profile.summary() + "\n"
    encoding = sys.stdout.encoding or "utf-8"
    # A terminal without UTF-8 gets question marks, not a traceback.
    sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))


def _split(given: Iterable[str]) -> list[str]:
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def _take(columns: dict[str, Any], name: str | None, argument: str, source: str) -> Any:  # noqa: ANN401
    if name is None:
        return None
    _check_known(columns, [name], argument, source)
    return columns[name]


def _check_known(columns: dict[str, Any], names: Iterable[str], argument: str, source: str) -> None:
    for name in names:
        if name not in columns:
            raise InputError(f"{argument}: {source} has no column {name!r}{did_you_mean(name, columns)}")


def read_file(path: Path, as_text: Sequence[str] = ()) -> dict[str, Any]:
    """Return the columns of a CSV, TSV or Parquet file.

    Parameters
    ----------
    path : Path
        The file; its name says which of them it is.
    as_text : sequence of str
        Columns of a CSV that are not to be read as numbers: "007" stays "007".

    Raises
    ------
    InputError
        If it can't be read; the message says why.
    """
    import pyarrow as pa

    name = path.name.lower()
    if not name.endswith((*_PARQUET, *_TEXT)):
        raise InputError(f"{path}: give a file that ends in {', '.join((*_TEXT, *_PARQUET))}")
    try:
        table = _read_parquet(path) if name.endswith(_PARQUET) else _read_csv(path, as_text)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise InputError(f"{path}: can't be read: {str(error).splitlines()[0]}") from error
    if len(set(table.column_names)) != len(table.column_names):
        raise InputError(f"{path}: two columns have the same name")
    # A first column without a name is the row index that pandas' to_csv writes unless told not to.
    return {name: _column(table.column(i)) for i, name in enumerate(table.column_names) if name or i}


def _read_parquet(path: Path) -> Any:  # noqa: ANN401
    from pyarrow import parquet

    return parquet.read_table(path)


def _read_csv(path: Path, as_text: Sequence[str]) -> Any:  # noqa: ANN401
    import pyarrow as pa
    from pyarrow import csv

    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(delimiter="\t" if ".tsv" in path.name.lower() else ","),
        convert_options=csv.ConvertOptions(
            column_types={name: pa.string() for name in as_text}, strings_can_be_null=True
        ),
    )


def _column(column: Any) -> Any:  # noqa: ANN401
    """Return an arrow column as an array if it holds numbers or times, else as a list."""
    kind = str(column.type)
    if kind.startswith(("int", "uint", "float", "double", "halffloat")):
        return column.to_numpy()
    if kind.startswith("timestamp"):
        # Arrow keeps times in UTC; with a zone they are moments, without one they are naive.
        return column.to_pylist() if "tz=" in kind else column.to_numpy()
    return column.to_pylist()
