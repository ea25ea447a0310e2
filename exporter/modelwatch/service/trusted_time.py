"""Which time a cleanup goes by: that of the clock, unless the clock has leapt ahead of all that is known.

Deleting can't be undone, and a clock that is a year ahead for an hour would make everything older than its retention.
So a leap is not believed until the clock has kept to it for a day. Storages that nobody cleaned up for months, which
look the same, are cleaned up a day later.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["CONFIRM_SECONDS", "LEAP_SECONDS", "TrustedTime"]

LEAP_SECONDS = 2 * 86400.0
"""The clock may be so far ahead of the last cleanup (or, before the first one, of what was recorded last)."""
CONFIRM_SECONDS = 86400.0
"""If it is further ahead, it is believed when it has been so for this long."""


@dataclass(frozen=True)
class TrustedTime:
    """
    The time that one cleanup goes by.

    Attributes
    ----------
    at
        Seconds since 1970; never later than the clock.
    ahead_since
        What the clock said when it was first seen too far ahead; None if it is believed.
    """

    at: float
    ahead_since: float | None = None

    @classmethod
    def of(cls, now: float, before: dict[str, Any] | None, newest: float | None) -> TrustedTime:
        """
        Return the time to go by.

        Parameters
        ----------
        now
            What the clock says, in seconds since 1970.
        before
            What :attr:`memory` was after the last cleanup; None if there was none.
        newest
            When something was last noted down in the storage; only asked where there was no cleanup yet, as what is
            recorded under a clock that is ahead is so too.

        Examples
        --------
        >>> day = 86400.0
        >>> leap = TrustedTime.of(400 * day, {"at": 10 * day, "ahead_since": None}, None)
        >>> leap.at / day, leap.ahead_since / day
        (10.0, 400.0)
        >>> TrustedTime.of(10 * day + 3600, leap.memory, None)
        TrustedTime(at=867600.0, ahead_since=None)
        >>> TrustedTime.of(401 * day, leap.memory, None).at / day
        401.0
        """
        known, since = (newest, None) if before is None else (float(before["at"]), before["ahead_since"])
        if known is None or now <= known + LEAP_SECONDS:
            return cls(now)
        if since is not None and now >= since + CONFIRM_SECONDS:
            return cls(now)
        return cls(known, now if since is None or now < since else since)

    @property
    def memory(self) -> dict[str, Any]:
        """What the next cleanup has to know."""
        return asdict(self)
