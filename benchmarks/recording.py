"""What recording a prediction costs: on the request path, and all in; beside prometheus_client, boxkite and whylogs.

Run it from the repository, with modelwatch installed::

    python benchmarks/recording.py                  # beside prometheus_client; prints tables
    python benchmarks/recording.py --json out.json  # and writes the same as JSON
    python benchmarks/recording.py --peers PYTHON   # beside boxkite and whylogs, which PYTHON has installed
    python benchmarks/recording.py --quick

``make bench`` makes that environment too. One row has 25 (or 100) features, of which a fifth (a tenth) are categories,
a score and a latency, with everything on: id, sampling, model look-up, bounds, answer. *Request path* is the time of
the call. *All in* adds all work that the background does for it, done here in the same thread: 8 000 rows, drained
every 2 000, then flushed, as on a server that is asked so often a second. *As served* leaves the background to its
thread: the processor time of both. Candidates take turns, those in processes of their own too. Times depend on the
machine: compare the ratios, which are medians over rounds with the middle 80 % behind them.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from modelwatch import ProductionMonitoringService, ReferenceProfile
from peers import ROWS, prometheus_cached, prometheus_naive
from workload import MODEL, Candidate, Cost, Workload, print_table, take_turns, timed, workload, write_json

PER_DRAIN, DRAINS = 2, 4
"""How often the 1 000 rows are recorded before the queue is drained, which the recorder's thread does at 2 048 rows;
and how often that is done before a flush, which it does once a second."""
BATCHES = 20
"""How many batches of 1 000 rows are recorded before a flush."""
HERE = Path(__file__).resolve().parent
ELSEWHERE = {"boxkite": 300, "whylogs rows": 50, "whylogs frames": ROWS}
"""Peers of another environment, and how many rows of theirs make a round."""


def empty(
    model_id: str,
    prediction: object,
    features: object,
    actual: object = None,
    metadata: object = None,
    latency_ms: object = None,
    *,
    prediction_id: object = None,
    timestamp: object = None,
    segment: object = None,
    model_version: object = None,
    error: object = None,
    copy: bool = True,
) -> None:
    """Do nothing, with the arguments of record_prediction."""


class Recorded:
    """A service that records one model by a profile of the same features, with or without rows for the store."""

    def __init__(self, work: Workload, *, store: bool, thread: bool = True) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.service = ProductionMonitoringService(storage_path=self._folder.name, background=False)
        self.service.register_model({"model_id": MODEL, "task": "binary", "log_predictions": store})
        columns = {name: [row[name] for row in work.rows] for name in (*work.numeric, *work.categorical)}
        self.service.set_reference(MODEL, ReferenceProfile.build(columns, predictions=work.scores))
        self.engine = self.service._parts.recorder._engine
        self.engine._threaded = thread
        self.service.record_prediction(MODEL, 0.5, work.rows[0])
        self.service.flush()

    def close(self) -> None:
        """Stop, and forget everything."""
        self.service.close()
        self._folder.cleanup()


def calls(function: Callable[..., object], work: Workload, *, copy: bool) -> Callable[[], None]:
    """Return a loop over all rows."""

    def loop() -> None:
        for row, score in zip(work.rows, work.scores, strict=True):
            function(MODEL, score, row, latency_ms=3.2, copy=copy)

    return loop


def request_path(recorded: Recorded, work: Workload, *, copy: bool) -> Candidate:
    """Time the calls; what they left behind is done away with outside."""
    loop = calls(recorded.service.record_prediction, work, copy=copy)

    def run() -> float:
        cost = timed(loop, len(work.rows))
        assert recorded.service.flush()
        return cost

    return run


def all_in(recorded: Recorded, work: Workload, clock: Callable[[], int]) -> Candidate:
    """Time calls and flush; all in one thread, so that nothing is done at once and no time is counted twice."""
    loop = calls(recorded.service.record_prediction, work, copy=True)
    engine = recorded.engine

    def both() -> None:
        for drain in range(DRAINS):
            for _ in range(PER_DRAIN):
                loop()
            engine._cycle(flush=drain == DRAINS - 1)

    return lambda: timed(both, DRAINS * PER_DRAIN * len(work.rows), clock)


def served(recorded: Recorded, work: Workload, clock: Callable[[], int]) -> Candidate:
    """Time calls that the recorder's own thread works up at the same time, and a flush."""
    loop = calls(recorded.service.record_prediction, work, copy=True)

    def both() -> None:
        for _ in range(DRAINS * PER_DRAIN):
            loop()
        assert recorded.service.flush()

    return lambda: timed(both, DRAINS * PER_DRAIN * len(work.rows), clock)


def decorated(recorded: Recorded, work: Workload) -> Candidate:
    """Time calls of a decorated function that does nothing."""

    @recorded.service.monitor(MODEL)
    def predict(features: dict[str, Any]) -> float:
        return 0.5

    def loop() -> None:
        for row in work.rows:
            predict(row)

    def run() -> float:
        cost = timed(loop, len(work.rows))
        assert recorded.service.flush()
        return cost

    return run


@contextmanager
def elsewhere(name: str, python: str, features: int, rows: int) -> Iterator[Candidate]:
    """Start a peer in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "WHYLOGS_NO_ANALYTICS": "True"}
        if name == "prometheus multiprocess":
            environment["PROMETHEUS_MULTIPROC_DIR"] = folder
        argv = [python, str(HERE / "peers.py"), name, str(features)]
        peer = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert peer.stdin is not None
        assert peer.stdout is not None
        said = peer.stdout.readline().strip()
        if said != "ready":
            peer.kill()
            raise SystemExit(f"{name} can't be run by {python}: it said {said!r}")

        def run() -> float:
            assert peer.stdin is not None
            assert peer.stdout is not None
            peer.stdin.write(f"{rows}\n")
            peer.stdin.flush()
            return float(peer.stdout.readline())

        try:
            yield run
        finally:
            peer.communicate()


def single_rows(features: int, rounds: int, peers: str | None) -> dict[str, Cost]:
    """Measure rows recorded one by one."""
    work = workload(features, ROWS)
    light, full = Recorded(work, store=False, thread=False), Recorded(work, store=True, thread=False)
    alone = Recorded(work, store=True)
    naive, cached = prometheus_naive(work), prometheus_cached(work)
    candidates: dict[str, Candidate] = {
        "empty call": lambda: timed(calls(empty, work, copy=True), ROWS),
        "request path, by reference": request_path(alone, work, copy=False),
        "request path, snapshot": request_path(alone, work, copy=True),
        "request path, decorated": decorated(alone, work),
        "all in, without store": all_in(light, work, time.perf_counter_ns),
        "all in, without store, CPU": all_in(light, work, time.process_time_ns),
        "all in, with store": all_in(full, work, time.perf_counter_ns),
        "all in, with store, CPU": all_in(full, work, time.process_time_ns),
        "as served, with store, CPU": served(alone, work, time.process_time_ns),
        "prometheus naive": lambda: timed(lambda: naive(ROWS), ROWS),
        "prometheus cached": lambda: timed(lambda: cached(ROWS), ROWS),
    }
    with ExitStack() as stack:
        others = {"prometheus multiprocess": ROWS} if peers is None else {"prometheus multiprocess": ROWS, **ELSEWHERE}
        for name, rows in others.items():
            python = peers if name in ELSEWHERE and peers is not None else sys.executable
            candidates[name] = stack.enter_context(elsewhere(name, python, features, rows))
        costs = take_turns(candidates, rounds)
    for recorded in (light, full, alone):
        recorded.close()
    return costs


def batches(rounds: int) -> dict[str, Cost]:
    """Measure rows recorded 1 000 at a time, all in: an array of 20 numeric columns, and a frame of 25 features."""
    import pandas as pd
    from prometheus_client import CollectorRegistry, Histogram

    work = workload(25, ROWS)
    recorded = Recorded(work, store=False, thread=False)
    array = np.array([[row[name] for name in work.numeric] for row in work.rows])
    frame, scores = pd.DataFrame(work.rows), np.array(work.scores)
    family = Histogram("f", "value", ["feature"], buckets=work.edges, registry=CollectorRegistry())
    children = [family.labels(name) for name in work.numeric]

    def ours(features: Any) -> None:  # noqa: ANN401 - an array or a frame
        for _ in range(BATCHES):
            answer = recorded.service.record_predictions(MODEL, scores, features, latency_ms=3.2)
            assert answer["sampled"] == ROWS
        assert recorded.service.flush()

    def theirs() -> None:
        for row in array.tolist():
            for child, value in zip(children, row, strict=True):
                child.observe(value)

    costs = take_turns(
        {
            "array, all in": lambda: timed(lambda: ours(array), BATCHES * ROWS),
            "array, all in, CPU": lambda: timed(lambda: ours(array), BATCHES * ROWS, time.process_time_ns),
            "frame, all in": lambda: timed(lambda: ours(frame), BATCHES * ROWS),
            "array, prometheus loop": lambda: timed(theirs, ROWS),
        },
        rounds,
    )
    recorded.close()
    return costs


TARGETS: tuple[tuple[str, str, str, str, float], ...] = (
    ("25", "request path, by reference", "empty call", "<=", 8.0),
    ("25", "request path, snapshot", "empty call", "<=", 14.0),
    ("25", "prometheus naive", "request path, by reference", ">=", 60.0),
    ("25", "prometheus naive", "request path, snapshot", ">=", 30.0),
    ("25", "prometheus naive", "all in, without store", ">=", 20.0),
    ("25", "prometheus naive", "all in, with store", ">=", 12.0),
    ("25", "boxkite", "all in, without store", ">=", 25.0),
    ("25", "whylogs rows", "all in, without store", ">=", 100.0),
    ("100", "prometheus naive", "all in, without store", ">=", 40.0),
    ("batch", "array, prometheus loop", "array, all in", ">=", 100.0),
)
LIMITS: tuple[tuple[str, str, float], ...] = (
    ("25", "all in, without store", 3500.0),
    ("25", "all in, with store", 6000.0),
    ("100", "all in, without store", 7000.0),
    ("batch", "array, all in", 400.0),
    ("batch", "frame, all in", 4000.0),
)
"""In nanoseconds, on a machine like the one that performance.md tells of."""


def judged(costs: dict[str, dict[str, Cost]]) -> list[dict[str, Any]]:
    """Return each target with what was measured."""
    out: list[dict[str, Any]] = []
    for group, name, base, relation, target in TARGETS:
        if name in costs[group]:
            ratio = costs[group][name].over(costs[group][base])
            met = ratio["median"] <= target if relation == "<=" else ratio["median"] >= target
            out.append(
                {"group": group, "what": f"{name} / {base}", "target": f"{relation} {target:g}x", **ratio, "met": met}
            )
    for group, name, limit in LIMITS:
        ns = costs[group][name].median
        out.append({"group": group, "what": f"{name}, ns", "target": f"<= {limit:g}", "median": ns, "met": ns <= limit})
    return out


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--peers", help="a Python that has boxkite and whylogs installed")
    parser.add_argument("--quick", action="store_true", help="two rounds, to see that it runs")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    costs = {
        "25": single_rows(25, rounds, options.peers),
        "100": single_rows(100, rounds, options.peers),
        "batch": batches(rounds),
    }
    about = {"rounds": rounds, "rows": ROWS, "python": platform.python_version(), "numpy": np.__version__}
    print(f"ns per row, medians of {rounds} rounds of {ROWS:,} rows; Python {about['python']}, numpy {about['numpy']}")
    for group, found in costs.items():
        base = found.get("all in, without store") or found["array, all in"]
        print(f"\n{group} features" if group != "batch" else "\nbatches of 1 000 rows")
        ratios = {name: cost.over(base) for name, cost in found.items()}
        rows = [
            (name, f"{cost.median:,.0f}", f"{r['median']:.2f}", f"{r['low']:.2f} .. {r['high']:.2f}")
            for (name, cost), r in zip(found.items(), ratios.values(), strict=True)
        ]
        print_table(("", "ns", "x all in", "middle 80 %"), rows)
    targets = judged(costs)
    print()
    marks = {True: "yes", False: "NO"}
    print_table(
        ("target", "features", "wanted", "measured", "met"),
        [(t["what"], t["group"], t["target"], f"{t['median']:,.1f}", marks[t["met"]]) for t in targets],
    )
    results = {
        group: {name: {"ns": c.median, "rounds": c.rounds} for name, c in found.items()}
        for group, found in costs.items()
    }
    write_json(options.json, {"about": about, "costs": results, "targets": targets})


if __name__ == "__main__":
    main()
