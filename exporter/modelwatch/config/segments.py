"""Which keys of the metadata divide a model's predictions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from modelwatch.config.base import name_validator
from modelwatch.config.problems import mistake
from modelwatch.config.values import show

__all__ = ["SegmentKeys"]

MAX_KEYS = 5
"""More keys have more combinations than anybody could look at."""


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _few_and_different(keys: tuple[str, ...]) -> tuple[str, ...]:
    if len(keys) > MAX_KEYS:
        raise mistake(f"must be at most {MAX_KEYS} metadata keys, got {len(keys)}")
    if (twice := next((key for key in keys if keys.count(key) > 1), None)) is not None:
        raise mistake(f"must name each metadata key once, got {show(twice)} twice")
    return keys


SegmentKeys = Annotated[
    tuple[Annotated[str, name_validator("a metadata key")], ...],
    BeforeValidator(_one_or_more),
    AfterValidator(_few_and_different),
]
