"""How much later the answers of a 200 µs predict come when they are recorded: median, p99 and p99.9.

Run it on a machine that does nothing else, from the repository, with modelwatch installed::

    python benchmarks/latency.py                  # prints a table
    python benchmarks/latency.py --json out.json  # and writes the same as JSON
    python benchmarks/latency.py --rounds 40 --seconds 3
    python benchmarks/latency.py --quick

A thread on one core answers at a steady rate (or as fast as it can); the recorder's thread has another core. Each round
serves without a recorder, with it, and with `prometheus_client` as most people use it, each for some seconds, and gives
one ratio of each quantile; shown is the median over rounds and its 95 % interval by bootstrap. *numpy* predicts work
outside the interpreter's lock for 180 of their 200 µs, *python* ones hold it. Where five rows are recorded per predict,
they are 10 000 rows a second.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelwatch import ProductionMonitoringService, ReferenceProfile
from peers import prometheus_naive
from workload import MODEL, Workload, print_table, workload, write_json

QUANTILES = (0.5, 0.99, 0.999)
PREDICT_SECONDS = 200e-6
Predict = Callable[[], None]


@dataclass(frozen=True)
class Scenario:
    """How a predict works, how often it is asked (0: without a break), and how many rows of it are recorded."""

    name: str
    kind: str
    per_second: int
    rows: int


SCENARIOS = (
    Scenario("numpy, 1 000 rows/s", "numpy", 1000, 1),
    Scenario("numpy, 10 000 rows/s", "numpy", 2000, 5),
    Scenario("numpy, saturated", "numpy", 0, 1),
    Scenario("python, 1 000 rows/s", "python", 1000, 1),
    Scenario("python, 10 000 rows/s", "python", 2000, 5),
)


def numpy_predict() -> Predict:
    """Return a predict of four numpy calls that take 45 µs each outside the interpreter's lock."""
    size = 1000
    while True:
        values = np.random.default_rng(1).random(size)
        out = np.empty_like(values)
        took = _median_time(lambda values=values, out=out: np.exp(values, out=out))  # type: ignore[misc]
        if took >= 45e-6:
            break
        size = int(size * max(1.05, min(2.0, 46e-6 / took)))

    def predict() -> None:
        for _ in range(4):
            np.exp(values, out=out)

    return predict


def python_predict() -> Predict:
    """Return a predict that computes in Python for 200 µs."""
    steps = 500
    while (took := _median_time(lambda steps=steps: _spin(steps))) < PREDICT_SECONDS:  # type: ignore[misc]
        steps = int(steps * max(1.02, min(2.0, PREDICT_SECONDS / took)))
    return lambda: _spin(steps)


def _spin(steps: int) -> None:
    total = 0.0
    for i in range(steps):
        total += i * 0.5


def _median_time(work: Callable[[], object]) -> float:
    times = []
    for _ in range(101):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return sorted(times)[50]


def serve(predict: Predict, record: Callable[[int], None] | None, scenario: Scenario, seconds: float) -> Any:  # noqa: ANN401
    """Answer for some seconds; return the latencies of all answers, in seconds."""
    latencies = []
    clock = time.perf_counter
    end = clock() + seconds
    step = 1.0 / scenario.per_second if scenario.per_second else 0.0
    due = clock()
    number = 0
    while due < end:
        while (left := due - clock()) > 0:  # asleep for most of it, then awake, as a request comes at its own time
            if left > 200e-6:
                time.sleep(left - 150e-6)
        began = clock()
        predict()
        if record is not None:
            record(number)
        latencies.append(clock() - began)
        number += 1
        due = due + step if step else clock()
    return np.array(latencies)


def recorders(
    work: Workload, service: ProductionMonitoringService, rows: int
) -> dict[str, Callable[[int], None] | None]:
    """Return who records, by name; None for nobody."""
    naive = prometheus_naive(work)
    count = len(work.rows)

    def ours(number: int) -> None:
        for i in range(number * rows, (number + 1) * rows):
            service.record_prediction(MODEL, work.scores[i % count], work.rows[i % count], latency_ms=0.2)

    def theirs(number: int) -> None:
        naive(rows)

    return {"nobody": None, "modelwatch": ours, "prometheus naive": theirs}


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Return the median of ratios and its 95 % interval by bootstrap."""
    rng = np.random.default_rng(3)
    medians = np.median(rng.choice(ratios, size=(4000, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(np.median(ratios)), float(low), float(high)


def measure(scenario: Scenario, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure one scenario."""
    work = workload(25, 1000)
    predict = numpy_predict() if scenario.kind == "numpy" else python_predict()
    with tempfile.TemporaryDirectory() as folder:
        service = ProductionMonitoringService(storage_path=folder, background=False)
        service.register_model({"model_id": MODEL, "task": "binary"})
        columns = {name: [row[name] for row in work.rows] for name in (*work.numeric, *work.categorical)}
        service.set_reference(MODEL, ReferenceProfile.build(columns, predictions=work.scores))
        service.record_prediction(MODEL, 0.5, work.rows[0])
        service.flush()
        pin()
        who = recorders(work, service, scenario.rows)
        found: dict[str, list[Any]] = {name: [] for name in who}
        for _ in range(rounds):
            for name, record in who.items():
                gc.collect()
                found[name].append(np.quantile(serve(predict, record, scenario, seconds), QUANTILES))
                service.flush()
        service.close()
    base = np.array(found["nobody"])
    return {
        "base_us": {f"p{100 * q:g}": float(v * 1e6) for q, v in zip(QUANTILES, np.median(base, axis=0), strict=True)},
        "ratios": {
            name: {
                f"p{100 * q:g}": interval(list((np.array(some) / base)[:, place])) for place, q in enumerate(QUANTILES)
            }
            for name, some in found.items()
            if name != "nobody"
        },
    }


def pin() -> None:
    """Give this thread the first core that the process may use, and all others of the process the rest."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return
    for thread in threading.enumerate():
        if thread.native_id is not None:
            mine = thread is threading.current_thread()
            os.sched_setaffinity(thread.native_id, {cores[0]} if mine else set(cores[1:]))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each of a round's parts serves")
    parser.add_argument("--only", help="scenarios whose names have this in them")
    parser.add_argument("--quick", action="store_true", help="two short rounds, to see that it runs")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    rounds, seconds = (2, 0.2) if options.quick else (options.rounds, options.seconds)
    chosen = [scenario for scenario in SCENARIOS if (options.only or "") in scenario.name]
    print(f"latency with a recorder / without, {rounds} rounds of {seconds:g} s: median [95 % interval]")
    results = {}
    rows = []
    for scenario in chosen:
        results[scenario.name] = found = measure(scenario, rounds, seconds)
        for name, ratios in found["ratios"].items():
            cells = [f"{mid:.3f} [{low:.3f}, {high:.3f}]" for mid, low, high in ratios.values()]
            rows.append((scenario.name, name, *cells))
    print_table(("", "recorder", *(f"p{100 * q:g}" for q in QUANTILES)), rows)
    about = {"rounds": rounds, "seconds": seconds, "python": platform.python_version(), "cores": os.cpu_count()}
    write_json(options.json, {"about": about, "results": results})


if __name__ == "__main__":
    main()
