"""Building a reference profile: columns to cells, cells to counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.calibration import calibrate, read_strata
from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.class_scores import TopClasses, read_class_scores
from modelwatch.profile.contents import Contents, InMemory
from modelwatch.profile.correlation import codes_of
from modelwatch.profile.hours import HourCounts, count_hours
from modelwatch.profile.inherit import carry_over
from modelwatch.profile.kinds import LeftOut, Reading, Task, read_classes, read_feature, read_prediction, read_score
from modelwatch.profile.learn_correlation import learn_by_hour, learn_correlation
from modelwatch.profile.like import check_like, reading_like
from modelwatch.profile.moments import Moments
from modelwatch.profile.normal_scores import Codes
from modelwatch.profile.pieces import Pieces
from modelwatch.profile.reference import ADVISED_ROWS, AMPLE_ROWS, MIN_ROWS, ReferenceProfile
from modelwatch.profile.tables import Column, Table, read_table, read_values
from modelwatch.profile.times import epoch_seconds, read_zone
from modelwatch.profile.values import MAX_TEXT, read_category
from modelwatch.records import PREDICTION, PREDICTION_SCORE, PREDICTIONS, CellLayout, FeatureCells, FloatArray, IntArray

MIN_BINS, MAX_BINS = 10, 64


@dataclass(frozen=True)
class BuildOptions:
    """The arguments of `ReferenceProfile.build` that are not data."""

    decision_threshold: float
    importance: Mapping[str, float] | Sequence[float] | None
    timezone: str | None
    bins: int
    categorical: tuple[str, ...]
    exclude: tuple[str, ...]
    feature_names: Sequence[str] | None
    model_id: str
    model_version: str
    task: str | None
    created: datetime
    strata: object = "auto"
    inherit: ReferenceProfile | None = None
    like: ReferenceProfile | None = None


def build_profile(
    data: Any,  # noqa: ANN401
    predictions: Any,  # noqa: ANN401
    actuals: Any,  # noqa: ANN401
    timestamps: Any,  # noqa: ANN401
    options: BuildOptions,
) -> ReferenceProfile:
    """Build a profile; see `ReferenceProfile.build`."""
    check_options(options)
    strata = read_strata(options.strata, timed=timestamps is not None)
    if Pieces.are(data):
        from modelwatch.profile.chunks import build_in_pieces

        return build_in_pieces(data, predictions, actuals, timestamps, options)
    table = read_table(data, options.feature_names)
    check_columns(table, options)
    check_rows(table.rows)
    warnings = list(row_warnings(table.rows))
    scored = read_class_scores(predictions)
    if options.like is not None:
        check_like(options.like, table.columns, predicted=predictions is not None, scored=scored is not None)
    names = features_of(table, options)
    features = kept((feature_of(name, InMemory(table.columns[name]), table, options) for name in names), warnings)
    if scored is None:
        prediction, column, task = _read_predictions(predictions, table.rows, options, warnings)
        score = None
    else:
        prediction, column, task = _read_classes(scored, table.rows, options)
        score = _read_score(scored, options, warnings)
    check_watched(features, prediction, warnings)
    readings = [reading for reading in (*features, prediction, score) if reading is not None]
    layout = CellLayout(tuple(r.cells for r in features), *(r.cells if r else None for r in (prediction, score)))
    counted = table if scored is None else replace(table, columns={**table.columns, PREDICTION_SCORE: scored.scores})
    seconds = _read_times(timestamps, table.rows, options.timezone, warnings)
    counts, hours = _count(CellAssigner(layout), counted, column, seconds, options.timezone)
    labelled = _read_actuals(actuals, table.rows, warnings)
    importance = read_importance(options.importance, table, layout)
    coded = partial(codes_of, columns=table.columns, n=table.rows)
    profile = ReferenceProfile(
        layout=layout,
        counts=counts,
        rows=table.rows,
        moments=moments_of(readings),
        task=task,
        days=hours.days if hours else 0,
        time_range=(float(np.nanmin(seconds)), float(np.nanmax(seconds))) if seconds is not None else None,
        labelled_rows=labelled,
        importance=importance,
        correlation=learn_correlation(layout, counts, coded, importance, seconds, read_zone(options.timezone)),
        warnings=tuple(warnings),
        **given(options, strata),
    )
    return with_learnt(profile, hours, options, coded, seconds)


def _count(
    assigner: CellAssigner, table: Table, predictions: Column | None, seconds: FloatArray | None, timezone: str | None
) -> tuple[IntArray, HourCounts | None]:
    if seconds is None:
        return assigner.bin(table.columns, table.rows, predictions).cells, None
    return count_hours(assigner, table.columns, predictions, seconds, timezone)


def with_learnt(
    profile: ReferenceProfile,
    hours: HourCounts | None,
    options: BuildOptions,
    coded: Callable[[Sequence[FeatureCells]], Codes],
    seconds: FloatArray | None,
) -> ReferenceProfile:
    """Return a profile with what is learnt from its hours, or from another profile.

    Parameters
    ----------
    profile : ReferenceProfile
        As counted.
    hours : HourCounts or None
        Its counts by hour; None without times.
    options : BuildOptions
        As asked for.
    coded, seconds
        Cells and times of rows, as :func:`~modelwatch.profile.learn_correlation.learn_correlation` takes them.
    """
    if hours is not None:
        profile = calibrate(profile, hours, profile.options["strata"])
    if profile.strata is not None and profile.correlation is not None and seconds is not None:
        zone = read_zone(options.timezone)
        by_hour = learn_by_hour(profile.correlation, profile.layout, profile.strata, coded, seconds, zone)
        profile = replace(profile, correlation_by_hour=by_hour)
    return carry_over(profile, options.inherit) if options.inherit is not None else profile


def given(options: BuildOptions, strata: str) -> dict[str, Any]:
    """Return the fields of a profile that are as they were asked for."""
    return {
        "created": options.created,
        "model_id": options.model_id,
        "model_version": options.model_version,
        "decision_threshold": float(options.decision_threshold),
        "timezone": options.timezone,
        "options": {
            "bins": options.bins,
            "categorical": list(options.categorical),
            "exclude": list(options.exclude),
            "strata": strata,
        },
    }


def moments_of(readings: Iterable[Reading]) -> dict[str, Moments]:
    """Return the moments of numeric members by name."""
    return {reading.cells.name: reading.moments for reading in readings if reading.moments is not None}


def check_options(options: BuildOptions) -> None:
    """Raise ProfileError for an argument that is none."""
    bins = options.bins
    if isinstance(bins, bool) or not isinstance(bins, int) or not MIN_BINS <= bins <= MAX_BINS:
        raise ProfileError(f"bins is {bins!r}; it must be a whole number from {MIN_BINS} to {MAX_BINS}")
    threshold = options.decision_threshold
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not math.isfinite(threshold):
        raise ProfileError(f"decision_threshold is {threshold!r}; it must be a finite number")
    for what, text in (("model_id", options.model_id), ("model_version", options.model_version)):
        if not text.isprintable() or len(text) > MAX_TEXT:
            raise ProfileError(f"{what} is {text[:40]!r}; it must be at most {MAX_TEXT} printable characters")
    read_zone(options.timezone)


def check_rows(rows: int) -> None:
    """Raise ProfileError if there are too few."""
    if rows < MIN_ROWS:
        found = f"has only {rows} rows" if rows else "is empty"
        raise ProfileError(
            f"the reference data (X) {found}; a reference needs at least {MIN_ROWS} rows,"
            f" and {ADVISED_ROWS} to be of use"
        )


def row_warnings(rows: int) -> Iterable[str]:
    """Yield what so few rows mean."""
    if rows < ADVISED_ROWS:
        yield f"the reference has only {rows} rows: gross changes only can be seen; {ADVISED_ROWS} are advised"
    elif rows < AMPLE_ROWS:
        yield f"the reference has {rows} rows: small changes stay below its own noise; {AMPLE_ROWS} or more are better"


def check_columns(table: Table, options: BuildOptions) -> None:
    """Raise ProfileError if an argument names a column that is none."""
    table.check_known(options.exclude, "exclude")
    table.check_known(options.categorical, "categorical")


def features_of(table: Table, options: BuildOptions) -> list[str]:
    """Return the columns that are features, in order."""
    if options.like is not None:
        return list(options.like.feature_names)
    return [name for name in table.columns if name not in options.exclude]


def feature_of(name: str, column: Contents, table: Table, options: BuildOptions) -> Reading | LeftOut:
    """Return the cells of a feature, or why it can't be watched."""
    if options.like is not None:
        return reading_like(options.like, name, column)
    if name in PREDICTIONS:
        return LeftOut(f"feature {name!r} was left out: it has the name of a score; give it another")
    asked = name in options.categorical
    categorical = asked or name in table.categorical
    return read_feature(name, column, options.bins, categorical=categorical, asked=asked)


def kept(found: Iterable[Reading | LeftOut], warnings: list[str]) -> list[Reading]:
    """Return the features that can be watched, and say of others why not."""
    readings = []
    for reading in found:
        if isinstance(reading, LeftOut):
            warnings.append(reading.why)
            continue
        warnings.extend(reading.warnings)
        readings.append(reading)
    return readings


def check_watched(features: list[Reading], prediction: Reading | None, warnings: list[str]) -> None:
    """Raise ProfileError if nothing can be watched."""
    if not features and prediction is None:
        raise ProfileError("X has no column that can be watched: " + "; ".join(warnings))


def prediction_of(column: Contents, options: BuildOptions) -> tuple[Reading, Task | None]:
    """Return the cells of the prediction, and the task."""
    if options.like is not None:
        return reading_like(options.like, PREDICTION, column), options.like.task
    return read_prediction(column, options.task, options.bins, options.decision_threshold)


def _read_predictions(
    predictions: Any,  # noqa: ANN401
    rows: int,
    options: BuildOptions,
    warnings: list[str],
) -> tuple[Reading | None, Column | None, Task | None]:
    if predictions is None:
        return None, None, options.like.task if options.like is not None else None
    column = read_values(predictions, "predictions", rows)
    reading, task = prediction_of(InMemory(column), options)
    warnings.extend(reading.warnings)
    return reading, column, task


def _read_classes(scored: TopClasses, rows: int, options: BuildOptions) -> tuple[Reading, Column, Task | None]:
    column = read_values(scored.labels, "predictions", rows)
    if options.like is not None:
        return reading_like(options.like, PREDICTION, InMemory(column)), column, options.like.task
    reading, task = read_classes(InMemory(column), options.task)
    return reading, column, task


def _read_score(scored: TopClasses, options: BuildOptions, warnings: list[str]) -> Reading | None:
    """Return the cells of the scores; None where there are too few, or a profile that this is to be like has none."""
    column = InMemory(scored.scores)
    if options.like is not None:
        return reading_like(options.like, PREDICTION_SCORE, column) if options.like.layout.score is not None else None
    predicted = sum(label is not None for label in scored.labels)
    reading = read_score(column, predicted)
    if isinstance(reading, LeftOut):
        warnings.append(reading.why)
        return None
    return reading


def _read_times(
    timestamps: Any,  # noqa: ANN401
    rows: int,
    timezone: str | None,
    warnings: list[str],
) -> FloatArray | None:
    if timestamps is None:
        return None
    seconds = epoch_seconds(read_values(timestamps, "timestamps", rows), read_zone(timezone))
    check_times(int(np.isfinite(seconds).sum()), rows, warnings)
    return seconds


def check_times(present: int, rows: int, warnings: list[str]) -> None:
    """Raise ProfileError if no row has a time; warn if some have none."""
    if not present:
        raise ProfileError("timestamps hold no time")
    if present < rows:
        warnings.append(f"{rows - present} rows have no timestamp")


def _read_actuals(actuals: Any, rows: int, warnings: list[str]) -> int:  # noqa: ANN401
    if actuals is None:
        return 0
    present = count_actuals(read_values(actuals, "actuals", rows))
    warnings.append(actuals_warning(present))
    return present


def count_actuals(column: Column) -> int:
    """Return how many rows have an actual."""
    return sum(read_category(value)[0] is not None for value in column)


def actuals_warning(present: int) -> str:
    """Say what actuals were good for."""
    return f"{present} actuals were counted; performance baselines are not learnt from them yet"


def read_importance(
    importance: Mapping[str, float] | Sequence[float] | None, table: Table, layout: CellLayout
) -> dict[str, float]:
    """Return the weights of features by name."""
    if importance is None:
        return {}
    if not isinstance(importance, Mapping):
        names = list(table.columns)
        if len(importance) != len(names):
            raise ProfileError(f"importance has {len(importance)} weights, X has {len(names)} columns")
        importance = dict(zip(names, importance, strict=True))
    table.check_known(importance, "importance")
    kept = {member.name for member in layout.features}
    out = {}
    for name, weight in importance.items():
        number = float(weight)
        if not math.isfinite(number) or number < 0:
            raise ProfileError(f"importance of {name!r} is {weight!r}; it must be a finite number of at least 0")
        if name in kept:
            out[name] = number
    return out
