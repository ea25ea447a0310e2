"""Who is told, one class per type of receiver: addresses and servers, with secrets only as the names of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from modelwatch.config.base import SEVERITIES, ConfigModel, SeverityName, Text, absolute
from modelwatch.config.problems import EACH, mistake

__all__ = [
    "AlertmanagerReceiver",
    "EmailReceiver",
    "LogReceiver",
    "PagerDutyReceiver",
    "Receiver",
    "SlackReceiver",
    "WebhookReceiver",
]

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+|[^@<>\r\n]*<[^\s@<>]+@[^\s@<>]+>")
_HOST_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):(?P<port>[0-9]{1,5})")
_SECRET = re.compile(r"https?://|xox[a-z]-|[0-9a-z]{32}$", re.IGNORECASE)
"""A URL, a Slack token, a routing key of PagerDuty: what people write where the name of a file belongs."""
_FILE = "the path of a file"
_URL = "an address that begins with https:// or http://"


def _secret_path(value: str | None, info: ValidationInfo) -> str | None:
    if value is None:
        return None
    if _SECRET.match(value) or "\n" in value:
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


class PagerDutyReceiver(ConfigModel):
    """PagerDuty, by the integration key of a service (Events API v2)."""

    type: Literal["pagerduty"] = "pagerduty"
    routing_key_file: Text = Field(description=_FILE)
    min_severity: SeverityName | None = Field(None, description=SEVERITIES)

    _secret_path = field_validator("routing_key_file")(_secret_path)


class _AddressedReceiver(ConfigModel):
    """A receiver with an address, written out (`url`), or kept in a file where it holds a secret (`url_file`)."""

    url: Text | None = Field(None, description=_URL)
    url_file: Text | None = Field(None, description=_FILE)
    min_severity: SeverityName | None = Field(None, description=SEVERITIES)

    _secret_path = field_validator("url_file")(_secret_path)

    @field_validator("url")
    @classmethod
    def _is_an_address_without_secret(cls, value: str | None) -> str | None:
        return value if value is None else _check_url(value)

    @model_validator(mode="after")
    def _has_one_address(self) -> _AddressedReceiver:
        if (self.url is None) == (self.url_file is None):
            raise mistake("exactly one of 'url' and 'url_file' is required")
        return self


class WebhookReceiver(_AddressedReceiver):
    """Any HTTP server that takes an alert as JSON."""

    type: Literal["webhook"] = "webhook"


class AlertmanagerReceiver(_AddressedReceiver):
    """An Alertmanager, by the address under which people reach it, path prefix included; its own routes decide."""

    type: Literal["alertmanager"] = "alertmanager"


def _check_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        secret = usable and "@" in parts.netloc
    except ValueError:
        usable = secret = False
    if secret:
        raise mistake(
            "must not hold a user name or password; write the whole address to a file and name that in 'url_file'"
            " (the value is not shown)"
        )
    if not usable or not value.isprintable() or " " in value:
        raise mistake(f"must be {_URL} (the value is not shown)")
    return value


Receiver = Annotated[
    LogReceiver | EmailReceiver | SlackReceiver | PagerDutyReceiver | WebhookReceiver | AlertmanagerReceiver,
    Field(discriminator="type"),
]
