"""Who is told what of each model, as the configuration says, and where that leaves gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelwatch.cli.tables import listed
from modelwatch.config import channels_without_receiver, environment_receivers
from modelwatch.exceptions import did_you_mean
from modelwatch.policy import LOG, Severity, channels_for

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, MonitoringConfig, Receiver

__all__ = ["LEVELS", "Audience", "Group", "audience_of", "gaps", "grouped", "name_of", "receivers_of", "told"]

LEVELS = (Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL)
Told = Mapping[Severity, tuple[str, ...]]
"""Channels by severity, in the order in which the model names them."""


@dataclass(frozen=True)
class Audience:
    """Who is told of one model; `model` is None for those that the file does not list."""

    model: ModelMonitoringConfig | None
    told: Told

    @property
    def name(self) -> str:
        """The model, with its version where the configuration gives one."""
        return "any other model" if self.model is None else name_of(self.model)


@dataclass(frozen=True)
class Group:
    """Models of which the same people are told the same."""

    names: tuple[str, ...]
    told: Told


def name_of(model: ModelMonitoringConfig) -> str:
    """Return what a configured model is called: its id, with its version where there is one."""
    return f"{model.model_id} version {model.model_version}" if model.model_version else model.model_id


def receivers_of(config: MonitoringConfig) -> dict[str, Receiver]:
    """Return the receivers of a configuration and of the environment, by name."""
    return {**environment_receivers(), **config.alerting.receivers}


def audience_of(config: MonitoringConfig) -> list[Audience]:
    """Return who is told of each model of a configuration, then of any that it does not list."""
    return [
        Audience(model, {level: told(config, model, level) for level in LEVELS}) for model in (*config.models, None)
    ]


def told(config: MonitoringConfig, model: ModelMonitoringConfig | None, level: Severity) -> tuple[str, ...]:
    """Return the channels that are told of a severity of a model; () for nobody.

    In mode prometheus that is what the generated routing does, in mode direct the policy, with channels that the
    application would have to serve by a handler of its own left out.
    """
    receivers = receivers_of(config)
    if config.alerting.mode == "prometheus":
        from modelwatch_rules.routing import expected_receivers

        model_id, version = (model.model_id, model.model_version) if model is not None else (None, "")
        expected = expected_receivers(config, model_id, level.label, model_version=version)
        return tuple(name for name in expected if name == LOG or name in receivers)
    written = model.alert_channels if model is not None and model.channels_written else None
    reachable = {LOG, *receivers}
    known = {name: receivers.get(name) for name in sorted(reachable)}
    channels = channels_for(level, written, known, config.alerting.severity_routing, reachable=reachable)
    return tuple(channel for channel in channels if channel in reachable)


def grouped(audiences: Sequence[Audience]) -> list[Group]:
    """Return models together of which the same people are told the same, in the order of their first."""
    groups: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    by_key: dict[tuple[tuple[str, ...], ...], Told] = {}
    for audience in audiences:
        key = tuple(audience.told[level] for level in LEVELS)
        groups.setdefault(key, []).append(audience.name)
        by_key[key] = audience.told
    return [Group(tuple(names), by_key[key]) for key, names in groups.items()]


def gaps(config: MonitoringConfig, audiences: Sequence[Audience]) -> list[str]:
    """Return a sentence for each severity of a model that reaches nobody, or the log only, and for idle receivers."""
    in_file = [audience for audience in audiences if audience.model is not None]
    logs = {LOG, *(name for name, receiver in receivers_of(config).items() if receiver.type == LOG)}
    out = []
    for group in grouped(in_file):
        of = listed(group.names, 3)
        silent = [level for level in LEVELS if level >= Severity.WARNING and not group.told[level]]
        logged = [level for level in LEVELS if level >= Severity.ERROR and group.told[level]]
        logged = [level for level in logged if set(group.told[level]) <= logs]
        out += [f"{_words(silent)} of {of} reaches nobody"] if silent else []
        out += [f"{_words(logged)} of {of}: log only!"] if logged else []
    heard = {channel for audience in in_file for channels in audience.told.values() for channel in channels}
    if in_file:
        out += [
            f"receiver {name!r} is told of nothing: no model of this file names it, or no severity goes to it"
            for name in config.alerting.receivers
            if name not in heard and name != LOG
        ]
    return [*out, *_unserved(config)]


def _unserved(config: MonitoringConfig) -> list[str]:
    receivers = receivers_of(config)
    out = []
    for model in config.models:
        for channel in channels_without_receiver(model, config.alerting, receivers):
            remedy = (
                f"it reaches nobody unless the application registers a handler {channel!r}"
                if config.alerting.mode == "direct"
                else "Alertmanager can't reach it"
            )
            hint = did_you_mean(channel, receivers)
            out.append(f"{model.model_id}: the channel {channel!r} has no receiver; {remedy}{hint}")
    return out


def _words(levels: Sequence[Severity]) -> str:
    """Return severities as a phrase.

    >>> _words([Severity.WARNING]), _words([Severity.WARNING, Severity.ERROR, Severity.CRITICAL])
    ('warning', 'warning, error and critical')
    """
    names = [level.label for level in levels]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
