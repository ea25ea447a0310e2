from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch.records import FloatArray, FlushBatch, IntervalCounts, IntervalTotals, RowChunk
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def writer(folder: Path) -> Iterator[StoreWriter]:
    with StoreWriter(folder) as store:
        yield store


@pytest.fixture
def queries(writer: StoreWriter) -> Iterator[StoreQueries]:
    with StoreQueries(writer.folder) as reader:
        yield reader


@pytest.fixture
def counts() -> Callable[..., IntervalCounts]:
    def build(
        start: float = 0.0,
        cells: tuple[int, ...] = (1, 2, 3),
        *,
        model_id: str = "m",
        version: str = "1",
        segment: str = "",
        profile: str = "p",
        part: int = 0,
        length: float = 300.0,
        sums: tuple[float, ...] = (1.5,),
    ) -> IntervalCounts:
        values = np.array(cells, dtype=np.int64)
        return IntervalCounts(
            model_id, version, segment, profile, start, length, part, int(values.sum()), values, np.array(sums)
        )

    return build


@pytest.fixture
def totals() -> Callable[..., IntervalTotals]:
    def build(
        start: float = 0.0,
        *,
        model_id: str = "m",
        version: str = "1",
        attempts: int = 10,
        errors: int = 1,
        bounds: tuple[float, ...] = (0.1, 0.5),
        cells: tuple[int, ...] = (4, 3, 2),
        latency_sum: float = 1.8,
        part: int = 0,
        last_at: float | None = None,
    ) -> IntervalTotals:
        return IntervalTotals(
            model_id=model_id,
            model_version=version,
            start=start,
            length=60.0,
            part=part,
            attempts=attempts,
            errors=errors,
            sampled=attempts,
            latency_bounds=bounds,
            latency_cells=np.array(cells, dtype=np.int64),
            latency_sum=latency_sum,
            first_at=start,
            last_at=start + 59.0 if last_at is None else last_at,
            prediction_count=attempts - errors,
            prediction_sum=4.5,
        )

    return build


@pytest.fixture
def rows() -> Callable[..., RowChunk]:
    def build(times: list[float], *, model_id: str = "m", prefix: str = "id") -> RowChunk:
        ids = [f"{prefix}-{i}" for i in range(len(times))]
        columns: dict[str, list[Any] | FloatArray] = {
            "x": np.array(times) * 2,
            "kind": ["a" if i % 2 else "b" for i in range(len(times))],
        }
        return RowChunk(model_id, "1", np.array(times), ids, columns)

    return build


@pytest.fixture
def batch() -> Callable[..., FlushBatch]:
    def build(*parts: object, worker: str = "w0") -> FlushBatch:
        def of(kind: type) -> list[object]:
            return [p for p in parts if isinstance(p, kind)]

        return FlushBatch(worker, totals=of(IntervalTotals), counts=of(IntervalCounts), rows=of(RowChunk))  # type: ignore[arg-type]

    return build
