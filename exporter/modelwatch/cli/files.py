"""Files that commands read and write: tables in, text out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["columns_of_file", "names_in", "written"]


def names_in(given: Iterable[str]) -> list[str]:
    """Return the names that an option gave, which may be repeated and hold several.

    >>> names_in(["a, b", "c"])
    ['a', 'b', 'c']
    """
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def columns_of_file(path: str, as_text: Sequence[str] = ()) -> dict[str, Any]:
    """Return the columns of a CSV, TSV or Parquet file.

    Raises
    ------
    InputError
        If it can't be read, or two columns have the same name.
    """
    from modelwatch.cli.reference import read_file

    return read_file(Path(path), as_text)


def written(text: str) -> None:
    """Write text to stdout; a terminal without UTF-8 gets question marks, not a traceback."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))
