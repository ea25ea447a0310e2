"""Prediction ids, and the sampling decision that every process makes alike."""

from __future__ import annotations

import secrets
import zlib
from contextvars import ContextVar
from itertools import count

import numpy as np
from numpy.typing import NDArray

_last: ContextVar[str] = ContextVar("modelwatch_last_prediction_id")
remember = _last.set
"""Store a prediction_id for :func:`last_prediction_id`; bound once, it lies on the request path."""

_RANGE = 2**32


class IdSource:
    """
    Ids of one process: a random prefix, then a counter.

    The prefix is 48 random bits, so that two of a million processes share one with a probability below 0.2 %, and
    even then only ids of the same count collide.

    >>> source = IdSource("abc")
    >>> source.prefix + str(source.next())
    'abc-0'
    """

    __slots__ = ("next", "prefix", "worker")

    def __init__(self, worker: str | None = None) -> None:
        self.worker = worker if worker is not None else secrets.token_hex(6)
        self.prefix = f"{self.worker}-"
        self.next = count().__next__


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
