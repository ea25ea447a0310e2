"""What is promised about alarms holds: goals G1 to G8 of docs/alarm-quality.md, in part here, all by `make quality`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from modelwatch.profile import CellAssigner, ReferenceProfile
from quality.columns import State, columns, sample, shares
from quality.figures import Figure, table
from quality.subset import SUBSET

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("goal", SUBSET)
def test_a_part_of_the_goal_is_met(goal: str) -> None:
    figures = [figure for figure in SUBSET[goal]() if figure.limit is not None]
    assert figures
    missed = [figure for figure in figures if not figure.met]
    assert not missed, "\n" + table(missed)


@pytest.mark.parametrize(
    "state",
    [State(), State(mean=0.3, sd=1.2), State(missing=0.2, novel=0.01), State(moved=0.1)],
    ids=["none", "moved", "missing and novel", "categories"],
)
def test_counts_are_drawn_from_the_distribution_that_rows_have(state: State) -> None:
    """Else all figures would be about another world than the one they name."""
    rng, n = np.random.default_rng(8), 100_000
    those = [c for c in columns(8) if not state.moved or c.categories]
    layout = ReferenceProfile.build({c.name: sample(c, rng, 5000) for c in those}).layout
    seen = CellAssigner(layout).bin({c.name: sample(c, rng, n, state) for c in those}, n).cells
    for column, member, offset in zip(those, layout.features, layout.offsets, strict=True):
        expected = n * shares(column, member, state)[0]
        found = seen[offset : offset + member.size]
        assert found[expected == 0].sum() == 0
        some = expected > 5
        distance = ((found - expected)[some] ** 2 / expected[some]).sum()
        assert chi2.sf(distance, some.sum() - 1) > 1e-4, column.name


def test_a_goal_that_is_missed_is_told() -> None:
    kept = Figure("G1", "false alarms", 0.4, 0.5)
    assert (kept.met, Figure("G1", "false alarms", 0.6, 0.5).met) == (True, False)
    assert not Figure("G8", "share", 0.9, 1.0, at_least=True).met
    assert "MISSED" in table([Figure("G3", "delay", float("inf"), 18.0, "h")])


def test_the_command_measures_a_goal_and_writes_it_down(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "benchmarks/alarm_quality.py", "--goals", "G7", "--json", str(out)],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (figure,) = json.loads(out.read_text(encoding="utf-8"))["figures"]
    assert figure["goal"] == "G7"
    assert figure["met"] is True
    assert "all goals met" in done.stdout
