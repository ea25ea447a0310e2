"""Reading data over the cells of another profile, so that the counts of both add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelwatch.exceptions import ProfileError, did_you_mean
from modelwatch.profile.kinds import Reading, finite_numbers
from modelwatch.profile.tables import Column, Table, read_values
from modelwatch.records import FeatureCells

if TYPE_CHECKING:
    from modelwatch.profile.reference import ReferenceProfile


def read_like(
    like: ReferenceProfile,
    table: Table,
    predictions: Any,  # noqa: ANN401
) -> tuple[list[Reading], Reading | None, Column | None]:
    """Return the columns of a table as another profile has them.

    Parameters
    ----------
    like : ReferenceProfile
        Whose cells they are.
    table : Table
        The data, with a column for each of its features.
    predictions
        What the model returned, if the profile has cells for it.

    Returns
    -------
    features, prediction, column
        The last is the predictions as they are counted.

    Raises
    ------
    ProfileError
        If something is missing that the profile has.
    """
    features = []
    for member in like.layout.features:
        if member.name not in table.columns:
            raise ProfileError(
                f"like: profile {like.label} has the feature {member.name!r}, X has no such column"
                f"{did_you_mean(member.name, table.columns)}"
            )
        features.append(_reading(member, table.columns[member.name]))
    if (predictions is None) != (like.layout.prediction is None):
        what = "has predictions; pass them" if predictions is None else "has no predictions; leave them out"
        raise ProfileError(f"like: profile {like.label} {what}")
    if like.layout.prediction is None:
        return features, None, None
    column = read_values(predictions, "predictions", table.rows)
    return features, _reading(like.layout.prediction, column), column


def _reading(member: FeatureCells, column: Column) -> Reading:
    return Reading(member, finite_numbers(column)[0] if member.kind == "numeric" else None)
