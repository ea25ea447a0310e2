"""Which reference each model was given, or learnt."""

from __future__ import annotations

from pathlib import Path

from modelwatch.store import StoredReference, StoreWriter


def test_a_model_that_was_given_nothing_has_no_reference(writer: StoreWriter) -> None:
    assert writer.reference_of("m") is None
    assert writer.references() == {}


def test_the_reference_set_last_is_the_model_s_and_the_revision_rises(writer: StoreWriter) -> None:
    assert writer.save_reference("m", "p1", origin="learnt", written="auto", set_at=5.0, learning_since=1.0) == 1
    assert writer.save_reference("m", "p2", origin="given", written="auto", set_at=9.0) == 2
    assert writer.reference_of("m") == StoredReference("m", "p2", "given", "auto", 9.0, 2)


def test_every_model_has_a_reference_of_its_own(writer: StoreWriter) -> None:
    writer.save_reference("a", "p1", origin="given", written="auto", set_at=5.0)
    writer.save_reference("b", "p1", origin="learnt", written="auto", set_at=6.0, learning_since=1.0, counted_until=4.0)
    assert writer.references() == {
        "a": StoredReference("a", "p1", "given", "auto", 5.0, 1),
        "b": StoredReference("b", "p1", "learnt", "auto", 6.0, 1, 1.0, 4.0),
    }


def test_another_process_on_the_same_storage_sees_it(writer: StoreWriter, folder: Path) -> None:
    writer.save_reference("m", "p1", origin="given", written="auto", set_at=5.0)
    with StoreWriter(folder) as other:
        assert other.references() == writer.references() != {}
