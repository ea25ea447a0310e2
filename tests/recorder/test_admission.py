"""Which names become label values, over all workers of a storage."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from modelwatch.recorder.admission import FILE_NAME, Admission, AdmittedNames

KIND = ("classes", "m", "1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "slots" / FILE_NAME


@pytest.fixture
def few_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def shown(admission: Admission, *names: str, limit: int = 3) -> list[str]:
    return list(admission.shown(KIND, names, limit).values())


def test_the_first_names_of_all_workers_together_are_admitted(path: Path) -> None:
    one, other = Admission(path), Admission(path)
    assert shown(one, "a", "b") == ["a", "b"]
    assert shown(other, "c", "d") == ["c", "__other__"]
    assert shown(one, "c", "d", "e") == ["c", "__other__", "__other__"]
    assert AdmittedNames(path).of(KIND) == one.of(KIND) == other.of(KIND) == ("a", "b", "c")


def test_many_workers_at_once_admit_no_more_than_the_limit(path: Path) -> None:
    workers = [Admission(path) for _ in range(8)]

    def work(number: int) -> None:
        for place in range(50):
            shown(workers[number], f"{number}-{place}", limit=50)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(AdmittedNames(path).of(KIND)) == 50


def test_what_was_admitted_stays_so_for_whoever_starts_later(path: Path) -> None:
    shown(Admission(path), "a", "b", "c")
    assert shown(Admission(path), "z", "a", "c") == ["__other__", "a", "c"]


def test_nothing_and_all_others_need_no_admission(path: Path) -> None:
    assert shown(Admission(path), "", "__other__", limit=0) == ["", "__other__"]
    assert not path.exists()


def test_kinds_have_limits_of_their_own(path: Path) -> None:
    admission = Admission(path)
    assert admission.shown(("segments", "m"), ["a", "b"], 1) == {"a": "a", "b": "__other__"}
    assert admission.shown(("segments", "n"), ["b"], 1) == {"b": "b"}


def test_a_full_kind_is_never_asked_for_again(path: Path) -> None:
    admission = Admission(path)
    shown(admission, "a", "b", "c")
    path.unlink()  # whoever looked at the file now would make a new one
    assert set(shown(admission, *map(str, range(1000)))) == {"__other__"}
    assert not path.exists()


def test_half_a_line_of_a_killed_writer_is_no_name_and_spoils_no_other(path: Path) -> None:
    shown(Admission(path), "a")
    with path.open("ab") as file:
        file.write(b'["classes","m","1","tor')
    assert AdmittedNames(path).of(KIND) == ("a",)
    assert shown(Admission(path), "b") == ["b"]
    assert AdmittedNames(path).of(KIND) == ("a", "b")


@pytest.mark.parametrize("line", [b"[]\n", b"7\n", b'["alone"]\n', b'["classes",1,"x"]\n', b"\xff\xfe\n", b"{}\n"])
def test_lines_that_are_no_names_are_passed_over(path: Path, line: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(line + b'["classes","m","1","a"]\n')
    assert AdmittedNames(path).of(KIND) == ("a",)
    assert shown(Admission(path), "b") == ["b"]


def test_names_of_any_text_are_read_as_they_were_written(path: Path) -> None:
    odd = ['a "quoted" \\ name', "line\nbreak", "\u2028", "🚀", "\ud800"]
    assert shown(Admission(path), *odd, limit=9) == odd
    assert list(AdmittedNames(path).of(KIND)) == odd


def test_a_file_that_was_removed_is_written_again_with_what_its_users_rely_on(path: Path) -> None:
    admission = Admission(path)
    shown(admission, "a", "b")
    path.unlink()
    assert shown(admission, "c") == ["c"]
    assert set(AdmittedNames(path).of(KIND)) == {"a", "b", "c"}
    assert shown(Admission(path), "d") == ["__other__"]


def test_where_the_file_cannot_be_had_names_are_admitted_and_written_down_later(path: Path) -> None:
    path.parent.mkdir()
    path.mkdir()  # nobody can open that for writing
    admission = Admission(path)
    assert shown(admission, "a") == ["a"]
    path.rmdir()
    assert shown(admission, "b") == ["b"]
    assert set(AdmittedNames(path).of(KIND)) == {"a", "b"}


def test_a_lock_that_is_not_given_up_stops_nobody_and_leaks_nothing(
    path: Path, few_descriptors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelwatch.recorder.admission.LOCK_PATIENCE_SECONDS", 0.0)
    path.parent.mkdir()
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert shown(Admission(path), "a", "b") == ["a", "b"]
        assert not path.read_bytes()
    assert len(os.listdir("/proc/self/fd")) == few_descriptors


def test_a_link_to_another_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    target = tmp_path / "precious"
    target.write_text("text")
    path.symlink_to(target)
    assert shown(Admission(path), "a") == ["a"]
    assert target.read_text() == "text"


def test_names_are_looked_up_by_any_reader_without_a_file(tmp_path: Path) -> None:
    reader: Any = AdmittedNames(tmp_path / "none")
    assert reader.of(KIND) == ()
