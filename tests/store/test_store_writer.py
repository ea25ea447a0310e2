"""Recording into the store and reading it back."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modelwatch.exceptions import InputError, StorageError
from modelwatch.records import ActualChunk, FlushBatch, IntervalCounts, IntervalTotals, MetricPoint, RowChunk
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries

Counts = Callable[..., IntervalCounts]
Totals = Callable[..., IntervalTotals]
Rows = Callable[..., RowChunk]
Batch = Callable[..., FlushBatch]

HOSTILE = [
    "quote ' double \" back \\ slash",
    "'; DROP TABLE models; --",
    "{{ $value }} {braces} %s ?1 :name",
    "🦄 emoji ünïcode ‮",
    "../../etc/passwd",
    "a" * 200,
    "%00 _ * [x]",
]


def test_counts_written_again_replace_those_before(
    writer: StoreWriter, queries: StoreQueries, counts: Counts, batch: Batch
) -> None:
    writer.commit(batch(counts(0.0, (1, 1, 1))))
    writer.commit(batch(counts(0.0, (2, 0, 5), sums=(7.0,))))
    series = queries.interval_counts("m", "p", 0, 300)
    assert (series.cells.tolist(), series.rows.tolist(), series.sums.tolist()) == ([[2, 0, 5]], [7], [[7]])


def test_counts_add_over_workers_parts_and_versions(
    writer: StoreWriter, queries: StoreQueries, counts: Counts, batch: Batch
) -> None:
    for worker in ("w0", "w1"):
        writer.commit(batch(counts(300.0), counts(300.0, part=1), counts(0.0), worker=worker))
    writer.commit(batch(counts(300.0, (0, 0, 70000), version="2")))
    series = queries.interval_counts("m", "p", 0, 600)
    assert series.starts.tolist() == [0, 300]
    assert series.cells.tolist() == [[2, 4, 6], [4, 8, 70012]]
    assert queries.interval_counts("m", "p", 0, 600, model_version="2").cells.tolist() == [[0, 0, 70000]]


def test_counts_of_other_profiles_and_models_stay_apart_and_segments_add_up(
    writer: StoreWriter, queries: StoreQueries, counts: Counts, batch: Batch
) -> None:
    others = [counts(profile="q"), counts(segment="eu"), counts(model_id="n")]
    writer.commit(batch(counts(), *others))
    assert queries.interval_counts("m", "p", 0, 300).rows.tolist() == [12]
    assert queries.interval_counts("m", "p", 0, 300, segment="").rows.tolist() == [6]
    assert queries.interval_counts("m", "p", 0, 300, segment="eu").rows.tolist() == [6]


@pytest.mark.parametrize(
    ("start", "end", "starts"),
    [(0, 900, [0, 300, 600]), (299, 600, [0, 300]), (300, 301, [300]), (450, 450.5, [300]), (900, 999, [])],
)
def test_intervals_that_overlap_the_time_are_read_whole(
    writer: StoreWriter,
    queries: StoreQueries,
    counts: Counts,
    batch: Batch,
    start: float,
    end: float,
    starts: list[int],
) -> None:
    writer.commit(batch(counts(0.0), counts(300.0), counts(600.0)))
    assert queries.interval_counts("m", "p", start, end).starts.tolist() == starts


def test_counts_of_another_layout_are_left_out_and_reported(
    writer: StoreWriter, queries: StoreQueries, counts: Counts, batch: Batch
) -> None:
    writer.commit(batch(counts(0.0), counts(300.0), counts(600.0, (1, 2))))
    series = queries.interval_counts("m", "p", 0, 900)
    assert (series.starts.tolist(), series.ignored) == ([0, 300], 1)
    given = queries.interval_counts("m", "p", 0, 900, size=2)
    assert (given.starts.tolist(), given.ignored) == ([600], 2)
    assert queries.interval_counts("m", "p", 0, 900, size=9).cells.shape == (0, 9)


def test_subjects_are_the_versions_and_profiles_counted_lately(
    writer: StoreWriter, queries: StoreQueries, counts: Counts, batch: Batch
) -> None:
    writer.commit(batch(counts(0.0), counts(300.0), counts(600.0, version="2", profile="q"), counts(model_id="n")))
    assert queries.subjects("m", 0) == [("1", "p", 0.0, 300.0), ("2", "q", 600.0, 600.0)]
    assert queries.subjects("m", 500) == [("1", "p", 300.0, 300.0), ("2", "q", 600.0, 600.0)]
    assert queries.subjects("m", 600) == [("2", "q", 600.0, 600.0)]


def test_totals_add_and_become_metrics(
    writer: StoreWriter, queries: StoreQueries, totals: Totals, batch: Batch
) -> None:
    writer.commit(batch(totals(0.0), totals(0.0, part=1), totals(60.0, attempts=0, errors=0, cells=(0, 0, 0))))
    series = queries.totals("m", 0, 120)
    assert series.attempts.tolist() == [20, 0]
    assert series.latency_cells.tolist() == [[8, 6, 4], [0, 0, 0]]
    assert series.metrics() == {
        "predictions": [(0.0, 20.0, 20)],
        "error_rate": [(0.0, 0.1, 20)],
        "latency_ms": [(0.0, 200.0, 18)],
        "prediction_mean": [(0.0, 0.5, 18)],
    }
    assert queries.totals("m", 500, 600).latency_cells.shape == (0, 1)


def test_latency_of_workers_with_different_bounds_is_kept_by_the_common_ones(
    writer: StoreWriter, queries: StoreQueries, totals: Totals, batch: Batch
) -> None:
    writer.commit(batch(totals(0.0), totals(0.0, bounds=(0.1, 0.2, 0.5), cells=(1, 2, 3, 4), part=1)))
    series = queries.totals("m", 0, 60)
    assert series.latency_bounds == (0.1, 0.5)
    assert series.latency_cells.tolist() == [[5, 8, 6]]


def test_the_cell_above_all_latency_bounds_may_be_left_out(
    writer: StoreWriter, queries: StoreQueries, totals: Totals, batch: Batch
) -> None:
    writer.commit(batch(totals(cells=(4, 3))))
    assert queries.totals("m", 0, 60).latency_cells.tolist() == [[4, 3, 0]]
    with pytest.raises(InputError, match="1 latency cells do not fit 2 bounds"):
        writer.commit(batch(totals(cells=(4,))))


def test_rows_come_back_within_the_time_asked_for(
    writer: StoreWriter, queries: StoreQueries, rows: Rows, batch: Batch
) -> None:
    for second in range(100):  # several pages, many with the same last time
        writer.commit(batch(rows([second // 10, 50.0], prefix=f"c{second}")))
    writer.commit(batch(rows([], prefix="none"), rows([60.0], model_id="n")))
    found = list(queries.row_chunks("m", 0, 99))
    assert [c.ids[0] for c in found] == [f"c{i}-0" for i in range(100)]
    late = list(queries.row_chunks("m", 9, 50))
    assert [(c.ids, c.times.tolist(), c.columns["kind"]) for c in late] == [
        ([f"c{i}-0"], [9.0], ["b"]) for i in range(90, 100)
    ]
    assert list(queries.row_chunks("m", 51, 99)) == []


def test_ground_truth_comes_back(writer: StoreWriter, queries: StoreQueries) -> None:
    writer.commit(FlushBatch("w", actuals=[ActualChunk("m", np.array([1.0, 2.0]), ["a", "b"], [1, "late"])]))
    (whole,) = queries.actual_chunks("m", 0, 9)
    (part,) = queries.actual_chunks("m", 2, 9)
    assert (whole.ids, whole.values, part.ids, part.values) == (["a", "b"], [1, "late"], ["b"], ["late"])


def test_a_corrupt_chunk_is_named(writer: StoreWriter, queries: StoreQueries, rows: Rows, batch: Batch) -> None:
    writer.commit(batch(rows([1.0])))
    writer._database.run(lambda c: c.execute("UPDATE row_chunks SET data = substr(data, 1, 30)"))
    with pytest.raises(StorageError, match=r"row chunk 1 of model 'm' in .* is corrupt: its checksum"):
        list(queries.row_chunks("m", 0, 9))


def test_metric_points_come_back_in_order(writer: StoreWriter, queries: StoreQueries) -> None:
    points = [
        MetricPoint("m", "1", "auc", 2.0, math.nan),
        MetricPoint("m", "1", "auc", 1.0, 0.5, {"by": "nightly", "bad": math.inf}),
        MetricPoint("m", "1", "rmse", 3.0, -math.inf),
    ]
    writer.commit(FlushBatch("w", metrics=points))
    auc = queries.metric_points("m", "auc")
    assert (auc[0], math.isnan(auc[1].value)) == (
        MetricPoint("m", "1", "auc", 1.0, 0.5, {"by": "nightly", "bad": None}),
        True,
    )
    assert [p.metric for p in queries.metric_points("m", start=2.0, end=4.0)] == ["auc", "rmse"]
    assert queries.metric_points("m", "rmse")[0].value == -math.inf


def test_registering_again_updates_and_loses_nothing(writer: StoreWriter, totals: Totals, batch: Batch) -> None:
    writer.register_model("m", "1", {"a": 1}, now=10.0)
    writer.commit(batch(totals(0.0)))
    writer.commit(batch(totals(0.0, attempts=0, errors=0, last_at=999.0), totals(0.0, part=1, last_at=20.0)))
    writer.register_model("m", "1", {"a": 2}, now=30.0)
    writer.register_model("m", "2", {}, now=40.0)
    first, second = writer.models()
    assert (first.config, first.registered_at, first.last_prediction_at) == ({"a": 2}, 10.0, 59.0)
    assert (second.model_version, second.last_prediction_at) == ("2", None)


@pytest.mark.parametrize("model_id", HOSTILE)
def test_any_printable_model_id_goes_through(
    writer: StoreWriter,
    queries: StoreQueries,
    counts: Counts,
    totals: Totals,
    rows: Rows,
    batch: Batch,
    model_id: str,
) -> None:
    writer.register_model("innocent", "1", {}, now=1.0)
    writer.register_model(model_id, model_id, {"model_id": model_id}, now=2.0)
    writer.commit(batch(counts(model_id=model_id), totals(model_id=model_id), rows([1.0], model_id=model_id)))
    assert writer.models()[1].model_id == model_id
    assert writer.models()[1].config == {"model_id": model_id}
    assert queries.interval_counts(model_id, "p", 0, 300).rows.tolist() == [6]
    assert [c.model_id for c in queries.row_chunks(model_id, 0, 9)] == [model_id]
    assert queries.totals(model_id, 0, 60).attempts.tolist() == [10]
    assert writer.acquire_lease(model_id, model_id, 10, 0)
    assert writer.delete_before(model_id, "rows", 9.0)[0] == 1
    assert len(writer.models()) == 2


def test_profiles_are_files_written_whole(writer: StoreWriter) -> None:
    path = writer.save_profile("ab12", "{}")
    writer.save_profile("ab12", '{"ü": 1}')
    assert writer.load_profile("ab12") == '{"ü": 1}'
    assert writer.load_profile("none") is None
    assert [p.name for p in path.parent.iterdir()] == ["ab12.json"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


@pytest.mark.parametrize("profile_id", ["", "../x", "a/b", "a\0b", "x" * 200])
def test_profile_ids_that_are_no_file_names_are_refused(writer: StoreWriter, profile_id: str) -> None:
    with pytest.raises(InputError, match="profile id"):
        writer.save_profile(profile_id, "{}")
    with pytest.raises(InputError, match="profile id"):
        writer.load_profile(profile_id)


@pytest.mark.parametrize("name", ["with space", "per%20cent", "what?mode=rw", "hash#tag", "ünï", "a&b=c;d"])
def test_any_folder_name_will_do(tmp_path: Path, totals: Totals, batch: Batch, name: str) -> None:
    with StoreWriter(tmp_path / name) as writer, StoreQueries(tmp_path / name) as queries:
        writer.commit(batch(totals()))
        assert queries.totals("m", 0, 60).attempts.tolist() == [10]
        assert queries.integrity() == "ok"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_was_written_can_be_read_after_the_writer_closed(folder: Path, totals: Totals, batch: Batch) -> None:
    with StoreWriter(folder) as writer:
        writer.commit(batch(totals()))
    with StoreQueries(folder) as queries:
        assert queries.totals("m", 0, 60).attempts.tolist() == [10]


def test_nobody_else_may_look(folder: Path, totals: Totals, batch: Batch) -> None:
    before = os.umask(0)
    try:
        with StoreWriter(folder) as writer:
            writer.commit(batch(totals()))
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [folder, *folder.iterdir()]}
    finally:
        os.umask(before)
    assert set(modes) >= {"store", "modelwatch.db", "modelwatch.db-wal", "modelwatch.lock"}
    assert all(mode in (0o770, 0o660) for mode in modes.values()), modes


def test_size_counts_all_files(writer: StoreWriter) -> None:
    before = writer.size_bytes()
    writer.save_profile("p", "x" * 1000)
    assert writer.size_bytes() == before + 1000


def test_an_unusable_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot use the storage folder '.*/file': Not a directory.*storage_path="):
        StoreWriter(tmp_path / "file")
    with pytest.raises(StorageError, match="Not a directory"):
        StoreWriter(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        StoreWriter(tmp_path / "store")


def test_reading_where_nothing_was_recorded_is_explained(folder: Path) -> None:
    with StoreQueries(folder) as queries, pytest.raises(StorageError, match="nothing has been recorded there yet"):
        queries.subjects("m", 0)
    assert not folder.exists()


def test_a_closed_store_says_so(folder: Path) -> None:
    writer = StoreWriter(folder)
    writer.close()
    writer.close()
    with pytest.raises(StorageError, match="is closed"):
        writer.models()
