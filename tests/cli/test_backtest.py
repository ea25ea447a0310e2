"""`modelwatch backtest`: of what is stored or of a file, with YAML that does what it says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from modelwatch import ProductionMonitoringService, ReferenceProfile

Command = Callable[..., Any]
DAY = 86400.0
FAULT = (2.0, 3.0)
"""From which day to which the fares are others."""
ROWS_AN_HOUR = 150
DAYS = 6


def rows(count: int, seed: int, at: Any = None) -> pd.DataFrame:
    """Rows; those of the faulty day, by `at` in days, with other fares."""
    rng = np.random.default_rng(seed)
    fare = rng.gamma(2.0, 50.0, count)
    made: pd.DataFrame = pd.DataFrame(
        {
            "fare <b>": fare if at is None else np.where((at >= FAULT[0]) & (at < FAULT[1]), fare * 1.4, fare),
            "code": rng.choice(["007", "42"], count),
            "score": rng.beta(2.0, 5.0, count),
        }
    )
    return made


def recorded_days() -> Any:
    rng = np.random.default_rng(3)
    return np.sort(rng.random(ROWS_AN_HOUR * 24 * DAYS)) * DAYS


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODELWATCH_CONFIG", raising=False)
    before = rows(8000, 0)
    ReferenceProfile.build(before[["fare <b>", "code"]], predictions=before["score"], model_id="fares").save(
        "profile.json"
    )
    return tmp_path


@pytest.fixture
def week(desk: Path) -> Path:
    """A file of some days with a fault on one of them."""
    at = recorded_days()
    table = rows(len(at), 1, at).assign(at=pd.Timestamp("2026-03-02") + pd.to_timedelta(at, unit="D"))
    table.to_parquet(desk / "week.parquet")
    table.to_csv(desk / "week.csv", index=False)
    return desk


@pytest.fixture
def stored(desk: Path) -> Path:
    """The same in a storage, up to now, by an application that is gone."""
    at = recorded_days()
    table = rows(len(at), 1, at)
    times = time.time() - DAYS * DAY + at * DAY
    with ProductionMonitoringService(storage_path=desk / "storage", background=False) as service:
        service.register_model({"model_id": "fares", "reference": str(desk / "profile.json"), "log_predictions": False})
        answer = service.record_predictions(
            "fares", table.pop("score").to_numpy(), table, timestamps=times.tolist(), model_version="3"
        )
        assert answer["status"] == "success", answer
        service.flush()
    return desk


FILE = ("--timestamps", "at", "--predictions", "score", "--reference", "profile.json")


@pytest.mark.parametrize("data", ["week.parquet", "week.csv"])
def test_a_file_is_checked_as_it_would_have_been(week: Path, command: Command, data: str) -> None:
    ran = command("backtest", "--data", data, *FILE)
    assert (ran.code, ran.err) == (1, "")
    assert ran.lines[0].startswith("fares: 1 alarm in 144 checks, 2026-03-02 01:00 UTC to 2026-03-08 00:00 UTC")
    assert any(re.match(r"fare <b> ·+░+·+$", line) for line in ran.lines)
    assert any(line.startswith("warning 2026-03-04") and "fare <b>, 24h window" in line for line in ran.lines)
    assert any("mean +" in line for line in ran.lines)


def told_yaml(out: str) -> dict[str, Any]:
    text = out[out.index("  models:") :]
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_the_yaml_of_a_file_makes_its_alarms_vanish(week: Path, command: Command) -> None:
    first = command("backtest", "--data", "week.parquet", *FILE)
    pasted = told_yaml(first.out)
    assert list(pasted["models"][0]["drift"]["tolerance"]) == ["fare <b>"]
    (week / "models.yaml").write_text(yaml.safe_dump(pasted))
    again = command("backtest", "--data", "week.parquet", *FILE, "--config", "models.yaml")
    assert again.code == 0
    assert "no alarm" in again.lines[0]
    quiet = command("backtest", "--data", "week.parquet", *FILE, "--model", "fares")
    assert quiet.code == 0


def test_the_yaml_of_a_stored_model_makes_its_alarms_vanish(stored: Path, command: Command) -> None:
    first = command("backtest", "--model", "fares", "--storage", "storage", "--since", "6d")
    assert (first.code, first.err) == (1, "")
    assert first.lines[0].startswith("fares (version 3): 1 alarm in ")
    pasted = told_yaml(first.out)
    (stored / "models.yaml").write_text(yaml.safe_dump(pasted))
    again = command("backtest", "--model", "fares", "--storage", "storage", "--since", "6d", "--config", "models.yaml")
    assert (again.code, again.err) == (0, "")


def test_what_is_stored_and_the_file_of_it_give_the_same_alarms(stored: Path, command: Command) -> None:
    at = recorded_days()
    begin = time.time() - DAYS * DAY
    rows(len(at), 1, at).assign(at=begin + at * DAY).to_parquet("same.parquet")
    told = [
        json.loads(command("backtest", *source, "--format", "json").out)
        for source in (("--model", "fares", "--storage", "storage"), ("--data", "same.parquet", *FILE))
    ]
    (mine,), (theirs,) = told[0]["alarms"], told[1]["alarms"]
    assert (mine["features"], mine["severity"], mine["window"]) == (
        theirs["features"],
        theirs["severity"],
        theirs["window"],
    )
    assert abs(mine["checks"] - theirs["checks"]) <= 2


def test_a_tolerance_can_be_tried(week: Path, command: Command) -> None:
    assert command("backtest", "--data", "week.parquet", *FILE, "--tolerance", "fare <b>=0.4").code == 0
    assert command("backtest", "--data", "week.parquet", *FILE, "--exclude", "fare <b>").code == 0
    assert command("backtest", "--data", "week.parquet", *FILE, "--tolerance", "fare <b>=0.06").code == 1


def test_a_part_of_the_time_can_be_looked_at(week: Path, command: Command) -> None:
    ran = command("backtest", "--data", "week.parquet", *FILE, "--until", "2026-03-04")
    assert ran.code == 0
    assert "to 2026-03-04 00:00 UTC" in ran.lines[0]
    ran = command(
        "backtest", "--data", "week.parquet", *FILE, "--since", "2026-03-06T12:00", "--timezone", "Europe/Rome"
    )
    assert "2026-03-06 12:00 CET to" in ran.lines[0]


def test_the_report_goes_to_a_file_in_the_format_of_its_name(week: Path, command: Command) -> None:
    for name in ("out.html", "out.json", "out.txt"):
        ran = command("backtest", "--data", "week.parquet", *FILE, "--out", name)
        assert ran.lines[-1] == f"written to {name}"
    page = (week / "out.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "fare &lt;b&gt;" in page
    assert "<b>," not in page
    for never in ("<script", "http://", "https://", "url(", "<link", "<img"):
        assert never not in page
    told = json.loads((week / "out.json").read_text(encoding="utf-8"))
    assert told["alarms"][0]["features"] == ["fare <b>"]
    assert told["silent"]
    assert (week / "out.txt").read_text(encoding="utf-8").splitlines()[0].startswith("fares: 1 alarm")


def test_the_same_file_gives_the_same_report(week: Path, command: Command) -> None:
    for form in ("text", "json", "html"):
        one, two = (command("backtest", "--data", "week.parquet", *FILE, "--format", form).out for _ in range(2))
        assert one == two


def trips(count: int, seed: int, at: Any = None) -> pd.DataFrame:
    """Prices go with distances; on the faulty day they are those of other trips."""
    rng = np.random.default_rng(seed)
    km = rng.lognormal(1.5, 0.5, count)
    price = 2.0 * km + rng.normal(0.0, 1.0, count)
    if at is not None:
        faulty = (at >= FAULT[0]) & (at < FAULT[1])
        price[faulty] = rng.permutation(price[faulty])
    made: pd.DataFrame = pd.DataFrame({"km": km, "price": price, "age": rng.normal(40.0, 9.0, count)})
    return made


@pytest.mark.parametrize("log", [True, False], ids=["rows are stored", "rows are not stored"])
def test_inputs_that_no_longer_go_together_are_an_alarm_where_there_are_rows(
    desk: Path, command: Command, log: bool
) -> None:
    ReferenceProfile.build(trips(8000, 0), model_id="trips").save("trips.json")
    at = recorded_days()
    begin = time.time() - DAYS * DAY
    table = trips(len(at), 1, at)
    table.assign(at=begin + at * DAY).to_parquet("trips.parquet")
    with ProductionMonitoringService(storage_path=desk / "storage", background=False) as service:
        reference = str(desk / "trips.json")
        service.register_model({"model_id": "trips", "reference": reference, "log_predictions": log})
        scores = np.random.default_rng(5).beta(2.0, 5.0, len(at))
        service.record_predictions("trips", scores, table, timestamps=(begin + at * DAY).tolist())
        service.flush()
    of_file = command("backtest", "--data", "trips.parquet", "--timestamps", "at", "--reference", "trips.json")
    of_store = command("backtest", "--model", "trips", "--storage", "storage", "--since", "6d")
    for ran in (of_file, of_store) if log else (of_file,):
        assert (ran.code, ran.err) == (1, "")
        assert "1 alarm in " in ran.lines[0]
        assert any(line.startswith("inputs together ·") for line in ran.lines)
        assert any("km, price, 24h window" in line for line in ran.lines)
        assert any("no longer go together as they did: km and price (correlation 0.9" in line for line in ran.lines)
        assert any("no tolerance to set; renew the reference" in line for line in ran.lines)
        assert "paste into" not in ran.out
        assert "not looked at" not in ran.out
    if not log:
        assert of_store.code == 0
        assert "not looked at: how inputs go together (no rows are stored)" in of_store.lines


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "say what to check: --model ID of what is stored, or --data FILE"),
        (("--model", "fares", "--storage", "nowhere"), "there is no store in"),
        (("--data", "week.csv"), "--data needs --timestamps"),
        (("--data", "week.csv", "--timestamps", "at"), "--data needs --reference"),
        (("--data", "gone.csv", *FILE), "gone.csv: can't be read"),
        (("--data", "week.csv", "--timestamps", "att", *FILE[4:]), "no column 'att' (did you mean 'at'?)"),
        (("--data", "week.csv", "--timestamps", "code", *FILE[4:]), "is no ISO-8601 time|no row has a time"),
        (("--data", "week.csv", *FILE, "--since", "yesterday"), "--since must be a duration such as 14d"),
        (("--data", "week.csv", *FILE, "--since", "2026-03-05", "--until", "2026-03-04"), "must lie before --until"),
        (("--data", "week.csv", *FILE, "--tolerance", "fair=0.2"), "no feature 'fair'"),
        (("--data", "week.csv", *FILE, "--storage", "x"), "--storage goes with what is stored"),
        (("--data", "other.csv", *FILE[:2], *FILE[4:]), "none of the reference's features"),
        (("--model", "fares", "--timestamps", "at"), "--timestamps goes with --data"),
    ],
)
def test_a_mistake_is_a_sentence(week: Path, command: Command, argv: tuple[str, ...], message: str) -> None:
    (week / "other.csv").write_text("x,at\n1,2026-03-02\n")
    ran = command("backtest", *argv)
    assert ran.code == 2
    assert any(part in ran.err for part in message.split("|"))
    assert ran.err.startswith("modelwatch: ")
    assert ran.err.count("\n") == 1


def test_mistakes_about_what_is_stored_are_sentences(stored: Path, command: Command) -> None:
    for argv, message in (
        (("--model", "fairs"), "'fares'"),
        (("--model", "fares", "--version", "4"), "version '4' of fares: nothing was counted"),
        (("--model", "fares", "--since", "1h", "--until", "2d"), "must lie before"),
    ):
        ran = command("backtest", *argv, "--storage", "storage")
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
