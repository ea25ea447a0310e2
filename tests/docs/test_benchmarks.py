"""Benchmarks run as their docstrings say, and compare like with like."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_reading_the_history_is_measured_beside_the_same_points_one_row_each(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    argv = [sys.executable, "benchmarks/metrics_history.py", "--days", "2", "--rounds", "1", "--json", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["same_points"] is True
    assert found["points"]["latency_ms"] == 2 * 1440
    assert all(row["ratio"] > 0 for row in found["results"].values())
    assert "ratio = peer / ours" in done.stdout


def test_generating_rules_is_measured_beside_writing_the_same_documents(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    argv = [sys.executable, "benchmarks/rules_generation.py", "--models", "1", "7", "--rounds", "1", "--json", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())
    assert [row["models"] for row in rows] == [1, 7]
    assert all(row["ratio"] > 0 and row["seconds"] > 0 for row in rows)
    assert "PyYAML alone" in done.stdout


def test_recording_is_measured_beside_prometheus_client_in_turns(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    argv = [sys.executable, "benchmarks/recording.py", "--quick", "--json", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert {"empty call", "all in, with store", "prometheus naive", "prometheus multiprocess"} <= set(
        found["costs"]["25"]
    )
    assert all(cost["ns"] > 0 for group in found["costs"].values() for cost in group.values())
    assert {target["group"] for target in found["targets"]} == {"25", "100", "batch"}
    assert "medians of 2 rounds" in done.stdout


def test_the_latency_of_answers_is_measured_with_a_recorder_and_without(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    argv = [sys.executable, "benchmarks/latency.py", "--quick", "--only", "numpy, 10 000", "--json", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(out.read_text())["results"].values()
    assert set(found["ratios"]) == {"modelwatch", "prometheus naive"}
    assert all(low <= mid <= high for mid, low, high in found["ratios"]["modelwatch"].values())


def test_importing_and_decorating_is_measured_beside_the_libraries_below(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    argv = [sys.executable, "benchmarks/import_time.py", "--quick", "--json", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["rounds"] == 3
    assert found["ratio"] == found["modelwatch_ms"] / found["peer_ms"] > 0
    assert found["with_first_prediction_ms"] > found["modelwatch_ms"]
    assert "one function decorated" in done.stdout


def test_a_scrape_is_measured_beside_prometheus_client_writing_the_same_text(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    argv = [sys.executable, "benchmarks/exposition.py", "--quick", "--json", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["results"]
    for measured in (found["text"]["1000"], found["scrape"]["1000"]):
        assert measured["same_text"] is True
        assert measured["series"] > 500
        assert all(cost["ms"] > 0 for cost in measured["costs"].values())
    assert "multiprocess mode" in done.stdout


def test_scoring_many_models_is_measured_beside_a_loop_over_scipy_and_one_check_by_itself(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    argv = [sys.executable, "benchmarks/drift.py", "--quick", "--json", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["about"]["models"] == 100
    costs = {name: cost["ns"] for name, cost in found["results"]["statistics"].items()}
    # A loop is slower by two orders of magnitude: with a busy machine still by one.
    assert costs["scipy, chi2_contingency"] > 10 * costs["modelwatch, two_gate"] > 0
    assert {"modelwatch, psi", "modelwatch, wasserstein", "scipy, ks_2samp on the values"} <= set(costs)
    assert [target["target"] for target in found["targets"]] == ["<= 100", "<= 20", "<= 1000", "<= 1000", "< 1000"]
    assert len(found["results"]["rule"]) == 3
    assert all(section in done.stdout for section in ("A check of 100 features", "The rule, on models of 50 features"))


def test_the_page_on_performance_names_what_make_bench_runs_and_what_is_run_here() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line]
    recipe = subprocess.run(["make", "-n", "bench"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    scripts = re.findall(r"benchmarks/\w+\.py(?= --)", recipe)
    assert len(scripts) == 5
    assert commands == ["make bench", *(f"python {script} --quick" for script in scripts)]
    here = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{script}", "--quick"' in here for script in scripts)


def test_the_page_on_alarms_names_what_make_quality_runs() -> None:
    page = (ROOT / "docs" / "alarm-quality.md").read_text(encoding="utf-8")
    recipe = subprocess.run(["make", "-n", "quality"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "make quality" in page
    assert re.findall(r"^python (benchmarks/\S+\.py)", page, re.MULTILINE) == ["benchmarks/alarm_quality.py"] * 2
    assert "benchmarks/alarm_quality.py --peers" in recipe
    assert not re.search(r"@[A-Z0-9]+@|TODO", page)
