"""Building a profile from a table that comes in pieces, however large: columns to cells, then cells to counts.

The rows are read at least twice: once to know what each column holds, once to count. What is kept of the columns has a
bound; where there are too many of them for the memory allowed, some wait for another reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from functools import partial
from typing import Any, Protocol

import numpy as np

from modelwatch.exceptions import ProfileError
from modelwatch.profile import build
from modelwatch.profile.calibration import read_strata
from modelwatch.profile.cells import CellAssigner
from modelwatch.profile.code_sample import CodeSample
from modelwatch.profile.contents import Categories, Numbers, Seen
from modelwatch.profile.hour_sums import HourSums
from modelwatch.profile.hours import HourCounts
from modelwatch.profile.kinds import LeftOut, Reading, Task
from modelwatch.profile.learn_correlation import learn_correlation
from modelwatch.profile.like import check_like
from modelwatch.profile.pieces import Pieces
from modelwatch.profile.reference import ReferenceProfile
from modelwatch.profile.scan import ColumnScan, Hashes, row_hashes
from modelwatch.profile.tables import Column, Table
from modelwatch.profile.times import epoch_seconds, read_zone
from modelwatch.records import CellLayout, IntArray, Kind

__all__ = ["MEMORY", "build_in_pieces"]

MEMORY = 200_000_000
"""Bytes for what is kept of the columns at a time."""
_PREDICTIONS, _ACTUALS, _TIMESTAMPS = "predictions", "actuals", "timestamps"


def build_in_pieces(
    data: Any,  # noqa: ANN401
    predictions: object,
    actuals: object,
    timestamps: object,
    options: build.BuildOptions,
) -> ReferenceProfile:
    """Build a profile; see `ReferenceProfile.build`. Predictions, actuals and timestamps are names of columns."""
    strata = read_strata(options.strata, timed=timestamps is not None)
    given = {_PREDICTIONS: predictions, _ACTUALS: actuals, _TIMESTAMPS: timestamps}
    roles = {role: _name(role, name) for role, name in given.items() if name is not None}
    read = _Reader(Pieces(data, options.feature_names, roles.get(_TIMESTAMPS)), roles, options)
    read.columns()
    build.check_rows(read.rows)
    warnings = list(build.row_warnings(read.rows))
    features = build.kept((read.features[name] for name in read.features_in_order), warnings)
    prediction, task = read.prediction or (None, options.like.task if options.like else None)
    warnings.extend(prediction.warnings if prediction else ())
    build.check_watched(features, prediction, warnings)
    if read.times:
        build.check_times(read.times.present, read.rows, warnings)
    if read.actuals:
        warnings.append(build.actuals_warning(read.actuals.present))
    layout = CellLayout(tuple(r.cells for r in features), prediction.cells if prediction else None)
    counts, hours, sample = read.counts(layout)
    importance = build.read_importance(options.importance, read.table, layout)
    seconds, zone = sample.seconds if read.times else None, read_zone(options.timezone)
    profile = ReferenceProfile(
        layout=layout,
        counts=counts,
        rows=read.rows,
        moments=build.moments_of([*features, prediction] if prediction else features),
        task=task,
        days=hours.days if hours else 0,
        time_range=(read.times.first, read.times.last) if read.times else None,
        labelled_rows=read.actuals.present if read.actuals else 0,
        importance=importance,
        correlation=learn_correlation(layout, counts, sample.codes, importance, seconds, zone),
        warnings=tuple(warnings),
        **build.given(options, strata),
    )
    return build.with_learnt(profile, hours, options, sample.codes, seconds)


def _name(role: str, name: object) -> str:
    if not isinstance(name, str):
        raise ProfileError(
            f"{role} is of type {type(name).__name__}; X comes in pieces: give the name of a column of it"
        )
    return name


class _Reader:
    """Reads a table as often as it takes.

    Attributes
    ----------
    table : Table
        Names of the features without values.
    features_in_order : list of str
        Those that are not left out.
    rows : int
        How many there are, once the columns are read.
    features, prediction, times, actuals
        What became of the columns.
    """

    def __init__(self, pieces: Pieces, roles: Mapping[str, str], options: build.BuildOptions) -> None:
        self._pieces, self._roles, self._options = pieces, roles, options
        head = next(pieces.read()).table
        for role, name in roles.items():
            head.check_known([name], role)
        names = [name for name in head.columns if name not in roles.values()]
        self.table = Table({name: [] for name in names}, head.rows, head.categorical)
        build.check_columns(self.table, options)
        if options.like is not None:
            check_like(options.like, names, predicted=_PREDICTIONS in roles)
        self.features_in_order = build.features_of(self.table, options)
        self.rows = 0
        self.features: dict[str, Reading | LeftOut] = {}
        self.prediction: tuple[Reading, Task | None] | None = None
        self.times: TimeScan | None = None
        self.actuals: ActualScan | None = None

    def columns(self) -> None:
        """Find out what each column holds, and what cells it gets."""
        asked = {*self._options.categorical, *self.table.categorical}
        if self._options.like is not None:
            asked = {member.name for member in self._options.like.layout.features if member.kind == "categorical"}
        jobs: dict[tuple[str, str], Callable[[], Scan]] = {}
        times = partial(TimeScan, read_zone(self._options.timezone))
        starts: dict[str, Callable[[], Scan]] = {_TIMESTAMPS: times, _ACTUALS: ActualScan, _PREDICTIONS: ColumnScan}
        for role, name in self._roles.items():
            jobs[role, name] = starts[role]
        for name in self.features_in_order:
            jobs["", name] = partial(ColumnScan, "categorical" if name in asked else None)
        for (role, name), scan in self._scanned(jobs):
            if isinstance(scan, TimeScan):
                self.times = scan
            elif isinstance(scan, ActualScan):
                self.actuals = scan
            elif isinstance(scan, ColumnScan):
                self._columns_done(role, name, scan)

    def _columns_done(self, role: str, name: str, scan: ColumnScan) -> None:
        options = self._options
        column = _Scanned(scan, partial(self._again, name))
        if role == _PREDICTIONS:
            self.prediction = build.prediction_of(column, options)
        else:
            self.features[name] = build.feature_of(name, column, self.table, options)

    def _again(self, name: str, kind: Kind) -> ColumnScan:
        """Read one column as what it turned out to be."""
        jobs: dict[tuple[str, str], Callable[[], Scan]] = {("", name): partial(ColumnScan, kind)}
        return next(scan for _, scan in self._scanned(jobs) if isinstance(scan, ColumnScan))

    def _scanned(self, jobs: Mapping[tuple[str, str], Callable[[], Scan]]) -> Iterator[tuple[tuple[str, str], Scan]]:
        """Yield what each job found; jobs that there is no memory for are begun again in another reading."""
        waiting = dict(jobs)
        while waiting:
            scans = {key: start() for key, start in waiting.items()}
            for piece in self._pieces.read(list(dict.fromkeys(name for _, name in scans))):
                hashes = row_hashes(piece.first, piece.table.rows)
                for (_, name), scan in scans.items():
                    scan.add(piece.table.columns[name], hashes)
                self.rows = piece.first + piece.table.rows
                while len(scans) > 1 and sum(scan.cost for scan in scans.values()) > MEMORY:
                    del scans[max(reversed(scans), key=lambda key: scans[key].cost)]
            for key in list(scans):
                yield key, scans.pop(key)
                del waiting[key]

    def counts(self, layout: CellLayout) -> tuple[IntArray, HourCounts | None, CodeSample]:
        """Count the rows by cell, and where there are timestamps by the hour too; keep a sample of their cells."""
        assigner = CellAssigner(layout)
        prediction = self._roles[_PREDICTIONS] if layout.prediction else None
        timestamps = self._roles.get(_TIMESTAMPS)
        zone = read_zone(self._options.timezone)
        wanted = [member.name for member in layout.features] + [name for name in (prediction, timestamps) if name]
        counts = np.zeros(layout.size, dtype=np.int64)
        hours = HourSums(self._options.timezone, layout.size)
        sample = CodeSample(layout)
        rows = 0
        for piece in self._pieces.read(list(dict.fromkeys(wanted))):
            columns, predictions = piece.table.columns, piece.table.columns[prediction] if prediction else None
            rows += piece.table.rows
            seconds = epoch_seconds(columns[timestamps], zone) if timestamps else None
            if seconds is None:
                counts += assigner.bin(columns, piece.table.rows, predictions).cells
            else:
                counts += hours.count(assigner, columns, predictions, seconds)
            sample.add(columns, row_hashes(piece.first, piece.table.rows), seconds)
        if rows != self.rows:
            raise ProfileError(f"X came with {self.rows} rows, and with {rows} the next time; it must stay the same")
        return counts, hours.result() if timestamps else None, sample


class _Scanned:
    """What a column holds that was read in pieces; it is read again where it was taken for something else."""

    def __init__(self, scan: ColumnScan, again: Callable[[Kind], ColumnScan]) -> None:
        self._scan, self._again = scan, again

    @property
    def seen(self) -> Seen:
        """Types of its values."""
        return self._scan.seen

    @property
    def numbers(self) -> Numbers:
        """Its values as numbers."""
        return self._as("numeric").numbers

    @property
    def categories(self) -> Categories:
        """Its values as categories."""
        return self._as("categorical").categories

    def _as(self, kind: Kind) -> ColumnScan:
        if self._scan.misread(kind):
            seen, self._scan = self._scan.seen, self._again(kind)
            self._scan.seen = seen
        return self._scan


class Scan(Protocol):
    """What looks at one column of each piece."""

    @property
    def cost(self) -> int:
        """How many bytes are kept, about."""

    def add(self, column: Column, hashes: Hashes) -> None:
        """Look at the next rows."""


class TimeScan:
    """From when to when rows are."""

    cost = 0

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._rows = 0
        self.present = 0
        self.first, self.last = np.inf, -np.inf

    def add(self, column: Column, hashes: Hashes) -> None:
        """Look at the next rows."""
        seconds = epoch_seconds(column, self._zone, self._rows)
        self._rows += len(seconds)
        known = seconds[np.isfinite(seconds)]
        if len(known):
            self.present += len(known)
            self.first, self.last = min(self.first, float(known.min())), max(self.last, float(known.max()))


class ActualScan:
    """How many rows have an actual."""

    cost = 0

    def __init__(self) -> None:
        self.present = 0

    def add(self, column: Column, hashes: Hashes) -> None:
        """Look at the next rows."""
        self.present += build.count_actuals(column)
