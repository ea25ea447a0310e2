"""A real Prometheus, which asks for OpenMetrics by itself, takes the exemplars of all workers and finds them again."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from modelwatch.collector import RecordingCollector, start_metrics_server
from modelwatch.demo.servers import Server, free_port
from modelwatch.recorder import RecordedModel, Recorder

pytestmark = pytest.mark.e2e

CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: app, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


def test_prometheus_finds_the_prediction_behind_a_slow_bucket(
    tmp_path: Path, require_server: Callable[[str], str], wait_until: Callable[[Callable[[], object], float], None]
) -> None:
    program, port = require_server("prometheus"), free_port()
    registry = CollectorRegistry()
    workers = [Recorder(tmp_path / "storage", None, start_thread=False) for _ in range(2)]
    registry.register(RecordingCollector(workers[0]))
    for worker, latency, name in zip(workers, (3.0, 900.0), ("fast-1", "slow-1"), strict=True):
        worker.add_model(RecordedModel("m", "1"))
        worker.record("m", 0.5, {}, latency_ms=latency, prediction_id=name)
        worker.flush()
    endpoint = start_metrics_server(0, "127.0.0.1", lambda: registry)
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(port=endpoint.port), encoding="utf-8")
    command = [
        program, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage",
    ]  # fmt: skip

    def found() -> dict[str, float]:
        now = time.time()
        asked = {"query": "modelwatch_prediction_latency_seconds_bucket", "start": now - 600, "end": now + 60}
        url = f"http://127.0.0.1:{port}/api/v1/query_exemplars?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            series: list[Any] = json.load(answer)["data"]
        return {e["labels"]["prediction_id"]: float(e["value"]) for one in series for e in one["exemplars"]}

    with Server("prometheus", command, tmp_path / "prometheus.log", f"http://127.0.0.1:{port}/-/ready") as server:
        server.wait_ready(60)
        wait_until(lambda: found() == {"fast-1": 0.003, "slow-1": 0.9}, 30)
    endpoint.close()
    for worker in workers:
        worker.close()
