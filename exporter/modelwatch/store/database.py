"""Connections to the SQLite file, and running one transaction on them come what may.

Several processes and threads write at once; readers never block them (WAL). A committed transaction survives the kill
of this process: it is in the operating system's hands before ``COMMIT`` returns.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from modelwatch.exceptions import StorageError
from modelwatch.store import files
from modelwatch.store.forks import GATE
from modelwatch.store.schema import SCHEMA_VERSION, migrate

__all__ = ["Database", "is_busy", "is_damage"]

T = TypeVar("T")

_BUSY_SECONDS = 5.0
_MOST_MOVES = 10
_WAL_LIMIT_BYTES = 64 * 1024 * 1024
# Texts, as error codes come with Python 3.11 only.
_DAMAGE = ("not a database", "malformed")
_FULL = "disk is full"
_BUSY = ("database is locked", "database table is locked", "database schema is locked")


def is_damage(error: BaseException) -> bool:
    """Tell whether SQLite says that the file itself is broken."""
    return isinstance(error, sqlite3.DatabaseError) and any(word in str(error) for word in _DAMAGE)


def is_busy(error: BaseException) -> bool:
    """Tell whether somebody else holds the lock that was needed."""
    return isinstance(error, sqlite3.OperationalError) and any(word in str(error) for word in _BUSY)


@dataclass
class _Pool:
    """The connections of one process. Those that a fork left behind stay referenced, and so are never closed."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    idle: list[_Open] = field(default_factory=list)


@dataclass
class _Open:
    connection: sqlite3.Connection
    identity: files.FileIdentity | None
    storage_id: str


class _MovedError(Exception):
    """The file under a connection isn't the one that has its name any more."""


class _FaultError(Exception):
    """An error of SQLite and the file it came from, which may have been replaced since."""

    def __init__(self, error: sqlite3.Error, identity: files.FileIdentity | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.identity = identity


class Database:
    """One SQLite file in a storage folder, created and migrated when it is first used.

    Parameters
    ----------
    folder
        The storage folder; created if need be.
    busy_seconds
        How long to wait for other writers before giving up.
    """

    def __init__(self, folder: Path, *, busy_seconds: float = _BUSY_SECONDS) -> None:
        self.folder = Path(folder).absolute()
        self.path = self.folder / files.DATABASE_NAME
        self.seed: Callable[[sqlite3.Connection], None] | None = None
        """Called in the first transaction on a file that has taken the place of the one used before."""
        self._busy_seconds = busy_seconds
        self._pools: dict[int, _Pool] = {}
        self._closed = False
        self._known: str | None = None  # an inode number may be used again, an id is not
        GATE.add(self)

    def run(self, work: Callable[[sqlite3.Connection], T], *, write: bool = True) -> T:
        """Run ``work`` in one transaction and return what it returns.

        ``work`` may be run again, on a new connection or a new file, so it must do nothing but use its connection.

        Raises
        ------
        DiskFullError
            There is no space left for what ``work`` writes.
        StorageError
            The folder or the database can't be used, or other writers never let go.
        """
        if self._closed:
            raise StorageError(f"the store in {str(self.folder)!r} is closed")
        deadline = time.monotonic() + self._busy_seconds
        faults = 0
        with GATE.held():
            while True:
                try:
                    return self._attempt(work, write)
                except _MovedError as moved:
                    faults += 1
                    if faults > _MOST_MOVES:
                        raise files.unusable(self.folder, "the database file is replaced again and again") from moved
                except _FaultError as fault:
                    faults += 1
                    self._after_fault(fault, faults, deadline)
                except OSError as error:
                    raise files.failed(self.folder, error) from error

    def _after_fault(self, fault: _FaultError, faults: int, deadline: float) -> None:
        """Mend what can be mended, so that the work can be tried again; raise for the rest."""
        error = fault.error
        if is_busy(error) and time.monotonic() < deadline:
            time.sleep(min(0.001 * 2**faults, 0.1))
        elif is_damage(error) and faults == 1:
            files.set_aside(self.folder, fault.identity, str(error))
            self.close_idle()
        elif "no such table" in str(error) and faults == 1:
            self.close_idle()  # emptied under us: opening it again creates the tables
        elif _FULL in str(error):
            raise files.full_disk(self.folder) from error
        else:
            raise files.unusable(self.folder, f"the database says {str(error)!r}") from error

    def _attempt(self, work: Callable[[sqlite3.Connection], T], write: bool) -> T:
        opened = self._take()
        kept = False
        try:
            with files.folder_lock(self.folder, exclusive=False):
                if files.identity(self.path) != opened.identity:
                    raise _MovedError
                result = self._transact(opened, work) if write else work(opened.connection)
            kept = True
        except sqlite3.Error as error:
            raise _FaultError(error, opened.identity) from error
        finally:
            self._give(opened, kept)
        return result

    def _transact(self, opened: _Open, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = opened.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            if self.seed is not None and self._known not in (None, opened.storage_id):
                self.seed(connection)
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._known = opened.storage_id
        return result

    def _pool(self) -> _Pool:
        pid = os.getpid()
        return self._pools.get(pid) or self._pools.setdefault(pid, _Pool())

    def _take(self) -> _Open:
        pool, current = self._pool(), files.identity(self.path)
        while True:
            with pool.lock:
                opened = pool.idle.pop() if pool.idle else None
            if opened is None:
                return self._open()
            if opened.identity == current:
                return opened
            opened.connection.close()

    def _give(self, opened: _Open, kept: bool) -> None:
        pool = self._pool()
        with pool.lock:
            if kept and not self._closed:
                pool.idle.append(opened)
                return
        opened.connection.close()

    def _open(self) -> _Open:
        files.make_folder(self.folder)
        files.make_private(self.path)
        before = files.identity(self.path)
        try:
            connection = sqlite3.connect(
                self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _FaultError(error, before) from error
        try:
            if not self._is_ready(connection):
                with files.folder_lock(self.folder, exclusive=True):
                    self._prepare(connection)
            storage_id = connection.execute("SELECT value FROM meta WHERE key = 'storage_id'").fetchone()[0]
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        except sqlite3.Error as error:
            connection.close()
            raise _FaultError(error, before) from error
        except BaseException:
            connection.close()
            raise
        return _Open(connection, before, storage_id)

    def _is_ready(self, connection: sqlite3.Connection) -> bool:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"the database {str(self.path)!r} was written by a newer modelwatch (schema {version}, this one knows "
                f"{SCHEMA_VERSION}): upgrade modelwatch or use another storage folder"
            )
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        return bool(version == SCHEMA_VERSION and mode == "wal")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Only counts before the first page is written, so before WAL mode too.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection)

    def close_idle(self) -> None:
        """Close the connections that nobody is using; the next use opens new ones."""
        pool = self._pool()
        with pool.lock:
            idle, pool.idle = pool.idle, []
        for opened in idle:
            opened.connection.close()

    def close(self) -> None:
        """Close for good. Safe to call again."""
        self._closed = True
        self.close_idle()
