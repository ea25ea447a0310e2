"""Receivers of an Alertmanager configuration: e-mail, Slack, PagerDuty, webhooks, and the log.

The log is a webhook into the sidecar.

Each carries all of its settings, so that none depends on a `global` section. Secrets are named by their files only.
"""

from __future__ import annotations

import ipaddress
from email.utils import formataddr
from typing import TYPE_CHECKING, Any

from modelwatch.config import (
    AlertmanagerReceiver,
    EmailReceiver,
    PagerDutyReceiver,
    SlackReceiver,
    WebhookReceiver,
)
from modelwatch_rules.templates import (
    EMAIL_HTML,
    EMAIL_SUBJECT,
    EMAIL_TEXT,
    PAGERDUTY_SEVERITY,
    PAGERDUTY_URL,
    SLACK_COLOR,
    SLACK_TEXT,
    SLACK_TITLE,
    call,
)
from modelwatch_rules.versions import ALERTMANAGER, SLACK_ANSWERS, WEBHOOK_URL_FILE, Version

if TYPE_CHECKING:
    from modelwatch.config import Receiver

__all__ = [
    "PAGERDUTY_ENQUEUE",
    "SLACK_POST_MESSAGE",
    "literal",
    "receiver_entry",
    "receiver_warnings",
    "webhook_entry",
    "why_not",
]

PAGERDUTY_ENQUEUE = "https://events.pagerduty.com/v2/enqueue"
SLACK_POST_MESSAGE = "https://slack.com/api/chat.postMessage"
_TLS_PORT = 465

# One conversation per alert of a model in mail programs, whatever its tier; "%.64x" is the first 64 bytes in hex. Where
# a message is about several models, it belongs to those about the same group.
_REFERENCES = (
    "<modelwatch-{{ .CommonLabels.alertname }}-"
    r"""{{ or .CommonLabels.model_id (join "\x1f" .GroupLabels.SortedPairs.Values) | printf "%.64x" }}@DOMAIN>"""
)


def receiver_entry(name: str, receiver: Receiver | None, log_url: str) -> dict[str, Any]:
    """Return an entry of `receivers`.

    Parameters
    ----------
    name : str
        What routes call it.
    receiver : Receiver or None
        As configured; None, or one of type log, is the log.
    log_url : str
        Where the log takes alerts.
    """
    if isinstance(receiver, EmailReceiver):
        return {"name": name, "email_configs": [_email(receiver)]}
    if isinstance(receiver, SlackReceiver):
        return {"name": name, "slack_configs": [_slack(receiver)]}
    if isinstance(receiver, PagerDutyReceiver):
        return {"name": name, "pagerduty_configs": [_pagerduty(receiver)]}
    if isinstance(receiver, WebhookReceiver) and receiver.url_file is not None:
        return {"name": name, "webhook_configs": [{"url_file": receiver.url_file, "send_resolved": True}]}
    if isinstance(receiver, WebhookReceiver):
        return webhook_entry(name, receiver.url, send_resolved=True)
    return webhook_entry(name, log_url, send_resolved=True)


def webhook_entry(name: str, url: str | None, *, send_resolved: bool) -> dict[str, Any]:
    """Return an entry of `receivers` that calls a webhook; without an address it takes alerts and does nothing."""
    if url is None:
        return {"name": name}
    return {"name": name, "webhook_configs": [{"url": url, "send_resolved": send_resolved}]}


def why_not(receiver: Receiver, version: Version = ALERTMANAGER) -> str | None:
    """Return why a receiver can't be one of Alertmanager's, which leaves it out; None if it can."""
    if isinstance(receiver, AlertmanagerReceiver):
        return "left out: Alertmanager does not send to an Alertmanager; name it in Prometheus (--alertmanager)"
    if isinstance(receiver, WebhookReceiver) and receiver.url is None and version < WEBHOOK_URL_FILE:
        return (
            f"left out: Alertmanager {version} reads no webhook's address from a file ('url_file'); write 'url' if it"
            f" holds no secret, or, if yours is a later one, give --alertmanager-version {WEBHOOK_URL_FILE}"
        )
    return None


def receiver_warnings(receiver: Receiver, version: Version = ALERTMANAGER) -> list[str]:
    """Return what Alertmanager can't do as it is configured for modelwatch's own messages: a sentence each."""
    if (reason := why_not(receiver, version)) is not None:
        return [reason]
    out = []
    if isinstance(receiver, EmailReceiver):
        if receiver.from_ is None:
            out.append(f"no 'from': messages will come from {_sender(receiver)}")
        if receiver.tls == "auto" and receiver.username is None and _require_tls(receiver):
            out.append(
                "tls: auto is more than Alertmanager can do: it will insist on STARTTLS; write 'tls: none' if the"
                " server does not offer it, or nothing will be delivered"
            )
        if receiver.tls == "tls" and receiver.port != _TLS_PORT:
            out.append("tls: Alertmanager speaks TLS from the start on port 465 only; here it will insist on STARTTLS")
    if isinstance(receiver, SlackReceiver) and receiver.token_file is not None and version < SLACK_ANSWERS:
        out.append(
            f"token_file: Alertmanager {version} does not see when Slack refuses a message of a bot; prefer 'url_file',"
            f" or, if yours is a later one, give --alertmanager-version {SLACK_ANSWERS}"
        )
    if isinstance(receiver, WebhookReceiver):
        out.append(
            "a webhook gets the JSON of Alertmanager (its version 4: many alerts in one message), not that of"
            " modelwatch's own messages"
        )
    return out


def literal(text: str) -> str:
    """Return `text` for a field that Alertmanager takes as a template.

    >>> literal("plain"), literal("a{{b}}")
    ('plain', 'a{{ "{{" }}b}}')
    """
    return text.replace("{{", '{{ "{{" }}')


def _email(receiver: EmailReceiver) -> dict[str, Any]:
    sender = _sender(receiver)
    domain = sender.rpartition("@")[2].strip("> ")
    domain = domain if domain.isascii() else "localhost"
    out: dict[str, Any] = {
        "to": literal(", ".join(_address(to) for to in receiver.to)),
        "from": literal(sender),
        "smarthost": receiver.smtp,
        "hello": domain,
    }
    if receiver.username is not None:
        out |= {"auth_username": receiver.username, "auth_password_file": receiver.password_file}
    return out | {
        "require_tls": _require_tls(receiver),
        "send_resolved": True,
        "headers": {
            "Subject": call(EMAIL_SUBJECT),
            "Auto-Submitted": "auto-generated",
            "References": _REFERENCES.replace("DOMAIN", literal(domain)),
        },
        "text": call(EMAIL_TEXT),
        "html": call(EMAIL_HTML),
    }


def _slack(receiver: SlackReceiver) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if receiver.url_file is not None:
        out["api_url_file"] = receiver.url_file
    else:
        out["api_url"] = SLACK_POST_MESSAGE
        out["http_config"] = {"authorization": {"type": "Bearer", "credentials_file": receiver.token_file}}
    if receiver.channel is not None:
        out["channel"] = literal(receiver.channel)
    return out | {
        "send_resolved": True,
        "color": call(SLACK_COLOR),
        "title": call(SLACK_TITLE),
        "title_link": "",
        "text": call(SLACK_TEXT),
        "fallback": call(SLACK_TITLE),
    }


def _pagerduty(receiver: PagerDutyReceiver) -> dict[str, Any]:
    return {
        "routing_key_file": receiver.routing_key_file,
        "url": PAGERDUTY_ENQUEUE,
        "send_resolved": True,
        "client": "modelwatch",
        "client_url": call(PAGERDUTY_URL),
        "description": call(EMAIL_SUBJECT),
        "severity": call(PAGERDUTY_SEVERITY),
        "component": "{{ .CommonLabels.model_version }}",
        "group": "{{ .CommonLabels.model_id }}",
        "class": "{{ .CommonLabels.alertname }}",
        "details": {"facts": call(EMAIL_TEXT)},
    }


def _require_tls(receiver: EmailReceiver) -> bool:
    """Return whether to insist on STARTTLS. On port 465 there is TLS already, and insisting would fail."""
    if receiver.tls == "none" or receiver.port == _TLS_PORT:
        return False
    # Without insisting Alertmanager would never encrypt; on this machine there is nobody to hide from.
    return receiver.tls != "auto" or receiver.username is not None or not _is_loopback(receiver.host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _sender(receiver: EmailReceiver) -> str:
    if receiver.from_ is not None:
        return _address(receiver.from_)
    if receiver.username is not None and "@" in receiver.username:
        return _address(receiver.username)
    return f"modelwatch@{_address(receiver.to[0]).rpartition('@')[2].strip('> ')}"


def _address(text: str) -> str:
    """Return an address in the form that mail servers and Alertmanager agree on: the name encoded, quoted if need be.

    >>> _address("Zoë, on call <zoe@example.com>"), _address("zoe@example.com")
    ('=?utf-8?q?Zo=C3=AB=2C_on_call?= <zoe@example.com>', 'zoe@example.com')
    """
    name, _, address = text.rpartition("<")
    address = address.strip("> ")
    name = name.strip().strip('"').replace('\\"', '"')
    return formataddr((name, address)) if address.isascii() else address
