"""How a model's drift is looked for: windows, alarm budget, cells and severities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, field_validator, model_validator

from modelwatch.config.base import (
    ConfigModel,
    Count,
    Number,
    Text,
    check_reference,
    drop_defaulted,
    duration_validator,
    name_validator,
)
from modelwatch.config.problems import EACH, mistake
from modelwatch.config.values import parse_duration, show

__all__ = ["DEFAULT_WINDOWS", "DriftMonitoringConfig", "DriftThresholds", "FeaturesConfig"]

DEFAULT_WINDOWS = ("1h", "24h", "168h")
SHORTEST_WINDOW = 1.0
LONGEST_WINDOW = 90 * 86400.0
LONGEST_COUNT_INTERVAL = 300.0

Window = Annotated[str, duration_validator(SHORTEST_WINDOW, LONGEST_WINDOW, None)]
Share = Annotated[Number, Field(gt=0, lt=1)]
SHARE = "a number above 0 and below 1"
FeatureName = Annotated[str, name_validator("a feature name")]


class DriftThresholds(ConfigModel):
    """Debiased Jensen-Shannon distances (0 to 1) from which drift is a warning, an error, critical."""

    warning: Share = Field(0.05, description=SHARE)
    error: Share = Field(0.10, description=SHARE)
    critical: Share = Field(0.20, description=SHARE)

    @model_validator(mode="after")
    def _ascend(self) -> DriftThresholds:
        if not self.warning < self.error < self.critical:
            raise mistake(
                f"must ascend: warning < error < critical, got {self.warning:g}, {self.error:g}, {self.critical:g}"
            )
        return self


class DriftMonitoringConfig(ConfigModel):
    """How drift of one model is looked for.

    Parameters
    ----------
    model_id : str, optional
        The model; left out where this stands inside a :class:`ModelMonitoringConfig`.
    reference : str, default "auto"
        Path of a reference profile; "auto" learns one from production.
    windows : list of str, default "1h", "24h", "168h"
        The last how long is looked at, as durations from 1 s to 90 days. The interval of the checks is another matter.
    false_alarms_per_30d : float, default 1.0
        How many false alarms this model may cause in 30 days, over all inputs, windows and checks; at most 1000.
    bins : int, default 20
        Cells of a numeric input when a profile is learnt or built, 10 to 64.
    min_rows : int, default 50
        Rows that a window needs to be scored.
    thresholds : DriftThresholds or dict, default warning 0.05, error 0.10, critical 0.20
        Jensen-Shannon distances, 0 to 1, from which drift has each severity.
    defaulted
        Written by modelwatch itself: which values nobody wrote.

    Raises
    ------
    ConfigError
        With every mistake on a line of its own.

    Examples
    --------
    >>> DriftMonitoringConfig(windows=["24h", "1h"]).window_seconds
    {'1h': 3600.0, '24h': 86400.0}
    """

    later: ClassVar[frozenset[str]] = frozenset(
        {
            "tolerance", "methods", "fixed_thresholds", "confirm", "timezone", "strata", "entity", "compare",
            "min_label_coverage",
        }
    )  # fmt: skip

    model_id: Annotated[str, name_validator("model_id")] | None = Field(None, description="text")
    reference: Text = Field("auto", description="'auto' or the path of a reference profile")
    windows: tuple[Window, ...] = Field(
        DEFAULT_WINDOWS,
        description='a list of at least one duration, such as ["1h", "24h", "168h"]',
    )
    false_alarms_per_30d: Number = Field(
        1.0, gt=0, le=1000, description="a number above 0 and at most 1000 (false alarms per 30 days and model)"
    )
    bins: Count = Field(20, ge=10, le=64, description="a whole number from 10 to 64")
    min_rows: Count = Field(50, ge=1, le=10**9, description="a whole number of 1 or more")
    thresholds: DriftThresholds = Field(
        default_factory=DriftThresholds, description="a mapping with the keys warning, error, critical"
    )
    defaulted: tuple[str, ...] = Field((), description="written by modelwatch itself: which values nobody wrote")

    if TYPE_CHECKING:
        # Type checkers without pydantic's plugin would ask for every field, and for the types that come out.
        def __init__(
            self,
            *,
            model_id: str | None = None,
            reference: str = "auto",
            windows: Sequence[str] = ...,
            false_alarms_per_30d: float = 1.0,
            bins: int = 20,
            min_rows: int = 50,
            thresholds: DriftThresholds | Mapping[str, float] = ...,
        ) -> None: ...

    _drop_defaulted = model_validator(mode="before")(drop_defaulted)
    _check_reference = field_validator("reference")(check_reference)

    @field_validator("windows")
    @classmethod
    def _ascending_and_unique(cls, windows: tuple[str, ...]) -> tuple[str, ...]:
        if not windows:
            raise mistake('must be a list of at least one duration, such as ["1h", "24h", "168h"], got an empty list')
        ordered = sorted(windows, key=_seconds)
        for first, second in pairwise(ordered):
            if _seconds(first) == _seconds(second):
                raise mistake(f"windows must differ, got {show(first)} and {show(second)}, which are the same")
        return tuple(ordered)

    @model_validator(mode="after")
    def _note_defaulted(self) -> DriftMonitoringConfig:
        self.__dict__["defaulted"] = () if "windows" in self.model_fields_set else ("windows",)
        return self

    @property
    def window_seconds(self) -> dict[str, float]:
        """Seconds by window label as written, ascending."""
        return {window: _seconds(window) for window in self.windows}

    @property
    def windows_written(self) -> bool:
        """Whether somebody wrote the windows."""
        return "windows" not in self.defaulted

    @property
    def count_interval_seconds(self) -> float:
        """Length in seconds of the intervals that are counted in: a quarter of the shortest window, at most 5 min."""
        return min(LONGEST_COUNT_INTERVAL, _seconds(self.windows[0]) / 4)


def _seconds(window: str) -> float:
    return parse_duration(window, default_unit=None)


class FeaturesConfig(ConfigModel):
    """Which features to leave out, which to read as categories, and which matter most."""

    exclude: tuple[FeatureName, ...] = Field(
        (), description="a list of feature names", json_schema_extra={EACH: "a feature name"}
    )
    categorical: tuple[FeatureName, ...] = Field(
        (), description="a list of feature names", json_schema_extra={EACH: "a feature name"}
    )
    importance: dict[FeatureName, Annotated[Number, Field(ge=0)]] = Field(
        default_factory=dict,
        description="a mapping of feature name to importance",
        json_schema_extra={EACH: "a finite number of 0 or more"},
    )

    @field_validator("exclude", "categorical", mode="after")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names))
