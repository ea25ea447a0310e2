"""Quiet hours: times of the week at which people are told of the worst only."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator, model_validator

from modelwatch.config.base import ConfigModel, Text, name_validator
from modelwatch.config.problems import EACH, mistake
from modelwatch.config.values import show
from modelwatch.exceptions import did_you_mean

__all__ = ["WEEKDAYS", "QuietHours", "QuietSpan"]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""In the order in which :meth:`datetime.datetime.weekday` counts them."""

MINUTES_PER_DAY = 24 * 60
_TIME = '"HH:MM-HH:MM", such as "22:00-07:00"'
_DAY = "monday to sunday, or a range such as monday:friday"
_RANGE = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\s*-\s*(?:([01]?[0-9]|2[0-3]):([0-5][0-9])|(24):(00))")


class QuietSpan(NamedTuple):
    """A part of the quiet hours that lies within one day.

    Attributes
    ----------
    days : tuple of int
        Weekdays on which it lies, Monday 0, in order.
    start, end : int
        Minutes since midnight by the clock on the wall; the end does not belong to it. 1440 is the end of the day.
    """

    days: tuple[int, ...]
    start: int
    end: int


class QuietHours(ConfigModel):
    """When, of what, and by whom nothing is to be heard.

    Times are those of the configuration's `timezone`, else UTC, by the clock on the wall: a night is an hour shorter
    or longer when the clocks change. A range that crosses midnight belongs to the day on which it begins: with
    ``days: [friday]`` and ``times: ["22:00-07:00"]`` Saturday's early morning is quiet and Friday's is not.

    Examples
    --------
    >>> night = QuietHours(times=["22:00-07:00"], days=["friday"])
    >>> [night.hold_at(datetime(2026, 11, day, hour)) for day, hour in ((27, 6), (27, 22), (28, 6), (28, 7))]
    [False, True, True, False]
    """

    times: tuple[Text, ...] = Field(
        (), description='a list of times, such as ["22:00-07:00"]', json_schema_extra={EACH: _TIME}
    )
    days: tuple[Text, ...] = Field(
        (), description="a list of days, such as [saturday, sunday]", json_schema_extra={EACH: _DAY}
    )
    receivers: tuple[Annotated[str, name_validator("a receiver")], ...] | None = Field(
        None, description="a list of receivers or types", json_schema_extra={EACH: "a receiver or type"}
    )
    below: Literal["warning", "error", "critical"] = Field(
        "critical", description="one of 'warning', 'error', 'critical'"
    )

    @field_validator("times", "days", "receivers", mode="after")
    @classmethod
    def _says_something(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if value == ():
            raise mistake(f"must not be an empty list; leave {info.field_name!r} out instead")
        return value

    @field_validator("times")
    @classmethod
    def _are_times(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            _minutes(value)
        return values

    @field_validator("days")
    @classmethod
    def _are_days(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            _days(value)
        return values

    @model_validator(mode="after")
    def _end_some_time(self) -> QuietHours:
        if not self.times and not self.days:
            raise mistake(
                "'times', 'days' or both are required; a receiver that is never to be told of less gets a"
                " 'min_severity' instead"
            )
        return self

    @property
    def spans(self) -> tuple[QuietSpan, ...]:
        """The quiet hours cut at midnight."""
        days = tuple(sorted({day for value in self.days for day in _days(value)})) or tuple(range(len(WEEKDAYS)))
        out: list[QuietSpan] = []
        for start, end in map(_minutes, self.times) if self.times else [(0, MINUTES_PER_DAY)]:
            if start < end:
                out.append(QuietSpan(days, start, end))
            else:
                next_days = tuple(sorted((day + 1) % len(WEEKDAYS) for day in days))
                out += [QuietSpan(days, start, MINUTES_PER_DAY), QuietSpan(next_days, 0, end)]
        return tuple(out)

    def hold_at(self, moment: datetime) -> bool:
        """Return whether a moment, as the clocks of the configuration's time zone show it, is a quiet one."""
        minute = moment.hour * 60 + moment.minute
        return any(moment.weekday() in span.days and span.start <= minute < span.end for span in self.spans)


def _minutes(value: str) -> tuple[int, int]:
    """Return beginning and end in minutes since midnight; an end at midnight is that of the day."""
    found = _RANGE.fullmatch(value.strip())
    if found is None:
        raise mistake(f"must be a list of times, each {_TIME}, got {show(value)}")
    from_hour, from_minute, to_hour, to_minute = (int(number) for number in found.groups() if number is not None)
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute or MINUTES_PER_DAY
    if start == end:
        raise mistake(f"a range must not end when it begins, got {show(value)}; leave 'times' out for the whole day")
    return start, end


def _days(value: str) -> tuple[int, ...]:
    """Return the weekdays that a name or a range stands for; a range may go over Sunday."""
    names = value.strip().lower().split(":")
    for name in names:
        if name not in WEEKDAYS:
            close = did_you_mean(name, WEEKDAYS)
            raise mistake(f"{show(name)} is no day{close}; allowed: {_DAY}")
    if len(names) > 2:
        raise mistake(f"a range has two days, got {show(value)}; allowed: {_DAY}")
    first, last = WEEKDAYS.index(names[0]), WEEKDAYS.index(names[-1])
    return tuple((first + i) % len(WEEKDAYS) for i in range((last - first) % len(WEEKDAYS) + 1))
