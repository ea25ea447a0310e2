"""A reference with features of every kind, and what is compared with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

HOSTILE = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "]]>&amp;", "https://example.com/a",
)  # fmt: skip


def table(rows: int, seed: int, *, drifted: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {name: rng.normal(i, 1.0, rows) for i, name in enumerate(HOSTILE)}
    columns["fare"] = rng.gamma(2.0, 50.0, rows) * (0.62 if drifted else 1.0)
    columns["<b>carrier</b>"] = rng.choice(["UA", "<i>AA</i>", "DL", *(["new & odd"] if drifted else [])], rows)
    columns["age"] = np.where(rng.random(rows) < (0.25 if drifted else 0.02), np.nan, rng.normal(40.0, 10.0, rows))
    columns["always"] = np.full(rows, 7.0)
    columns["heavy"] = rng.pareto(0.8, rows)
    return columns


@pytest.fixture
def make_table() -> Callable[..., dict[str, Any]]:
    return table


@pytest.fixture(scope="session")
def before() -> dict[str, Any]:
    return table(6000, 0)


@pytest.fixture(scope="session")
def drifted() -> dict[str, Any]:
    return table(3000, 1, drifted=True)
