"""`modelwatch reference build` and `show` work on files, and mistakes are sentences."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from modelwatch.cli import reference
from modelwatch.exceptions import ModelwatchError
from modelwatch.profile import ReferenceProfile


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


def test_show_prints_the_summary(data: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = ReferenceProfile.build(data[["age", "city"]])
    assert run("show", profile.save(tmp_path / "r.json")) == 0
    assert capsys.readouterr().out == profile.summary() + "\n"


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
