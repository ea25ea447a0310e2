"""One channel's queue and the daemon thread that empties it."""

from __future__ import annotations

import inspect
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelwatch.exceptions import ModelwatchError
from modelwatch.notify.errors import NotifyError, reason_of
from modelwatch.notify.handlers import Handler
from modelwatch.notify.retry import RetryPolicy

__all__ = ["Channel", "Delivery"]

logger = logging.getLogger("modelwatch")
Done = Callable[[str, bool], None]


@dataclass(eq=False)
class Delivery:
    """One alert on its way to one channel."""

    alert: dict[str, Any]
    born: float
    done: Done | None = None
    attempts: int = 0
    not_before: float = 0.0
    tried: threading.Event = field(default_factory=threading.Event)
    """Set after the first attempt."""
    outcome: str = "queued"

    @property
    def key(self) -> str:
        """Deliveries of one key keep their order: "resolved" must not overtake "firing"."""
        return str(self.alert.get("fingerprint") or self.alert.get("alert_id") or "")


class Channel:
    """Delivers to one handler, one alert at a time, with retries; a queue that is full drops its oldest.

    The lock guards the queue only and is never held while a handler runs.
    """

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        policy: RetryPolicy,
        clock: Callable[[], float],
        on_result: Done | None,
        capacity: int,
    ) -> None:
        self.name = name
        self.handler = handler
        self.dropped = 0
        self.trouble = ""
        """Why the last attempt failed; "" once one works again."""
        self._policy = policy
        self._clock = clock
        self._on_result = on_result
        self._capacity = capacity
        self._rng = random.Random()
        self._said: set[str] = set()
        self._unrecorded = False
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._pending: list[Delivery] = []
        self._busy: Delivery | None = None
        self._quiet_until = 0.0
        self._thread: threading.Thread | None = None
        self._closing = False
        self._abandoned = False

    def after_fork(self) -> None:
        """Forget the queue in a forked child: the parent, whose thread lives, delivers it."""
        self._reset()

    @property
    def waiting(self) -> int:
        """Alerts not delivered yet."""
        return len(self._pending)

    # ── the caller's side ────────────────────────────────────────────────────────────────────────────────────────

    def put(self, delivery: Delivery) -> str:
        """Queue one delivery and return ``"queued"``, or why not; starts the thread if none runs."""
        lost: Delivery | None = None
        with self._changed:
            if self._closing:
                delivery.outcome = "failed: closed"
                delivery.tried.set()
                return delivery.outcome
            if len(self._pending) >= self._capacity:
                lost = next((d for d in self._pending if d is not self._busy), None)
                if lost is not None:
                    self._pending.remove(lost)
                    self.dropped += 1
            self._pending.append(delivery)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=f"modelwatch-{self.name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        if lost is not None:
            self._finish(lost, ok=False, outcome="failed: dropped, the queue was full")
        return "queued"

    def deliver_here(self, delivery: Delivery) -> None:
        """Deliver in the caller's thread, once: for handlers that neither wait nor fail, as the log's."""
        error = self._call(delivery)
        self._finish(delivery, ok=error is None, outcome="sent" if error is None else f"failed: {reason_of(error)}")

    def flush(self, deadline: float) -> bool:
        """Wait until nothing is pending; False if `deadline` (``time.monotonic``) came first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, max(deadline - time.monotonic(), 0.0))

    def begin_close(self) -> None:
        """Take no more, and give what is pending one last attempt without pauses."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def finish_close(self, deadline: float) -> bool:
        """Wait for the last attempts until `deadline`; what is left then is given up. True if nothing was."""
        emptied = self.flush(deadline)
        if emptied and self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(deadline - time.monotonic(), 0.1))
        with self._changed:
            # From here on a handler that hangs may return when it likes: nobody listens, stores may be closed.
            self._abandoned = True
            left = self._pending
            self._pending = []
        if left:
            logger.warning("channel %r: %d alerts were not delivered before closing", self.name, len(left))
        for delivery in left:
            self._report(delivery, ok=False)
        return not left

    # ── the thread's side ────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while (delivery := self._take()) is not None:
            is_last = self._closing  # an attempt that was under way when closing began gets one more
            error = self._call(delivery)
            if self._abandoned:
                return
            self._settle(delivery, error, is_last=is_last)

    def _take(self) -> Delivery | None:
        """Wait for the next delivery that is due; None once closing and empty."""
        with self._changed:
            while True:
                if self._closing and not self._pending:
                    return None
                now = self._clock()
                heads = self._heads()
                due = [d for d in heads if self._closing or max(d.not_before, self._quiet_until) <= now]
                if due:
                    self._busy = due[0]
                    return due[0]
                wake = min((max(d.not_before, self._quiet_until) for d in heads), default=None)
                self._changed.wait(None if wake is None else max(wake - now, 0.001))

    def _heads(self) -> list[Delivery]:
        """Return the first pending delivery of each key, oldest first: one that fails holds up its own kind only."""
        seen: dict[str, Delivery] = {}
        for delivery in self._pending:
            seen.setdefault(delivery.key, delivery)
        return list(seen.values())

    def _call(self, delivery: Delivery) -> BaseException | None:
        delivery.attempts += 1
        alert = dict(delivery.alert)
        if isinstance(alert.get("data"), Mapping):
            alert["data"] = dict(alert["data"])  # a handler may change what it is given
        try:
            answer = self.handler(alert)
            if inspect.iscoroutine(answer):
                answer.close()
                msg = "the handler is a coroutine function; pass a plain function"
                raise NotifyError(msg, permanent=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a handler is foreign code; this is its boundary
            self.trouble = reason_of(error)
            self._say(error)
            return error
        self.trouble = ""
        self._said.clear()
        return None

    def _settle(self, delivery: Delivery, error: BaseException | None, *, is_last: bool) -> None:
        """Record an attempt: done, given up, or due again later."""
        if error is None:
            self._finish(delivery, ok=True, outcome="sent")
            return
        reason = reason_of(error)
        now = self._clock()
        pause = self._policy.pause(delivery.attempts, self._rng)
        asked = error.retry_after if isinstance(error, NotifyError) and error.retry_after is not None else 0.0
        hopeless = isinstance(error, NotifyError) and error.permanent
        too_old = now + max(pause, asked) - delivery.born > self._policy.max_age
        if hopeless or too_old or is_last:
            logger.error("channel %r: alert given up after %d attempts: %s", self.name, delivery.attempts, reason)
            self._finish(delivery, ok=False, outcome=f"failed: {reason}")
            return
        with self._changed:
            delivery.not_before = now + pause
            if asked:
                self._quiet_until = now + asked  # the receiver spoke of itself, not of this alert
            self._busy = None
        delivery.outcome = f"failed: {reason}; trying again"
        delivery.tried.set()

    def _finish(self, delivery: Delivery, *, ok: bool, outcome: str) -> None:
        delivery.outcome = outcome
        self._report(delivery, ok=ok)
        delivery.tried.set()
        # Last, so that who waits for an empty queue finds results and callbacks done.
        with self._changed:
            if delivery in self._pending:
                self._pending.remove(delivery)
            if self._busy is delivery:
                self._busy = None
            self._changed.notify_all()

    def _report(self, delivery: Delivery, *, ok: bool) -> None:
        failed = False
        for listener in (self._on_result, delivery.done):
            if listener is None:
                continue
            try:
                listener(self.name, ok)
            except Exception as error:  # noqa: BLE001 - the background-job boundary: a full disk stops no channel
                failed = True
                self._say_unrecorded(error)
        self._unrecorded = failed

    def _say_unrecorded(self, error: Exception) -> None:
        """Log once that deliveries can't be recorded, until one can; only a bug of ours is worth a traceback."""
        if not self._unrecorded:
            trace = None if isinstance(error, ModelwatchError) else error
            text = "channel %r: deliveries can't be recorded: %s"
            logger.warning(text, self.name, reason_of(error), exc_info=trace)
        self._unrecorded = True

    def _say(self, error: BaseException) -> None:
        """Log a fault the first time; the same again only after something worked in between."""
        reason = reason_of(error)
        kind = type(error).__name__ if not isinstance(error, NotifyError) else reason
        if kind not in self._said:
            self._said.add(kind)
            logger.warning("channel %r cannot deliver: %s", self.name, reason)
