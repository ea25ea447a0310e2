"""A chunk gives back what was put in, and says so when it can't."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwatch.exceptions import InputError, StorageError
from modelwatch.records import ActualChunk, RowChunk
from modelwatch.store import chunks

_text = st.text(st.characters(), max_size=12)  # with lone surrogates and controls
_number = st.one_of(st.floats(), st.integers(-(2**60), 2**60), st.booleans(), st.none())
_nested = st.recursive(
    st.one_of(_number, _text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_text, inner, max_size=3)),
    max_leaves=5,
)


def _columns(n: int) -> st.SearchStrategy[dict[str, list[Any]]]:
    kinds = [
        st.floats(),
        st.integers(),
        st.integers(-5, 5),
        st.booleans(),
        st.sampled_from(["a", "b", "é", "\ud800"]),
        _text,
        _number,
        st.one_of(st.floats(), st.none()),
        st.one_of(st.integers(), st.none()),
        st.one_of(st.booleans(), st.none()),
        st.one_of(st.sampled_from("xyz"), st.none()),
        _nested,
        st.none(),
    ]
    column = st.one_of([st.lists(kind, min_size=n, max_size=n) for kind in kinds])
    return st.dictionaries(_text, column, max_size=6)


_chunk = st.integers(0, 9).flatmap(lambda n: st.tuples(st.just(n), _columns(n), st.booleans()))


def _same(a: object, b: object) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(_same(a[k], b[k]) for k in a)
    return a == b


def _listed(column: Any) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else column  # type: ignore[no-any-return]


def _one(values: Any) -> Any:
    times = np.zeros(len(values))
    chunk = RowChunk("m", "1", times, ["i"] * len(values), {"c": values})
    return chunks.decode(chunks.encode(chunk)).columns["c"]


@given(_chunk)
@settings(max_examples=150, deadline=None)
def test_any_columns_come_back_with_their_types(case: tuple[int, dict[str, list[Any]], bool]) -> None:
    n, columns, compress = case
    chunk = RowChunk("mödel", "v", np.arange(n, dtype=float), [f"i{k}" for k in range(n)], columns)  # type: ignore[arg-type]
    back = chunks.decode(chunks.encode(chunk, compress=compress))
    assert (back.model_id, back.model_version, back.ids) == ("mödel", "v", chunk.ids)
    assert back.times.tolist() == chunk.times.tolist()
    assert list(back.columns) == list(columns)
    assert all(_same(_listed(back.columns[name]), columns[name]) for name in columns)


@given(st.lists(st.one_of(_nested), max_size=6))
@settings(max_examples=50, deadline=None)
def test_ground_truth_comes_back(values: list[Any]) -> None:
    chunk = ActualChunk("m", np.arange(len(values), dtype=float), [str(i) for i in range(len(values))], values)
    back = chunks.decode_actuals(chunks.encode_actuals(chunk))
    assert _same(back.values, values)
    assert back.ids == chunk.ids


def test_float_columns_come_back_as_arrays() -> None:
    assert isinstance(_one([1.0, 2.0]), np.ndarray)
    assert _one(np.array([1, 2.5], dtype=np.float32)).tolist() == [1.0, 2.5]
    assert _one(np.array([1, 2])) == [1, 2]


def _marked(type_name: str, text: str) -> dict[str, str]:
    return {"@type": type_name, "@text": text}


def test_values_that_json_cannot_hold_become_what_a_profile_reads_or_a_marked_text() -> None:
    class Loud:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    circle: list[Any] = []
    circle.append(circle)
    when = datetime(2024, 1, 1, tzinfo=timezone.utc)
    back = _one([b"raw", Decimal("1.5"), when, Loud(), {1, 2}, circle, {(1, 2): 3}, range(10**6), "x" * 500, 10**5000])
    assert back[:3] == [_marked("bytes", "b'raw'"), 1.5, _marked("datetime", repr(when))]
    assert back[3:5] == [_marked("Loud", "<Loud without a repr>"), _marked("set", "{1, 2}")]
    assert back[5:8] == ["[[...]]", "{(1, 2): 3}", _marked("range", "range(0, 1000000)")]
    assert back[8] == "x" * 500  # text is data, and kept
    assert back[9] == "<int without a repr>"
    assert len(_one([bytearray(9999)])[0]["@text"]) == 200
    color = Enum("color", {"RED": "red"})
    assert _one([color.RED, Decimal("NaN"), pd.NaT, None]) == ["red", None, None, None]


def test_numpy_scalars_become_plain_values() -> None:
    values = [np.float32(0.5), np.int64(3), np.bool_(True), np.str_("s"), None, np.array([1, 2])]
    assert _same(_one(values), [0.5, 3, True, "s", None, [1, 2]])


@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_changed_byte_is_found_and_the_chunk_named(place: int, change: int, compress: bool) -> None:
    chunk = RowChunk("m", "1", np.arange(50.0), ["i"] * 50, {"x": np.arange(50.0)})
    data = bytearray(chunks.encode(chunk, compress=compress))
    data[place % len(data)] ^= change
    with pytest.raises(StorageError, match="chunk 7 is corrupt"):
        chunks.decode(bytes(data), "chunk 7")


@pytest.mark.parametrize("length", [0, 3, 16, 17, 40])
def test_a_cut_off_chunk_is_corrupt(length: int) -> None:
    data = chunks.encode(RowChunk("m", "1", np.arange(50.0), ["i"] * 50, {}))
    with pytest.raises(StorageError, match="is corrupt"):
        chunks.decode(data[:length])


def test_one_kind_of_chunk_is_not_the_other() -> None:
    data = chunks.encode_actuals(ActualChunk("m", np.zeros(1), ["a"], [1]))
    with pytest.raises(StorageError, match="holds actuals, not rows"):
        chunks.decode(data)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="'x' has 1 values for 2 rows"):
        chunks.encode(RowChunk("m", "1", np.zeros(2), ["a", "b"], {"x": [1]}))


def test_repeating_text_takes_little_room() -> None:
    chunk = RowChunk("m", "1", np.zeros(1000), [""] * 1000, {"c": ["carrier-one", "carrier-two"] * 500})
    assert len(chunks.encode(chunk, compress=False)) < 1000 * 8 + 3 * 1000
