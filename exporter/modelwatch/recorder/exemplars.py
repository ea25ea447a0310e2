"""The latest prediction in each latency bucket, by its id: what Prometheus shows beside a histogram as exemplars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.recorder.outcomes import floats_or_list
from modelwatch.recorder.truth import numbers_or_nan
from modelwatch.records import FloatArray

__all__ = ["ID_BYTES", "ID_INTS", "Exemplars", "timed_rows"]

ID_BYTES = 64
"""Room for an id in UTF-8; predictions with longer ids are not shown. OpenMetrics would allow 115 characters."""
ID_INTS = ID_BYTES // 8
"""The same in a slot, which holds numbers."""


@dataclass
class Exemplars:
    """
    The latest prediction of each bucket of one histogram.

    Examples
    --------
    >>> exemplars = Exemplars("0.1,0.5")
    >>> exemplars.keep(np.array([0, 2, 0]), ["a", "b", "c"], np.array([0.05, 0.7, 0.01]), np.array([1.0, 2.0, 3.0]))
    >>> exemplars.latest
    {0: (3.0, 0.01, b'c'), 2: (2.0, 0.7, b'b')}
    """

    layout: str
    """That of the histogram."""
    _latest: dict[int, tuple[float, float, bytes]] = field(default_factory=dict)
    _stored: tuple[Sequence[int], bytes, FloatArray] | None = None
    """What was read of a slot, as it stands there: only one format of several shows it."""

    @property
    def latest(self) -> dict[int, tuple[float, float, bytes]]:
        """By place: when, value, id."""
        if self._stored is not None:
            places, ids, numbers = self._stored
            names = [ids[at : at + ID_BYTES].rstrip(b"\0") for at in range(0, len(places) * ID_BYTES, ID_BYTES)]
            found = zip(places, numbers.tolist(), names, strict=True)
            self._latest, self._stored = {p: (at, value, name) for p, (at, value), name in found if name}, None
        return self._latest

    def keep(
        self,
        places: NDArray[np.intp],
        ids: Sequence[str | None],
        values: FloatArray,
        times: FloatArray,
        rows: NDArray[np.intp] | None = None,
    ) -> None:
        """
        Keep the last prediction of each bucket in a slice, unless a later one is known.

        Parameters
        ----------
        places
            Places of buckets, shape (n,).
        ids
            By row.
        values
            What was measured, shape (n,).
        times
            By row, in seconds since 1970.
        rows
            Which row each place is of; None if row by row.
        """
        last = np.full(int(places.max(initial=-1)) + 1, -1, np.intp)
        last[places] = np.arange(len(places))  # of several in one bucket the last one stands
        for place, position in enumerate(last.tolist()):
            if position >= 0:
                row = position if rows is None else int(rows[position])
                self.put(place, float(times[row]), float(values[position]), (ids[row] or "").encode())

    def put(self, place: int, at: float, value: float, name: bytes) -> None:
        """Keep one unless a later one is known, or it does not fit."""
        latest = self.latest
        known = latest.get(place)
        if name and len(name) <= ID_BYTES and (known is None or at >= known[0]):
            latest[place] = (at, value, name)

    def add(self, other: Exemplars) -> None:
        """Keep the latest of both."""
        for place, (at, value, name) in other.latest.items():
            self.put(place, at, value, name)

    def id_bytes(self) -> bytes:
        """Return all ids, each as wide as the others."""
        return b"".join([name.ljust(ID_BYTES, b"\0") for _, _, name in self.latest.values()])

    def number_bytes(self) -> bytes:
        """Return all times and values."""
        return np.array([pair[:2] for pair in self.latest.values()], "<f8").tobytes()

    @classmethod
    def of(cls, layout: str, places: Sequence[int], ids: bytes, numbers: FloatArray) -> Exemplars:
        """Rebuild from :meth:`id_bytes` and times with values, shape (n, 2); those without an id are left out."""
        return cls(layout, _stored=(places, ids, numbers))


def timed_rows(latencies: Sequence[Any] | FloatArray, found: int) -> NDArray[np.intp] | None:
    """
    Return the rows that have a latency; None if all do.

    Parameters
    ----------
    latencies
        As they were given, by row.
    found
        How many there are.

    Examples
    --------
    >>> timed_rows([1.0, None, 3, -1.0, "x"], 2).tolist(), timed_rows([1.0], 1)
    ([0, 2], None)
    """
    return None if found == len(latencies) else np.flatnonzero(numbers_or_nan(floats_or_list(latencies)) >= 0)
