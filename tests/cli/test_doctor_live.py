"""`modelwatch doctor` in a world of real servers: an application, a sidecar, Prometheus and Alertmanager."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from modelwatch import ProductionMonitoringService
from modelwatch.demo.servers import HOST, Server, free_port
from modelwatch.demo.sinks import WebhookSink

PEERS = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
Report, email, recorded = PEERS["Report"], PEERS["email"], PEERS["recorded"]

SECONDS = 20.0
MODEL_IDS = ('ads "1"', "quiet")


# ── a world where all is well ────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class World:
    """An application, a sidecar on its storage, and the servers that watch both."""

    servers: Any
    storage: Path
    argv: tuple[object, ...]


@pytest.fixture(scope="module")
def world(servers: Any, tmp_path_factory: pytest.TempPathFactory, wait_until: Any) -> Iterator[World]:
    storage = tmp_path_factory.mktemp("world") / "s"
    sidecar = f"http://{HOST}:{servers.sidecar_port}"
    with ExitStack() as stack:
        service = stack.enter_context(ProductionMonitoringService(servers.config, storage, background=False))
        for model_id in MODEL_IDS:
            service.record_prediction(model_id, 0.5, {"bid": 1.0})
        service.flush()
        service.start_metrics_server(servers.app_port)
        argv = [
            sys.executable,
            "-m",
            "modelwatch",
            "sidecar",
            "--config",
            str(servers.config),
            "--storage",
            str(storage),
        ]
        argv += ["--listen", f"{HOST}:{servers.sidecar_port}"]
        log = servers.folder / "sidecar.log"
        stack.enter_context(Server("sidecar", argv, log, f"{sidecar}/-/ready")).wait_ready()
        made = World(
            servers, storage,
            ("--config", servers.config, "--storage", storage, "--app", f"http://{HOST}:{servers.app_port}",
             "--sidecar", sidecar, "--prometheus", servers.prometheus),
        )  # fmt: skip
        wait_until(lambda: _scraped(servers.prometheus) == {"up"}, SECONDS)
        yield made


def _scraped(prometheus: str) -> set[str]:
    with urlopen(f"{prometheus}/api/v1/targets", timeout=5) as answer:
        return {target["health"] for target in json.loads(answer.read())["data"]["activeTargets"]}


@pytest.mark.e2e
def test_where_all_is_well_every_line_says_so(world: World, doctor: Any, command: Any) -> None:
    report = doctor(*world.argv)
    # Whose warnings reach nobody is what the configuration says.
    assert report.problems == ["who is told"]
    [first, second, third] = report.of("scrapes")[:2] + report.of("exposed twice")
    assert re.fullmatch(r"modelwatch-app \S+: last scraped \d+ s ago", first[1])
    assert re.fullmatch(r"modelwatch-sidecar \S+: last scraped \d+ s ago", second[1])
    assert third == ("OK", "no: one target for each storage")
    [rules] = report.of("rules")
    assert rules[0] == "OK"
    assert re.fullmatch(r"\d+ in \d+ groups, as generated from this configuration \(--timing test\)", rules[1])
    assert report.of("evaluation")[0][0] == report.of("last scrape")[0][0] == "OK"
    assert report.of("alertmanagers") == [("OK", f"Prometheus tells {world.servers.alertmanager}/api/v2/alerts")]
    assert report.of("Alertmanager")[0][1].startswith(f"{world.servers.alertmanager} is ready, version ")
    assert report.of("routing")[0][0] == "OK"
    assert report.of("checks")[0][1].startswith("a sidecar runs them (process ")
    assert report.of("models")[0][1].startswith("2 recorded; last prediction ")
    assert report.of("application")[0][1].endswith(" serves recordings of 2 models")
    assert report.of("sidecar")[0][1].endswith(" serves results")
    assert {f["status"] for f in report.findings if f["what"].startswith("channel ")} == {"OK"}
    ran = command("doctor", *world.argv)
    assert ran.code == 1
    assert "OK scrapes modelwatch-app" in "\n".join(ran.lines)
    assert ran.lines[-1] == "1 problem"


@pytest.mark.e2e
def test_rules_of_another_configuration_are_found_out(
    world: World, doctor: Any, write: Callable[..., Path], hook: WebhookSink
) -> None:
    other = write(
        alerting={"mode": "prometheus", "receivers": {"pager": {"type": "webhook", "url": hook.url}}},
        models=[{"model_id": "renamed", "alert_channels": ["pager"]}],
    )
    report = doctor(*world.argv, "--config", other)
    assert report.of("rules") == [("PROBLEM", "loaded, but 1 differ from this configuration: MLModelNoPredictions")]
    assert report.fix("rules") == "modelwatch rules generate, and reload Prometheus"
    assert report.of("routing") == [("PROBLEM", "it lacks receivers of this configuration: pager")]
    assert ("PROBLEM", "never recorded here: renamed") in report.of("models")


@pytest.mark.e2e
def test_rules_beside_direct_messages_would_tell_people_twice(
    world: World, doctor: Any, write: Callable[..., Path]
) -> None:
    direct = write(models=[{"model_id": "quiet", "alert_channels": ["log"]}])
    report = doctor(*world.argv, "--config", direct)
    [(status, said)] = report.of("rules")
    assert (status, said[-21:]) == ("PROBLEM", "people are told twice")
    assert report.of("Alertmanager")[0][0] == "SKIPPED"


@pytest.mark.e2e
def test_another_storage_than_the_one_that_is_served_is_found_out(world: World, doctor: Any, tmp_path: Path) -> None:
    recorded(tmp_path / "other")
    report = doctor(*world.argv, "--storage", tmp_path / "other")
    assert [f["said"] for f in report.findings if "shows another storage" in f["said"]]
    assert ("PROBLEM", f"Prometheus knows modelwatch, but not the storage {tmp_path / 'other'}") in report.of("scrapes")
    assert report.of("checks")[0] == (
        "PROBLEM", "nobody runs them: no sidecar, and no application with a background thread, is alive"
    )  # fmt: skip


@pytest.mark.e2e
def test_a_prometheus_that_does_not_know_us_means_that_nobody_is_alerted(
    world: World, doctor: Any, require_server: Any, tmp_path: Path
) -> None:
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    url = f"http://{HOST}:{free_port()}"
    argv = [
        require_server("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address={url.removeprefix('http://')}",
    ]  # fmt: skip
    with Server("Prometheus", argv, tmp_path / "log", f"{url}/-/ready") as server:
        server.wait_ready()
        report = doctor(*world.argv, "--prometheus", url, "--alertmanager", world.servers.alertmanager)
    assert report.of("scrapes") == [("PROBLEM", "NEVER: no target of modelwatch; nobody will be alerted")]
    assert report.of("rules") == [("PROBLEM", "none of our rules are loaded: nobody will be alerted")]
    assert report.of("alertmanagers") == [("PROBLEM", "Prometheus knows none: nobody will be alerted")]
    assert report.of("Alertmanager")[0][0] == "OK"
