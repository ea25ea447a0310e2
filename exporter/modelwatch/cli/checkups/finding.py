"""What a checkup found, whom it looked at, and running many of them so that none holds up another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from modelwatch.notify.errors import reason_of

if TYPE_CHECKING:
    from modelwatch.config import MonitoringConfig
    from modelwatch.store.inspection import StorageFacts

__all__ = [
    "TIMEOUT",
    "Checkup",
    "Finding",
    "Patient",
    "Status",
    "ago",
    "ok",
    "problem",
    "run_checkups",
    "skipped",
    "together",
]

T = TypeVar("T")

TIMEOUT = 3.0
"""Seconds that one question may take."""
ALL_SECONDS = 20.0
"""Seconds after which nobody is waited for any more."""


class Status(str, Enum):
    """How a thing is: fine, not fine, or not looked at."""

    OK = "OK"
    PROBLEM = "PROBLEM"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class Finding:
    """One line of the report; `fix` says what to do about a problem."""

    what: str
    status: Status
    said: str
    fix: str = ""


@dataclass(frozen=True)
class Patient:
    """Who is looked at.

    Attributes
    ----------
    config : MonitoringConfig
        The configuration; an empty one where there is none, or it has mistakes.
    configured : bool
        Whether there is one.
    folder : Path
        The storage.
    facts : StorageFacts or None
        What it holds, if it can be read.
    now : float
        Seconds since the epoch.
    app, sidecar : str
        Where metrics are served.
    prometheus, alertmanager : str or None
        Addresses that somebody gave.
    given : frozenset of str
        Options of those of `app` and `sidecar` that somebody gave: who is sought there is expected there.
    unreadable : bool
        Whether there is a configuration that can't be read: what it says of `alerting.mode` is not known.
    """

    config: MonitoringConfig
    configured: bool
    folder: Path
    facts: StorageFacts | None
    now: float
    app: str
    sidecar: str
    prometheus: str | None = None
    alertmanager: str | None = None
    given: frozenset[str] = frozenset()
    unreadable: bool = False

    @property
    def direct(self) -> bool:
        """Whether modelwatch itself tells people, as far as that is known."""
        return self.config.alerting.mode == "direct" and not self.unreadable

    @property
    def unwatched(self) -> str:
        """Why Prometheus and Alertmanager don't have to be there; "" if they do."""
        if self.unreadable:
            return "alerting.mode is not known, as the configuration can't be read"
        return "alerting.mode is direct: modelwatch tells by itself" if self.direct else ""


Checkup = Callable[[Patient], list[Finding]]


def ok(what: str, said: str) -> Finding:
    """Return that a thing is fine."""
    return Finding(what, Status.OK, said)


def problem(what: str, said: str, fix: str) -> Finding:
    """Return that a thing is not fine, and what to do."""
    return Finding(what, Status.PROBLEM, said, fix)


def skipped(what: str, why: str) -> Finding:
    """Return that a thing was not looked at, and why."""
    return Finding(what, Status.SKIPPED, why)


def ago(seconds: float) -> str:
    """Return how long ago something was.

    >>> ago(12.4), ago(7200), ago(-5)
    ('12 s ago', '2 h ago', '0 s ago')
    """
    from modelwatch.notify.wording import duration

    return f"{duration(float(round(seconds)))} ago" if round(seconds) >= 1 else "0 s ago"


def run_checkups(checkups: Sequence[tuple[str, Checkup]], patient: Patient) -> list[Finding]:
    """Run all checkups at once and return their findings in the given order; one that fails is a finding itself."""
    found = together([partial(_guarded, name, checkup, patient) for name, checkup in checkups], ALL_SECONDS)
    late = f"this was not found out within {ALL_SECONDS:.0f} s"
    return [
        finding
        for (name, _), findings in zip(checkups, found, strict=True)
        for finding in ([problem(name, late, "try again: modelwatch doctor")] if findings is None else findings)
    ]


def _guarded(name: str, checkup: Checkup, patient: Patient) -> list[Finding]:
    try:
        return checkup(patient)
    except Exception as error:  # noqa: BLE001 - one checkup that fails must not hide what others found
        return [problem(name, f"looking at it failed: {reason_of(error)}", "report this as a bug of modelwatch")]


def together(jobs: Sequence[Callable[[], T]], seconds: float) -> list[T | None]:
    """Run jobs at once and return what they return; None for those that did not end within so many seconds.

    The threads are daemons: a name server that never answers must not keep the command from ending.

    >>> together([lambda: 1, lambda: 2], 5.0)
    [1, 2]
    """
    found: list[T | None] = [None] * len(jobs)

    def run(place: int) -> None:
        found[place] = jobs[place]()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    return found
