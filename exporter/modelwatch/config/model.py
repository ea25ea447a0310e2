"""What is watched of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, ValidationInfo, WrapValidator, field_validator, model_validator

from modelwatch.config.base import (
    ConfigModel,
    Count,
    Flag,
    Number,
    Text,
    check_reference,
    checked_name,
    drop_defaulted,
    duration_validator,
    name_validator,
)
from modelwatch.config.cron import Cron, parse_cron
from modelwatch.config.drift import DriftMonitoringConfig, FeaturesConfig
from modelwatch.config.entity import entity_warnings
from modelwatch.config.objective import ALERT_SEVERITIES, AlertName, AlertSeverity, Objective
from modelwatch.config.problems import EACH, Path, mistake, mistakes
from modelwatch.config.segments import SegmentKeys
from modelwatch.config.thresholds import (
    ALWAYS_WATCHED,
    DEFAULT_METRICS,
    DEFAULT_THRESHOLDS,
    KNOWN_METRICS,
    Task,
    Threshold,
    ThresholdRange,
    ThresholdValue,
    applies_to,
    custom_metric_warnings,
    misspelt_metric,
    range_mistake,
    resolve,
)
from modelwatch.config.values import parse_duration, plain_number, show
from modelwatch.exceptions import ConfigError, did_you_mean

__all__ = ["ModelMonitoringConfig"]

SHORTEST_INTERVAL = 1.0
LONGEST_INTERVAL = 30 * 86400.0
LONGEST_RETENTION_DAYS = 36500
LEARNING_DAYS = 16
"""For how long rows are kept while a reference is learnt from them: it may need two weeks from first to last."""


def _class_label(value: object, _: object) -> object:
    plain = plain_number(value)
    if (isinstance(plain, float) and plain != plain) or not isinstance(plain, (bool, int, float, str)):
        raise mistake(f"must be a class: a number, text, true or false, got {show(plain)}")
    return plain


@lru_cache(maxsize=256)
def _read_cron(text: str) -> Cron:
    """Return a schedule that was checked before; it is asked for at every check."""
    return parse_cron(text)


def _default_thresholds() -> dict[str, float | ThresholdRange]:
    return dict(DEFAULT_THRESHOLDS)


MetricName = Annotated[str, name_validator("a metric name")]
Label = Annotated[bool | int | float | str, WrapValidator(_class_label)]
Interval = Annotated[int | float | str, duration_validator(SHORTEST_INTERVAL, LONGEST_INTERVAL, "m")]


class ModelMonitoringConfig(ConfigModel):
    """What is watched of one model, and who is told.

    Only `model_id` is required. A dump made by ``model_dump`` validates to an equal object.

    Parameters
    ----------
    model_id : str
        Names the model in metrics, alerts and the store: printable text of up to 200 characters.
    performance_metrics : list of str, default accuracy, latency_ms, error_rate
        Which metrics ``update_model_metric`` takes. If only these or `performance_threshold` are given, the other
        follows.
    drift_detection_interval : int, float, str or timedelta, default 60
        Time between two drift checks: minutes, a duration such as "30m", or a timedelta; from 1 s to 30 days.
    schedule : str, optional
        A cron schedule of five fields instead of the interval, in the configuration's time zone.
    performance_threshold : dict, default accuracy 0.95, latency_ms 100, error_rate 0.01
        By metric a number, which is a floor or a ceiling as the metric has it (a floor for one that is not known), or
        ``{min:, max:, severity:}``. A default never alarms above "warning".
    alert_channels : list of str, default every receiver from warning up, else log
        Handlers and receivers, by name, that alerts of this model go to.
    log_predictions : bool, default True
        Whether rows are stored; counts always are.
    retention_days : int, default 90
        Days that what is recorded is kept. Counts stay for the longest of `drift.windows` and a day (8 days at least)
        even if that is longer; so do rows for 16 days while a reference is learnt from them.
    sampling_rate : float, default 1.0
        Share, 0 to 1, of predictions whose inputs are looked at and stored; totals, errors and latency are of all.
    task : {"binary", "multiclass", "regression", "score"}, optional
        Inferred where possible.
    model_version : str, default ""
        Of the process; usually given to the decorator, or by ``$MODELWATCH_MODEL_VERSION``.
    reference : str, default "auto"
        Path of a reference profile; "auto" learns one from production.
    drift : DriftMonitoringConfig or dict, optional
        How drift is looked for.
    features : FeaturesConfig or dict, optional
        Names to ``exclude`` and to read as ``categorical``, and weights by name as ``importance``.
    metadata_keys : list of str, optional
        Which keys of the metadata are stored; by default all that are passed.
    segments : str or list of str, optional
        Key of the metadata whose values divide the predictions into segments, or several keys that do so together. A
        sum over segments is the total; of the values of several keys a segment is called after all, as in "de/web".
    decision_threshold : float, default 0.5
        The score from which on the model says yes.
    positive_class : bool, int, float or str, default 1
        The class that scores are about.
    owner, runbook_url, dashboard_url : str, optional
        Shown in alerts: who to ask, what to do, where to look.
    latency_quantile : float, default 0.95
        The quantile, above 0 and below 1, that a threshold on latency_ms is about.
    objective : Objective or dict, optional
        What is promised over a month, as ``{error_rate:, latency_ms:, window:}``: generated rules alert when the budget
        of bad requests burns too fast.
    severity : dict, optional
        How bad alerts are that have no threshold, by name: ``{"MLModelNoPredictions": "error"}``; "none" is no alert.
        It holds for all versions of the model; of several that differ, the worst.
    defaulted
        Written by modelwatch itself: which values nobody wrote.

    Raises
    ------
    ConfigError
        With every mistake on a line of its own.

    Examples
    --------
    >>> config = ModelMonitoringConfig(model_id="account_health_model_v2", performance_threshold={"rmse": 0.15})
    >>> config.performance_metrics, config.thresholds["rmse"].max, config.interval_seconds
    (['rmse'], 0.15, 3600.0)
    """

    later: ClassVar[frozenset[str]] = frozenset(
        {
            "predecessor", "ground_truth", "extra_labels", "dry_run_until",
        }
    )  # fmt: skip

    model_id: Annotated[str, name_validator("model_id")] = Field(description="text")
    performance_metrics: list[MetricName] = Field(
        default_factory=lambda: list(DEFAULT_METRICS),
        description="a list of metric names",
        json_schema_extra={EACH: "a metric name"},
    )
    drift_detection_interval: Interval = Field(60, description='a number of minutes or a duration such as "30m"')
    schedule: Text | None = Field(None, description="a cron schedule of five fields, such as '0 2 * * *'")
    performance_threshold: dict[MetricName, ThresholdValue] = Field(
        default_factory=_default_thresholds,
        description="a mapping of metric name to threshold",
        json_schema_extra={EACH: "a finite number or {min:, max:, severity:}"},
    )
    alert_channels: list[Annotated[str, name_validator("an alert channel")]] = Field(
        default_factory=lambda: ["log"],
        description="a list of channels, such as [log, email, slack]",
        json_schema_extra={EACH: "the name of a channel"},
    )
    log_predictions: Flag = Field(True, description="true or false")
    retention_days: Count = Field(
        90, ge=1, le=LONGEST_RETENTION_DAYS, description=f"a whole number of days from 1 to {LONGEST_RETENTION_DAYS}"
    )
    sampling_rate: Number = Field(1.0, ge=0, le=1, description="a number from 0 to 1")

    task: Task | None = Field(None, description="one of 'binary', 'multiclass', 'regression', 'score'")
    model_version: Text = Field("", description="text")
    reference: Text = Field("auto", description="'auto' or the path of a reference profile")
    drift: DriftMonitoringConfig = Field(
        default_factory=DriftMonitoringConfig, description="a mapping of drift settings"
    )
    features: FeaturesConfig = Field(
        default_factory=FeaturesConfig, description="a mapping with the keys exclude, categorical, importance"
    )
    metadata_keys: tuple[Annotated[str, name_validator("a metadata key")], ...] | None = Field(
        None, description="a list of metadata keys to store", json_schema_extra={EACH: "the name of a metadata key"}
    )
    segments: SegmentKeys = Field(
        (),
        description="a metadata key, or a list of metadata keys",
        json_schema_extra={EACH: "the name of a metadata key"},
    )
    decision_threshold: Number = Field(0.5, description="a finite number")
    positive_class: Label = Field(1, description="a class: a number, text, true or false")
    owner: Text | None = Field(None, description="text")
    runbook_url: Text | None = Field(None, description="an address that begins with https:// or http://")
    dashboard_url: Text | None = Field(None, description="an address that begins with https:// or http://")
    latency_quantile: Number = Field(0.95, gt=0, lt=1, description="a number above 0 and below 1")
    objective: Objective | None = Field(None, description="a mapping with the keys error_rate, latency_ms, window")
    severity: dict[AlertName, AlertSeverity] = Field(
        default_factory=dict,
        description="a mapping of alert name to severity",
        json_schema_extra={EACH: ALERT_SEVERITIES},
    )
    defaulted: tuple[str, ...] = Field((), description="written by modelwatch itself: which values nobody wrote")

    if TYPE_CHECKING:
        # Type checkers without pydantic's plugin would ask for every field, and for the types that come out.
        def __init__(
            self,
            *,
            model_id: str,
            performance_metrics: Sequence[str] = ...,
            drift_detection_interval: float | str | timedelta = 60,
            schedule: str | None = None,
            performance_threshold: Mapping[str, float | ThresholdRange | Mapping[str, Any]] = ...,
            alert_channels: Sequence[str] = ...,
            log_predictions: bool = True,
            retention_days: int = 90,
            sampling_rate: float = 1.0,
            task: Task | None = None,
            model_version: str = "",
            reference: str = "auto",
            drift: DriftMonitoringConfig | Mapping[str, Any] = ...,
            features: FeaturesConfig | Mapping[str, Any] = ...,
            metadata_keys: Sequence[str] | None = None,
            segments: str | Sequence[str] = (),
            decision_threshold: float = 0.5,
            positive_class: float | str = 1,
            owner: str | None = None,
            runbook_url: str | None = None,
            dashboard_url: str | None = None,
            latency_quantile: float = 0.95,
            objective: Objective | Mapping[str, Any] | None = None,
            severity: Mapping[str, AlertSeverity] = ...,
        ) -> None: ...

    _drop_defaulted = model_validator(mode="before")(drop_defaulted)
    _check_reference = field_validator("reference")(check_reference)

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parse_cron(value)
        except ConfigError as error:
            raise mistake(str(error)) from None
        return " ".join(value.split())

    @field_validator("model_version", "owner")
    @classmethod
    def _printable(cls, value: str | None, info: ValidationInfo) -> str | None:
        return checked_name(value, str(info.field_name)) if value else value

    @field_validator("runbook_url", "dashboard_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith(("https://", "http://")) or not value.isprintable()):
            raise mistake(f"must be an address that begins with https:// or http://, got {show(value)}")
        return value

    @field_validator("performance_metrics", "alert_channels")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        return list(dict.fromkeys(names))

    @field_validator("performance_threshold")
    @classmethod
    def _within_range(cls, values: dict[str, ThresholdValue]) -> dict[str, ThresholdValue]:
        wrong: list[tuple[Path, str]] = [
            ((metric,), sentence) for metric, value in values.items() if (sentence := range_mistake(metric, value))
        ]
        if wrong:
            raise mistakes(wrong)
        return values

    @model_validator(mode="after")
    def _follow(self) -> ModelMonitoringConfig:
        """Fill in what follows from what was written, and remember which values those are."""
        tracked = ("performance_metrics", "performance_threshold", "alert_channels")
        absent = tuple(name for name in tracked if name not in self.model_fields_set)
        own = self.__dict__
        if "performance_threshold" in absent:
            own["performance_threshold"] = {
                metric: DEFAULT_THRESHOLDS[metric]
                for metric in self.performance_metrics
                if metric in DEFAULT_THRESHOLDS
            }
        elif "performance_metrics" in absent:
            own["performance_metrics"] = list(self.performance_threshold)
        own["defaulted"] = absent
        return self

    @model_validator(mode="after")
    def _drift_agrees(self) -> ModelMonitoringConfig:
        if self.drift.model_id not in (None, self.model_id):
            raise mistake(f"drift.model_id must be left out or {show(self.model_id)}, got {show(self.drift.model_id)}")
        if self.drift.reference not in ("auto", self.reference):
            if self.reference != "auto":
                raise mistake(
                    f"drift.reference and reference must not differ, got {show(self.drift.reference)}"
                    f" and {show(self.reference)}"
                )
            self.__dict__["reference"] = self.drift.reference
        return self

    @property
    def interval_seconds(self) -> float:
        """Seconds between two scheduled drift checks; with a `schedule`, their mean."""
        cron = self.cron
        return cron.gaps()[0] if cron is not None else parse_duration(self.drift_detection_interval)

    @property
    def longest_interval_seconds(self) -> float:
        """The longest time between two scheduled drift checks, in seconds."""
        cron = self.cron
        return cron.gaps()[1] if cron is not None else parse_duration(self.drift_detection_interval)

    @property
    def cron(self) -> Cron | None:
        """The `schedule`, read; None where checks come at an interval."""
        return None if self.schedule is None else _read_cron(self.schedule)

    @property
    def channels_written(self) -> bool:
        """Whether somebody wrote `alert_channels`; if not, every configured receiver is told from warning up."""
        return "alert_channels" not in self.defaulted

    @property
    def thresholds(self) -> dict[str, Threshold]:
        """Thresholds by metric, with their directions; a default is left out where its metric makes no sense.

        Errors and latency are always watched: where nobody wrote a threshold for them, by the default one.
        """
        written = "performance_threshold" not in self.defaulted
        found = {
            metric: resolve(metric, value, written=written)
            for metric, value in self.performance_threshold.items()
            if written or applies_to(metric, self.task)
        }
        always = {m: resolve(m, DEFAULT_THRESHOLDS[m], written=False) for m in ALWAYS_WATCHED if m not in found}
        return found | always

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed, but probably not what was meant."""
        out = custom_metric_warnings(self.performance_threshold)
        if not self.alert_channels:
            out.append("alert_channels is empty: nobody is told of any alert; leave it out to tell every receiver")
        out += [
            f"performance_metrics: {show(metric)} is taken as a metric of your own{hint}"
            for metric in self.performance_metrics
            if metric not in self.performance_threshold and (hint := misspelt_metric(metric))
        ]
        if self.schedule is not None and "drift_detection_interval" in self.model_fields_set:
            out.append(
                f"schedule {show(self.schedule)} and drift_detection_interval {show(self.drift_detection_interval)} are"
                " both written; the schedule is used"
            )
        out += [
            f"performance_threshold.{metric}: {show(metric)} is not among performance_metrics"
            f" ({', '.join(self.performance_metrics)}){did_you_mean(metric, self.performance_metrics)};"
            " values of it given to update_model_metric are refused"
            for metric in self.performance_threshold
            if metric not in self.performance_metrics and metric not in ("latency_ms", "error_rate")
        ]
        out += self._retention_warnings()
        out += entity_warnings(
            self.drift.entity,
            log_predictions=self.log_predictions,
            metadata_keys=self.metadata_keys,
            excluded=self.features.exclude,
        )
        if self.task is not None:
            out += [
                f"performance_threshold.{metric}: {metric} makes no sense for the task {self.task!r}"
                for metric, threshold in self.thresholds.items()
                if threshold.written and metric in KNOWN_METRICS and not applies_to(metric, self.task)
            ]
        return tuple(out)

    def _retention_warnings(self) -> list[str]:
        out, days = [], self.retention_days
        longest, seconds = list(self.drift.window_seconds.items())[-1]
        if days * 86400 < seconds:
            out.append(
                f"retention_days {days} is shorter than the longest drift window, {longest}: counts are kept for that"
                " long, and a day more"
            )
        if self.reference == "auto" and self.log_predictions and days < LEARNING_DAYS:
            out.append(
                f"retention_days {days} is shorter than learning a reference may take: it is learnt if 5 000 rows come"
                " within that time"
            )
        if self.reference == "auto" and not self.log_predictions and days < LEARNING_DAYS:
            out.append(
                f"retention_days {days} is shorter than the {LEARNING_DAYS} days at most for which rows are kept while"
                " a reference is learnt from them"
            )
        return out
