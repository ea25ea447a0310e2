"""Alerts on their way from a sidecar to handlers that live in an application.

Applications say which channels they serve; the sidecar queues an alert for such a channel; exactly one worker claims
it. A worker that dies with a claim loses it after a while, and another delivers: rather twice than never. Alerts of
one fingerprint leave in order: while one is on its way, the next waits.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from modelwatch.store.database import Database
from modelwatch.store.serialize import dump_json
from modelwatch.store.values import QueuedDelivery

__all__ = ["CLAIM_SECONDS", "DeliveryStore"]

CLAIM_SECONDS = 900.0
"""For how long a worker may try to deliver what it claimed before another may."""

_ANNOUNCE = """
    INSERT INTO served_channels (channel, seen_at) VALUES (?, ?)
    ON CONFLICT (channel) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)"""
_ENQUEUE = "INSERT INTO deliveries (channel, fingerprint, alert, created_at) VALUES (?, ?, ?, ?)"
_SELECT = """
    SELECT delivery_id, channel, alert FROM deliveries AS mine
    WHERE channel IN (SELECT value FROM json_each(:channels)) AND (claimed_at IS NULL OR claimed_at < :lost)
        AND NOT EXISTS (
            SELECT 1 FROM deliveries AS earlier WHERE earlier.channel = mine.channel
                AND earlier.fingerprint = mine.fingerprint AND earlier.delivery_id < mine.delivery_id)
    ORDER BY delivery_id LIMIT :limit"""


class DeliveryStore:
    """The part of the store that hands alerts from process to process."""

    _database: Database

    def announce_channels(self, channels: Collection[str], now: float) -> None:
        """Say that this application delivers what is queued for some channels; to be repeated every few minutes."""
        rows = [(channel, now) for channel in channels]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(_ANNOUNCE, rows)

        self._database.run(write)

    def announced_channels(self, since: float) -> list[str]:
        """Return the channels that some application said it serves, since a moment in seconds since the epoch."""

        def read(connection: sqlite3.Connection) -> list[str]:
            query = "SELECT channel FROM served_channels WHERE seen_at >= ? ORDER BY channel"
            return [channel for (channel,) in connection.execute(query, (since,))]

        return self._database.run(read, write=False)

    def enqueue_delivery(self, channel: str, alert: Mapping[str, Any], now: float) -> None:
        """Queue an alert dict for whoever serves a channel."""
        row = (channel, str(alert.get("fingerprint") or alert.get("alert_id") or ""), dump_json(dict(alert)), now)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_ENQUEUE, row)

        self._database.run(write)

    def claim_deliveries(
        self, channels: Collection[str], holder: str, now: float, limit: int = 20
    ) -> list[QueuedDelivery]:
        """
        Take alerts that wait for channels, oldest first; what one worker took no other gets.

        Parameters
        ----------
        channels
            Those that the worker serves.
        holder
            Who takes them; unique to a process.
        now
            Seconds since the epoch.
        limit
            How many at most.
        """
        values = {"channels": dump_json(list(channels)), "lost": now - CLAIM_SECONDS, "limit": limit}

        def look(connection: sqlite3.Connection) -> list[Any]:
            return connection.execute(_SELECT, values).fetchall()

        def write(connection: sqlite3.Connection) -> list[QueuedDelivery]:
            rows = look(connection)
            mark = "UPDATE deliveries SET claimed_by = ?, claimed_at = ? WHERE delivery_id = ?"
            connection.executemany(mark, [(holder, now, delivery_id) for delivery_id, _, _ in rows])
            return [QueuedDelivery(delivery_id, channel, json.loads(alert)) for delivery_id, channel, alert in rows]

        # Nearly always there is nothing, and to know that takes no lock.
        return self._database.run(write) if self._database.run(look, write=False) else []

    def finish_delivery(self, delivery_id: int, holder: str) -> bool:
        """Take a claimed alert off the queue, delivered or given up; False if the claim was lost meanwhile."""

        def write(connection: sqlite3.Connection) -> bool:
            query = "DELETE FROM deliveries WHERE delivery_id = ? AND claimed_by = ?"
            return connection.execute(query, (delivery_id, holder)).rowcount > 0

        return self._database.run(write)

    def release_delivery(self, delivery_id: int, holder: str) -> bool:
        """Give a claimed alert back, for another worker to deliver; False if the claim was lost meanwhile."""

        def write(connection: sqlite3.Connection) -> bool:
            query = (
                "UPDATE deliveries SET claimed_by = NULL, claimed_at = NULL WHERE delivery_id = ? AND claimed_by = ?"
            )
            return connection.execute(query, (delivery_id, holder)).rowcount > 0

        return self._database.run(write)

    def expire_deliveries(self, before: float) -> list[str]:
        """Drop what nobody delivered, queued before a moment; return its channels, one entry per alert."""

        def look(connection: sqlite3.Connection) -> list[str]:
            query = "SELECT channel FROM deliveries WHERE created_at < ?"
            return [channel for (channel,) in connection.execute(query, (before,))]

        def write(connection: sqlite3.Connection) -> list[str]:
            channels = look(connection)
            connection.execute("DELETE FROM deliveries WHERE created_at < ?", (before,))
            return channels

        return self._database.run(write) if self._database.run(look, write=False) else []
