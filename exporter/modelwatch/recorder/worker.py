"""The background half of a recorder: drains the queue, counts, writes the slot, then hands the rest to the store."""

from __future__ import annotations

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from modelwatch.recorder.admission import FILE_NAME, Admission, AdmittedNames
from modelwatch.recorder.aggregate import Aggregator
from modelwatch.recorder.batch import ActualsBatch, Batch, BatchSlice, Matrix
from modelwatch.recorder.blocks import Encoder, Key, SlotTotals, decode
from modelwatch.recorder.gather import SLICE, Gathering, block_rows
from modelwatch.recorder.inputs import Actual, Barrier, Fault, MetricUpdate
from modelwatch.recorder.journal import Journal
from modelwatch.recorder.models import MAX_VERSIONS, VersionEntry
from modelwatch.recorder.pending import Pending, Sink
from modelwatch.recorder.slotfile import SlotFile
from modelwatch.recorder.slots import SlotDirectory, SlotsUnusableError

logger = logging.getLogger("modelwatch")

YIELD_SECONDS = 20e-6
"""Sleep between slices, so that a predict that waits for the interpreter gets it."""
NO_MODEL = ("", "")
LEFT_SECONDS = 3600.0
"""How long the counts by a profile stay that no worker has any more."""
PROFILE_CHECK_SECONDS = 300.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Worker:
    """
    One worker's counters, slot and unsent rows. Used by one thread at a time; :meth:`read` by any.

    Parameters
    ----------
    storage
        The storage folder; slots are in its subfolder ``slots``.
    sink
        Who stores flushes; None for nobody.
    name
        The worker's random name, under which it stores absolute values.
    clock
        Seconds since 1970.
    """

    def __init__(self, storage: Path, sink: Sink | None, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self.alone = False
        self._clock = clock
        self._sink = sink
        self._slots = SlotDirectory(storage / "slots")
        self._slot: SlotFile | None = None
        names = storage / "slots" / FILE_NAME
        self._admission, self._admitted = Admission(names), AdmittedNames(names)
        self._aggregator = Aggregator(for_store=sink is not None, admission=self._admission)
        self._pending = Pending()
        self._encoder = Encoder()
        self._journal = Journal()
        self._epoch: int | None = None
        """The epoch of the folder that the counters in memory belong to; None until they share it."""
        self._published = b""
        """What was written last, or taken over: what the counters in memory have counted after it is in no slot yet."""
        self._shown = SlotTotals()
        self._profile_check = clock() + PROFILE_CHECK_SECONDS

    # --- draining ----------------------------------------------------------------------------------------------

    def drain(self, queue: deque[Any], entries: Iterable[VersionEntry]) -> list[Barrier]:
        """Count all that is in the queue now; return the barriers that were met."""
        others: list[Any] = []
        gathering = Gathering()
        left = len(queue)
        pop = queue.popleft
        now = self._clock()
        while left:
            size = min(left, SLICE)
            left -= size
            others.extend(gathering.take([pop() for _ in range(size)]))
            for entry, rows in gathering.ready():
                self._guarded_add(entry, rows, now)
            if left:
                time.sleep(YIELD_SECONDS)
        batches = [item for item in others if isinstance(item, Batch)]
        for batch in batches:
            self._take_batch(batch, gathering, now)
        for entry, rows in gathering.rest():
            self._guarded_add(entry, rows, now)
        for batch in batches:
            batch.release()
        for entry in entries:
            self._settle(entry)
            self._aggregator.add_overflow(entry, now)
        return self._take_others(others, now)  # last: late ground truth stands against what came with the prediction

    def _settle(self, entry: VersionEntry) -> None:
        """Decide whether a version that nobody registered has series of its own, over all workers."""
        if not entry.settled:
            shown = self._admission.shown(("versions", entry.model_id), [entry.version], MAX_VERSIONS)
            if not entry.settled:  # nobody registered it meanwhile
                entry.settle(shown[entry.version])

    def _guarded_add(self, entry: VersionEntry, rows: BatchSlice, now: float) -> None:
        try:
            self._settle(entry)
            self._aggregator.add(entry, rows, now)
        except Exception as error:  # noqa: BLE001 - the recorder boundary: the thread must outlive whatever was handed in
            self._fault(entry.labels, "internal", f"a slice of {len(rows.ids)} predictions was lost: {error!r}")

    def _take_batch(self, batch: Batch, gathering: Gathering, now: float) -> None:
        try:
            for rows in batch.slices(block_rows(batch.width)):
                gathering.take_slice(batch.entry, rows)
                for entry, enough in gathering.ready():
                    self._guarded_add(entry, enough, now)
                    if not isinstance(rows.features, Matrix):  # of an array numpy counts all, without the interpreter
                        time.sleep(YIELD_SECONDS)
        except Exception as error:  # noqa: BLE001 - the recorder boundary: columns of a stranger's may not be sliced
            self._fault(batch.entry.labels, "internal", f"a batch of {batch.size} predictions was lost: {error!r}")

    def _take_others(self, others: list[Any], now: float) -> list[Barrier]:
        barriers = []
        for item in others:
            if isinstance(item, Barrier):
                barriers.append(item)
            elif isinstance(item, ActualsBatch):
                try:
                    self._aggregator.add_actuals(item)
                finally:
                    item.release()
            elif isinstance(item, Fault):
                self._aggregator.fault(item.labels, item.reason, now)
            elif isinstance(item, Actual):
                self._aggregator.add_actual(item)
            elif isinstance(item, MetricUpdate):
                self._aggregator.add_metric(item, now)
        return barriers

    # --- flushing ----------------------------------------------------------------------------------------------

    def write_slot(self) -> bool:
        """Put the counters into the slot; whether it has them all now."""
        if not self._aggregator.dirty:
            return True
        try:
            if not self.alone:
                self._hold_slot()
            payload = self._encoder.encode(self._aggregator.totals)
            if self._slot is not None:
                self._slots.write(self._slot, payload)
        except OSError as error:
            reason = "disk_full" if error.errno in _FULL else "slot_write"
            self._fault(NO_MODEL, reason, f"counters are not written, they are kept and tried again: {error}")
            return False
        self._published = payload
        self._aggregator.dirty = False
        for kind in ("disk_full", "slot_write"):
            self._journal.passed(kind, "counters are written again")
        return True

    def _hold_slot(self) -> None:
        """Claim a slot where there is none that counts; take part in what all slots of the folder do."""
        index = None if self._slot is None else self._slots.index_for(self._slot)
        if self._slot is None or index is None:
            self._claim()
            return
        if index.epoch != self._epoch:
            self._restart()
            self._slot.epoch = self._epoch = index.epoch
        dropped = [key for key, at in index.dropped.items() if self._aggregator.totals.holds(key, at)]
        if dropped:
            old = self._written()
            for key in dropped:
                self._aggregator.totals.restart(key, index.dropped[key], old)

    def _claim(self) -> None:
        if self._slot is not None:
            self._slot.close()
            self._slot = None
        try:
            self._slot, found = self._slots.claim(self._epoch)
        except SlotsUnusableError as error:
            if self._epoch is not None:
                self._restart()
                self._epoch = None
            self.alone = True
            self._fault(NO_MODEL, "slots_unusable", f"{error}; this process counts alone until it is restarted")
            return
        if self._epoch is not None:
            self._restart()
        self._epoch = self._slot.epoch
        self._published = Encoder().encode(found)
        found.count_on(self._aggregator.totals)
        self._aggregator.totals = found

    def _restart(self) -> None:
        """Count from zero: what was written counts no more, in any slot of the folder."""
        self._aggregator.totals = self._aggregator.totals.since(self._written())
        self._published = b""

    def _written(self) -> SlotTotals:
        return decode(self._published) if self._published else SlotTotals()

    def keep_profiles(self, entries: Iterable[VersionEntry]) -> None:
        """Every few minutes: say by which profiles this worker counts; drop, from all slots, those that nobody does."""
        now = self._clock()
        if self.alone or self._slot is None or now < self._profile_check:
            return
        self._profile_check = now + PROFILE_CHECK_SECONDS
        self._aggregator.touch_profiles(entries, now)
        if not self.write_slot():
            return
        blocks = {key: block for key, block in self.read().vectors.items() if key[0] == "profile"}
        held = {key[:4] for key, block in blocks.items() if block.touched >= now - LEFT_SECONDS}
        left = [key for key in blocks if key[:4] not in held]  # of one profile all segments stay, or none
        try:
            if left:
                self._slots.drop(left, now - LEFT_SECONDS)
        except OSError as error:
            self._journal.trouble("left", f"counts by a profile that is left stay for now: {error}")

    def commit(self) -> bool:
        """Hand the rest of what was drained to the sink; whether it has everything now."""
        now = self._clock()
        self._pending.add(self._aggregator.take(self.name, now))
        ok = True
        if self._sink is None:
            self._pending.clear()
        elif self._pending:
            try:
                self._pending.commit(self._sink, self.name)
            except Exception as error:  # noqa: BLE001 - the recorder boundary: a sink may fail in any way
                self._fault(NO_MODEL, "store", f"the store failed, rows wait in memory: {error!r}")
                ok = False
            else:
                self._journal.passed("store", "the store works again")
        for (model_id, version, reason), amount in self._pending.take_dropped().items():
            self._aggregator.dropped((model_id, version), reason, amount, now)
        return ok

    def _fault(self, labels: tuple[str, str], reason: str, text: str) -> None:
        self._aggregator.fault(labels, reason, self._clock())
        self._journal.trouble(reason, text)

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self) -> SlotTotals:
        """Return the sum over all workers of the folder, or, if this one counts alone, its own as last flushed."""
        if self.alone:
            return self._written()
        try:
            self._shown, problems = self._slots.read()
        except OSError as error:
            self._journal.trouble("slots_read", f"slots can't be read, what was read last is shown: {error}")
        else:
            for problem in problems:
                self._journal.trouble(problem, problem)
            self._journal.passed("slots_read", "slots can be read again")
        return self._shown.copy()

    def admitted(self, kind: Key) -> tuple[str, ...]:
        """Return the names of a kind that have series of their own, in order of admission."""
        return tuple(dict.fromkeys((*self._admitted.of(kind), *self._admission.of(kind))))

    # --- ending ------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Give up the slot; its content stays and counts. In the child of a fork this leaves the slot to the parent."""
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.close()
            # The slot is another's from now on: what it holds is no longer for this one to write.
            self._aggregator.totals, self._published, self._epoch = SlotTotals(), b"", None
