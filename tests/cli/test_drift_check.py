"""`modelwatch drift check`: files in, a report out, and an exit code that a build can go by."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from modelwatch import ReferenceProfile, compare

Command = Callable[..., Any]


def rows(count: int, seed: int, *, drifted: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    made: pd.DataFrame = pd.DataFrame(
        {
            "km": rng.gamma(2.0, 500.0, count) * (0.62 if drifted else 1.0),
            "city": rng.choice(["Rome", "Oslo"], count),
            "code": rng.choice(["007", "42"], count),
            "user": [f"user {seed} {i}" for i in range(count)],
            "score": rng.beta(2.0, 5.0, count),
            "at": pd.date_range("2026-01-01", periods=count, freq="min").astype(str),
        }
    )
    return made


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a reference as data and as a profile, and days with and without drift."""
    before = rows(4000, 0)
    before.to_csv(tmp_path / "before.csv", index=False)
    before.to_parquet(tmp_path / "before.parquet")
    ReferenceProfile.build(before[["km", "city", "code"]], predictions=before["score"], model_id="ads").save(
        tmp_path / "profile.json"
    )
    rows(2000, 1).to_csv(tmp_path / "fine.csv", index=False)
    rows(2000, 2, drifted=True).to_csv(tmp_path / "bad.csv", index=False)
    rows(2000, 2, drifted=True).to_parquet(tmp_path / "bad.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODELWATCH_CONFIG", raising=False)
    return tmp_path


OPTIONS = ("--predictions", "score", "--timestamps", "at", "--exclude", "user")


@pytest.mark.parametrize("reference", ["before.csv", "before.parquet", "profile.json"])
def test_the_exit_code_tells_drift_from_none(desk: Path, command: Command, reference: str) -> None:
    clean = command("drift", "check", "fine.csv", "--reference", reference, *OPTIONS)
    assert (clean.code, clean.err) == (0, "")
    assert "no drift" in clean.out
    bad = command("drift", "check", "bad.csv", "--reference", reference, *OPTIONS)
    assert (bad.code, bad.err) == (1, "")
    assert "1 of 3 inputs drifted: km (mean -0.56 sd" in bad.out
    assert f"reference: {reference}" in bad.lines[2]


def test_the_kind_of_file_makes_no_difference(desk: Path, command: Command) -> None:
    told = [
        json.loads(command("drift", "check", data, "--reference", "profile.json", *OPTIONS, "--format", "json").out)
        for data in ("bad.csv", "bad.parquet")
    ]
    assert told[0]["details"] == told[1]["details"]


def test_json_is_what_compare_finds(desk: Path, command: Command) -> None:
    ran = command("drift", "check", "bad.parquet", "--reference", "before.parquet", *OPTIONS, "--format", "json")
    found = compare(rows(4000, 0), rows(2000, 2, drifted=True), predictions="score", timestamps="at", exclude=["user"])
    told = json.loads(ran.out)
    assert told == {"data": "bad.parquet", "reference": "before.parquet", **found.to_dict()}
    assert list(told["details"]) == ["data", "prediction", "multivariate"]


def test_a_join_on_the_wrong_key_is_found_in_a_file_that_is_read_in_pieces(desk: Path, command: Command) -> None:
    rng = np.random.default_rng(4)
    km = rng.lognormal(1.5, 0.5, 50_000)
    price = 2.0 * km + rng.normal(0, 1, len(km))
    pd.DataFrame({"km": km, "price": price}).to_parquet("rides.parquet")
    pd.DataFrame({"km": km, "price": rng.permutation(price)}).to_parquet("joined.parquet", row_group_size=7_000)
    assert command("drift", "check", "rides.parquet", "--reference", "rides.parquet").code == 0
    ran = command("drift", "check", "joined.parquet", "--reference", "rides.parquet", "--format", "json")
    told = json.loads(ran.out)
    assert (ran.code, told["drift_types"], told["severity"]) == (1, ["multivariate"], "warning")
    assert told["details"]["multivariate"]["pairs"][0]["features"] == ["km", "price"]
    assert told["rows"] == 50_000
    assert 10_000 <= told["details"]["multivariate"]["n"] <= 20_000, "as many rows as are kept"


def test_a_code_in_a_csv_is_read_as_the_reference_reads_it(desk: Path, command: Command) -> None:
    ran = command(
        "drift", "check", "fine.csv", "--reference", "before.csv", "--categorical", "code", "--exclude", "user"
    )
    assert ran.code == 0
    ran = command("drift", "check", "fine.csv", "--reference", "profile.json", *OPTIONS)
    assert ran.code == 0


def test_a_report_goes_to_a_file_and_a_line_says_so(desk: Path, command: Command) -> None:
    for form, name in (("junit", "drift.xml"), ("html", "drift.html"), ("json", "drift.json"), ("text", "drift.txt")):
        ran = command(
            "drift", "check", "bad.csv", "--reference", "profile.json", *OPTIONS, "--format", form, "--out", name
        )
        assert ran.code == 1
        assert ran.lines[0].startswith("DRIFT (error) · ads: 1 of 3 inputs drifted")
        assert ran.lines[1] == f"written to {name}"
        assert (desk / name).read_text(encoding="utf-8").endswith("\n")
    assert ElementTree.parse(desk / "drift.xml").getroot().get("failures") == "1"
    assert "<svg" in (desk / "drift.html").read_text(encoding="utf-8")


def test_the_same_files_give_the_same_report(desk: Path, command: Command) -> None:
    for form in ("text", "json", "junit", "html"):
        one, two = (
            command("drift", "check", "bad.csv", "--reference", "before.csv", *OPTIONS, "--format", form).out
            for _ in range(2)
        )
        assert one == two


def test_from_where_on_it_counts_can_be_said(desk: Path, command: Command) -> None:
    ran = command("drift", "check", "bad.csv", "--reference", "profile.json", *OPTIONS, "--min-severity", "critical")
    assert ran.code == 0
    ran = command(
        "drift", "check", "bad.csv", "--reference", "profile.json", *OPTIONS, "--false-alarm-rate", "1/100000"
    )
    assert ran.code == 1


def test_the_thresholds_and_exclusions_of_a_model_hold(desk: Path, command: Command) -> None:
    (desk / "models.yaml").write_text(
        "models:\n  - {model_id: ads, features: {exclude: [km, gone]}}\n"
        "  - {model_id: lax, drift: {thresholds: {warning: 0.6, error: 0.7, critical: 0.8}}}\n"
    )
    for model, code in (("ads", 0), ("lax", 0), ("", 1)):
        given = ("--model", model) if model else ()
        assert command("drift", "check", "bad.csv", "--reference", "profile.json", *OPTIONS, *given).code == code
    wrong = command("drift", "check", "bad.csv", "--reference", "profile.json", *OPTIONS, "--model", "axs")
    assert wrong.code == 2
    assert "ads" in wrong.err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("gone.csv", "--reference", "profile.json"), "gone.csv: can't be read"),
        (("fine.csv", "--reference", "gone.json"), "gone.json: can't be read"),
        (("fine.csv", "--reference", "gone.csv"), "gone.csv: can't be read"),
        (("fine.csv", "--reference", "broken.json"), "no JSON"),
        (("fine.xlsx", "--reference", "profile.json"), "give a file that ends in .csv"),
        (
            ("fine.csv", "--reference", "profile.json", "--predictions", "scor"),
            "no column 'scor' (did you mean 'score'?)",
        ),
        (
            ("fine.csv", "--reference", "before.csv", "--exclude", "users"),
            "no column 'users'|a column 'users' (did you",
        ),
        (("fine.csv", "--reference", "before.csv", "--timestamps", "city"), "is no ISO-8601 time"),
        (
            ("other.csv", "--reference", "profile.json"),
            "none of the reference's features: it has x, the reference has km",
        ),
        (("none.csv", "--reference", "profile.json"), "no rows"),
        (("fine.csv", "--reference", "few.csv"), "at least 100"),
        (("fine.csv", "--reference", "profile.json", "--out", "no/such/folder"), "can't be written"),
        (("fine.csv", "--reference", "profile.json", "--config", "models.yaml"), "--model"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(
    desk: Path, command: Command, argv: tuple[str, ...], message: str
) -> None:
    (desk / "broken.json").write_text("{")
    (desk / "other.csv").write_text("x\n1\n")
    (desk / "none.csv").write_text("km,city,code\n")
    (desk / "few.csv").write_text("km\n1\n2\n")
    ran = command("drift", "check", *argv)
    assert ran.code == 2
    assert any(part in ran.err for part in message.split("|"))
    assert ran.err.startswith("modelwatch: ")
    assert ran.err.count("\n") == 1


def test_a_wrong_argument_is_exit_code_2(desk: Path) -> None:
    for wrong in (("--false-alarm-rate", "3"), ("--format", "pdf"), ("--min-severity", "bad")):
        done = subprocess.run(
            [sys.executable, "-m", "modelwatch", "drift", "check", "fine.csv", "--reference", "profile.json", *wrong],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2
        assert wrong[0] in done.stderr
