"""Who is told: receivers, which severity goes where, how often."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from modelwatch.config.base import (
    SEVERITIES,
    ConfigModel,
    Count,
    SeverityName,
    Text,
    absolute,
    duration_validator,
    name_validator,
)
from modelwatch.config.model import ModelMonitoringConfig
from modelwatch.config.problems import EACH, mistake, not_available
from modelwatch.config.values import parse_duration

__all__ = [
    "LOG",
    "RECEIVER_TYPES",
    "AlertingConfig",
    "EmailReceiver",
    "LogReceiver",
    "Receiver",
    "SlackReceiver",
    "channels_without_receiver",
    "environment_receivers",
]

LOG = "log"
"""The channel that always exists."""

LATER_TYPES = ("pagerduty", "webhook", "alertmanager")
AVAILABLE_TYPES = (LOG, "email", "slack")
RECEIVER_TYPES = (*AVAILABLE_TYPES, *LATER_TYPES)
SLACK_URL_FILE = "MODELWATCH_SLACK_URL_FILE"

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+|[^@<>\r\n]*<[^\s@<>]+@[^\s@<>]+>")
_HOST_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):(?P<port>[0-9]{1,5})")
_FILE = "the path of a file"


def _secret_path(value: str | None, info: ValidationInfo) -> str | None:
    if value is None:
        return None
    if re.match(r"https?://|xox[a-z]-", value, re.IGNORECASE) or "\n" in value:
        raise mistake(
            f"{info.field_name} must be the path of a file that holds the secret, not the secret itself"
            " (the value is not shown)"
        )
    return absolute(value, info)


class LogReceiver(ConfigModel):
    """The application's log; it exists without being written, and is written only to give it a `min_severity`."""

    type: Literal["log"] = "log"
    min_severity: SeverityName | None = Field(None, description=SEVERITIES)


class EmailReceiver(ConfigModel):
    """Email through one SMTP server.

    `tls` is ``"auto"`` (TLS from the start on port 465, else STARTTLS where the server offers it), ``"starttls"`` or
    ``"tls"`` (refuse to send without), or ``"none"``; true stands for ``"starttls"``, or ``"tls"`` on port 465.
    """

    type: Literal["email"] = "email"
    to: tuple[Text, ...] = Field(
        description="an email address or a list of them",
        json_schema_extra={EACH: "an email address"},
    )
    from_: Text | None = Field(None, alias="from", description="an email address")
    smtp: Text = Field(description='"host:port", such as "smtp.example.com:587"')
    username: Text | None = Field(None, description="text")
    password_file: Text | None = Field(None, description=_FILE)
    tls: Literal["auto", "starttls", "tls", "none"] = Field(
        "auto", description="true, false or one of 'auto', 'starttls', 'tls', 'none'"
    )
    min_severity: SeverityName | None = Field(None, description=SEVERITIES)

    _secret_path = field_validator("password_file")(_secret_path)

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, data: object) -> object:
        """Turn one address into a list of one, and a true or false `tls` into its word."""
        if not isinstance(data, Mapping):
            return data
        changed = dict(data)
        if isinstance(data.get("to"), str):
            changed["to"] = (data["to"],)
        if isinstance(data.get("tls"), bool):
            implicit = str(data.get("smtp")).endswith(":465")
            changed["tls"] = ("tls" if implicit else "starttls") if data["tls"] else "none"
        return changed

    @field_validator("to")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        if not addresses:
            raise mistake("must be an email address or a list of them, got an empty list")
        for address in addresses:
            _check_address(address)
        return tuple(dict.fromkeys(addresses))

    @field_validator("from_")
    @classmethod
    def _is_address(cls, address: str | None) -> str | None:
        return address if address is None else _check_address(address)

    @field_validator("smtp")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        if "@" in value:
            raise mistake(
                "must be \"host:port\"; a user name belongs in 'username', a password in the file that"
                " 'password_file' names (the value is not shown)"
            )
        found = _HOST_PORT.fullmatch(value)
        if found is None or not 1 <= int(found["port"]) <= 65535:
            hint = f' (did you mean "{value}:587"?)' if re.fullmatch(r"[\w.-]+", value) else ""
            raise mistake(f'must be "host:port", such as "smtp.example.com:587", got {value!r}{hint}')
        return value

    @model_validator(mode="after")
    def _user_has_password(self) -> EmailReceiver:
        if (self.username is None) != (self.password_file is None):
            given, absent = ("password_file", "username") if self.username is None else ("username", "password_file")
            raise mistake(f"{given!r} needs {absent!r} beside it")
        if self.username is not None and self.tls == "none":
            raise mistake("a password is never sent without encryption: 'tls' must not be false beside 'password_file'")
        return self

    @property
    def host(self) -> str:
        """The SMTP server, without brackets around an IPv6 address."""
        return self.smtp.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The SMTP server's port."""
        return int(self.smtp.rpartition(":")[2])


def _check_address(address: str) -> str:
    if not _ADDRESS.fullmatch(address) or not address.isprintable():
        raise mistake(f"must be an email address such as team@example.com, got {address!r}")
    return address


class SlackReceiver(ConfigModel):
    """Slack, through an incoming webhook (`url_file`) or as a bot (`token_file` and `channel`)."""

    type: Literal["slack"] = "slack"
    url_file: Text | None = Field(None, description=_FILE)
    token_file: Text | None = Field(None, description=_FILE)
    channel: Text | None = Field(None, min_length=1, description='a channel in quotes, such as "#ml-alerts"')
    min_severity: SeverityName | None = Field(None, description=SEVERITIES)

    _secret_path = field_validator("url_file", "token_file")(_secret_path)

    @model_validator(mode="after")
    def _has_one_secret(self) -> SlackReceiver:
        if (self.url_file is None) == (self.token_file is None):
            raise mistake("exactly one of 'url_file' and 'token_file' is required")
        if self.token_file is not None and self.channel is None:
            raise mistake("'token_file' needs 'channel' beside it")
        return self


Receiver = Annotated[LogReceiver | EmailReceiver | SlackReceiver, Field(discriminator="type")]


def _refuse_later_types(value: object) -> object:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind in LATER_TYPES:
        raise not_available(f"a receiver of type {kind!r}", "the types " + ", ".join(AVAILABLE_TYPES))
    return value


class AlertingConfig(ConfigModel):
    """Receivers by name, routing by severity, and the limits on repetition.

    `mode` governs what scheduled checks find; alerts that the application sends itself always go to the receivers.
    """

    later: ClassVar[frozenset[str]] = frozenset({"quiet_hours", "grouping"})

    mode: Literal["direct", "prometheus"] = Field(
        "direct", description="'direct' (modelwatch sends by itself) or 'prometheus' (rules and Alertmanager do)"
    )
    receivers: dict[
        Annotated[str, name_validator("a receiver's name")], Annotated[Receiver, BeforeValidator(_refuse_later_types)]
    ] = Field(
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
