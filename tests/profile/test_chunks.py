"""A profile of a table in pieces is that of the whole table, however it was cut; of a very large one, nearly."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from modelwatch.exceptions import ProfileError
from modelwatch.profile import ReferenceProfile, chunks, code_sample, hour_sums, pieces, scan
from modelwatch.profile.files import open_table

CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
ROWS = 3000


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a few thousand rows come in several pieces."""
    monkeypatch.setattr(pieces, "PIECE_ROWS", 700)


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of some ten thousand rows are very large."""
    monkeypatch.setattr(scan, "SAMPLE", 2000)
    monkeypatch.setattr(code_sample, "SAMPLE", 2000)
    monkeypatch.setattr(scan, "_TEXTS", 100)


def some_of(values: Any, p: float, seed: int) -> list[Any]:
    absent = np.random.default_rng(seed).random(len(values)) < p
    return [None if gone else value for gone, value in zip(absent, list(values), strict=True)]


@pytest.fixture
def table() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    normal = rng.normal(40, 10, ROWS)
    late_text = np.arange(ROWS, dtype=object)
    late_text[2900:] = "n/a"
    mostly_text: list[Any] = ["a", "b", "c"] * (ROWS // 3)
    mostly_text[:800] = range(800)
    return {
        "normal": normal,
        "gaps": np.where(rng.random(ROWS) < 0.2, np.nan, normal),
        "infinite": np.where(rng.random(ROWS) < 0.01, -np.inf, normal),
        "whole": rng.integers(0, 1000, ROWS),
        "few": rng.integers(0, 5, ROWS).astype(np.int8),
        "zeros": np.where(rng.random(ROWS) < 0.5, -0.0, 0.0),
        "huge": normal * 1e306,
        "tiny": normal * 1e-310,
        "nothing": [None] * ROWS,
        "late": [None] * 2000 + [1.5, 2.5] * 500,
        "decimals": some_of([Decimal(i) / 7 for i in range(ROWS)], 0.1, 1),
        "late text": late_text.tolist(),
        "mostly text": mostly_text,
        "city": some_of(rng.choice(["Rome", "Oslo", "Lima"], ROWS, p=[0.7, 0.2, 0.1]), 0.05, 2),
        "array": rng.choice(["Rome", "Oslo"], ROWS),
        "flag": rng.random(ROWS) < 0.3,
        "many": rng.zipf(1.5, ROWS).astype(str).tolist(),
        "user": [f"user {i}" for i in range(ROWS)],
        "code": rng.integers(0, 30, ROWS),
        "dates": np.arange(ROWS).astype("datetime64[h]"),
        "other": [{}] * ROWS,
        "score": rng.random(ROWS),
        "label": rng.integers(0, 2, ROWS),
        "at": pd.date_range("2026-01-01", periods=ROWS, freq="h").strftime("%Y-%m-%dT%H:%M:%S").tolist(),
    }


def cut(table: dict[str, Any], rows: int) -> Callable[[], Iterator[dict[str, Any]]]:
    length = len(next(iter(table.values())))
    return lambda: (
        {name: column[start : start + rows] for name, column in table.items()} for start in range(0, length, rows)
    )


OPTIONS: dict[str, Any] = {
    "timezone": "Europe/Rome", "categorical": ["code"], "exclude": ["whole"], "created": CREATED,
    "importance": {"normal": 2.0}, "model_id": "ads", "model_version": "3",
}  # fmt: skip


def whole(table: dict[str, Any], predictions: str = "score", **options: Any) -> ReferenceProfile:
    special = (predictions, "label", "at")
    features = {name: column for name, column in table.items() if name not in special}
    return ReferenceProfile.build(features, *(table[name] for name in special), **{**OPTIONS, **options})


@pytest.mark.parametrize("rows", [37, 699, 700, 1400, 5000])
@pytest.mark.usefixtures("short_pieces")
def test_pieces_of_any_length_give_the_profile_of_the_whole(rows: int, table: dict[str, Any]) -> None:
    found = ReferenceProfile.build(cut(table, rows), "score", "label", "at", **OPTIONS)
    assert found.to_json() == whole(table).to_json()


@pytest.mark.usefixtures("short_pieces")
def test_rows_in_no_order_of_time_are_counted_a_few_hours_at_a_time(
    table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hour_sums, "_AT_ONCE", 10_000)
    order = np.random.default_rng(5).permutation(ROWS)
    table = {name: column[order] if isinstance(column, np.ndarray) else [column[i] for i in order]
             for name, column in table.items()}  # fmt: skip
    table["at"] = some_of(table["at"], 0.01, 6)
    found = ReferenceProfile.build(cut(table, 500), "score", "label", "at", **OPTIONS)
    assert found.to_json() == whole(table).to_json()
    assert found.calibrated


@pytest.mark.usefixtures("short_pieces")
def test_pieces_are_counted_over_the_cells_of_another_profile(table: dict[str, Any]) -> None:
    first = whole(table)
    rng = np.random.default_rng(7)
    order = rng.permutation(ROWS)[:1800]
    other = {name: column[order] if isinstance(column, np.ndarray) else [column[i] for i in order]
             for name, column in table.items()}  # fmt: skip
    other["late"] = [None] * 1800
    options: dict[str, Any] = {"categorical": [], "exclude": [], "like": first, "importance": None}
    found = ReferenceProfile.build(cut(other, 500), "score", "label", "at", **{**OPTIONS, **options})
    assert found.id == first.id
    assert found.to_json() == whole(other, **options).to_json()
    with pytest.raises(ProfileError, match=r"like: profile .* has the feature 'normal', X has no such column"):
        ReferenceProfile.build(cut({"x": list(range(200))}, 50), like=first)


@pytest.mark.usefixtures("short_pieces")
def test_where_memory_is_short_columns_wait_for_another_reading(
    table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def tables() -> Iterator[dict[str, Any]]:
        read.append(1)
        return cut(table, 500)()

    monkeypatch.setattr(chunks, "MEMORY", 100_000)
    found = ReferenceProfile.build(tables, "score", "label", "at", **OPTIONS)
    assert found.to_json() == whole(table).to_json()
    assert len(read) > 5


@pytest.mark.parametrize(
    ("column", "task"),
    [
        ("score", None),
        ("score", "regression"),
        ("few", None),
        ("whole", None),
        ("whole", "multiclass"),
        ("city", None),
        ("flag", None),
        ("mostly text", None),
        ("late text", None),
    ],
)
@pytest.mark.usefixtures("short_pieces")
def test_predictions_of_any_kind(column: str, task: str | None, table: dict[str, Any]) -> None:
    table = {name: table[name] for name in {"normal": 0, "label": 0, "at": 0, column: 0}}
    options: dict[str, Any] = {"categorical": [], "exclude": [], "task": task}
    found = ReferenceProfile.build(cut(table, 300), column, "label", "at", **{**OPTIONS, **options})
    assert found.to_json() == whole(table, column, **options).to_json()


@pytest.mark.parametrize("kind", ["csv", "parquet", "feather"])
@pytest.mark.usefixtures("short_pieces")
def test_files_give_the_profile_of_their_table(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "bid": rng.gamma(2.0, size=ROWS),
            "gaps": pd.array(some_of(rng.integers(0, 90, ROWS), 0.1, 3), dtype="Int64"),
            "city": rng.choice(["Rome", "Oslo"], ROWS),
            "flag": rng.random(ROWS) < 0.5,
            "score": rng.random(ROWS),
            "at": pd.date_range("2026-01-01", periods=ROWS, freq="15min", tz="Europe/Rome"),
        }
    )
    path = tmp_path / f"held_out.{kind}"
    match kind:
        case "csv":
            frame.to_csv(path, index=False)
        case "parquet":
            frame.to_parquet(path, row_group_size=1000)
        case _:
            frame.to_feather(path)
    found = ReferenceProfile.build(open_table(path), "score", timestamps="at", created=CREATED)
    expected = ReferenceProfile.build(
        frame.drop(columns=["score", "at"]), frame["score"], timestamps=frame["at"], created=CREATED
    )
    assert found.to_json() == expected.to_json()


@pytest.mark.usefixtures("short_pieces")
def test_columns_that_a_table_calls_categorical_stay_so() -> None:
    frame = pd.DataFrame({"code": pd.Categorical(np.arange(ROWS) % 30), "x": np.arange(ROWS) / 7})
    found = ReferenceProfile.build(lambda: (frame[i : i + 111] for i in range(0, ROWS, 111)), created=CREATED)
    assert found.to_json() == ReferenceProfile.build(frame, created=CREATED).to_json()


# ── very large tables ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def large() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    n = 30_000
    skewed = rng.lognormal(size=n)
    rare = np.zeros(n)
    rare[[7, 8]] = 3.0, 9.0
    return {
        "skewed": skewed,
        "sparse": np.where(rng.random(n) < 0.99, np.nan, skewed),
        "rare": rare,
        "far": np.where(np.arange(n) == 5, 1e300, skewed),
        "city": rng.choice(["Rome", "Oslo", "Lima"], n, p=[0.7, 0.2, 0.1]),
        "page": [f"page {i}" for i in np.minimum(rng.zipf(1.3, n), 10**9)],
        "user": [f"user {i}" for i in rng.integers(0, 10**6, n)],
    }


@pytest.mark.usefixtures("short_pieces", "small_sample")
def test_the_profile_of_a_very_large_table_does_not_depend_on_how_it_is_cut(large: dict[str, Any]) -> None:
    texts = [ReferenceProfile.build(cut(large, rows), created=CREATED).to_json() for rows in (100, 701, 40_000)]
    assert len(set(texts)) == 1


@pytest.mark.usefixtures("short_pieces", "small_sample")
def test_a_sample_makes_the_edges_and_all_rows_make_counts_and_moments(large: dict[str, Any]) -> None:
    profile = ReferenceProfile.build(cut(large, 5000))
    exact = ReferenceProfile.build(large)
    for name in ("skewed", "sparse", "rare", "far"):
        cells, moments = profile.member(name), profile.moments[name]
        assert (moments.minimum, moments.maximum) == (np.nanmin(large[name]), np.nanmax(large[name]))
        assert moments.mean == pytest.approx(exact.moments[name].mean, rel=1e-12)
        assert moments.sd == pytest.approx(exact.moments[name].sd, rel=1e-9)
        assert (cells.minimum, cells.edges[-1]) == (moments.minimum, moments.maximum)
        assert profile.counts_of(name).sum() == len(large[name])
        assert profile.counts_of(name)[cells.shape_size :].tolist() == exact.counts_of(name)[-6:].tolist()
    # 1 000 to 2 000 of 30 000 values: a quantile is off by a standard error of at most 1.6 %.
    shares = profile.counts_of("skewed")[:20] / 30_000
    assert np.abs(shares - 0.05).max() < 0.025
    assert profile.correlation is not None
    assert 1000 <= profile.correlation.rows <= 2000
    # Of a column that holds no more values than a sample, all are looked at.
    assert profile.member("sparse") == exact.member("sparse")
    # However rare, few values have a cell each.
    assert profile.counts_of("rare")[:3].tolist() == [29_998, 1, 1]


@pytest.mark.usefixtures("short_pieces", "small_sample")
def test_of_very_many_categories_the_most_frequent_are_kept(large: dict[str, Any]) -> None:
    profile = ReferenceProfile.build(cut(large, 5000), categorical=["page"])
    exact = ReferenceProfile.build(large, categorical=["page"])
    assert profile.member("city") == exact.member("city")
    assert profile.member("page").categories[:8] == exact.member("page").categories[:8]
    assert profile.counts_of("page")[:8].tolist() == exact.counts_of("page")[:8].tolist()
    assert any("'user' was left out: with" in warning for warning in profile.warnings)


def test_the_sample_is_a_uniform_one() -> None:
    hashes = scan.row_hashes(0, 100_000)
    for bit in (31, 30, 24):
        assert ((hashes >> np.uint32(bit)) & np.uint32(1)).mean() == pytest.approx(0.5, abs=0.01)
    rows = np.flatnonzero(hashes < np.uint32(1 << 28))
    assert len(rows) == pytest.approx(100_000 / 16, rel=0.05)
    assert np.diff(np.concatenate([[0], rows])).mean() == pytest.approx(16, rel=0.05)
    assert rows.mean() == pytest.approx(50_000, rel=0.02)


@dataclass(frozen=True)
class Rows:
    """A table of any number of rows, made as it is read."""

    rows: int
    numeric: int
    step: int

    def __call__(self) -> Iterator[dict[str, Any]]:
        for first in range(0, self.rows, self.step):
            rng = np.random.default_rng(first)
            n = min(self.step, self.rows - first)
            yield {
                **{f"x{i}": rng.normal(size=n) for i in range(self.numeric)},
                "city": rng.choice(["Rome", "Oslo"], n),
                "user": rng.integers(0, 10**7, n).astype("U"),
                "at": np.sort(rng.random(n)) * 864 + first * 0.00864,
            }


def peak(rows: Rows) -> tuple[ReferenceProfile, int]:
    tracemalloc.start()
    try:
        profile = ReferenceProfile.build(rows, timestamps="at")
        return profile, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("short_pieces", "small_sample")
def test_memory_does_not_grow_with_the_rows() -> None:
    _, few = peak(Rows(10_000, 3, step=700))
    profile, many = peak(Rows(50_000, 3, step=700))
    assert profile.rows == 50_000
    assert many < few * 1.2


@pytest.mark.quality
def test_twenty_million_rows_take_less_than_a_gigabyte() -> None:
    program = textwrap.dedent(
        """
        import importlib.util, pathlib, sys
        spec = importlib.util.spec_from_file_location("rows", sys.argv[1])
        tests = importlib.util.module_from_spec(spec)
        sys.modules["rows"] = tests
        spec.loader.exec_module(tests)
        profile = tests.ReferenceProfile.build(tests.Rows(20_000_000, 25, step=100_000), timestamps="at")
        status = pathlib.Path("/proc/self/status").read_text()
        print(profile.rows, next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
        """
    )
    # What numpy takes is not seen by tracemalloc alone, which would take hours besides.
    ran = subprocess.run([sys.executable, "-c", program, __file__], capture_output=True, text=True, check=True)
    rows, kilobytes = map(int, ran.stdout.split())
    assert rows == 20_000_000
    assert kilobytes < 1_000_000


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def tables(*given: Any) -> Callable[[], Iterator[Any]]:
    return lambda: iter(given)


def once(*given: Any) -> Callable[[], Iterator[Any]]:
    iterator = iter(given)
    return lambda: iterator


GOOD = {"x": np.arange(200.0), "y": np.arange(200.0)}


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (tables(), {}, "it came in no piece"),
        (tables({"x": []}), {}, "is empty"),
        (tables(GOOD, {"x": [1.0]}), {}, "piece 2 of X has other columns than the first, or another order: ['y']"),
        (tables(GOOD, 3), {}, "a piece of X is of type int"),
        (tables(GOOD), {"predictions": np.arange(200.0)}, "predictions is of type ndarray; X comes in pieces"),
        (tables(GOOD), {"predictions": "scor"}, "predictions: X has no column 'scor'"),
        (tables(GOOD), {"exclude": ["z"]}, "exclude: X has no column 'z'"),
        (tables(GOOD), {"importance": {"z": 1.0}}, "importance: X has no column 'z'"),
        (tables({"x": ["soon"] * 99}, {"x": ["later"] * 99}), {"timestamps": "x"}, "'soon' in row 0 is no ISO"),
        (tables({"x": [1] * 200}, {"x": ["later"]}), {"timestamps": "x"}, "'later' in row 200 is no ISO"),
        (tables({"x": [None] * 200, "y": [1] * 200}), {"timestamps": "x"}, "timestamps hold no time"),
        (once(GOOD, GOOD), {}, "it came in no piece"),
    ],
)
def test_a_mistake_is_a_sentence(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        ReferenceProfile.build(data, **options)
    assert message in str(caught.value)


def test_a_table_that_changes_between_two_readings_is_told() -> None:
    rows = iter([200, 200, 201])
    with pytest.raises(ProfileError, match="came with 200 rows, and with 201 the next time"):
        ReferenceProfile.build(lambda: iter([{"x": np.arange(float(next(rows)))}]))


def test_a_parquet_file_without_rows_is_told(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"x": pa.array([], pa.float64())}), tmp_path / "rows.parquet")
    with pytest.raises(ProfileError, match="is empty"):
        ReferenceProfile.build(open_table(tmp_path / "rows.parquet"))
