"""What a scrape costs: writing the text of many series, and adding up what eight workers counted.

Run it from the repository, with modelwatch installed (it needs nothing else)::

    python benchmarks/exposition.py                  # prints tables
    python benchmarks/exposition.py --json out.json  # and writes the same as JSON
    python benchmarks/exposition.py --quick

*Text* is the writing alone, of models with 25 features each; the peer is `prometheus_client` writing the same families
from its own objects, once made for each scrape as a collector has to (*families and text*) and once made already (*text
of families that are there*). *A scrape* is all that an endpoint does after every one of eight workers has flushed; the
peers are `prometheus_client` writing the same sum, and its multiprocess mode with eight workers and as many series.
Candidates take turns. Times depend on the machine: compare the ratios, which are medians over rounds with the middle
80 % behind them.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector

from modelwatch import ReferenceProfile
from modelwatch.collector import RecordingCollector, render
from modelwatch.recorder import RecordedModel, Recorder
from workload import Candidate, Cost, Workload, print_table, take_turns, timed, workload, write_json

FEATURES, ROWS, WORKERS = 25, 300, 8
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
SIZES = (1_000, 10_000, 50_000)
OURS, OURS_OPEN = "modelwatch", "modelwatch, OpenMetrics"
SCRAPE, SCRAPE_GZIP = "modelwatch, a scrape", "modelwatch, a scrape, gzip"
FAMILIES, WRITTEN = "prometheus_client, families and text", "prometheus_client, text of families that are there"
OPEN = "prometheus_client, families and OpenMetrics"
SAME_SUM, MULTIPROCESS = "prometheus_client, the same sum", "prometheus_client, multiprocess mode"
LIMITS = ((10_000, "text", OURS, 6.0), (10_000, "scrape", SCRAPE, 20.0))
"""In milliseconds, on a machine like the one that performance.md tells of."""
TARGETS = ((10_000, "text", FAMILIES, OURS, 20.0), (10_000, "scrape", MULTIPROCESS, SCRAPE, 50.0))

CHILD = """
import sys
from prometheus_client import CollectorRegistry, Histogram
edges = [-2.1 + 4.2 * i / 14 for i in range(15)]
h = Histogram("feature_value", "Values.", ["model", "feature"], buckets=edges, registry=CollectorRegistry())
for i in range(int(sys.argv[1])):
    h.labels(str(i // 25), str(i % 25)).observe(0.5)
"""
"""A worker of the multiprocess mode: so many histograms, each of 18 series."""


@dataclass
class World:
    """Workers that have recorded models with a reference, in one storage."""

    workers: list[Recorder]
    models: list[str]
    work: Workload

    @property
    def registry(self) -> CollectorRegistry:
        """A registry that exposes them."""
        registry = CollectorRegistry()
        registry.register(RecordingCollector(self.workers[0]))
        return registry

    def touch(self) -> None:
        """Have every worker count something of every model, and flush."""
        for worker in self.workers:
            for model in self.models:
                worker.record(model, 0.5, self.work.rows[0], latency_ms=3.2)
            worker.flush()


@contextmanager
def world(models: int, workers: int) -> Iterator[World]:
    """Record some rows of each model in each worker."""
    work = workload(FEATURES, ROWS)
    columns = {name: [row[name] for row in work.rows] for name in (*work.numeric, *work.categorical)}
    profile = ReferenceProfile.build(columns, work.scores)
    names = [f"model_{number}" for number in range(models)]
    with tempfile.TemporaryDirectory() as folder:
        made = [Recorder(Path(folder), None, start_thread=False) for _ in range(workers)]
        for worker in made:
            for name in names:
                worker.add_model(RecordedModel(name, "1", profile=profile))
                worker.record_many(name, work.scores, columns, latency_ms=[3.2] * ROWS)
            worker.flush()
        try:
            yield World(made, names, work)
        finally:
            for worker in made:
                worker.close()


def series_in(text: bytes) -> int:
    """Return how many lines of samples a text has."""
    return sum(not line.startswith(b"#") for line in text.splitlines())


def models_for(series: int) -> int:
    """Return how many models have about so many series."""
    with world(1, 1) as one, world(2, 1) as two:
        each = series_in(render(two.registry)[0]) - series_in(render(one.registry)[0])
    return max(1, round(series / each))


class Made:
    """A registry with families that are there."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        """Return them."""
        return self._families


def writing(series: int, rounds: int) -> dict[str, Any]:
    """Measure the text alone."""
    with world(models_for(series), 1) as made:
        (families,) = RecordingCollector(made.workers[0]).scrape()
        ready = Made(families.all())
        encode_open = choose_encoder(OPEN_METRICS)[0]
        same = families.text().encode() == generate_latest(ready)
        candidates: dict[str, Candidate] = {
            OURS: lambda: timed(lambda: families.text().encode(), 1),
            OURS_OPEN: lambda: timed(lambda: families.text(open_metrics=True).encode(), 1),
            FAMILIES: lambda: timed(lambda: generate_latest(Made(families.all())), 1),
            OPEN: lambda: timed(lambda: encode_open(Made(families.all())), 1),
            WRITTEN: lambda: timed(lambda: generate_latest(ready), 1),
        }
        lines = series_in(families.text().encode())
        return {"series": lines, "same_text": same, "costs": take_turns(candidates, rounds)}


def fill_multiprocess(folder: Path, series: int) -> None:
    """Have eight workers of the multiprocess mode write as many series."""
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    for _ in range(WORKERS):
        subprocess.run([sys.executable, "-c", CHILD, str(max(1, series // 18))], env=env, check=True)


def scraping(series: int, rounds: int) -> dict[str, Any]:
    """Measure all that an endpoint does, after every worker has flushed."""
    with ExitStack() as stack:
        made = stack.enter_context(world(models_for(series), WORKERS))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        registry, multiprocess = made.registry, CollectorRegistry()
        text = render(registry)[0]
        lines, same = series_in(text), text == generate_latest(registry)
        fill_multiprocess(folder, lines)
        MultiProcessCollector(multiprocess, str(folder))  # type: ignore[no-untyped-call]

        def after_flushes(work: Any) -> float:  # noqa: ANN401 - whatever is timed
            made.touch()
            return timed(work, 1)

        candidates: dict[str, Candidate] = {
            SCRAPE: lambda: after_flushes(lambda: render(registry)),
            "modelwatch, a scrape, OpenMetrics": lambda: after_flushes(lambda: render(registry, OPEN_METRICS)),
            SCRAPE_GZIP: lambda: after_flushes(lambda: render(registry, compress=True)),
            "modelwatch, adding up alone": lambda: after_flushes(made.workers[0].snapshot),
            SAME_SUM: lambda: after_flushes(lambda: generate_latest(registry)),
            MULTIPROCESS: lambda: timed(lambda: generate_latest(multiprocess), 1),
        }
        costs = take_turns(candidates, rounds)
        return {"series": lines, "multiprocess_series": series_in(generate_latest(multiprocess)), "same_text": same,
                "costs": costs}  # fmt: skip


def judged(found: dict[str, dict[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return each target with what was measured."""
    out: list[dict[str, Any]] = []
    for size, kind, name, base, wanted in TARGETS:
        if size in found[kind]:
            costs = found[kind][size]["costs"]
            ratio = costs[name].over(costs[base])
            what = f"{name} / {base}"
            out.append({"what": what, "target": f">= {wanted:g}x", **ratio, "met": ratio["median"] >= wanted})
    for size, kind, name, limit in LIMITS:
        if size in found[kind]:
            ms = found[kind][size]["costs"][name].median / 1e6
            out.append({"what": f"{name}, ms", "target": f"<= {limit:g}", "median": ms, "met": ms <= limit})
    return out


def show(title: str, base: str, found: dict[str, Any]) -> None:
    """Print one table."""
    costs: dict[str, Cost] = found["costs"]
    print(f"\n{title}: {found['series']:,} series; the same text: {found['same_text']}")
    rows = []
    for name, cost in costs.items():
        ratio = cost.over(costs[base])
        spread = f"{ratio['low']:.1f} .. {ratio['high']:.1f}"
        rows.append((name, f"{cost.median / 1e6:,.2f}", f"{ratio['median']:.1f}", spread))
    print_table(("", "ms", f"x {base}", "middle 80 %"), rows)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="two rounds of the smaller sizes, to see that it runs")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    began = time.time()
    found: dict[str, dict[int, dict[str, Any]]] = {
        "text": {size: writing(size, rounds) for size in (SIZES[:1] if options.quick else SIZES)},
        "scrape": {size: scraping(size, rounds) for size in (SIZES[:1] if options.quick else SIZES[1:2])},
    }
    about = {"rounds": rounds, "workers": WORKERS, "python": platform.python_version(), "numpy": np.__version__}
    print(f"medians of {rounds} rounds, {time.time() - began:.0f} s in all; Python {about['python']}")
    for by_size in found["text"].values():
        show("Text", OURS, by_size)
    for by_size in found["scrape"].values():
        show(f"A scrape of {WORKERS} workers", SCRAPE, by_size)
    targets = judged(found)
    if targets:
        print()
        marks = {True: "yes", False: "NO"}
        rows = [(t["what"], t["target"], f"{t['median']:,.1f}", marks[t["met"]]) for t in targets]
        print_table(("target", "wanted", "measured", "met"), rows)
    results = {
        kind: {
            size: {**one, "costs": {n: {"ms": c.median / 1e6, "rounds": c.rounds} for n, c in one["costs"].items()}}
            for size, one in by_size.items()
        }
        for kind, by_size in found.items()
    }
    write_json(options.json, {"about": about, "results": results, "targets": targets})


if __name__ == "__main__":
    main()
