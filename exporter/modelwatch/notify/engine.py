"""From conditions that hold now to alerts: who is told what, when, and when again.

For each active alert the store keeps what each channel was told last and when, so that a restart neither repeats nor
forgets: a channel is told when it is one that the severity goes to and it was not told yet (or its delivery was never
confirmed), when the severity rose above what it was told, or when the repeat interval has passed. While a silence of
the store matches, nobody is told that something fires; what still holds when it ends is told then. So it is with the
quiet hours of a channel; who has them when an alert ends that was told there is told of its end when they end.

A channel whose handler `mirrors` what fires, as Alertmanager's does, is a machine: it is told again at each update,
and of every change of the level, beside the cap and the history, so that its picture is right after its own restart.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from modelwatch.notify.condition import (
    Condition,
    Told,
    alert_dict,
    alert_of,
    fingerprint_of,
    state_of,
    told_of,
    with_told,
)
from modelwatch.notify.endings import Ending, taken_up
from modelwatch.notify.outbox import Outbox
from modelwatch.policy import Severity
from modelwatch.records import Alert
from modelwatch.store import ActiveAlert, StoreWriter
from modelwatch.store.alerts import OVER

__all__ = ["AlertEngine", "Condition", "fingerprint_of"]

logger = logging.getLogger("modelwatch")
Router = Callable[[Severity, str], Sequence[str]]
Rests = Callable[[str, Severity, float], bool]

LOG = "log"
MIRROR_SECONDS = 45.0
"""How soon a channel that mirrors what fires is told the same again: below the minute after which operations are
looked at, as a confirmation comes a moment after the look that it belongs to.
"""
RETIRED = "retired"
"""Why an alert is over whose model is watched no more."""
_HOUR = 3600.0
AFTER_GIVING_UP = 900.0
"""Seconds before an alert that a channel could not deliver, all retries included, is tried there again."""


class AlertEngine:
    """Compares conditions with the alerts that are active in the store, and tells the channels what changed.

    Parameters
    ----------
    store : StoreWriter
        Keeps active alerts and the history.
    outbox : Outbox
        Delivers.
    router : callable(severity, model_id)
        Returns the channels that a severity of a model goes to.
    rests : callable(channel, severity, now)
        Returns whether quiet hours keep a severity from a channel; None: they never do.
    repeat_interval : float
        Seconds after which a channel is reminded of an alert at warning or above that goes on.
    hourly_cap : int
        Messages that a channel may get within an hour; the log and "resolved" are not counted. What is held back is
        sent later if it still holds then.
    quiet : bool
        Keep track of what is active and tell nobody: somebody else does. Whoever was told before that an alert fires
        is still told that it is over.
    clock : callable
        Unix seconds; used for confirmations, while updates bring their own time.
    """

    def __init__(
        self,
        store: StoreWriter,
        outbox: Outbox,
        router: Router,
        *,
        rests: Rests | None = None,
        repeat_interval: float = 4 * _HOUR,
        hourly_cap: int = 20,
        quiet: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._router = router
        self._rests = rests or (lambda channel, severity, now: False)
        self._repeat_interval = repeat_interval
        self._hourly_cap = hourly_cap
        self._quiet = quiet
        self._clock = clock
        # Held over store access on purpose: reading and writing an active alert must be one step, as confirmations
        # arrive from the channels' threads. Nobody on a predict path waits for it.
        # Reentrant, as a queue that overflows while an alert is submitted reports the one it dropped at once.
        self._lock = threading.RLock()
        # By (alert_id, channel): the severity that is on its way, when it was given up, what the cap held back.
        self._in_flight: dict[tuple[str, str], Severity] = {}
        self._given_up: dict[tuple[str, str], float] = {}
        self._sent_at: dict[str, deque[float]] = {}
        self._held_back: set[tuple[str, str]] = set()
        self._suppressed: dict[str, int] = {}

    @property
    def suppressed(self) -> dict[str, int]:
        """How many messages the hourly cap held back, by channel."""
        return dict(self._suppressed)

    def configure(self, *, repeat_interval: float, hourly_cap: int, quiet: bool) -> None:
        """Change the limits, and whether anybody is told at all; see the parameters of the class."""
        with self._lock:
            self._repeat_interval, self._hourly_cap, self._quiet = repeat_interval, hourly_cap, quiet

    def active_since(self, alertname: str, model_id: str, model_version: str = "", subject: str = "") -> float | None:
        """Return since when an alert is active, in Unix seconds, or None."""
        wanted = fingerprint_of(alertname, model_id, model_version, subject)
        active = self._store.active_alerts(model_id)
        return next((alert.starts_at for alert in active if alert.fingerprint == wanted), None)

    def update(
        self,
        model_id: str,
        conditions: Iterable[Condition],
        now: float,
        *,
        alertnames: Collection[str] | None = None,
        model_version: str | None = None,
    ) -> list[Alert]:
        """Take what is wrong with a model now and tell who has to know.

        Parameters
        ----------
        model_id : str
            The model that this update speaks for.
        conditions : iterable of Condition
            All that holds now. An active alert within the scope that is missing here is resolved.
        now : float
            Unix seconds.
        alertnames : collection of str or None
            The scope: alerts that the caller looked for. Others are left alone. None: all.
        model_version : str or None
            The scope: this version only. None: all.

        Returns
        -------
        list of Alert
            What was sent, or tried to.
        """
        current = {condition.fingerprint: condition for condition in conditions}
        sent: list[Alert] = []
        with self._lock:
            active = {alert.fingerprint: alert for alert in self._store.active_alerts(model_id)}
            ended = {alert.fingerprint: alert for alert in self._store.ended_alerts(model_id)}
            silences = self._store.silences(now) if current else []
            for fingerprint, condition in current.items():
                silenced = any(silence.matches(condition.model_id, condition.alertname) for silence in silences)
                known = active.get(fingerprint) or ended.pop(fingerprint, None)
                alert = self._fire(fingerprint, condition, known, now, silenced=silenced)
                sent += [alert] if alert is not None else []
            for over in ended.values():
                alert = self._tell_end(over, Ending.kept_in(over), now)
                sent += [alert] if alert is not None else []
            for fingerprint, before in active.items():
                looked_for = alertnames is None or before.alertname in alertnames
                same_version = model_version is None or before.model_version == model_version
                if fingerprint not in current and looked_for and same_version:
                    alert = self._resolve(before, now)
                    sent += [alert] if alert is not None else []
        return sent

    def retire(self, model_id: str, now: float) -> list[Alert]:
        """End all alerts of a model that is watched no more; who was told that they fire is told so, at any hour.

        Parameters
        ----------
        model_id : str
            The model.
        now : float
            Unix seconds.

        Returns
        -------
        list of Alert
            What was sent, or tried to.
        """
        with self._lock:
            waiting = self._store.ended_alerts(model_id)
            ended = [self._tell_end(known, Ending.kept_in(known), now, at_once=True) for known in waiting]
            ended += [self._resolve(known, now, why=RETIRED) for known in self._store.active_alerts(model_id)]
        return [alert for alert in ended if alert is not None]

    # ── firing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _fire(
        self, fingerprint: str, condition: Condition, known: ActiveAlert | None, now: float, *, silenced: bool
    ) -> Alert | None:
        """Keep the state of one condition and notify the channels that are due; None if none is."""
        over = known if known is not None and OVER in known.data else None
        known = known if over is None else None
        state = taken_up(state_of(fingerprint, condition, known, now), over)
        due = [] if silenced else self._due(state, now, new=known is None)
        if due:
            # What people were told stays as it was said to them, for "resolved".
            told = {"headline": condition.text.headline, "links": [list(link) for link in condition.text.links]}
            state = replace(state, data={**state.data, **told})
        alert = alert_of(state, condition.text, condition.data, "firing", now)
        # State first: killed in between, the next process finds an alert whose delivery nobody confirmed, and sends.
        self._store.set_active(state)
        self._refresh_mirrors(alert, state, due, now)
        if not due:
            return None
        self._deliver(alert, state, due, now)
        return alert

    def _due(self, state: ActiveAlert, now: float, *, new: bool) -> list[str]:
        if self._quiet:
            return []
        told = told_of(state)
        targets = self._router(state.severity, state.model_id)
        # A channel that nobody serves is tried, and reported as failed, once; it comes into play with its handler.
        served = [c for c in dict.fromkeys(targets) if new or c in self._outbox.channels]
        awake = [channel for channel in served if not self._rests(channel, state.severity, now)]
        return [channel for channel in awake if self._is_due(state, channel, told.get(channel), now)]

    def _is_due(self, state: ActiveAlert, channel: str, told: Told | None, now: float) -> bool:
        key = state.alert_id, channel
        waiting = self._in_flight.get(key)
        if waiting is not None:
            return state.severity > waiting
        if self._gave_up(key, now):
            return False
        if told is None or state.severity > told.severity:
            return True
        return state.severity >= Severity.WARNING and now - told.at >= self._repeat_interval

    def _deliver(self, alert: Alert, state: ActiveAlert, due: Sequence[str], now: float) -> None:
        results = {channel: "suppressed" for channel in due if not self._allow(channel, state.alert_id, now)}
        done = self._listener(alert, state.severity, results)
        for channel in due:
            if channel not in results:
                results[channel] = self._submit(alert, state, channel, done)
        at_once = {channel: Told(state.severity, now) for channel, outcome in results.items() if outcome == "sent"}
        if at_once:
            self._store.set_active(with_told(state, at_once, now))
        self._store.save_alert(alert, results)

    def _submit(self, alert: Alert, state: ActiveAlert, channel: str, done: Callable[[str, bool], None]) -> str:
        """Hand an alert that fires to one channel; return what became of it so far."""
        key = alert.alert_id, channel
        earlier = self._levels_told(state, channel)
        self._in_flight[key] = state.severity
        told = alert_dict(alert, earlier if earlier - {state.severity} else ())
        outcome = self._outbox.submit(told, [channel], done=done)[channel]
        if outcome != "queued":
            self._in_flight.pop(key, None)
        return outcome

    def _levels_told(self, state: ActiveAlert, channel: str) -> set[Severity]:
        """Return as what a channel knows an alert: what it was told last, and what is on its way there."""
        told, waiting = told_of(state).get(channel), self._in_flight.get((state.alert_id, channel))
        return {severity for severity in (told.severity if told else None, waiting) if severity is not None}

    def _refresh_mirrors(self, alert: Alert, state: ActiveAlert, due: Collection[str], now: float) -> None:
        """Say what goes on, as it is now, to the channels that mirror what fires and know of it; no news to anybody."""
        if self._quiet:
            return
        for channel, told in told_of(state).items():
            key = state.alert_id, channel
            busy = channel in due or key in self._in_flight or now - told.at < MIRROR_SECONDS
            if channel in self._outbox.mirrors and not busy and not self._gave_up(key, now):
                self._submit(alert, state, channel, self._listener(alert, state.severity, None))

    def _gave_up(self, key: tuple[str, str], now: float) -> bool:
        return now - self._given_up.get(key, -math.inf) < AFTER_GIVING_UP

    def _listener(
        self, alert: Alert, severity: Severity, results: dict[str, str] | None
    ) -> Callable[[str, bool], None]:
        """Return what a channel's thread calls when the alert was delivered there or given up; None: no history."""

        def confirmed(channel: str, ok: bool) -> None:
            with self._lock:
                if results is not None:
                    results[channel] = "sent" if ok else "failed: given up"
                    self._store.save_alert(alert, results)
                if alert.status == "resolved":
                    return
                key = alert.alert_id, channel
                if self._in_flight.get(key) == severity:
                    del self._in_flight[key]
                if ok:
                    self._given_up.pop(key, None)
                    self._remember(alert, channel, severity)
                else:
                    self._given_up[key] = self._clock()

        return confirmed

    def _remember(self, alert: Alert, channel: str, severity: Severity) -> None:
        """Note in the store that a channel was told, unless the alert was resolved meanwhile."""
        active = self._store.active_alerts(alert.model_id)
        known = next((a for a in active if a.alert_id == alert.alert_id), None)
        if known is not None:
            now = self._clock()
            self._store.set_active(with_told(known, {channel: Told(severity, now)}, now))

    def _allow(self, channel: str, alert_id: str, now: float) -> bool:
        """Count a message against the channel's hourly cap; False if it must wait."""
        if channel == LOG or channel not in self._outbox.channels or channel in self._outbox.mirrors:
            return True
        sent = self._sent_at.setdefault(channel, deque())
        while sent and now - sent[0] >= _HOUR:
            sent.popleft()
        if len(sent) < self._hourly_cap:
            sent.append(now)
            self._held_back.discard((alert_id, channel))
            return True
        if (alert_id, channel) not in self._held_back:
            # Once per alert, not once per check.
            self._held_back.add((alert_id, channel))
            self._suppressed[channel] = self._suppressed.get(channel, 0) + 1
            logger.warning("channel %r: suppressed, it had %d messages within an hour", channel, self._hourly_cap)
        return False

    # ── resolved ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _resolve(self, known: ActiveAlert, now: float, why: str = "") -> Alert | None:
        """Close one alert; those who were told that it fires, or are about to be, are told that it is over."""
        told = {c for c, what in told_of(known).items() if c != LOG or what.severity >= Severity.WARNING}
        told |= {channel for alert_id, channel in self._in_flight if alert_id == known.alert_id}
        levels = {channel: self._levels_told(known, channel) for channel in told}
        self._forget(known)
        return self._tell_end(known, Ending(now, levels, why), now, at_once=why == RETIRED)

    def _tell_end(self, known: ActiveAlert, ending: Ending, now: float, *, at_once: bool = False) -> Alert | None:
        """Tell of an end whom quiet hours allow to be told now, and keep it for the others; None if nobody is told."""
        waiting = {
            channel
            for channel, levels in ending.levels.items()
            if not at_once and self._rests(channel, max(levels, default=known.severity), now)
        }
        due = sorted(set(ending.levels) - waiting)
        if not due and OVER in known.data:
            return None
        if ending.levels:
            alert = ending.alert(known)
            results = dict.fromkeys(sorted(waiting), "suppressed")
            done = self._listener(alert, known.severity, results)
            for channel in due:
                results |= self._outbox.submit(alert_dict(alert, ending.levels[channel]), [channel], done=done)
            self._store.save_alert(alert, results)
        if waiting:
            self._store.set_active(ending.keep(known, waiting))
        else:
            self._store.clear_active(known.fingerprint)
        return alert if due else None

    def _forget(self, known: ActiveAlert) -> None:
        self._in_flight = {key: sent for key, sent in self._in_flight.items() if key[0] != known.alert_id}
        self._given_up = {key: at for key, at in self._given_up.items() if key[0] != known.alert_id}
        self._held_back = {key for key in self._held_back if key[0] != known.alert_id}
