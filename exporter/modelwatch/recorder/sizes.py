"""About how much memory values hold that somebody hands over: looked at from outside, without asking them anything."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

import numpy as np

__all__ = ["WORD", "rough_size", "words_each"]

WORD = 8
_OBJECT = 64
"""What a Python object takes that is not looked into."""
_SAMPLE = 32
"""Members of a container that are looked at; the others are taken to be like them."""
_DEPTH = 3
_SMALL = frozenset({float, int, bool, type(None), np.float64, np.float32, np.int64})
_SMALL_OR_TEXT = _SMALL | {str}


def rough_size(value: Any, depth: int = _DEPTH) -> int:  # noqa: ANN401 - anything
    """
    Return about how many bytes `value` holds.

    Only texts, numpy's arrays, the usual containers and the attributes of plain objects are looked at, so that nobody's
    code runs; a DataFrame counts by its shape.

    >>> rough_size(np.zeros(1000)), rough_size(["x" * 1000] * 100) > 100_000, rough_size({"a": 1.0}) < 1000
    (8000, True, True)
    """
    kind = type(value)
    if kind in _SMALL:
        return _OBJECT
    if issubclass(kind, np.ndarray):  # isinstance() would ask the value itself
        return int(value.nbytes)
    if kind is str or kind is bytes or kind is bytearray:
        return _OBJECT + len(value)
    if not depth:
        return _OBJECT
    if issubclass(kind, dict):
        return 2 * _OBJECT + _members(dict.values(value), depth)
    if kind in (list, tuple, set, frozenset):
        return _OBJECT + _members(value, depth)
    if _of_pandas(kind):
        return _OBJECT + 2 * WORD * int(np.prod(value.shape))
    return _OBJECT + _attributes(value, depth)


def _members(values: Collection[Any], depth: int) -> int:
    looked_at = list(islice(values, _SAMPLE))
    kinds = set(map(type, looked_at))
    size = _OBJECT * len(looked_at)
    if not kinds <= _SMALL:  # the usual rows cost a microsecond here, not twenty
        large = [value for value in looked_at if type(value) not in _SMALL]
        size += sum(map(len, large)) if kinds <= _SMALL_OR_TEXT else sum(rough_size(v, depth - 1) for v in large)
    return size * len(values) // max(len(looked_at), 1)


def _of_pandas(kind: type) -> bool:
    try:
        return hasattr(kind, "iloc")
    except Exception:  # noqa: BLE001 - the recorder boundary: a type of a stranger's own kind may raise anything
        return False


def _attributes(value: object, depth: int) -> int:
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return 0
    return _members(held.values(), depth) if type(held) is dict else 0


def words_each(column: Sequence[Any] | np.ndarray[Any, Any]) -> int:
    """
    Return about how many words of 8 bytes one value of a column holds, 1 at least.

    >>> words_each(np.zeros(5)), words_each(["x" * 800, "y"]), words_each([])
    (1, 58, 1)
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind != "O":
            return int(max(1, -(-column.dtype.itemsize // WORD)))
        column = list(column[:_SAMPLE])
    sample = [rough_size(value) for value in column[:_SAMPLE]]
    return max(1, sum(sample) // (WORD * max(len(sample), 1)))
