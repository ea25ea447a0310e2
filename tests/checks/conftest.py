"""A stream of rows, counted by interval as the store would, and checked on a timetable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest

from modelwatch import checks
from modelwatch.config import ModelMonitoringConfig
from modelwatch.profile import BinnedBatch, CellAssigner, ReferenceProfile
from modelwatch.records import CheckResult, RowChunk
from modelwatch.store.values import CountSeries

START = 1_790_000_000.0


def flights(rng: np.random.Generator, n: int, *, km: float = 1.0, unseen: float = 0.0) -> dict[str, Any]:
    """Rows such as the demo's: a distance, a carrier, an hour, a month."""
    carrier = rng.choice(np.array(["UA", "AA", "DL", "B6"], dtype=object), n, p=[0.4, 0.3, 0.2, 0.1])
    carrier[rng.random(n) < unseen] = "ZZ"
    return {
        "distance": np.minimum(rng.lognormal(6.7, 0.6, n), 4983.0) * km,
        "carrier": carrier,
        "hour": rng.integers(5, 24, n).astype(float),
        "delay": rng.normal(5.0, 20.0, n),
    }


class Stream:
    """Stands in for StoreQueries; :meth:`run` records rows and checks them as time goes by."""

    def __init__(self, profile: ReferenceProfile, config: ModelMonitoringConfig) -> None:
        self.profile, self.config = profile, config
        self.interval = config.drift.count_interval_seconds
        self.now = START
        self.state: dict[str, Any] = {}
        self.results: list[CheckResult] = []
        self._rng = np.random.default_rng(4)
        self._assigner = CellAssigner(profile.layout)
        self._batches: list[tuple[float, BinnedBatch]] = []
        self._rows: list[RowChunk] = []
        self._next_check = START + config.interval_seconds

    def run(self, seconds: float, rate: float, *, shift: float = 0.0, **faults: float) -> list[CheckResult]:
        """Go on for some seconds, with so many rows a second; return the checks made on the way."""
        before, end = len(self.results), self.now + seconds
        while self.now < end - 1e-9:
            n = round(rate * self.interval)
            if n:
                score = np.clip(self._rng.beta(2, 5, n) + shift, 0, 1)
                self.record(flights(self._rng, n, **faults), n, score)
            self.now += self.interval
            while self._next_check <= self.now:
                self.check(self._next_check)
                self._next_check += self.config.interval_seconds
        return self.results[before:]

    def record(self, rows: dict[str, Any], n: int, score: Any = None) -> None:
        """Record rows now."""
        self._batches.append((self.now, self._assigner.bin(rows, n, score)))
        self._rows.append(RowChunk("flights", "v1", np.full(n, self.now), [""] * n, rows))

    def check(self, now: float) -> CheckResult:
        result, state = checks.scheduled_check(
            cast(Any, self), self.config, "v1", self.profile, self.state, now, started_at=START
        )
        self.state = json.loads(json.dumps(state))
        self.results.append(result)
        return result

    def subjects(self, model_id: str, since: float) -> list[tuple[str, str, float, float]]:
        starts = [at for at, _ in self._batches if at + self.interval > since]
        return [("v1", self.profile.id, starts[0], starts[-1])] if starts else []

    def row_sample(self, model_id: str, model_version: str, start: float, end: float, most: int) -> Iterator[RowChunk]:
        return (chunk for chunk in self._rows if start <= chunk.times[0] < end)

    def interval_counts(
        self, model_id: str, profile_id: str, start: float, end: float, model_version: str, *, size: int
    ) -> CountSeries:
        kept = [(at, batch) for at, batch in self._batches if at + self.interval > start and at < end]
        starts = np.array([at for at, _ in kept], dtype=np.float64)
        if not kept:
            return CountSeries(starts, starts, starts, np.zeros((0, size)), np.zeros((0, 0)))
        return CountSeries(
            starts,
            np.full(len(kept), self.interval),
            np.array([float(batch.rows) for _, batch in kept]),
            np.stack([batch.cells.astype(np.float64) for _, batch in kept]),
            np.stack([batch.sums for _, batch in kept]),
        )


@pytest.fixture(scope="session")
def profile() -> ReferenceProfile:
    rng = np.random.default_rng(1)
    return ReferenceProfile.build(flights(rng, 20_000), predictions=rng.beta(2, 5, 20_000))


@pytest.fixture
def config() -> ModelMonitoringConfig:
    return demo_config()


def demo_config(**drift: Any) -> ModelMonitoringConfig:
    return ModelMonitoringConfig.model_validate(
        {"model_id": "flights", "drift_detection_interval": "4s", "drift": {"windows": ["10s", "30s"], **drift}}
    )


@pytest.fixture
def stream(profile: ReferenceProfile, config: ModelMonitoringConfig) -> Stream:
    return Stream(profile, config)


@pytest.fixture
def make_stream(profile: ReferenceProfile) -> Callable[..., Stream]:
    return lambda config: Stream(profile, ModelMonitoringConfig.model_validate(config))


@pytest.fixture
def make_rows() -> Callable[..., dict[str, Any]]:
    rng = np.random.default_rng(9)
    return lambda n, **faults: flights(rng, n, **faults)
