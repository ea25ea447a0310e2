"""Building a reference profile: columns to cells, cells to counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile.calibration import calibrate, read_strata
from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.hours import count_hours
from modelwatch.profile.inherit import carry_over
from modelwatch.profile.kinds import LeftOut, Reading, Task, read_feature, read_prediction
from modelwatch.profile.moments import moments_of
from modelwatch.profile.reference import ADVISED_ROWS, AMPLE_ROWS, MIN_ROWS, ReferenceProfile
from modelwatch.profile.tables import Column, Table, read_table, read_values
from modelwatch.profile.times import epoch_seconds, read_zone
from modelwatch.profile.values import MAX_TEXT, read_category
from modelwatch.records import CellLayout, FloatArray

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


def build_profile(
    data: Any,  # noqa: ANN401
    predictions: Any,  # noqa: ANN401
    actuals: Any,  # noqa: ANN401
    timestamps: Any,  # noqa: ANN401
    options: BuildOptions,
) -> ReferenceProfile:
    """Build a profile; see `ReferenceProfile.build`."""
    _check_options(options)
    strata = read_strata(options.strata, timed=timestamps is not None)
    table = read_table(data, options.feature_names)
    _check_table(table, options)
    warnings = list(row_warnings(table.rows))
    features = _read_features(table, options, warnings)
    prediction, column, task = _read_predictions(predictions, table.rows, options, warnings)
    if not features and prediction is None:
        raise ProfileError("X has no column that can be watched: " + "; ".join(warnings))
    layout = CellLayout(tuple(r.cells for r in features), prediction.cells if prediction else None)
    readings = [*features, prediction] if prediction else features
    seconds = _read_times(timestamps, table.rows, options.timezone, warnings)
    assigner = CellAssigner(layout)
    if seconds is None:
        counts, hours = assigner.bin(table.columns, table.rows, column).cells, None
    else:
        counts, hours = count_hours(assigner, table.columns, column, seconds, options.timezone)
    profile = ReferenceProfile(
        layout=layout,
        counts=counts,
        rows=table.rows,
        moments={r.cells.name: moments_of(r.values) for r in readings if r.values is not None},
        created=options.created,
        task=task,
        model_id=options.model_id,
        model_version=options.model_version,
        decision_threshold=float(options.decision_threshold),
        timezone=options.timezone,
        days=hours.days if hours else 0,
        time_range=(float(np.nanmin(seconds)), float(np.nanmax(seconds))) if seconds is not None else None,
        labelled_rows=_count_actuals(actuals, table.rows, warnings),
        importance=_read_importance(options.importance, table, {r.cells.name for r in features}),
        options={
            "bins": options.bins,
            "categorical": list(options.categorical),
            "exclude": list(options.exclude),
            "strata": strata,
        },
        warnings=tuple(warnings),
    )
    if hours is not None:
        profile = calibrate(profile, hours, strata)
    return carry_over(profile, options.inherit) if options.inherit is not None else profile


def _check_options(options: BuildOptions) -> None:
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


def _check_table(table: Table, options: BuildOptions) -> None:
    table.check_known(options.exclude, "exclude")
    table.check_known(options.categorical, "categorical")
    if table.rows < MIN_ROWS:
        found = f"has only {table.rows} rows" if table.rows else "is empty"
        raise ProfileError(
            f"the reference data (X) {found}; a reference needs at least {MIN_ROWS} rows,"
            f" and {ADVISED_ROWS} to be of use"
        )


def row_warnings(rows: int) -> Iterable[str]:
    """Say that a reference is small, if it is."""
    if rows < ADVISED_ROWS:
        yield f"the reference has only {rows} rows: gross changes only can be seen; {ADVISED_ROWS} are advised"
    elif rows < AMPLE_ROWS:
        yield f"the reference has {rows} rows: small changes stay below its own noise; {AMPLE_ROWS} or more are better"


def _read_features(table: Table, options: BuildOptions, warnings: list[str]) -> list[Reading]:
    asked = set(options.categorical)
    readings = []
    for name, column in table.columns.items():
        if name in options.exclude:
            continue
        categorical = name in asked or name in table.categorical
        reading = read_feature(name, column, options.bins, categorical=categorical, asked=name in asked)
        if isinstance(reading, LeftOut):
            warnings.append(reading.why)
            continue
        warnings.extend(reading.warnings)
        readings.append(reading)
    return readings


def _read_predictions(
    predictions: Any,  # noqa: ANN401
    rows: int,
    options: BuildOptions,
    warnings: list[str],
) -> tuple[Reading | None, Column | None, Task | None]:
    if predictions is None:
        return None, None, None
    column = read_values(predictions, "predictions", rows)
    reading, task = read_prediction(column, options.task, options.bins, options.decision_threshold)
    warnings.extend(reading.warnings)
    return reading, column, task


def _read_times(
    timestamps: Any,  # noqa: ANN401
    rows: int,
    timezone: str | None,
    warnings: list[str],
) -> FloatArray | None:
    if timestamps is None:
        return None
    seconds = epoch_seconds(read_values(timestamps, "timestamps", rows), read_zone(timezone))
    present = np.isfinite(seconds)
    if not present.any():
        raise ProfileError("timestamps hold no time")
    if not present.all():
        warnings.append(f"{rows - int(present.sum())} rows have no timestamp")
    return seconds


def _count_actuals(actuals: Any, rows: int, warnings: list[str]) -> int:  # noqa: ANN401
    if actuals is None:
        return 0
    column = read_values(actuals, "actuals", rows)
    present = sum(read_category(value)[0] is not None for value in column)
    warnings.append(f"{present} actuals were counted; performance baselines are not learnt from them yet")
    return present


def _read_importance(
    importance: Mapping[str, float] | Sequence[float] | None, table: Table, kept: set[str]
) -> dict[str, float]:
    if importance is None:
        return {}
    if not isinstance(importance, Mapping):
        names = list(table.columns)
        if len(importance) != len(names):
            raise ProfileError(f"importance has {len(importance)} weights, X has {len(names)} columns")
        importance = dict(zip(names, importance, strict=True))
    table.check_known(importance, "importance")
    out = {}
    for name, weight in importance.items():
        number = float(weight)
        if not math.isfinite(number) or number < 0:
            raise ProfileError(f"importance of {name!r} is {weight!r}; it must be a finite number of at least 0")
        if name in kept:
            out[name] = number
    return out
