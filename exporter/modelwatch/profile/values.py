"""What one Python object counts as: a number, a category, missing, or invalid for a reason.

Reference profile and production both ask here, so that the two can't disagree about a value.
"""

from __future__ import annotations

import math
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np

from modelwatch.records import INVALID_PARSE, INVALID_TOO_BIG, INVALID_TYPE, MISSING

MAX_TEXT = 200
"""Longer texts are neither categories nor numbers."""

_NAN = math.nan
# By name, because recording must not import pandas.
_MISSING_TYPES = frozenset({"NAType", "NaTType", "MaskedConstant"})
_NO_NUMBER = (bytes, bytearray, memoryview, complex, np.complexfloating, np.datetime64, np.timedelta64)
_UNWRAP_DEPTH = 4


def read_number(value: object) -> tuple[float, int | None]:
    """Return what a value of a numeric feature counts as.

    Parameters
    ----------
    value : object
        Anything. None, NaN, NaT and pandas.NA are missing; booleans are 0 and 1; texts are parsed; whatever has a
        ``__float__`` is asked for it; arrays of one element stand for that element.

    Returns
    -------
    (float, int or None)
        The number (NaN for missing, ±inf as it is) and None; or NaN and the tail cell of the reason
        (`records.INVALID_TYPE`, ``INVALID_PARSE``, ``INVALID_TOO_BIG``).

    >>> read_number("1.5"), read_number(True)
    ((1.5, None), (1.0, None))
    >>> read_number(10**400)[1] == read_number("1e400")[1] == INVALID_TOO_BIG
    True
    """
    try:
        return _number(value, 0)
    except OverflowError:
        return _NAN, INVALID_TOO_BIG
    except Exception:  # noqa: BLE001 - part of the recorder boundary: a customer's object may raise anything
        return _NAN, INVALID_TYPE


def _number(value: Any, depth: int) -> tuple[float, int | None]:  # noqa: ANN401
    if _is_missing(value):
        return _NAN, None
    if isinstance(value, str):
        return _parse(str.__str__(value))
    value = _unwrap(value, depth)
    if isinstance(value, str):
        return _parse(str.__str__(value))
    if _is_missing(value):
        return _NAN, None
    if isinstance(value, _NO_NUMBER) or not hasattr(type(value), "__float__"):
        return _NAN, INVALID_TYPE
    if isinstance(value, Decimal) and value.is_nan():
        return _NAN, None
    number = float(value)
    if math.isinf(number) and not _is_infinite(value, number):
        return _NAN, INVALID_TOO_BIG
    return number, None


def _is_infinite(value: Any, number: float) -> bool:  # noqa: ANN401
    """Tell infinity itself from a Decimal or long double that only float can't hold."""
    return bool(value == number)


def _parse(text: str) -> tuple[float, int | None]:
    # Python reads "1_000" as a number; no other system that writes numbers does.
    if len(text) > MAX_TEXT or "_" in text:
        return _NAN, INVALID_PARSE
    try:
        number = float(text)
    except ValueError:
        return _NAN, INVALID_PARSE
    if math.isinf(number) and any(character.isdigit() for character in text):
        return _NAN, INVALID_TOO_BIG
    return number, None


def read_category(value: object) -> tuple[str | None, int | None]:
    """Return what a value of a categorical feature, or a predicted class, counts as.

    Parameters
    ----------
    value : object
        Anything. Texts are themselves, booleans "True" and "False", whole numbers of any type "1" (a column with
        gaps holds 1.0 where one without holds 1), enum members what they stand for.

    Returns
    -------
    (str or None, int or None)
        The category and None; or None and the tail cell (`records.MISSING` or ``INVALID_TYPE``).

    >>> read_category("UA"), read_category(1.0), read_category(True)
    (('UA', None), ('1', None), ('True', None))
    >>> read_category(None) == (None, MISSING), read_category(["UA"]) == (None, INVALID_TYPE)
    (True, True)
    """
    if type(value) is str:
        return value, None
    try:
        return _category(value, 0)
    except Exception:  # noqa: BLE001 - part of the recorder boundary: a customer's object may raise anything
        return None, INVALID_TYPE


def _category(value: Any, depth: int) -> tuple[str | None, int | None]:  # noqa: ANN401
    if _is_missing(value):  # before it is unwrapped: under the mask of numpy.ma lies a number
        return None, MISSING
    value = _unwrap(value, depth)
    if _is_missing(value):
        return None, MISSING
    if isinstance(value, str):
        return str.__str__(value), None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)), None
    if isinstance(value, (int, np.integer)):
        return _whole(int(value)), None
    if isinstance(value, _NO_NUMBER) or not isinstance(value, (float, np.floating, Decimal)):
        return None, INVALID_TYPE
    number = float(value)
    if math.isnan(number):
        return None, MISSING
    return (_whole(int(number)) if number.is_integer() else repr(number)), None


def _whole(number: int) -> str:
    # Python refuses to spell out integers of more than some 4 300 digits; no category is one.
    return str(number) if number.bit_length() < 1024 else "∞"


def is_missing(value: object) -> bool:
    """Return whether a value is None, NaN, NaT, pandas.NA or masked.

    >>> is_missing(float("nan")), is_missing("")
    (True, False)
    """
    try:
        return _is_missing(value)
    except Exception:  # noqa: BLE001 - part of the recorder boundary: a customer's object may raise anything
        return False


def _is_missing(value: Any) -> bool:  # noqa: ANN401
    if value is None or type(value).__name__ in _MISSING_TYPES:
        return True
    if isinstance(value, (float, np.floating)):
        return bool(value != value)
    return isinstance(value, (np.datetime64, np.timedelta64)) and bool(np.isnat(value))


def _unwrap(value: Any, depth: int) -> Any:  # noqa: ANN401
    """Return the value of an enum member, and the element of an array or tensor that has only one."""
    if depth >= _UNWRAP_DEPTH:
        return value
    if isinstance(value, Enum):
        return _unwrap(value.value, depth + 1)
    if isinstance(value, np.generic) or not hasattr(type(value), "item"):
        return value
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and math.prod(shape) == 1:
        return _unwrap(value.item(), depth + 1)
    return value


def can_be_category(text: str) -> bool:
    r"""Return whether a text may stand in a vocabulary: at most 200 printable characters.

    Anything else could neither be shown nor exported, and counts as a category that is not known.

    >>> can_be_category("São Paulo"), can_be_category("a\nb"), can_be_category("x" * 201)
    (True, False, False)
    """
    return len(text) <= MAX_TEXT and text.isprintable()
