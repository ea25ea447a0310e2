"""Metrics that everybody knows, which way is better for each, and the thresholds on them."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from modelwatch.config.base import SEVERITIES, ConfigModel, Number, SeverityName
from modelwatch.config.problems import mistake
from modelwatch.config.values import plain_number, show
from modelwatch.exceptions import InputError, did_you_mean

__all__ = [
    "ALWAYS_WATCHED",
    "DEFAULT_METRICS",
    "DEFAULT_THRESHOLDS",
    "KNOWN_METRICS",
    "Metric",
    "Task",
    "Threshold",
    "ThresholdRange",
    "ThresholdValue",
    "applies_to",
    "custom_metric_warnings",
    "misspelt_metric",
    "range_mistake",
    "resolve",
    "thresholds_from_baseline",
    "value_mistake",
]

Task = Literal["binary", "multiclass", "regression", "score"]


@dataclass(frozen=True)
class Metric:
    """A well-known metric: whether more of it is better, the values it can take, the tasks it makes sense for."""

    floor: bool
    lowest: float
    highest: float
    tasks: tuple[Task, ...]


_INF = float("inf")
_ROUNDING = 1e-9
_GUESSABLE = 6
"""Letters of a name from which on a close one is taken for a slip."""
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_SCORES: tuple[Task, ...] = ("binary", "multiclass", "score")
_NUMBERS: tuple[Task, ...] = ("regression", "score")
_ALL: tuple[Task, ...] = ("binary", "multiclass", "regression", "score")

KNOWN_METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(True, 0, 1, _CLASSES),
    "precision": Metric(True, 0, 1, _CLASSES),
    "recall": Metric(True, 0, 1, _CLASSES),
    "f1": Metric(True, 0, 1, _CLASSES),
    "auc": Metric(True, 0, 1, _SCORES),
    "r2": Metric(True, -_INF, 1, _NUMBERS),
    "latency_ms": Metric(False, 0, _INF, _ALL),
    "error_rate": Metric(False, 0, 1, _ALL),
    "misclassification_rate": Metric(False, 0, 1, _CLASSES),
    "rmse": Metric(False, 0, _INF, _NUMBERS),
    "mae": Metric(False, 0, _INF, _NUMBERS),
    "mape": Metric(False, 0, _INF, _NUMBERS),
    "log_loss": Metric(False, 0, _INF, _SCORES),
    "brier": Metric(False, 0, 1, _SCORES),
}
DEFAULT_THRESHOLDS: Mapping[str, float] = {"accuracy": 0.95, "latency_ms": 100.0, "error_rate": 0.01}
DEFAULT_METRICS = tuple(DEFAULT_THRESHOLDS)
ALWAYS_WATCHED = ("latency_ms", "error_rate")
"""What every model is watched for, whatever its metrics are."""


class ThresholdRange(ConfigModel):
    """A threshold written out: ``{min:, max:, severity:}``, with at least one bound."""

    min: Number | None = Field(None, description="a finite number")
    max: Number | None = Field(None, description="a finite number")
    severity: SeverityName | None = Field(None, description=SEVERITIES)

    @model_validator(mode="after")
    def _has_bounds_in_order(self) -> ThresholdRange:
        if self.min is None and self.max is None:
            raise mistake("a threshold needs 'min', 'max' or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise mistake(f"'min' must not be above 'max', got min {self.min:g} and max {self.max:g}")
        return self


def _kind(value: object) -> str:
    return "range" if isinstance(value, (Mapping, ThresholdRange)) else "number"


ThresholdValue = Annotated[
    Annotated[Number, Tag("number")] | Annotated[ThresholdRange, Tag("range")], Discriminator(_kind)
]


class Threshold(BaseModel):
    """A threshold as it is checked: `min` is a floor, `max` a ceiling, None means unbounded on that side.

    A threshold with ``written`` False is a default that nobody asked for: it is shown, and never alarms above warning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    metric: str
    min: float | None = None
    max: float | None = None
    severity: SeverityName | None = None
    written: bool = True


def resolve(metric: str, value: float | ThresholdRange, *, written: bool) -> Threshold:
    """Return the threshold that a configured value stands for: a bare number takes its direction from the metric.

    >>> resolve("rmse", 0.15, written=True).max, resolve("auc", 0.85, written=True).min
    (0.15, 0.85)
    """
    if isinstance(value, ThresholdRange):
        return Threshold(metric=metric, min=value.min, max=value.max, severity=value.severity, written=written)
    known = KNOWN_METRICS.get(metric)
    if known is None or known.floor:
        return Threshold(metric=metric, min=value, written=written)
    return Threshold(metric=metric, max=value, written=written)


def applies_to(metric: str, task: str | None) -> bool:
    """Say whether a metric makes sense for a task; without a task, and for custom metrics, it does.

    >>> applies_to("accuracy", "regression"), applies_to("accuracy", None), applies_to("clicks", "score")
    (False, True, True)
    """
    known = KNOWN_METRICS.get(metric)
    return known is None or task is None or task in known.tasks


def range_mistake(metric: str, value: float | ThresholdRange) -> str | None:
    """Return a sentence if a threshold lies where its metric never goes (92 for a share), else None."""
    known = KNOWN_METRICS.get(metric)
    bounds = (value.min, value.max) if isinstance(value, ThresholdRange) else (value,)
    wrong = [b for b in bounds if b is not None and known is not None and not known.lowest <= b <= known.highest]
    if known is None or not wrong:
        return None
    return _outside(metric, known, wrong[0], "its threshold", f"a threshold of {metric}")


def value_mistake(metric: str, value: float) -> str | None:
    """
    Return a sentence if a value lies where its metric never goes, by more than floats err, else None.

    >>> value_mistake("accuracy", 85)
    'accuracy is a share: its value must be a number from 0 to 1, got 85 (did you mean 0.85?)'
    >>> value_mistake("r2", 1.0000000001), value_mistake("clicks", 85)
    (None, None)
    """
    known = KNOWN_METRICS.get(metric)
    if known is None or known.lowest - _ROUNDING <= value <= known.highest + _ROUNDING:
        return None
    return _outside(metric, known, value, "its value", f"the value of {metric}")


def _outside(metric: str, known: Metric, value: float, of_a_share: str, of_another: str) -> str:
    if (known.lowest, known.highest) == (0, 1):
        percent = f" (did you mean {value / 100:g}?)" if 1 < value <= 100 else ""
        return f"{metric} is a share: {of_a_share} must be a number from 0 to 1, got {value:g}{percent}"
    limit = f"at most {known.highest:g}" if known.highest < _INF else f"{known.lowest:g} or more"
    return f"{of_another} must be a number {limit}, got {value:g}"


def misspelt_metric(metric: str) -> str:
    """
    Return a hint at the known metric that was probably meant; short names differ too little to guess.

    >>> misspelt_metric("acuracy"), misspelt_metric("RMSE"), misspelt_metric("rmsle"), misspelt_metric("accuracy")
    (" (did you mean 'accuracy'?)", " (did you mean 'rmse'?)", '', '')
    """
    if metric in KNOWN_METRICS:
        return ""
    if metric.lower() in KNOWN_METRICS:
        return f" (did you mean {metric.lower()!r}?)"
    return did_you_mean(metric.lower(), KNOWN_METRICS, cutoff=0.85) if len(metric) >= _GUESSABLE else ""


def custom_metric_warnings(values: Mapping[str, float | ThresholdRange]) -> list[str]:
    """Return a warning for each bare number whose direction had to be guessed."""
    return [
        f"performance_threshold.{metric}: {show(metric)} is not a metric modelwatch knows"
        f"{did_you_mean(metric.lower(), KNOWN_METRICS)}, so {value:g} is taken as a floor;"
        f" write {{max: {value:g}}} if less is better, or {{min: {value:g}}} to silence this"
        for metric, value in values.items()
        if metric not in KNOWN_METRICS and not isinstance(value, ThresholdRange)
    ]


def thresholds_from_baseline(metrics: Mapping[str, float], margin: float = 0.1) -> dict[str, float]:
    """
    Return thresholds for `ModelMonitoringConfig` from what a model reached when it was trained.

    A metric of which more is better (accuracy, r2 …) gets a floor below its baseline, one of which less is better
    (error_rate, latency_ms, rmse …) a ceiling above it, by that share of the baseline, within the metric's range.

    Parameters
    ----------
    metrics
        ``{metric: baseline}``, finite numbers; numpy's too.
    margin
        From 0 up to, but not, 1: the share of the baseline by which it may get worse.

    Returns
    -------
    dict
        ``{metric: threshold}``, as ``performance_threshold`` takes it. A metric modelwatch doesn't know is taken as a
        floor, of which registering the model warns, with how to say otherwise.

    Raises
    ------
    InputError
        If a baseline is no finite number or lies where its metric never goes, or the margin is out of range.

    Examples
    --------
    >>> thresholds_from_baseline({"accuracy": 0.92, "rmse": 12.0, "r2": -0.5})
    {'accuracy': 0.828, 'rmse': 13.2, 'r2': -0.55}
    >>> thresholds_from_baseline({"accuracy": 92})
    Traceback (most recent call last):
    modelwatch.exceptions.InputError: the baseline of accuracy must be a number from 0 to 1, got 92
    """
    share = plain_number(margin)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
        raise InputError(f"margin must be a number of 0 or more and below 1, got {show(margin)}")
    if not isinstance(metrics, Mapping):
        raise InputError(f"metrics must be a mapping of metric to baseline, got {type(metrics).__name__}")
    return {str(metric): _worse(str(metric), value, share) for metric, value in metrics.items()}


def _worse(metric: str, baseline: object, share: float) -> float:
    """Return a baseline made worse by a share of itself, within the range of its metric."""
    number = _finite(baseline)
    if number is None:
        raise InputError(f"the baseline of {metric} must be a finite number, got {show(baseline)}")
    known = KNOWN_METRICS.get(metric, _UNKNOWN)
    if not known.lowest <= number <= known.highest:
        allowed = f"from {known.lowest:g} to {known.highest:g}" if math.isfinite(known.lowest + known.highest) else (
            f"of at most {known.highest:g}" if math.isfinite(known.highest) else f"of {known.lowest:g} or more"
        )  # fmt: skip
        raise InputError(f"the baseline of {metric} must be a number {allowed}, got {number:g}")
    # In decimals, as people write both: nine tenths of 0.92 are 0.828.
    exact = Decimal(repr(number))
    step = abs(exact) * Decimal(repr(float(share)))
    moved = float(exact - step if known.floor else exact + step)
    largest = sys.float_info.max
    return min(max(moved, known.lowest, -largest), known.highest, largest)


def _finite(value: object) -> float | None:
    plain = plain_number(value)
    if isinstance(plain, bool) or not isinstance(plain, (int, float)):
        return None
    try:
        return float(plain) if math.isfinite(plain) else None
    except OverflowError:
        return None


_UNKNOWN = Metric(True, -_INF, _INF, _ALL)
"""What a metric that nobody knows is taken for."""
