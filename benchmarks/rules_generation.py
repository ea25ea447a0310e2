"""How long rules, their unit tests, routing and dashboards take to generate, beside PyYAML writing the same documents.

Run it from the repository, with modelwatch installed (it needs nothing else)::

    python benchmarks/rules_generation.py                 # prints a table
    python benchmarks/rules_generation.py --json out.json # and writes the same as JSON
    python benchmarks/rules_generation.py --models 1 50 --rounds 3

Every model has thresholds, an objective, channels of its own and a severity that differs. The peer is `yaml.safe_dump`
of all documents as they came out, so the ratio says what is spent on top of writing YAML. Both are measured in turn in
one process, the shortest of the rounds. Times depend on the machine: compare the ratios.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from modelwatch.config import MonitoringConfig
from modelwatch_grafana import write_dashboards
from modelwatch_rules.generate import Options, contents, generate

TEAMS = 6


def configuration(models: int) -> MonitoringConfig:
    """Return so many models of six teams."""
    receivers: dict[str, Any] = {
        f"team-{team}": {"type": "slack", "url_file": f"/run/secrets/{team}", "min_severity": "warning"}
        for team in range(TEAMS)
    }
    written = [
        {
            "model_id": f"model_{number}",
            "performance_threshold": {"auc": 0.8, "latency_ms": 50 + number, "error_rate": 0.01},
            "objective": {"error_rate": 0.001, "latency_ms": 100},
            "alert_channels": [f"team-{number % TEAMS}"],
            "severity": {"MLModelNoPredictions": "error" if number % 2 else "warning"},
        }
        for number in range(models)
    ]
    alerting = {"mode": "prometheus", "receivers": receivers, "quiet_hours": [{"times": ["22:00-07:00"]}]}
    return MonitoringConfig.model_validate({"models": written, "alerting": alerting})


def shortest(rounds: int, job: Callable[[], object]) -> float:
    """Return the seconds of the fastest of several runs."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        job()
        times.append(time.perf_counter() - begin)
    return min(times)


def measure(models: int, rounds: int) -> dict[str, float]:
    """Return what so many models cost."""
    config = configuration(models)
    documents = [
        yaml.load(text, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
        for name, text in contents(config, Options(environ={})).items()
        if name.endswith((".yml", ".yaml"))
    ]
    with tempfile.TemporaryDirectory() as folder:
        ours = shortest(rounds, lambda: generate(config, Path(folder), Options(environ={})))
        dashboards = shortest(rounds, lambda: write_dashboards(Path(folder) / "dashboards"))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    peer = shortest(rounds, lambda: [yaml.safe_dump(document, sort_keys=False) for document in documents])
    return {
        "models": models, "seconds": ours, "dashboards_seconds": dashboards, "peer_seconds": peer, "ratio": ours / peer,
        "megabytes": size / 1e6,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = [measure(models, args.rounds) for models in args.models]
    sys.stdout.write("models  generate  dashboards  PyYAML alone  ratio     size\n")
    for row in rows:
        sys.stdout.write(
            f"{row['models']:6.0f}  {row['seconds']:6.2f} s  {row['dashboards_seconds']:8.2f} s"
            f"  {row['peer_seconds']:10.2f} s  {row['ratio']:5.2f}  {row['megabytes']:4.1f} MB\n"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
