"""Alertmanager: is it ready, and does it know the receivers that the generated routing names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from modelwatch.cli.checkups.endpoints import shown
from modelwatch.cli.checkups.finding import TIMEOUT, Finding, Patient, ok, problem, skipped
from modelwatch.cli.checkups.prometheus import DEFAULT_PROMETHEUS, ask
from modelwatch.cli.tables import listed
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.fetch import get_json, get_text

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
        yield skipped("routing", "not compared, as there is no configuration here")
        return
    yield _routing(patient, original)


def _routing(patient: Patient, original: str) -> Finding:
    """Return whether an Alertmanager's file has our receivers, whole or merged into somebody else's."""
    from modelwatch_rules.routing import alertmanager_config
    from modelwatch_rules.timing import PRODUCTION

    there = _names(yaml.safe_load(original))
    missing = {}
    for merge in (False, True):
        wanted = _names(alertmanager_config(patient.config, PRODUCTION, merge=merge))
        missing[merge] = sorted(wanted - there)
    if not missing[False] or not missing[True]:
        return ok("routing", f"it has all receivers of this configuration ({len(there)} in all)")
    fewest = min(missing.values(), key=len)
    return problem("routing", f"it lacks receivers of this configuration: {listed(fewest, 4)}", _LOAD_FIX)


def _names(config: Any) -> set[str]:  # noqa: ANN401 - YAML
    receivers = config.get("receivers") if isinstance(config, dict) else None
    return {str(one.get("name")) for one in receivers or () if isinstance(one, dict)}
