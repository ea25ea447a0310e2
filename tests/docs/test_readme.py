"""Every command and snippet of the README runs, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwatch import ReferenceProfile, monitor
from modelwatch.config import load_config
from modelwatch.demo.servers import Server, free_port

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What runs elsewhere: `make demo` is tests/e2e/test_make.py; `make test` is what runs this test.
RUN_ELSEWHERE = {"make demo", "make test"}


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(README) if kind == language]


def commands() -> list[str]:
    return [line for block in blocks("bash") for line in block.splitlines() if line.strip()]


class Model:
    """Stands for the reader's own model."""

    def predict_proba(self, rows: Any) -> Any:
        score = 1 / (1 + np.exp(-np.asarray(rows, dtype=float)[:, 0]))
        return np.column_stack([1 - score, score])


class App:
    """Stands for the reader's own application."""

    def __init__(self) -> None:
        self.mounted: dict[str, Any] = {}

    def mount(self, path: str, app: Any) -> None:
        self.mounted[path] = app


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with what the README takes for granted: held-out data, and secrets as files."""
    rng = np.random.default_rng(1)
    held_out = pd.DataFrame({"bid": rng.normal(size=3000), "floor": rng.gamma(2.0, size=3000)})
    for name, rows in (("held_out.csv", held_out), ("today.csv", held_out[::2])):
        rows.assign(score=Model().predict_proba(rows.to_numpy())[:, 1]).to_csv(tmp_path / name)
    week = pd.read_csv(tmp_path / "held_out.csv").assign(at=pd.date_range("2026-03-02", periods=3000, freq="3min"))
    week.to_csv(tmp_path / "week.csv", index=False)
    ReferenceProfile.build(held_out, Model().predict_proba(held_out.to_numpy())[:, 1]).save(
        tmp_path / "last_month.json"
    )
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "slack_url").write_text("http://127.0.0.1:1/services/x")
    (tmp_path / "secrets" / "smtp").write_text("password")
    (tmp_path / "models.yaml").write_text(blocks("yaml")[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_python_snippet_runs(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(desk))
    snippets = blocks("python")
    held_out = pd.read_csv(desk / "held_out.csv")[["bid", "floor"]]
    heard: list[dict[str, Any]] = []
    names: dict[str, Any] = {
        "model": Model(),
        "to_row": lambda features: [[features["bid"], features["floor"]]],
        "held_out": held_out,
        "row": {"bid": 0.3, "floor": 1.2},
        "np": np,
        "pd": pd,
        "app": App(),
        "my_email_handler": heard.append,
    }
    # The profile comes second in the README and first in life; port 9100 may be taken on this machine.
    build = next(i for i, s in enumerate(snippets) if "ReferenceProfile.build" in s)
    ordered = [snippets[build], *snippets[:build], *snippets[build + 1 :]]
    try:
        for snippet in ordered:
            exec(compile(snippet.replace("9100", "0"), "README.md", "exec"), names)
            if "def predict(" in snippet:
                assert 0 < names["predict"]({"bid": 0.3, "floor": 1.2}) < 1
                assert monitor.flush()
            if "def predict_many(" in snippet:
                ads = held_out[:2].assign(country=["NL", "DE"])
                assert names["predict_many"](ads, ["a", "b"]).shape == (2, 2)
                assert monitor.last_prediction_id() == "b"
            if "as call:" in snippet:
                assert 0 < names["call"].prediction < 1
                assert monitor.last_prediction_id() != "b"
        assert (desk / "profile.json").is_file()
        assert "LIMITED" in capsys.readouterr().out
        assert names["answer"]["status"] == "success"
        assert b'modelwatch_predictions_total{model_id="ad_score_model_v1"' in names["metrics"]()
        assert [callable(app) for app in names["app"].mounted.values()] == [True]
    finally:
        monitor.close()


def ends_by_itself(command: str) -> bool:
    return not command.startswith("modelwatch sidecar")


@pytest.mark.parametrize("command", [c for c in commands() if c not in RUN_ELSEWHERE and ends_by_itself(c)])
def test_every_command_runs(command: str, desk: Path, require_server: Callable[[str], str]) -> None:
    assert command.startswith("modelwatch "), f"a command that no test runs: {command}"
    for later, earlier in (
        ("reference (show|diff)|drift check|backtest", "reference build"),
        ("rules check|rules test", "rules generate"),
    ):
        if re.search(later, command):
            first = next(c for c in commands() if earlier in c)
            subprocess.run(_argv(first), check=True, capture_output=True, timeout=60)
    if "rules test" in command:
        require_server("promtool")
    done = subprocess.run(_argv(command), capture_output=True, text=True, timeout=120, check=False)
    # On this desk nothing runs that a doctor could find well.
    assert done.returncode == (1 if "doctor" in command else 0), done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("number", range(len(blocks("yaml"))))
def test_every_configuration_is_right(desk: Path, number: int) -> None:
    (desk / "snippet.yaml").write_text(blocks("yaml")[number])
    assert load_config(desk / "snippet.yaml").models or "alerting" in blocks("yaml")[number]


def test_the_number_of_alerts_is_that_of_the_runbooks() -> None:
    pages = [page for page in (ROOT / "docs" / "runbooks").glob("*.md") if page.stem != "README"]
    assert len(pages) == 22
    assert "**Twenty-two alerts, one [runbook]" in README


def test_the_sidecar_command_starts_serves_and_stops(desk: Path) -> None:
    (command,) = [c for c in commands() if not ends_by_itself(c)]
    port = free_port()
    argv = [word.replace("9877", str(port)) for word in _argv(command)]
    environment = {**os.environ, "MODELWATCH_STORAGE": str(desk / "storage")}
    ready = f"http://127.0.0.1:{port}/-/ready"
    with Server("sidecar", argv, desk / "sidecar.log", ready, env=environment) as sidecar:
        sidecar.wait_ready(30)
    assert "Traceback" not in (desk / "sidecar.log").read_text()


def _argv(command: str) -> list[str]:
    return [sys.executable, "-m", *shlex.split(command)]


def test_the_two_commands_exist_and_the_gate_calls_the_test_command_and_nothing_else() -> None:
    assert set(commands()) >= RUN_ELSEWHERE
    for target in ("demo", "test"):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
    gate = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make ")]
    assert gate == ["make test"]


def test_pictures_and_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_routing_table_says_what_the_policy_does() -> None:
    from modelwatch.config.alerting import RECEIVER_TYPES
    from modelwatch.policy import channels_for

    named: list[str] = []
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        channels = cells[0].lower().split(", ")
        if len(cells) == 5 and set(channels) <= set(RECEIVER_TYPES):
            named += channels
            for severity, told in zip(("info", "warning", "error", "critical"), cells[1:], strict=True):
                policy = channels_for(severity, RECEIVER_TYPES, {}, {})
                assert [channel in policy for channel in channels] == [told == "yes"] * len(channels)
    assert sorted(named) == sorted(RECEIVER_TYPES)
