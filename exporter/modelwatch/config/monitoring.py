"""The whole of a configuration file: models, storage, alerting, defaults."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import (
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    field_validator,
    model_validator,
)

from modelwatch.config.alerting import LOG, RECEIVER_TYPES, AlertingConfig
from modelwatch.config.base import ConfigModel, Count, Text, absolute, checked_zone
from modelwatch.config.model import ModelMonitoringConfig
from modelwatch.config.problems import EACH, Path, mistake, mistakes, not_available
from modelwatch.config.values import SIZE, parse_size, plain_number, show
from modelwatch.exceptions import ConfigError, did_you_mean

__all__ = ["DEFAULT_MAX_SERIES", "ExposeConfig", "ModelDefaults", "MonitoringConfig", "StorageConfig"]

DEFAULT_MAX_SERIES = 5000
LEAST_MAX_SERIES, MOST_MAX_SERIES = 100, 1_000_000
"""Series of one model version: below the least, not even its totals and latency would fit."""
DEEP_DEFAULTS = ("drift", "features", "severity")
"""Sections that defaults are merged into key by key; everything else a model writes replaces the default whole."""


def _size(value: object, _: object) -> object:
    if value is None:
        return None
    try:
        parse_size(plain_number(value))
    except ConfigError as error:
        raise mistake(str(error)) from None
    return plain_number(value)


class StorageConfig(ConfigModel):
    """Where recordings are kept."""

    later: ClassVar[frozenset[str]] = frozenset({"url", "durability"})

    path: Text | None = Field(None, description="the path of a folder")
    max_size: Annotated[int | float | str | None, WrapValidator(_size)] = Field(None, description=SIZE)

    @field_validator("path")
    @classmethod
    def _is_folder(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "://" in value:
            raise not_available("a database instead of a folder", "the path of a folder")
        return value if value is None else absolute(value, info)

    @property
    def max_bytes(self) -> int | None:
        """`max_size` in bytes; None for the smaller of 10 GB and a tenth of the disk."""
        return None if self.max_size is None else parse_size(self.max_size)


class ExposeConfig(ConfigModel):
    """How much is exposed to Prometheus."""

    max_series_per_model: Count = Field(
        DEFAULT_MAX_SERIES,
        ge=LEAST_MAX_SERIES,
        le=MOST_MAX_SERIES,
        description=f"a whole number from {LEAST_MAX_SERIES} to {MOST_MAX_SERIES}",
    )


class ModelDefaults(ModelMonitoringConfig):
    """Values for every model that does not write its own."""

    model_id: Annotated[str, Field(description="left out")] = "defaults"

    @field_validator("model_id")
    @classmethod
    def _names_no_model(cls, value: str) -> str:
        raise mistake(f"defaults are for all models, so they have no model_id, got {show(value)}")


class MonitoringConfig(ConfigModel):
    """A configuration file, or the same as Python objects.

    Examples
    --------
    >>> config = MonitoringConfig.model_validate({"models": [{"model_id": "m"}], "defaults": {"retention_days": 7}})
    >>> config.models[0].retention_days
    7
    """

    later: ClassVar[frozenset[str]] = frozenset({"server", "scores_from"})

    models: tuple[ModelMonitoringConfig, ...] = Field(
        (),
        description="a list of models, each with a model_id",
        json_schema_extra={EACH: "a mapping with a model_id"},
    )
    storage: StorageConfig = Field(default_factory=StorageConfig, description="a mapping with the keys path, max_size")
    alerting: AlertingConfig = Field(
        default_factory=AlertingConfig,
        description="a mapping with the keys mode, receivers, severity_routing, repeat_interval, hourly_cap,"
        " severity_map, quiet_hours, grouping",
    )
    expose: ExposeConfig = Field(
        default_factory=ExposeConfig, description="a mapping with the key max_series_per_model"
    )
    timezone: Text | None = Field(None, description="the name of a time zone, such as 'Europe/Berlin'")
    defaults: ModelDefaults | None = Field(None, exclude=True, repr=False, description="a mapping of model settings")

    _source: pathlib.Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> pathlib.Path | None:
        """The file this came from, or None."""
        return self._source

    @model_validator(mode="before")
    @classmethod
    def _merge_defaults(cls, data: object, info: ValidationInfo) -> object:
        if not isinstance(data, Mapping) or not isinstance(data.get("models"), (list, tuple)):
            return data
        defaults = data.get("defaults")
        if not isinstance(defaults, Mapping) or not _valid(defaults, info):
            return data
        return {**data, "models": [_merged(defaults, model) for model in data["models"]]}

    @field_validator("models")
    @classmethod
    def _are_different(cls, models: tuple[ModelMonitoringConfig, ...]) -> tuple[ModelMonitoringConfig, ...]:
        first: dict[tuple[str, str], int] = {}
        wrong: list[tuple[Path, str]] = []
        for index, model in enumerate(models):
            key = (model.model_id, model.model_version)
            if (earlier := first.setdefault(key, index)) != index:
                version = f" with model_version {show(model.model_version)}" if model.model_version else ""
                wrong.append(
                    (
                        (index,),
                        f"model_id {show(model.model_id)}{version} is configured twice, as models[{earlier}] and"
                        f" models[{index}]; model_id and model_version together must be unique",
                    )
                )
        if wrong:
            raise mistakes(wrong)
        return models

    _is_known_zone = field_validator("timezone")(checked_zone)

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> MonitoringConfig:
        channels = {channel for model in self.models for channel in model.alert_channels}
        known = list(dict.fromkeys([*self.alerting.receivers, *RECEIVER_TYPES, *sorted(channels)]))
        wrong: list[tuple[Path, str]] = [
            (
                ("alerting", "severity_routing", severity),
                f"{show(name)} is neither a receiver nor a type"
                f"{did_you_mean(name, known)}; allowed: {', '.join(known)}",
            )
            for severity, names in self.alerting.severity_routing.items()
            for name in names
            if name not in known
        ]
        for index, hours in enumerate(self.alerting.quiet_hours):
            wrong += [
                (("alerting", "quiet_hours", index, "receivers"), sentence)
                for name in hours.receivers or ()
                if (sentence := self._why_not_quiet(name, known)) is not None
            ]
        if wrong:
            raise mistakes(wrong)
        return self

    def _why_not_quiet(self, name: str, known: Sequence[str]) -> str | None:
        """Say why a receiver can't have quiet hours; None if it can."""
        receiver = self.alerting.receivers.get(name)
        kind = receiver.type if receiver is not None else name
        if kind == LOG:
            return "the log is never quiet: it is where everything can be looked up"
        if kind == "alertmanager":
            return f"{show(name)} is an Alertmanager, which has quiet hours of its own (mute_time_intervals)"
        if name not in known:
            allowed = ", ".join(one for one in known if one not in (LOG, "alertmanager"))
            return f"{show(name)} is neither a receiver nor a type{did_you_mean(name, known)}; allowed: {allowed}"
        return None


def _valid(defaults: Mapping[str, Any], info: ValidationInfo) -> bool:
    """Say whether defaults are right by themselves; if not, they are reported once and not once per model."""
    try:
        TypeAdapter(ModelDefaults).validate_python(defaults, context=info.context)
    except ValidationError:
        return False
    return True


def _merged(defaults: Mapping[str, Any], model: object) -> object:
    if not isinstance(model, Mapping):
        return model
    merged = {**defaults, **model}
    for section in DEEP_DEFAULTS:
        if isinstance(defaults.get(section), Mapping) and isinstance(model.get(section), Mapping):
            merged[section] = {**defaults[section], **model[section]}
    return merged
