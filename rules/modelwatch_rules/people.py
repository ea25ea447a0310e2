"""Who can be told by Alertmanager, what the policy says of whom, and when they are left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelwatch.config import environment_receivers
from modelwatch.policy import LOG, Severity, channels_for, has_quiet_hours, severity_labels, severity_of
from modelwatch_rules.model_groups import model_groups
from modelwatch_rules.receivers import why_not
from modelwatch_rules.versions import ALERTMANAGER, Version

if TYPE_CHECKING:
    from modelwatch.config import ModelMonitoringConfig, MonitoringConfig, QuietHours, Receiver, SeverityName

__all__ = ["People", "Told"]

TOLD_ABOUT = (Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL)

Told = Mapping[str, tuple[str, ...]]
"""The tiers that each channel is told of, as the label `severity` calls them, the mildest first."""


@dataclass(frozen=True)
class People:
    """Who can be told, and what the policy says of whom."""

    receivers: Mapping[str, Receiver]
    """Those that Alertmanager can tell."""
    left_out: Mapping[str, Receiver]
    routing: Mapping[SeverityName, tuple[str, ...]]
    labels: Mapping[Severity, str]
    quiet_hours: tuple[QuietHours, ...]

    @classmethod
    def of(cls, config: MonitoringConfig, environ: Mapping[str, str] | None, version: Version = ALERTMANAGER) -> People:
        """Return the people of a configuration; `environ` may define receivers too (None: of this process)."""
        found = {**environment_receivers(environ), **config.alerting.receivers}
        left_out = {name: receiver for name, receiver in found.items() if why_not(receiver, version) is not None}
        return cls(
            receivers={name: receiver for name, receiver in found.items() if name not in left_out},
            left_out=left_out,
            routing=config.alerting.severity_routing,
            labels=severity_labels(config.alerting.severity_map),
            quiet_hours=config.alerting.quiet_hours,
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel that Alertmanager can reach, the log always."""
        return tuple(dict.fromkeys((LOG, *self.receivers)))

    @property
    def tiers(self) -> tuple[str, ...]:
        """What the label `severity` says, each once, the mildest first."""
        return tuple(dict.fromkeys(self.labels[level] for level in TOLD_ABOUT))

    def told(self, models: Sequence[ModelMonitoringConfig | None]) -> Told:
        """Return who is told of what; of several models, whoever is told of any. None: one that nobody configured.

        Severities that share a label can't be told apart: who is told of one of them is told of the label.
        """
        by_tier: dict[str, set[str]] = {tier: set() for tier in self.tiers}
        for level in TOLD_ABOUT:
            by_tier[self.labels[level]].update(c for model in models for c in self._of_model(level, model))
        found = {c: tuple(tier for tier in self.tiers if c in by_tier[tier]) for c in self.channels}
        return {channel: tiers for channel, tiers in found.items() if tiers}

    def quiet(self, channel: str, tier: str) -> tuple[int, ...]:
        """Return which quiet hours of the configuration keep a tier from a channel, by their places in the list."""
        worst = max(level for level in TOLD_ABOUT if self.labels[level] == tier)
        receiver = self.receivers.get(channel)
        return tuple(
            index
            for index, hours in enumerate(self.quiet_hours)
            if worst < severity_of(hours.below) and has_quiet_hours(hours, channel, receiver)
        )

    def apart(self, config: MonitoringConfig) -> Mapping[str, tuple[str, ...]]:
        """Return, by channel, the tiers that quiet hours make a conversation apart from that about lower ones."""
        out: dict[str, tuple[str, ...]] = {}
        everybody: list[Sequence[ModelMonitoringConfig | None]] = [*model_groups(config).values(), [None]]
        for models in everybody:
            for channel, (lowest, *others) in self.told(models).items():
                hours = self.quiet(channel, lowest)
                above = tuple(tier for tier in others if self.quiet(channel, tier) != hours)
                if len(above) > len(out.get(channel, ())):
                    out[channel] = above
        return out

    def _of_model(self, level: Severity, model: ModelMonitoringConfig | None) -> list[str]:
        written = model.alert_channels if model is not None and model.channels_written else None
        channels = channels_for(level, written, self.receivers, self.routing, reachable=self.channels)
        reached = [channel for channel in channels if channel in self.channels]
        # What is as bad as an error must not vanish because none of the model's channels has a receiver.
        return reached or ([LOG] if level >= Severity.ERROR else [])
