"""`modelwatch reference build` and `show` work on files, and mistakes are sentences."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from modelwatch.cli import reference
from modelwatch.cli.progress import watched
from modelwatch.exceptions import ModelwatchError
from modelwatch.profile import ReferenceProfile
from modelwatch.profile.files import open_table


def run(*argv: object) -> int:
    parser = argparse.ArgumentParser()
    reference.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["reference", *map(str, argv)])
    return int(args.func(args))


@pytest.fixture
def data(tmp_path: Path) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 300
    table: pd.DataFrame = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n),
            "city": rng.choice(["Rome", "Oslo"], n),
            "code": rng.choice(["007", "42"], n),
            "user": [f"user {i}" for i in range(n)],
            "score": rng.random(n),
            "label": rng.integers(0, 2, n),
            "at": pd.date_range("2026-01-01", periods=n, freq="h"),
        }
    )
    return table


COLUMNS = ("--predictions", "score", "--actuals", "label", "--timestamps", "at", "--exclude", "user", "--categorical")


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "csv.gz"])
def test_every_file_kind_gives_the_same_profile(
    kind: str, data: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / f"held_out.{kind}", tmp_path / "reference.json"
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pandas(data), source)
    else:
        data.to_csv(source, index=False, sep="\t" if kind == "tsv" else ",")
    assert run("build", source, *COLUMNS, "city,code", "--model-id", "ads", "--out", out) == 0
    profile = ReferenceProfile.load(out)
    expected = ReferenceProfile.build(
        data[["age", "city", "code"]], predictions=data["score"], timestamps=data["at"], categorical=["city", "code"]
    )
    assert profile.id == expected.id
    assert set(profile.member("code").categories) == {"007", "42"}
    assert (profile.days, profile.time_range, profile.labelled_rows) == (13, expected.time_range, 300)
    shown = capsys.readouterr().out
    assert profile.summary() in shown
    assert f"written to {out}" in shown


def test_show_prints_the_summary_and_what_cannot_alarm(
    data: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = ReferenceProfile.build(data[["age", "city"]].assign(country="IT"))
    assert run("show", profile.save(tmp_path / "r.json")) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(profile.summary() + "\n")
    assert "can't alarm" in shown
    assert [line.split("  ")[1] for line in shown.splitlines()[-1:]] == ["country"]
    assert "one category only in the reference ('IT')" in shown


def test_show_has_nothing_to_add_where_everything_can_alarm(
    data: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = ReferenceProfile.build(data[["age", "city"]])
    run("show", profile.save(tmp_path / "r.json"))
    assert capsys.readouterr().out == profile.summary() + "\n"


def test_diff_tells_what_lies_beyond_tolerance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    first = {"age": rng.normal(40, 10, 5000), "city": rng.choice(["Rome", "Oslo"], 5000), "old": rng.random(5000)}
    second = {"age": rng.normal(48, 10, 5000), "city": rng.choice(["Rome", "Oslo"], 5000)}
    a = ReferenceProfile.build(first).save(tmp_path / "a.json")
    b = ReferenceProfile.build(second, timezone="Europe/Rome", decision_threshold=0.3).save(tmp_path / "b.json")
    assert run("diff", a, b) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "decision threshold: 0.5 → 0.3" in lines
    assert "time zone: UTC → Europe/Rome" in lines
    (age,) = (line for line in lines if line.startswith("age shape"))
    assert age.startswith("age shape 0.3")
    assert " 0.05 beyond mean 39.95 → 48.05" in age
    assert "old only in the first beyond" in lines
    assert lines[-1] == "2 of 3 beyond tolerance, 1 alike"


def test_diff_of_the_same_is_no_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ReferenceProfile.build({"x": np.arange(5000.0)}).save(tmp_path / "a.json")
    assert run("diff", path, path) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 1 beyond tolerance, 1 alike"


def test_what_was_learnt_is_inherited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    n = 24 * 30
    frame = pd.DataFrame({"x": rng.normal(size=n), "at": pd.date_range("2026-01-01", periods=n, freq="h")})
    frame.to_csv(tmp_path / "month.csv", index=False)
    frame[:200].drop(columns="at").to_csv(tmp_path / "new.csv", index=False)
    run("build", tmp_path / "month.csv", "--timestamps", "at", "--strata", "none", "--out", tmp_path / "old.json")
    run("build", tmp_path / "new.csv", "--inherit", tmp_path / "old.json", "--out", tmp_path / "new.json")
    old, new = ReferenceProfile.load(tmp_path / "old.json"), ReferenceProfile.load(tmp_path / "new.json")
    assert old.strata is None
    assert (new.calibrated, new.natural_days) == (True, 30)
    assert "tolerances inherited" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_reading_has_come(data: pd.DataFrame, tmp_path: Path) -> None:
    data.to_csv(tmp_path / "data.csv", index=False)
    shown = Terminal()
    with watched(open_table(tmp_path / "data.csv"), shown) as table:
        profile = ReferenceProfile.build(table, "score", timestamps="at")
    assert profile.rows == 300
    assert "data.csv, reading 1" in shown.getvalue()


def test_whoever_pipes_sees_the_output_alone(
    data: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.to_csv(tmp_path / "data.csv", index=False)
    run("build", tmp_path / "data.csv", "--out", tmp_path / "r.json")
    assert capsys.readouterr().err == ""


def test_options_reach_the_profile(data: pd.DataFrame, tmp_path: Path) -> None:
    source, out = tmp_path / "d.csv", tmp_path / "r.json"
    data.to_csv(source, index=False)
    options = ("--bins", 12, "--decision-threshold", 0.25, "--task", "score", "--timezone", "Europe/Rome")
    run("build", source, "--predictions", "score", *options, "--model-version", "3", "--out", out)
    profile = ReferenceProfile.load(out)
    assert (profile.task, profile.timezone, profile.model_version) == ("score", "Europe/Rome", "3")
    assert profile.decision_threshold == 0.25
    assert 0.25 in profile.member("").edges
    assert profile.member("age").shape_size == 12


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("build", "missing.csv"), "missing.csv: can't be read: "),
        (("build", "data.xlsx"), "give a file that ends in .csv"),
        (("build", "broken.parquet"), "broken.parquet: can't be read"),
        (("build", "ragged.csv"), "ragged.csv: can't be read"),
        (("build", "twice.csv"), "two columns have the same name"),
        (("build", "empty.csv"), "empty.csv: can't be read"),
        (("build", "data.csv", "--predictions", "scor"), "no column 'scor' (did you mean 'score'?)"),
        (("build", "data.csv", "--exclude", "ages"), "did you mean 'age'"),
        (("build", "data.csv", "--categorical", "ages"), "did you mean 'age'"),
        (("build", "data.csv", "--bins", "3"), "from 10 to 64"),
        (("build", "data.csv", "--timestamps", "city"), "is no ISO-8601 time"),
        (("build", "small.csv"), "at least 100"),
        (("build", "data.csv", "--inherit", "data.csv"), "no JSON"),
        (("build", "data.csv", "--strata", "48"), "no timestamps"),
        (("diff", "missing.json", "missing.json"), "can't be read"),
        (("show", "missing.json"), "can't be read"),
        (("show", "data.csv"), "no JSON"),
        (("show", "data.csv"), "pass a profile, which `modelwatch reference build`"),
    ],
)
def test_a_mistake_is_a_sentence(
    argv: tuple[str, ...], message: str, data: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data.to_csv("data.csv", index=False)
    data[:50].to_csv("small.csv", index=False)
    Path("data.xlsx").write_bytes(b"PK")
    Path("broken.parquet").write_bytes(b"PAR1 and no more")
    Path("ragged.csv").write_text("a,b\n1,2\n1\n")
    Path("twice.csv").write_text("a,a\n1,2\n")
    Path("empty.csv").write_text("")
    with pytest.raises(ModelwatchError) as caught:
        run(*argv, *(("--out", "r.json") if argv[0] == "build" else ()))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("r.json").exists()
