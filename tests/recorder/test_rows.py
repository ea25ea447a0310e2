"""Rows on their way to the store."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelwatch.recorder.rows import MAX_TEXT, RowBuffer


def test_long_texts_are_cut_before_they_wait_for_the_store() -> None:
    buffer = RowBuffer(("m", ""))
    column: list[Any] = ["x" * 20_000, "short", None, 7, b"y" * 20_000]
    buffer.add(np.zeros(5), list("abcde"), {"page": column, "name": ["n" * 2_000] * 5})
    chunk = buffer.chunk()
    assert chunk.columns["page"] == ["x" * MAX_TEXT, "short", None, 7, b"y" * MAX_TEXT]
    assert chunk.columns["name"] == ["n" * MAX_TEXT] * 5
    assert len(column[0]) == 20_000, "the caller's own list is not touched"
