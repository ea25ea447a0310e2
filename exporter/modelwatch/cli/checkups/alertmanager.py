"""Alertmanager: is it ready, and does it tell those whom the generated routing would tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from modelwatch.cli.audience import LEVELS, name_of
from modelwatch.cli.checkups.endpoints import shown
from modelwatch.cli.checkups.finding import TIMEOUT, Finding, Patient, ok, problem, skipped
from modelwatch.cli.checkups.prometheus import DEFAULT_PROMETHEUS, ask
from modelwatch.cli.checkups.routes import Route, inhibitions, receiver_names, root_of, told
from modelwatch.cli.tables import listed
from modelwatch.conventions import ALERT_DATA_DRIFT, MODEL_ID, MODEL_VERSION
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.fetch import get_json, get_text
from modelwatch.policy import severity_labels

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig

__all__ = ["DEFAULT_ALERTMANAGER", "look_at_alertmanager"]

DEFAULT_ALERTMANAGER = "http://localhost:9093"
_ALERTMANAGER = "Alertmanager"
_LOAD_FIX = "modelwatch rules generate (--merge for a part of an existing file), and reload Alertmanager"
_API = "/api/v2/alerts"


def look_at_alertmanager(patient: Patient) -> list[Finding]:
    """Return whether each Alertmanager that Prometheus tells, or that somebody named, would tell our people."""
    if patient.unwatched and patient.alertmanager is None:
        return [skipped(_ALERTMANAGER, f"{patient.unwatched} (--alertmanager URL looks)")]
    return [finding for url in _addresses(patient) for finding in _look_at(patient, url)]


def _addresses(patient: Patient) -> list[str]:
    if patient.alertmanager is not None:
        return [patient.alertmanager]
    try:
        active = ask(patient.prometheus or DEFAULT_PROMETHEUS, "/api/v1/alertmanagers")["activeAlertmanagers"]
    except NotifyError:  # another checkup says so
        active = []
    return [_base(one["url"]) for one in active] or [DEFAULT_ALERTMANAGER]


def _base(url: str) -> str:
    """Return the address that an API's address is below.

    >>> _base("http://am:9093/prefix/api/v2/alerts")
    'http://am:9093/prefix'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.removesuffix(_API)))


def _look_at(patient: Patient, url: str) -> Iterator[Finding]:
    base = url.rstrip("/")
    elsewhere = "start it, or give --alertmanager URL"
    try:
        get_text(f"{base}/-/ready", what="it", timeout=TIMEOUT)
        status = get_json(f"{base}/api/v2/status", what="it", timeout=TIMEOUT)
        version, original = status["versionInfo"]["version"], status["config"]["original"]
    except NotifyError as error:
        yield problem(_ALERTMANAGER, f"{shown(url)}: {error}", elsewhere)
        return
    except (KeyError, TypeError):
        yield problem(_ALERTMANAGER, f"another program answers at {shown(url)}", elsewhere)
        return
    yield ok(_ALERTMANAGER, f"{shown(url)} is ready, version {version}")
    if not patient.configured:
        yield skipped("routing", "not compared, as there is no configuration that can be read")
        return
    yield _routing(patient, original)


def _routing(patient: Patient, original: str) -> Finding:
    """Return whether an Alertmanager's file does what ours would, be it whole or merged into somebody else's."""
    there = yaml.safe_load(original)
    there = there if isinstance(there, dict) else {}
    try:
        _, _, lacks = min(_lacking(patient.config, there, merge=merge) for merge in (False, True))
    except (ValueError, re.error) as error:  # somebody else's pattern, in a syntax that is Go's only
        return skipped("routing", f"not compared: {error}")
    if lacks:
        return problem("routing", lacks, _LOAD_FIX)
    count = len(receiver_names(there))
    return ok("routing", f"it has all receivers, routes and inhibitions of this configuration ({count} receivers)")


def _lacking(config: MonitoringConfig, there: Mapping[str, Any], *, merge: bool) -> tuple[int, int, str]:
    """Return how bad it is what a file lacks, how much it is, and a sentence about it; 0, 0 and "" for nothing."""
    from modelwatch_rules.routing import alertmanager_config
    from modelwatch_rules.timing import PRODUCTION

    ours = alertmanager_config(config, PRODUCTION, merge=merge)
    receivers = sorted(receiver_names(ours) - receiver_names(there))
    if receivers:
        return 3, len(receivers), f"it lacks receivers of this configuration: {listed(receivers, 4)}"
    astray = _astray(config, root_of(there), merge=merge)
    if astray:
        more = f" (and {len(astray) - 1} more)" if len(astray) > 1 else ""
        return 2, len(astray), f"its routes are not those of this configuration: {astray[0]}{more}"
    missing = inhibitions(ours) - inhibitions(there)
    if missing:
        return 1, len(missing), f"it lacks {len(missing)} of our inhibit_rules: one fault will make several messages"
    return 0, 0, ""


def _astray(config: MonitoringConfig, root: Route, *, merge: bool) -> list[str]:
    """Return of which severities of a model those who are to be told are not; somebody else may be told too."""
    from modelwatch_rules.routing import expected_receivers

    names = severity_labels(config.alerting.severity_map)
    out = []
    for model in (*config.models, None):
        model_id, version = ("", "") if model is None else (model.model_id, model.model_version)
        for level in LEVELS:
            labels = {"alertname": ALERT_DATA_DRIFT, "severity": names[level], MODEL_ID: model_id}
            labels[MODEL_VERSION] = version
            wanted = expected_receivers(config, model_id or None, level.label, model_version=version, merge=merge)
            found = told(root, labels)
            if not set(wanted) <= set(found):
                of = "any other model" if model is None else name_of(model)
                out.append(f"{level.label} of {of} goes to {listed(found, 3)} instead of {listed(wanted, 3)}")
    return out
