"""The timetable of the demo, and the script that follows it: when the fault begins, when it ends, when all is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from modelwatch.exceptions import InputError

__all__ = ["CHANNELS", "PROFILES", "Arrival", "Script", "Step", "Timetable"]

Channel = Literal["log", "email", "slack"]
CHANNELS: tuple[Channel, ...] = ("log", "email", "slack")
SLOWEST, FASTEST = 0.25, 4.0
_SHORTEST_INTERVAL = 1.0  # seconds; a configuration accepts no less


@dataclass(frozen=True)
class Timetable:
    """When things happen, in seconds after the first flight, and how fast. Patience is real time at any speed."""

    rate: float = 300.0
    """Flights per second."""
    windows: tuple[float, float] = (10.0, 30.0)
    """What a drift check looks at: the latest so many seconds."""
    interval: float = 4.0
    """Seconds between two checks."""
    fault_at: float = 40.0
    fault_longest: float = 45.0
    """The fault ends after so long even if nobody has been told of it."""
    fault_goes_on: float = 10.0
    """How long the fault goes on once the alert has arrived everywhere: time to read it."""
    calm: float = 90.0
    """How long traffic without a fault runs."""
    truth_after: tuple[float, float] = (2.0, 6.0)
    """Shortest and longest time until the truth about a flight is known."""
    report_every: float = 10.0
    alert_patience: float = 120.0
    """Give up if the alert has not arrived everywhere so long after the fault."""
    resolved_patience: float = 120.0
    """Give up if "resolved" has not arrived everywhere so long after the cure."""

    def faster(self, speed: float) -> Timetable:
        """Return the same timetable `speed` times as fast, the rate included.

        Raises
        ------
        InputError
            `speed` is outside 0.25 to 4: what is recorded is stored once a second, and windows can't be much shorter.

        Examples
        --------
        >>> quick = Timetable().faster(2)
        >>> quick.rate, quick.windows, quick.fault_at
        (600.0, (5.0, 15.0), 20.0)
        """
        if not SLOWEST <= speed <= FASTEST:
            msg = f"--speed must be {SLOWEST:g} to {FASTEST:g}, not {speed:g}"
            raise InputError(msg)
        return replace(
            self,
            rate=self.rate * speed,
            windows=(self.windows[0] / speed, self.windows[1] / speed),
            interval=max(_SHORTEST_INTERVAL, self.interval / speed),
            fault_at=self.fault_at / speed,
            fault_longest=self.fault_longest / speed,
            fault_goes_on=self.fault_goes_on / speed,
            calm=self.calm / speed,
            truth_after=(self.truth_after[0] / speed, self.truth_after[1] / speed),
            report_every=self.report_every / speed,
        )


PROFILES = {
    "default": Timetable(),
    "ci": Timetable(interval=3.0, fault_at=15.0, fault_goes_on=2.0, calm=30.0),
}


@dataclass(frozen=True)
class Arrival:
    """A message that has reached somebody.

    Attributes
    ----------
    channel : str
        Where: "log", "email" or "slack".
    at : float
        When, in seconds after the first flight.
    firing : bool
        Whether it says that something is wrong; False: that it is over.
    subject : str
        What it is about, the same in the firing and in the resolved message.
    headline : str
        It in one line.
    text : str
        All of it, as it is shown on that channel.
    """

    channel: Channel
    at: float
    firing: bool
    subject: str
    headline: str
    text: str


class Step(Enum):
    """What the script calls for."""

    FAULT = "the fault begins"
    ALERTED = "the alert has arrived on all channels"
    CURE = "the fault ends"
    RESOLVED = "'resolved' has arrived on all channels"
    ALERT_OVERDUE = "the alert has not arrived in time"
    RESOLVED_OVERDUE = "'resolved' has not arrived in time"
    END = "the demo is over"


class Script:
    """Decides what happens next from the time and from what has arrived; does nothing by itself.

    Parameters
    ----------
    timetable : Timetable
        Times, already at the speed wanted.
    with_fault : bool
        False: traffic goes on undisturbed for `Timetable.calm` seconds.
    exit_on_alert : bool
        End as soon as the alert has arrived on all channels.
    duration : float, optional
        End after so many seconds, and not before unless something is overdue; by default when the story is told.
    """

    def __init__(
        self,
        timetable: Timetable,
        *,
        with_fault: bool = True,
        exit_on_alert: bool = False,
        duration: float | None = None,
        channels: Sequence[Channel] = CHANNELS,
    ) -> None:
        self._times = timetable
        self._with_fault = with_fault
        self._exit_on_alert = exit_on_alert
        self._duration = duration
        self._channels = tuple(channels)
        self.fault_at: float | None = None
        self.alerted_at: float | None = None
        self.cured_at: float | None = None
        self.resolved_at: float | None = None
        self.overdue: Step | None = None
        self.false_alarms: tuple[Arrival, ...] = ()

    @property
    def expected_length(self) -> float:
        """About how many seconds it will take, if all goes well."""
        if self._duration is not None:
            return self._duration
        times = self._times
        if not self._with_fault:
            return times.calm
        told = times.fault_at + 2 * times.interval
        # A shortest window without the fault, and the checks that make certain of it.
        return told if self._exit_on_alert else told + times.fault_goes_on + times.windows[0] + 4 * times.interval

    @property
    def exit_code(self) -> int:
        """0, or 1 for a false alarm or for a message that did not come in time."""
        unseen = self._exit_on_alert and self.fault_at is not None and self.alerted_at is None
        return 1 if self.false_alarms or self.overdue or unseen else 0

    def advance(self, now: float, arrivals: Sequence[Arrival]) -> list[Step]:
        """Return what is due at `now`, given all that has arrived so far; `Step.END` comes last and once for all."""
        steps: list[Step] = []
        if self.fault_at is None:
            self.false_alarms = tuple(a for a in arrivals if a.firing)
            if self._with_fault and now >= self._times.fault_at:
                self.fault_at = now
                steps.append(Step.FAULT)
        else:
            self._follow_fault(now, arrivals, steps)
        if self._is_over(now):
            steps.append(Step.END)
        return steps

    def _follow_fault(self, now: float, arrivals: Sequence[Arrival], steps: list[Step]) -> None:
        assert self.fault_at is not None
        since_fault = [a for a in arrivals if a.at >= self.fault_at]
        if self.alerted_at is None:
            if {a.channel for a in since_fault if a.firing} >= set(self._channels):
                self.alerted_at = now
                steps.append(Step.ALERTED)
            elif now - self.fault_at >= self._times.alert_patience:
                self._give_up(Step.ALERT_OVERDUE, steps)
        if self.cured_at is None:
            if self._cure_is_due(now):
                self.cured_at = now
                steps.append(Step.CURE)
        elif self.alerted_at is not None and self.resolved_at is None:
            if all(_is_settled(since_fault, channel) for channel in self._channels):
                self.resolved_at = now
                steps.append(Step.RESOLVED)
            elif now - self.cured_at >= self._times.resolved_patience:
                self._give_up(Step.RESOLVED_OVERDUE, steps)

    def _give_up(self, what: Step, steps: list[Step]) -> None:
        if self.overdue is None:
            self.overdue = what
            steps.append(what)

    def _cure_is_due(self, now: float) -> bool:
        assert self.fault_at is not None
        read = self.alerted_at is not None and now - self.alerted_at >= self._times.fault_goes_on
        return read or now - self.fault_at >= self._times.fault_longest

    def _is_over(self, now: float) -> bool:
        if self.overdue is not None:
            return True
        if self._exit_on_alert and self.alerted_at is not None:
            return True
        if self._duration is not None:
            return now >= self._duration
        return self.resolved_at is not None if self._with_fault else now >= self._times.calm


def _is_settled(arrivals: Iterable[Arrival], channel: Channel) -> bool:
    """Tell whether everything that was reported on a channel has been reported as over on it."""
    open_ = {}
    for arrival in arrivals:
        if arrival.channel == channel:
            open_[arrival.subject] = arrival.firing
    return bool(open_) and not any(open_.values())
