"""What the demo says, in plain words, on a terminal or into a file."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.text import Text

from modelwatch.demo.script import CHANNELS, Arrival, Script, Timetable

__all__ = ["Narrator"]

_STAMP_WIDTH = 7
_MOST_LINES = 24
_PLACES = {"log": "in the log", "email": "by email", "slack": "on Slack"}


class Narrator:
    """Prints one thought per line, with the seconds since the first flight in front of it.

    Parameters
    ----------
    console : rich.console.Console
        Where to print. On a terminal lines are wrapped and coloured; elsewhere they are plain and left whole.
    clock : callable
        Seconds since the first flight, negative or None before it.
    """

    def __init__(self, console: Console, clock: Callable[[], float | None]) -> None:
        self._console = console
        self._clock = clock
        self._open: set[tuple[str, str]] = set()

    # ── before the first flight ──────────────────────────────────────────────────────────────────────────────────

    def welcome(self, *, with_fault: bool, seconds: float) -> None:
        """Say what is going to happen and how long it takes."""
        what = "an upstream fault, an alert" if with_fault else "and no fault: nobody should be told anything"
        self._print(f"modelwatch demo: real flights, a model, {what}.", style="bold")
        self._print(f"It takes about {_length(seconds)}. Ctrl-C stops it, and all it started, at any time.")
        self._print("")

    def flights_read(self, count: int) -> None:
        """Say what the data are."""
        self._line(f"Read {_number(count)} flights that left New York in 2013.")

    def model_trained(self, flights: int, accuracy: float) -> None:
        """Say what the model is, and how good."""
        self._line(
            f"Trained a model on the {_number(flights)} of January to March: will a flight arrive more than 15 minutes "
            f"late? It is right about {accuracy * 100:.0f} of 100 flights that it has not seen."
        )

    def profile_built(self, flights: int, path: str) -> None:
        """Say what live traffic is compared with."""
        self._line(f"Took {_number(flights)} later flights, held back for this, as the reference: {path}")

    def serving(self, flights: int, times: Timetable, metrics_url: str, settings: str) -> None:
        """Say what is being served, where to look, and how the demo differs from production."""
        first, last = times.truth_after
        self._line(
            f"Serving the other {_number(flights)} one by one, {times.rate:g} a second, through a predict function "
            f"decorated with @monitor. Whether a flight was late turns out {first:g} to {last:g} s after."
        )
        self._line(f"Metrics:  {metrics_url}")
        self._line(f"Settings: {settings}")
        short, long = times.windows
        self._line(
            f"So that you need not wait, this demo compares the last {short:g} s and {long:g} s with the reference "
            f"every {times.interval:g} s; in production it is the last hour, day and week, once an hour."
        )
        self._line(
            "And so that you see all three, a warning goes to the log, by email and to Slack (to a mail server and a "
            "web server that the demo runs on this machine); by default it would go to the log."
        )
        self._print("")

    def prometheus(self, folder: str) -> None:
        """Say that the alert takes the long way."""
        self._line(
            "Prometheus and Alertmanager are installed here, so the alert goes through them, by rules and routes "
            f"generated from the settings (in {folder}); --prometheus no does without."
        )

    def world(self, sidecar: str, prometheus: str, alertmanager: str) -> None:
        """Say where to look."""
        self._line(f"Sidecar: {sidecar}   Prometheus: {prometheus}/alerts   Alertmanager: {alertmanager}")

    # ── on the way ───────────────────────────────────────────────────────────────────────────────────────────────

    def progress(self, served: int, labelled: int, state: str) -> None:
        """Say how far it is."""
        self._line(f"{_number(served)} flights served, the truth known about {_number(labelled)}; {state}.", "dim")

    def fault_begins(self, carrier_share: float) -> None:
        """Say what goes wrong."""
        self._line(
            "FAULT: from now on a system upstream sends distances in kilometres instead of miles, and "
            f"{carrier_share * 100:.0f} % of the carriers under codes that the model has never seen (UAL for UA).",
            "bold red",
        )

    def arrived(self, arrival: Arrival, since_fault: float | None, since_cure: float | None) -> None:
        """Show a message as somebody gets it; one that raises an alert already shown, in one line."""
        place = _PLACES[arrival.channel]
        known = (arrival.channel, arrival.subject)
        if not arrival.firing:
            after = f", {since_cure:.1f} s after the fault ended" if since_cure is not None else ""
            self._line(f"RESOLVED {place}{after}", "bold green")
            self._quote(arrival.text)
            self._open.discard(known)
        elif known in self._open:
            self._line(f"RAISED {place}: {arrival.headline}", "yellow")
        else:
            why = ", and nothing is wrong: a false alarm"
            after = why if since_fault is None else f", {since_fault:.1f} s after the fault"
            self._line(f"ALERT {place}{after}", "bold yellow" if since_fault is not None else "bold red")
            self._quote(arrival.text)
            self._open.add(known)

    def alerted(self) -> None:
        """Say that all have been told."""
        self._line("The alert has arrived everywhere. Somebody reads it and looks upstream.")

    def fault_ends(self) -> None:
        """Say that it has been put right."""
        self._line("FIXED: miles and known carriers again. The alert closes by itself once that is certain.", "bold")

    def overdue(self, what: str, seconds: float) -> None:
        """Say that something did not come."""
        self._line(f"FAILED: {what} after {seconds:.0f} s.", "bold red")

    def metrics_moved(self, wanted: int, port: int) -> None:
        """Say that the usual port was taken."""
        self._line(f"Port {wanted} is taken; the metrics are on {port}.")

    def note(self, text: str) -> None:
        """Pass on a line that the service has logged."""
        self._line(text, "yellow")

    # ── at the end ───────────────────────────────────────────────────────────────────────────────────────────────

    def summary(self, script: Script, arrivals: Sequence[Arrival], served: int, folder: str) -> None:
        """Say what happened and what to do next."""
        self._print("")
        for line in _findings(script, arrivals, served):
            self._line(line, "bold")
        self._line(f"All that the demo wrote is in {folder}; delete it when you like.")
        if script.exit_code == 0 and script.resolved_at is not None:
            self._line("Your own model next: see the README, or `modelwatch --help`.")

    def stopped(self) -> None:
        """Say that it was asked to stop."""
        self._line("Stopped on request.")

    # ── how ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _line(self, text: str, style: str = "") -> None:
        elapsed = self._clock()
        stamp = "" if elapsed is None or elapsed < 0 else f"{elapsed:.0f} s"
        self._print(f"{stamp:>{_STAMP_WIDTH - 2}}  {text}", style, indent=_STAMP_WIDTH)

    def _quote(self, text: str) -> None:
        lines = text.splitlines()
        for line in lines[:_MOST_LINES]:
            self._print(f"{'':{_STAMP_WIDTH}}│ {line}".rstrip(), indent=_STAMP_WIDTH, bar="│ ")
        if len(lines) > _MOST_LINES:
            self._print(f"{'':{_STAMP_WIDTH}}│ … {len(lines) - _MOST_LINES} more lines")

    def _print(self, text: str, style: str = "", *, indent: int = 0, bar: str = "") -> None:
        lines = [text]
        if self._console.is_terminal and len(text) > self._console.width:
            lines = textwrap.wrap(
                text,
                width=max(40, self._console.width - 1),
                subsequent_indent=" " * indent + bar,
                break_on_hyphens=False,
                drop_whitespace=True,
            )
        for line in lines:
            self._console.print(Text(line, style=style), soft_wrap=True)


def _findings(script: Script, arrivals: Sequence[Arrival], served: int) -> list[str]:
    lines = []
    if script.false_alarms:
        count = len(script.false_alarms)
        lines.append(f"{count} false {'alarm' if count == 1 else 'alarms'}: nothing was wrong yet.")
    elif script.fault_at is None:
        lines.append(f"{_number(served)} flights, and nobody was told anything, because nothing was wrong.")
    else:
        lines.append(f"Silent for the {script.fault_at:.0f} s before the fault.")
    for firing, start, words in (
        (True, script.fault_at, "From the fault to the alert"),
        (False, script.cured_at, "From the cure to 'resolved'"),
    ):
        seconds = first_seconds(arrivals, start, firing=firing) if start is not None else {}
        if seconds:
            lines.append(f"{words}: " + ", ".join(f"{channel} {s:.1f} s" for channel, s in seconds.items()) + ".")
    return lines


def first_seconds(arrivals: Sequence[Arrival], start: float, *, firing: bool) -> dict[str, float]:
    """Return, per channel, how long after `start` the first message of that kind arrived, in seconds."""
    found: dict[str, float] = {}
    for channel in CHANNELS:
        times = [a.at - start for a in arrivals if a.channel == channel and a.firing == firing and a.at >= start]
        if times:
            found[channel] = min(times)
    return found


def _length(seconds: float) -> str:
    return f"{math.ceil(seconds / 5) * 5} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")
