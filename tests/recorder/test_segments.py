"""Segments: each row that is looked at is counted in exactly one, and there are never many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.profile.cells import CellAssigner
from modelwatch.recorder import RecordedModel, Recorder
from modelwatch.recorder.segments import MAX_SEGMENTS, Segmented, joined, row_segments, with_segment
from modelwatch.records import ROW_METADATA, CellLayout, FeatureCells

if TYPE_CHECKING:
    from .conftest import KeepingSink, MakeRecorder

BY_COUNTRY = {"segments": ("country",), "task": "binary", "decision_threshold": 0.5}


def rows_by_segment(recorder: Recorder) -> dict[str, int]:
    vectors = recorder.snapshot().vectors
    return {key[-1]: int(block.ints[-1]) for key, block in vectors.items() if key[0] == "profile" and block.ints[-1]}


def classes_by_segment(recorder: Recorder) -> dict[str, dict[str, int]]:
    names = recorder.snapshot().names
    return {key[-1]: block.counts for key, block in names.items() if key[0] == "classes"}


@pytest.fixture
def make(make_recorder: MakeRecorder, see: Any) -> Callable[..., Recorder]:
    """Make a recorder of a model with a profile that is counted by country."""

    def made(sink: KeepingSink | None = None, **fields: Any) -> Recorder:
        return make_recorder(sink, model={**BY_COUNTRY, "profile": see.profile(), **fields})

    return made


def test_a_row_is_counted_in_the_segment_that_its_metadata_name(make: Callable[..., Recorder]) -> None:
    recorder = make()
    for country in ("de", "de", "fr", None):
        recorder.record("m", 0.7, {"age": 5.0}, metadata={"country": country, "user": 7})
    recorder.record("m", 0.2, {"age": 5.0})
    recorder.record("m", 0.2, {"age": 5.0}, metadata={"user": 7})
    recorder.flush()
    assert rows_by_segment(recorder) == {"de": 2, "fr": 1, "": 3}
    assert classes_by_segment(recorder) == {"de": {"0": 0, "1": 2}, "fr": {"0": 0, "1": 1}, "": {"0": 2, "1": 1}}


def test_a_segment_given_with_the_call_goes_over_the_metadata(make: Callable[..., Recorder]) -> None:
    recorder = make()
    recorder.record("m", 0.7, {"age": 5.0}, metadata=with_segment({"country": "de"}, "web"))
    recorder.record_many("m", [0.1, 0.2], {"age": [1.0, 2.0]}, metadata={"country": "fr"}, segment=["web", None])
    recorder.flush()
    assert rows_by_segment(recorder) == {"web": 2, "fr": 1}


def test_without_keys_only_what_is_given_with_the_call_counts(make: Callable[..., Recorder]) -> None:
    recorder = make(segments=())
    recorder.record("m", 0.7, {"age": 5.0}, metadata={"segment": "the customer's own", "country": "de"})
    recorder.record("m", 0.7, {"age": 5.0}, metadata=with_segment({"country": "de"}, "web"))
    recorder.record_many("m", [0.1, 0.2], {"age": [1.0, 2.0]}, segment=np.array(["web", "app"]))
    recorder.record_many("m", [0.1], {"age": [1.0]}, segment="app")
    recorder.flush()
    assert rows_by_segment(recorder) == {"": 1, "web": 2, "app": 2}


def test_the_segment_is_stored_with_the_row(make: Callable[..., Recorder], sink: KeepingSink) -> None:
    recorder = make(sink)
    for metadata in ({"country": "de", "segment": "own"}, MappingProxyType({"k": 1}), None):
        recorder.record("m", 0.7, {}, metadata=with_segment(metadata, "web"))
    recorder.flush()
    recorder.record_many("m", [0.1, 0.2], None, metadata={"job": 7}, segment=["a", float("nan")])
    recorder.flush()
    stored = [m for chunk in sink.rows for m in chunk.columns[ROW_METADATA]]
    assert stored == [
        {"country": "de", "segment": "web"}, {"k": 1, "segment": "web"}, {"segment": "web"},
        {"job": 7, "segment": "a"}, {"job": 7},
    ]  # fmt: skip
    assert all(type(metadata) is dict for metadata in stored)


def test_metadata_that_are_no_dict_are_counted_as_such_whatever_segment_is_given(
    make: Callable[..., Recorder], sink: KeepingSink, see: Any
) -> None:
    recorder = make(sink)
    recorder.record("m", 0.7, {"age": 5.0}, metadata=with_segment([1, 2], "web"))
    recorder.flush()
    assert rows_by_segment(recorder) == {"web": 1}
    assert see.names(recorder, "faults", "m", "1")["metadata"] == 1


def test_what_is_given_is_a_copy_that_the_caller_cannot_change() -> None:
    metadata = {"user": 7}
    kept = with_segment(metadata, "web")
    metadata["user"] = 8
    assert type(kept) is Segmented
    assert kept == {"user": 7, "segment": "web"}


@pytest.mark.parametrize(
    ("texts", "segment"),
    [
        (["de", "web"], "de/web"), (["de", ""], "de/"), (["", "web"], "/web"), (["", ""], ""),
        (["a/b", "c\\"], "a\\/b/c\\\\"),
    ],
)  # fmt: skip
def test_texts_of_several_keys_are_joined_so_that_no_two_rows_are_confused(texts: list[str], segment: str) -> None:
    assert joined(texts) == segment


@given(st.lists(st.text(max_size=6), min_size=2, max_size=2), st.lists(st.text(max_size=6), min_size=2, max_size=2))
def test_two_pairs_of_texts_share_a_segment_only_if_they_are_the_same(one: list[str], other: list[str]) -> None:
    printable = [text for text in (*one, *other) if text.isprintable()]
    if len(printable) == 4:
        assert (joined(one) == joined(other)) == (one == other)


@pytest.mark.parametrize("value", [1, 1.0, np.int64(1), np.float32(1), "1"])
def test_a_whole_number_is_one_segment_whatever_its_type(value: Any) -> None:
    assert row_segments(("k",), [{"k": value}]) == ["1"]


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_a_missing_value_is_no_segment(value: Any) -> None:
    assert row_segments(("k",), [{"k": value}]) == [""]


def test_where_nobody_names_a_segment_nothing_is_divided() -> None:
    assert row_segments((), [None, {"segment": "own"}, {}]) is None


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError

    def __float__(self) -> float:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.dates(), st.just([]),
    st.builds(Hostile), st.builds(dict), st.complex_numbers(),
)  # fmt: skip
METADATA = st.one_of(
    st.none(), ANYTHING, st.dictionaries(st.sampled_from(["country", "device", "segment"]), ANYTHING, max_size=3)
)
ROW = st.tuples(st.floats(0, 1), st.one_of(st.floats(), st.none(), st.text(max_size=3)), METADATA, ANYTHING)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, max_size=40), st.sampled_from([(), ("country",), ("country", "device")]), st.booleans())
def test_a_sum_over_segments_is_what_there_is_without_them(
    see: Any, rows: list[tuple[Any, ...]], keys: tuple[str, ...], batch: bool
) -> None:
    layout = CellLayout(
        (FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0)),),
        FeatureCells("", "numeric", minimum=0.0, edges=(0.5, 1.0)),
    )
    found = []
    for divided in (False, True):
        counted = _counted(see.profile, layout, rows, keys if divided else (), divided=divided, batch=batch)
        vectors = [b for key, b in counted.vectors.items() if key[0] == "profile"]
        names = Counter[str]()
        for key, block in counted.names.items():
            names.update({name: n for name, n in block.counts.items() if n} if key[0] == "classes" else {})
        ints = sum((block.ints for block in vectors), np.zeros(layout.size + 1, np.int64))
        sums = sum((block.floats for block in vectors), np.zeros(2))
        found.append((ints.tolist(), sums, names))
    (ints, sums, names), (ints_divided, sums_divided, names_divided) = found
    assert ints_divided == ints
    assert sums_divided == pytest.approx(sums)
    assert names_divided == names


def _counted(
    profile_of: Any,
    layout: CellLayout,
    rows: list[tuple[Any, ...]],
    keys: tuple[str, ...],
    *,
    divided: bool,
    batch: bool,
) -> Any:
    with TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder), None, start_thread=False)
        recorder.add_model(
            RecordedModel("m", segments=keys, profile=profile_of(layout), task="binary", decision_threshold=0.5)
        )
        if batch:
            columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
            scores, ages, metadata, segments = map(list, columns)
            answer = recorder.record_many(
                "m", scores, {"age": ages}, metadata=metadata, segment=segments if divided else None
            )
            assert answer["status"] == "success"
        for score, age, metadata, segment in [] if batch else rows:
            given_with = with_segment(metadata, segment) if divided else metadata
            assert recorder.record("m", score, {"age": age}, metadata=given_with)["status"] == "success"
        assert recorder.flush()
        totals = recorder.snapshot()
        recorder.close()
    return totals


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(), st.none(), st.text(max_size=4)),
            st.one_of(st.sampled_from(["Oslo", "Rome", "Bern", "x"]), st.none(), st.just([])),
            st.one_of(st.floats(), st.none()),
            st.integers(0, 3),
        ),
        max_size=60,
    )
)
def test_counting_by_group_is_the_same_as_counting_each_group(rows: list[tuple[Any, ...]]) -> None:
    layout = CellLayout(
        (
            FeatureCells("age", "numeric", minimum=0.0, edges=(10.0, 20.0)),
            FeatureCells("none", "numeric", minimum=0.0, edges=()),
            FeatureCells("city", "categorical", categories=("Oslo", "Rome"), known=frozenset({"Bern"})),
        ),
        FeatureCells("", "numeric", minimum=0.0, edges=(0.5, 1.0)),
    )
    assigner = CellAssigner(layout)
    groups = np.array([row[3] for row in rows], np.int64)
    columns = {"age": [row[0] for row in rows], "city": [row[1] for row in rows]}
    scores = [row[2] for row in rows]
    together = assigner.bin_groups(columns, groups, 4, scores)
    for group, batch in enumerate(together):
        own = [place for place, row in enumerate(rows) if row[3] == group]
        part = {name: [column[place] for place in own] for name, column in columns.items()}
        alone = assigner.bin(part, len(own), [scores[place] for place in own])
        assert batch.rows == alone.rows
        assert batch.cells.tolist() == alone.cells.tolist()
        assert batch.sums.tolist() == pytest.approx(alone.sums.tolist())


def test_beyond_the_limit_rows_are_counted_in_all_other_segments(make: Callable[..., Recorder]) -> None:
    recorder = make()
    names = [f"s{i}" for i in range(100_000)]
    recorder.record_many("m", [0.7] * len(names), {"age": [1.0] * len(names)}, segment=names)
    recorder.flush()
    found = rows_by_segment(recorder)
    assert set(found) == {*(f"s{i}" for i in range(MAX_SEGMENTS)), "__other__"}
    assert found["__other__"] == len(names) - MAX_SEGMENTS


def test_two_workers_and_whoever_starts_later_agree_on_the_segments(make: Callable[..., Recorder]) -> None:
    one, other = make(), make()
    for number in range(MAX_SEGMENTS):
        for worker, recorder in enumerate((one, other)):
            recorder.record("m", 0.7, {"age": 1.0}, metadata={"country": f"{worker}-{number}"})
            recorder.flush()
    first = set(rows_by_segment(one))
    assert len(first) == MAX_SEGMENTS + 1
    one.close()
    later = make()
    for number in range(2 * MAX_SEGMENTS):
        later.record("m", 0.7, {"age": 1.0}, metadata={"country": f"0-{number}"})
    later.flush()
    assert set(rows_by_segment(other)) == first
    assert sum(rows_by_segment(other).values()) == 4 * MAX_SEGMENTS


def test_the_store_keeps_the_counts_of_each_segment(make: Callable[..., Recorder], sink: KeepingSink) -> None:
    recorder = make(sink)
    recorder.record_many("m", [0.1] * 3, {"age": [1.0] * 3}, metadata=[{"country": c} for c in ("de", "fr", "de")])
    recorder.flush()
    assert {counts.segment: counts.rows for counts in sink.counts} == {"de": 2, "fr": 1}
    assert sum(totals.prediction_count for totals in sink.totals) == 3


def test_a_column_of_segments_has_a_value_for_each_row_and_takes_its_room(make: Callable[..., Recorder]) -> None:
    recorder = make()
    answer = recorder.record_many("m", [0.1, 0.2], {"age": [1.0, 2.0]}, segment=["de"])
    assert answer == {"status": "error", "error": "not recorded: segment has 1 values, there are 2 predictions"}
    backlog = recorder._engine.backlog
    recorder.record_many("m", [0.1, 0.2], {"age": [1.0, 2.0]}, segment=["x" * 8000, "y"])
    assert backlog.waiting > 2 * 500
    recorder.flush()
    assert backlog.waiting == 0
