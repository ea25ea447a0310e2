"""Tables in files, as commands read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

__all__ = ["names_in", "read_columns"]


def names_in(given: Iterable[str]) -> list[str]:
    """Return the names that an option gave, which may be repeated and hold several.

    >>> names_in(["a, b", "c"])
    ['a', 'b', 'c']
    """
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def read_columns(
    path: str, as_text: Sequence[str] = (), exclude: Collection[str] = (), needed: Collection[str] = ()
) -> dict[str, Any]:
    """Return the columns of a file.

    Parameters
    ----------
    path : str
        A CSV, TSV, Parquet or Feather file.
    as_text : sequence of str
        Columns of a CSV that are not to be read as numbers.
    exclude : collection of str
        Columns that are not read.
    needed : collection of str
        If the file has all of these, no others are read.

    Raises
    ------
    InputError
        If it can't be read; the message says why.
    """
    from modelwatch.profile.files import columns_of, open_table

    file = open_table(path, as_text)
    left_out = set(exclude)
    wanted = [name for name in file.columns if name not in left_out]
    if needed and set(needed) <= set(wanted):
        wanted = [name for name in wanted if name in set(needed)]
    return columns_of(file.read(wanted))
