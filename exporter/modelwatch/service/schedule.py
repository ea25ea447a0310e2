"""When a model's check is due next: after its interval, or by its cron schedule."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import TYPE_CHECKING, Any

from modelwatch.config import ModelMonitoringConfig
from modelwatch.exceptions import MissingPackageError

if TYPE_CHECKING:
    from modelwatch.config import Cron


def next_due(config: ModelMonitoringConfig, timezone: str | None, due: float, now: float) -> float:
    """
    Return when a check is due after the one that was due at `due`, in seconds since the epoch.

    Parameters
    ----------
    config
        The model.
    timezone
        Name of the time zone that cron schedules are read in; None for the machine's.
    due
        When the last one was due.
    now
        A check that was missed meanwhile is not made up for.
    """
    cron = config.cron
    if cron is None:
        interval = config.interval_seconds
        return max(due + interval, now + min(1.0, interval / 2))
    after = datetime.datetime.fromtimestamp(max(due, now) + 1.0, datetime.timezone.utc)
    upcoming = cron_trigger(cron, timezone).get_next_fire_time(None, after)
    return float(upcoming.timestamp()) if upcoming is not None else float("inf")


def cron_trigger(cron: Cron, timezone: str | None) -> Any:  # noqa: ANN401 - a trigger of APScheduler, imported lazily
    """
    Return the trigger of a schedule, which knows about clock changes.

    Raises
    ------
    MissingPackageError
        If APScheduler is not installed.
    """
    try:
        from apscheduler.triggers.combining import OrTrigger
        from apscheduler.triggers.cron import CronTrigger
    except ImportError as error:
        msg = "cron schedules need APScheduler: pip install 'apscheduler>=3.10,<4'"
        raise MissingPackageError(msg) from error
    zone = {} if timezone is None else {"timezone": zoneinfo.ZoneInfo(timezone)}
    fields = {name: _listed(values) for name, values in (("minute", cron.minutes), ("hour", cron.hours))}
    fields["month"] = _listed(cron.months)
    days, weekdays = {"day": _listed(cron.days)}, {"day_of_week": _listed(cron.weekdays)}
    if cron.days_restricted and cron.weekdays_restricted:
        # Either of them, as in cron; APScheduler by itself would want both.
        return OrTrigger([CronTrigger(**fields, **which, **zone) for which in (days, weekdays)])
    return CronTrigger(**fields, **days, **weekdays, **zone)


def _listed(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))
