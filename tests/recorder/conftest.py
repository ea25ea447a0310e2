"""Sinks, profiles and recorders that the tests of recording share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from modelwatch.recorder import RecordedModel, Recorder, Sink
from modelwatch.records import (
    CellLayout,
    FeatureCells,
    FlushBatch,
    IntervalCounts,
    IntervalTotals,
    MinuteBlock,
    RowChunk,
)

if TYPE_CHECKING:
    from modelwatch.profile import ReferenceProfile

NOW = 1_700_000_000.0


@dataclass
class KeepingSink:
    """A sink in memory that keeps the latest of each interval, as the store does."""

    fail: BaseException | None = None
    batches: list[FlushBatch] = field(default_factory=list)

    def commit(self, batch: FlushBatch) -> None:
        if self.fail is not None:
            raise self.fail
        self.batches.append(batch)

    @property
    def totals(self) -> list[IntervalTotals]:
        latest = {(b.worker, t.model_id, t.model_version, t.start, t.part): t for b in self.batches for t in b.totals}
        return list(latest.values())

    @property
    def counts(self) -> list[IntervalCounts]:
        latest = {
            (b.worker, c.model_id, c.model_version, c.segment, c.profile_id, c.start, c.part): c
            for b in self.batches
            for c in b.counts
        }
        return list(latest.values())

    @property
    def minutes(self) -> list[MinuteBlock]:
        latest = {(b.worker, m.model_id, m.model_version, m.start, m.part): m for b in self.batches for m in b.minutes}
        return list(latest.values())

    @property
    def rows(self) -> list[RowChunk]:
        return [chunk for batch in self.batches for chunk in batch.rows]


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class FixedProfile:
    """As much of a reference profile as recording reads."""

    layout: CellLayout
    task: str | None = None

    @property
    def id(self) -> str:
        return self.layout.id

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.layout.features)


LAYOUT = CellLayout(
    (
        FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0, 40.0)),
        FeatureCells("city", "categorical", categories=("Oslo", "Rome"), known=frozenset({"Bern"})),
    ),
    FeatureCells("", "numeric", minimum=0.0, edges=(0.25, 0.5, 1.0)),
)


def fixed_profile(layout: CellLayout = LAYOUT) -> ReferenceProfile:
    return cast("ReferenceProfile", FixedProfile(layout))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sink() -> KeepingSink:
    return KeepingSink()


MakeRecorder = Callable[..., Recorder]


@pytest.fixture
def make_recorder(tmp_path: Path, clock: Clock) -> Iterator[MakeRecorder]:
    """Make recorders without a thread on one storage, with the model "m" version "1"; they are closed at the end."""
    made: list[Recorder] = []

    def make(sink: Sink | None = None, *, model: dict[str, Any] | None = None, **options: Any) -> Recorder:
        options = {"clock": clock, "start_thread": False, "storage": tmp_path, **options}
        recorder = Recorder(sink=sink, **options)
        recorder.add_model(RecordedModel(**{"model_id": "m", "model_version": "1", **(model or {})}))
        made.append(recorder)
        return recorder

    yield make
    for recorder in made:
        recorder.close()


def totals_of(recorder: Recorder, model: str = "m", version: str = "1") -> tuple[int, int, int]:
    """Return attempts, errors and sampled as a scrape would show them."""
    block = recorder.snapshot().vectors.get(("totals", model, version))
    return (0, 0, 0) if block is None else (int(block.ints[0]), int(block.ints[1]), int(block.ints[2]))


def names_of(recorder: Recorder, family: str, *labels: str) -> dict[str, int]:
    """Return the counts of a names block as a scrape would show them."""
    block = recorder.snapshot().names.get((family, *labels))
    return {} if block is None else dict(block.counts)


@pytest.fixture
def profile() -> ReferenceProfile:
    return fixed_profile()


@pytest.fixture
def see() -> SimpleNamespace:
    """What a scrape would show, by name."""
    return SimpleNamespace(totals=totals_of, names=names_of, profile=fixed_profile)
