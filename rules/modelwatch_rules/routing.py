"""The Alertmanager configuration: who is told what, as `modelwatch.policy` decides it for direct messages too.

The tree has one level of decisions. Below the top route stand the dead man's switch, one route per model of the
configuration, and the routes for everything else; below a model's route stands one route per channel, with the
severities that it is told of. So a channel gets one message per alert and model, which goes on from tier to tier and
is resolved once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelwatch.config import environment_receivers
from modelwatch.conventions import ALERT_WATCHDOG, DEFAULT_SIDECAR_PORT, MODEL_ID, MODEL_VERSION, SEGMENT
from modelwatch.policy import LOG, Severity, channels_for, severity_of
from modelwatch_rules.receivers import receiver_entry, receiver_warnings, webhook_entry, why_not
from modelwatch_rules.templates import TEMPLATE_FILE
from modelwatch_rules.timing import Timing, prometheus_duration

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, MonitoringConfig, Receiver, SeverityName

__all__ = ["OWN_ALERTS", "alertmanager_config", "expected_receivers", "routing_comment", "routing_warnings"]

OWN_ALERTS = "MLModel.+|Modelwatch.+"
"""The names of our alerts, as a pattern."""

SITE_LABELS = ("cluster", "env", "environment", "namespace", "region")
"""Labels that sites tell their environments by: what staging says must neither mute nor be mixed with production.

A label that neither alert carries is equal, so these cost nothing where they are not in use.
"""

GROUP_BY = ("alertname", MODEL_ID, MODEL_VERSION, *SITE_LABELS)
"""Without the severity: escalation and resolution of one alert belong to one conversation."""

INHIBIT_EQUAL = ("alertname", MODEL_ID, MODEL_VERSION, SEGMENT, "metric", *SITE_LABELS)
DEFAULT_LOG_URL = f"http://127.0.0.1:{DEFAULT_SIDECAR_PORT}/api/v1/alerts"
PREFIX = "modelwatch-"
"""What names receivers in somebody else's file."""

TOLD_ABOUT = (Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL)
NOBODY = "nobody"
WATCHDOG = "watchdog"

Told = Mapping[str, tuple[Severity, ...]]
"""The severities that each channel is told of."""


def alertmanager_config(
    config: MonitoringConfig,
    timing: Timing,
    *,
    merge: bool = False,
    log_url: str | None = None,
    deadman_url: str | None = None,
    environ: Mapping[str, str] | None = None,
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

    Returns
    -------
    dict
        Keys `templates`, `route`, `receivers`, `inhibit_rules`.
    """
    people = _People.of(config, environ)
    names = _Names(people.channels, merge)
    repeat = timing.repeat_interval
    if "repeat_interval" in config.alerting.model_fields_set:
        repeat = config.alerting.repeat_interval_seconds
    top: dict[str, Any] = {
        "receiver": names.of(LOG),
        "group_by": list(GROUP_BY),
        "group_wait": prometheus_duration(timing.group_wait),
        "group_interval": prometheus_duration(timing.group_interval),
        "repeat_interval": prometheus_duration(repeat),
        "routes": [
            _watchdog_route(timing, names),
            *(_model_route(*key, people.told(models), names) for key, models in _groups(config).items()),
            *_channel_routes(people.told([None]), names),
        ],
    }
    if merge:
        top = {"routes": [{"matchers": [_matcher("alertname", OWN_ALERTS, "=~")], **top}]}
    url = log_url or DEFAULT_LOG_URL
    entries = [receiver_entry(names.of(c), people.receivers.get(c), url) for c in people.channels]
    entries += [
        webhook_entry(names.own(WATCHDOG), deadman_url, send_resolved=False),
        webhook_entry(names.own(NOBODY), None, send_resolved=False),
    ]
    return {
        "templates": [f"templates/{TEMPLATE_FILE}"],
        "route": top,
        "receivers": entries,
        "inhibit_rules": _inhibit_rules(),
    }


def routing_comment(*, merge: bool = False) -> str:
    """Return what stands above the configuration in its file, as lines of comment."""
    lines = [
        "Who is told of the alerts of modelwatch, for Alertmanager 0.25 and later.",
        "Times in messages are in the zone of Alertmanager's process: start it with TZ=Europe/Berlin, for example.",
        "Links need --web.external-url, the address under which people reach Alertmanager.",
        f"The receiver {PREFIX}{WATCHDOG} is called as long as Prometheus and Alertmanager work: give it the webhook of"
        " a service that raises the alarm when the calls stop.",
    ]
    if merge:
        lines += [
            "This is a part, to be added to an existing alertmanager.yml:",
            f"  templates      copy templates/{TEMPLATE_FILE} beside that file, add the entry to its `templates`",
            "  route.routes   add the entry to its `route.routes`, as the first one",
            "  receivers      add the entries to its `receivers`",
            "  inhibit_rules  add the entries to its `inhibit_rules`",
            "It matches alerts of modelwatch only. Check the result: amtool check-config alertmanager.yml",
        ]
    return "".join(f"# {line}\n" for line in lines)


def routing_warnings(config: MonitoringConfig, *, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return what is allowed, but probably not what was meant: a sentence each."""
    people = _People.of(config, environ)
    out = []
    if config.alerting.mode == "direct":
        out.append(
            "alerting.mode is direct: modelwatch sends messages by itself, and with these rules people would be told"
            " twice; write alerting: {mode: prometheus}"
        )
    if "hourly_cap" in config.alerting.model_fields_set:
        out.append("alerting.hourly_cap: Alertmanager has no such limit; only modelwatch's own messages keep to it")
    out += [
        f"{model.model_id}: the channel {channel!r} has no receiver in the configuration; Alertmanager can't reach it"
        for model in config.models
        if model.channels_written
        for channel in model.alert_channels
        if channel not in people.channels and channel not in people.left_out
    ]
    out += [
        f"{model_id}{f' version {version}' if version else ''}: critical goes to the log only, nobody is woken"
        for model_id, version in _groups(config)
        if set(expected_receivers(config, model_id, "critical", model_version=version, environ=environ)) <= {LOG}
    ]
    for name, receiver in {**people.receivers, **people.left_out}.items():
        out += [f"alerting.receivers.{name}: {warning}" for warning in receiver_warnings(receiver)]
    return out


def expected_receivers(
    config: MonitoringConfig,
    model_id: str | None,
    severity: SeverityName | str,
    *,
    model_version: str = "",
    merge: bool = False,
    environ: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Return the receivers of an alert, named and ordered as ``amtool config routes test`` does.

    Parameters
    ----------
    config : MonitoringConfig
        As for :func:`alertmanager_config`.
    model_id : str or None
        None for an alert about the monitoring itself.
    severity : str
        "none" to "critical".
    model_version : str
        ``""`` for an alert that carries none.
    merge : bool
        Name them as in somebody else's file.
    """
    people = _People.of(config, environ)
    names = _Names(people.channels, merge)
    if severity not in {level.label for level in Severity}:
        return (names.of(LOG),)
    groups = _groups(config)
    known = groups.get((model_id or "", model_version)) or groups.get((model_id or "", ""))
    models: Sequence[ModelMonitoringConfig | None] = known or [None]
    told = people.told(models)
    found = tuple(names.of(channel) for channel, levels in told.items() if severity_of(severity) in levels)
    return found or (names.own(NOBODY),)


@dataclass(frozen=True)
class _People:
    """Who can be told, and what the policy says of whom."""

    receivers: Mapping[str, Receiver]
    """Those that Alertmanager can tell."""
    left_out: Mapping[str, Receiver]
    routing: Mapping[SeverityName, tuple[str, ...]]

    @classmethod
    def of(cls, config: MonitoringConfig, environ: Mapping[str, str] | None) -> _People:
        found = {**environment_receivers(environ), **config.alerting.receivers}
        left_out = {name: receiver for name, receiver in found.items() if why_not(receiver) is not None}
        kept = {name: receiver for name, receiver in found.items() if name not in left_out}
        return cls(receivers=kept, left_out=left_out, routing=config.alerting.severity_routing)

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel that Alertmanager can reach, the log always."""
        return tuple(dict.fromkeys((LOG, *self.receivers)))

    def told(self, models: Sequence[ModelMonitoringConfig | None]) -> Told:
        """Return who is told of what; of several models, whoever is told of any. None: one that nobody configured."""
        by_level = {level: {c for model in models for c in self._of_model(level, model)} for level in TOLD_ABOUT}
        found = {c: tuple(level for level in TOLD_ABOUT if c in by_level[level]) for c in self.channels}
        return {channel: levels for channel, levels in found.items() if levels}

    def _of_model(self, level: Severity, model: ModelMonitoringConfig | None) -> list[str]:
        written = model.alert_channels if model is not None and model.channels_written else None
        channels = channels_for(level, written, self.receivers, self.routing, reachable=self.channels)
        reached = [channel for channel in channels if channel in self.channels]
        # What is as bad as an error must not vanish because none of the model's channels has a receiver.
        return reached or ([LOG] if level >= Severity.ERROR else [])


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


def _groups(config: MonitoringConfig) -> dict[tuple[str, str], list[ModelMonitoringConfig]]:
    """Return which configured models an alert is about, by model_id and model_version, the particular ones first.

    ``""`` stands for all versions: alerts about the silence of a model, for example, carry none.
    """
    by_id: dict[str, list[ModelMonitoringConfig]] = {}
    for model in config.models:
        by_id.setdefault(model.model_id, []).append(model)
    out = {}
    for model_id, models in by_id.items():
        if len(models) > 1:
            out.update({(model_id, model.model_version): [model] for model in models if model.model_version})
        out[model_id, ""] = models
    return out


def _model_route(model_id: str, version: str, told: Told, names: _Names) -> dict[str, Any]:
    matchers = [_matcher(MODEL_ID, model_id)] + ([_matcher(MODEL_VERSION, version)] if version else [])
    return {"matchers": matchers, "receiver": names.of(LOG), "routes": _channel_routes(told, names)}


def _channel_routes(told: Told, names: _Names) -> list[dict[str, Any]]:
    """Return one route per channel, then one that keeps quiet; a severity of other people's making matches none."""
    routes: list[dict[str, Any]] = [
        {"matchers": [_severities(levels)], "receiver": names.of(channel), "continue": True}
        for channel, levels in told.items()
    ]
    heard = {level for levels in told.values() for level in levels}
    quiet = [level for level in Severity if level not in heard]
    return [*routes, {"matchers": [_severities(quiet)], "receiver": names.own(NOBODY)}]


def _watchdog_route(timing: Timing, names: _Names) -> dict[str, Any]:
    return {
        "matchers": [_matcher("alertname", ALERT_WATCHDOG)],
        "receiver": names.own(WATCHDOG),
        "group_wait": "0s",
        # Repetitions happen at ticks of the group: with equal times every other one would come a moment too early.
        "group_interval": prometheus_duration(timing.watchdog_interval / 5),
        "repeat_interval": prometheus_duration(timing.watchdog_interval),
    }


def _inhibit_rules() -> list[dict[str, Any]]:
    """Return rules by which the highest tier of a finding speaks alone.

    A label that is missing equals one that is missing: without the other matchers we would mute other teams' alerts.
    """
    ours = [_matcher("alertname", OWN_ALERTS, "=~"), _matcher(MODEL_ID, ".+", "=~")]
    return [
        {
            "source_matchers": [_severities([source]), *ours],
            "target_matchers": [_severities([level for level in TOLD_ABOUT if level < source]), *ours],
            "equal": list(INHIBIT_EQUAL),
        }
        for source in reversed(TOLD_ABOUT[1:])
    ]


def _severities(levels: Sequence[Severity]) -> str:
    names = "|".join(level.label for level in levels)
    return _matcher("severity", names, "=" if len(levels) == 1 else "=~")


def _matcher(label: str, value: str, operator: str = "=") -> str:
    r"""Return a matcher; quotes and backslashes are all that means something between its quotes.

    >>> print(_matcher("model_id", 'say "hello" \\ {{ $value }}'))
    model_id="say \"hello\" \\ {{ $value }}"
    """
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{label}{operator}"{quoted}"'
