"""Sums by minute as bytes: hours of one worker as they are flushed, later days of all workers together.

::

    blob = "M", 1 byte | number of minutes T, 2 | a code for each field, 1 each | minutes, 2 each | columns of T values

A column's code is the width of its unsigned integers in bytes (1, 2, 4), 8 for 64-bit floats, or 0: all values are 0,
and the column isn't there. All numbers are little-endian. Blobs of one shape, which most are, are read at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from modelwatch.exceptions import InputError, StorageError
from modelwatch.records import DAY_SECONDS, MINUTE_FIELDS, MINUTE_SECONDS, FloatArray, IntArray

__all__ = ["MinuteSums", "pack_minutes", "sum_minutes"]

_MARK = b"M"
_HEAD = struct.Struct(f"<cH{len(MINUTE_FIELDS)}s")
_TYPES = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<f8"}
_DENSE = 4
"""Minutes are summed over a plain range unless that is so many times as long as what is in it."""


@dataclass(frozen=True)
class MinuteSums:
    """Sums by minute over workers, parts and versions.

    Attributes
    ----------
    minutes
        Shape (T,): minutes since 1970, ascending, without repeats.
    sums
        By field of ``MINUTE_FIELDS``, those asked for: shape (T,).
    """

    minutes: IntArray
    sums: dict[str, FloatArray]


def pack_minutes(minutes: IntArray, sums: FloatArray) -> bytes:
    """Return sums of some minutes as bytes.

    Parameters
    ----------
    minutes
        Shape (T,), ascending: minutes since the block began, below 1 440.
    sums
        Shape (T, len(MINUTE_FIELDS)), finite.

    Raises
    ------
    InputError
        The shapes don't fit each other.

    >>> len(pack_minutes(np.array([0, 59]), np.ones((2, len(MINUTE_FIELDS)))))
    96
    """
    if sums.shape != (len(minutes), len(MINUTE_FIELDS)) or not len(minutes):
        raise InputError(f"sums of shape {sums.shape} do not fit {len(minutes)} minutes")
    codes = _codes(sums)
    columns = [sums[:, place].astype(_TYPES[code]).tobytes() for place, code in enumerate(codes) if code]
    return b"".join([_HEAD.pack(_MARK, len(minutes), codes), minutes.astype("<u2").tobytes(), *columns])


def _codes(sums: FloatArray) -> bytes:
    """Return the narrowest code of each column: counts are whole and not negative, sums may be anything."""
    return bytes(
        0 if low == high == 0 else 8 if name.endswith("_sum") else _width(high)
        for name, low, high in zip(MINUTE_FIELDS, sums.min(axis=0).tolist(), sums.max(axis=0).tolist(), strict=True)
    )


def _width(highest: float) -> int:
    return 1 if highest < 2**8 else 2 if highest < 2**16 else 4 if highest < 2**32 else 8


def sum_minutes(blocks: Sequence[tuple[float, bytes]], fields: Iterable[str] = MINUTE_FIELDS) -> MinuteSums:
    """Sum stored blocks by minute.

    Parameters
    ----------
    blocks
        When each began, in seconds since 1970, and its bytes; in any order.
    fields
        Which of ``MINUTE_FIELDS`` to read.

    Raises
    ------
    StorageError
        A block's bytes are not what :func:`pack_minutes` returned.

    >>> block = pack_minutes(np.array([3]), np.ones((1, len(MINUTE_FIELDS))))
    >>> found = sum_minutes([(3600.0, block), (3600.0, block)], ["attempts"])
    >>> found.minutes, found.sums
    (array([63]), {'attempts': array([2.])})
    """
    wanted = list(fields)
    shapes: dict[bytes, list[int]] = {}
    for place, (_, data) in enumerate(blocks):
        shapes.setdefault(data[: _HEAD.size], []).append(place)
    minutes: list[IntArray] = []
    parts: dict[str, list[FloatArray]] = {name: [] for name in wanted}
    for head, places in shapes.items():
        dtype = _dtype(head)
        joined = b"".join([blocks[place][1] for place in places])
        if any(len(blocks[place][1]) != dtype.itemsize for place in places):
            raise StorageError(f"sums by minute are stored in {len(joined)} bytes, which do not fit what they hold")
        table = np.frombuffer(joined, dtype)
        begins = np.array([blocks[place][0] for place in places]) // MINUTE_SECONDS
        minutes.append((table["minutes"] + begins.astype(np.int64)[:, None]).ravel())
        for name in wanted:
            there = name in (dtype.names or ())
            parts[name].append(
                table[name].astype(np.float64).ravel() if there else np.zeros(len(minutes[-1]), np.float64)
            )
    return _added(minutes, parts)


def _dtype(head: bytes) -> np.dtype[np.void]:
    try:
        mark, size, codes = _HEAD.unpack(head)
        if mark != _MARK or not 0 < size <= DAY_SECONDS // MINUTE_SECONDS:
            raise ValueError(f"it begins with {head[:3]!r}")
        columns = [(name, _TYPES[code], (size,)) for name, code in zip(MINUTE_FIELDS, codes, strict=True) if code]
        return np.dtype([("head", f"V{_HEAD.size}"), ("minutes", "<u2", (size,)), *columns])
    except (struct.error, ValueError, KeyError) as error:
        raise StorageError(f"stored sums by minute are corrupt: {error}") from error


def _added(minutes: list[IntArray], parts: dict[str, list[FloatArray]]) -> MinuteSums:
    if not minutes:
        return MinuteSums(np.zeros(0, np.int64), {name: np.zeros(0) for name in parts})
    every = np.concatenate(minutes)
    first, last = int(every.min()), int(every.max())
    if last - first < _DENSE * len(every):
        there = np.zeros(last - first + 1, bool)
        places = every - first
        there[places] = True
        axis, size = np.flatnonzero(there), len(there)
    else:
        axis, places = np.unique(every, return_inverse=True)
        first, size, there = 0, len(axis), np.ones(len(axis), bool)
    with np.errstate(over="ignore"):
        sums = {name: _bins(places, np.concatenate(some), size)[there] for name, some in parts.items()}
    return MinuteSums(axis + first, sums)


def _bins(places: IntArray, values: FloatArray, size: int) -> FloatArray:
    return np.bincount(places, values, size).astype(np.float64, copy=False)
