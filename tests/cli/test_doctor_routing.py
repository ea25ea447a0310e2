"""`modelwatch doctor` finds out where an Alertmanager's routes tell others than the configuration says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch.config import load_config
from modelwatch.demo.servers import HOST, Server, free_port
from modelwatch_rules.routing import alertmanager_config
from modelwatch_rules.timing import TEST

MAIL = {"to": "ml@example.com", "from": "mw@example.com", "smtp": "127.0.0.1:9", "tls": "none"}
ALERTING: dict[str, Any] = {
    "mode": "prometheus",
    "receivers": {"email": MAIL, "hook": {"type": "webhook", "url": "http://127.0.0.1:9/hook"}},
    "severity_map": {"critical": "P.1"},
}
MODELS: list[dict[str, Any]] = [
    {"model_id": 'say "hi" \\ {x}, y=z', "alert_channels": ["email", "hook"]},
    {"model_id": "ads", "model_version": "2", "alert_channels": ["email"]},
]
FINE = "it has all receivers, routes and inhibitions of this configuration"


@pytest.fixture
def config(write: Callable[..., Path]) -> Path:
    return write(alerting=ALERTING, models=MODELS)


def whole(config: Path) -> dict[str, Any]:
    made = alertmanager_config(load_config(config), TEST, log_url="http://127.0.0.1:9/log")
    return {**made, "templates": []}


def merged(config: Path) -> dict[str, Any]:
    """Return somebody else's file with our part in it."""
    made = alertmanager_config(load_config(config), TEST, merge=True, log_url="http://127.0.0.1:9/log")
    theirs = {"matchers": ["team=shop"], "receiver": "others"}
    return {
        "route": {"receiver": "others", "routes": [*made["route"]["routes"], theirs]},
        "receivers": [{"name": "others"}, *made["receivers"]],
        "inhibit_rules": [*made["inhibit_rules"], {"source_match": {"a": "b"}, "target_match_re": {"c": "d.*"}}],
    }


def without_our_route(config: Path) -> dict[str, Any]:
    file = merged(config)
    file["route"]["routes"].pop(0)
    return file


def behind_one_that_takes_all(config: Path) -> dict[str, Any]:
    file = merged(config)
    file["route"]["routes"].insert(0, {"matchers": ['severity=~".+"'], "receiver": "others"})
    return file


def without_a_models_route(config: Path) -> dict[str, Any]:
    file = whole(config)
    file["route"]["routes"] = [r for r in file["route"]["routes"] if 'model_id="ads"' not in r["matchers"]]
    return file


def without_inhibitions(config: Path) -> dict[str, Any]:
    return {**merged(config), "inhibit_rules": []}


def with_a_pattern_of_gos(config: Path) -> dict[str, Any]:
    file = merged(config)
    file["route"]["routes"].insert(0, {"matchers": ['severity=~"\\\\pL+"'], "receiver": "others"})
    return file


@contextmanager
def alertmanager(program: str, folder: Path, file: dict[str, Any]) -> Iterator[str]:
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(file, allow_unicode=True))
    url = f"http://{HOST}:{free_port()}"
    argv = [
        program, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'am'}",
        f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address=",
    ]  # fmt: skip
    with Server("Alertmanager", argv, folder / "log", f"{url}/-/ready") as server:
        server.wait_ready()
        yield url


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("file", "status", "words"),
    [
        (whole, "OK", FINE),
        (merged, "OK", FINE),
        (without_our_route, "PROBLEM", "its routes are not those of this configuration: "),
        (behind_one_that_takes_all, "PROBLEM", "goes to others instead of modelwatch-"),
        (without_a_models_route, "PROBLEM", "of ads version 2 goes to "),
        (with_a_pattern_of_gos, "SKIPPED", "not compared: "),
        (without_inhibitions, "PROBLEM", "of our inhibit_rules"),
    ],
)
def test_what_an_alertmanager_has_loaded_is_compared_by_whom_it_tells(
    config: Path, doctor: Any, require_server: Any, tmp_path: Path, file: Any, status: str, words: str
) -> None:
    with alertmanager(require_server("alertmanager"), tmp_path, file(config)) as url:
        report = doctor("--storage", tmp_path / "s", "--prometheus", "http://127.0.0.1:9", "--alertmanager", url)
    [(found, said)] = report.of("routing")
    assert (found, words in said) == (status, True), said
