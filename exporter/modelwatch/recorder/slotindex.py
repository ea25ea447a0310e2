"""What counts in a folder of slots: its epoch, the slots that make it up, and the blocks that were dropped from it.

A sum over slots that lacks one of them falls by a part, which ``increase()`` takes for a restart: it counts all the
rest once more. So the index says which slots there have to be. Where one is gone, a new epoch begins, in which every
slot counts from zero. A block that nobody wants any more goes from all slots at once in the same way: by a line in the
index.

The index is a small file, replaced whole under the folder's lock and read without it. If it is lost or damaged, that is
a new epoch too.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelwatch.recorder.blocks import Key, SlotTotals

__all__ = ["INDEX_NAME", "SlotIndex", "new_epoch", "read_index", "write_index"]

INDEX_NAME = ".epoch"
TEMPORARY = ".tmp"
FILE_MODE = 0o660
MAX_BYTES = 16 * 1024 * 1024
"""Nobody's index is as large; whatever is there instead isn't read into memory."""


@dataclass(frozen=True)
class SlotIndex:
    """
    What counts in a folder.

    Parameters
    ----------
    epoch
        A random number that each copy of a slot bears: only copies of this epoch count.
    slots
        The names of the slots that there have to be.
    dropped
        Blocks that were dropped, and when: those of that time or before it don't count.
    """

    epoch: int
    slots: frozenset[str] = frozenset()
    dropped: Mapping[Key, float] = field(default_factory=dict)

    def counted(self, totals: SlotTotals, epoch: int) -> SlotTotals:
        """Return what counts of a slot's totals, which are of `epoch`: of an old one only its gauges do."""
        if epoch != self.epoch:
            return SlotTotals(gauges=totals.gauges)
        gone = {key for key, at in self.dropped.items() if totals.holds(key, at)}
        if not gone:
            return totals
        kept = {key: block for key, block in totals.vectors.items() if key not in gone}
        return SlotTotals(kept, totals.names, totals.gauges, totals.exemplars)


def new_epoch() -> int:
    """Return a number that no slot bears: as somebody may remove the whole folder, counting upwards would not do."""
    return int.from_bytes(os.urandom(4), "little") | 1


def read_index(folder: Path) -> SlotIndex | None:
    """
    Return the index of a folder; None if it has none, or a damaged one.

    Raises
    ------
    OSError
        If it is there and can't be read.
    """
    try:
        fd = os.open(folder / INDEX_NAME, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        raw = os.pread(fd, min(os.fstat(fd).st_size, MAX_BYTES), 0)
    except IsADirectoryError:
        return None
    finally:
        os.close(fd)
    try:
        given = json.loads(raw)
        slots = frozenset(map(str, given["slots"]))
        return SlotIndex(int(given["epoch"]), slots, {tuple(key): float(at) for key, at in given["dropped"]})
    except (ValueError, LookupError, TypeError):
        return None


def write_index(folder: Path, index: SlotIndex) -> None:
    """
    Replace the index of a folder, whose lock has to be held.

    Raises
    ------
    OSError
        If the disk is full or fails; the old index stands.
    """
    dropped = [[key, at] for key, at in index.dropped.items()]
    text = json.dumps({"epoch": index.epoch, "slots": sorted(index.slots), "dropped": dropped})
    temporary = folder / (INDEX_NAME + TEMPORARY)
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with open(fd, "wb") as file:
            file.write(text.encode())
            with contextlib.suppress(OSError):  # so that the workers can read what the superuser's command wrote
                owner = folder.stat()
                os.fchown(fd, owner.st_uid, owner.st_gid)
        temporary.replace(folder / INDEX_NAME)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
