"""Count vectors as bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.exceptions import InputError, StorageError
from modelwatch.store.cells import pack_counts, unpack_counts

_vectors = st.integers(1, 8).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, 2**53), min_size=size, max_size=size), min_size=1, max_size=6)
)


@given(_vectors)
def test_counts_of_any_size_come_back(vectors: list[list[int]]) -> None:
    blobs = [pack_counts(np.array(v, dtype=np.int64)) for v in vectors]
    assert unpack_counts(blobs, len(vectors[0])).tolist() == vectors


def test_empty_vectors_come_back() -> None:
    assert unpack_counts([pack_counts(np.zeros(0, dtype=np.int64))], 0).shape == (1, 0)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(InputError, match="negative"):
        pack_counts(np.array([-1]))


@pytest.mark.parametrize("blob", [b"", b"123", b"1234567", b"x" * 18])
def test_bytes_that_do_not_fit_are_refused(blob: bytes) -> None:
    with pytest.raises(StorageError, match="does not fit"):
        unpack_counts([blob], 6)
