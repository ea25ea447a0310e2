"""The outbox: hands alerts to channels so that a dead one delays no other and no caller."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modelwatch.notify.channel import Channel, Delivery, Done
from modelwatch.notify.handlers import Handler
from modelwatch.notify.retry import RetryPolicy

__all__ = ["Outbox"]

CAPACITY = 1000
SEND_WAIT = 5.0
CLOSE_WAIT = 5.0


class Outbox:
    """Channels by name, each with a bounded queue and a thread of its own (started with its first alert).

    Parameters
    ----------
    handlers : mapping of str to callable
        A handler takes an alert dict and delivers it or raises. One with an attribute ``synchronous = True`` is
        called in the caller's thread; for ``mirrors = True`` see :mod:`~modelwatch.notify.engine`.
    on_result : callable(channel, ok) or None
        Told once for each alert and channel: delivered, or given up after all retries.
    clock : callable
        Seconds; for pauses and age limits.
    policy : RetryPolicy or None
        When to try again and when to give up.
    capacity : int
        Alerts that one channel may have waiting; beyond it the oldest is dropped and counted.

    Examples
    --------
    >>> told = []
    >>> outbox = Outbox({"list": lambda alert: told.append(alert["message"])})
    >>> outbox.deliver_now({"alert_id": "1", "message": "it is off"}, ["list", "pager"])
    {'list': 'sent', 'pager': "failed: no handler is registered for channel 'pager'"}
    >>> outbox.close(), told
    (True, ['it is off'])
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler] | None = None,
        *,
        on_result: Done | None = None,
        clock: Callable[[], float] = time.monotonic,
        policy: RetryPolicy | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        self._on_result = on_result
        self._clock = clock
        self._policy = policy or RetryPolicy()
        self._capacity = capacity
        self._channels: dict[str, Channel] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False
        for name, handler in (handlers or {}).items():
            self.add_handler(name, handler)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of all channels that have a handler."""
        return tuple(self._channels)

    @property
    def mirrors(self) -> frozenset[str]:
        """Channels whose handler keeps a picture of what fires, by its attribute ``mirrors = True``."""
        return frozenset(n for n, channel in self._channels.items() if getattr(channel.handler, "mirrors", False))

    @property
    def waiting(self) -> dict[str, int]:
        """How many alerts each channel has not delivered yet; only channels with any."""
        return {name: channel.waiting for name, channel in self._channels.items() if channel.waiting}

    @property
    def dropped(self) -> dict[str, int]:
        """How many alerts each channel dropped because its queue was full; only channels with any."""
        return {name: channel.dropped for name, channel in self._channels.items() if channel.dropped}

    @property
    def troubles(self) -> dict[str, str]:
        """Why the last attempt of a channel failed; only channels whose last one did."""
        return {name: channel.trouble for name, channel in self._channels.items() if channel.trouble}

    def add_handler(self, channel: str, handler: Handler) -> None:
        """Deliver a channel's alerts by `handler`; one that had another before goes on with this one."""
        with self._lock:
            known = self._channels.get(channel)
            if known is not None:
                known.handler, known.trouble = handler, ""
                return
            # A copy replaced whole: readers need no lock.
            self._channels = {
                **self._channels,
                channel: Channel(
                    channel,
                    handler,
                    policy=self._policy,
                    clock=self._clock,
                    on_result=self._on_result,
                    capacity=self._capacity,
                ),
            }

    def remove_handler(self, channel: str) -> None:
        """Deliver to a channel no more; what waits there is tried once more in the background."""
        with self._lock:
            known = self._channels.get(channel)
            self._channels = {name: kept for name, kept in self._channels.items() if name != channel}
        if known is not None:
            known.begin_close()

    def submit(self, alert: Mapping[str, Any], channels: Iterable[str], *, done: Done | None = None) -> dict[str, str]:
        """Queue an alert for channels and return at once.

        Parameters
        ----------
        alert : mapping
            The alert dict (contract 1.1).
        channels : iterable of str
            Names; one without a handler is answered with ``failed: …``.
        done : callable(channel, ok) or None
            Told, in the channel's thread, when this alert was delivered or given up there. Not called for channels
            that are answered at once.

        Returns
        -------
        dict
            By channel: ``"queued"``, ``"sent"`` (synchronous handlers) or ``"failed: why"``.
        """
        return {name: first for name, (_, first) in self._start(alert, channels, done).items()}

    def deliver_now(
        self, alert: Mapping[str, Any], channels: Iterable[str], timeout: float = SEND_WAIT
    ) -> dict[str, str]:
        """Queue an alert and wait until each channel has tried it once, at most `timeout` seconds in all.

        Returns
        -------
        dict
            By channel: ``"sent"``, ``"queued"`` (not tried yet), ``"failed: why"`` (given up), or
            ``"failed: why; trying again"``.
        """
        return self.begin(alert, channels, timeout)()

    def begin(
        self, alert: Mapping[str, Any], channels: Iterable[str], timeout: float = SEND_WAIT
    ) -> Callable[[], dict[str, str]]:
        """Queue an alert; return who waits for it and tells the outcome as :meth:`deliver_now` does."""
        deadline = time.monotonic() + timeout
        started = self._start(alert, channels, None)

        def outcomes() -> dict[str, str]:
            for delivery, _ in started.values():
                delivery.tried.wait(max(deadline - time.monotonic(), 0.0))
            return {name: delivery.outcome for name, (delivery, _) in started.items()}

        return outcomes

    def flush(self, timeout: float = CLOSE_WAIT) -> bool:
        """Wait until everything was delivered or given up; False if `timeout` seconds were too short."""
        deadline = time.monotonic() + timeout
        return all([channel.flush(deadline) for channel in self._channels.values()])

    def close(self, timeout: float = CLOSE_WAIT) -> bool:
        """Try what is waiting once more, for at most `timeout` seconds, and stop; idempotent.

        Returns
        -------
        bool
            Whether nothing was left undelivered in a queue.
        """
        if self._closed:
            return True
        self._closed = True
        if self._pid != os.getpid():
            return True  # a forked child's copy: threads and queue are the parent's
        deadline = time.monotonic() + timeout
        for channel in self._channels.values():
            channel.begin_close()
        return all([channel.finish_close(deadline) for channel in self._channels.values()])

    def _start(
        self, alert: Mapping[str, Any], channels: Iterable[str], done: Done | None
    ) -> dict[str, tuple[Delivery, str]]:
        """Start the deliveries; return each with its outcome at this moment, which its thread may change at once."""
        self._after_fork()
        started: dict[str, tuple[Delivery, str]] = {}
        for name in dict.fromkeys(channels):
            delivery = Delivery(dict(alert), born=self._clock(), done=done)
            started[name] = delivery, self._hand_over(name, delivery)
        return started

    def _hand_over(self, name: str, delivery: Delivery) -> str:
        channel = self._channels.get(name)
        if channel is None or self._closed:
            why = "closed" if self._closed else f"no handler is registered for channel {name!r}"
            delivery.outcome = f"failed: {why}"
            delivery.tried.set()
            return delivery.outcome
        if getattr(channel.handler, "synchronous", False):
            delivery.done = None
            channel.deliver_here(delivery)
            return delivery.outcome
        return channel.put(delivery)

    def _after_fork(self) -> None:
        """Threads do not survive a fork, and a lock may have been held while it happened: begin anew in the child."""
        if self._pid == os.getpid():
            return
        self._lock = threading.Lock()
        for channel in self._channels.values():
            channel.after_fork()
        self._pid = os.getpid()
