"""Rows of a window, from a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch.records import FlushBatch, RowChunk
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries
from modelwatch.windows.rows import WindowRows, window_rows

START = 1_790_000_000.0


class Store:
    """A store with rows of one second each; feature n is the number of the row."""

    def __init__(self, writer: StoreWriter) -> None:
        self.writer = writer
        self.rows = 0

    def record(self, chunks: int, rows: int, version: str = "1", **more: list[Any]) -> None:
        """Record some chunks of so many rows, one row a second."""
        recorded = []
        for _ in range(chunks):
            n = np.arange(self.rows, self.rows + rows, dtype=np.float64)
            self.rows += rows
            recorded.append(RowChunk("m", version, START + n, [""] * rows, {"n": n, **more}))
        self.writer.commit(FlushBatch("w", rows=recorded))

    def read(
        self, *features: str, since: float = 0.0, until: float = 1e9, version: str = "1", **how: Any
    ) -> WindowRows:
        with StoreQueries(self.writer.folder) as queries:
            return window_rows(queries, "m", version, features or ("n",), START + since, START + until, **how)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with StoreWriter(tmp_path / "store") as writer:
        yield Store(writer)


def test_rows_are_those_of_the_version_and_of_the_time(store: Store) -> None:
    store.record(3, 10)
    store.record(1, 10, version="2")
    found = store.read(since=5.0, until=25.0)
    assert found.rows == 20
    assert found.columns["n"].tolist() == list(range(5, 25))  # type: ignore[union-attr]
    assert (found.times - START).tolist() == list(range(5, 25))
    assert store.read(version="2").rows == 10
    assert store.read(version="3").rows == 0
    assert store.read(since=100.0).rows == 0


def test_a_column_that_some_chunks_lack_is_missing_there(store: Store) -> None:
    store.record(1, 2, town=["Rome", None])
    store.record(1, 2)
    store.record(1, 2, town=[1.0, "Oslo"])
    found = store.read("n", "town", "nobody")
    assert found.columns["town"] == ["Rome", None, None, None, 1.0, "Oslo"]
    assert set(found.columns) == {"n", "town"}


def test_of_many_rows_a_part_is_read_that_is_spread_over_the_window(store: Store) -> None:
    store.record(300, 20, town=["Rome"] * 20)
    found = store.read("n", "town", most=500)
    n = np.asarray(found.columns["n"])
    assert found.rows == len(n) == len(found.columns["town"]) == 500
    assert np.histogram(n, 4, (0, 6000))[0] == pytest.approx([125] * 4, abs=15)


def test_of_few_large_chunks_none_is_passed_over(store: Store) -> None:
    store.record(3, 1000)
    n = np.asarray(store.read(most=300).columns["n"])
    assert np.histogram(n, 3, (0, 3000))[0] == pytest.approx([100] * 3, abs=2)


def test_of_very_many_small_chunks_not_all_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelwatch.store.queries._MANY_CHUNKS", 100)
    store.record(250, 1)
    assert store.read().columns["n"].tolist() == list(range(0, 250, 3))  # type: ignore[union-attr]
