"""A Prometheus that scrapes models in all situations, a sidecar and itself, with our rules; asked as Grafana asks."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile
from modelwatch.cli import main
from modelwatch.demo.servers import Server, free_port

Json = dict[str, Any]
Wait = Callable[[Callable[[], object], float], None]

# Characters that mean something in a regular expression: ids are compared, not matched.
SCORED, LABELLED = "late.flights (eu+us)", "delay-class"
LEARNING, UNCHECKED = "new model", "nightly"
VERSION = "2026.1"
"""Of LABELLED; the others have none, which must not keep them out of any table."""
FEATURES = ("distance", "carrier")
WINDOW = "8s"
LABELS = ("late", "on time")
ROWS_A_TICK, TICK_SECONDS = 40, 0.1
HISTORY_SECONDS = 7200
DEPLOYED = "deployed"
EVERYTHING = {
    "job": ".+", "instance": ".+", "model_version": ".*", "segment": ".*", "window": WINDOW, "drift_type": ".+",
    "__rate_interval": "10s", "__range": "1h",
}  # fmt: skip


def make_rows(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    carrier = rng.choice(["UA", "AA", "DL"], n, p=[0.5, 0.3, 0.2]).tolist()
    return {"distance": rng.gamma(3.0, 300.0, n), "carrier": carrier, "hour": rng.integers(5, 23, n).astype(float)}


def make_profile(predictions: Any) -> ReferenceProfile:
    return ReferenceProfile.build(make_rows(5000, 1), predictions=predictions)


def spoilt(row: dict[str, Any], i: int) -> dict[str, Any]:
    """Return a row after an upstream change: kilometres, a new carrier, hours that are missing."""
    distance = row["distance"] * 3.0
    return {"distance": distance, "carrier": "ZZ" if i % 3 else row["carrier"], "hour": row["hour"] if i % 4 else None}


class Traffic:
    """Keeps the models busy from a thread of its own; predictions have drifted as well as inputs."""

    def __init__(self, service: ProductionMonitoringService) -> None:
        self._service = service
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")
        self._thread.start()

    def _run(self) -> None:
        for seed in itertools.count(100):
            columns = make_rows(ROWS_A_TICK, seed)
            for i in range(ROWS_A_TICK):
                row = spoilt({name: values[i] for name, values in columns.items()}, i)
                self._service.record_prediction(SCORED, 0.5 + i / 100, row, latency_ms=1.0 + i, error=i % 10 == 0)
                self._service.record_prediction(LABELLED, LABELS[i % 4 == 0], row, latency_ms=2.0)
                if i == 0:
                    self._service.record_prediction(LEARNING, 0.5, row, latency_ms=3.0)
                    self._service.record_prediction(UNCHECKED, 0.5, row, latency_ms=4.0)
            if self._stop.wait(TICK_SECONDS):
                return

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10.0)


def remember(service: ProductionMonitoringService) -> None:
    """Record two hours of a little traffic: silence means something only to who has a habit."""
    row = {name: values[0] for name, values in make_rows(1, 2).items()}
    now = time.time()
    for when in np.arange(now - HISTORY_SECONDS, now - 60.0, 60.0):
        service.record_prediction(SCORED, 0.3, row, latency_ms=2.0, timestamp=float(when))
    assert service.flush()


def config_of(model_id: str, **more: Any) -> ModelMonitoringConfig:
    return ModelMonitoringConfig.model_validate(
        {
            "model_id": model_id,
            "drift_detection_interval": "2s",
            "drift": {"windows": [WINDOW, "16s"]},
            "performance_metrics": ["accuracy", "latency_ms", "error_rate"],
            "performance_threshold": {"accuracy": 0.9, "latency_ms": 25, "error_rate": 0.05},
        }
        | more
    )


def register(service: ProductionMonitoringService, folder: Path) -> None:
    rng = np.random.default_rng(3)
    profiles = {
        SCORED: make_profile(rng.beta(2.0, 5.0, 5000)),
        LABELLED: make_profile(rng.choice(LABELS, 5000, p=[0.4, 0.6]).tolist()),
    }
    paths = {model_id: str(profile.save(folder / f"{len(model_id)}.json")) for model_id, profile in profiles.items()}
    for config in (
        config_of(SCORED, reference=paths[SCORED], objective={"error_rate": 0.01, "latency_ms": 25}),
        config_of(LABELLED, reference=paths[LABELLED], model_version=VERSION),
        config_of(LEARNING),
        config_of(UNCHECKED, schedule="0 3 1 1 *"),
    ):
        assert service.register_model(config)["status"] == "success"
        if config.model_id == SCORED:
            remember(service)
    for model_id in profiles:
        service.update_model_metric(model_id, "accuracy", 0.8)


class Prometheus:
    """A real server on a free port that scrapes some targets each second, and itself."""

    def __init__(self, program: str, folder: Path, jobs: dict[str, int], rules: Path) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
                for name, target in (jobs | {"prometheus": port}).items()
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        command = [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self.process = Server("Prometheus", command, folder / "prometheus.log", f"{self._url}/-/ready")
        self.process.wait_ready()

    def query(self, expr: str) -> list[Json]:
        """Return the series of an instant query that have a finite value."""
        found = self._ask("query", query=expr)
        return [series for series in found if math.isfinite(float(series["value"][1]))]

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[Json]:
        """Return the series of a query over time."""
        return self._ask("query_range", query=expr, start=start, end=end, step=step)

    def values(self, query: str) -> list[str]:
        """Return what a variable offers, by ``label_values(selector, label)`` or ``query_result(expr)``."""
        if match := re.fullmatch(r"label_values\((.*), (\w+)\)", query):
            found = self.query(f"group by ({match.group(2)}) ({match.group(1)})")
            return sorted(series["metric"].get(match.group(2), "") for series in found)
        match = re.fullmatch(r"query_result\((.*)\)", query)
        assert match is not None, query
        return sorted(value for series in self.query(match.group(1)) for value in series["metric"].values())

    def _ask(self, path: str, **parameters: Any) -> list[Json]:
        body = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}", data=body, timeout=10) as answer:
                result: list[Json] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        return result


def generated_rules(folder: Path) -> Path:
    config, out = folder / "for-rules.json", folder / "rules"
    config.write_text(json.dumps({"models": [{"model_id": SCORED}], "alerting": {"mode": "prometheus"}}))
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["rules", "generate", "--config", str(config), "--out", str(out), "--timing", "test"]) == 0
    (rules,) = out.rglob("modelwatch.rules.yml")
    return rules


def sidecar(folder: Path) -> tuple[Server, int]:
    """Start a sidecar over a storage of its own, where it has nothing to check."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/-/ready"
    command = [
        sys.executable, "-m", "modelwatch", "sidecar",
        "--storage", str(folder / "other storage"), "--listen", f"127.0.0.1:{port}",
    ]  # fmt: skip
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MODELWATCH_")}
    return Server("sidecar", command, folder / "sidecar.log", url, env=clean, cwd=folder), port


def backfill(program: str, folder: Path, past: float) -> None:
    """Write into Prometheus' data, as if it had scraped them yesterday, the versions of a model by minute."""
    served = {"v1": [(0, 70), (222, 235)], "v2": [(60, 120), (140, 180), (280, 290)], "v3": [(200, 225)]}
    lines = ["# TYPE modelwatch_model_info gauge"]
    for version, times in served.items():
        labels = f'job="past",instance="app",model_id="{DEPLOYED}",model_version="{version}",task="",profile=""'
        lines += [
            f"modelwatch_model_info{{{labels}}} 1 {past + minute * 60:.0f}"
            for begin, end in times
            for minute in range(begin, end)
        ]
    (folder / "history.txt").write_text("\n".join([*lines, "# EOF"]) + "\n")
    subprocess.run(
        [program, "tsdb", "create-blocks-from", "openmetrics", "-q", folder / "history.txt", folder / "data"],
        check=True, timeout=60,
    )  # fmt: skip


@dataclass(frozen=True)
class World:
    """The server, and what is to be seen there."""

    prometheus: Prometheus
    past: float
    scored: str = SCORED
    labelled: str = LABELLED
    learning: str = LEARNING
    unchecked: str = UNCHECKED
    version: str = VERSION
    deployed: str = DEPLOYED
    features: tuple[str, ...] = FEATURES
    everything: Mapping[str, str] = field(default_factory=lambda: EVERYTHING)


@pytest.fixture(scope="session")
def world(
    tmp_path_factory: pytest.TempPathFactory, require_server: Callable[[str], str], wait_until: Wait
) -> Iterator[World]:
    program, promtool = require_server("prometheus"), require_server("promtool")
    folder = tmp_path_factory.mktemp("live")
    past = float(int(time.time()) // 60 * 60 - 86400)
    with contextlib.ExitStack() as stack:
        beside, sidecar_port = sidecar(folder)
        stack.callback(beside.stop)
        backfill(promtool, folder, past)
        service = stack.enter_context(ProductionMonitoringService(storage_path=folder / "storage"))
        register(service, folder)
        stack.callback(Traffic(service).close)
        jobs = {"models": service.start_metrics_server(port=0), "sidecar": sidecar_port}
        prometheus = Prometheus(program, folder, jobs, generated_rules(folder))
        stack.callback(prometheus.process.stop)
        wait_until(lambda: len(prometheus.query("up == 1")) == len(jobs) + 1, 30.0)
        yield World(prometheus, past)
