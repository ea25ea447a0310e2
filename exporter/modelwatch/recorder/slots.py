"""The folder of slots: claiming one, growing it, and reading them all.

Workers that share a storage folder own one slot each. Ownership is an ``flock`` on the file, never a process id, which
means nothing across containers. The slot of a dead worker is taken over and counted on, so totals survive a kill and
there are never more files than there were workers alive at once.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwatch.recorder import slotfile
from modelwatch.recorder.blocks import Encoder, SlotTotals, decode, split_header
from modelwatch.recorder.slotfile import Copy, SlotFile

try:
    import fcntl
except ImportError:  # not a POSIX system: every process counts alone
    HAVE_LOCKS = False
else:
    HAVE_LOCKS = True

__all__ = ["SlotDirectory", "SlotsUnusableError"]

SLOT_NAME = re.compile(r"\d{4,}\.slot")
LOCK_NAME = ".lock"
TEMPORARY = ".tmp"
FOLDER_MODE = 0o770
LOCK_PATIENCE_SECONDS = 1.0
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOENT})
"""Troubles at a claim that may pass. Any other means that slots can't be used here at all."""


class SlotsUnusableError(OSError):
    """Slots can't be used here: no locks on this system, or the folder can't be written."""


@dataclass(frozen=True)
class _Known:
    """What was read of a slot last: enough not to read or parse it again while it stands."""

    inode: int
    sequence: int
    header: bytes
    shape: list[Any]
    totals: SlotTotals


class SlotDirectory:
    """
    The slots of one storage folder.

    Parameters
    ----------
    folder
        ``<storage>/slots``; created when a slot is first claimed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, _Known] = {}
        self._reported: set[str] = set()

    # --- owning ------------------------------------------------------------------------------------------------

    def claim(self) -> tuple[SlotFile, SlotTotals]:
        """
        Take over a slot that nobody holds, or make a new one; return it with what it counts already.

        Raises
        ------
        SlotsUnusableError
            If slots can't be used in this folder.
        OSError
            If the disk is full or the folder's lock is held too long: trying again later may help.
        """
        if not HAVE_LOCKS:
            msg = "this system has no file locks"
            raise SlotsUnusableError(msg)
        try:
            self._make_folder()
            with self._folder_lock():
                for leftover in self.folder.glob(f"*{TEMPORARY}"):
                    leftover.unlink(missing_ok=True)
                for name in self._names():
                    taken = self._take_over(self.folder / name)
                    if taken is not None:
                        return taken
                return self._create(), SlotTotals()
        except SlotsUnusableError:
            raise
        except OSError as error:
            if error.errno in _PASSING:
                raise
            msg = f"slots in {self.folder} can't be used: {error}"
            raise SlotsUnusableError(msg) from error

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        except FileNotFoundError as error:
            # Nobody removed it: on some file systems, as that of /proc, it can't be made at all.
            msg = f"slots in {self.folder} can't be used: the folder can't be made"
            raise SlotsUnusableError(msg) from error

    def write(self, slot: SlotFile, payload: bytes) -> None:
        """
        Write a slot, growing its file if need be.

        Raises
        ------
        OSError
            If the disk is full or fails, or the folder's lock is held too long; writing again later is safe.
        """
        if slot.fits(payload):
            slot.write(payload)
            return
        capacity = slotfile.grown_capacity(payload)
        with self._folder_lock():
            fd = self._place(slot.path, capacity, slot.sequence + 1, payload)
        slot.replace(fd, capacity)

    def _create(self) -> SlotFile:
        used = {int(name.partition(".")[0]) for name in self._names()}
        number = next(n for n in range(len(used) + 1) if n not in used)
        path = self.folder / f"{number:04d}.slot"
        empty = Encoder().encode(SlotTotals())
        fd = self._place(path, slotfile.FIRST_CAPACITY, 1, empty)
        return SlotFile(path, fd, slotfile.FIRST_CAPACITY, Copy(0, 1, empty))

    def _place(self, path: Path, capacity: int, sequence: int, payload: bytes) -> int:
        """Write a file under another name, lock it, and only then give it its name: nobody sees half of it."""
        temporary = path.with_name(path.name + TEMPORARY)
        temporary.unlink(missing_ok=True)
        fd = slotfile.create_file(temporary, capacity, sequence, payload)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.replace(path)
        except OSError:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            raise
        return fd

    def _take_over(self, path: Path) -> tuple[SlotFile, SlotTotals] | None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return None
        try:
            taken = self._lock_and_load(path, fd)
        except (OSError, ValueError, LookupError, TypeError):
            taken = None  # held by a living worker; or not a slot, or damaged, which readers report
        if taken is None:
            os.close(fd)
        return taken

    def _lock_and_load(self, path: Path, fd: int) -> tuple[SlotFile, SlotTotals] | None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        here, there = os.fstat(fd), os.stat(path, follow_symlinks=False)
        if (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev):
            return None  # its owner has just replaced it by a larger one
        capacity = slotfile.read_capacity(fd)
        newest = slotfile.read_newest(fd, capacity)
        assert newest is not None
        return SlotFile(path, fd, capacity, newest), decode(newest.payload)

    @contextmanager
    def _folder_lock(self) -> Iterator[None]:
        """Hold the folder's lock; waits at most a second, since its holder may be stopped."""
        fd = os.open(self.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, slotfile.FILE_MODE)
        try:
            deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(0.005)
            yield
        finally:
            # Closing alone would not free it if the process was forked meanwhile: the child has the file open as well.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    # --- reading -----------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        try:
            return sorted((n for n in os.listdir(self.folder) if SLOT_NAME.fullmatch(n)), key=lambda n: (len(n), n))
        except FileNotFoundError:
            return []

    def read(self) -> tuple[SlotTotals, list[str]]:
        """
        Sum all slots, of living and dead workers.

        Returns
        -------
        totals, problems
            The sum; and a sentence for each file that is not a slot or is damaged, the first time it is met.

        Raises
        ------
        OSError
            If the folder exists and can't be read.
        """
        totals, problems = SlotTotals(), []
        for name in self._names():
            try:
                totals.add(self._read_one(name))
            except FileNotFoundError:
                continue  # removed since it was listed
            except (OSError, ValueError, LookupError, TypeError) as error:
                if name not in self._reported:
                    self._reported.add(name)
                    problems.append(f"{self.folder / name} is skipped: {error}")
        return totals, problems

    def _read_one(self, name: str) -> SlotTotals:
        fd = os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
        try:
            inode = os.fstat(fd).st_ino
            known = self._known.get(name)
            if known is not None and known.inode != inode:
                known = None
            newest = slotfile.read_newest(fd, slotfile.read_capacity(fd), known.sequence if known else 0)
        finally:
            os.close(fd)
        if newest is None:
            assert known is not None
            return known.totals
        header, _ = split_header(newest.payload)
        shape = known.shape if known is not None and known.header == header else json.loads(header)
        totals = decode(newest.payload, shape)
        self._known[name] = _Known(inode, newest.sequence, header, shape, totals)
        return totals
