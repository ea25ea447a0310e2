"""Leases: of several processes on one storage, one does a job at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from modelwatch.store.database import Database

__all__ = ["LeaseStore"]

# A lease taken later than now was taken under another clock (it was set back since): it would never run out.
_ACQUIRE = """
    INSERT INTO leases (name, holder, acquired_at, ttl) VALUES (:name, :holder, :now, :ttl)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, acquired_at = excluded.acquired_at, ttl = excluded.ttl
    WHERE leases.holder = excluded.holder
        OR leases.acquired_at + leases.ttl <= excluded.acquired_at
        OR leases.acquired_at > excluded.acquired_at + leases.ttl"""


class LeaseStore:
    """The part of the store that says who may do what."""

    _database: Database

    def acquire_lease(self, name: str, holder: str, ttl: float, now: float) -> bool:
        """Take a lease that is free or has run out, or renew one's own, in one atomic step.

        Parameters
        ----------
        name
            What the lease is for.
        holder
            Who wants it; unique to a process, say host, pid and a random number.
        ttl
            For how long, in seconds.
        now
            Seconds since the epoch.

        Returns
        -------
        bool
            Whether ``holder`` has it now.
        """

        def write(connection: sqlite3.Connection) -> bool:
            values = {"name": name, "holder": holder, "now": now, "ttl": ttl}
            return connection.execute(_ACQUIRE, values).rowcount > 0

        return self._database.run(write)

    def acquire_leases(self, names: Iterable[str], holder: str, ttl: float, now: float) -> frozenset[str]:
        """Take or renew as many leases as are to be had; return those that ``holder`` has now. See `acquire_lease`."""
        wanted = {name: {"name": name, "holder": holder, "now": now, "ttl": ttl} for name in names}

        def write(connection: sqlite3.Connection) -> frozenset[str]:
            return frozenset(n for n, values in wanted.items() if connection.execute(_ACQUIRE, values).rowcount > 0)

        return self._database.run(write) if wanted else frozenset()

    def release_leases(self, holder: str) -> None:
        """Give back all leases of a holder."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM leases WHERE holder = ?", (holder,))

        self._database.run(write)

    def release_lease(self, name: str, holder: str) -> bool:
        """Give a lease back; that of another holder stays. Return whether it was ``holder``'s."""

        def write(connection: sqlite3.Connection) -> bool:
            done = connection.execute("DELETE FROM leases WHERE name = ? AND holder = ?", (name, holder))
            return done.rowcount > 0

        return self._database.run(write)

    def lease_holder(self, name: str, now: float) -> str | None:
        """Return who holds a lease, or None if nobody does or it has run out."""

        def read(connection: sqlite3.Connection) -> str | None:
            query = "SELECT holder FROM leases WHERE name = ? AND acquired_at + ttl > ? AND acquired_at <= ? + ttl"
            found = connection.execute(query, (name, now, now)).fetchone()
            return None if found is None else str(found[0])

        return self._database.run(read, write=False)
