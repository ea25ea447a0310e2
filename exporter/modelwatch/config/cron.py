"""The five fields of a cron schedule: read, checked, and how far apart its times are."""

from __future__ import annotations

import calendar
import itertools
from dataclasses import dataclass
from functools import lru_cache

from modelwatch.config.values import show
from modelwatch.exceptions import ConfigError

__all__ = ["WEEKDAYS", "Cron", "parse_cron"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# In cron Sunday is 0 and 7; here Monday is 0, as in Python.
_WEEKDAY_NUMBERS = {name: (number + 1) % 7 for number, name in enumerate(WEEKDAYS)}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 7, _WEEKDAY_NUMBERS),
)
_MINUTES_A_DAY = 1440
# From leap year to leap year, so that a schedule for February 29 is due more than once.
_FIRST_YEAR, _YEARS = 2024, 9


@dataclass(frozen=True)
class Cron:
    """
    When a schedule is due, in the time zone it is read in.

    Attributes
    ----------
    minutes, hours, days, months : tuple of int
        Ascending; days from 1 to 31, months from 1 to 12.
    weekdays : tuple of int
        Ascending, 0 is Monday.
    days_restricted, weekdays_restricted : bool
        Whether the field says anything but ``*``. Where both do, a day that matches either of them counts, as in cron.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    days_restricted: bool
    weekdays_restricted: bool

    def _matching_days(self) -> list[int]:
        """Return the ordinals, counted from an arbitrary first day, of the days on which it is due."""
        found, ordinal = [], 0
        for year in range(_FIRST_YEAR, _FIRST_YEAR + _YEARS):
            for month in range(1, 13):
                first_weekday, length = calendar.monthrange(year, month)
                for day in range(1, length + 1):
                    if month in self.months and self._on(day, (first_weekday + day - 1) % 7):
                        found.append(ordinal)
                    ordinal += 1
        return found

    def _on(self, day: int, weekday: int) -> bool:
        if self.days_restricted and self.weekdays_restricted:
            return day in self.days or weekday in self.weekdays
        return day in self.days and weekday in self.weekdays

    def gaps(self) -> tuple[float, float]:
        """
        Return the mean and the longest time between two due times, in seconds, clock changes aside.

        Returns
        -------
        tuple of float
            (infinity, infinity) if it is never due.

        Examples
        --------
        >>> parse_cron("*/15 * * * *").gaps(), parse_cron("0 2 * * 1-5").gaps()[1] / 86400
        ((900.0, 900.0), 3.0)
        """
        return _gaps(self)

    def _gaps(self) -> tuple[float, float]:
        times = sorted(hour * 60 + minute for hour in self.hours for minute in self.minutes)
        days = self._matching_days()
        if len(days) < 2:
            return float("inf"), float("inf")
        within = max((b - a for a, b in itertools.pairwise(times)), default=0)
        overnight = times[0] - times[-1]
        across = max(b - a for a, b in itertools.pairwise(days)) * _MINUTES_A_DAY + overnight
        mean = (days[-1] - days[0]) * _MINUTES_A_DAY / ((len(days) - 1) * len(times))
        return mean * 60.0, max(within, across) * 60.0


def parse_cron(text: str) -> Cron:
    """
    Read a schedule of five fields: minute, hour, day of month, month, day of week.

    Parameters
    ----------
    text
        Each field is ``*``, a number, a range ``a-b``, one of them with a step ``/n``, or a list of those. Months and
        days of the week may be given by the first three letters of their names; Sunday is 0 or 7.

    Returns
    -------
    Cron

    Raises
    ------
    ConfigError
        If it is no such schedule, or never due.

    Examples
    --------
    >>> parse_cron("30 6,18 * * sun").weekdays
    (6,)
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(name for name, *_ in _FIELDS)
        raise ConfigError(f"a schedule has five fields ({names}), such as '0 2 * * *', got {show(text)}")
    minutes, hours, days, months, weekdays = (_field(part, *field) for part, field in zip(parts, _FIELDS, strict=True))
    cron = Cron(
        minutes,
        hours,
        days,
        months,
        tuple(sorted({(day - 1) % 7 for day in weekdays})),
        parts[2] != "*",
        parts[4] != "*",
    )
    if cron.gaps()[0] == float("inf"):
        raise ConfigError(f"a schedule must be due now and then, got {show(text)}, which never is")
    return cron


@lru_cache(maxsize=256)
def _gaps(cron: Cron) -> tuple[float, float]:
    """Look at each day of some years once; the interval is asked for at every check."""
    return cron._gaps()


def _field(text: str, name: str, least: int, most: int, names: dict[str, int]) -> tuple[int, ...]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step_text = item.partition("/")
        step = _number(step_text, name, 1, most, {}) if "/" in item else 1
        if span == "*":
            first, last = least, most if names is not _WEEKDAY_NUMBERS else most - 1
        else:
            low, dash, high = span.partition("-")
            first = _number(low, name, least, most, names)
            last = _number(high, name, least, most, names) if dash else (most if "/" in item else first)
            if dash and names is _WEEKDAY_NUMBERS and last == 0:
                last = 7  # a week may end on Sunday
        if last < first:
            raise ConfigError(f"the {name} of a schedule goes from {first} to {last}, which is backwards: {show(text)}")
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def _number(text: str, name: str, least: int, most: int, names: dict[str, int]) -> int:
    value = names.get(text.lower()[:3]) if text.isalpha() and len(text) == 3 else None
    if value is None and text.isascii() and text.isdigit() and len(text) <= 3:
        value = int(text)
    if value is None or not least <= value <= most:
        known = " or a name such as " + next(iter(names)) if names else ""
        raise ConfigError(f"the {name} of a schedule is a number from {least} to {most}{known}, got {show(text)}")
    return value
