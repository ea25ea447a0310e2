"""One column of values as bytes and a few words about them.

=====  ===========================================  =============================================
code   holds                                        decoded as
=====  ===========================================  =============================================
``f``  floats                                       float64 array (a list, if some were None)
``i``  ints of 64 bits                              list
``b``  bools                                        list
``n``  floats, ints up to 2**53, bools, mixed       list, every value of its own type
``s``  strings that repeat                          list
``j``  all else: long strings, nested, big, mixed   list; see below for what JSON can't hold
=====  ===========================================  =============================================

None is kept by a bit mask, but in ``n``, where it is one of the types, and in ``j``.

What JSON can't hold stands in ``j`` as what a profile reads it as: decimals as floats, enum members as their category,
pandas' gaps as None. Of all else, such as dates, ``{"@type": …, "@text": …}`` is kept, so that nobody takes it for
a text; within nested values cut-off repr text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwatch.profile.values import read_category, read_number
from modelwatch.records import INVALID_TYPE, MISSING, FloatArray
from modelwatch.store.serialize import safe_repr

__all__ = ["TYPE_KEY", "decode_column", "encode_column"]

Column = list[Any] | FloatArray
Encoded = tuple[dict[str, Any], list[bytes]]

TYPE_KEY, TEXT_KEY = "@type", "@text"
_EXACT = 2**53
# Numpy's scalars and arrays are turned into these by the JSON encoder's default.
_JSON_TYPES = (str, int, float, dict, list, tuple, NoneType, np.generic, np.ndarray)
_NONE, _FLOAT, _INT, _BOOL = range(4)
_TAGS = {type(None): _NONE, float: _FLOAT, int: _INT, bool: _BOOL}
_NUMBERS = frozenset(_TAGS)
_NULL = type(None)


def encode_column(values: Sequence[Any] | NDArray[Any]) -> Encoded:
    """Encode one column.

    Parameters
    ----------
    values
        Any values; an array of floats is the fastest.

    Returns
    -------
    tuple
        What describes the column, ready for JSON, and its buffers in order.
    """
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "f" and values.dtype.itemsize <= 8 and values.ndim == 1:
            return {"t": "f"}, [values.astype("<f8", copy=False).tobytes()]
        values = list(values)
    types = set(map(type, values))
    if any(issubclass(t, np.generic) for t in types):
        values = [v.item() if issubclass(type(v), np.generic) else v for v in values]
        types = set(map(type, values))
    return _encode_typed(values, types) or _encode_json(values)


def _encode_typed(values: Sequence[Any], types: set[type]) -> Encoded | None:
    solid = types - {_NULL}
    if len(solid) == 1:
        encoder = _ENCODERS.get(next(iter(solid)))
        if encoder is None:
            return None
        if _NULL not in types:
            return encoder(values)
        present = np.fromiter((v is not None for v in values), dtype=bool, count=len(values))
        inner = encoder([v for v in values if v is not None])
        if inner is None:
            return None
        return {**inner[0], "nulls": True}, [np.packbits(present).tobytes(), *inner[1]]
    if solid and solid <= _NUMBERS:
        return _encode_numbers(values)
    return None


def _encode_floats(values: Sequence[Any]) -> Encoded:
    return {"t": "f"}, [np.array(values, dtype="<f8").tobytes()]


def _encode_ints(values: Sequence[Any]) -> Encoded | None:
    try:
        return {"t": "i"}, [np.array(values, dtype="<i8").tobytes()]
    except OverflowError:
        return None


def _encode_bools(values: Sequence[Any]) -> Encoded:
    return {"t": "b"}, [np.packbits(np.array(values, dtype=bool)).tobytes()]


def _encode_numbers(values: Sequence[Any]) -> Encoded | None:
    if any(type(v) is int and not -_EXACT <= v <= _EXACT for v in values):
        return None
    tags = np.fromiter((_TAGS[type(v)] for v in values), dtype=np.uint8, count=len(values))
    numbers = np.array([0.0 if v is None else v for v in values], dtype="<f8")
    return {"t": "n"}, [tags.tobytes(), numbers.tobytes()]


def _encode_strings(values: Sequence[Any]) -> Encoded | None:
    distinct = list(dict.fromkeys(values))
    if len(distinct) * 2 > len(values) + 2:
        return None
    place = {text: i for i, text in enumerate(distinct)}
    width = np.min_scalar_type(len(distinct)).itemsize
    codes = np.fromiter(map(place.__getitem__, values), dtype=f"<u{width}", count=len(values))
    return {"t": "s", "w": width}, [_dump(distinct), codes.tobytes()]


_ENCODERS: dict[type, Callable[[Sequence[Any]], Encoded | None]] = {
    float: _encode_floats,
    int: _encode_ints,
    bool: _encode_bools,
    str: _encode_strings,
}


def _encode_json(values: Sequence[Any]) -> Encoded:
    # By type: isinstance asks an object for its __class__, and one that raises must not keep all others from the store.
    plain = [v if issubclass(type(v), _JSON_TYPES) else _stand_in(v) for v in values]
    try:
        text = _dump(plain)
    except Exception:  # noqa: BLE001 - the recorder boundary: a dict or list of somebody's own may raise anything
        text = _dump([_jsonable(v) for v in plain])
    return {"t": "j"}, [text]


def _stand_in(value: object) -> object:
    """Return what is kept of a value that is no JSON: the same number, category or gap that a profile reads in it."""
    text, cell = read_category(value)
    if cell == MISSING:
        return None
    if issubclass(type(value), Enum) and text is not None:
        return text
    number, reason = read_number(value) if issubclass(type(value), Decimal) else (math.nan, INVALID_TYPE)
    return number if reason is None else {TYPE_KEY: type(value).__name__, TEXT_KEY: safe_repr(value)}


def _jsonable(value: object) -> object:
    try:
        _dump(value)
    except Exception:  # noqa: BLE001 - as above; also keys that JSON can't hold, a circle, a very deep nest
        return safe_repr(value)
    return value


def _dump(value: object) -> bytes:
    return json.dumps(value, default=_default, separators=(",", ":")).encode()


def _default(value: Any) -> object:  # noqa: ANN401 - what JSON does not know
    if issubclass(type(value), np.generic):
        item: object = value.item()
        return safe_repr(value) if isinstance(item, np.generic) else item
    return value.tolist() if issubclass(type(value), np.ndarray) else safe_repr(value)


def decode_column(about: dict[str, Any], buffers: list[bytes], n: int) -> Column:
    """Undo :func:`encode_column`.

    Parameters
    ----------
    about, buffers
        What :func:`encode_column` returned.
    n
        The number of values.

    Raises
    ------
    ValueError, KeyError, IndexError
        The parts do not fit together.
    """
    if not about.get("nulls"):
        return _checked(_DECODERS[about["t"]](about, buffers, n), n)
    present = _bits(buffers[0], n)
    inner = _DECODERS[about["t"]](about, buffers[1:], int(present.sum()))
    values = iter(inner.tolist() if isinstance(inner, np.ndarray) else inner)
    return _checked([next(values) if there else None for there in present.tolist()], n)


def _checked(values: Column, n: int) -> Column:
    if len(values) != n:
        raise ValueError(f"a column holds {len(values)} values, not {n}")
    return values


def _bits(buffer: bytes, n: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(buffer, dtype=np.uint8), count=n).astype(bool)


def _decode_floats(about: dict[str, Any], buffers: list[bytes], n: int) -> Column:
    return np.frombuffer(buffers[0], dtype="<f8").astype(np.float64)


def _decode_ints(about: dict[str, Any], buffers: list[bytes], n: int) -> Column:
    out: list[Any] = np.frombuffer(buffers[0], dtype="<i8").tolist()
    return out


def _decode_bools(about: dict[str, Any], buffers: list[bytes], n: int) -> Column:
    out: list[Any] = _bits(buffers[0], n).tolist()
    return out


def _decode_numbers(about: dict[str, Any], buffers: list[bytes], n: int) -> Column:
    tags = np.frombuffer(buffers[0], dtype=np.uint8).tolist()
    numbers = np.frombuffer(buffers[1], dtype="<f8").tolist()
    make: tuple[Callable[[float], Any], ...] = (lambda _: None, float, int, bool)
    return [make[tag](number) for tag, number in zip(tags, numbers, strict=True)]


def _decode_strings(about: dict[str, Any], buffers: list[bytes], n: int) -> Column:
    distinct = json.loads(buffers[0])
    codes = np.frombuffer(buffers[1], dtype=f"<u{about['w']}").tolist()
    return [distinct[code] for code in codes]


def _decode_json(about: dict[str, Any], buffers: list[bytes], n: int) -> Column:
    out: list[Any] = json.loads(buffers[0])
    return out


_DECODERS: dict[str, Callable[[dict[str, Any], list[bytes], int], Column]] = {
    "f": _decode_floats,
    "i": _decode_ints,
    "b": _decode_bools,
    "n": _decode_numbers,
    "s": _decode_strings,
    "j": _decode_json,
}
