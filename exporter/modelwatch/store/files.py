"""The storage folder: creating it, locking it, and setting a damaged database aside."""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelwatch.exceptions import StorageError

if sys.platform != "win32":
    import fcntl

__all__ = [
    "DATABASE_NAME",
    "DiskFullError",
    "FileIdentity",
    "folder_lock",
    "folder_size",
    "identity",
    "make_folder",
    "set_aside",
]

DATABASE_NAME = "modelwatch.db"
LOCK_NAME = "modelwatch.lock"
FileIdentity = tuple[int, int]

_LOCK_PATIENCE_SECONDS = 5.0
_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)
_WOULD_BLOCK = (errno.EAGAIN, errno.EACCES)
_FULL_WORDS = ("No space left", "disk is full", "quota exceeded")
_MAYBE_FULL = ("disk I/O error", "unable to open database file", "Permission denied", "readonly database")
_log = logging.getLogger("modelwatch.store")


class DiskFullError(StorageError):
    """There is no space left for what was to be written."""


def make_folder(folder: Path) -> None:
    """Create the folder for owner and group only (0o770, less the umask) if it isn't there.

    Raises
    ------
    StorageError
        It can't be created, is no folder, or can't be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o770)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        raise failed(folder, error) from error


def unusable(folder: Path, why: str) -> StorageError:
    """Return the error that says which folder can't be used, why, and what to do."""
    full, read_only = any(word in why for word in _FULL_WORDS), False
    if hasattr(os, "statvfs"):
        # A full or read-only disk shows itself as all kinds of errors.
        with suppress(OSError):
            nearest = next(place for place in (folder, *folder.parents) if place.exists())
            disk = os.statvfs(nearest)
            read_only = bool(disk.f_flag & os.ST_RDONLY)
            full = full or (disk.f_bavail == 0 and any(word in why for word in _MAYBE_FULL))
    if full and not read_only:
        return full_disk(folder)
    user = f" for user id {os.getuid()}" if hasattr(os, "getuid") else ""
    fact, remedy = why, f"Make it a writable folder on a local disk{user}"
    if read_only:
        fact, remedy = "it is on a file system that is mounted read-only", "Mount that writable"
    return StorageError(
        f"cannot use the storage folder {str(folder)!r}: {fact}. {remedy}, or name another one with storage_path= or "
        "MODELWATCH_STORAGE."
    )


def full_disk(folder: Path) -> DiskFullError:
    """Return the error that says whose disk is full, and what to do."""
    return DiskFullError(
        f"the disk of the storage folder {str(folder)!r} is full: free space on it; some megabytes are enough for the"
        " next cleanup to remove what is older than its retention. To keep less, lower storage.max_size or"
        " retention_days."
    )


def failed(folder: Path, error: OSError) -> StorageError:
    """Return what to say of a file operation in a folder that failed."""
    return full_disk(folder) if error.errno in _FULL_ERRORS else unusable(folder, error.strerror or str(error))


def make_private(path: Path) -> None:
    """Create an empty file for owner and group only; SQLite gives its companions the same permissions."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o660))


def identity(path: Path) -> FileIdentity | None:
    """Return what tells a file from another of the same name, or None if there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def folder_lock(folder: Path, *, exclusive: bool, patience: float = _LOCK_PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the folder's lock: shared while working on the database, exclusive while replacing it.

    Parameters
    ----------
    folder
        The storage folder.
    exclusive
        Whether to keep all others out.
    patience
        How long to wait at most, in seconds.

    Raises
    ------
    StorageError
        Another process held the lock all the while.
    """
    if sys.platform == "win32":  # one process at a time is all that is supported there
        yield
        return
    # Opened anew every time: a descriptor that a fork shares would share its lock too.
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o660)
    try:
        _flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, folder, patience)
        yield
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int, folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _WOULD_BLOCK:
                return  # a file system without flock: work on without, as SQLite's own locks still hold
            if time.monotonic() > deadline:
                raise unusable(folder, f"another process has held its lock for {patience:g} seconds") from error
        else:
            return
        time.sleep(0.005)


def set_aside(folder: Path, damaged: FileIdentity | None, why: str) -> Path | None:
    """Rename a damaged database and its companions, so that a new one takes its place.

    Parameters
    ----------
    folder
        The storage folder.
    damaged
        The file that was found damaged; if another one has its name by now, somebody else was quicker.
    why
        What is wrong with it, for the log.

    Returns
    -------
    pathlib.Path or None
        Where the database went, or None if there was nothing to do.

    Raises
    ------
    StorageError
        The files can't be renamed.
    """
    path = folder / DATABASE_NAME
    try:
        with folder_lock(folder, exclusive=True):
            if damaged is None or identity(path) != damaged:
                return None
            target = _free_name(path)
            # The log goes first: were it left beside a new database, SQLite might replay it into that one.
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    os.rename(f"{path}{suffix}", f"{target}{suffix}")
    except OSError as error:
        raise unusable(folder, f"the database is damaged ({why}) and can't be set aside: {error.strerror}") from error
    _log.error("the database %s is damaged (%s); it was set aside as %s and a new one begun", path, why, target.name)
    return target


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number, candidate = 1, path.with_name(f"{path.name}.damaged-{stamp}")
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    return candidate


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below the folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # files come and go while we look
                total += os.stat(os.path.join(parent, name)).st_size
    return total
