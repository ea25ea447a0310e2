"""Cleaning up a store: summing up minutes, removing what is older than its retention, holding the size cap."""

from __future__ import annotations

import logging
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelwatch.config import ModelMonitoringConfig
from modelwatch.config.values import size_text
from modelwatch.service.times import iso
from modelwatch.store.retention import KINDS

if TYPE_CHECKING:
    from modelwatch.service.models import ModelBook
    from modelwatch.store import StoreWriter

logger = logging.getLogger("modelwatch")

DAY = 86400.0
LARGEST_DEFAULT = 10_000_000_000
DISK_SHARE = 10
"""Without ``storage.max_size`` a storage holds the smaller of 10 GB and a tenth of its disk."""
EVICTED_FIRST = ("rows", "actuals", "metrics", "minute_days", "minute_hours", "alerts", "drift", "counts", "totals")
NEEDED_SECONDS = 8 * DAY
"""For how long counts and totals stay whatever the cap says: drift windows need them, and the limit of silence."""
DEFAULT_RETENTION_DAYS = int(ModelMonitoringConfig.model_fields["retention_days"].default)
_STEP, _STEP_CHUNKS = 500, 100
_CHUNKED = ("rows", "actuals", "learning_rows")

Amounts = dict[str, dict[str, dict[str, int]]]


@dataclass
class Report:
    """What one cleanup did. `removed` and `evicted` are ``{model_id: {kind: {"rows", "bytes"}}}``."""

    removed: Amounts = field(default_factory=dict)
    evicted: Amounts = field(default_factory=dict)
    hours_summed: int = 0
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
        self._said = False

    @property
    def cap(self) -> int:
        """How many bytes the storage may hold."""
        given = self._max_bytes()
        if given is not None:
            return given
        try:
            return min(LARGEST_DEFAULT, shutil.disk_usage(self._store.folder).total // DISK_SHARE)
        except OSError:
            return LARGEST_DEFAULT

    def run(self, now: float) -> Report:
        """Do everything at once; return what was done."""
        report = Report()
        deque(self.steps(now, report), maxlen=0)
        return report

    def steps(self, now: float, report: Report) -> Iterator[None]:
        """
        Do one bounded step after another; between two, others can write and the caller can do something else.

        Parameters
        ----------
        now
            Seconds since 1970.
        report
            Where it is noted down what was done.

        Raises
        ------
        StorageError
            If the store can't be used.
        """
        began = time.monotonic()
        yield from self._sum_up(now, report)
        yield from self._remove_old(now, report)
        report.profiles = self._store.remove_unused_profiles(now)
        yield
        yield from self._hold_cap(now, report)
        report.seconds = time.monotonic() - began
        self._store.save_cleanup(report.summary(now))

    def _sum_up(self, now: float, report: Report) -> Iterator[None]:
        for model_id, day in self._store.settled_days(now):
            while moved := self._store.roll_up_day(model_id, day, now):
                report.hours_summed += moved
                yield
        while self._store.forget_summed_hours(now):
            yield

    # ── retention ────────────────────────────────────────────────────────────────────────────────────────────────

    def retention(self) -> dict[str, float]:
        """Return for how many days data are kept, by model_id; what is about no known model stays longest."""
        stored = sorted(self._store.models(), key=lambda model: model.updated_at)
        days = {model.model_id: _days(model.config) for model in stored}
        days |= {m.config.model_id: float(m.config.retention_days) for m in self._book.all()}
        longest = max(days.values(), default=float(DEFAULT_RETENTION_DAYS))
        return {**dict.fromkeys(self._store.alerted_models(), longest), **days}

    def _remove_old(self, now: float, report: Report) -> Iterator[None]:
        for model_id, days in self.retention().items():
            for kind in KINDS:
                limit = _STEP_CHUNKS if kind in _CHUNKED else _STEP
                while True:
                    rows, freed = self._store.delete_before(model_id, kind, now - days * DAY, limit)
                    if not rows:
                        break
                    _note(report.removed, model_id, kind, rows, freed)
                    yield
            yield
        while self._store.give_back():
            yield

    # ── the size cap ─────────────────────────────────────────────────────────────────────────────────────────────

    def _hold_cap(self, now: float, report: Report) -> Iterator[None]:
        report.max_size_bytes, model_ids = self.cap, list(self.retention())
        report.size_bytes = self._store.used_bytes()
        for kind in EVICTED_FIRST:
            before = now - self._needed_seconds() if kind in ("counts", "totals") else None
            while not report.fits:
                excess = report.size_bytes - report.max_size_bytes
                removed = self._store.evict_oldest(kind, excess, model_ids, before, _STEP)
                if not removed:
                    break
                for model_id, (rows, freed) in removed.items():
                    _note(report.evicted, model_id, kind, rows, freed)
                report.size_bytes = self._store.used_bytes()
                yield
        while self._store.give_back():
            yield
        self._say(report)

    def _needed_seconds(self) -> float:
        """Return for how long any drift window needs counts."""
        windows = [seconds for m in self._book.all() for seconds in m.config.drift.window_seconds.values()]
        return max([NEEDED_SECONDS, *(seconds + DAY for seconds in windows)])

    def _say(self, report: Report) -> None:
        """Log once that the cap bites, until it does no more."""
        if not report.evicted and report.fits:
            self._said = False
            return
        if not self._said:
            self._said = True
            logger.warning(
                "the storage %s is at its cap of %s (storage.max_size): %d of the oldest rows, points and blocks were"
                " removed before their retention%s",
                self._store.folder,
                size_text(report.max_size_bytes),
                _sum(report.evicted, "rows"),
                "" if report.fits else f"; what has to stay takes {size_text(report.size_bytes)}",
            )


def _days(config: dict[str, Any]) -> float:
    days = config.get("retention_days", DEFAULT_RETENTION_DAYS)
    return float(days) if isinstance(days, (int, float)) and days > 0 else float(DEFAULT_RETENTION_DAYS)


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
    return answer if report.fits else answer | {"warnings": [_too_large(report.size_bytes, report.max_size_bytes)]}


def _too_large(size: int, cap: int) -> str:
    return (
        f"the storage holds {size_text(size)}, more than its cap of {size_text(cap)} (storage.max_size): counts of the"
        " drift windows, results and profiles have to stay"
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
