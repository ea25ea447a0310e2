"""The log speaks of severities by our names, whatever the site calls them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelwatch.sidecar.webhook import alerts_of


def levels(severity_map: dict[Any, str], *severities: str) -> list[str]:
    body = {"alerts": [{"status": "firing", "labels": {"alertname": "x", "severity": name}} for name in severities]}
    return [alert["level"] for alert in alerts_of(json.dumps(body).encode(), severity_map)]


def test_a_label_stands_for_the_worst_that_has_it_and_strangers_for_info() -> None:
    page = {"critical": "page", "error": "page", "warning": "ticket"}
    assert levels(page, "page", "ticket", "info", "none", "other") == ["critical", "warning", "info", "info", "info"]
    assert levels(page, "critical") == ["critical"], "what another team sends keeps its word"
    assert levels({"warning": "error", "error": "critical"}, "error") == ["warning"]
    assert levels({}, "error", "page") == ["error", "info"]


def test_the_sidecar_reads_the_map_of_its_configuration(
    make_sidecar: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"alerting": {"severity_map": {"error": "page", "critical": "page"}}}), "utf-8")
    alert = {"status": "firing", "labels": {"alertname": "MLModelDataDrift", "model_id": "m", "severity": "page"}}
    with caplog.at_level(logging.INFO, "modelwatch.alerts"):
        answer = make_sidecar(config_path=path).post("/api/v1/alerts", json.dumps({"alerts": [alert]}).encode())
    assert answer.status == 200
    [line] = [record.getMessage() for record in caplog.records if record.name == "modelwatch.alerts"]
    assert line.startswith('status=firing level=critical model_id="m"')
