"""PagerDuty, webhooks and Alertmanager's entries: what they are sent, what they refuse, and no secret in any error."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.config import AlertmanagerReceiver, PagerDutyReceiver, WebhookReceiver
from modelwatch.demo.sinks import PagerDutySink, WebhookSink
from modelwatch.notify import alertmanager, pagerduty, webhook
from modelwatch.notify.alertmanager import AlertmanagerHandler
from modelwatch.notify.errors import NotifyError
from modelwatch.notify.handlers import build_handlers
from modelwatch.notify.messages import AlertText, plain_text
from modelwatch.notify.outbox import Outbox
from modelwatch.notify.pagerduty import PagerDutyHandler
from modelwatch.notify.retry import RetryPolicy
from modelwatch.notify.webhook import WebhookHandler
from modelwatch.store.alerts import epoch_seconds

MakeAlert = Callable[..., dict[str, Any]]
KEY = "0123456789abcdef0123456789abcdef"
LINKS = (("Dashboard", "https://grafana.example.com/d/1"), ("Runbook", "https://wiki.example.com/drift"))
DAY = 86400.0

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
anybodys_alert = {"model_id": st.text(max_size=250), "message": st.text(max_size=3000), "type": st.text(max_size=30)}


@pytest.fixture
def pager() -> Iterator[PagerDutySink]:
    with PagerDutySink(KEY) as sink:
        yield sink


@pytest.fixture
def page(pager: PagerDutySink, tmp_path: Path) -> PagerDutyHandler:
    (tmp_path / "key").write_text(f"{KEY}\n")
    receiver = PagerDutyReceiver.model_validate({"routing_key_file": str(tmp_path / "key")})
    return PagerDutyHandler(receiver, api_url=pager.url)


@pytest.fixture
def hook() -> Iterator[WebhookSink]:
    with WebhookSink() as sink:
        yield sink


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def watched(text: AlertText | None = None, **data: Any) -> dict[str, Any]:
    """Return the data of an alert as the engine makes it."""
    composed = {"text": text.as_dict()} if text else {}
    return {"alertname": "MLModelDataDrift", "model_version": "7", "checked_every": 60.0, **composed, **data}


# ── PagerDuty ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_firing_alert_opens_an_incident_that_says_what_where_and_how_bad(
    page: PagerDutyHandler, pager: PagerDutySink, alert: MakeAlert
) -> None:
    text = AlertText("[ERROR] ad_score: 2 inputs drifted", "ad_score: 2 inputs drifted", ("Version: 7",), links=LINKS)
    page(alert(data=watched(text, model_id="ad_score", score=0.31, features=[{"name": "bid"}])))
    event = pager.wait_for(lambda e: True)
    assert event == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "modelwatch-00ff00ff00ff00ff",
        "client": "modelwatch",
        "links": [{"href": url, "text": label} for label, url in LINKS],
        "payload": {
            "summary": "ad_score: 2 inputs drifted",
            "severity": "error",
            "source": "ad_score",
            "timestamp": "2026-11-24T07:10:00+00:00",
            "component": "7",
            "group": "ad_score",
            "class": "MLModelDataDrift",
            "custom_details": {
                "alertname": "MLModelDataDrift",
                "model_version": "7",
                "score": 0.31,
                "facts": ["Version: 7"],
            },
        },
    }


def test_a_repetition_goes_to_the_open_incident_and_resolved_closes_it(
    page: PagerDutyHandler, pager: PagerDutySink, alert: MakeAlert
) -> None:
    page(alert())
    page(alert(level="critical", alert_id="a1", timestamp="2026-11-24T11:10:00+00:00"))
    assert list(pager.open_incidents) == ["modelwatch-00ff00ff00ff00ff"]
    page(alert(status="resolved"))
    assert pager.open_incidents == {}
    assert pager.messages[-1] == {
        "routing_key": KEY, "event_action": "resolve", "dedup_key": "modelwatch-00ff00ff00ff00ff",
    }  # fmt: skip


def test_an_alert_sent_by_hand_is_an_incident_too(
    page: PagerDutyHandler, pager: PagerDutySink, alert: MakeAlert
) -> None:
    page(alert(model_id="", type="monitoring", level="warning", message="retraining starts"))
    payload = pager.wait_for(lambda e: True)["payload"]
    assert (payload["summary"], payload["class"], payload["severity"]) == ("retraining starts", "monitoring", "warning")
    assert payload["source"] == socket.gethostname()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.dictionaries(st.text(max_size=10), anything, max_size=4), **anybodys_alert)
def test_pagerduty_takes_every_alert(
    page: PagerDutyHandler, pager: PagerDutySink, alert: MakeAlert, data: dict[str, Any], **changed: str
) -> None:
    before = len(pager.messages)
    page(alert(data=data, **changed))
    assert len(pager.messages) == before + 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.text(min_size=1, max_size=5000))
def test_a_summary_has_at_most_1024_characters(alert: MakeAlert, message: str) -> None:
    summary = pagerduty.compose(alert(message=message))["payload"]["summary"]
    assert 1 <= len(summary) <= 1024


def test_a_wrong_key_is_refused_for_good_and_not_repeated_in_the_error(
    page: PagerDutyHandler, pager: PagerDutySink, alert: MakeAlert, tmp_path: Path
) -> None:
    for wrong in ("f" * 32, "short-secret"):
        (tmp_path / "key").write_text(wrong)
        with pytest.raises(NotifyError, match="PagerDuty answered 400") as caught:
            page(alert())
        assert caught.value.permanent
        assert wrong not in str(caught.value)
    (tmp_path / "key").write_text(KEY)
    page(alert())
    assert len(pager.messages) == 1


def test_an_answer_that_echoes_the_key_does_not_bring_it_into_the_error(alert: MakeAlert, tmp_path: Path) -> None:
    class Echo(PagerDutySink):
        def take(self, path: str, headers: Any, raw: bytes) -> tuple[int, dict[str, Any]]:
            return 400, {"message": json.loads(raw)["routing_key"]}

    (tmp_path / "key").write_text(KEY)
    receiver = PagerDutyReceiver.model_validate({"routing_key_file": str(tmp_path / "key")})
    with Echo() as sink, pytest.raises(NotifyError, match=r"\*\*\*") as caught:
        PagerDutyHandler(receiver, api_url=sink.url)(alert())
    assert KEY not in str(caught.value)


def test_an_answer_of_somebody_else_is_no_success(hook: WebhookSink, alert: MakeAlert, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    receiver = PagerDutyReceiver.model_validate({"routing_key_file": str(tmp_path / "key")})
    with pytest.raises(NotifyError, match="not that of its events API") as caught:
        PagerDutyHandler(receiver, api_url=hook.url)(alert())
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("status", "permanent", "wait"), [(429, False, 7.0), (500, False, None), (503, False, None), (400, True, None)]
)
def test_busy_is_tried_again_and_refused_is_not(
    page: PagerDutyHandler, pager: PagerDutySink, alert: MakeAlert, status: int, permanent: bool, wait: float | None
) -> None:
    pager.fail(status, retry_after=wait)
    with pytest.raises(NotifyError, match=f"PagerDuty answered {status}") as caught:
        page(alert())
    assert (caught.value.permanent, caught.value.retry_after) == (permanent, wait)
    page(alert())


# ── webhook ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_webhook_gets_the_alert_with_version_subject_and_lines(hook: WebhookSink, alert: MakeAlert) -> None:
    text = AlertText("[ERROR] ad_score: off", "ad_score: off", ("Version: 7", "Owner: ads"), "*x*", "<p>x</p>", LINKS)
    WebhookHandler(WebhookReceiver(url=hook.url))(alert(data=watched(text, metric="auc", value=math.nan)))
    assert hook.wait_for(lambda m: True) == {
        "version": "1",
        "alert_id": "a1",
        "timestamp": "2026-11-24T07:10:00+00:00",
        "level": "error",
        "type": "data_drift",
        "message": "it is off",
        "model_id": "ad_score",
        "status": "firing",
        "fingerprint": "00ff00ff00ff00ff",
        "starts_at": "2026-11-24T07:10:00+00:00",
        "subject": "[ERROR] ad_score: off",
        "lines": ["Version: 7", "Owner: ads"],
        "links": [{"label": label, "url": url} for label, url in LINKS],
        "data": {
            "alertname": "MLModelDataDrift",
            "model_version": "7",
            "checked_every": 60.0,
            "metric": "auc",
            "value": None,
        },
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.none() | st.dictionaries(st.text(max_size=10), anything, max_size=4), **anybodys_alert)
def test_a_body_is_always_json_with_the_same_keys(alert: MakeAlert, data: Any, **changed: str) -> None:
    body = json.loads(json.dumps(webhook.compose(alert(data=data, **changed)), allow_nan=False))
    assert set(body) == {
        "version", "alert_id", "timestamp", "level", "type", "message", "model_id", "status", "fingerprint",
        "starts_at", "subject", "lines", "links", "data",
    }  # fmt: skip


def test_an_address_of_a_file_is_read_at_each_send_with_its_user_and_password(alert: MakeAlert, tmp_path: Path) -> None:
    with WebhookSink(credentials=("me", "p@ss/wörd")) as sink:
        receiver = WebhookReceiver.model_validate({"url_file": str(tmp_path / "url")})
        send = WebhookHandler(receiver)
        (tmp_path / "url").write_text(sink.url)
        with pytest.raises(NotifyError, match="webhook answered 401") as caught:
            send(alert())
        assert not caught.value.permanent
        (tmp_path / "url").write_text(sink.url.replace("//", "//me:p%40ss%2Fw%C3%B6rd@") + "\n")
        send(alert())
        assert len(sink.messages) == 1


SECRET_URLS = (
    "http://me:hunter2@127.0.0.1:{port}/S3CRET?token=T0KEN",
    "http://hunter2@127.0.0.1:{port}/S3CRET",
    "http://127.0.0.1:{port}/S3CRET#T0KEN",
    "ftp://me:hunter2@127.0.0.1:{port}/S3CRET",
    "me:hunter2@127.0.0.1:{port}/S3CRET",
    "http://me:hunter2@127.0.0.1:{port}/S3 CRET",
    "http://me:hunter2@127.0.0.1:{port}/a\nS3CRET: T0KEN",
    "http://me:hunter2@[127.0.0.1:{port}/S3CRET",
    "http://me:hunter2@:{port}/S3CRET",
    "http://me:hunter2@127.0.0.1:hunter2/S3CRET",
)


@pytest.mark.parametrize("url", SECRET_URLS)
@pytest.mark.parametrize("kind", ["webhook", "alertmanager"])
def test_nothing_of_a_secret_address_is_in_an_error(
    alert: MakeAlert, tmp_path: Path, closed_port: int, url: str, kind: str
) -> None:
    (tmp_path / "url").write_text(url.format(port=closed_port))
    fields = {"url_file": str(tmp_path / "url")}
    send: Any = (
        WebhookHandler(WebhookReceiver.model_validate(fields))
        if kind == "webhook"
        else AlertmanagerHandler(AlertmanagerReceiver.model_validate(fields))
    )
    with pytest.raises(NotifyError) as caught:
        send(alert())
    assert not [part for part in ("hunter2", "S3CRET", "T0KEN") if part in f"{caught.value} {send!r}"]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", SECRET_URLS)
def test_nothing_of_a_secret_address_is_in_the_log_or_the_answer(
    alert: MakeAlert, tmp_path: Path, closed_port: int, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "url").write_text(url.format(port=closed_port))
    handler = WebhookHandler(WebhookReceiver(url_file=str(tmp_path / "url")))
    outbox = Outbox({"hook": handler}, policy=RetryPolicy(first=0.0, max_age=0.0))
    answer = outbox.deliver_now(alert(), ["hook"], 10.0)
    outbox.close()
    assert "cannot deliver" in caplog.text
    assert not [part for part in ("hunter2", "S3CRET", "T0KEN") if part in f"{caplog.text} {answer}"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(secret=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=60))
def test_whatever_an_address_file_holds_stays_in_it(alert: MakeAlert, tmp_path: Path, secret: str) -> None:
    (tmp_path / "url").write_text(secret, newline="")
    send = WebhookHandler(WebhookReceiver.model_validate({"url_file": str(tmp_path / "url")}))
    with pytest.raises(NotifyError) as caught:
        send(alert())
    assert secret.strip() not in str(caught.value).replace(str(tmp_path / "url"), "") or len(secret.strip()) < 6


# ── Alertmanager ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_alert_becomes_labels_that_name_it_and_annotations_that_explain_it(alert: MakeAlert) -> None:
    text = AlertText("[ERROR] ad_score: off", "ad_score: off", ("Version: 7", "Owner: ads"), links=LINKS)
    [entry] = alertmanager.compose(alert(data=watched(text, alert_metric="web")))
    assert entry == {
        "labels": {
            "alertname": "MLModelDataDrift", "severity": "error", "model_id": "ad_score", "model_version": "7",
            "segment": "web",
        },
        "annotations": {
            "summary": "ad_score: off", "description": "Version: 7\nOwner: ads",
            "runbook_url": LINKS[1][1], "dashboard_url": LINKS[0][1],
        },
        "startsAt": "2026-11-24T07:10:00.000+00:00",
        "endsAt": "2026-11-25T07:10:00.000+00:00",
        "generatorURL": LINKS[0][1],
    }  # fmt: skip


@pytest.mark.parametrize(("every", "life"), [(60.0, DAY), (DAY / 4, DAY), (DAY, 4 * DAY), (7 * DAY, 28 * DAY)])
def test_a_firing_alert_lives_for_a_day_or_four_checks_without_word_from_us(
    alert: MakeAlert, every: float, life: float
) -> None:
    [entry] = alertmanager.compose(alert(data=watched(checked_every=every)))
    assert epoch_seconds(entry["endsAt"]) - epoch_seconds("2026-11-24T07:10:00+00:00") == life


def test_with_a_new_level_the_old_one_ends(alert: MakeAlert) -> None:
    now = "2026-11-24T08:00:00+00:00"
    data = watched(earlier_levels=["warning", "error"])
    worse = alertmanager.compose(alert(level="critical", timestamp=now, data=data))
    assert [(e["labels"]["severity"], e["endsAt"][:16]) for e in worse] == [
        ("critical", "2026-11-25T08:00"), ("warning", "2026-11-24T08:00"), ("error", "2026-11-24T08:00"),
    ]  # fmt: skip


def test_resolved_ends_every_level_that_was_told(alert: MakeAlert) -> None:
    now = "2026-11-24T08:00:00+00:00"
    over = alertmanager.compose(
        alert(status="resolved", level="warning", timestamp=now, data=watched(earlier_levels=["error", "critical"]))
    )
    assert {(e["labels"]["severity"], e["endsAt"]) for e in over} == {
        ("error", "2026-11-24T08:00:00.000+00:00"), ("critical", "2026-11-24T08:00:00.000+00:00"),
    }  # fmt: skip
    [alone] = alertmanager.compose(alert(status="resolved", timestamp=now, data=watched()))
    assert alone["labels"]["severity"] == "error"


def test_what_fires_and_its_end_have_the_same_labels(alert: MakeAlert) -> None:
    data = watched(alert_metric="auc", metric="auc")
    [firing] = alertmanager.compose(alert(data=data))
    [over] = alertmanager.compose(alert(status="resolved", data=watched(alert_metric="auc")))
    assert firing["labels"] == over["labels"]
    [metric] = alertmanager.compose(alert(data=watched(alertname="MLModelPerformanceBelowFloor", alert_metric="auc")))
    assert metric["labels"]["metric"] == "auc"


def test_each_alert_sent_by_hand_is_one_of_its_own_and_ends_by_the_sites_timeout(alert: MakeAlert) -> None:
    [one] = alertmanager.compose(alert(alert_id="a1", type="monitoring"))
    [two] = alertmanager.compose(alert(alert_id="a2", type="monitoring"))
    assert one["labels"] != two["labels"]
    assert one["labels"]["alertname"] == "ModelwatchSentByHand"
    assert "endsAt" not in one


@pytest.mark.parametrize(
    ("url", "path"), [("", "/api/v2/alerts"), ("/am/", "/am/api/v2/alerts"), ("/api/v2/alerts", "/api/v2/alerts")]
)
def test_the_path_of_the_address_is_a_prefix(url: str, path: str, alert: MakeAlert) -> None:
    class AnyPath(WebhookSink):
        paths: tuple[str, ...] = ()

        def take(self, path: str, headers: Any, raw: bytes) -> tuple[int, dict[str, Any]]:
            self.paths += (path,)
            return 200, {}

    with AnyPath() as sink:
        receiver = AlertmanagerReceiver(url=f"http://{sink.host}:{sink.port}{url}")
        AlertmanagerHandler(receiver)(alert())
        assert sink.paths == (path,)


# ── all ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_type_of_receiver_has_its_handler() -> None:
    made = build_handlers(
        {
            "pagerduty": PagerDutyReceiver(routing_key_file="/k"),
            "hook": WebhookReceiver(url="http://h"),
            "am": AlertmanagerReceiver(url_file="/u"),
        }
    )
    assert {name: repr(handler) for name, handler in made.items() if name != "log"} == {
        "pagerduty": "PagerDutyHandler()", "hook": "WebhookHandler(url)", "am": "AlertmanagerHandler(url_file)",
    }  # fmt: skip


@pytest.mark.parametrize("content", [None, b" \n", b"\xff"])
def test_a_secret_file_that_cannot_be_used_is_named(alert: MakeAlert, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    path = str(tmp_path / "x")
    for send, key in (
        (PagerDutyHandler(PagerDutyReceiver(routing_key_file=path)), "routing_key_file"),
        (WebhookHandler(WebhookReceiver(url_file=path)), "url_file"),
        (AlertmanagerHandler(AlertmanagerReceiver(url_file=path)), "url_file"),
    ):
        with pytest.raises(NotifyError, match=f"{key} '{path}'"):
            send(alert())


def test_a_text_of_an_older_release_has_no_links() -> None:
    old = {key: value for key, value in plain_text("error", "x").as_dict().items() if key != "links"}
    assert AlertText.from_dict(old) == plain_text("error", "x")


def test_the_longest_summary_that_pagerduty_takes_is_kept_and_no_more(alert: MakeAlert) -> None:
    assert len(pagerduty.compose(alert(message="x" * 5000))["payload"]["summary"]) == 1024
