"""The Alertmanager channel: its API v2, where alerts are known by their labels and end at a time that is told.

How a firing alert stays alive there. Without `endsAt` Alertmanager ends an alert after its `resolve_timeout`, five
minutes, while ours are repeated after hours. So `endsAt` is told, a day ahead or four checks, whichever is more: a
sidecar that is down for a night ends no alert, and a "resolved" that got lost leaves one behind for a day at most.
And as Alertmanager keeps alerts in memory only, the engine tells this channel again at each check, not only after the
repeat interval (`mirrors`), so that one that was restarted learns what fires. Alertmanager tells two times the same
from news by itself.

An alert of ``send_alert`` is a moment and has no end that anybody would tell: it goes out without `endsAt`, and the
site's `resolve_timeout` ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from modelwatch.conventions import ALERT_SENT_BY_HAND, DRIFT_ALERTS, MODEL_ID, MODEL_VERSION, SEGMENT
from modelwatch.notify.labels import data_of, is_watched, name_of, text_value
from modelwatch.notify.messages import text_of
from modelwatch.notify.post import post_json
from modelwatch.notify.secret_files import read_address
from modelwatch.notify.wording import safe_url
from modelwatch.policy import AlertLevel
from modelwatch.store.alerts import epoch_seconds

if TYPE_CHECKING:
    from modelwatch.config import AlertmanagerReceiver

__all__ = ["AlertmanagerHandler", "alerts_endpoint"]

DEFAULT_TIMEOUT = 10.0
API = "/api/v2/alerts"
SHORTEST_LIFE = 86400.0
CHECKS_OF_LIFE = 4.0


class AlertmanagerHandler:
    """Tell an Alertmanager what fires and what is over.

    Parameters
    ----------
    receiver : AlertmanagerReceiver
        The address with its path prefix, or a file that holds it, read at each send. ``user:password@`` in it is basic
        authentication.
    timeout : float
        Seconds that connecting, or waiting for an answer, may take.
    """

    mirrors = True
    """Keeps a picture of what fires, and wants it kept up to date; see :mod:`~modelwatch.notify.engine`."""

    def __init__(self, receiver: AlertmanagerReceiver, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._receiver = receiver
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'url' if self._receiver.url else 'url_file'})"

    def __call__(self, alert: Mapping[str, Any]) -> None:
        """Post one alert, and with it the end of what it was before, if its level has changed.

        Raises
        ------
        NotifyError
            If Alertmanager did not take it; the message does not hold the address.
        """
        url = read_address(self._receiver.url, self._receiver.url_file)
        post_json(alerts_endpoint(url), compose(alert), what="Alertmanager", timeout=self._timeout)


def compose(alert: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what to post of an alert: one entry per level, since the severity is one of the labels that name it."""
    now = _moment(alert.get("timestamp"))
    level = str(alert.get("level") or AlertLevel.WARNING)
    earlier = data_of(alert).get("earlier_levels")
    known = [str(name) for name in earlier] if isinstance(earlier, list) else []
    if alert.get("status") == "resolved":
        return [_entry(alert, name, now) for name in dict.fromkeys(known or [level])]
    ends = now + timedelta(seconds=_life(alert)) if is_watched(alert) else None
    over = [_entry(alert, name, now) for name in dict.fromkeys(known) if name != level]
    return [_entry(alert, level, ends), *over]


def _life(alert: Mapping[str, Any]) -> float:
    every = float(data_of(alert)["checked_every"])
    return max(SHORTEST_LIFE, CHECKS_OF_LIFE * every)


def _entry(alert: Mapping[str, Any], level: str, ends: datetime | None) -> dict[str, Any]:
    text = text_of(alert)
    links = {label: safe_url(url) for label, url in text.links}
    starts = _moment(alert.get("starts_at") or alert.get("timestamp"))
    entry: dict[str, Any] = {
        "labels": {key: value for key, value in _labels(alert, level).items() if value},
        "annotations": {
            "summary": text.headline,
            "description": "\n".join(text.lines),
            **({"runbook_url": links["Runbook"]} if links.get("Runbook") else {}),
            **({"dashboard_url": links["Dashboard"]} if links.get("Dashboard") else {}),
        },
        "startsAt": _rfc3339(starts),
    }
    if ends is not None:
        entry["endsAt"] = _rfc3339(max(ends, starts))  # an end before the beginning is refused
    if links.get("Dashboard"):
        entry["generatorURL"] = links["Dashboard"]
    return entry


def _labels(alert: Mapping[str, Any], level: str) -> dict[str, str]:
    """Return the labels of an alert, those of the generated rules: what names it must not change while it fires."""
    data = data_of(alert)
    labels = {
        "alertname": name_of(alert) or ALERT_SENT_BY_HAND,
        "severity": level,
        MODEL_ID: str(alert.get("model_id") or ""),
        MODEL_VERSION: text_value(data, MODEL_VERSION),
    }
    if is_watched(alert) or alert.get("status") == "resolved":
        # What tells apart alerts of one name is a metric, or of drift a segment.
        kind = SEGMENT if labels["alertname"] in DRIFT_ALERTS.values() else "metric"
        return labels | {kind: text_value(data, "alert_metric")}
    # Each message that somebody sent is one of its own; with equal labels the second would not be told.
    return labels | {"type": str(alert.get("type") or ""), "alert_id": str(alert.get("alert_id") or "")}


def _moment(value: object) -> datetime:
    return datetime.fromtimestamp(epoch_seconds(str(value)), timezone.utc)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def alerts_endpoint(url: str) -> str:
    """Return where alerts are posted: below the address, whose path may be a prefix.

    >>> alerts_endpoint("http://am:9093"), alerts_endpoint("https://example.com/alertmanager/")
    ('http://am:9093/api/v2/alerts', 'https://example.com/alertmanager/api/v2/alerts')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url  # refused, without being shown, where it is used
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith(API) else path + API))
