"""The PagerDuty channel: Events API v2, one incident per alert, opened by "firing" and closed by "resolved"."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelwatch.notify.errors import NotifyError
from modelwatch.notify.labels import data_of, facts_of, name_of, text_value
from modelwatch.notify.messages import text_of
from modelwatch.notify.post import post_json
from modelwatch.notify.secret_files import read_secret
from modelwatch.notify.wording import shorten
from modelwatch.policy import AlertLevel
from modelwatch.store.serialize import plain

if TYPE_CHECKING:
    from modelwatch.config import PagerDutyReceiver

__all__ = ["ENQUEUE", "PagerDutyHandler"]

ENQUEUE = "https://events.pagerduty.com/v2/enqueue"
DEFAULT_TIMEOUT = 10.0
MAX_SUMMARY = 1024
MAX_KEY = 255
MAX_LINES = 100
_WHAT = "PagerDuty"


class PagerDutyHandler:
    """Open and close incidents at PagerDuty.

    The alert's fingerprint is the deduplication key: a repetition, or a rise of the level, goes to the incident that
    is open already, and "resolved" closes it.

    Parameters
    ----------
    receiver : PagerDutyReceiver
        The file with the integration key of a service, read at each send.
    timeout : float
        Seconds that connecting, or waiting for an answer, may take.
    api_url : str
        Where events go; for tests, proxies and the European service region.
    """

    def __init__(
        self, receiver: PagerDutyReceiver, *, timeout: float = DEFAULT_TIMEOUT, api_url: str = ENQUEUE
    ) -> None:
        self._receiver = receiver
        self._timeout = timeout
        self._api_url = api_url

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __call__(self, alert: Mapping[str, Any]) -> None:
        """Send one event.

        Raises
        ------
        NotifyError
            If PagerDuty did not take it; the message does not hold the key.
        """
        key = read_secret(self._receiver.routing_key_file, "routing_key_file")
        event = {"routing_key": key, **compose(alert)}
        answer = post_json(self._api_url, event, what=_WHAT, timeout=self._timeout, secrets=(key,))
        try:
            said = json.loads(answer)
        except ValueError:
            said = None
        if not isinstance(said, dict) or said.get("status") != "success":
            # A proxy's page with status 200 would else count as a page to the one on call.
            msg = "PagerDuty failed: the answer is not that of its events API"
            raise NotifyError(msg)


def compose(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event of an alert, without the routing key."""
    event: dict[str, Any] = {"event_action": "trigger", "dedup_key": _key(alert)}
    if alert.get("status") == "resolved":
        return event | {"event_action": "resolve"}
    text = text_of(alert)
    event |= {"client": "modelwatch", "payload": _payload(alert)}
    if text.links:
        event["links"] = [{"href": url, "text": label} for label, url in text.links]
    return event


def _key(alert: Mapping[str, Any]) -> str:
    return f"modelwatch-{alert.get('fingerprint') or alert.get('alert_id') or ''}"[:MAX_KEY]


def _payload(alert: Mapping[str, Any]) -> dict[str, Any]:
    text, data = text_of(alert), data_of(alert)
    level = str(alert.get("level") or "")
    model_id = str(alert.get("model_id") or "")
    payload = {
        "summary": shorten(text.headline, MAX_SUMMARY),
        "severity": level if level in set(AlertLevel) else AlertLevel.WARNING.value,
        "source": model_id or socket.gethostname() or "modelwatch",
        "timestamp": str(alert.get("timestamp") or ""),
        "component": text_value(data, "metric") or text_value(data, "model_version"),
        "group": model_id,
        "class": name_of(alert) or str(alert.get("type") or ""),
        "custom_details": {
            **{key: value for key, value in facts_of(alert).items() if key != "model_id"},
            "facts": list(text.lines[:MAX_LINES]),
        },
    }
    kept = {key: value for key, value in payload.items() if value}
    safe = plain(kept)  # NaN is no JSON
    assert isinstance(safe, dict)
    return safe
