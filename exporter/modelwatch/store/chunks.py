"""Chunks of rows and of ground truth as single blobs: columns side by side, checked by a CRC.

::

    blob    = "MWC1" | codec, 1 byte (0 raw, 1 zstd) | CRC-32 of all else, 4 | length of the content, 8 | content
    content = length of the header, 4 | header, JSON | buffers, one after another

All numbers are little-endian. The header says what the chunk is, and each column's name, code and buffer lengths
(:mod:`~modelwatch.store.columns`). zstd is used where Python has it (3.14) or ``zstandard`` is installed.
"""

from __future__ import annotations

import importlib
import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np

from modelwatch.exceptions import InputError, MissingPackageError, StorageError
from modelwatch.records import ActualChunk, FloatArray, RowChunk
from modelwatch.store.columns import Column, decode_column, encode_column

__all__ = ["decode", "decode_actuals", "encode", "encode_actuals"]

_MAGIC = b"MWC1"
_HEAD = struct.Struct("<4sBIQ")
_LENGTH = struct.Struct("<I")
_RAW, _ZSTD = 0, 1
_LEVEL = 1
_SMALL = 256
"""Below this many bytes compressing costs more than it saves."""

_contexts = threading.local()


def encode(chunk: RowChunk, *, compress: bool = True) -> bytes:
    """Encode sampled rows.

    Parameters
    ----------
    chunk
        Columns of equal length. Values that JSON can't hold are kept as the first 200 characters of their repr.
    compress
        Whether to use zstd where it is to be had.

    Returns
    -------
    bytes
        The blob.

    >>> chunk = RowChunk("m", "1", np.array([5.0]), ["a"], {"x": [None], "y": ["é"]})
    >>> decode(encode(chunk)).columns
    {'x': [None], 'y': ['é']}
    """
    about = {"kind": "rows", "model_id": chunk.model_id, "model_version": chunk.model_version}
    columns: list[tuple[str, Sequence[Any] | FloatArray]] = [("", chunk.times), ("", chunk.ids)]
    columns += chunk.columns.items()
    return _pack(about, len(chunk.ids), columns, compress)


def decode(data: bytes, name: str = "chunk") -> RowChunk:
    """Undo :func:`encode`.

    Parameters
    ----------
    data
        The blob.
    name
        What to call it in an error.

    Raises
    ------
    StorageError
        The blob is corrupt.
    MissingPackageError
        It is compressed, and zstd is not installed here.
    """
    about, columns = _unpack(data, name, "rows")
    named = {key: column for key, column in columns[2:]}
    return RowChunk(about["model_id"], about["model_version"], _times(columns), _ids(columns), named)


def encode_actuals(chunk: ActualChunk, *, compress: bool = True) -> bytes:
    """Encode late ground truth; like :func:`encode`."""
    columns: list[tuple[str, Sequence[Any] | FloatArray]] = [("", chunk.times), ("", chunk.ids), ("", chunk.values)]
    return _pack({"kind": "actuals", "model_id": chunk.model_id}, len(chunk.ids), columns, compress)


def decode_actuals(data: bytes, name: str = "chunk") -> ActualChunk:
    """Undo :func:`encode_actuals`; raises as :func:`decode` does."""
    about, columns = _unpack(data, name, "actuals")
    return ActualChunk(about["model_id"], _times(columns), _ids(columns), _listed(columns[2][1]))


def _times(columns: list[tuple[str, Column]]) -> FloatArray:
    return np.asarray(columns[0][1], dtype=np.float64)


def _ids(columns: list[tuple[str, Column]]) -> list[str]:
    return [str(i) for i in columns[1][1]]


def _listed(column: Column) -> list[Any]:
    return column if isinstance(column, list) else [float(value) for value in column]


def _pack(
    about: dict[str, Any], n: int, columns: Iterable[tuple[str, Sequence[Any] | FloatArray]], compress: bool
) -> bytes:
    described, buffers = [], []
    for name, values in columns:
        if len(values) != n:
            raise InputError(f"column {name!r} has {len(values)} values for {n} rows")
        description, parts = encode_column(values)
        described.append({"name": name, **description, "lengths": [len(part) for part in parts]})
        buffers += parts
    header = json.dumps({**about, "n": n, "columns": described}, separators=(",", ":")).encode()
    content = b"".join([_LENGTH.pack(len(header)), header, *buffers])
    codec = _zstd() if compress and len(content) >= _SMALL else None
    body = content if codec is None else codec.compress(content)
    kind = _RAW if codec is None else _ZSTD
    return _HEAD.pack(_MAGIC, kind, _checksum(kind, len(content), body), len(content)) + body


def _checksum(kind: int, length: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(f"{kind} {length}".encode()))


def _unpack(data: bytes, name: str, kind: str) -> tuple[dict[str, Any], list[tuple[str, Column]]]:
    try:
        content = _content(data, name)
        (length,) = _LENGTH.unpack_from(content)
        header = json.loads(content[_LENGTH.size : _LENGTH.size + length])
        if header["kind"] != kind:
            raise ValueError(f"it holds {header['kind']}, not {kind}")
        return header, list(_columns(header, content, _LENGTH.size + length))
    except (ValueError, KeyError, IndexError, TypeError, struct.error) as error:
        raise StorageError(f"{name} is corrupt: {error}") from error


def _columns(header: dict[str, Any], content: bytes, position: int) -> Iterable[tuple[str, Column]]:
    for column in header["columns"]:
        parts = []
        for length in column["lengths"]:
            parts.append(content[position : position + length])
            position += length
        yield column["name"], decode_column(column, parts, header["n"])


def _content(data: bytes, name: str) -> bytes:
    magic, kind, checksum, length = _HEAD.unpack_from(data)
    body = data[_HEAD.size :]
    if magic != _MAGIC or kind not in (_RAW, _ZSTD):
        raise ValueError("it does not begin as a chunk does")
    if _checksum(kind, length, body) != checksum:
        raise ValueError("its checksum is wrong")
    if kind == _ZSTD:
        codec = _zstd()
        if codec is None:
            raise MissingPackageError(f"{name} is compressed with zstd: pip install zstandard")
        body = codec.decompress(body)
    if len(body) != length:
        raise ValueError(f"it holds {len(body)} bytes, not {length}")
    return body


class _Zstd:
    """zstd contexts of one thread, from the standard library or from ``zstandard``."""

    def __init__(self, module: ModuleType) -> None:
        self.compress: Callable[[bytes], bytes]
        self.decompress: Callable[[bytes], bytes]
        if hasattr(module, "CompressionParameter"):  # compression.zstd
            self.compress = lambda data: module.compress(data, level=_LEVEL)
            self.decompress = module.decompress
        else:
            self.compress = module.ZstdCompressor(level=_LEVEL).compress
            self.decompress = module.ZstdDecompressor().decompress


def _find_zstd() -> ModuleType | None:
    for name in ("compression.zstd", "zstandard"):
        with suppress(ImportError):
            return importlib.import_module(name)
    return None


# Not when first needed: that is in a background thread, and a child forked meanwhile would wait for ever for the lock
# of an import that nobody finishes.
_ZSTD_MODULE = _find_zstd()


def _zstd() -> _Zstd | None:
    """Return this thread's contexts, or None where zstd is not to be had."""
    if _ZSTD_MODULE is None:
        return None
    if not hasattr(_contexts, "zstd"):
        _contexts.zstd = _Zstd(_ZSTD_MODULE)
    found: _Zstd = _contexts.zstd
    return found
