"""Prediction ids, and the sampling decision that every process makes alike."""

from __future__ import annotations

import secrets
import zlib
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from functools import lru_cache
from itertools import accumulate, chain, count
from typing import overload

import numpy as np
from numpy.typing import NDArray

_last: ContextVar[str] = ContextVar("modelwatch_last_prediction_id")
remember = _last.set
"""Store a prediction_id for :func:`last_prediction_id`; bound once, it lies on the request path."""

_RANGE = 2**32
READY_IDS = 2048
MOST_NUMBERS = 1 << 16


class IdSource:
    """
    Ids of one process: a random prefix, then a counter; of those that are made together, and then their number.

    The prefix is 48 random bits, so that two of a million processes share one with a probability below 0.2 %, and
    even then only ids of the same count collide.

    >>> source = IdSource("abc")
    >>> source.new(), source.refill(), source.ready.pop(), source.ready.pop(), source.new()
    ('abc-0', None, 'abc-1.0', 'abc-1.1', 'abc-2')
    """

    __slots__ = ("_next", "_prefix", "ready", "worker")

    def __init__(self, worker: str | None = None) -> None:
        self.worker = worker if worker is not None else secrets.token_hex(6)
        self._prefix = f"{self.worker}-"
        self._next = count().__next__
        self.ready: list[str] = []
        """Ids that were made beforehand, to be popped: that costs a fifth of making one."""

    def new(self) -> str:
        """Make an id."""
        return self._prefix + str(self._next())

    def refill(self) -> None:
        """Have some ids ready; in the background, by one thread at a time."""
        missing = READY_IDS - len(self.ready)
        if missing > READY_IDS // 2:
            # Popped last; never a new list, from which an id might be popped twice.
            self.ready[:0] = ids_after(self.new(), missing)[::-1]


def ids_after(base: str, amount: int) -> list[str]:
    """
    Return many ids, at a quarter of what they cost one by one.

    >>> ids_after("abc-7", 2)
    ['abc-7.0', 'abc-7.1']
    """
    base += "."
    if amount > MOST_NUMBERS:
        return [f"{base}{i}" for i in range(amount)]
    if amount < 1:
        return []
    numbers = _numbers(max(READY_IDS, 1 << (amount - 1).bit_length()))[:amount]
    # One text that is cut up costs an eighth less than as many sums; no number holds a line's end.
    return [base + n for n in numbers] if "\n" in base else (base + f"\n{base}".join(numbers)).split("\n")


class LazyIds(Sequence[str]):
    """Ids that are texts only where somebody asks for them: of rows that are only counted nobody asks for most."""

    __slots__ = ()

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        """Return one, or some in a list."""
        return list(self)[place] if isinstance(place, slice) else self._one(range(len(self))[place])

    @abstractmethod
    def _one(self, place: int) -> str:
        """Return one, counted from the beginning."""


class MadeIds(LazyIds):
    """
    What :func:`ids_after` returns.

    >>> ids = MadeIds("abc-7", 3)
    >>> len(ids), ids[0], ids[-1], list(ids) == ids_after("abc-7", 3)
    (3, 'abc-7.0', 'abc-7.2', True)
    """

    __slots__ = ("_base", "_size")

    def __init__(self, base: str, size: int) -> None:
        self._base, self._size = base, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        return iter(ids_after(self._base, self._size))

    def _one(self, place: int) -> str:
        return f"{self._base}.{place}"


class JoinedIds(LazyIds):
    """
    Several columns of ids as one.

    >>> ids = JoinedIds([["a", "b"], MadeIds("abc-7", 2)])
    >>> len(ids), ids[1], ids[3], ids[1:3], list(ids)
    (4, 'b', 'abc-7.1', ['b', 'abc-7.0'], ['a', 'b', 'abc-7.0', 'abc-7.1'])
    """

    __slots__ = ("_ends", "_parts")

    def __init__(self, parts: Sequence[Sequence[str]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)

    def _one(self, place: int) -> str:
        part = bisect_right(self._ends, place)
        return self._parts[part][place - self._ends[part]]


@lru_cache(maxsize=1)
def _numbers(size: int) -> tuple[str, ...]:
    return tuple(map(str, range(size)))


def sampled(prediction_id: str, rate: float) -> bool:
    """
    Decide by a hash of the id whether a prediction is sampled, so that every process and restart agrees.

    CRC32 alone is linear over the bits of the id: for ids that count up, one bit of it can follow the parity of the
    counter. The multiplications (finaliser of MurmurHash3, A. Appleby) break that.

    Parameters
    ----------
    prediction_id
        The id; any text.
    rate
        Share to sample, 0 to 1.

    >>> sampled("a-1", 1.0), sampled("a-1", 0.0)
    (True, False)
    """
    if rate >= 1.0:
        return True
    mixed = zlib.crc32(prediction_id.encode("utf-8", "backslashreplace"))
    mixed = ((mixed ^ (mixed >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) < rate * _RANGE


def mixed_hashes(crcs: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the numbers that :func:`sampled` compares with the rate, from the CRC32 of many ids.

    >>> crc = zlib.crc32(b"a-1")
    >>> bool(mixed_hashes(np.array([crc], np.uint32))[0] < 0.3 * 2**32) == sampled("a-1", 0.3)
    True
    """
    mixed: NDArray[np.uint32] = crcs.copy()
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    mixed ^= mixed >> np.uint32(16)
    return mixed


def last_prediction_id() -> str | None:
    """Return the id of the last prediction recorded in this context; None if none was."""
    return _last.get(None)
