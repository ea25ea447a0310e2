"""The same check over counts that a real store holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import checks
from modelwatch.config import ModelMonitoringConfig
from modelwatch.policy import Severity
from modelwatch.profile import CellAssigner, ReferenceProfile
from modelwatch.records import FlushBatch, IntervalCounts, RowChunk
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries

START = 1_790_000_000.0


def test_counts_of_two_workers_add_up_to_an_alarm(
    tmp_path: Path, profile: ReferenceProfile, config: ModelMonitoringConfig, make_rows: Callable[..., dict[str, Any]]
) -> None:
    assigner = CellAssigner(profile.layout)
    with StoreWriter(tmp_path / "store") as writer:
        for worker in ("w1", "w2"):
            recorded = []
            for i in range(20):
                batch = assigner.bin(make_rows(400, unseen=0.2 if i >= 14 else 0.0), 400, np.full(400, 0.3))
                recorded.append(
                    IntervalCounts(
                        "flights", "v1", "", profile.id, START + 2.5 * i, 2.5, 0, 400, batch.cells, batch.sums
                    )
                )
            writer.commit(FlushBatch(worker, counts=recorded))
        with StoreQueries(writer.folder) as queries:
            result, state = checks.scheduled_check(
                queries, config, "v1", profile, {}, START + 50.0, started_at=START
            )  # fmt: skip
            other, _ = checks.scheduled_check(queries, config, "v2", profile, {}, START + 50.0, started_at=START)
    assert result.windows == {"10s": 3200.0, "30s": 9600.0}
    data = result.families["data"]
    assert data.severity == Severity.WARNING
    assert [name for name, severity in data.feature_severity.items() if severity >= Severity.WARNING] == ["carrier"]
    assert data.shifts[0].novel_ratio == pytest.approx(0.2, abs=0.02)
    assert result.families["prediction"].severity == Severity.WARNING
    assert result.prediction_mean is not None
    np.testing.assert_allclose(result.prediction_mean, (2 / 7, 0.3), atol=0.01)
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert other.windows == {"10s": 0.0, "30s": 0.0}
    assert other.families["data"].state == "insufficient_data"


@pytest.mark.parametrize("entity", [None, "user"])
def test_rows_of_a_store_that_repeat_users_are_worth_the_users(
    tmp_path: Path,
    profile: ReferenceProfile,
    config: ModelMonitoringConfig,
    make_rows: Callable[..., dict[str, Any]],
    entity: str | None,
) -> None:
    config = config.model_copy(update={"drift": config.drift.model_copy(update={"entity": entity})})
    assigner = CellAssigner(profile.layout)
    with StoreWriter(tmp_path / "store") as writer:
        for i in range(20):
            at = START + 2.5 * i
            rows = {name: np.repeat(values, 5) for name, values in make_rows(12).items()}
            batch = assigner.bin(rows, 60, np.repeat(np.random.default_rng(i).beta(2, 5, 12), 5))
            counts = IntervalCounts("flights", "v1", "", profile.id, at, 2.5, 0, 60, batch.cells, batch.sums)
            users = {"@metadata": [{"user": f"{i}-{row // 5}"} for row in range(60)]}
            stored = RowChunk("flights", "v1", np.full(60, at), [""] * 60, {**rows, **users})
            writer.commit(FlushBatch("w", counts=[counts], rows=[stored]))
        with StoreQueries(writer.folder) as queries:
            result, _ = checks.scheduled_check(queries, config, "v1", profile, {}, START + 50.0, started_at=START)
    data = result.families["data"]
    assert data.reason == ""
    assert (data.severity >= Severity.WARNING) == (entity is None)
