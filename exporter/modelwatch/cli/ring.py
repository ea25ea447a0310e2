"""A test alert on the way that real ones take: composed, sent, and what became of it."""

from __future__ import annotations

import getpass
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from modelwatch.config import ModelMonitoringConfig
from modelwatch.conventions import ALERT_TEST, MODEL_ID, MODEL_VERSION
from modelwatch.notify.alertmanager import alerts_endpoint
from modelwatch.notify.fetch import get_json
from modelwatch.notify.outbox import Outbox
from modelwatch.notify.post import post_json
from modelwatch.notify.retry import RetryPolicy
from modelwatch.notify.text import AlertText
from modelwatch.notify.wording import clean, clock_time, html_text, slack_code, slack_text
from modelwatch.policy import AlertLevel, Severity, severity_labels
from modelwatch.records import Alert
from modelwatch.service.claims import served_since
from modelwatch.service.models import ModelBook
from modelwatch.service.routes import LOG, AlertRoutes
from modelwatch.service.times import iso
from modelwatch.store import StoreWriter
from modelwatch.store.inspection import deliveries_waiting

if TYPE_CHECKING:
    from modelwatch.cli.sources import Sources
    from modelwatch.config import MonitoringConfig
    from modelwatch.notify.handlers import Handler

__all__ = ["Outcome", "Posted", "Ring", "direct_channels", "post_to_alertmanager", "send_directly"]

SEND_SECONDS = 30.0
"""For all channels together: longer than any of them waits for an answer."""
LATE = f"within {SEND_SECONDS:g} s"
HANDED_OVER = "handed over: the application delivers it by its own handler"
NOBODY_HERE = "failed: it has no receiver; a handler of the application's is reached by its own send_alert only"
LIFE = timedelta(minutes=5)
"""For how long a test alert fires at Alertmanager: longer than a group waits for others, or nobody would be told."""
POST_SECONDS = 10.0
_AM = "Alertmanager"
_WHAT = "test alert, nothing is wrong"


@dataclass(frozen=True)
class Ring:
    """Who asks for a test, and of what."""

    model: ModelMonitoringConfig
    level: AlertLevel
    asked_by: str
    at: float
    held: tuple[str, ...] = ()
    """Channels that quiet hours keep a real alert from at this moment."""

    @classmethod
    def now(cls, model: ModelMonitoringConfig, level: AlertLevel) -> Ring:
        """Return a test that the user of this process asks for now."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container's user often has no name
            user = "somebody"
        return cls(model, level, f"{user}@{socket.gethostname()}", time.time())

    def text(self, zone: str | None) -> AlertText:
        """Return what people read: marked as a test in every form."""
        name, tag = clean(self.model.model_id), f"[TEST] [{self.level.value.upper()}]"
        when = clock_time(self.at, self.at, zone)
        lines = (
            f"Asked for by {clean(self.asked_by)} at {when} with `modelwatch alerts test`",
            self._of_a_real_one(),
            "Nothing has to be done; if you can read this, the channel works",
        )
        told = "\n".join(slack_text(line) for line in lines)
        return AlertText(
            subject=f"{tag} {name}: {_WHAT}",
            headline=f"[TEST] {name}: {_WHAT}",
            lines=lines,
            slack=f"*{slack_text(tag)}* · {slack_code(name)} · {_WHAT}\n{told}",
            html=f'<p style="font-size:1.1em"><strong>{html_text(tag)}</strong> {html_text(f"{name}: {_WHAT}")}</p>'
            + "".join(f"<p>{html_text(line)}</p>" for line in lines),
        )

    def _of_a_real_one(self) -> str:
        """Return whether a real alert would come the same way now."""
        real = f"A real alert of severity {self.level} of this model"
        if not self.held:
            return f"{real} takes the same way"
        return f"{real} would be held from {clean(', '.join(self.held))} now: quiet hours"

    def alert(self, zone: str | None) -> dict[str, Any]:
        """Return the alert as handlers get it."""
        text = self.text(zone)
        data = {"model_id": self.model.model_id, "alertname": ALERT_TEST, "test": True, "asked_by": self.asked_by}
        return Alert(
            alert_id=uuid.uuid4().hex,
            timestamp=iso(self.at),
            level=self.level.value,
            type="test",
            message=text.message,
            data={**data, "text": text.as_dict()},
            model_id=self.model.model_id,
            status="firing",
            fingerprint=uuid.uuid4().hex[:16],
            starts_at=iso(self.at),
        ).as_dict()


# ── directly ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Outcome:
    """What became of a test on one channel."""

    channel: str
    said: str

    @property
    def ok(self) -> bool:
        """Whether somebody was told, as far as this process can know."""
        return self.said in ("sent", HANDED_OVER)


@contextmanager
def _routes(
    sources: Sources, models: Sequence[ModelMonitoringConfig], enqueue: Callable[[str], Handler]
) -> Iterator[tuple[AlertRoutes, Outbox]]:
    """Yield the way to the channels that real alerts take, those that only an application serves included."""
    book = ModelBook({}, lambda model: (None, ()))
    for model in models:
        book.register(model, sources.now)
    # One attempt: who asks wants to know what happens now, and a real alert is tried again.
    outbox = Outbox(policy=RetryPolicy(max_age=0.0))
    try:
        routes = AlertRoutes(sources.config, book, outbox)
        seen = sources.facts.served if sources.facts is not None else {}
        for channel, at in seen.items():
            if at >= served_since(sources.now) and channel not in {LOG, *routes.receivers}:
                routes.add_handler(channel, enqueue(channel))
        yield routes, outbox
    finally:
        outbox.close()


def direct_channels(
    sources: Sources, models: Sequence[ModelMonitoringConfig], ring: Ring
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the channels that a real alert would go to, and all that there are."""
    with _routes(sources, models, lambda channel: lambda alert: None) as (routes, _):
        return routes.route(Severity[ring.level.name], ring.model.model_id), routes.channels


def send_directly(
    sources: Sources, models: Sequence[ModelMonitoringConfig], ring: Ring, channels: Collection[str]
) -> list[Outcome]:
    """Send a test through the outbox to channels, and wait for what becomes of it."""
    alert = ring.alert(sources.config.timezone)
    handed: list[str] = []
    with _quiet_log(), _routes(sources, models, partial(_enqueue, sources, handed)) as (routes, outbox):
        known = routes.channels
        outcomes = outbox.deliver_now(alert, channels, SEND_SECONDS)
    waiting = _wait_for_applications(sources, str(alert["fingerprint"]), handed)
    found = []
    for channel in channels:
        said = NOBODY_HERE if channel not in known else outcomes[channel].removesuffix("; trying again")
        if channel in handed and said == "sent":
            said = f"failed: no application delivered it {LATE}; it stays queued" if channel in waiting else HANDED_OVER
        found.append(Outcome(channel, f"failed: no answer {LATE}" if said == "queued" else said))
    return found


def _enqueue(sources: Sources, handed: list[str], channel: str) -> Handler:
    """Return a handler that queues for the application that serves a channel, as a sidecar does."""

    def handler(alert: dict[str, Any]) -> None:
        with StoreWriter(sources.folder) as store:
            store.enqueue_delivery(channel, alert, time.time())
        handed.append(channel)

    return handler


def _wait_for_applications(sources: Sources, fingerprint: str, handed: Collection[str]) -> set[str]:
    """Return the channels whose application did not take the alert in time."""
    deadline, pause = time.monotonic() + SEND_SECONDS, threading.Event()
    waiting = deliveries_waiting(sources.folder, fingerprint) if handed else set()
    while waiting and time.monotonic() < deadline:
        pause.wait(0.1)
        waiting = deliveries_waiting(sources.folder, fingerprint)
    return waiting


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Let the channel "log" write to stderr, and nothing else: what fails is told in the report."""
    ours, alerts = logging.getLogger("modelwatch"), logging.getLogger("modelwatch.alerts")
    before = ours.level, alerts.level
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours.setLevel(logging.CRITICAL + 1)
    alerts.setLevel(logging.INFO)
    alerts.addHandler(handler)
    try:
        yield
    finally:
        alerts.removeHandler(handler)
        ours.setLevel(before[0])
        alerts.setLevel(before[1])


# ── through Alertmanager ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Posted:
    """What Alertmanager does with a test."""

    receivers: tuple[str, ...]
    """Whom its own routes tell."""
    muted_by: str
    """Why it tells nobody nevertheless; "" if it does tell."""
    ends_at: float


def labels_of(ring: Ring, config: MonitoringConfig) -> dict[str, str]:
    """Return the labels of a test: those that alerts of the generated rules are routed by, in the site's words."""
    labels = {
        "alertname": ALERT_TEST,
        "severity": severity_labels(config.alerting.severity_map)[Severity[ring.level.name]],
        MODEL_ID: ring.model.model_id,
        MODEL_VERSION: ring.model.model_version,
    }
    return {name: value for name, value in labels.items() if value}


def post_to_alertmanager(url: str, ring: Ring, config: MonitoringConfig) -> Posted:
    """Post a test to an Alertmanager and ask whom it tells.

    Raises
    ------
    NotifyError
        If it can't be reached, or does not take it; the message does not hold the address.
    """
    labels, text = labels_of(ring, config), ring.text(config.timezone)
    starts = datetime.fromtimestamp(ring.at, timezone.utc)
    ends = starts + LIFE
    entry = {
        "labels": labels,
        "annotations": {"summary": f"[TEST] {_WHAT}", "description": "\n".join(text.lines)},
        "startsAt": starts.isoformat(timespec="milliseconds"),
        "endsAt": ends.isoformat(timespec="milliseconds"),
    }
    endpoint = alerts_endpoint(url)
    post_json(endpoint, [entry], what=_AM, timeout=POST_SECONDS)
    listed = get_json(endpoint, what=_AM, timeout=POST_SECONDS, query={"filter": f'alertname="{ALERT_TEST}"'})
    mine = next((a for a in listed if isinstance(a, Mapping) and a.get("labels") == labels), {})
    status = mine.get("status") or {}
    muted = "a silence" if status.get("silencedBy") else "an inhibition" if status.get("inhibitedBy") else ""
    receivers = tuple(str(receiver["name"]) for receiver in mine.get("receivers", ()))
    return Posted(receivers, muted, ends.timestamp())
