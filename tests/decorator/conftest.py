"""What the tests of the decorator share: a recorder in memory, and a service with a model that has a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwatch import ProductionMonitoringService, ReferenceProfile
from modelwatch.decorator import Outcome


class Recorded:
    """Keeps what it is given (the real recorder has its own tests; this one shows what reaches it)."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.faults: list[str] = []

    def record_call(
        self,
        prediction: Any,
        features: Any,
        latency_ms: float,
        outcome: Outcome,
        prediction_id: Any = None,
        metadata: Any = None,
        timestamp: Any = None,
        segment: Any = None,
    ) -> None:
        self.calls.append({k: v for k, v in locals().items() if k != "self"})

    def record_batch(
        self,
        rows: int,
        predictions: Any,
        features: Any,
        latency_ms: float,
        outcome: Outcome,
        prediction_id: Any = None,
        metadata: Any = None,
        timestamp: Any = None,
        segment: Any = None,
    ) -> None:
        self.calls.append({k: v for k, v in locals().items() if k != "self"})

    def count_fault(self, reason: str) -> None:
        self.faults.append(reason)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


class Watched:
    """A service whose only model "m" has a reference, and what it counted."""

    def __init__(self, folder: Path) -> None:
        ages, cities = [float(age) for age in range(100)], ["Oslo", "Rome", "Bern", "Paris"] * 25
        scores = [n / 100 for n in range(100)]
        self.profile = ReferenceProfile.build({"age": ages, "city": cities}, predictions=scores)
        self.service = ProductionMonitoringService(storage_path=folder, background=False)
        assert self.service.register_model({"model_id": "m"})["status"] == "success"
        assert self.service.set_reference("m", self.profile)["status"] == "success"

    def counts(self) -> dict[str, Any]:
        """Return all that a scrape shows of it but for latencies, which only have their number."""
        assert self.service.flush()
        totals = self.service._parts.recorder.snapshot()
        vectors = {
            key[0]: [int(block.ints.sum())] if key[0] == "latency" else block.ints.tolist()
            for key, block in totals.vectors.items()
        }
        sums = {
            key[0]: [round(x, 9) for x in block.floats.tolist()]
            for key, block in totals.vectors.items()
            if key[0] != "latency"
        }
        return {"vectors": vectors, "sums": sums, "names": {k: dict(b.counts) for k, b in totals.names.items()}}

    def attempts(self) -> tuple[int, int, int]:
        """Return how many were attempted, failed, and were looked at."""
        attempts, errors, sampled = self.counts()["vectors"].get("totals", (0, 0, 0))
        return attempts, errors, sampled

    def faults(self) -> dict[str, int]:
        """Return the faults of our own making, by reason."""
        names: dict[tuple[str, ...], dict[str, int]] = self.counts()["names"]
        return next((found for key, found in names.items() if key[0] == "faults"), {})


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[[], Watched]]:
    made: list[Watched] = []

    def make() -> Watched:
        made.append(Watched(tmp_path / str(len(made))))
        return made[-1]

    yield make
    for watched in made:
        watched.service.close()


@pytest.fixture
def watched(watch: Callable[[], Watched]) -> Watched:
    return watch()
