"""Receivers by name, which severity goes where, how often."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from modelwatch.config.base import ConfigModel, Count, SeverityName, duration_validator, name_validator
from modelwatch.config.model import ModelMonitoringConfig
from modelwatch.config.problems import EACH
from modelwatch.config.receivers import (
    AlertmanagerReceiver,
    EmailReceiver,
    LogReceiver,
    PagerDutyReceiver,
    Receiver,
    SlackReceiver,
    WebhookReceiver,
)
from modelwatch.config.values import parse_duration

__all__ = [
    "LOG",
    "RECEIVER_TYPES",
    "AlertingConfig",
    "AlertmanagerReceiver",
    "EmailReceiver",
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


class AlertingConfig(ConfigModel):
    """Receivers by name, routing by severity, and the limits on repetition.

    `mode` governs what scheduled checks find; alerts that the application sends itself always go to the receivers.
    """

    later: ClassVar[frozenset[str]] = frozenset({"quiet_hours", "grouping"})

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

    @property
    def repeat_interval_seconds(self) -> float:
        """Seconds after which an alert that still holds is told again."""
        return parse_duration(self.repeat_interval, default_unit=None)


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
