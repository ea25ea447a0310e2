"""Reading slots: one, or the sum over those that an index says there are."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelwatch.recorder import slotfile
from modelwatch.recorder.blocks import SlotNumbers, SlotTotals, decode, read_numbers, split_header, totals_of
from modelwatch.recorder.slotfile import NotASlotError
from modelwatch.recorder.slotindex import SlotIndex
from modelwatch.recorder.summing import Counting, Summing

__all__ = ["LOST", "SlotReader", "same_file"]

SLOT_NAME = re.compile(r"\d{4,}\.slot")
LOST = (ValueError, LookupError, TypeError)
"""Why a slot can't be read that won't pass: it is gone, damaged, or something else altogether."""
_NO_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO})


@dataclass(frozen=True)
class SlotContent:
    """What was read of a slot last: enough not to read or parse it again while it stands."""

    inode: int
    sequence: int
    epoch: int
    header: bytes
    numbers: SlotNumbers

    @cached_property
    def totals(self) -> SlotTotals:
        """Its blocks."""
        return totals_of(self.numbers)


class SlotReader:
    """
    Reads the slots of a folder, and remembers them: none is read or parsed again while it stands.

    Parameters
    ----------
    folder
        ``<storage>/slots``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[str, SlotContent] = {}
        self._reported: set[str] = set()
        self._epoch: int | None = None
        self._summing = Summing()

    def names(self) -> list[str]:
        """Return the names in the folder that are slots' names."""
        try:
            return sorted((n for n in os.listdir(self.folder) if SLOT_NAME.fullmatch(n)), key=lambda n: (len(n), n))
        except FileNotFoundError:
            return []

    def sum(self, index: SlotIndex, problems: list[str]) -> SlotTotals | None:
        """Return the sum over the slots of an index, None if one of them is lost."""
        if index.epoch != self._epoch:
            # A slot that was made anew may have the inode of the one that is gone, and come to its sequence number too.
            self._epoch = index.epoch
            self.known.clear()
        found: list[SlotContent] = []
        for name in sorted(index.slots):
            try:
                slot = self.read_one(name)
            except LOST as error:
                self._report(name, f"is lost, so that all counters of this folder begin at zero: {error}", problems)
                return None
            except OSError as error:
                self._report(name, f"can't be read, its last known counts are shown: {error}", problems)
                last = self.known.get(name)  # it may pass, and the sum must not fall meanwhile
                if last is None:
                    continue
                slot = last
            found.append(slot)
        counting = Counting(tuple(slot.epoch == index.epoch for slot in found), index.dropped)
        return self._summing.sum([slot.numbers for slot in found], counting)

    def look_at_foreign(self, index: SlotIndex, problems: list[str]) -> None:
        """Add a problem for each file that is called as a slot and is none."""
        for name in self.names():
            if name not in index.slots and name not in self._reported:
                try:
                    self.read_one(name)
                except (OSError, *LOST) as error:
                    self._report(name, f"is skipped: {error}", problems)

    def _report(self, name: str, what: str, problems: list[str]) -> None:
        if name not in self._reported:
            self._reported.add(name)
            problems.append(f"{self.folder / name} {what}")

    def lost(self, name: str) -> bool:
        """Whether a slot is gone, damaged, or something else altogether."""
        try:
            self.read_one(name)
        except LOST:
            return True
        except OSError:
            return False
        return False

    def read_one(self, name: str) -> SlotContent:
        """
        Return the newest copy of a slot.

        Raises
        ------
        NotASlotError, ValueError, LookupError, TypeError
            If it is gone, damaged, or something else altogether (:data:`LOST`).
        OSError
            If it can't be read for another reason, which may pass.
        """
        try:
            fd = os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            if error.errno in _NO_FILE:
                raise NotASlotError(error.strerror) from error
            raise
        try:
            known = self.known.get(name)
            there = os.fstat(fd)
            if not stat.S_ISREG(there.st_mode):
                msg = "it is not a regular file"
                raise NotASlotError(msg)
            if known is not None and known.inode != there.st_ino:
                known = None
            newest = slotfile.read_newest(fd, slotfile.read_capacity(fd), known.sequence if known else 0)
        finally:
            os.close(fd)
        if newest is None:
            assert known is not None
            return known
        header, _ = split_header(newest.payload)
        if known is not None and known.header == header:
            numbers = read_numbers(newest.payload, known.numbers.shape, len(known.numbers.ints))
        else:
            shape = json.loads(header)
            decode(newest.payload, shape)  # what can't be read is refused here, not where it is added
            numbers = read_numbers(newest.payload, shape)
        self.known[name] = SlotContent(there.st_ino, newest.sequence, newest.epoch, header, numbers)
        return self.known[name]


def same_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two results of ``stat`` are of one file."""
    return (one.st_ino, one.st_dev) == (other.st_ino, other.st_dev)
