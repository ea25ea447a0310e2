"""How many rows are worth one, where rows of one entity say the same again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.records import FlushBatch, RowChunk
from modelwatch.store import StoreWriter
from modelwatch.store.queries import StoreQueries
from modelwatch.windows.repeats import Repeats, column_repeats, stored_repeats, window_repeats
from modelwatch.windows.rows import window_rows

START = 1_790_000_000.0


def chunk(users: Any, *, metadata: list[Any] | None = None, at: float = START) -> RowChunk:
    n = len(users if users is not None else metadata or ())
    columns: dict[str, Any] = {} if users is None else {"user": users}
    columns |= {} if metadata is None else {"@metadata": metadata}
    return RowChunk("m", "1", np.full(n, at), [""] * n, {"km": np.arange(float(n)), **columns})


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[StoreWriter]:
    with StoreWriter(tmp_path / "store") as opened:
        yield opened


@given(st.integers(1, 7), st.integers(1, 40), st.integers(1, 5))
def test_of_entities_that_come_equally_often_it_is_how_often_however_rows_are_cut(
    often: int, entities: int, chunks: int
) -> None:
    users = np.random.default_rng(0).permutation(np.repeat(np.arange(float(entities)), often))
    parts = [chunk(part) for part in np.array_split(users, chunks)]
    assert stored_repeats(parts, "user").mean == pytest.approx(often)
    assert column_repeats(users).mean == pytest.approx(often)


def test_half_of_the_rows_from_one_entity_are_hardly_worth_four_rows() -> None:
    users = ["robot"] * 500 + [f"user{i}" for i in range(500)]
    assert 1000 / column_repeats(users).mean == pytest.approx(4.0, rel=0.01)


def test_rows_without_an_entity_are_of_one_each() -> None:
    found = stored_repeats([chunk(["ann", "ann", None, "", float("nan")])], "user")
    assert (found.rows, found.known, found.mean) == (5, 2, 1.0 + 2.0 / 5.0)
    assert stored_repeats([chunk(np.array([np.nan, np.nan, 1.0]))], "user").mean == 1.0
    assert stored_repeats([], "user") == Repeats()


def test_numbers_are_the_same_entity_whatever_they_are_stored_as() -> None:
    assert stored_repeats([chunk(np.array([1.0, 2.0])), chunk([1, "2"])], "user").mean == pytest.approx(1.5)
    assert column_repeats([["a"], ["a"], ["b"]]).mean == pytest.approx(1.0 + 2.0 / 3.0)


def test_a_key_of_the_metadata_is_taken_where_there_is_no_such_feature() -> None:
    about = [{"user": "ann"}, {"user": "ann"}, None, {"shop": 1}]
    assert stored_repeats([chunk(None, metadata=about)], "user").mean == 1.5
    assert stored_repeats([chunk(list("abcd"), metadata=about)], "user").mean == 1.0


def test_names_that_could_have_been_meant_are_told_if_no_row_has_an_entity() -> None:
    found = stored_repeats([chunk(["ann"], metadata=[{"user_id": 1}])], "usr")
    assert found.known == 0
    assert sorted(found.names) == ["km", "user", "user_id"]


@pytest.mark.parametrize("apart", [1, 400], ids=["at once", "spread over the window"])
def test_of_a_part_of_the_rows_the_repeats_of_all_are_estimated(writer: StoreWriter, apart: int) -> None:
    rng = np.random.default_rng(3)
    users = np.repeat(np.arange(8_000.0), 5)
    users = rng.permutation(users) if apart > 1 else users
    chunks = [chunk(part, at=START + i) for i, part in enumerate(np.array_split(users, 400))]
    writer.commit(FlushBatch("w", rows=chunks))
    with StoreQueries(writer.folder) as queries:
        found = window_repeats(queries, "m", "1", "user", START, START + 400, most=10_000, counted=40_000)
    assert found.rows == 10_000
    assert found.mean == pytest.approx(5.0, rel=0.1)


def test_rows_that_are_read_for_correlations_know_their_own_repeats(writer: StoreWriter) -> None:
    writer.commit(FlushBatch("w", rows=[chunk(np.repeat(np.arange(100.0), 5))]))
    with StoreQueries(writer.folder) as queries:
        found = window_rows(queries, "m", "1", ["km"], START, START + 1, entity="user")
        assert (found.rows, found.repeats, found.independent) == (500, 5.0, 100.0)
        assert window_rows(queries, "m", "1", ["km"], START, START + 1).repeats == 1.0
        assert window_rows(queries, "m", "1", ["km"], START, START + 1, most=100, entity="user").repeats == 1.0


def test_arrays_are_entities_by_what_they_hold() -> None:
    assert column_repeats([np.array([1, 2])] * 5 + [None]).known == 5
