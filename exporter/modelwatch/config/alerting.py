"""Receivers by name, which severity goes where, how often, and when not."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from modelwatch.config.base import ConfigModel, Count, SeverityName, Text, duration_validator, name_validator
from modelwatch.config.model import ModelMonitoringConfig
from modelwatch.config.problems import EACH, Path, mistake, mistakes
from modelwatch.config.quiet_hours import QuietHours
from modelwatch.config.receivers import (
    AlertmanagerReceiver,
    EmailReceiver,
    LogReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    WebhookReceiver,
)
from modelwatch.config.values import parse_duration, show

__all__ = [
    "ALL_LABELS",
    "LOG",
    "RECEIVER_TYPES",
    "AlertingConfig",
    "AlertmanagerReceiver",
    "EmailReceiver",
    "GroupingConfig",
    "LogReceiver",
    "PagerDutyReceiver",
    "Receiver",
    "SlackReceiver",
    "WebhookReceiver",
    "channels_without_receiver",
    "environment_receivers",
]

LOG = "log"
"""The channel that always exists."""

RECEIVER_TYPES = (LOG, "email", "slack", "pagerduty", "webhook", "alertmanager")
SLACK_URL_FILE = "MODELWATCH_SLACK_URL_FILE"

ALL_LABELS = "..."
"""What Alertmanager takes for every label in `group_by`."""

_LABEL_VALUE = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class GroupingConfig(ConfigModel):
    """What Alertmanager puts into one message, and how long it waits for it; what is left out stays as it was.

    Messages that modelwatch sends by itself are about one alert each, whatever is written here.
    """

    by: tuple[Text, ...] | None = Field(
        None,
        description="a list of label names, such as [alertname, model_id]",
        json_schema_extra={EACH: "the name of a label"},
    )
    wait: Annotated[str | None, duration_validator(0.0, 3600.0, None)] = Field(
        None, description='a duration such as "30s"'
    )
    interval: Annotated[str | None, duration_validator(1.0, 86400.0, None)] = Field(
        None, description='a duration such as "5m"'
    )

    @field_validator("by")
    @classmethod
    def _are_labels(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in names or ():
            if name != ALL_LABELS and not _LABEL_NAME.fullmatch(name):
                raise mistake(
                    f"must be a list of label names (letters, digits and _, no digit first), got {show(name)}"
                )
        if names and ALL_LABELS in names and len(names) > 1:
            raise mistake(f"'{ALL_LABELS}' stands for every label: it must be alone in the list")
        return tuple(dict.fromkeys(names)) if names is not None else None

    @property
    def wait_seconds(self) -> float | None:
        """`wait` in seconds."""
        return None if self.wait is None else parse_duration(self.wait, default_unit=None)

    @property
    def interval_seconds(self) -> float | None:
        """`interval` in seconds."""
        return None if self.interval is None else parse_duration(self.interval, default_unit=None)


class AlertingConfig(ConfigModel):
    """Receivers by name, routing by severity, the limits on repetition, quiet hours, and the site's own words.

    `mode` governs what scheduled checks find; alerts that the application sends itself always go to the receivers, at
    any hour. `severity_map` and `grouping` are for Prometheus and Alertmanager; modelwatch's own messages keep its
    own names and are about one alert each.
    """

    mode: Literal["direct", "prometheus"] = Field(
        "direct", description="'direct' (modelwatch sends by itself) or 'prometheus' (rules and Alertmanager do)"
    )
    receivers: dict[Annotated[str, name_validator("a receiver's name")], Receiver] = Field(
        default_factory=dict,
        description="a mapping of name to receiver",
        json_schema_extra={EACH: "a mapping of settings"},
    )
    severity_routing: dict[SeverityName, tuple[Annotated[str, name_validator("a channel")], ...]] = Field(
        default_factory=dict,
        description="a mapping of severity (info, warning, error, critical) to a list of receivers or types",
        json_schema_extra={EACH: "a list of receivers or types"},
    )
    repeat_interval: Annotated[str, duration_validator(1.0, 30 * 86400.0, None)] = Field(
        "4h", description='a duration such as "4h"'
    )
    hourly_cap: Count = Field(20, ge=1, le=10_000, description="a whole number from 1 to 10000 (messages per channel)")
    severity_map: dict[SeverityName, Text] = Field(
        default_factory=dict,
        description="a mapping of severity (info, warning, error, critical) to the value of the label 'severity'",
        json_schema_extra={EACH: "the value of a label, in quotes if it is a number"},
    )
    quiet_hours: tuple[QuietHours, ...] = Field(
        (),
        description="a list of quiet hours, each a mapping with the keys times, days, receivers, below",
        json_schema_extra={EACH: "a mapping with the keys times, days, receivers, below"},
    )
    grouping: GroupingConfig = Field(
        default_factory=GroupingConfig, description="a mapping with the keys by, wait, interval"
    )

    @field_validator("receivers", mode="before")
    @classmethod
    def _type_is_the_name(cls, receivers: object) -> object:
        """Let `type` default to the receiver's name."""
        if not isinstance(receivers, Mapping):
            return receivers
        return {
            name: {"type": name, **value} if isinstance(value, Mapping) and name in RECEIVER_TYPES else value
            for name, value in receivers.items()
        }

    @field_validator("severity_map")
    @classmethod
    def _keeps_the_order(cls, labels: dict[SeverityName, str]) -> dict[SeverityName, str]:
        wrong: list[tuple[Path, str]] = [
            ((name,), f"must be 1 to 40 letters, digits or any of _ . - and not 'none', got {show(label)}")
            for name, label in labels.items()
            if not _LABEL_VALUE.fullmatch(label) or label == "none"
        ]
        if wrong:
            raise mistakes(wrong)
        if (sentence := _order_mistake(labels)) is not None:
            raise mistake(sentence)
        return labels

    @model_validator(mode="after")
    def _repeats_at_intervals(self) -> AlertingConfig:
        interval = self.grouping.interval_seconds
        if interval is not None and interval > self.repeat_interval_seconds:
            sentence = (
                f"must be at most repeat_interval, {show(self.repeat_interval)}, as Alertmanager repeats at intervals"
                f" of the group only; got {show(self.grouping.interval)}"
            )
            raise mistakes([(("grouping", "interval"), sentence)])
        return self

    @property
    def repeat_interval_seconds(self) -> float:
        """Seconds after which an alert that still holds is told again."""
        return parse_duration(self.repeat_interval, default_unit=None)


def _order_mistake(labels: Mapping[SeverityName, str]) -> str | None:
    """Say where labels would no longer tell which of two severities is worse; None if they do everywhere."""
    names: tuple[SeverityName, ...] = get_args(SeverityName)
    mapped = [labels.get(name, name) for name in names]
    pairs = list(combinations(range(len(names)), 2))
    for low, high in pairs:
        between = next((i for i in range(low, high) if mapped[i] != mapped[high]), None)
        if mapped[low] == mapped[high] and between is not None:
            return (
                f"{names[low]} and {names[high]} both become {mapped[low]!r}, but {names[between]} between them is"
                f" {mapped[between]!r}; only neighbours may share a label: map {names[between]} to it too"
            )
    ranks: dict[str, int] = {name: rank for rank, name in enumerate(names)}
    for low, high in pairs:
        if ranks.get(mapped[low], -1) > ranks.get(mapped[high], len(names)):
            return (
                f"{names[low]} becomes {mapped[low]!r} and {names[high]}, which is worse, {mapped[high]!r}; the order"
                f" {', '.join(names)} must be kept"
            )
    return None


def environment_receivers(environ: Mapping[str, str] | None = None) -> dict[str, Receiver]:
    """Return the receivers that the environment defines: ``MODELWATCH_SLACK_URL_FILE`` makes one named "slack".

    Raises
    ------
    ConfigError
        If the variable holds the URL itself instead of the path of a file.
    """
    path = (os.environ if environ is None else environ).get(SLACK_URL_FILE)
    if not path:
        return {}
    return {"slack": SlackReceiver.model_validate({"url_file": path}, context={"folder": os.getcwd()})}


def channels_without_receiver(
    model: ModelMonitoringConfig, alerting: AlertingConfig, handlers: Collection[str]
) -> tuple[str, ...]:
    """Return the channels that a model names and nobody serves: no receiver, no handler, and not the log."""
    served = {LOG, *alerting.receivers, *handlers}
    return tuple(channel for channel in model.alert_channels if channel not in served)
