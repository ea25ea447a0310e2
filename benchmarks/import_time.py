"""What it costs to import modelwatch and decorate a function, beside the libraries that it stands on.

Run it from the repository, with modelwatch installed::

    python benchmarks/import_time.py                 # prints a table
    python benchmarks/import_time.py --json out.json # and writes the same as JSON
    python benchmarks/import_time.py --quick         # few rounds, for a look

The peer imports numpy, prometheus_client, pydantic and yaml, all of which any service of this kind loads. Beside it
stands what the first prediction costs, which makes the default service and imports what that needs. Every measurement
is a fresh interpreter that times itself; they take turns, so that what slows the machine slows all. The start of Python
itself is not counted. Times depend on the machine: compare the ratios of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CLOCK = "import time; begin = time.perf_counter()\n{}\nprint(time.perf_counter() - begin)"
PEER = "import numpy, prometheus_client, pydantic, yaml"
OURS = """
from modelwatch import monitor

@monitor("ad_score")
def predict(features: dict) -> float:
    return 0.5
"""
FIRST = f"""{OURS}
predict({{"bid": 0.4}})
"""
ROUNDS, QUICK_ROUNDS = 31, 3


def seconds(code: str, environment: dict[str, str]) -> float:
    """Run code in a fresh interpreter; return how long it says that it took."""
    argv = [sys.executable, "-c", CLOCK.format(code)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


def measure(rounds: int) -> dict[str, float]:
    """Return the medians in milliseconds, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment = kept | {"PYTHONPYCACHEPREFIX": f"{folder}/compiled", "MODELWATCH_STORAGE": f"{folder}/storage"}
        for code in (PEER, FIRST):  # now compiled modules are written, for all alike
            seconds(code, environment)
        times = [[seconds(code, environment) for code in (PEER, OURS, FIRST)] for _ in range(rounds)]
    peer, ours, first = (statistics.median(column) for column in zip(*times, strict=True))
    return {
        "peer_ms": peer * 1000,
        "modelwatch_ms": ours * 1000,
        "with_first_prediction_ms": first * 1000,
        "ratio": ours / peer,
        "ratio_with_first_prediction": first / peer,
        "rounds": rounds,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="import and decoration, beside the libraries below")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    found = measure(QUICK_ROUNDS if options.quick else ROUNDS)
    print(f"numpy + prometheus_client + pydantic + yaml  {found['peer_ms']:8.1f} ms")
    for name, ms, ratio in (
        ("modelwatch, one function decorated", "modelwatch_ms", "ratio"),
        ("… and the first prediction made", "with_first_prediction_ms", "ratio_with_first_prediction"),
    ):
        print(f"{name:44} {found[ms]:8.1f} ms   ratio {found[ratio]:.2f}")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
