"""What is wrong now, and what is kept of it in the store while it lasts: since when, and who was told what."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Literal

from modelwatch.notify.messages import AlertText
from modelwatch.policy import Severity
from modelwatch.records import Alert
from modelwatch.store import ActiveAlert

__all__ = ["Condition", "Told", "alert_dict", "alert_of", "fingerprint_of", "state_of", "told_of", "with_told"]


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now.

    Attributes
    ----------
    alertname : str
        One of the names in ``conventions``.
    model_id, model_version : str
        What it is about; with `alertname` they make the fingerprint.
    type : str
        A word for handlers: ``data_drift``, ``latency``.
    subject : str
        What of the model, where one name stands for several alerts: a metric's name. Part of the fingerprint.
    severity : Severity
    text : AlertText
    data : dict
        JSON-ready facts for handlers.
    since : float
        Unix seconds. Of the first update that brings it; later ones keep that.
    checked_every : float
        Seconds after which somebody looks again, and the next update comes.
    """

    alertname: str
    model_id: str
    model_version: str
    type: str
    severity: Severity
    text: AlertText
    data: dict[str, Any] = field(default_factory=dict)
    since: float = 0.0
    subject: str = ""
    checked_every: float = 60.0

    @property
    def fingerprint(self) -> str:
        """The identity of the alert."""
        return fingerprint_of(self.alertname, self.model_id, self.model_version, self.subject)


@dataclass(frozen=True)
class Told:
    """What a channel was told last about one alert, and when."""

    severity: Severity
    at: float


def fingerprint_of(alertname: str, model_id: str, model_version: str, subject: str = "") -> str:
    """Return the identity of an alert: 16 hex digits.

    >>> fingerprint_of("MLModelDataDrift", "ad_score", "7") == fingerprint_of("MLModelDataDrift", "ad_score7", "")
    False
    """
    parts = (alertname, model_id, model_version, *([subject] if subject else []))
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def state_of(fingerprint: str, condition: Condition, known: ActiveAlert | None, now: float) -> ActiveAlert:
    """Return the alert as active now: new, or the known one with its beginning and what was told."""
    return ActiveAlert(
        fingerprint=fingerprint,
        alertname=condition.alertname,
        model_id=condition.model_id,
        model_version=condition.model_version,
        type=condition.type,
        severity=condition.severity,
        starts_at=known.starts_at if known is not None else min(condition.since or now, now),
        last_notified_at=known.last_notified_at if known is not None else None,
        last_seen_at=now,
        alert_id=known.alert_id if known is not None else uuid.uuid4().hex,
        message=condition.text.message,
        data={
            **(known.data if known is not None else {}),
            "checked_every": condition.checked_every,
            **({"subject": condition.subject} if condition.subject else {}),
        },
    )


def told_of(state: ActiveAlert) -> dict[str, Told]:
    """Return what each channel was told last, by channel."""
    told = state.data.get("told") or {}
    return {channel: Told(Severity(int(what["severity"])), float(what["at"])) for channel, what in told.items()}


def with_told(state: ActiveAlert, news: dict[str, Told], now: float) -> ActiveAlert:
    """Return the state with what channels were told just now."""
    told = {**told_of(state), **news}
    stored = {channel: {"severity": int(what.severity), "at": what.at} for channel, what in told.items()}
    return replace(state, last_notified_at=now, data={**state.data, "told": stored})


def alert_of(
    state: ActiveAlert, text: AlertText, data: dict[str, Any], status: Literal["firing", "resolved"], now: float
) -> Alert:
    """Return the alert to tell of a state: `text` for people, `data` of the finding for handlers and history."""
    return Alert(
        alert_id=state.alert_id,
        timestamp=_iso(now),
        level=state.severity.label,
        type=state.type,
        message=text.message,
        data={
            **data,
            "alertname": state.alertname,
            "model_version": state.model_version,
            # What tells apart alerts of one name, also when it is over; data of the finding may name a metric without.
            **({"alert_metric": state.data["subject"]} if state.data.get("subject") else {}),
            "checked_every": state.data.get("checked_every", 0.0),
            "text": text.as_dict(),
        },
        model_id=state.model_id,
        status=status,
        fingerprint=state.fingerprint,
        starts_at=_iso(state.starts_at),
    )


def alert_dict(alert: Alert, earlier: Iterable[Severity]) -> dict[str, Any]:
    """Return an alert as one channel gets it, with the levels that were told there before of the same alert."""
    levels = [severity.label for severity in sorted(set(earlier))]
    made = alert.as_dict()
    return made | {"data": {**alert.data, "earlier_levels": levels}} if levels else made


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat()
