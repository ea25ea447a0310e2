"""A batch that somebody hands over, counted over the cells of a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwatch.exceptions import InputError, ProfileError
from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.class_scores import read_class_scores
from modelwatch.profile.tables import read_table
from modelwatch.profile.values import read_number
from modelwatch.records import (
    HIGH,
    INVALID_TYPE,
    LOW,
    PREDICTION,
    PREDICTION_SCORE,
    PREDICTIONS,
    FloatArray,
    WindowCounts,
)
from modelwatch.windows.row_sample import RowSample

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile
    from modelwatch.profile.strata import Strata

__all__ = ["BATCH_WINDOW", "Batch", "Times", "count_batch", "count_pieces", "counts_of"]

BATCH_WINDOW = "batch"
"""The window label of a batch."""
_KINDS = {"numeric": "numbers", "categorical": "categories"}


@dataclass(frozen=True)
class Batch:
    """A counted batch.

    Attributes
    ----------
    counts : WindowCounts
        Cells of features that the batch lacks, and of the prediction if none were given, are all 0.
    absent : tuple of str
        Features of the reference that the batch has no column for.
    unknown : tuple of str
        Columns that the reference has no feature for.
    unlike : tuple of str
        Columns that hold another kind of values than the reference from first to last, and which kind.
    columns : mapping of str to column
        The values themselves; of rows that come in pieces, those of a part of them, and of the features that are
        compared with each other.
    held : int
        How many rows `columns` have.
    """

    counts: WindowCounts
    absent: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    held: int = 0


def counts_of(
    profile: ReferenceProfile,
    data: Any,  # noqa: ANN401 - any table
    predictions: Any = None,  # noqa: ANN401 - any column
    now: float = 0.0,
) -> WindowCounts:
    """Return the counts of a batch; see :func:`count_batch`."""
    return count_batch(profile, data, predictions, now).counts


def count_batch(
    profile: ReferenceProfile,
    data: Any,  # noqa: ANN401 - any table
    predictions: Any = None,  # noqa: ANN401 - any column
    now: float = 0.0,
) -> Batch:
    """Count a batch over the cells of a reference.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    data : DataFrame, dict of columns, list of dicts, 2-D array or None
        The features; columns of an array without names are those of the reference, in order.
    predictions : array-like, shape (rows,) or None
        What the model returned. Of two columns of class probabilities the second is taken, of more the class that has
        the highest, and how high that is.
    now : float
        Seconds since the epoch: when the batch is looked at.

    Returns
    -------
    Batch
        A feature without a column is told, and is no error.

    Raises
    ------
    InputError
        If there is nothing to score: no rows, no known column, columns of different lengths, no table at all; or if no
        prediction is of the reference's kind, which is no drift but a mistake.

    Examples
    --------
    >>> from modelwatch.profile import ReferenceProfile
    >>> profile = ReferenceProfile.build({"age": np.arange(500.0), "height": np.arange(500.0)})
    >>> batch = count_batch(profile, {"age": [1.0, 2.0, 900.0]})
    >>> batch.counts.rows, batch.absent
    (3.0, ('height',))
    """
    if data is None and predictions is None:
        raise InputError("nothing to score: pass current_data, current_predictions or both")
    column, scores = _prediction_columns(profile, predictions)
    columns, rows = ({}, len(column or ())) if data is None else _columns(profile, data)
    if rows == 0:
        what = "current_predictions is empty" if data is None else "current_data has no rows"
        raise InputError(f"{what}: there is nothing to score")
    if column is not None and len(column) != rows:
        raise InputError(f"current_predictions has {len(column)} values, current_data has {rows} rows")
    absent = tuple(name for name in profile.feature_names if name not in columns)
    known = set(profile.feature_names)
    unknown = tuple(name for name in columns if name not in known)
    if data is not None and len(absent) == len(known):
        raise InputError(
            f"current_data has none of the reference's features: it has {_some(unknown)}, "
            f"the reference has {_some(profile.feature_names)}"
        )
    binned = CellAssigner(profile.layout).bin({**columns, **scores}, rows, column)
    untold = PREDICTIONS.difference(scores, [PREDICTION] if column else [])
    cells = _without(profile, binned.cells.astype(np.float64), {*absent, *untold})
    unlike = _unlike(profile, cells, {**columns, PREDICTION: column})
    if PREDICTION in unlike:
        raise InputError(f"current_predictions hold {unlike[PREDICTION]}")
    counts = WindowCounts(BATCH_WINDOW, now, now, float(rows), cells, sums=binned.sums)
    told = tuple(f"{name} holds {what}" for name, what in unlike.items())
    return Batch(counts, absent, unknown, told, columns, rows)


def count_pieces(profile: ReferenceProfile, pieces: Iterable[tuple[Mapping[str, Any], Any]]) -> Batch:
    """Count rows that come in pieces, as :func:`count_batch` counts them all at once.

    Parameters
    ----------
    profile : ReferenceProfile
        The reference.
    pieces : iterable of (dict of columns, column or None)
        Features, and predictions: in all pieces or in none.

    Returns
    -------
    Batch

    Raises
    ------
    InputError
        If there are no rows, or no prediction is of the reference's kind.

    Examples
    --------
    >>> from modelwatch.profile import ReferenceProfile
    >>> profile = ReferenceProfile.build({"age": np.arange(500.0), "height": np.arange(500.0)})
    >>> batch = count_pieces(profile, [({"age": [1.0, 2.0]}, None), ({"age": [900.0]}, None)])
    >>> batch.counts.rows, batch.absent
    (3.0, ('height',))
    """
    assigner = CellAssigner(profile.layout)
    members = len(profile.layout.members)
    cells, sums, rows = np.zeros(profile.layout.size), np.zeros(members), 0
    first: dict[str, Any] = {}
    together = () if profile.correlation is None else profile.correlation.features
    sample = RowSample()
    for columns, predictions in pieces:
        count = len(next(iter(columns.values()), predictions if predictions is not None else ()))
        if not count:
            continue
        column, scores = _prediction_columns(profile, predictions)
        binned = assigner.bin({**columns, **scores}, count, column)
        cells, sums, rows = cells + binned.cells, sums + binned.sums, rows + count
        sample.add({name: columns[name] for name in together if name in columns}, count)
        first = first or {**columns, **scores, PREDICTION: column}
    if not rows:
        raise InputError("the data have no rows: there is nothing to score")
    absent = tuple(name for name in profile.feature_names if name not in first)
    known = {*profile.feature_names, *PREDICTIONS}
    untold = {name for name in PREDICTIONS if first.get(name) is None}
    cells = _without(profile, cells, {*absent, *untold})
    unlike = _unlike(profile, cells, first)
    if PREDICTION in unlike:
        raise InputError(f"predictions hold {unlike[PREDICTION]}")
    return Batch(
        WindowCounts(BATCH_WINDOW, 0.0, 0.0, float(rows), cells, sums=sums),
        absent,
        tuple(name for name in first if name not in known),
        tuple(f"{name} holds {what}" for name, what in unlike.items()),
        sample.columns,
        sample.rows,
    )


class Times:
    """When the rows of a batch are, as far as it matters: from when to when, and how many in each stratum.

    Parameters
    ----------
    strata : Strata or None
        Those of the reference, if it has any.
    """

    def __init__(self, strata: Strata | None) -> None:
        self._strata = strata
        self._by_stratum = np.zeros(0 if strata is None else len(strata.counts))
        self._first, self._last = np.inf, -np.inf
        self._rows = 0

    def add(self, times: FloatArray) -> None:
        """Take rows into account: seconds since the epoch, NaN where a row has no time."""
        self._rows += len(times)
        known = times[~np.isnan(times)]
        if not len(known):
            return
        self._first, self._last = min(self._first, float(known.min())), max(self._last, float(known.max()))
        if self._strata is not None:
            places = self._strata.index(known)
            self._by_stratum += np.bincount(places[places >= 0], minlength=len(self._by_stratum))

    def of(self, batch: Batch, members: int) -> Batch:
        """Return a batch with its times; the same if no row has any.

        Raises
        ------
        InputError
            If there is not one time a row.
        """
        counts = batch.counts
        if self._rows != counts.rows:
            raise InputError(f"timestamps has {self._rows} values, the data have {counts.rows:.0f} rows")
        if self._first > self._last:
            return batch
        strata = None if self._strata is None else np.tile(self._by_stratum, (members, 1))
        return replace(batch, counts=replace(counts, start=self._first, end=self._last, strata=strata))


def _columns(profile: ReferenceProfile, data: Any) -> tuple[dict[str, Any], int]:  # noqa: ANN401
    if isinstance(data, (list, tuple)) and not data:
        return {}, 0
    names = profile.feature_names
    nameless = _is_nameless(data)
    shape = np.shape(data) if isinstance(data, np.ndarray) else None
    if shape is not None and nameless and (len(shape) != 2 or shape[1] != len(names)):
        raise InputError(
            f"current_data is an array of shape {shape}; without column names it must have the "
            f"{len(names)} columns of the reference, in order: {_some(names)}"
        )
    try:
        table = read_table(data, names if nameless else None)
    except ProfileError as error:
        raise InputError(f"current_data can't be read: {error}") from error
    return dict(table.columns), table.rows


def _is_nameless(data: object) -> bool:
    """Whether a table has no column names of its own: a plain array, or a list of plain rows."""
    if isinstance(data, np.ndarray):
        return data.dtype.names is None
    return isinstance(data, (list, tuple)) and not isinstance(data[0], Mapping)


def _prediction_columns(
    profile: ReferenceProfile,
    predictions: Any,  # noqa: ANN401
) -> tuple[list[Any] | None, dict[str, FloatArray]]:
    """Return the predictions, None without any, and by name the scores of predicted classes where they have such."""
    member = profile.layout.prediction
    scored = read_class_scores(predictions) if member is None or member.kind == "categorical" else None
    if scored is not None:
        return list(scored.labels), {PREDICTION_SCORE: scored.scores}
    return None if predictions is None else _prediction_column(predictions), {}


def _prediction_column(predictions: Any) -> list[Any]:  # noqa: ANN401
    try:
        values = np.asarray(predictions.to_numpy() if hasattr(predictions, "to_numpy") else predictions)
    except (ValueError, TypeError) as error:
        raise InputError(f"current_predictions can't be read as one value a row: {error}") from error
    if values.ndim == 2 and values.shape[1] in (1, 2):
        values = values[:, -1]
    if values.ndim != 1:
        raise InputError(
            f"current_predictions must be one value a row, got {type(predictions).__name__} of shape {values.shape}"
        )
    return list(values.tolist())


def _without(profile: ReferenceProfile, cells: FloatArray, names: set[str]) -> FloatArray:
    """Set the cells of some members to 0: nothing is known about them, which is not the same as missing."""
    for member, offset in zip(profile.layout.members, profile.layout.offsets, strict=True):
        if member.name in names:
            cells[offset : offset + member.size] = 0.0
    return cells


def _unlike(profile: ReferenceProfile, cells: FloatArray, columns: Mapping[str, Any]) -> dict[str, str]:
    """Return by member what a column holds that has no value of the reference's kind; missing ones are of any kind."""
    out = {}
    for member, offset in zip(profile.layout.members, profile.layout.offsets, strict=True):
        mine = cells[offset : offset + member.size]
        invalid = mine[member.shape_size + INVALID_TYPE :].sum() > 0
        usual = mine[: member.shape_size].sum() + mine[member.shape_size + HIGH]
        if usual == 0 and invalid and mine[member.shape_size + LOW] == 0:
            out[member.name] = f"no {_KINDS[member.kind]}, the reference does"
        elif (
            usual == 0
            and member.kind == "categorical"
            and _numbers_instead(columns.get(member.name), member.categories)
        ):
            out[member.name] = "numbers, the reference holds categories"
    return out


def _numbers_instead(column: Any, categories: tuple[str, ...]) -> bool:  # noqa: ANN401 - a column
    """Whether a column is all numbers where no known category reads as one; codes of categories do."""
    numeric = column is not None and np.asarray(column).dtype.kind in "iuf"
    return numeric and bool(categories) and not any(read_number(text)[1] is None for text in categories)


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown or "no columns"
