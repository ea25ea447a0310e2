"""Cleaning up a store: summing up minutes, removing what is older than its retention, holding the size cap."""

from __future__ import annotations

import logging
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from modelwatch.config.values import size_text
from modelwatch.service.keeping import NEEDED_SECONDS, Kept, keeping
from modelwatch.service.times import iso
from modelwatch.service.trusted_time import TrustedTime
from modelwatch.store.files import DiskFullError
from modelwatch.store.retention import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from modelwatch.service.models import ModelBook
    from modelwatch.store import StoreWriter

logger = logging.getLogger("modelwatch")

DAY = 86400.0
LARGEST_DEFAULT = 10_000_000_000
DISK_SHARE = 10
"""Without ``storage.max_size`` a storage holds the smaller of 10 GB and a tenth of its disk."""
EVICTED_FIRST = (
    "learning_rows", "rows", "actuals", "metrics", "minute_days", "minute_hours", "alerts", "drift", "counts", "totals",
)  # fmt: skip
"""Learning goes on with the rows that follow; of counts and totals only what no drift window needs goes."""
_STEP, _STEP_CHUNKS = 500, 100
_CHUNKED = ("rows", "actuals", "learning_rows")

T = TypeVar("T")
Amounts = dict[str, dict[str, dict[str, int]]]


@dataclass
class Report:
    """What one cleanup did. `removed` and `evicted` are ``{model_id: {kind: {"rows", "bytes"}}}``."""

    removed: Amounts = field(default_factory=dict)
    evicted: Amounts = field(default_factory=dict)
    hours_summed: int = 0
    warnings: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    size_bytes: int = 0
    max_size_bytes: int = 0
    seconds: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether the storage is within its cap now."""
        return self.size_bytes <= self.max_size_bytes

    def summary(self, now: float) -> dict[str, Any]:
        """Return what is remembered of it."""
        return {
            "at": iso(now),
            "seconds": round(self.seconds, 3),
            "removed_rows": _sum(self.removed, "rows"),
            "removed_bytes": _sum(self.removed, "bytes"),
            "evicted_rows": _sum(self.evicted, "rows"),
            "evicted_bytes": _sum(self.evicted, "bytes"),
            "size_bytes": self.size_bytes,
            "max_size_bytes": self.max_size_bytes,
            "fits": self.fits,
        }


def _sum(amounts: Amounts, what: str) -> int:
    return sum(amount[what] for kinds in amounts.values() for amount in kinds.values())


def _note(amounts: Amounts, model_id: str, kind: str, rows: int, freed: int) -> None:
    amount = amounts.setdefault(model_id, {}).setdefault(kind, {"rows": 0, "bytes": 0})
    amount["rows"] += rows
    amount["bytes"] += freed


def size_cap(folder: Path, given: int | None) -> int:
    """Return how many bytes a storage may hold: what somebody wrote, else the default for the disk it is on."""
    if given is not None:
        return given
    try:
        return min(LARGEST_DEFAULT, shutil.disk_usage(folder).total // DISK_SHARE)
    except OSError:
        return LARGEST_DEFAULT


class Cleanup:
    """
    Keeps one store as small as its models and its cap ask for; used by one thread at a time.

    Parameters
    ----------
    book
        The models, with their retention; those that only the store knows keep what they were registered with.
    store
        What is cleaned up.
    max_bytes
        Returns the configured cap; None for the default.
    """

    def __init__(self, book: ModelBook, store: StoreWriter, max_bytes: Callable[[], int | None]) -> None:
        self._book = book
        self._store = store
        self._max_bytes = max_bytes
        self._said: set[str] = set()
        self._unsaved: dict[str, Any] | None = None
        """What the last cleanup thought of the clock, if it got no further than that: on a full disk, for one."""

    @property
    def cap(self) -> int:
        """How many bytes the storage may hold."""
        return size_cap(self._store.folder, self._max_bytes())

    def run(self, now: float, *, asked_for: bool = False) -> Report:
        """Do everything at once; return what was done. See :meth:`steps`."""
        report = Report()
        deque(self.steps(now, report, asked_for=asked_for), maxlen=0)
        return report

    def steps(self, now: float, report: Report, *, asked_for: bool = False) -> Iterator[None]:
        """
        Do one bounded step after another; between two, others can write and the caller can do something else.

        Parameters
        ----------
        now
            Seconds since 1970.
        report
            Where it is noted down what was done.
        asked_for
            Whether somebody asked for it now, whose clock is believed; what comes by itself may come under a wrong one.

        Raises
        ------
        StorageError
            If the store can't be used.
        """
        began = time.monotonic()
        self._store.checkpoint()  # on a full disk the room in the log is all that there is for what follows
        clock = TrustedTime(now) if asked_for else self._trusted(now, report)
        kept = keeping(self._book, self._store)
        with suppress(DiskFullError):  # what is removed next makes room for it, in an hour
            yield from self._sum_up(clock.at, report)
        yield from self._remove_old(clock.at, kept, report)
        report.profiles = self._store.remove_unused_profiles(clock.at)
        yield
        yield from self._hold_cap(clock.at, kept, report)
        report.seconds = time.monotonic() - began
        self._store.save_cleanup(report.summary(now), clock.memory)
        self._unsaved = None

    def _trusted(self, now: float, report: Report) -> TrustedTime:
        """Return the time to go by; say once if that is not what the clock says."""
        before = self._unsaved or self._store.cleanup_clock()
        clock = TrustedTime.of(now, before, self._store.newest_record() if before is None else None)
        self._unsaved = clock.memory
        text = "" if clock.ahead_since is None else _leapt(clock.at, now)
        if text:
            report.warnings.append(text)
        self._say("clock", text)
        return clock

    def _sum_up(self, now: float, report: Report) -> Iterator[None]:
        for model_id, day in self._store.settled_days(now):
            while moved := self._store.roll_up_day(model_id, day, now):
                report.hours_summed += moved
                yield
        while self._store.forget_summed_hours(now):
            yield

    # ── retention ────────────────────────────────────────────────────────────────────────────────────────────────

    def _remove_old(self, now: float, kept: dict[str, Kept], report: Report) -> Iterator[None]:
        for model_id, keep in kept.items():
            for kind in KINDS:
                limit = _STEP_CHUNKS if kind in _CHUNKED else _STEP
                before = now - keep.seconds(kind)
                while True:
                    rows, freed = self._in_small_steps(
                        partial(self._store.delete_before, model_id, kind, before), limit
                    )
                    if not rows:
                        break
                    _note(report.removed, model_id, kind, rows, freed)
                    yield
            yield
        while self._store.give_back():
            yield

    def _in_small_steps(self, delete: Callable[[int], T], limit: int) -> T:
        """Delete up to `limit` entries, or fewer where the disk is full, as what is deleted is written to the log."""
        while True:
            try:
                return delete(limit)
            except DiskFullError:
                if limit == 1:
                    raise
                self._store.checkpoint()
                limit = max(1, limit // 10)

    # ── the size cap ─────────────────────────────────────────────────────────────────────────────────────────────

    def _hold_cap(self, now: float, kept: dict[str, Kept], report: Report) -> Iterator[None]:
        report.max_size_bytes, report.size_bytes = self.cap, self._store.used_bytes()
        bound = now - max([NEEDED_SECONDS, *(keep.windows for keep in kept.values())])
        kinds = {kind: bound if kind in ("counts", "totals") else None for kind in EVICTED_FIRST}
        most = report.max_size_bytes
        if not report.fits:
            has_to_stay = max(0, report.size_bytes - self._store.evictable_bytes(kinds, kept))
            # Where what has to stay is too large alone, no eviction reaches the cap: the rest gets as much room again.
            most += has_to_stay if has_to_stay > most else 0
        for kind, before in kinds.items():
            while report.size_bytes > most:
                excess = report.size_bytes - most
                removed = self._in_small_steps(
                    partial(self._store.evict_oldest, kind, excess, list(kept), before), _STEP
                )
                if not removed:
                    break
                for model_id, (rows, freed) in removed.items():
                    _note(report.evicted, model_id, kind, rows, freed)
                report.size_bytes = self._store.used_bytes()
                yield
        while self._store.give_back():
            yield
        if not report.fits:
            report.warnings.append(_too_large(report.size_bytes, report.max_size_bytes))
        self._say("cap", "" if report.fits and not report.evicted else self._cap_text(report))

    def _cap_text(self, report: Report) -> str:
        went = (
            f"{_sum(report.evicted, 'rows')} of the oldest rows, points and blocks were removed before their retention"
        )
        if report.fits:
            cap = size_text(report.max_size_bytes)
            return f"the storage {self._store.folder} is at its cap of {cap} (storage.max_size): {went}"
        text = f"{self._store.folder}: {_too_large(report.size_bytes, report.max_size_bytes)}"
        return f"{text}; {went}" if report.evicted else text

    def _say(self, what: str, text: str) -> None:
        """Log once what is wrong, until it is so no more."""
        if text and what not in self._said:
            logger.warning("%s", text)
        (self._said.add if text else self._said.discard)(what)


def _leapt(known: float, now: float) -> str:
    return (
        f"the clock says {iso(now)}, {(now - known) / DAY:.0f} days after anything that is known of this storage"
        f" ({iso(known)}): nothing goes by its age until the clock has said so for a day"
    )


def cleanup_answer(report: Report) -> dict[str, Any]:
    """Return a report as cleanup_old_data answers."""
    answer = {
        "status": "success",
        "removed": report.removed,
        "evicted": report.evicted,
        "profiles_removed": report.profiles,
        "size_bytes": report.size_bytes,
        "max_size_bytes": report.max_size_bytes,
    }
    return answer | {"warnings": report.warnings} if report.warnings else answer


def _too_large(size: int, cap: int) -> str:
    return (
        f"the storage holds {size_text(size)}, more than its cap of {size_text(cap)} (storage.max_size): counts of the"
        " drift windows, results and profiles have to stay, and take more than the cap alone or nearly so"
    )


def cap_reason(last: dict[str, Any] | None) -> str | None:
    """Return why the size cap makes a storage less than healthy, from what is remembered of the last cleanup."""
    if last is None or (last["fits"] and not last["evicted_rows"]):
        return None
    if not last["fits"]:
        return _too_large(last["size_bytes"], last["max_size_bytes"])
    return (
        f"the storage is at its cap of {size_text(last['max_size_bytes'])} (storage.max_size): the oldest rows go"
        " before their retention"
    )
