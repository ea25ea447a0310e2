"""Frozen values that cross module borders.

The unit of aggregation is the binned count: a reference profile fixes the cells of every feature, and counts over
those cells add over rows, workers, hours and replicas. Everything here is plain data; nothing here computes.

Cells of one feature, in this order (``S`` = :attr:`FeatureCells.shape_size`)::

    [0 .. S-1]  shape    numeric: one per bin; categorical: one per top category, then "other"
    [S]         low      numeric: below the reference range; categorical: unseen category
    [S+1]       high     numeric: above the reference range; categorical: never used
    [S+2]       missing  None or NaN
    [S+3..S+5]  invalid  reasons type, parse, too_big (conventions.INVALID_REASONS)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelwatch.policy import Severity

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Kind = Literal["numeric", "categorical"]

TAIL_CELLS = 6
LOW, HIGH, MISSING, INVALID_TYPE, INVALID_PARSE, INVALID_TOO_BIG = range(TAIL_CELLS)
PREDICTION, PREDICTION_SCORE = "", "@prediction_score"
"""The names under which the cells of predictions stand, and of the scores of predicted classes; no feature's."""
PREDICTIONS = frozenset({PREDICTION, PREDICTION_SCORE})


def prediction_words(name: str) -> str:
    """Return what a prediction is called where people read of it.

    >>> prediction_words(PREDICTION), prediction_words(PREDICTION_SCORE)
    ('prediction', 'top score')
    """
    return "top score" if name == PREDICTION_SCORE else "prediction"


def shown_name(name: str) -> str:
    """Return a name in a list of inputs, among which predictions stand out.

    >>> shown_name("age"), shown_name(PREDICTION), shown_name(PREDICTION_SCORE)
    ('age', '(prediction)', '(top score)')
    """
    return f"({prediction_words(name)})" if name in PREDICTIONS else name


@dataclass(frozen=True)
class FeatureCells:
    """The cells of one feature, of the prediction (name ``""``), or of the score of the predicted class.

    Numeric: ``edges`` are ascending upper bounds of the bins, the last one the reference maximum; ``minimum`` is the
    reference minimum. A value v with ``minimum <= v <= edges[-1]`` falls in the first bin whose edge is >= v.
    Categorical: ``categories`` are the top categories, ``known`` the rarer ones, counted as "other".
    """

    name: str
    kind: Kind
    minimum: float = 0.0
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    vocabulary_complete: bool = True
    """False if the vocabulary was too large to keep: a category that is not known then counts as "other"."""

    @property
    def shape_size(self) -> int:
        """Number of shape cells: bins, or top categories plus "other"."""
        return len(self.edges) if self.kind == "numeric" else len(self.categories) + 1

    @property
    def size(self) -> int:
        """Number of all cells, tail included."""
        return self.shape_size + TAIL_CELLS

    def as_json(self) -> dict[str, Any]:
        """Return what defines the cells, as JSON-ready values in a fixed order."""
        if self.kind == "numeric":
            return {"name": self.name, "kind": self.kind, "minimum": self.minimum, "edges": list(self.edges)}
        return {
            "name": self.name,
            "kind": self.kind,
            "categories": list(self.categories),
            "known": sorted(self.known),
            "vocabulary_complete": self.vocabulary_complete,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FeatureCells:
        """Rebuild from :meth:`as_json`."""
        return cls(
            name=value["name"],
            kind=value["kind"],
            minimum=float(value.get("minimum", 0.0)),
            edges=tuple(float(e) for e in value.get("edges", ())),
            categories=tuple(value.get("categories", ())),
            known=frozenset(value.get("known", ())),
            vocabulary_complete=bool(value.get("vocabulary_complete", True)),
        )


@dataclass(frozen=True)
class CellLayout:
    """Where the cells of every feature lie in one flat count vector: features in order, predictions last."""

    features: tuple[FeatureCells, ...]
    prediction: FeatureCells | None = None
    score: FeatureCells | None = None
    """Of the predicted class, where a multiclass model says how sure it is of it; only beside a prediction."""

    @cached_property
    def predictions(self) -> tuple[FeatureCells, ...]:
        """The prediction and its score, those that there are."""
        return tuple(member for member in (self.prediction, self.score) if member is not None)

    @cached_property
    def members(self) -> tuple[FeatureCells, ...]:
        """All features, then the prediction and its score if there are any."""
        return (*self.features, *self.predictions)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each member."""
        return tuple(member.name for member in self.members)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Index of the first cell of each member."""
        out, position = [], 0
        for member in self.members:
            out.append(position)
            position += member.size
        return tuple(out)

    @cached_property
    def shape_sizes(self) -> tuple[int, ...]:
        """Number of shape cells of each member."""
        return tuple(member.shape_size for member in self.members)

    @cached_property
    def size(self) -> int:
        """Length of the flat count vector."""
        return sum(member.size for member in self.members)

    @cached_property
    def id(self) -> str:
        """Sha-256, in hex, of what defines the cells: edges, categories, kinds."""
        text = json.dumps([m.as_json() for m in self.members], separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class IntervalTotals:
    """What one worker counted of one model in one count interval: attempts, errors, latency. Absolute, not a delta."""

    model_id: str
    model_version: str
    start: float
    length: float
    part: int
    attempts: int
    errors: int
    sampled: int
    latency_bounds: tuple[float, ...]
    latency_cells: IntArray
    latency_sum: float
    first_at: float
    last_at: float
    prediction_count: int = 0
    prediction_sum: float = 0.0


@dataclass(frozen=True)
class IntervalCounts:
    """Binned counts of one worker, model, version, segment and profile in one interval. Absolute, not a delta."""

    model_id: str
    model_version: str
    segment: str
    profile_id: str
    start: float
    length: float
    part: int
    rows: int
    cells: IntArray
    sums: FloatArray
    """Sum of the in-range values of each layout member; 0 for categorical ones."""


ROW_PREDICTION, ROW_LATENCY, ROW_METADATA = "@prediction", "@latency_ms", "@metadata"
ROW_COLUMNS = (ROW_PREDICTION, PREDICTION_SCORE, ROW_LATENCY, ROW_METADATA)
"""Columns of a row chunk that are not features; a feature of such a name is not stored beside them."""


@dataclass(frozen=True)
class RowChunk:
    """Sampled rows of one model and version from one flush, as columns of equal length."""

    model_id: str
    model_version: str
    times: FloatArray
    ids: list[str]
    columns: dict[str, list[Any] | FloatArray]
    """Feature columns, then those of `ROW_COLUMNS` that hold anything."""


@dataclass(frozen=True)
class ActualChunk:
    """Late ground truth: prediction ids and values of one model."""

    model_id: str
    times: FloatArray
    ids: list[str]
    values: list[Any]
    model_version: str = ""
    """The version that was the default when it came; not stored, since the id says which prediction it is of."""


@dataclass(frozen=True)
class MetricPoint:
    """One value given to update_model_metric."""

    model_id: str
    model_version: str
    metric: str
    timestamp: float
    value: float
    metadata: dict[str, Any] | None = None


MINUTE_FIELDS = (
    "attempts", "errors", "latency_count", "latency_ms_sum", "prediction_count", "prediction_sum", "labelled",
    "correct", "pairs", "absolute_error_sum", "squared_error_sum",
)  # fmt: skip
"""What is summed by minute. Pairs are predictions and actuals that are both numbers and no classes."""
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86400


@dataclass(frozen=True)
class MinuteBlock:
    """Sums by minute of one worker and model version over one hour. Absolute, not a delta."""

    model_id: str
    model_version: str
    start: float
    part: int
    minutes: IntArray
    """Shape (T,): the minutes of the hour in which anything was recorded, ascending, 0 to 59."""
    sums: FloatArray
    """Shape (T, len(MINUTE_FIELDS)), finite."""


@dataclass(frozen=True)
class FlushBatch:
    """All that one flush of one worker hands to the store, written in one transaction."""

    worker: str
    totals: list[IntervalTotals] = field(default_factory=list)
    counts: list[IntervalCounts] = field(default_factory=list)
    rows: list[RowChunk] = field(default_factory=list)
    actuals: list[ActualChunk] = field(default_factory=list)
    metrics: list[MetricPoint] = field(default_factory=list)
    learning: list[RowChunk] = field(default_factory=list)
    """Rows that are kept only until a reference is learnt from them: features and prediction, without ids."""
    minutes: list[MinuteBlock] = field(default_factory=list)


@dataclass(frozen=True)
class WindowCounts:
    """Counts over one window, whatever they came from: a store, a Prometheus, a file, a DataFrame."""

    window: str
    start: float
    end: float
    rows: float
    cells: FloatArray
    """Shape (layout.size,); fractional counts are allowed."""
    full: bool = True
    """Whether recording began before the window did. If not, `start` is when recording began."""
    sums: FloatArray | None = None
    """Shape (members,): sums of the in-range values, where they are known."""
    strata: FloatArray | None = None
    """Shape (members, strata): rows that count for each member, by stratum of the reference, where it has strata."""
    since: FloatArray | None = None
    """Shape (members,): from when on rows count for each member, if for some that is later than `start`."""
    repeats: float = 1.0
    """So many rows are worth one, as rows of one entity repeat it; 1 where that is not known."""


@dataclass(frozen=True)
class TestResult:
    """One test (shape, missing or novel) of one feature in one window. Scores are debiased JS distances, 0 to 1.

    Two tests are of all features together, under the name "". The score of the one called correlation is the root mean
    square change of Fisher's transform of the correlations; that of domain how much the area under the ROC curve of a
    classifier exceeds one half.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    feature: str
    test: Literal["shape", "missing", "novel", "correlation", "domain"]
    window: str
    n: float
    m: float
    score: float
    score_low: float
    score_high: float
    threshold: float
    """Tolerance of a warning for this feature, test and window."""
    p_real: float
    p_value: float
    severity: Severity


@dataclass(frozen=True)
class BlindSpot:
    """An input, or a prediction (one of `PREDICTIONS`), whose shape can't alarm, and why, as a phrase."""

    feature: str
    reason: str


@dataclass(frozen=True)
class FeatureShift:
    """How a feature moved, in the numbers that an alert text needs."""

    feature: str
    window: str
    shift_sd: float | None
    missing_ratio: float
    missing_reference: float
    novel_ratio: float
    novel_reference: float
    below_ratio: float
    above_ratio: float
    attribution: float
    changed: tuple[tuple[str, float, float], ...] = ()
    """The cells that changed most: (label, share in the reference, share now)."""
    tail: tuple[str, float, float, float] | None = None
    """Where the distribution of a number changed most: ("above" or "below", an edge, share beyond it in the reference,
    share now). None for categories."""


@dataclass(frozen=True)
class FurtherScore:
    """A distance that was asked for beside the Jensen-Shannon distance, debiased, over all cells of a feature."""

    method: str
    feature: str
    window: str
    score: float
    limit: float | None = None
    """The fixed threshold of this method, if there is one."""


@dataclass(frozen=True)
class CorrelationChange:
    """How the correlation of two features moved, from -1 to 1, and which part of the whole change it is."""

    first: str
    second: str
    window: str
    before: float
    now: float
    share: float


@dataclass(frozen=True)
class FamilyResult:
    """The outcome of one kind of drift ("data", "prediction", "multivariate") for one model version."""

    drift_type: str
    state: str
    severity: Severity
    reason: str = ""
    """Why it is in that state, as a phrase: "needs 50 rows, has 12"."""
    tests: tuple[TestResult, ...] = ()
    """For each feature and window the worst test by p-value."""
    feature_severity: Mapping[str, Severity] = field(default_factory=dict)
    shifts: tuple[FeatureShift, ...] = ()
    """Drifted features, worst first."""
    noisy: tuple[str, ...] = ()
    """Features that vary so much by themselves that their shape can't alarm in any scored window."""
    further: tuple[FurtherScore, ...] = ()
    pairs: tuple[CorrelationChange, ...] = ()
    """Of multivariate drift: the pairs whose correlation changed most, worst first."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one drift check of one model version."""

    model_id: str
    model_version: str
    profile_id: str
    checked_at: float
    duration: float
    calibrated: bool
    families: Mapping[str, FamilyResult]
    windows: Mapping[str, float]
    """Rows per window."""
    reference_rows: float = 0.0
    prediction_mean: tuple[float, float] | None = None
    """Mean prediction in the reference and in the shortest scored window, where the prediction is numeric."""
    segments: Mapping[str, Mapping[str, FamilyResult]] = field(default_factory=dict)
    """By segment, and by "against version 7" where that is the baseline: what was found of it, features that changed
    alone."""


@dataclass(frozen=True)
class Alert:
    """An alert as stored, and as handlers receive it (:meth:`as_dict`)."""

    alert_id: str
    timestamp: str
    level: str
    type: str
    message: str
    data: dict[str, Any]
    model_id: str
    status: Literal["firing", "resolved"]
    fingerprint: str
    starts_at: str

    def as_dict(self) -> dict[str, Any]:
        """Return the dict that alert handlers receive (contract 1.1)."""
        return dict(self.__dict__)
