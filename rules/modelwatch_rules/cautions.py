"""What a configuration may say, but Alertmanager can't do as it was probably meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelwatch.config import ALL_LABELS
from modelwatch.conventions import MODEL_ID, MODEL_VERSION, SEGMENT
from modelwatch.exceptions import did_you_mean
from modelwatch.policy import LOG, Severity, has_quiet_hours, severity_of
from modelwatch_rules.matchers import SITE_LABELS
from modelwatch_rules.model_groups import model_groups
from modelwatch_rules.people import People
from modelwatch_rules.receivers import receiver_warnings
from modelwatch_rules.versions import ALERTMANAGER, Version

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig

__all__ = ["routing_warnings"]

LABELS = (
    *("alertname", "severity", MODEL_ID, MODEL_VERSION, SEGMENT, "metric", "feature", "reason", "storage", "channel"),
    *("component", "job", "instance", *SITE_LABELS),
)
"""What our alerts carry, and what sites tell their environments by; anything else is a site's own, or a slip."""


def routing_warnings(
    config: MonitoringConfig, *, environ: Mapping[str, str] | None = None, version: Version = ALERTMANAGER
) -> list[str]:
    """Return what is allowed, but probably not what was meant: a sentence each."""
    people = People.of(config, environ, version)
    out = []
    if config.alerting.mode == "direct":
        out.append(
            "alerting.mode is direct: modelwatch sends messages by itself, and with these rules people would be told"
            " twice; write alerting: {mode: prometheus}"
        )
    if "hourly_cap" in config.alerting.model_fields_set:
        out.append("alerting.hourly_cap: Alertmanager has no such limit; only modelwatch's own messages keep to it")
    out += [*_grouping_warnings(config), *_quiet_warnings(people)]
    out += [
        f"{model.model_id}: the channel {channel!r} has no receiver in the configuration; Alertmanager can't reach it"
        for model in config.models
        if model.channels_written
        for channel in model.alert_channels
        if channel not in people.channels and channel not in people.left_out
    ]
    out += [
        f"{model_id}{f' version {number}' if number else ''}: critical goes to the log only, nobody is woken"
        for (model_id, number), models in model_groups(config).items()
        if not any(people.tiers[-1] in tiers for channel, tiers in people.told(models).items() if channel != LOG)
    ]
    for name, receiver in {**people.receivers, **people.left_out}.items():
        out += [f"alerting.receivers.{name}: {warning}" for warning in receiver_warnings(receiver, version)]
    return out


def _grouping_warnings(config: MonitoringConfig) -> list[str]:
    if not config.alerting.grouping.model_fields_set:
        return []
    out = []
    if config.alerting.mode == "direct":
        out.append(
            "alerting.grouping is for Alertmanager: a message that modelwatch sends by itself is about one alert"
        )
    by = config.alerting.grouping.by
    absent = [label for label in ("alertname", MODEL_ID) if by is not None and label not in by]
    if absent and ALL_LABELS not in (by or ()):
        several = "several models of the same people" if absent == [MODEL_ID] else "several alerts"
        out.append(
            f"alerting.grouping.by is without {' and '.join(absent)}: one message will be about {several}, with the"
            " worst in its headline"
        )
    out += [
        f"alerting.grouping.by: {label!r} is no label of ours{hint}"
        for label in by or ()
        if label not in LABELS and (hint := did_you_mean(label.lower(), LABELS, cutoff=0.75))
    ]
    return out


def _quiet_warnings(people: People) -> list[str]:
    """Say where Alertmanager can't do with quiet hours what modelwatch does by itself.

    Of severities that share a label none is muted if one is not. What ends in them is forgotten; elsewhere that is one
    message less, but an incident stays open.
    """
    out = []
    for index, hours in enumerate(people.quiet_hours):
        loud = severity_of(hours.below)
        shared = [level.label for level in Severity if level < loud and people.labels[level] == people.labels[loud]]
        if shared:
            out.append(
                f"alerting.quiet_hours[{index}]: what is below {loud.label} is to be quiet, but {' and '.join(shared)}"
                f" will get through Alertmanager by the label {people.labels[loud]!r}, which {loud.label} has too"
            )
        out += [
            f"alerting.quiet_hours[{index}]: {name}: Alertmanager forgets what ends in quiet hours, so the incident"
            " stays open in PagerDuty; a 'min_severity' or PagerDuty's own schedule is safer"
            for name, receiver in people.receivers.items()
            if receiver.type == "pagerduty" and has_quiet_hours(hours, name, receiver)
        ]
    return out
