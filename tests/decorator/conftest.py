"""A recorder in memory that the tests of the wrapper share."""

from __future__ import annotations

from typing import Any

import pytest

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
