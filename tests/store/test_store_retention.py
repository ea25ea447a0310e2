"""What is old goes, in steps, and its room is given back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from modelwatch.exceptions import InputError
from modelwatch.policy import Severity
from modelwatch.records import (
    MINUTE_FIELDS,
    ActualChunk,
    Alert,
    FlushBatch,
    IntervalCounts,
    IntervalTotals,
    MetricPoint,
    MinuteBlock,
    RowChunk,
)
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries
from modelwatch.store.retention import KINDS

OLD, NEW, CUTOFF = 60.0, 1e6, 1e5


def _execute(sql: str, values: tuple[object, ...], connection: sqlite3.Connection) -> int:
    return connection.execute(sql, values).rowcount


@pytest.fixture
def filled(
    writer: StoreWriter,
    counts: Callable[..., IntervalCounts],
    totals: Callable[..., IntervalTotals],
    rows: Callable[..., RowChunk],
) -> StoreWriter:
    for model_id in ("m", "other"):
        for at, stamp in ((OLD, "1970-01-01T00:01:00Z"), (NEW, "2024-01-01T00:00:00Z")):
            batch = FlushBatch(
                "w",
                totals=[totals(at, model_id=model_id)],
                counts=[counts(at, model_id=model_id)],
                rows=[rows([at, at + 1], model_id=model_id)],
                actuals=[ActualChunk(model_id, np.array([at, at]), ["a", "b"], [0, 1])],
                metrics=[MetricPoint(model_id, "1", "auc", at, 0.5)],
            )
            writer.commit(batch)
            for begin in (at // 3600 * 3600, at // 3600 * 3600 + 3600):
                sums = np.ones((1, len(MINUTE_FIELDS)))
                block = MinuteBlock(model_id, "1", begin, 0, np.array([1]), sums)
                writer.commit(FlushBatch("w", minutes=[block]))
            day = writer._database.run(lambda c: c.execute("SELECT data FROM minute_hours LIMIT 1").fetchone()[0])
            for sql in (
                "INSERT INTO minute_days (model_id, model_version, start, data) VALUES (?, '1', ?, ?)",
                'INSERT INTO learning_chunks (model_id, model_version, first_at, last_at, "rows", data)'
                " VALUES (?, '1', 0, ?, 2, ?)",
            ):
                values = (model_id, at // 86400 * 86400, day)
                writer._database.run(partial(_execute, sql, values))
            writer.save_result(model_id, "1", at, True, 0.1, None, {})
            alert = Alert("a" + stamp + model_id, stamp, "info", "t", "", {}, model_id, "firing", "f", stamp)
            writer.save_alert(alert, {})
    return writer


ROWS = {"rows": 2, "actuals": 2, "learning_rows": 2, "minute_hours": 2}


@pytest.mark.parametrize(("kind", "gone"), [(kind, ROWS.get(kind, 1)) for kind in KINDS])
def test_only_what_is_old_and_of_that_model_and_kind_goes(filled: StoreWriter, kind: str, gone: int) -> None:
    def entries() -> dict[str, int]:
        return filled._database.run(
            lambda c: {k: c.execute(f"SELECT count(*) FROM {about.table}").fetchone()[0] for k, about in KINDS.items()}
        )

    before = entries()
    assert filled.delete_before("m", kind, CUTOFF)[0] == gone
    assert filled.delete_before("m", kind, CUTOFF) == (0, 0)
    assert entries() == before | {kind: before[kind] - (2 if kind == "minute_hours" else 1)}


def test_an_hour_or_a_day_of_minutes_stays_until_all_of_it_is_old(filled: StoreWriter) -> None:
    assert filled.delete_before("m", "minute_hours", 7199.0)[0] == 1
    assert filled.delete_before("m", "minute_hours", 7201.0)[0] == 1
    assert filled.delete_before("m", "minute_days", 86399.0) == (0, 0)
    assert filled.delete_before("m", "minute_days", 86401.0)[0] == 1


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_oldest_of_all_models_go_first_and_no_more_than_needed(filled: StoreWriter, kind: str) -> None:
    both = ["m", "other"]
    first = filled.evict_oldest(kind, 1, both)
    assert len(first) == 1
    rest = filled.evict_oldest(kind, 10**9, both, CUTOFF)
    assert set(first) | set(rest) == set(both)
    assert filled.evict_oldest(kind, 10**9, both, CUTOFF) == {}
    assert filled.evict_oldest(kind, 10**9, ["nobody"]) == {}
    assert set(filled.evict_oldest(kind, 10**9, both)) == set(both)
    assert filled.evict_oldest(kind, 10**9, both) == {}


def test_a_step_of_eviction_is_bounded_and_still_takes_the_oldest_first(
    writer: StoreWriter, rows: Callable[..., RowChunk]
) -> None:
    for at in range(40):
        writer.commit(FlushBatch("w", rows=[rows([float(at)], model_id="old" if at < 30 else "new")]))

    def left() -> list[float]:
        return writer._database.run(lambda c: [r[0] for r in c.execute("SELECT last_at FROM row_chunks ORDER BY 1")])

    for taken in (7, 14, 21):
        writer.evict_oldest("rows", 10**9, ["new", "old"], limit=7)
        assert left() == [float(at) for at in range(taken, 40)]


def test_old_rows_go_in_bounded_steps_and_the_file_shrinks(
    writer: StoreWriter, queries: StoreQueries, rows: Callable[..., RowChunk]
) -> None:
    noise = np.random.default_rng(0).random(20_000)
    for at in range(40):
        chunk = RowChunk("m", "1", np.full(20_000, float(at)), ["i"] * 20_000, {"x": noise})
        writer.commit(FlushBatch("w", rows=[chunk]))
    writer.commit(FlushBatch("w", rows=[rows([100.0])]))
    writer._database.close_idle()
    full = writer.size_bytes()
    steps = [writer.delete_before("m", "rows", 99.0, limit=16) for _ in range(4)]
    assert [gone for gone, _ in steps] == [16 * 20_000, 16 * 20_000, 8 * 20_000, 0]
    assert sum(freed for _, freed in steps) > 0.9 * full
    assert writer.size_bytes() < 0.1 * full
    assert [c.times.tolist() for c in queries.row_chunks("m", 0, 999)] == [[100.0]]
    assert queries.delete_before("m", "rows", 999.0)[0] == 1
    assert queries.integrity() == "ok"


def test_an_unknown_kind_is_refused(writer: StoreWriter) -> None:
    with pytest.raises(InputError, match=r"kind 'row' is not one of rows, .*did you mean 'rows'"):
        writer.delete_before("m", "row", 0.0)


def test_severity_survives_in_the_history(filled: StoreWriter, queries: StoreQueries) -> None:
    assert {r.severity for r in queries.drift_history("m")} == {Severity.NONE}
