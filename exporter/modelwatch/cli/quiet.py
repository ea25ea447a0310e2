"""Quiet hours in the words of the commands: whom they hold now, when they are, and where they are not meant so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from modelwatch.cli.audience import receivers_of
from modelwatch.config import WEEKDAYS, channels_without_receiver
from modelwatch.policy import Severity, has_quiet_hours, is_quiet, severities_by_label, severity_labels

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig, QuietHours

__all__ = ["held_now", "idle_warnings", "local_time", "quiet_lines", "quiet_warnings"]


def local_time(config: MonitoringConfig, at: float) -> datetime:
    """Return a moment as the clocks of the configuration's time zone show it."""
    return datetime.fromtimestamp(at, ZoneInfo(config.timezone or "UTC"))


def held_now(config: MonitoringConfig, severity: Severity, channels: Iterable[str], at: float) -> tuple[str, ...]:
    """Return which channels are not told of a severity at a moment, as quiet hours hold it.

    In mode prometheus severities that share a label can't be told apart: of these the worst decides.
    """
    alerting, receivers = config.alerting, receivers_of(config)
    moment = local_time(config, at)
    if alerting.mode == "prometheus":
        severity = severities_by_label(alerting.severity_map)[severity_labels(alerting.severity_map)[severity]]
    return tuple(
        channel
        for channel in channels
        if is_quiet(severity, channel, receivers.get(channel), alerting.quiet_hours, moment)
    )


def _who(config: MonitoringConfig, hours: QuietHours) -> tuple[str, ...]:
    """Return the channels that quiet hours are for; in mode direct an application may serve some by its own handler."""
    receivers = receivers_of(config)
    channels = list(receivers)
    if config.alerting.mode == "direct":
        channels += [c for model in config.models for c in channels_without_receiver(model, config.alerting, receivers)]
    return tuple(c for c in dict.fromkeys(channels) if has_quiet_hours(hours, c, receivers.get(c)))


def quiet_lines(config: MonitoringConfig) -> list[str]:
    """Return for each entry of the quiet hours who is quiet below what, and when."""
    return [
        f"{', '.join(_who(config, hours)) or 'nobody'} below {hours.below} {_when(hours)} ({config.timezone or 'UTC'})"
        for hours in config.alerting.quiet_hours
    ]


def _when(hours: QuietHours) -> str:
    times = ", ".join(hours.times) or "all day"
    if not hours.days:
        return f"{times} every day"
    days = ", ".join(day.strip().lower().replace(":", " to ") for day in hours.days)
    return f"{times} on {days}"


def quiet_warnings(config: MonitoringConfig) -> list[str]:
    """Return a sentence for each thing about quiet hours that is allowed, and probably not what was meant."""
    entries = config.alerting.quiet_hours
    out = []
    if entries and config.timezone is None:
        out.append("alerting.quiet_hours: there is no 'timezone', so their times are UTC")
    for index, hours in enumerate(entries):
        where = f"alerting.quiet_hours[{index}]"
        if _covers_the_week(hours):
            out.append(
                f"{where}: it covers the whole week: what is below {hours.below} is never told; a 'min_severity' of"
                " the receiver says that better"
            )
        if hours.receivers is not None and not _who(config, hours):
            named = ", ".join(map(repr, hours.receivers))
            out.append(f"{where}: no receiver of this configuration is, or is of the type, {named}: nobody is quiet")
    return out


def _covers_the_week(hours: QuietHours) -> bool:
    spans = hours.spans
    covered = {(day, minute) for span in spans for day in span.days for minute in range(span.start, span.end)}
    return len(covered) == len(WEEKDAYS) * 24 * 60


def idle_warnings(config: MonitoringConfig) -> list[str]:
    """Return a sentence for each setting that only Prometheus and Alertmanager follow, where they don't alert."""
    if config.alerting.mode == "prometheus":
        return []
    only = "does nothing in alerting.mode direct: it is for the rules and routes of Prometheus and Alertmanager"
    out = [f"alerting.severity_map {only}"] if config.alerting.severity_map else []
    out += [f"alerting.grouping {only}"] if config.alerting.grouping.model_fields_set else []
    out += [f"{model.model_id}: objective {only}" for model in config.models if model.objective is not None]
    return out
