"""Reading data over the cells of another profile, so that the counts of both add up."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from modelwatch.exceptions import ProfileError, did_you_mean
from modelwatch.profile.contents import Contents
from modelwatch.profile.kinds import Reading

if TYPE_CHECKING:
    from modelwatch.profile.reference import ReferenceProfile


def check_like(like: ReferenceProfile, columns: Collection[str], *, predicted: bool, scored: bool = False) -> None:
    """Raise ProfileError if data lacks something that the profile whose cells it is to have has.

    Parameters
    ----------
    like : ReferenceProfile
        Whose cells they are.
    columns : collection of str
        The columns of the data.
    predicted : bool
        Whether there are predictions.
    scored : bool
        Whether they are scores of classes.
    """
    for name in like.feature_names:
        if name not in columns:
            hint = did_you_mean(name, columns)
            raise ProfileError(f"like: profile {like.label} has the feature {name!r}, X has no such column{hint}")
    if predicted != (like.layout.prediction is not None):
        what = "has no predictions; leave them out" if predicted else "has predictions; pass them"
        raise ProfileError(f"like: profile {like.label} {what}")
    if like.layout.score is not None and not scored:
        raise ProfileError(
            f"like: profile {like.label} has scores of predicted classes; pass the scores of all classes as predictions"
        )


def reading_like(like: ReferenceProfile, name: str, column: Contents) -> Reading:
    """Return a column as another profile has it.

    Parameters
    ----------
    like : ReferenceProfile
        Whose cells they are.
    name : str
        The feature; "" for the prediction, `PREDICTION_SCORE` for the score of the predicted class.
    column : Contents
        What it holds.
    """
    member = like.member(name)
    if member.kind != "numeric":
        return Reading(member, None)
    # A part of the data may hold no number of a feature at all: it then adds nothing to what is known.
    return Reading(member, column.numbers.moments or like.moments[name])
