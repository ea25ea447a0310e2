"""Count vectors as bytes: the narrowest unsigned integers that hold them.

Measured on 700 cells x 2 016 intervals: reading takes 10 ms against 20 to 45 ms for 64-bit integers and 40 to 60 ms for
zlib at level 1, at 1.4 kB an interval against 5.6 and 1.0 to 1.8 kB. What is narrow needs no compression.
"""

from __future__ import annotations

import numpy as np

from modelwatch.exceptions import InputError, StorageError
from modelwatch.records import FloatArray, IntArray

__all__ = ["pack_counts", "pack_floats", "unpack_counts", "unpack_floats"]


def pack_counts(counts: IntArray) -> bytes:
    r"""Return non-negative counts as little-endian integers of 1, 2, 4 or 8 bytes.

    Raises
    ------
    InputError
        A count is negative.

    >>> pack_counts(np.array([0, 255])), len(pack_counts(np.array([0, 256])))
    (b'\x00\xff', 4)
    """
    values = np.asarray(counts, dtype=np.int64)
    if values.size == 0:
        return b""
    if values.min() < 0:
        raise InputError("counts can't be negative")
    return values.astype(np.min_scalar_type(int(values.max())).newbyteorder("<")).tobytes()


def unpack_counts(blobs: list[bytes], size: int) -> FloatArray:
    """Return packed count vectors of one size as the rows of an array.

    Parameters
    ----------
    blobs
        What :func:`pack_counts` returned.
    size
        The length of every vector.

    Returns
    -------
    FloatArray
        Shape (len(blobs), size).

    Raises
    ------
    StorageError
        A blob's length is not ``size`` times 1, 2, 4 or 8.

    >>> unpack_counts([pack_counts(np.array([1, 2])), pack_counts(np.array([3, 70000]))], 2)
    array([[1.e+00, 2.e+00],
           [3.e+00, 7.e+04]])
    """
    out = np.zeros((len(blobs), size))
    if size == 0:
        return out
    lengths = np.fromiter(map(len, blobs), dtype=np.int64, count=len(blobs))
    for length in np.unique(lengths).tolist():
        width, rest = divmod(length, size)
        if rest or width not in (1, 2, 4, 8):
            raise StorageError(f"a stored count vector has {length} bytes, which does not fit {size} cells")
        places = np.flatnonzero(lengths == length)
        joined = b"".join([blobs[place] for place in places])
        out[places] = np.frombuffer(joined, dtype=f"<u{width}").reshape(-1, size)
    return out


def pack_floats(values: FloatArray | tuple[float, ...]) -> bytes:
    """Return floats as little-endian 64-bit ones."""
    return np.asarray(values, dtype="<f8").tobytes()


def unpack_floats(blob: bytes) -> FloatArray:
    """Undo :func:`pack_floats`.

    >>> unpack_floats(pack_floats((0.5, 2.0)))
    array([0.5, 2. ])
    """
    return np.frombuffer(blob, dtype="<f8").astype(np.float64)
