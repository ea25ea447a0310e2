"""Alerts: which are firing, which there were, and how many notifications went out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from modelwatch.exceptions import InputError
from modelwatch.policy import Severity
from modelwatch.records import Alert
from modelwatch.store.database import Database
from modelwatch.store.serialize import dump_json
from modelwatch.store.values import ActiveAlert

__all__ = ["OVER", "AlertStore", "epoch_seconds"]

OVER = "over"
"""Key of an alert's data under which stands what is still to be told of its end; absent while it is firing."""

_INSERT_ALERT = """
    INSERT INTO alerts (alert_id, status, "timestamp", at, level, type, message, data, model_id, fingerprint, starts_at,
        channels)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (alert_id, status, "timestamp") DO UPDATE SET channels = json_patch(channels, excluded.channels)"""
_ACTIVE_COLUMNS = (
    "fingerprint, alertname, model_id, model_version, type, severity, starts_at, last_notified_at, last_seen_at, "
    "alert_id, message, data"
)
_UPSERT_ACTIVE = f"""
    INSERT OR REPLACE INTO active_alerts ({_ACTIVE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""  # noqa: S608 - a constant
_SELECT_ACTIVE = f"""
    SELECT {_ACTIVE_COLUMNS} FROM active_alerts WHERE :model_id IS NULL OR model_id = :model_id
    ORDER BY starts_at, fingerprint"""  # noqa: S608 - a constant
_COUNT = """
    INSERT INTO notifications (channel, sent, failed) VALUES (?, ?, ?)
    ON CONFLICT (channel) DO UPDATE SET sent = sent + excluded.sent, failed = failed + excluded.failed"""


def epoch_seconds(timestamp: str) -> float:
    """Return an ISO-8601 time as seconds since the epoch; UTC if it names no zone.

    Raises
    ------
    InputError
        It is no ISO-8601 time.

    >>> epoch_seconds("1970-01-01T00:01:00Z"), epoch_seconds("1970-01-01T01:00:00+01:00")
    (60.0, 0.0)
    """
    try:
        parsed = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError as error:
        raise InputError(f"{timestamp!r} is no ISO-8601 time") from error
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).timestamp()


def _text(value: str) -> str:
    """Return text that UTF-8 can hold: lone surrogates, which no model id may have, are written out."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


class AlertStore:
    """The part of the store that remembers alerts."""

    _database: Database

    def save_alert(self, alert: Alert, channels: Mapping[str, str]) -> None:
        """Add an alert to the history; given again, only what became of it on the given channels is updated.

        Parameters
        ----------
        alert
            What was sent; known by its id, status and time.
        channels
            ``{channel: "sent" | "queued" | "suppressed" | "failed: why"}``.

        Raises
        ------
        InputError
            The alert's timestamp is no ISO-8601 time.
        """
        row = (
            alert.alert_id,
            alert.status,
            alert.timestamp,
            epoch_seconds(alert.timestamp),
            str(alert.level),
            _text(alert.type),
            _text(alert.message),
            dump_json(alert.data),
            _text(alert.model_id),
            alert.fingerprint,
            alert.starts_at,
            dump_json(dict(channels)),
        )

        # A counter that begins at zero before it rises: the first failure of a channel is a rise, too.
        told = [(_text(channel), 0, 0) for channel in channels]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_INSERT_ALERT, row)
            connection.executemany(_COUNT, told)

        self._database.run(write)

    def active_alerts(self, model_id: str | None = None) -> list[ActiveAlert]:
        """Return the alerts that are firing, of one model or of all, oldest first."""
        return [alert for alert in self._kept_alerts(model_id) if OVER not in alert.data]

    def ended_alerts(self, model_id: str | None = None) -> list[ActiveAlert]:
        """Return the alerts that are over, and whose end somebody is still to be told of, oldest first."""
        return [alert for alert in self._kept_alerts(model_id) if OVER in alert.data]

    def _kept_alerts(self, model_id: str | None) -> list[ActiveAlert]:
        def read(connection: sqlite3.Connection) -> list[ActiveAlert]:
            return [_active(row) for row in connection.execute(_SELECT_ACTIVE, {"model_id": model_id})]

        return self._database.run(read, write=False)

    def set_active(self, alert: ActiveAlert) -> None:
        """Remember that an alert is firing, or over and not told; replaces what was known under its fingerprint."""
        row = (
            alert.fingerprint,
            alert.alertname,
            alert.model_id,
            alert.model_version,
            alert.type,
            int(alert.severity),
            alert.starts_at,
            alert.last_notified_at,
            alert.last_seen_at,
            alert.alert_id,
            _text(alert.message),
            dump_json(alert.data),
        )

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_UPSERT_ACTIVE, row)

        self._database.run(write)

    def clear_active(self, fingerprint: str) -> bool:
        """Forget an alert; return whether it was known."""

        def write(connection: sqlite3.Connection) -> bool:
            done = connection.execute("DELETE FROM active_alerts WHERE fingerprint = ?", (fingerprint,))
            return done.rowcount > 0

        return self._database.run(write)

    def count_notification(self, channel: str, ok: bool) -> None:
        """Count one notification as delivered, or as given up."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_COUNT, (_text(channel), int(ok), int(not ok)))

        self._database.run(write)

    def notification_counts(self) -> dict[str, tuple[int, int]]:
        """Return ``{channel: (delivered, given up)}``; both only rise."""

        def read(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
            rows = connection.execute("SELECT channel, sent, failed FROM notifications ORDER BY channel")
            return {channel: (sent, failed) for channel, sent, failed in rows}

        return self._database.run(read, write=False)


def _active(row: tuple[Any, ...]) -> ActiveAlert:
    *head, data = row
    values = dict(zip(_ACTIVE_COLUMNS.split(", "), head, strict=False))
    values["severity"] = Severity(values["severity"])
    return ActiveAlert(**values, data=json.loads(data))
