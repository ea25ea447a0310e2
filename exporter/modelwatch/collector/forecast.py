"""How many series a model will be exposed as, before anything was recorded: the same arithmetic as the collectors'.

Kept beside :mod:`~modelwatch.collector.recording` and :mod:`~modelwatch.collector.results`, which it counts for; a test
compares it with what they expose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelwatch import conventions as c
from modelwatch.collector.drift_results import MAX_ATTRIBUTED, OF_ONE_FEATURE
from modelwatch.collector.folding import Plan, histogram_series, member_series, plan_classes, plan_profile
from modelwatch.collector.recording import FAULTS_OF_A_PROCESS, fixed_series
from modelwatch.collector.results import MAX_REFERENCE_SERIES
from modelwatch.config import DEFAULT_MAX_SERIES
from modelwatch.performance import OPERATIONAL_METRICS, bounds_of
from modelwatch.recorder.outcomes import SCORE_CLASSES
from modelwatch.recorder.segments import MAX_SEGMENTS
from modelwatch.records import PREDICTIONS, FeatureCells

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig
    from modelwatch.recorder import RecordedModel
    from modelwatch.records import CellLayout

__all__ = [
    "PROCESS_SERIES",
    "SIDECAR_SERIES",
    "drifting_series",
    "endpoint_series",
    "recorded_plan",
    "recorded_series",
    "reference_series",
    "references_fit",
    "result_series",
]

PROCESS_SERIES = len((c.BUFFERED_RECORDS, c.SHARED_COUNTERS, c.BUILD_INFO, c.STORAGE_INFO)) + len(FAULTS_OF_A_PROCESS)
"""Of whoever exposes recordings, whatever is recorded."""
SIDECAR_SERIES = len((*c.SIDECAR_METRICS, c.BUILD_INFO, c.STORAGE_INFO))
"""Of a sidecar, beside the results."""
MOST_PAIRS = 5
_LEARNING = 2
"""Missing and invalid values of one input, counted while there are no cells, and shown beside them afterwards."""


def recorded_series(
    model: RecordedModel,
    layout: CellLayout | None,
    metrics: int = 0,
    *,
    learnt: int = 0,
    limit: int = DEFAULT_MAX_SERIES,
) -> int:
    """Return how many series one version of a model has where predictions are made; by segment, at most.

    Parameters
    ----------
    model
        What is recorded of it.
    layout
        The cells of its reference; None where there is none yet.
    metrics
        How many metrics are given to ``update_model_metric``.
    learnt
        How many inputs were counted before there was a reference.
    limit
        How many there may be.
    """
    others = fixed_series(model) + metrics + learnt * _LEARNING
    segmented = bool(model.segments)
    plan, room = plan_classes(model, limit - others, segmented=segmented)
    found = others + _classes(model, layout) * (plan.segments if segmented else 1)
    if layout is None:
        return found
    plan, _ = plan_profile(model, layout, room, segmented=segmented)
    shown = sum(member_series(member) for member in layout.members if member.name not in plan.hidden)
    return found + shown * (plan.segments if segmented else 1)


def recorded_plan(model: RecordedModel, layout: CellLayout, metrics: int, *, learnt: int, limit: int) -> Plan:
    """Return what is shown of the cells of a model's reference; see :func:`recorded_series`."""
    room = limit - fixed_series(model) - metrics - learnt * _LEARNING
    _, room = plan_classes(model, room, segmented=bool(model.segments))
    return plan_profile(model, layout, room, segmented=bool(model.segments))[0]


def result_series(config: ModelMonitoringConfig, layout: CellLayout | None, windows: int, scored: int) -> int:
    """Return how many series the results of one version of a model are, once all windows are full and nothing drifts.

    Without the references, which are all or none: see :func:`references_fit`.

    Parameters
    ----------
    config
        Its thresholds.
    layout
        The cells of its reference; None where there is none yet.
    windows, scored
        How many windows are looked at, and how many of these are scored.
    """
    bounds = [bound for threshold in config.thresholds.values() for bound in bounds_of(threshold)]
    judged = [metric for metric in config.thresholds if metric not in OPERATIONAL_METRICS]
    limits = 2 * len(bounds) + len(judged) + len((c.LATENCY_QUANTILE, c.SILENCE_LIMIT))
    learning = int(config.reference == "auto")
    checks = len(
        (c.DRIFT_CHECKS, c.DRIFT_CHECK_FAILURES, c.DRIFT_CHECK_DURATION, c.DRIFT_CHECK_INTERVAL, c.DRIFT_LAST_SUCCESS)
    )
    together = config.drift.multivariate != "off"
    states = (len(c.DRIFT_ALERTS) - (not together)) * (len(c.DRIFT_STATES) + 1)
    counts = len((c.DRIFT_CALIBRATED, c.DRIFTED_FEATURES, c.SCORED_FEATURES))
    fixed = limits + learning + checks + states + counts + _parts(config) * len(OF_ONE_FEATURE)
    if layout is None:
        return fixed
    inputs = [name for name in _names(layout) if name not in PREDICTIONS.union(config.features.exclude)]
    compared = together and config.log_predictions and len(inputs) > 1
    tested = len(inputs) + len(layout.predictions) + compared
    scores = len((c.DRIFT_SCORE, c.DRIFT_THRESHOLD)) * tested * scored
    noisy = tested - compared
    further = sum(_further(member, config) for member in layout.members if member.name not in config.features.exclude)
    severities = len(inputs) + (layout.score is not None)  # that of the prediction stands for the whole
    return fixed + len(("current", "reference")) * windows + severities + scores + noisy + further * scored


def drifting_series(config: ModelMonitoringConfig, layout: CellLayout, scored: int) -> int:
    """Return how many more series there are at most while everything drifts: shifts and shares of inputs."""
    tested = sum(name not in config.features.exclude for name in _names(layout))
    each = len((c.DRIFT_SEVERITY,)) + len((c.DRIFT_SCORE, c.DRIFT_THRESHOLD)) * scored
    parts = _parts(config) * (min(tested, MAX_ATTRIBUTED) + 1) * each
    return (
        len((c.FEATURE_SHIFT_SD, c.FEATURE_MISSING_RATIO, c.FEATURE_NOVEL_RATIO)) * tested * scored
        + MAX_ATTRIBUTED
        + parts
        + (0 if config.drift.multivariate == "off" else MOST_PAIRS * len(("current", "reference")))
    )


def _parts(config: ModelMonitoringConfig) -> int:
    """Return how many parts a version is scored by besides the whole, at most."""
    return MAX_SEGMENTS * bool(config.segments) + (config.drift.compare is not None)


def reference_series(layout: CellLayout) -> int:
    """Return how many series a reference is, exposed as constant histograms."""
    return sum(map(_reference_member, layout.members))


def references_fit(layouts: Iterable[CellLayout]) -> bool:
    """Return whether references are exposed: all of them, or none where they would be too many."""
    # As the collector estimates it, before it makes any.
    return sum(2 * member.size + 3 for layout in layouts for member in layout.members) <= MAX_REFERENCE_SERIES


def endpoint_series(channels: int) -> int:
    """Return how many series whoever exposes results has beside those of models, once every channel was used."""
    return len((c.LAST_SCRAPE, c.STORE_SIZE)) + len((c.NOTIFICATIONS, c.NOTIFICATION_FAILURES)) * channels


def _names(layout: CellLayout) -> list[str]:
    return [member.name for member in layout.members]


def _classes(model: RecordedModel, layout: CellLayout | None) -> int:
    prediction = layout.prediction if layout is not None else None
    if prediction is not None and prediction.kind == "categorical":
        return len(prediction.categories)
    return len(SCORE_CLASSES) if model.class_threshold is not None else 0


def _further(member: FeatureCells, config: ModelMonitoringConfig) -> int:
    """Return how many further scores and fixed thresholds a member has in a window.

    Some are of numbers only, and of such that differ.
    """
    numeric = member.kind == "numeric"
    lacking = (
        () if numeric and member.minimum < member.edges[-1] else ("wasserstein",) if numeric else c.ORDERED_METHODS
    )
    methods = [method for method in config.drift.further_methods if method not in lacking]
    return len(methods) + sum(method in config.drift.fixed_thresholds for method in methods)


def _reference_member(member: FeatureCells) -> int:
    if member.kind == "categorical":
        return len(member.categories) + 1
    bins = 0 if member.name in PREDICTIONS else len(member.edges) + 1
    return histogram_series(member.edges) + bins
