"""Who is told, and whether each channel could be: secrets, names, connections. Nothing is sent."""

from __future__ import annotations

import socket
import urllib.request
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelwatch.cli.audience import audience_of, gaps, receivers_of
from modelwatch.cli.checkups.finding import TIMEOUT, Finding, Patient, ok, problem, skipped, together
from modelwatch.cli.quiet import idle_warnings, local_time, quiet_lines, quiet_warnings
from modelwatch.config import channels_without_receiver
from modelwatch.exceptions import did_you_mean
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.fetch import in_short
from modelwatch.notify.pagerduty import ENQUEUE
from modelwatch.notify.secret_files import read_secret, secret_problem
from modelwatch.notify.wording import clock_time
from modelwatch.policy import LOG
from modelwatch.service.claims import served_since
from modelwatch.service.silences import scope_words

if TYPE_CHECKING:
    from modelwatch.config import Receiver

__all__ = ["look_at_audience", "look_at_channels", "look_at_quiet_hours", "look_at_silences"]

SLACK_API = "https://slack.com"
_PORTS = {"http": 80, "https": 443}


def look_at_audience(patient: Patient) -> list[Finding]:
    """Return where the configuration leaves somebody untold."""
    if patient.unreadable:
        return [skipped("who is told", "the configuration can't be read")]
    if not patient.config.models:
        return [skipped("who is told", "no model is configured in a file")]
    found = gaps(patient.config, audience_of(patient.config))
    # A channel without a receiver may have a handler in an application, which is looked at with the channels.
    mine = [sentence for sentence in found if "has no receiver" not in sentence]
    if not mine:
        return [ok("who is told", "everything from warning up reaches somebody")]
    return [problem("who is told", sentence, "modelwatch check-config shows who gets what") for sentence in mine]


def look_at_quiet_hours(patient: Patient) -> list[Finding]:
    """Return when who is not told of what, who is not now, and what of the alerting section is not as it was meant."""
    config = patient.config
    moment = local_time(config, patient.now)
    found = [
        ok("quiet hours", f"{line}; {'they hold now' if hours.hold_at(moment) else 'not now'}")
        for hours, line in zip(config.alerting.quiet_hours, quiet_lines(config), strict=True)
    ]
    fix = "modelwatch check-config shows who is quiet, and when"
    found += [problem("quiet hours", sentence, fix) for sentence in quiet_warnings(config)]
    return found + [
        problem("alerting", one, "leave it out, or write mode: prometheus") for one in idle_warnings(config)
    ]


def look_at_silences(patient: Patient) -> list[Finding]:
    """Return which silences of modelwatch's own are in force: meant by somebody, but easily forgotten."""
    silences = patient.facts.silences if patient.facts is not None else ()
    if not patient.direct or not silences:
        return []
    zone = patient.config.timezone
    return [
        ok("silence", f"{scope_words(one)}, until {clock_time(one.ends_at, patient.now, zone)}: nobody is told")
        for one in silences
    ]


def look_at_channels(patient: Patient) -> list[Finding]:
    """Return whether each receiver could deliver, and who serves the channels that have none."""
    receivers = {name: receiver for name, receiver in receivers_of(patient.config).items() if receiver.type != LOG}
    jobs = [partial(_look_at, patient, name, receiver) for name, receiver in receivers.items()]
    late = "its name server or its server did not answer in time"
    found = [
        finding or problem(f"channel {name}", late, "see whether this machine can look names up: getent hosts NAME")
        for name, finding in zip(receivers, together(jobs, 3 * TIMEOUT), strict=True)
    ]
    found += _handlers(patient, receivers)
    none = "the configuration can't be read" if patient.unreadable else "none but the log is configured"
    return found or [skipped("channels", none)]


def _look_at(patient: Patient, name: str, receiver: Receiver) -> Finding:
    what = f"channel {name}"
    again = f"put it right, then: modelwatch alerts test --channel {name} --model ID --severity critical"
    if not patient.direct:
        again = "put it right, then: modelwatch alerts test --model ID --severity critical"
    if secret := secret_problem(receiver):
        return problem(what, f"can't deliver: {secret}", again)
    try:
        host, port, label = _server_of(receiver)
    except NotifyError as error:
        return problem(what, f"can't deliver: {error}", again)
    if _by_proxy(receiver, host):
        return skipped(what, f"{label} is reached through a proxy: modelwatch alerts test tries it")
    try:
        socket.create_connection((host, port), TIMEOUT).close()
    except (OSError, UnicodeError) as error:
        return problem(what, f"{label} can't be reached from here: {in_short(error)}", again)
    return ok(what, f"{label} answers{_history(patient, name)}")


def _server_of(receiver: Receiver) -> tuple[str, int, str]:
    """Return host and port of a receiver's server, and what it may be called: an address in a file is a secret."""
    if receiver.type == "email":
        return receiver.host, receiver.port, receiver.smtp
    if receiver.type == "slack":
        url = read_secret(receiver.url_file, "url_file") if receiver.url_file is not None else SLACK_API
        return *_host_and_port(url), "Slack's server"
    if receiver.type == "pagerduty":
        return *_host_and_port(ENQUEUE), "PagerDuty's server"
    if receiver.type == "log":
        return "", 0, LOG
    url = receiver.url if receiver.url is not None else read_secret(receiver.url_file or "", "url_file")
    host, port = _host_and_port(url)
    return host, port, f"{host}:{port}" if receiver.url is not None else "its server"


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)


def _by_proxy(receiver: Receiver, host: str) -> bool:
    if receiver.type == "email":
        return False
    proxies = urllib.request.getproxies()
    return bool({"http", "https"} & proxies.keys()) and not urllib.request.proxy_bypass(host)


def _history(patient: Patient, name: str) -> str:
    delivered, given_up = patient.facts.notifications.get(name, (0, 0)) if patient.facts is not None else (0, 0)
    if not delivered and not given_up:
        return ""
    return f"; so far {delivered} delivered" + (f", {given_up} given up" if given_up else "")


def _handlers(patient: Patient, receivers: dict[str, Receiver]) -> list[Finding]:
    served = patient.facts.served if patient.facts is not None else {}
    channels = {
        channel: model.model_id
        for model in patient.config.models
        for channel in channels_without_receiver(model, patient.config.alerting, receivers)
    }
    found = []
    for channel, model_id in channels.items():
        what = f"channel {channel}"
        if patient.direct and served.get(channel, 0.0) >= served_since(patient.now):
            found.append(ok(what, "an application serves it by its own handler"))
            continue
        fix = f"add it to alerting.receivers{did_you_mean(channel, receivers)}"
        fix += ", or call register_alert_handler in the application" if patient.direct else ""
        found.append(problem(what, f"has no receiver, and {model_id} names it", fix))
    return found
