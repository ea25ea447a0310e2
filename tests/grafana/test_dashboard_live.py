"""Every query of the dashboard finds something on a real Prometheus that scrapes a service with drift in it."""

from __future__ import annotations

import itertools
import json
import math
import re
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwatch import ModelMonitoringConfig, ProductionMonitoringService, ReferenceProfile

Json = dict[str, Any]
Wait = Callable[[Callable[[], object], float], None]

pytestmark = pytest.mark.e2e

# Characters that mean something in a regular expression: ids are compared, not matched.
SCORED, LABELLED = "late.flights (eu+us)", "delay-class"
FEATURES = ("distance", "carrier")
WINDOW = "8s"
LABELS = ("late", "on time")
ROWS_A_TICK, TICK_SECONDS = 40, 0.1
DEADLINE = 60.0


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
    """Keeps two models busy from a thread of its own; predictions have drifted as well as inputs."""

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
            if self._stop.wait(TICK_SECONDS):
                return

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10.0)


class Prometheus:
    """A real server on a free port that scrapes one target each second."""

    def __init__(self, program: str, folder: Path, target_port: int, wait: Wait) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._url = f"http://127.0.0.1:{free.getsockname()[1]}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [
                {"job_name": "models", "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}]},
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self._url.removeprefix('http://')}",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        wait(self._ready, 30.0)

    def _ready(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=2):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def query(self, expr: str) -> list[Json]:
        """Return the series of an instant query that have a finite value."""
        body = urllib.parse.urlencode({"query": expr}).encode()
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/query", data=body, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expr}: {error.read().decode()}") from error
        return [series for series in result if math.isfinite(float(series["value"][1]))]

    def values(self, query: str) -> list[str]:
        """Return what a variable offers, by ``label_values(selector, label)`` or ``query_result(expr)``."""
        if match := re.fullmatch(r"label_values\((.*), (\w+)\)", query):
            found = self.query(f"group by ({match.group(2)}) ({match.group(1)})")
            return sorted(series["metric"].get(match.group(2), "") for series in found)
        match = re.fullmatch(r"query_result\((.*)\)", query)
        assert match is not None, query
        return sorted(value for series in self.query(match.group(1)) for value in series["metric"].values())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20.0)
        self._log.close()


def config_of(model_id: str, profile: ReferenceProfile, folder: Path) -> ModelMonitoringConfig:
    return ModelMonitoringConfig.model_validate(
        {
            "model_id": model_id,
            "reference": str(profile.save(folder / f"{len(model_id)}.json")),
            "drift_detection_interval": "2s",
            "drift": {"windows": [WINDOW, "16s"]},
            "performance_metrics": ["accuracy", "latency_ms", "error_rate"],
            "performance_threshold": {"accuracy": 0.9, "latency_ms": 25, "error_rate": 0.05},
        }
    )


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, require_server: Callable[[str], str], wait_until: Wait
) -> Iterator[Prometheus]:
    program = require_server("prometheus")
    folder = tmp_path_factory.mktemp("live")
    rng = np.random.default_rng(3)
    profiles = {
        SCORED: make_profile(rng.beta(2.0, 5.0, 5000)),
        LABELLED: make_profile(rng.choice(LABELS, 5000, p=[0.4, 0.6]).tolist()),
    }
    with ProductionMonitoringService(storage_path=folder / "storage") as service:
        for model_id, profile in profiles.items():
            assert service.register_model(config_of(model_id, profile, folder))["status"] == "success"
            service.update_model_metric(model_id, "accuracy", 0.8)
        traffic = Traffic(service)
        try:
            prometheus = Prometheus(program, folder, service.start_metrics_server(port=0), wait_until)
            try:
                yield prometheus
            finally:
                prometheus.close()
        finally:
            traffic.close()


@pytest.fixture(scope="module")
def choices(server: Prometheus, variables: dict[str, Json], fill: Any, wait_until: Wait) -> list[dict[str, str]]:
    """Return what a reader may have chosen: each model, with a numeric and a categorical feature."""
    common = {
        "job": ".+", "instance": ".+", "model_version": ".*", "window": WINDOW, "drift_type": ".+",
        "__rate_interval": "10s",
    }  # fmt: skip
    found = []
    for model_id in (SCORED, LABELLED):
        chosen = common | {"model_id": model_id}
        wait_until(lambda chosen=chosen: server.values(fill(variables["profile"]["query"], chosen)), 30.0)  # type: ignore[misc]
        (profile,) = server.values(fill(variables["profile"]["query"], chosen))
        found += [chosen | {"profile": profile, "feature": feature} for feature in FEATURES]
    return found


def test_every_query_of_every_panel_returns_data(
    server: Prometheus, choices: list[dict[str, str]], expressions: list[tuple[str, str]], fill: Any, wait_until: Wait
) -> None:
    empty = dict(expressions)

    def answered(expr: str) -> bool:
        return any(server.query(fill(expr, chosen)) for chosen in choices)

    def all_answered() -> bool:
        for where in [where for where, expr in empty.items() if answered(expr)]:
            del empty[where]
        return not empty

    try:
        wait_until(all_answered, DEADLINE)
    except AssertionError:
        pytest.fail(f"without data after {DEADLINE:.0f} s: {json.dumps(empty, indent=1)}")


def test_every_variable_offers_what_there_is(
    server: Prometheus, choices: list[dict[str, str]], variables: dict[str, Json], fill: Any, wait_until: Wait
) -> None:
    def offered(name: str) -> list[str]:
        return server.values(fill(variables[name]["query"], choices[0]))

    assert offered("model_id") == [LABELLED, SCORED]
    assert offered("job") == ["models"]
    wait_until(lambda: offered("window") == ["16s", WINDOW], DEADLINE)
    wait_until(lambda: offered("drift_type") == ["data", "prediction"], DEADLINE)
    # The prediction has an empty name, which Grafana leaves out.
    assert [name for name in offered("feature") if name] == ["carrier", "distance", "hour"]


def test_before_the_first_check_there_is_a_window_to_look_at(
    server: Prometheus, choices: list[dict[str, str]], variables: dict[str, Json], fill: Any
) -> None:
    nobody = choices[0] | {"model_id": "not registered yet"}
    assert server.values(fill(variables["window"]["query"], nobody)) == ["1h"]


def test_the_bars_of_a_distribution_are_shares(
    server: Prometheus, choices: list[dict[str, str]], panels: list[Json], fill: Any, wait_until: Wait
) -> None:
    def shares(title: str, chosen: Mapping[str, str]) -> dict[str, list[float]]:
        (panel,) = [panel for panel in panels if panel["title"] == title]
        answers = [server.query(fill(target["expr"], chosen)) for target in panel["targets"]]
        return {
            sample: [float(series["value"][1]) for series in answer]
            for sample, answer in zip(("current", "reference"), answers, strict=True)
        }

    numeric, categorical = choices[0], choices[1]
    wait_until(lambda: all(shares("$feature, as a number", numeric).values()), DEADLINE)
    by_bin = shares("$feature, as a number", numeric)
    # Cumulative, so that the last bin's bound has all of it. increase() bends shares a little.
    assert max(by_bin["reference"]) == pytest.approx(1.0)
    assert max(by_bin["current"]) == pytest.approx(1.0, abs=0.02)
    assert len(by_bin["current"]) == len(by_bin["reference"]) >= 10
    by_category = shares("$feature, as a category", categorical)
    assert sum(by_category["reference"]) == pytest.approx(1.0)
    assert sum(by_category["current"]) == pytest.approx(1.0)


def test_the_drifted_features_are_at_the_top(
    server: Prometheus, choices: list[dict[str, str]], panels: list[Json], fill: Any, wait_until: Wait
) -> None:
    (table,) = [panel for panel in panels if panel["type"] == "table"]
    score = fill(table["targets"][0]["expr"], choices[0])

    def worst() -> set[str]:
        found = server.query(f"topk(2, {score})")
        return {series["metric"]["feature"] for series in found}

    wait_until(lambda: worst() == {"distance", "carrier"}, DEADLINE)
