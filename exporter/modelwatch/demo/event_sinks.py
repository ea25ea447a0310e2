"""PagerDuty and a webhook on the loopback interface: they take what the real ones take, and refuse the rest."""

from __future__ import annotations

import base64
import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from modelwatch.demo.http_sink import Answer, HttpSink, is_json
from modelwatch.demo.received import HOST

__all__ = ["PagerDutySink", "WebhookSink"]


class _EventSink(HttpSink):
    """A sink that answers in JSON."""

    def take(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Refuse what does not say that it is JSON."""
        if not is_json(headers):
            return 400, {"status": "invalid event", "errors": ["Content-Type must be application/json"]}
        return self.take_json(path, headers, raw)

    @abstractmethod
    def take_json(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Return status and body of the answer to JSON."""

    def too_large(self) -> Answer:
        """Refuse a body that is too large."""
        return 413, {"status": "too large"}

    def sick(self, status: int) -> Answer:
        """Fail as asked for."""
        return status, {"status": "sick"}


class PagerDutySink(_EventSink):
    """The Events API v2 of PagerDuty: which incidents are open, by deduplication key.

    Parameters
    ----------
    routing_key : str
        The only integration key that it knows.

    Examples
    --------
    >>> from urllib.request import Request, urlopen
    >>> with PagerDutySink() as sink:
    ...     event = {"routing_key": sink.routing_key, "event_action": "trigger", "dedup_key": "k",
    ...              "payload": {"summary": "it is off", "severity": "critical", "source": "ad_score"}}
    ...     head = {"Content-Type": "application/json"}
    ...     with urlopen(Request(sink.url, data=json.dumps(event).encode(), headers=head)) as answer:
    ...         print(answer.status, sorted(sink.open_incidents))
    202 ['k']
    """

    what = "event"

    def __init__(self, routing_key: str = "0123456789abcdef0123456789abcdef") -> None:
        self.routing_key = routing_key
        self.open_incidents: dict[str, dict[str, Any]] = {}
        """The last trigger of each, by deduplication key."""
        super().__init__()

    @property
    def url(self) -> str:
        """The address that events are posted to."""
        return f"http://{self.host}:{self.port}/v2/enqueue"

    def take_json(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Take an event, or refuse it with the words of PagerDuty."""
        if path != "/v2/enqueue":
            return 404, {"status": "not found"}
        try:
            event = json.loads(raw)
        except ValueError:
            return 400, {"status": "Unrecognized object", "message": "Event object format is unrecognized",
                         "errors": ["JSON parse error"]}  # fmt: skip
        errors = _event_errors(event, self.routing_key)
        if errors:
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
        key = str(event.get("dedup_key") or f"key-{self.requests}")
        with self._lock:
            if event["event_action"] == "trigger":
                self.open_incidents[key] = event
            elif event["event_action"] == "resolve":
                self.open_incidents.pop(key, None)
        self._inbox.add(event)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}


class WebhookSink(_EventSink):
    """An address that takes any JSON object, and can insist on basic authentication.

    Parameters
    ----------
    credentials : tuple of str and str, or None
        User name and password that it insists on.
    address : tuple of str and int
        Where to listen; by default any free port of this machine.
    """

    what = "call"

    def __init__(self, credentials: tuple[str, str] | None = None, *, address: tuple[str, int] = (HOST, 0)) -> None:
        self._credentials = credentials
        super().__init__(address)

    @property
    def url(self) -> str:
        """The address, whose path is a secret."""
        return f"http://{self.host}:{self.port}/hook/S3CRET"

    def take_json(self, path: str, headers: Mapping[str, str], raw: bytes) -> Answer:
        """Take a JSON object."""
        if path != "/hook/S3CRET":
            return 404, {"error": "no such hook"}
        if self._credentials is not None:
            expected = f"Basic {base64.b64encode(':'.join(self._credentials).encode()).decode()}"
            if headers.get("authorization") != expected:
                return 401, {"error": "who are you?"}
        try:
            body = json.loads(raw)
        except ValueError:
            return 400, {"error": "no JSON"}
        if not isinstance(body, dict):
            return 400, {"error": "no object"}
        self._inbox.add(body)
        return 200, {}


def _event_errors(event: object, routing_key: str) -> list[str]:
    """Return what PagerDuty would refuse an event for."""
    if not isinstance(event, dict):
        return ["Event object is not an object"]
    errors = []
    key = event.get("routing_key")
    if not isinstance(key, str) or len(key) != 32:
        errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    elif key != routing_key:
        errors.append("'routing_key' is invalid")
    action = event.get("event_action")
    if action not in ("trigger", "acknowledge", "resolve"):
        errors.append("'event_action' is missing or invalid")
    dedup_key = event.get("dedup_key", "")
    if not isinstance(dedup_key, str) or len(dedup_key) > 255 or (action != "trigger" and not dedup_key):
        errors.append("'dedup_key' is missing, or longer than 255 characters")
    if action == "trigger":
        errors += _payload_errors(event.get("payload"))
        links = event.get("links", [])
        if not isinstance(links, list) or not all(
            isinstance(link, dict) and re.match("https?://", str(link.get("href"))) for link in links
        ):
            errors.append("'links' must be a list of objects with an 'href'")
    return errors


def _payload_errors(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    errors = []
    summary = payload.get("summary")
    if not isinstance(summary, str) or not 1 <= len(summary) <= 1024:
        errors.append("'payload.summary' must be 1 to 1024 characters")
    if payload.get("severity") not in ("critical", "error", "warning", "info"):
        errors.append("'payload.severity' is invalid (must be one of critical, warning, error, info)")
    if not isinstance(payload.get("source"), str) or not payload["source"]:
        errors.append("'payload.source' is missing or blank")
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("'payload.custom_details' must be an object")
    try:
        datetime.fromisoformat(str(payload.get("timestamp", "2026-01-01T00:00:00+00:00")).replace("Z", "+00:00"))
    except ValueError:
        errors.append("'payload.timestamp' is no ISO-8601 time")
    return errors
