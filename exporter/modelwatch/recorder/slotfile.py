r"""One slot: a regular file that holds one worker's counters so that a kill at any moment loses no more than a flush.

::

    0      magic "MWSLOT\r\n" | u32 format version | u32 page | u64 capacity | u32 crc32 of the fields before
    page   copy 0: u64 sequence | u64 length | u32 epoch | u32 crc32(of these and the payload) | payload
    page + capacity   copy 1, the same

Each flush overwrites the older copy with one ``pwrite``; readers take the newest copy whose CRC holds. Nothing is
mapped into memory: on a full tmpfs a mapped page that can't be allocated is SIGBUS, which kills the user's model.
"""

from __future__ import annotations

import errno
import os
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Copy", "NotASlotError", "SlotFile", "create_file", "grown_capacity", "read_capacity", "read_newest"]

MAGIC = b"MWSLOT\r\n"
FORMAT_VERSION = 2
PAGE = 4096
FIRST_CAPACITY = 64 * 1024
FILE_MODE = 0o660
"""Before the umask: workers in several containers share slots through a group."""

_HEADER = struct.Struct("<8sIIQ")
_CRC = struct.Struct("<I")
_COPY = struct.Struct("<QQII")
_COPY_START = struct.Struct("<QQI")
_READ_ATTEMPTS = 40
_QUICK_ATTEMPTS = 8
_ATTEMPT_SECONDS = 0.001


class NotASlotError(ValueError):
    """A file isn't a slot of this format, or none of its copies is whole."""


@dataclass(frozen=True)
class Copy:
    """One whole copy: which of the two, its sequence number, the epoch that it counts in, its payload."""

    index: int
    sequence: int
    epoch: int
    payload: bytes


def _header(capacity: int) -> bytes:
    fields = _HEADER.pack(MAGIC, FORMAT_VERSION, PAGE, capacity)
    return (fields + _CRC.pack(zlib.crc32(fields))).ljust(PAGE, b"\0")


def _copy_bytes(sequence: int, epoch: int, payload: bytes) -> bytes:
    crc = zlib.crc32(payload, zlib.crc32(_COPY_START.pack(sequence, len(payload), epoch)))
    return _COPY.pack(sequence, len(payload), epoch, crc) + payload


def _pwrite_all(fd: int, data: bytes, offset: int) -> None:
    written = os.pwrite(fd, data, offset)
    if written != len(data):
        # A short write means a full disk or a limit; the copy is torn now, and the other one stands.
        raise OSError(errno.ENOSPC, f"short write: {written} of {len(data)} bytes")


def create_file(path: Path, capacity: int, sequence: int, epoch: int, payload: bytes) -> int:
    """
    Write a whole slot file at `path`, which must not exist; return its open descriptor.

    The space is reserved at once where the file system can, so that a disk that fills later does not stop the counters.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), FILE_MODE)
    try:
        size = PAGE + 2 * capacity
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(fd, 0, size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                    raise
        os.ftruncate(fd, size)
        _pwrite_all(fd, _header(capacity), 0)
        _pwrite_all(fd, _copy_bytes(sequence, epoch, payload), PAGE)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd


def read_capacity(fd: int) -> int:
    """
    Return the capacity of one copy, from the file's header.

    Raises
    ------
    NotASlotError
        If the header is not one of this format.
    """
    raw = os.pread(fd, _HEADER.size + _CRC.size, 0)
    if len(raw) < _HEADER.size + _CRC.size or raw[:8] != MAGIC:
        msg = "it does not begin as a slot does"
        raise NotASlotError(msg)
    _, version, page, capacity = _HEADER.unpack_from(raw)
    if zlib.crc32(raw[: _HEADER.size]) != _CRC.unpack_from(raw, _HEADER.size)[0]:
        msg = "its header is damaged"
        raise NotASlotError(msg)
    if version != FORMAT_VERSION or page != PAGE:
        msg = f"its format is version {version}, this release reads {FORMAT_VERSION}"
        raise NotASlotError(msg)
    return int(capacity)


def read_newest(fd: int, capacity: int, known: int = 0) -> Copy | None:
    """
    Return the newest whole copy of a slot; None if its sequence is `known` already.

    A writer may be at work: the copy that it overwrites looks torn, and the other one stands. If both look torn, the
    writer has moved on between the two reads, and reading again, at last in a more leisurely way, finds a whole one.

    Raises
    ------
    NotASlotError
        If both copies stay torn.
    """
    for attempt in range(_READ_ATTEMPTS):
        if attempt >= _QUICK_ATTEMPTS:
            time.sleep(_ATTEMPT_SECONDS)
        heads = [_read_head(fd, capacity, index) for index in (0, 1)]
        for index in sorted((0, 1), key=lambda i: -heads[i][0]):
            if known and heads[index][0] == known:
                return None
            copy = _read_copy(fd, capacity, index, heads[index])
            if copy is not None:
                return copy
    msg = "neither of its copies is whole"
    raise NotASlotError(msg)


def _read_head(fd: int, capacity: int, index: int) -> tuple[int, int, int, int]:
    raw = os.pread(fd, _COPY.size, PAGE + index * capacity)
    if len(raw) != _COPY.size:
        return 0, 0, 0, 0
    sequence, length, epoch, crc = _COPY.unpack(raw)
    return sequence, length, epoch, crc


def _read_copy(fd: int, capacity: int, index: int, head: tuple[int, int, int, int]) -> Copy | None:
    sequence, length, epoch, crc = head
    if sequence == 0 or length > capacity - _COPY.size:
        return None
    payload = os.pread(fd, length, PAGE + index * capacity + _COPY.size)
    if len(payload) != length or zlib.crc32(payload, zlib.crc32(_COPY_START.pack(sequence, length, epoch))) != crc:
        return None
    return Copy(index, sequence, epoch, payload)


class SlotFile:
    """
    A slot that this process owns: its descriptor holds the lock.

    Parameters
    ----------
    path
        Where the file is.
    fd
        An open, locked descriptor; closed by :meth:`close`, which also gives the lock up.
    capacity
        Bytes of one copy, its head included.
    newest
        The copy that stands now.
    epoch
        The epoch that the next copies count in.
    """

    def __init__(self, path: Path, fd: int, capacity: int, newest: Copy, epoch: int) -> None:
        self.path = path
        self._fd = fd
        self._capacity = capacity
        self._index = newest.index
        self.sequence = newest.sequence
        self.epoch = epoch
        self._pid = os.getpid()

    @property
    def open(self) -> bool:
        """Whether the slot is still held."""
        return self._fd >= 0

    def fits(self, payload: bytes) -> bool:
        """Whether a copy of this file can hold `payload`."""
        return len(payload) + _COPY.size <= self._capacity

    def lost(self) -> bool:
        """Whether the file at our path is no longer ours: removed, replaced, or held by the parent of a fork."""
        if self._fd < 0 or self._pid != os.getpid():
            return True
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return True
        here = os.fstat(self._fd)
        return (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev)

    def write(self, payload: bytes) -> None:
        """
        Overwrite the older copy with `payload`.

        Raises
        ------
        OSError
            If the disk is full or fails; the newer copy stands, and writing again is safe.
        """
        older = 1 - self._index
        _pwrite_all(self._fd, _copy_bytes(self.sequence + 1, self.epoch, payload), PAGE + older * self._capacity)
        self._index = older
        self.sequence += 1

    def replace(self, fd: int, capacity: int) -> None:
        """Go over to a larger file that stands at our path now, with the next sequence number in copy 0."""
        old, self._fd, self._capacity, self._index = self._fd, fd, capacity, 0
        self.sequence += 1
        os.close(old)

    def close(self) -> None:
        """Close the descriptor, which frees the slot (in the child of a fork: leaves it to the parent)."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def grown_capacity(payload: bytes) -> int:
    """Return a capacity that holds `payload` twice over, a power of two."""
    return max(FIRST_CAPACITY, 1 << (2 * (len(payload) + _COPY.size) - 1).bit_length())
