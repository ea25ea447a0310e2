"""Tables in files, as commands read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from modelwatch.cli.progress import watched
from modelwatch.cli.tables import listed
from modelwatch.exceptions import InputError, did_you_mean

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.files import TableFile

__all__ = ["categories_of", "check_column", "names_in", "pieces_of"]

_LISTED = 5


def names_in(given: Iterable[str]) -> list[str]:
    """Return the names that an option gave, which may be repeated and hold several.

    >>> names_in(["a, b", "c"])
    ['a', 'b', 'c']
    """
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def categories_of(profile: ReferenceProfile) -> list[str]:
    """Return the features that are categories: "007" in a CSV is to be read as the reference reads it."""
    return [member.name for member in profile.layout.features if member.kind == "categorical"]


def check_column(file: TableFile, name: str | None, option: str) -> None:
    """Refuse the name of a column that a file doesn't have."""
    if name is not None and name not in file.columns:
        raise InputError(f"{option}: {file.path} has no column {name!r}{did_you_mean(name, file.columns)}")


def pieces_of(
    file: TableFile,
    profile: ReferenceProfile,
    predictions: str | None,
    timestamps: str | None,
    exclude: Collection[str] = (),
) -> Iterator[dict[str, Any]]:
    """Yield what a profile knows of a file, with predictions and times, in pieces; a bar shows how far it has come.

    Parameters
    ----------
    file : TableFile
        The file.
    profile : ReferenceProfile
        Whose features.
    predictions, timestamps : str or None
        Names of columns.
    exclude : collection of str
        Columns that nobody wants to hear of.

    Yields
    ------
    dict of columns
        Where the file lacks a feature, its other columns too: one of them may be the feature under another name.

    Raises
    ------
    InputError
        If it can't be read, or lacks a column; the message says why.
    """
    from modelwatch.profile.files import columns_of

    special = {"--timestamps": timestamps, "--predictions": predictions}
    for option, name in special.items():
        check_column(file, name, option)
    features = set(profile.feature_names)
    if not features & set(file.columns):
        raise InputError(
            f"{file.path} has none of the reference's features: it has {listed(file.columns, _LISTED)},"
            f" the reference has {listed(profile.feature_names, _LISTED)}"
        )
    wanted = {*features, *(name for name in special.values() if name is not None)} - set(exclude)
    if not features - set(exclude) <= set(file.columns):
        wanted |= set(file.columns) - set(exclude)
    with watched(file) as table:
        for piece in table.batches([name for name in file.columns if name in wanted]):
            yield columns_of(piece)
