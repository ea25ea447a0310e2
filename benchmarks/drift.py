"""What drift scoring costs: the statistics of many models at once, and one whole check, beside loops over scipy.

Run it from the repository, with modelwatch installed (it needs nothing else)::

    python benchmarks/drift.py                  # prints tables
    python benchmarks/drift.py --json out.json  # and writes the same as JSON
    python benchmarks/drift.py --quick

*Statistics* are those of 1 000 models with 50 features of 20 cells each: what ``two_gate`` makes of counts that are
there (score, significance, tolerance), and each further score. The peers are scipy called once for each feature, on
some of them: ``chi2_contingency`` and ``jensenshannon`` on the same counts, ``ks_2samp`` on the values behind them, a
window of 1 000 rows against a reference of 20 000. *A check* is all that follows once the counts of 1 h, 24 h and 168 h
are there: three tests for each of 100 features, severities, the memory of earlier checks, confidence bounds, what
moved. Processor time of one core. Candidates take turns. Times depend on the machine: compare the ratios, which are
medians over rounds with the middle 80 % behind them.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp

from modelwatch import ModelMonitoringConfig, ReferenceProfile
from modelwatch.drift.distances import METHODS, scores
from modelwatch.drift.family import score_family
from modelwatch.drift.outcome import family_result
from modelwatch.drift.statistics import js_to_d, two_gate
from modelwatch.drift.tracking import track
from modelwatch.profile import CellAssigner
from modelwatch.records import WindowCounts
from workload import Candidate, Cost, print_table, take_turns, timed, write_json

CELLS, WINDOW, REFERENCE = 20, 1_000, 20_000
MODELS, FEATURES, CHECKED = 1_000, 50, 100
OURS = "modelwatch, two_gate"
CHI2, JS, KS = "scipy, chi2_contingency", "scipy, jensenshannon", "scipy, ks_2samp on the values"
STILL, MOVED, FURTHER = "nothing moved", "10 features moved", "the same, and psi, ks, wasserstein"
PLAIN, CALIBRATED, TOLD = "no timestamps", "calibrated, by hours", "calibrated, and what is told of each input"
LIMITS = (
    ("statistics", OURS, MODELS * FEATURES, 100.0),
    ("check", MOVED, 1, 20.0),
    ("rule", PLAIN, MODELS, 1000.0),
    ("rule", CALIBRATED, MODELS, 1000.0),
)
"""In milliseconds of processor time, for so many times what one figure counts."""
MEGABYTES, DAYS, NOW = 1000.0, 28, 1_700_006_400.0
Found = dict[str, Cost]


def cpu(work: Callable[[], object], times: int) -> float:
    """Return nanoseconds of processor time for each of so many."""
    return timed(work, times, time.process_time_ns)


def statistics(models: int, looped: int, rounds: int) -> Found:
    """Measure the statistics alone, per feature."""
    rng = np.random.default_rng(1)
    share = np.full(CELLS, 1.0 / CELLS)
    before = rng.multinomial(REFERENCE, share, (models, FEATURES)).astype(np.float64)
    now = rng.multinomial(WINDOW, share, (models, FEATURES)).astype(np.float64)
    tau, features = js_to_d(0.05), models * FEATURES
    some = list(zip(now.reshape(-1, CELLS)[:looped], before.reshape(-1, CELLS)[:looped], strict=True))
    values, reference = rng.normal(size=WINDOW), rng.normal(size=REFERENCE)
    few = max(1, looped // 20)
    widths = np.full(CELLS, 0.2)
    candidates: dict[str, Candidate] = {
        OURS: lambda: cpu(lambda: two_gate(now, before, tau), features),
        CHI2: lambda: cpu(lambda: [chi2_contingency(np.stack(pair), correction=False) for pair in some], looped),
        JS: lambda: cpu(lambda: [jensenshannon(o, r, base=2) for o, r in some], looped),
        KS: lambda: cpu(lambda: [ks_2samp(values, reference) for _ in range(few)], few),
    }
    for method in METHODS:
        candidates[f"modelwatch, {method}"] = lambda method=method: cpu(  # type: ignore[misc]
            lambda: scores(method, now, before, widths=widths), features
        )
    return take_turns(candidates, rounds)


def columns(rng: np.random.Generator, rows: int, moved: float) -> dict[str, Any]:
    """Return normal features, the first ten of which moved by so many standard deviations."""
    return {f"f{i}": rng.normal(moved if i < 10 else 0.0, 1.0, rows) for i in range(CHECKED)}


def check(rounds: int) -> Found:
    """Measure one whole check from counts to a result."""
    rng = np.random.default_rng(2)
    profile = ReferenceProfile.build(columns(rng, REFERENCE, 0.0))
    assigner = CellAssigner(profile.layout)

    def window(label: str, hours: int, rows: int, moved: float) -> WindowCounts:
        counted = assigner.bin(columns(rng, rows, moved), rows, None)
        cells = counted.cells.astype(np.float64)
        return WindowCounts(label, 1e9 - 3600.0 * hours, 1e9, float(rows), cells, True, counted.sums)

    def checked(moved: float, **drift: list[str]) -> Candidate:
        windows = [window("1h", 1, 1_000, moved), window("24h", 24, 5_000, moved), window("168h", 168, 20_000, moved)]
        config = ModelMonitoringConfig.model_validate({"model_id": "m", "drift": drift}).drift
        members = range(CHECKED)

        def run() -> object:
            found = score_family("data", profile, windows, config, 1 / 720, members=members, only_full=False)
            verdict, _ = track(None, found, 1e9)
            return family_result(profile, found, verdict, config, {}, 1e9)

        return lambda: cpu(run, 1)

    more = ["psi", "ks", "wasserstein"]
    return take_turns({STILL: checked(0.0), MOVED: checked(0.6), FURTHER: checked(0.6, methods=more)}, rounds)


def seasonal(rng: np.random.Generator, times: np.ndarray) -> dict[str, Any]:
    """Return features of which every other one has a daily cycle."""
    cycle = 0.5 * np.sin(2.0 * np.pi * times / 86400.0)
    return {f"f{i}": rng.normal(size=len(times)) + cycle * (i % 2) for i in range(FEATURES)}


def windows_of(rng: np.random.Generator, profile: ReferenceProfile) -> list[WindowCounts]:
    """Return an hour, a day and a week of rows like those of the reference."""
    assigner, out = CellAssigner(profile.layout), []
    for label, hours, rows in (("1h", 1, 1_000), ("24h", 24, 5_000), ("168h", 168, 20_000)):
        began, strata = NOW - 3600.0 * hours, None
        times = rng.uniform(began, NOW, rows)
        counted = assigner.bin(seasonal(rng, times if profile.strata is not None else 0.0 * times), rows, None)
        if profile.strata is not None:
            by_hour = np.bincount(profile.strata.index(times), minlength=48)
            strata = np.tile(by_hour.astype(np.float64), (FEATURES, 1))
        cells = counted.cells.astype(np.float64)
        out.append(WindowCounts(label, began, NOW, float(rows), cells, True, counted.sums, strata))
    return out


def reference(rng: np.random.Generator, *, calibrated: bool) -> ReferenceProfile:
    """Return a reference of four weeks."""
    if not calibrated:
        return ReferenceProfile.build(seasonal(rng, np.zeros(REFERENCE)))
    times = NOW - 86400.0 * DAYS * np.sort(rng.random(REFERENCE))[::-1]
    return ReferenceProfile.build(seasonal(rng, times), timestamps=times)


Checked = list[tuple[ReferenceProfile, list[WindowCounts]]]


def check_all(models: Checked, *, told: bool = False) -> None:
    """Run the whole rule on one model after the other: from counts to what each feature's severity is.

    `told` makes the results too, with which it is stored, exposed and sent: scores, their bounds, what moved and how.
    """
    config = ModelMonitoringConfig(model_id="m").drift
    for profile, windows in models:
        full = not profile.calibrated
        found = score_family("data", profile, windows, config, 1 / 720, members=range(FEATURES), only_full=full)
        verdict, _ = track(None, found, NOW)
        if told:
            family_result(profile, found, verdict, config, {}, NOW)


def many(times: int, *, calibrated: bool) -> Checked:
    """Return so many models, no two of which share a reference in memory, nor windows."""
    rng = np.random.default_rng(3)
    profile = reference(rng, calibrated=calibrated)
    text, sets = profile.to_json(), [windows_of(rng, profile) for _ in range(5)]
    return [(ReferenceProfile.from_json(text), copy.deepcopy(sets[i % len(sets)])) for i in range(times)]


def rule(times: int, rounds: int) -> Found:
    """Measure the whole rule, per model."""
    plain, calibrated = many(times, calibrated=False), many(times, calibrated=True)
    return take_turns({
        PLAIN: lambda: cpu(lambda: check_all(plain), times),
        CALIBRATED: lambda: cpu(lambda: check_all(calibrated), times),
        TOLD: lambda: cpu(lambda: check_all(calibrated, told=True), times),
    }, rounds)  # fmt: skip


def memory(times: int) -> float:
    """Return the most memory in megabytes that a process takes which holds so many models and checks them."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return float(pool.apply(_checked_once, (times,)))


def _checked_once(times: int) -> float:
    check_all(many(times, calibrated=True), told=True)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def show(title: str, unit: str, per: float, base: str, costs: Found) -> None:
    """Print one table; `per` is how many nanoseconds a unit has."""
    print(f"\n{title}")
    rows = []
    for name, cost in costs.items():
        ratio = cost.over(costs[base])
        spread = f"{ratio['low']:.2g} .. {ratio['high']:.2g}"
        rows.append((name, f"{cost.median / per:,.2f}", f"{ratio['median']:,.2f}", spread))
    print_table(("", unit, f"x {base}", "middle 80 %"), rows)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="two rounds of 100 models, to see that it runs")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    rounds, models, looped = (2, 100, 100) if options.quick else (options.rounds, MODELS, 2_000)
    began = time.time()
    found = {"statistics": statistics(models, looped, rounds), "check": check(rounds), "rule": rule(50, rounds)}
    megabytes = memory(models)
    about = {"rounds": rounds, "models": models, "features": FEATURES, "cells": CELLS,
             "python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}  # fmt: skip
    print(f"medians of {rounds} rounds, {time.time() - began:.0f} s in all; Python {about['python']}")
    show(f"Statistics of {models:,} models with {FEATURES} features of {CELLS} cells", "µs a feature", 1e3, OURS,
         found["statistics"])  # fmt: skip
    show(f"A check of {CHECKED} features in three windows", "ms", 1e6, STILL, found["check"])
    show(f"The rule, on models of {FEATURES} features one after the other", "ms", 1e6, PLAIN, found["rule"])
    targets = []
    for kind, name, times, limit in LIMITS:
        ms = found[kind][name].median * times / 1e6
        what = name if times == 1 else f"{name}, {MODELS:,} models"
        targets.append({"what": f"{what}, ms", "target": f"<= {limit:g}", "median": ms, "met": ms <= limit})
    what = f"{models:,} calibrated models and their windows in memory, MB"
    targets.append({"what": what, "target": f"< {MEGABYTES:g}", "median": megabytes, "met": megabytes < MEGABYTES})
    print()
    marks = {True: "yes", False: "NO"}
    lines = [(t["what"], t["target"], f"{t['median']:,.1f}", marks[bool(t["met"])]) for t in targets]
    print_table(("target", "wanted", "measured", "met"), lines)
    results = {kind: {name: {"ns": cost.median, "rounds": cost.rounds} for name, cost in costs.items()}
               for kind, costs in found.items()}  # fmt: skip
    write_json(options.json, {"about": about, "results": results, "targets": targets})


if __name__ == "__main__":
    main()
