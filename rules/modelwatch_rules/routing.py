"""The Alertmanager configuration: who is told what, as `modelwatch.policy` decides it for direct messages too.

The tree has one level of decisions. Below the top route stand the dead man's switch, one route for all models of the
configuration of which the same people are told the same, and the routes for everything else; below a models' route
stands one route per channel, with the severities that it is told of. So a channel gets one message per alert and model
(or what else `alerting.grouping` says: Alertmanager never groups what comes by different routes), which goes on from
tier to tier and is resolved once. Quiet hours cut a channel's route in two, as Alertmanager mutes whole routes: what
gets through at night is told, and ends, apart from the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelwatch.config import ALL_LABELS, WEEKDAYS
from modelwatch.conventions import ALERT_WATCHDOG, DEFAULT_SIDECAR_PORT, MODEL_ID, MODEL_VERSION
from modelwatch.policy import LOG, Severity
from modelwatch_rules.cautions import routing_warnings
from modelwatch_rules.inhibition import inhibit_rules
from modelwatch_rules.matchers import OWN_ALERTS, SITE_LABELS, any_of, matcher, severities
from modelwatch_rules.model_groups import model_groups
from modelwatch_rules.people import People, Told
from modelwatch_rules.receivers import receiver_entry, webhook_entry
from modelwatch_rules.templates import TEMPLATE_FILE
from modelwatch_rules.timing import Timing, prometheus_duration
from modelwatch_rules.versions import ALERTMANAGER, Version

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, MonitoringConfig, QuietHours, SeverityName

__all__ = [
    "alertmanager_config",
    "conversations_apart",
    "expected_receivers",
    "routing_comment",
    "routing_warnings",
]

GROUP_BY = ("alertname", MODEL_ID, MODEL_VERSION)
"""Without the severity: escalation and resolution of one alert belong to one conversation."""

DEFAULT_LOG_URL = f"http://127.0.0.1:{DEFAULT_SIDECAR_PORT}/api/v1/alerts"
PREFIX = "modelwatch-"
"""What names receivers in somebody else's file."""

NOBODY = "nobody"
WATCHDOG = "watchdog"


def alertmanager_config(
    config: MonitoringConfig,
    timing: Timing,
    *,
    merge: bool = False,
    log_url: str | None = None,
    deadman_url: str | None = None,
    environ: Mapping[str, str] | None = None,
    version: Version = ALERTMANAGER,
) -> dict[str, Any]:
    """Return an Alertmanager configuration, or our part of one, as plain values ready for YAML.

    Parameters
    ----------
    config : MonitoringConfig
        Models and receivers. A `repeat_interval` that somebody wrote there goes over that of `timing`.
    timing : Timing
        Waiting times.
    merge : bool
        Only what is to be added to an existing configuration: each list goes to the list at the same place
        (:func:`routing_comment` says it in words). It matches our alerts only and changes nothing for others.
    log_url : str or None
        Where the channel `log` goes; None is the sidecar on this host.
    deadman_url : str or None
        A webhook that expects to be called all the time and raises the alarm when it is not.
    environ : mapping or None
        Where receivers may be defined besides the configuration; None is the environment of this process.
    version : Version
        Of Alertmanager.

    Returns
    -------
    dict
        Keys `templates`, `route`, `receivers`, `inhibit_rules`, and `time_intervals` if there are quiet hours.
    """
    people = People.of(config, environ, version)
    names = _Names(people.channels, merge)
    repeat = timing.repeat_interval
    if "repeat_interval" in config.alerting.model_fields_set:
        repeat = config.alerting.repeat_interval_seconds
    top: dict[str, Any] = {
        "receiver": names.of(LOG),
        **_grouping(config, timing),
        "repeat_interval": prometheus_duration(repeat),
        "routes": [
            _watchdog_route(timing, names),
            *_model_routes(config, people, names),
            *_channel_routes(people.told([None]), people, names),
        ],
    }
    if merge:
        top = {"routes": [{"matchers": [matcher("alertname", OWN_ALERTS, "=~")], **top}]}
    url = log_url or DEFAULT_LOG_URL
    entries = [receiver_entry(names.of(c), people.receivers.get(c), url) for c in people.channels]
    entries += [
        webhook_entry(names.own(WATCHDOG), deadman_url, send_resolved=False),
        webhook_entry(names.own(NOBODY), None, send_resolved=False),
    ]
    out = {
        "templates": [f"templates/{TEMPLATE_FILE}"],
        "route": top,
        "receivers": entries,
        "inhibit_rules": inhibit_rules(people.tiers),
    }
    if people.quiet_hours:
        out["time_intervals"] = [
            _time_interval(index, hours, config.timezone) for index, hours in enumerate(people.quiet_hours)
        ]
    return out


def conversations_apart(
    config: MonitoringConfig,
    *,
    merge: bool = False,
    environ: Mapping[str, str] | None = None,
    version: Version = ALERTMANAGER,
) -> dict[str, tuple[str, ...]]:
    """Return, by receiver, the tiers that quiet hours make a conversation apart: the templates word their end.

    Parameters
    ----------
    config, merge, environ, version
        As for :func:`alertmanager_config`.
    """
    people = People.of(config, environ, version)
    names = _Names(people.channels, merge)
    return {names.of(channel): tiers for channel, tiers in people.apart(config).items()}


def routing_comment(*, merge: bool = False, quiet_hours: bool = False, version: Version = ALERTMANAGER) -> str:
    """Return what stands above the configuration in its file, as lines of comment.

    Parameters
    ----------
    merge : bool
        Whether it is a part, which this explains how to add.
    quiet_hours : bool
        Whether it holds `time_intervals`.
    version : Version
        Of Alertmanager.
    """
    lines = [
        f"Who is told of the alerts of modelwatch, for Alertmanager {version} and later.",
        "Times in messages are in the zone of Alertmanager's process: start it with TZ=Europe/Berlin, for example.",
        "Links need --web.external-url, the address under which people reach Alertmanager.",
        f"The receiver {PREFIX}{WATCHDOG} is called as long as Prometheus and Alertmanager work: give it the webhook of"
        " a service that raises the alarm when the calls stop.",
    ]
    if quiet_hours:
        lines.append(
            "Quiet hours (time_intervals): what still fires when they end is told then; of what ends in them"
            " Alertmanager says nothing to those who have them, even if they were told before that it fires."
        )
    if merge:
        lines += [
            "This is a part, to be added to an existing alertmanager.yml:",
            f"  templates      copy templates/{TEMPLATE_FILE} beside that file, add the entry to its `templates`",
            "  route.routes   add the entry to its `route.routes`, as the first one",
            "  receivers      add the entries to its `receivers`",
            "  inhibit_rules  add the entries to its `inhibit_rules`",
            *(["  time_intervals add the entries to its `time_intervals`"] if quiet_hours else []),
            "It matches alerts of modelwatch only. Check the result: amtool check-config alertmanager.yml",
        ]
    return "".join(f"# {line}\n" for line in lines)


def expected_receivers(
    config: MonitoringConfig,
    model_id: str | None,
    severity: SeverityName | str,
    *,
    model_version: str = "",
    merge: bool = False,
    environ: Mapping[str, str] | None = None,
    version: Version = ALERTMANAGER,
) -> tuple[str, ...]:
    """Return the receivers of an alert, named and ordered as ``amtool config routes test`` does.

    Parameters
    ----------
    config : MonitoringConfig
        As for :func:`alertmanager_config`.
    model_id : str or None
        None for an alert about the monitoring itself.
    severity : str
        "none" to "critical", as we call them, or as `alerting.severity_map` does; where a word is both, it is ours.
    model_version : str
        ``""`` for an alert that carries none.
    merge : bool
        Name them as in somebody else's file.
    environ, version
        As for :func:`alertmanager_config`.
    """
    people = People.of(config, environ, version)
    names = _Names(people.channels, merge)
    label = {level.label: people.labels[level] for level in Severity}.get(severity, severity)
    if label not in people.labels.values():
        return (names.of(LOG),)
    groups = model_groups(config)
    known = groups.get((model_id or "", model_version)) or groups.get((model_id or "", ""))
    models: Sequence[ModelMonitoringConfig | None] = known or [None]
    told = people.told(models)
    found = tuple(names.of(channel) for channel, tiers in told.items() if label in tiers)
    return found or (names.own(NOBODY),)


@dataclass(frozen=True)
class _Names:
    """What receivers are called in the file."""

    channels: tuple[str, ...]
    merge: bool

    def of(self, channel: str) -> str:
        return PREFIX + channel if self.merge else channel

    def own(self, purpose: str) -> str:
        """Return the name of a receiver that stands for no channel."""
        name = PREFIX + purpose
        taken = {self.of(channel) for channel in self.channels}
        while name in taken:
            name += "-"
        return name


def _grouping(config: MonitoringConfig, timing: Timing) -> dict[str, Any]:
    """Return what goes into one message, and how long it is waited for."""
    written = config.alerting.grouping
    by = GROUP_BY if written.by is None else written.by
    return {
        "group_by": list(by if ALL_LABELS in by else dict.fromkeys((*by, *SITE_LABELS))),
        "group_wait": prometheus_duration(_first(written.wait_seconds, timing.group_wait)),
        "group_interval": prometheus_duration(_first(written.interval_seconds, timing.group_interval)),
    }


def _first(written: float | None, otherwise: float) -> float:
    return otherwise if written is None else written


def _model_routes(config: MonitoringConfig, people: People, names: _Names) -> list[dict[str, Any]]:
    """Return one route per audience, and before them one per version whose audience is not that of its whole model."""
    told = {key: people.told(models) for key, models in model_groups(config).items()}
    routes: list[dict[str, Any]] = []
    alike: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}

    def add(matchers: list[str], audience: Told) -> None:
        channels = _channel_routes(audience, people, names)
        routes.append({"matchers": matchers, "receiver": names.of(LOG), "routes": channels})

    for (model_id, version), audience in told.items():
        if not version:
            alike.setdefault(tuple(audience.items()), []).append(model_id)
        elif audience != told[model_id, ""]:
            add([matcher(MODEL_ID, model_id), matcher(MODEL_VERSION, version)], audience)
    for pairs, model_ids in alike.items():
        add([any_of(MODEL_ID, model_ids)], dict(pairs))
    return routes


def _channel_routes(told: Told, people: People, names: _Names) -> list[dict[str, Any]]:
    """Return one route per channel, then one that keeps quiet; a severity of other people's making matches none.

    A channel with quiet hours has a route more: for the tiers that get through, which are a conversation of their own.
    """
    routes: list[dict[str, Any]] = []
    for channel, tiers in told.items():
        by_hours: dict[tuple[int, ...], list[str]] = {}
        for tier in tiers:
            by_hours.setdefault(people.quiet(channel, tier), []).append(tier)
        for hours, together in by_hours.items():
            muted = {"mute_time_intervals": [_interval_name(index) for index in hours]} if hours else {}
            route = {"matchers": [severities(together)], "receiver": names.of(channel), **muted, "continue": True}
            routes.append(route)
    heard = {tier for tiers in told.values() for tier in tiers}
    quiet = [label for label in dict.fromkeys(people.labels.values()) if label not in heard]
    return [*routes, {"matchers": [severities(quiet)], "receiver": names.own(NOBODY)}]


def _interval_name(index: int) -> str:
    return f"{PREFIX}quiet-hours-{index + 1}"


def _time_interval(index: int, hours: QuietHours, timezone: str | None) -> dict[str, Any]:
    """Return an entry of `time_intervals`; Alertmanager's ranges end at midnight at the latest."""
    parts = []
    for span in hours.spans:
        clock = [f"{minute // 60:02}:{minute % 60:02}" for minute in (span.start, span.end)]
        part: dict[str, Any] = {"times": [dict(zip(("start_time", "end_time"), clock, strict=True))]}
        if len(span.days) < len(WEEKDAYS):
            part["weekdays"] = [WEEKDAYS[day] for day in span.days]
        parts.append({**part, "location": timezone or "UTC"})
    return {"name": _interval_name(index), "time_intervals": parts}


def _watchdog_route(timing: Timing, names: _Names) -> dict[str, Any]:
    return {
        "matchers": [matcher("alertname", ALERT_WATCHDOG)],
        "receiver": names.own(WATCHDOG),
        "group_wait": "0s",
        # Repetitions happen at ticks of the group: with equal times every other one would come a moment too early.
        "group_interval": prometheus_duration(timing.watchdog_interval / 5),
        "repeat_interval": prometheus_duration(timing.watchdog_interval),
    }
