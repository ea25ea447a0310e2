"""What all configuration objects share: frozen, no unknown keys, errors that people can read."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    WrapValidator,
)
from pydantic import ValidationInfo as Info
from typing_extensions import Self

from modelwatch.config.problems import error_of, explain, mistake, not_available
from modelwatch.config.values import parse_duration, plain_duration, plain_number, show, validate_name
from modelwatch.exceptions import ConfigError, InputError, did_you_mean

__all__ = [
    "FOLDER",
    "SEVERITIES",
    "ConfigModel",
    "Count",
    "Flag",
    "Number",
    "SeverityName",
    "Text",
    "absolute",
    "check_reference",
    "checked_name",
    "checked_zone",
    "drop_defaulted",
    "duration_validator",
    "name_validator",
]

SeverityName = Literal["info", "warning", "error", "critical"]
SEVERITIES = "one of 'info', 'warning', 'error', 'critical'"

Number = Annotated[StrictFloat, BeforeValidator(plain_number)]
"""A finite float; int and numpy scalars become one, bool and text do not."""
Count = Annotated[StrictInt, BeforeValidator(plain_number)]
Flag = StrictBool
Text = StrictStr

FOLDER = "folder"
"""Key of the validation context under which stands the folder that relative paths start from."""


class ConfigModel(BaseModel):
    """A frozen part of a configuration. Construction raises :class:`~modelwatch.exceptions.ConfigError`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True, hide_input_in_errors=True
    )

    later: ClassVar[frozenset[str]] = frozenset()
    """Keys that are right, but whose feature comes with a later release."""

    def __init__(self, /, **data: object) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise error_of(explain(error, type(self)), type(self).__name__) from None

    # Tells pydantic that this __init__ only validates, so that an object inside another one is built without it
    # and keeps its place in the list of errors.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def model_validate(cls, obj: object, **options: Any) -> Self:  # noqa: ANN401 - handed on to pydantic as they are
        """Build from a mapping, such as a part of a file.

        Parameters
        ----------
        obj
            A mapping of field to value, or an object of the class itself.
        **options
            As pydantic takes them.

        Returns
        -------
        ConfigModel
            An object of the class.

        Raises
        ------
        ConfigError
            With every mistake on a line of its own.

        Examples
        --------
        >>> from modelwatch import ModelMonitoringConfig
        >>> ModelMonitoringConfig.model_validate({"model_id": "ad_score", "sampling_rate": 0.5}).sampling_rate
        0.5
        """
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise error_of(explain(error, cls), cls.__name__) from None


def drop_defaulted(data: object) -> object:
    """Take out of a dump the values that nobody had written, so that they follow from the others again."""
    if isinstance(data, Mapping) and isinstance(names := data.get("defaulted"), (list, tuple)):
        return {key: value for key, value in data.items() if key not in names and key != "defaulted"}
    return data


def checked_name(value: object, what: str) -> str:
    """Return a name, or raise a validator's error (see :func:`~modelwatch.config.values.validate_name`)."""
    try:
        return validate_name(value, what)
    except InputError as error:
        raise mistake(str(error)) from None


def checked_zone(name: str | None) -> str | None:
    """Return the name of a time zone, or raise a validator's error."""
    if name is None:
        return None
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        advice = did_you_mean(name, known) if known else " (this machine has no time zone data: pip install tzdata)"
        sentence = f"must be the name of a time zone, such as 'Europe/Berlin', got {show(name)}{advice}"
        raise mistake(sentence) from None
    return name


def name_validator(what: str) -> BeforeValidator:
    """Return a validator that admits names only."""
    return BeforeValidator(lambda value: checked_name(value, what))


def duration_validator(shortest: float, longest: float, default_unit: str | None) -> WrapValidator:
    """Return a validator that admits durations from `shortest` to `longest` seconds, as they were written."""

    def check(value: object, _: object) -> object:
        plain = plain_duration(value)
        try:
            seconds = parse_duration(plain, default_unit=default_unit)
        except ConfigError as error:
            raise mistake(str(error)) from None
        if not shortest <= seconds <= longest:
            raise mistake(f"must be from {duration_text(shortest)} to {duration_text(longest)}, got {show(plain)}")
        if isinstance(plain, timedelta):
            return _written(seconds)
        return plain.strip() if isinstance(plain, str) else plain

    return WrapValidator(check)


def _written(seconds: float) -> str:
    """Return a duration as somebody would have written it, to the microsecond."""
    return duration_text(seconds) if seconds % 60 == 0 else f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def duration_text(seconds: float) -> str:
    """Return a duration in its largest whole unit.

    >>> duration_text(86400), duration_text(5400), duration_text(1)
    ('1d', '90m', '1s')
    """
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def absolute(value: str, info: Info) -> str:
    """Return a path as text: ``~`` expanded, and relative to the configuration file if it came from one."""
    if "\0" in value or not value.strip():
        raise mistake("must be a path, and not empty")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise mistake(f"must be a path, and the home folder in {show(value)} is not known") from None
    folder = (info.context or {}).get(FOLDER)
    return str(Path(folder) / path) if folder is not None else str(path)


def check_reference(value: str, info: Info) -> str:
    """Return ``"auto"`` or the path of a profile; addresses come later."""
    if value == "auto":
        return value
    if "://" in value or value.startswith("models:/"):
        raise not_available("a reference that is an address", "'auto' or the path of a profile")
    return absolute(value, info)
