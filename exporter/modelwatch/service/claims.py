"""Delivers, in an application, what a sidecar queued for handlers that live here."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelwatch.notify.outbox import Outbox
    from modelwatch.store import QueuedDelivery, StoreWriter

ANNOUNCE_SECONDS = 30.0
"""How often an application says which channels it serves."""
SERVED_SECONDS = 300.0
"""For how long that is believed: longer than a restart takes."""


class Claims:
    """
    One application's share of the queue.

    Parameters
    ----------
    store
        Holds the queue.
    outbox
        Delivers.
    channels
        Returns the channels that handlers of this process serve.
    """

    def __init__(self, store: StoreWriter, outbox: Outbox, channels: Callable[[], Collection[str]]) -> None:
        self._store = store
        self._outbox = outbox
        self._channels = channels
        self._announced: tuple[str, ...] = ()
        self._announced_at = float("-inf")
        self._holder = ""
        self.closing = False

    def round(self, now: float) -> int:
        """Say which channels are served here, and start to deliver what waits for them; return how many alerts."""
        channels = tuple(sorted(self._channels()))
        if not channels or self.closing:
            return 0
        if channels != self._announced or not 0 <= now - self._announced_at < ANNOUNCE_SECONDS:
            self._store.announce_channels(channels, now)
            self._announced, self._announced_at = channels, now
        claimed = self._store.claim_deliveries(channels, self._name(), now)
        for delivery in claimed:
            self._deliver(delivery)
        return len(claimed)

    def _name(self) -> str:
        # A forked worker is another one.
        if not self._holder.startswith(f"{os.getpid()}-"):
            self._holder = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        return self._holder

    def _deliver(self, delivery: QueuedDelivery) -> None:
        holder = self._name()

        def done(_: str, ok: bool) -> None:
            if ok or not self.closing:
                self._store.finish_delivery(delivery.delivery_id, holder)
            else:
                self._store.release_delivery(delivery.delivery_id, holder)  # another worker, or this one's successor

        outcome = self._outbox.submit(delivery.alert, [delivery.channel], done=done)[delivery.channel]
        if outcome != "queued":
            done(delivery.channel, outcome == "sent")


def served_since(now: float | None = None) -> float:
    """Return since when a channel must have been announced for applications to count as serving it."""
    return (time.time() if now is None else now) - SERVED_SECONDS
