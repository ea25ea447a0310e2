"""Objects with named fields: dataclasses, pydantic models, named tuples; and which field of a result is the answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np

from modelwatch.exceptions import InputError
from modelwatch.profile.class_scores import ANSWER_NAMES

_FEATURES = frozenset({float, int, bool, str, NoneType, np.float64, np.float32, np.int64})


def record_fields(kind: type) -> list[str] | None:
    """Return the names of the fields that all objects of a type have; None if it has none.

    >>> record_fields(dataclasses.make_dataclass("Row", ["age", "city"])), record_fields(int)
    (['age', 'city'], None)
    """
    if dataclasses.is_dataclass(kind):
        return [f.name for f in dataclasses.fields(kind)]
    for attribute in ("model_fields", "_fields"):  # pydantic models, named tuples
        fields = getattr(kind, attribute, None)
        if isinstance(fields, (Mapping, tuple)):
            return list(fields)
    return None


def is_row(value: Any) -> bool:  # noqa: ANN401 - anything
    """Return whether the only element of a list is a row of features by itself, rather than a feature.

    >>> is_row({"age": 5.0}), is_row((5.0, "Oslo")), is_row(5.0), is_row("Oslo")
    (True, True, False, False)
    """
    if type(value) in _FEATURES:
        return False
    return isinstance(value, (list, tuple, np.ndarray, Mapping)) or record_fields(type(value)) is not None


def structured_answer(value: Any) -> Any:  # noqa: ANN401 - whatever a model returns
    """Return the prediction in a mapping or an object with fields; anything else, and a bare named tuple, as it is.

    It is the field with one of `ANSWER_NAMES`, else the only field that holds a number.

    Raises
    ------
    InputError
        If it has neither.

    >>> structured_answer({"label": "yes", "score": 0.7}), structured_answer({"price": 9.5, "model": "m2"})
    (0.7, 9.5)
    """
    if isinstance(value, Mapping):
        names = list(value)
        fields = {name: value[name] for name in ANSWER_NAMES if name in value} or {name: value[name] for name in names}
    else:
        found = record_fields(type(value))
        if found is None or (isinstance(value, tuple) and not set(ANSWER_NAMES) & set(found)):
            return value
        fields = {name: getattr(value, name) for name in found}
    for name in ANSWER_NAMES:
        if name in fields:
            return fields[name]
    numbers = [field for field in fields.values() if _is_number(field)]
    if len(numbers) == 1:
        return numbers[0]
    raise InputError(f"no field of the result is named {', '.join(ANSWER_NAMES)}, and {len(numbers)} are numbers")


def _is_number(value: Any) -> bool:  # noqa: ANN401 - anything
    if isinstance(value, (bool, str, bytes)) or not hasattr(type(value), "__float__"):
        return False
    try:
        return not math.isnan(float(value))
    except (TypeError, ValueError, OverflowError):  # an array of many, a number beyond float
        return False
