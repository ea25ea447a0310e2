"""The folder of slots: claiming one, growing it, and reading them all.

Workers that share a storage folder own one slot each. Ownership is an ``flock`` on the file, never a process id, which
means nothing across containers. The slot of a dead worker is taken over and counted on, so totals survive a kill and
there are never more files than there were workers alive at once. What counts in the folder is said by its index
(see ``slotindex``): a slot that is lost takes the counts of all others with it, so that no sum ever falls by a part.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from modelwatch.recorder import slotfile
from modelwatch.recorder.blocks import Encoder, Key, SlotTotals, decode
from modelwatch.recorder.locks import HAVE_LOCKS, locked
from modelwatch.recorder.mounts import remote_kind
from modelwatch.recorder.slotfile import Copy, SlotFile
from modelwatch.recorder.slotindex import TEMPORARY, SlotIndex, new_epoch, read_index, write_index
from modelwatch.recorder.slotreader import LOST, SlotReader, same_file

if HAVE_LOCKS:
    import fcntl

__all__ = ["SlotDirectory", "SlotsUnusableError"]

LOCK_NAME = ".lock"
FOLDER_MODE = 0o770
LOCK_PATIENCE_SECONDS = 1.0
_INDEX_ATTEMPTS = 8
_PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOENT}
    | {errno.EISDIR}  # somebody put a folder where a slot was to be; the next try goes round it
)
"""Troubles at a claim that may pass. Any other means that slots can't be used here at all."""


class SlotsUnusableError(OSError):
    """Slots can't be used here: no locks on this system, or the folder can't be written."""


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
        self._reader = SlotReader(folder)
        self._epoch: int | None = None
        self._over: set[int] = set()
        """Epochs that were found over: what they count was shown as nothing, and is never shown again."""

    # --- owning ------------------------------------------------------------------------------------------------

    def claim(self, lost: int | None = None) -> tuple[SlotFile, SlotTotals]:
        """
        Take over a slot that nobody holds, or make a new one; return it with what it counts already.

        Parameters
        ----------
        lost
            The epoch in which the caller had a slot that is lost: it is over.

        Raises
        ------
        SlotsUnusableError
            If slots can't be used in this folder.
        OSError
            If the disk is full or the folder's lock is held too long: trying again later may help.
        """
        try:
            self._make_folder()
            if kind := remote_kind(self.folder):
                msg = f"slots in {self.folder} can't be used: its file system is {kind}, they need a local one"
                raise SlotsUnusableError(msg)
            with self._folder_lock():
                for leftover in self.folder.glob(f"*{TEMPORARY}"):
                    leftover.unlink(missing_ok=True)
                return self._claim_in(self._settled(lost))
        except SlotsUnusableError:
            raise
        except OSError as error:
            if error.errno in _PASSING:
                raise
            msg = f"slots in {self.folder} can't be used: {error}"
            raise SlotsUnusableError(msg) from error

    def _claim_in(self, index: SlotIndex) -> tuple[SlotFile, SlotTotals]:
        for name in self._reader.names():
            taken = self._take_over(self.folder / name, index)
            if taken is not None:
                break
        else:
            taken = self._create(index), SlotTotals()
        slot = taken[0]
        if slot.path.name not in index.slots:
            try:
                write_index(self.folder, replace(index, slots=index.slots | {slot.path.name}))
            except OSError:
                slot.close()
                raise
        return taken

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
            if slot.lost():
                raise OSError(errno.ESTALE, f"{slot.path} is no longer ours")
            fd = self._place(slot.path, capacity, slot.sequence + 1, slot.epoch, payload)
        slot.replace(fd, capacity)

    def index_for(self, slot: SlotFile) -> SlotIndex | None:
        """
        Return what counts in the folder now; None if `slot` does not any more, so that one has to be claimed.

        Raises
        ------
        OSError
            If the folder can't be read, or another slot is gone and no new epoch can be begun.
        """
        index = read_index(self.folder)
        if index is None or slot.path.name not in index.slots or slot.lost():
            return None
        if not index.slots.issubset(os.listdir(self.folder)):
            self._begin_after(index)
            index = read_index(self.folder)
        return index

    def _create(self, index: SlotIndex) -> SlotFile:
        used = {int(name.partition(".")[0]) for name in self._reader.names()}
        number = next(n for n in range(len(used) + 1) if n not in used)
        path = self.folder / f"{number:04d}.slot"
        empty = Encoder().encode(SlotTotals())
        fd = self._place(path, slotfile.FIRST_CAPACITY, 1, index.epoch, empty)
        return SlotFile(path, fd, slotfile.FIRST_CAPACITY, Copy(0, 1, index.epoch, empty), index.epoch)

    def _place(self, path: Path, capacity: int, sequence: int, epoch: int, payload: bytes) -> int:
        """Write a file under another name, lock it, and only then give it its name: nobody sees half of it."""
        temporary = path.with_name(path.name + TEMPORARY)
        temporary.unlink(missing_ok=True)
        fd = slotfile.create_file(temporary, capacity, sequence, epoch, payload)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.replace(path)
        except OSError:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            raise
        return fd

    def _take_over(self, path: Path, index: SlotIndex) -> tuple[SlotFile, SlotTotals] | None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            return None
        try:
            taken = self._lock_and_load(path, fd, index)
        except (OSError, *LOST):
            taken = None  # held by a living worker; or not a slot, or damaged, which readers report
        if taken is None:
            os.close(fd)
        return taken

    def _lock_and_load(self, path: Path, fd: int, index: SlotIndex) -> tuple[SlotFile, SlotTotals] | None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not same_file(os.fstat(fd), os.stat(path, follow_symlinks=False)):
            return None  # its owner has just replaced it by a larger one
        capacity = slotfile.read_capacity(fd)
        newest = slotfile.read_newest(fd, capacity)
        assert newest is not None
        slot, listed = SlotFile(path, fd, capacity, newest, index.epoch), path.name in index.slots
        found = index.counted(decode(newest.payload), newest.epoch if listed else 0)
        if not listed:
            slot.write(Encoder().encode(found))  # what it held counted nowhere, and must not once it is listed
        return slot, found

    # --- what counts -------------------------------------------------------------------------------------------

    def _settled(self, lost: int | None) -> SlotIndex:
        """Return the index if all its slots are there, else that of a new epoch; needs the folder's lock."""
        index = read_index(self.folder)
        if index is None or index.epoch == lost or any(map(self._reader.lost, index.slots)):
            return self._begin()
        return index

    def _begin_after(self, index: SlotIndex) -> None:
        """Begin a new epoch unless somebody did, or all slots are there after all."""
        with self._folder_lock():
            now = read_index(self.folder)
            over = index.epoch in self._over
            if now is not None and now.epoch == index.epoch and (over or any(map(self._reader.lost, now.slots))):
                self._begin()

    def _begin(self) -> SlotIndex:
        index = SlotIndex(new_epoch(), frozenset(name for name in self._reader.names() if not self._reader.lost(name)))
        write_index(self.folder, index)
        return index

    def drop(self, keys: Collection[Key], before: float) -> None:
        """
        Let vector blocks that nobody has counted into since a time count no more, in any slot.

        Raises
        ------
        OSError
            If the index can't be written, or the folder's lock is held too long.
        """
        with self._folder_lock():
            index = read_index(self.folder)
            totals = None if index is None else self._reader.sum(index, [])
            if index is None or totals is None:
                return
            blocks = {key: totals.vectors[key] for key in keys if key in totals.vectors}
            held = [self._reader.known[name].totals for name in index.slots if name in self._reader.known]
            dropped = {key: at for key, at in index.dropped.items() if any(slot.holds(key, at) for slot in held)}
            dropped.update({key: block.born for key, block in blocks.items() if block.touched < before})
            write_index(self.folder, replace(index, dropped=dropped))

    @contextmanager
    def _folder_lock(self) -> Iterator[None]:
        """Hold the folder's lock; waits at most a second, since its holder may be stopped."""
        if not HAVE_LOCKS:
            msg = "this system has no file locks"
            raise SlotsUnusableError(msg)
        path = self.folder / LOCK_NAME
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, slotfile.FILE_MODE)
        try:
            with locked(fd, LOCK_PATIENCE_SECONDS):
                if not same_file(os.fstat(fd), os.stat(path)):
                    raise OSError(errno.EAGAIN, f"{path} was replaced")
                yield
        finally:
            os.close(fd)

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self) -> tuple[SlotTotals, list[str]]:
        """
        Sum all slots, of living and dead workers; nothing, once a slot of them is lost, until a new epoch begins.

        Returns
        -------
        totals, problems
            The sum; and a sentence for each file that is not a slot or is damaged, the first time it is met.

        Raises
        ------
        OSError
            If the folder exists and can't be read.
        """
        problems: list[str] = []
        for _ in range(_INDEX_ATTEMPTS):
            index = read_index(self.folder)
            if index is None:
                if self._epoch is not None:
                    self._over.add(self._epoch)
                return SlotTotals(), problems
            totals = None if index.epoch in self._over else self._reader.sum(index, problems)
            if read_index(self.folder) != index:
                continue  # a slot read late may be of an epoch that began after another one was read
            if totals is not None:
                self._epoch = index.epoch
                self._reader.look_at_foreign(index, problems)
                return totals, problems
            try:
                self._begin_after(index)
            except OSError:
                self._over.add(index.epoch)  # somebody who may write begins a new one
                return SlotTotals(), problems
        raise OSError(errno.EAGAIN, f"what counts in {self.folder} changes all the time")
