"""How a model's drift is looked for: windows, alarm budget, cells and severities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from modelwatch.config.base import (
    ConfigModel,
    Count,
    Number,
    Text,
    check_reference,
    checked_zone,
    drop_defaulted,
    duration_validator,
    name_validator,
)
from modelwatch.config.problems import EACH, mistake
from modelwatch.config.values import parse_duration, show

__all__ = ["DEFAULT_WINDOWS", "CompareConfig", "DriftMonitoringConfig", "DriftThresholds", "FeaturesConfig"]

DEFAULT_WINDOWS = ("1h", "24h", "168h")
SHORTEST_WINDOW = 1.0
LONGEST_WINDOW = 90 * 86400.0
LONGEST_COUNT_INTERVAL = 300.0

Window = Annotated[str, duration_validator(SHORTEST_WINDOW, LONGEST_WINDOW, None)]
Share = Annotated[Number, Field(gt=0, lt=1)]
SHARE = "a number above 0 and below 1"
FeatureName = Annotated[str, name_validator("a feature name")]
Method = Literal["psi", "chi_square", "cramers_v", "hellinger", "total_variation", "kl", "ks", "wasserstein"]
METHODS = "one of 'psi', 'chi_square', 'cramers_v', 'hellinger', 'total_variation', 'kl', 'ks', 'wasserstein'"
MOST_CONFIRMING = 24


def _as_text(value: object) -> object:
    return str(value) if type(value) is int else value


def _as_word(value: object) -> object:
    # To YAML a bare off is a truth value.
    return "off" if value is False else value


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


class CompareConfig(ConfigModel):
    """What other versions of a model are compared with besides the reference: a stable one, in the same hours."""

    baseline_version: Annotated[str, name_validator("a model version")] = Field(description="a model version")


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
    tolerance : dict of feature to distance, optional
        What is tolerated of a feature, in place of what was learnt of it: a Jensen-Shannon distance, 0 to 1. It is a
        cap on what is learnt, and where that is less, or nothing is learnt, it is the tolerance; `thresholds` are the
        least of it. ``modelwatch backtest`` says which would have kept a feature silent.
    methods : list of str, optional
        Further scores that are exported, debiased: psi, chi_square, cramers_v, hellinger, total_variation, kl, and of
        numbers ks and wasserstein.
    fixed_thresholds : dict of method to number, optional
        Debiased scores beyond which drift is a warning, if it is real, whatever is tolerated: ``{"psi": 0.2}``. Never
        more than a warning; exported as those of `methods` are.
    confirm : str, optional
        "2/3": a severity is told once two of the last three checks found it.
    timezone : str, optional
        IANA name of the zone of the hours that are compared; default that of the file, else of the profile.
    strata : {"auto", "none", "48", "168"}, default "auto"
        Which hours are compared with which: hours of the day on weekdays and weekends (48), of the week (168).
    compare : CompareConfig or dict, optional
        ``{"baseline_version": "7"}``: other versions are compared with that one too, in the same hours.
    multiplicity : {"bh", "by"}, default "bh"
        How the many tests of a check share its budget: Benjamini-Hochberg, or the stricter Benjamini-Yekutieli.
    multivariate : {"correlation", "domain_classifier", "off"}, default "correlation"
        How changes between features are looked for: by correlations beside those of the reference; or by a classifier
        of scikit-learn that tries to tell the rows of a window from those stored in the 30 days before it, which finds
        changes of any kind, but takes a third of a second for a thousand rows, and forgets.
    entity : str, optional
        A feature or a key of the metadata, such as a user, whose rows say the same again: a window's rows count for as
        many as are independent, but for the domain classifier. A name that is both is the feature. It is looked up in
        stored rows, so it needs `log_predictions`, and in batches that are handed over whole.
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

    later: ClassVar[frozenset[str]] = frozenset({"min_label_coverage"})

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
    tolerance: dict[FeatureName, Share] = Field(
        default_factory=dict,
        description="a mapping of feature name to distance",
        json_schema_extra={EACH: SHARE},
    )
    methods: tuple[Method, ...] = Field((), description=f"a list of {METHODS}", json_schema_extra={EACH: METHODS})
    fixed_thresholds: dict[Method, Annotated[Number, Field(gt=0)]] = Field(
        default_factory=dict,
        description=f"a mapping of {METHODS} to a number above 0",
        json_schema_extra={EACH: "a number above 0"},
    )
    confirm: Text | None = Field(None, description="such as '2/3', two of the last three checks")
    timezone: Text | None = Field(None, description="the name of a time zone, such as 'Europe/Berlin'")
    strata: Annotated[Literal["auto", "none", "48", "168"], BeforeValidator(_as_text)] = Field(
        "auto", description="one of 'auto', 'none', '48', '168'"
    )
    compare: CompareConfig | None = Field(None, description="a mapping with the key baseline_version")
    multiplicity: Literal["bh", "by"] = Field("bh", description="one of 'bh', 'by'")
    multivariate: Annotated[Literal["correlation", "domain_classifier", "off"], BeforeValidator(_as_word)] = Field(
        "correlation", description="one of 'correlation', 'domain_classifier', 'off'"
    )
    entity: Annotated[str, name_validator("a feature or a key of the metadata")] | None = Field(
        None, description="the name of a feature or of a key of the metadata"
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
            tolerance: Mapping[str, float] = ...,
            methods: Sequence[Method] = (),
            fixed_thresholds: Mapping[Method, float] = ...,
            confirm: str | None = None,
            timezone: str | None = None,
            strata: Literal["auto", "none", "48", "168"] = "auto",
            compare: CompareConfig | Mapping[str, str] | None = None,
            multiplicity: Literal["bh", "by"] = "bh",
            multivariate: Literal["correlation", "domain_classifier", "off"] = "correlation",
            entity: str | None = None,
        ) -> None: ...

    _drop_defaulted = model_validator(mode="before")(drop_defaulted)
    _check_reference = field_validator("reference")(check_reference)
    _check_zone = field_validator("timezone")(checked_zone)

    @field_validator("confirm")
    @classmethod
    def _is_part_of_checks(cls, text: str | None) -> str | None:
        found = None if text is None else re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
        if text is None or (found and 1 <= int(found[1]) <= int(found[2]) <= MOST_CONFIRMING):
            return text
        raise mistake(
            f"must be 'm/n', m of the last n checks with 1 <= m <= n <= {MOST_CONFIRMING}, such as '2/3',"
            f" got {show(text)}"
        )

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
    def confirming(self) -> tuple[int, int]:
        """How many of the last how many checks have to agree; (1, 1) if nobody wrote it."""
        agreeing, of = (self.confirm or "1/1").split("/")
        return int(agreeing), int(of)

    @property
    def further_methods(self) -> tuple[str, ...]:
        """The methods whose scores are exported: those asked for, and those with a fixed threshold."""
        return tuple(dict.fromkeys((*self.methods, *self.fixed_thresholds)))

    @property
    def windows_written(self) -> bool:
        """Whether somebody wrote the windows."""
        return "windows" not in self.defaulted

    @property
    def count_interval_seconds(self) -> float:
        """Length in seconds of the intervals that are counted in: a quarter of the shortest window, at most 5 min."""
        return min(LONGEST_COUNT_INTERVAL, _seconds(self.windows[0]) / 4)


@lru_cache(maxsize=256)  # asked for in every check, of the same few labels
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
