"""What the sidecar answers over HTTP."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from modelwatch.exceptions import InputError
from modelwatch.sidecar.settings import parse_listen

HOSTILE = '"><script>alert(1)</script>{{ 7*7 }} \u202eevil'

# As Alertmanager 0.25 sends it.
WEBHOOK: dict[str, Any] = {
    "receiver": "log",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "MLModelDataDrift", "model_id": "ad_score", "model_version": "7",
                       "severity": "error", "segment": ""},
            "annotations": {"summary": "2 of 25 inputs drifted.", "description": "bid_floor, placement",
                            "runbook_url": "https://example.com/runbook"},
            "startsAt": "2026-11-24T02:10:00.1Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph",
            "fingerprint": "6e1d484b1c0d7a11",
        },
        {
            "status": "resolved",
            "labels": {"alertname": "ModelwatchWatchdog", "severity": "none"},
            "annotations": {},
            "startsAt": "2026-11-24T02:10:00Z",
            "endsAt": "2026-11-24T02:20:00Z",
            "fingerprint": "0a",
        },
    ],
    "groupLabels": {"alertname": "MLModelDataDrift"},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager",
    "version": "4",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
}  # fmt: skip


def test_an_empty_sidecar_is_ready_and_says_how_to_point_an_application_at_it(make_sidecar: Any, storage: Any) -> None:
    sidecar = make_sidecar()
    assert (sidecar.get("/-/healthy").status, sidecar.get("/-/ready").status) == (200, 200)
    page = sidecar.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert f"export MODELWATCH_STORAGE={storage}" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_metrics_come_in_the_format_that_is_asked_for(make_sidecar: Any) -> None:
    sidecar = make_sidecar()
    plain = sidecar.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "modelwatch_config_last_reload_successful 1.0" in plain.text
    assert "modelwatch_storage_info{" in plain.text
    openmetrics = sidecar.get("/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.text.endswith("# EOF\n")
    packed = sidecar.get("/metrics", Accept_Encoding="deflate, gzip;q=0.8")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "modelwatch_build_info" in packed.text
    assert "Content-Encoding" not in sidecar.get("/metrics", Accept_Encoding="gzip;q=0").headers
    only = sidecar.get("/metrics?name[]=modelwatch_build_info").text
    assert "modelwatch_build_info" in only
    assert "modelwatch_store_size_bytes" not in only


def test_promtool_finds_nothing_in_either_endpoint(
    make_sidecar: Any,
    make_app: Any,
    watched: Any,
    serve: Any,
    wait_until: Any,
    request_url: Any,
    require_server: Callable[[str], str],
) -> None:
    promtool = require_server("promtool")
    app = make_app()
    for model_id in ("flights", HOSTILE.replace("\u202e", "")):
        app.register_model({**watched, "model_id": model_id, "performance_threshold": {"auc": 0.9, "latency_ms": 5}})
        serve(app, model_id)
        app.update_model_metric(model_id, "auc", 0.8)
    app.flush()
    sidecar = make_sidecar(expose_recordings=True)
    wait_until(lambda: sidecar.sample("modelwatch_drift_checks_total{"))
    wait_until(lambda: sidecar.sample("modelwatch_silence_limit_seconds{"))
    port = app.start_metrics_server(0)
    texts = {"sidecar": sidecar.get("/metrics").text}
    texts["with recordings"] = sidecar.get("/metrics", Accept="application/openmetrics-text").text
    texts["application"] = request_url(f"http://127.0.0.1:{port}/metrics").text
    for name in ("sidecar", "application"):
        run = subprocess.run(
            [promtool, "check", "metrics"], input=texts[name], capture_output=True, text=True, timeout=30
        )
        assert (run.returncode, run.stdout + run.stderr) == (0, ""), name
    assert "modelwatch_drift_severity{" in texts["sidecar"]
    assert "modelwatch_predictions_total{" in texts["sidecar"]
    assert "modelwatch_drift_severity{" not in texts["application"], "the sidecar exposes results now"


def test_recordings_of_a_model_without_reference_are_exposed_after_its_check(
    make_sidecar: Any, make_app: Any, wait_until: Any
) -> None:
    app = make_app()
    app.register_model({"model_id": "plain", "drift_detection_interval": "1s"})
    app.record_prediction("plain", 0.5, {"a": 1.0})
    assert app.flush()
    sidecar = make_sidecar(expose_recordings=True)
    wait_until(lambda: sidecar.sample("modelwatch_drift_checks_total{"))
    answer = sidecar.get("/metrics")
    assert answer.status == 200
    assert 'modelwatch_predictions_total{model_id="plain",model_version=""} 1.0' in answer.text


def test_silences_are_shown_with_their_end_and_reason(make_sidecar: Any, make_app: Any) -> None:
    app, sidecar = make_app(), make_sidecar()
    app.register_model({"model_id": HOSTILE.replace("\u202e", "")})
    assert "Silenced" not in sidecar.get("/").text
    app.silence_alerts(duration="2h", comment="<b>deployment</b>", created_by="zoe")
    page = sidecar.get("/").text
    assert "Silenced: all models, all alerts, until " in page
    assert "(in 2 h), by zoe: &lt;b&gt;deployment&lt;/b&gt;" in page
    app.silence_alerts(duration=0)
    assert "Silenced" not in sidecar.get("/").text


def test_names_are_shown_and_never_run(make_sidecar: Any, make_app: Any) -> None:
    app = make_app()
    name = HOSTILE.replace("\u202e", "")
    answer = app.register_model({"model_id": name, "owner": "<i>me</i>", "dashboard_url": "https://x/?a=1&b=<2>"})
    assert answer["status"] == "success", answer
    page = make_sidecar().get("/").text
    assert "<script>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}" in page


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/api/v1/nothing", 404, "there is nothing at /api/v1/nothing"),
        ("GET", "/api/v1/alerts", 405, "takes POST, not GET"),
        ("POST", "/api/v1/alerts", 400, "not JSON"),
        ("PATCH", "/api/", 404, "there is nothing"),
    ],
)
def test_errors_of_the_api_are_json(
    make_sidecar: Any, request_url: Any, method: str, path: str, status: int, words: str
) -> None:
    sidecar = make_sidecar()
    answer = request_url(sidecar.url + path, b"{" if method == "POST" else None, method)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json; charset=utf-8")
    error = json.loads(answer.text)
    assert error["status"] == "error"
    assert words in error["error"]


def test_elsewhere_errors_are_plain_text_and_reloading_is_off(make_sidecar: Any) -> None:
    sidecar = make_sidecar()
    assert (sidecar.get("/nothing").status, sidecar.get("/nothing").text) == (404, "there is nothing at /nothing\n")
    refused = sidecar.post("/-/reload")
    assert refused.status == 403
    assert "--web.enable-lifecycle" in refused.text


def test_alertmanager_writes_one_line_per_alert_to_the_log(make_sidecar: Any, caplog: pytest.LogCaptureFixture) -> None:
    sidecar = make_sidecar()
    with caplog.at_level(logging.INFO, "modelwatch.alerts"):
        answer = sidecar.post("/api/v1/alerts", json.dumps(WEBHOOK).encode(), Content_Type="application/json")
    assert (answer.status, json.loads(answer.text)) == (200, {"status": "success", "alerts": 2})
    drift, watchdog = [r for r in caplog.records if r.name == "modelwatch.alerts"]
    assert (drift.levelname, watchdog.levelname) == ("ERROR", "INFO")
    line = drift.getMessage()
    assert line.startswith('status=firing level=error model_id="ad_score" type="MLModelDataDrift"')
    assert "ad_score: 2 of 25 inputs drifted." in line
    assert "bid_floor, placement" in line
    assert "model_version: 7" in line
    assert "status=resolved" in watchdog.getMessage()


def test_of_the_tiers_of_a_finding_that_is_over_only_the_highest_is_told(
    make_sidecar: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def over(severity: str, **labels: str) -> dict[str, Any]:
        named = {"alertname": "MLModelLatencyHigh", "model_id": "m", "severity": severity, **labels}
        return {"status": "resolved", "labels": named, "annotations": {"summary": "Latency p95 is 470 ms."}}

    alerts = [over("info"), over("critical"), over("warning"), over("warning", model_version="2")]
    with caplog.at_level(logging.INFO, "modelwatch.alerts"):
        answer = make_sidecar().post("/api/v1/alerts", json.dumps({"alerts": alerts}).encode())
    assert answer.status == 200
    lines = [record.getMessage() for record in caplog.records if record.name == "modelwatch.alerts"]
    assert [line.split()[:2] for line in lines] == [
        ["status=resolved", "level=critical"], ["status=resolved", "level=warning"],
    ]  # fmt: skip


def test_a_name_in_a_webhook_can_not_forge_a_line(make_sidecar: Any, caplog: pytest.LogCaptureFixture) -> None:
    forged = {"alertname": "x\nstatus=firing level=critical", "model_id": 'a"\r\nb', "severity": "critical\n"}
    body = {"alerts": [{"status": "firing", "labels": forged, "annotations": {"summary": "one\x1b[31m\ntwo"}}]}
    with caplog.at_level(logging.INFO, "modelwatch.alerts"):
        assert make_sidecar().post("/api/v1/alerts", json.dumps(body).encode()).status == 200
    (record,) = [r for r in caplog.records if r.name == "modelwatch.alerts"]
    assert record.levelname == "INFO"
    assert record.getMessage().isprintable()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'{"alerts": 3}', b'{"alerts": [3]}', b'{"alerts": [{}]}', b"\xff", b"[" * 100_000,
     b'{"alerts": [{"labels": {"a": 1}}]}', b'{"alerts": [{"labels": {}, "annotations": []}]}'],
)  # fmt: skip
def test_what_is_no_message_of_alertmanager_is_refused_whole(
    make_sidecar: Any, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    answer = make_sidecar().post("/api/v1/alerts", body)
    assert (answer.status, json.loads(answer.text)["status"]) == (400, "error")
    assert [r for r in caplog.records if r.name == "modelwatch.alerts"] == []


def test_a_body_above_one_megabyte_is_refused(make_sidecar: Any) -> None:
    sidecar = make_sidecar()
    answer = sidecar.post("/api/v1/alerts", b" " * (1024 * 1024 + 1))
    assert (answer.status, json.loads(answer.text)["status"]) == (413, "error")
    assert sidecar.get("/-/healthy").status == 200


@pytest.mark.parametrize("text", ["", "9877", "host", "host:", "host:99999", "a b:1", "::1:80", "host:٣"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="host:port"):
        parse_listen(text)


def test_a_second_sidecar_on_one_storage_says_that_it_stands_by(
    make_sidecar: Any, wait_until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="modelwatch")
    make_sidecar()
    wait_until(lambda: "the scheduled checks are this sidecar's now" in caplog.text)
    make_sidecar()
    wait_until(lambda: "another process has the scheduled checks" in caplog.text)
