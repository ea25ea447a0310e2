"""Tables in files, as commands read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

__all__ = ["categories_of", "names_in", "pieces_of", "read_columns"]


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


def categories_of(profile: ReferenceProfile) -> list[str]:
    """Return the features that are categories: "007" in a CSV is to be read as the reference reads it."""
    return [member.name for member in profile.layout.features if member.kind == "categorical"]


def pieces_of(
    path: str, profile: ReferenceProfile, predictions: str | None, timestamps: str
) -> Iterator[dict[str, Any]]:
    """Yield what a profile knows of a file, with predictions and times, in pieces.

    Parameters
    ----------
    path : str
        A CSV, TSV, Parquet or Feather file.
    profile : ReferenceProfile
        Whose features.
    predictions, timestamps : str
        Names of columns.

    Raises
    ------
    InputError
        If it can't be read, or lacks a column; the message says why.
    """
    from modelwatch.exceptions import InputError, did_you_mean
    from modelwatch.profile.files import columns_of, open_table

    file = open_table(path, categories_of(profile))
    special = {"--timestamps": timestamps, "--predictions": predictions}
    for option, name in special.items():
        if name is not None and name not in file.columns:
            raise InputError(f"{option}: {path} has no column {name!r}{did_you_mean(name, file.columns)}")
    if not set(profile.feature_names) & set(file.columns):
        raise InputError(f"{path} has none of the reference's features: {', '.join(profile.feature_names[:5])}")
    wanted = {*profile.feature_names, *(name for name in special.values() if name is not None)}
    for piece in file.batches([name for name in file.columns if name in wanted]):
        yield columns_of(piece)
