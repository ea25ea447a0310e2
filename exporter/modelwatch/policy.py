"""Severities, and who is told what. Also read by the rule generator, so that both ways of alerting agree."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum, IntEnum
from typing import Protocol

from modelwatch.config import (
    DEFAULT_ALERT_SEVERITIES,
    ModelMonitoringConfig,
    QuietHours,
    SeverityName,
    Threshold,
)
from modelwatch.exceptions import InputError, did_you_mean

__all__ = [
    "OPERATIONAL_METRICS",
    "AlertLevel",
    "ReceiverLike",
    "Severity",
    "alert_severity",
    "channels_for",
    "has_quiet_hours",
    "is_quiet",
    "severities_by_label",
    "severity_labels",
    "severity_of",
    "threshold_severity",
]


class AlertLevel(str, Enum):
    """How bad an alert is, as the public API names it: INFO, WARNING, ERROR or CRITICAL, which also are texts.

    By default INFO and WARNING are told to the log, ERROR by email too, CRITICAL by Slack and PagerDuty too.

    Examples
    --------
    >>> AlertLevel("warning"), f"{AlertLevel.ERROR}", AlertLevel.CRITICAL == "critical"
    (<AlertLevel.WARNING: 'warning'>, 'error', True)
    """

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    def __str__(self) -> str:
        return self.value


class Severity(IntEnum):
    """A severity as a number, the value of the severity gauges: 0 none … 4 critical."""

    NONE = 0
    INFO = 1
    WARNING = 2
    ERROR = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The lower-case name: ``"none"`` … ``"critical"``."""
        return self.name.lower()


class ReceiverLike(Protocol):
    """What routing needs to know of a receiver."""

    @property
    def type(self) -> str:
        """Its type: "email", "slack", …."""

    @property
    def min_severity(self) -> SeverityName | None:
        """The least severity it is told of, or None to follow the routing."""


LOG = "log"
LEAST_BY_TYPE: Mapping[str, Severity] = {
    LOG: Severity.INFO,
    "webhook": Severity.INFO,
    "alertmanager": Severity.INFO,
    "email": Severity.ERROR,
    "slack": Severity.CRITICAL,
    "pagerduty": Severity.CRITICAL,
}
"""The default table: the least severity that each type of channel is told of."""

LEAST_OF_OTHERS = Severity.WARNING
"""For a handler under a name of its own, and for every receiver of a model that names no channels."""

NEVER_QUIET_UNASKED = frozenset({LOG, "pagerduty", "webhook", "alertmanager"})
"""Types of channels that quiet hours without `receivers` leave alone: records, machines, and who is on call."""


def severity_of(value: Severity | AlertLevel | str) -> Severity:
    """Return a severity from a level or its name.

    Raises
    ------
    InputError
        If there is no such severity.

    Examples
    --------
    >>> severity_of("error"), severity_of(AlertLevel.INFO)
    (<Severity.ERROR: 3>, <Severity.INFO: 1>)
    """
    if isinstance(value, Severity):
        return value
    name = value.value if isinstance(value, AlertLevel) else value
    by_name = {severity.label: severity for severity in Severity}
    if not isinstance(name, str) or name not in by_name:
        allowed = ", ".join(by_name)
        raise InputError(f"severity must be one of {allowed}, got {name!r:.80}{did_you_mean(str(name), by_name)}")
    return by_name[name]


def alert_severity(config: ModelMonitoringConfig | None, alertname: str) -> Severity:
    """Return how bad an alert without a threshold is: as the model's `severity` says, else the default.

    Parameters
    ----------
    config
        The model; None for one that nobody configured.
    alertname
        One of :data:`~modelwatch.config.DEFAULT_ALERT_SEVERITIES`.

    Examples
    --------
    >>> quiet = ModelMonitoringConfig(model_id="batch", severity={"MLModelNoPredictions": "warning"})
    >>> alert_severity(quiet, "MLModelNoPredictions"), alert_severity(None, "MLModelNoPredictions")
    (<Severity.WARNING: 2>, <Severity.CRITICAL: 4>)
    """
    written = {} if config is None else config.severity
    return severity_of(written.get(alertname, DEFAULT_ALERT_SEVERITIES[alertname]))


OPERATIONAL_METRICS = ("latency_ms", "error_rate")
"""Measured from every request, and judged over windows with conditions and rules of their own."""


def threshold_severity(threshold: Threshold) -> Severity:
    """Return what breaking a threshold is worth.

    The configured severity, else error for latency and errors and critical for all others; a threshold that nobody
    wrote never goes above warning.

    Examples
    --------
    >>> from modelwatch.config import Threshold
    >>> [threshold_severity(Threshold(metric="auc", min=0.8, written=w)).label for w in (True, False)]
    ['critical', 'warning']
    """
    if threshold.severity is not None:
        return Severity[threshold.severity.upper()]
    default = Severity.ERROR if threshold.metric in OPERATIONAL_METRICS else Severity.CRITICAL
    return default if threshold.written else min(default, Severity.WARNING)


def severity_labels(severity_map: Mapping[SeverityName, str]) -> dict[Severity, str]:
    """Return what each severity is called in the label `severity` of alerts at this site.

    Parameters
    ----------
    severity_map
        ``alerting.severity_map`` of the configuration; what it does not name keeps its own name.

    Returns
    -------
    dict
        From NONE to CRITICAL, in this order. Only neighbours have the same label (the configuration sees to that).

    Examples
    --------
    >>> labels = severity_labels({"error": "critical"})
    >>> labels[Severity.ERROR], labels[Severity.CRITICAL], labels[Severity.WARNING]
    ('critical', 'critical', 'warning')
    """
    by_name = {str(name): label for name, label in severity_map.items()}
    return {severity: by_name.get(severity.label, severity.label) for severity in Severity}


def severities_by_label(severity_map: Mapping[SeverityName, str]) -> dict[str, Severity]:
    """Return what the label `severity` of alerts stands for at this site: the worst that has it, from INFO up.

    Examples
    --------
    >>> severities_by_label({"error": "critical"})
    {'info': <Severity.INFO: 1>, 'warning': <Severity.WARNING: 2>, 'critical': <Severity.CRITICAL: 4>}
    """
    labels = severity_labels(severity_map)
    return {label: severity for severity, label in labels.items() if severity is not Severity.NONE}


def has_quiet_hours(hours: QuietHours, channel: str, receiver: ReceiverLike | None) -> bool:
    """Return whether quiet hours are for a channel: one that they name, or of a type that they name.

    Quiet hours that name nobody are for all channels that people read, which leaves out the log, PagerDuty (who is on
    call when is settled there), webhooks and Alertmanager.

    Examples
    --------
    >>> night = QuietHours(times=["22:00-07:00"])
    >>> [has_quiet_hours(night, channel, None) for channel in ("slack", "pagerduty")]
    [True, False]
    """
    kind = receiver.type if receiver is not None else channel
    if hours.receivers is None:
        return kind not in NEVER_QUIET_UNASKED
    return channel in hours.receivers or kind in hours.receivers


def is_quiet(
    severity: Severity,
    channel: str,
    receiver: ReceiverLike | None,
    quiet_hours: Iterable[QuietHours],
    moment: datetime,
) -> bool:
    """Return whether a channel is not to be told of a severity now.

    Parameters
    ----------
    severity, channel, receiver
        As for :func:`channels_for`.
    quiet_hours
        ``alerting.quiet_hours`` of the configuration.
    moment
        Now, in the time zone of the configuration.
    """
    return any(
        severity < severity_of(hours.below) and has_quiet_hours(hours, channel, receiver) and hours.hold_at(moment)
        for hours in quiet_hours
    )


def channels_for(
    severity: Severity | AlertLevel | str,
    model_channels: Sequence[str] | None,
    receivers: Mapping[str, ReceiverLike | None],
    routing: Mapping[SeverityName, Sequence[str]],
    *,
    reachable: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Return the channels that are told of an alert, in the order in which the model names them.

    A receiver's own `min_severity` goes over `routing`, which goes over the default table (:data:`LEAST_BY_TYPE`).
    If that leaves nobody for an error or worse, all the model's channels are told.

    Parameters
    ----------
    severity
        How bad it is; NONE tells nobody.
    model_channels
        The channels that the model names, or None if nobody wrote any: then every receiver, from warning up, and
        the log only where there is none, or for what is less than a warning.
    receivers
        By name. A name without a receiver, or whose receiver is None, is a handler: its type is its name.
    routing
        By severity, the types or names of who is told; a severity that is absent follows the default table.
    reachable
        Channels that can deliver, or None if all can. An error that would reach none of them goes to all the
        model's channels.

    Examples
    --------
    >>> channels_for("warning", ["log", "email", "slack"], {}, {})
    ('log',)
    >>> channels_for("critical", ["log", "email", "slack"], {}, {})
    ('log', 'email', 'slack')
    >>> channels_for("warning", ["log", "email", "slack"], {}, {"warning": ["slack"]})
    ('slack',)
    >>> channels_for("error", ["slack"], {}, {})
    ('slack',)
    """
    level = severity_of(severity)
    if level is Severity.NONE:
        return ()
    written = model_channels is not None
    candidates = tuple(dict.fromkeys([LOG, *receivers] if model_channels is None else model_channels))
    alone = set(candidates) <= {LOG}
    told = tuple(
        channel
        for channel in candidates
        if level >= _least(level, channel, receivers.get(channel), routing, unwritten=not written and not alone)
    )
    if level >= Severity.ERROR and not _reaches_somebody(told, reachable):
        return candidates
    return told


def _least(
    level: Severity,
    channel: str,
    receiver: ReceiverLike | None,
    routing: Mapping[SeverityName, Sequence[str]],
    *,
    unwritten: bool,
) -> float:
    """Return from which severity a channel is told, infinity for not at all.

    `unwritten`: the channels follow from the receivers, and the log is not the only one.
    """
    if receiver is not None and receiver.min_severity is not None:
        return severity_of(receiver.min_severity)
    kind = receiver.type if receiver is not None else channel
    for severity, names in routing.items():
        if severity == level.label:
            return level if channel in names or kind in names else float("inf")
    if unwritten and kind == LOG:
        return Severity.INFO if level < LEAST_OF_OTHERS else float("inf")
    least = LEAST_BY_TYPE.get(kind, LEAST_OF_OTHERS)
    return min(least, LEAST_OF_OTHERS) if unwritten else least


def _reaches_somebody(channels: Iterable[str], reachable: Collection[str] | None) -> bool:
    return any(reachable is None or channel in reachable for channel in channels)
