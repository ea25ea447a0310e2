"""Hours that are alike: reference counts by stratum, and the reference that matches a window's own traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from modelwatch.records import CellLayout, FloatArray, IntArray

StrataKind = Literal["48", "168"]
"""Hour of the day × {weekday, weekend}; hour of the week."""


@dataclass(frozen=True, eq=False)
class Strata:
    """Reference counts by stratum.

    Attributes
    ----------
    kind : {"48", "168"}
        48: hour of the day, then the same for weekends. 168: hour of the week, from Monday 0:00.
    timezone : str
        IANA name of the zone whose clock on the wall says which hour it is.
    counts : ndarray of int, shape (strata, layout.size)
        As they were counted. Small strata are merged where they are used.
    """

    kind: StrataKind
    timezone: str
    counts: IntArray

    def index(self, seconds: FloatArray) -> IntArray:
        """Return the stratum of each time.

        Parameters
        ----------
        seconds : ndarray, shape (n,)
            Seconds since 1970.

        Returns
        -------
        ndarray of int, shape (n,)
        """
        raise NotImplementedError

    def matched(self, layout: CellLayout, rows: FloatArray) -> FloatArray:
        """Return the reference as it would be with the traffic of a window: ``R = P·m_eff`` of drift.md 2.3.

        Parameters
        ----------
        layout : CellLayout
            Of the counts.
        rows : ndarray, shape (..., members, strata)
            Rows of the window by stratum; of a member that was cleared, those since then.

        Returns
        -------
        ndarray, shape (..., layout.size)
            A member without any rows has the counts of the whole reference.
        """
        raise NotImplementedError
