"""E-mail and Slack against real servers; no secret in any error."""

from __future__ import annotations

import io
import json
import logging
import socket
import ssl
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.config import EmailReceiver, SlackReceiver
from modelwatch.config.alerting import LogReceiver
from modelwatch.demo.sinks import SlackSink, SmtpSink
from modelwatch.notify.errors import NotifyError, reason_of
from modelwatch.notify.handlers import build_handlers
from modelwatch.notify.log import LogHandler
from modelwatch.notify.mail import EmailHandler, compose
from modelwatch.notify.messages import plain_text
from modelwatch.notify.slack import SlackHandler, split_blocks
from modelwatch.notify.slack import compose as compose_slack

MakeAlert = Callable[..., dict[str, Any]]
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
PASSWORD = "hunter2-secret"


def email(address: str, **changed: Any) -> EmailReceiver:
    fields = {"to": ["team@example.com"], "from": "modelwatch@example.com", "smtp": address}
    return EmailReceiver.model_validate(fields | changed)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# ── e-mail ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_email_has_subject_text_and_html(mailbox: SmtpSink, alert: MakeAlert) -> None:
    text = plain_text("error", "it is off\nsecond fact", "ad_score")
    EmailHandler(email(mailbox.address))(alert(text))
    message = mailbox.wait_for(lambda m: True)
    assert message["Subject"] == "[ERROR] ad_score: it is off"
    assert message["From"] == "modelwatch@example.com"
    assert message["References"] == "<modelwatch-00ff00ff00ff00ff@example.com>"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "second fact" in plain.get_content()
    assert "<strong>ERROR</strong>" in html.get_content()


def test_all_recipients_get_it_whatever_they_are_called(mailbox: SmtpSink, alert: MakeAlert) -> None:
    EmailHandler(email(mailbox.address, to=["Zoë <zoe@example.com>", "ops@example.com"]))(alert())
    assert mailbox.wait_for(lambda m: True)["To"] == "Zoë <zoe@example.com>, ops@example.com"
    assert mailbox.recipients == [["zoe@example.com", "ops@example.com"]]


@pytest.mark.parametrize("tls", ["starttls", "auto"])
def test_starttls_and_password_from_a_file_read_at_each_send(
    certificate: Contexts, alert: MakeAlert, tmp_path: Path, tls: str
) -> None:
    server, client = certificate
    secret = tmp_path / "password"
    secret.write_text("outdated\n")
    with SmtpSink(tls_context=server, credentials=("robot", PASSWORD)) as sink:
        receiver = email(sink.address, tls=tls, username="robot", password_file=str(secret))
        send = EmailHandler(receiver, tls_context=client)
        with pytest.raises(NotifyError, match="user name or password was not accepted") as caught:
            send(alert())
        assert not caught.value.permanent
        secret.write_text(f"{PASSWORD}\n")
        send(alert())
        assert sink.wait_for(lambda m: True)["Subject"] == "[ERROR] ad_score: it is off"


def test_tls_from_the_first_byte(certificate: Contexts, alert: MakeAlert) -> None:
    server, client = certificate
    with SmtpSink(tls_context=server, implicit_tls=True) as sink:
        EmailHandler(email(sink.address, tls="tls"), tls_context=client)(alert())
        sink.wait_for(lambda m: True)


def test_tls_from_the_first_byte_with_a_password_text_and_html(
    certificate: Contexts, alert: MakeAlert, tmp_path: Path
) -> None:
    server, client = certificate
    (tmp_path / "password").write_text(PASSWORD)
    with SmtpSink(tls_context=server, implicit_tls=True, credentials=("robot", PASSWORD)) as sink:
        receiver = email(sink.address, tls="tls", username="robot", password_file=str(tmp_path / "password"))
        EmailHandler(receiver, tls_context=client)(alert(plain_text("error", "it is off\nsecond fact", "ad_score")))
        message = sink.wait_for(lambda m: True)
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        wrong = email(sink.address, tls="tls", username="robot-S3CRET", password_file=str(tmp_path / "password"))
        with pytest.raises(NotifyError, match="user name or password was not accepted") as caught:
            EmailHandler(wrong, tls_context=client)(alert())
    assert not [secret for secret in (PASSWORD, "S3CRET") if secret in str(caught.value)]


def test_an_unknown_certificate_is_refused(certificate: Contexts, alert: MakeAlert) -> None:
    with SmtpSink(tls_context=certificate[0]) as sink:
        with pytest.raises(NotifyError, match="CERTIFICATE_VERIFY_FAILED"):
            EmailHandler(email(sink.address, tls="starttls"))(alert())
        assert sink.messages == []


@pytest.mark.parametrize("tls", ["starttls", "auto"])
def test_a_password_is_never_sent_where_tls_is_not_offered(
    mailbox: SmtpSink, alert: MakeAlert, tmp_path: Path, tls: str
) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    receiver = email(mailbox.address, tls=tls, username="robot", password_file=str(secret))
    with pytest.raises(NotifyError, match="STARTTLS") as caught:
        EmailHandler(receiver)(alert())
    assert PASSWORD not in str(caught.value)


def test_one_refused_recipient_does_not_make_the_others_get_it_twice(
    alert: MakeAlert, caplog: pytest.LogCaptureFixture
) -> None:
    with SmtpSink(refuse=lambda address: address.startswith("gone")) as sink:
        EmailHandler(email(sink.address, to=["gone@example.com", "here@example.com"]))(alert())
        sink.wait_for(lambda m: True)
        assert sink.recipients == [["here@example.com"]]
    assert "1 of 2 recipients were refused" in caplog.text


def test_all_recipients_refused_is_permanent(alert: MakeAlert) -> None:
    with SmtpSink(refuse=lambda _: True) as sink:
        with pytest.raises(NotifyError, match="all recipients were refused") as caught:
            EmailHandler(email(sink.address))(alert())
        assert caught.value.permanent


def test_a_dead_mail_server_is_named_by_address(closed_port: int, alert: MakeAlert) -> None:
    with pytest.raises(NotifyError, match=rf"e-mail by 127.0.0.1:{closed_port} failed: ConnectionRefusedError"):
        EmailHandler(email(f"127.0.0.1:{closed_port}"))(alert())


@pytest.mark.parametrize(("content", "reason"), [(None, "cannot be read"), (b" \n", "is empty"), (b"\xff", "UTF-8")])
def test_a_bad_password_file_is_named_not_shown(
    mailbox: SmtpSink, alert: MakeAlert, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    secret = tmp_path / "password"
    if content is not None:
        secret.write_bytes(content)
    receiver = email(mailbox.address, username="robot", password_file=str(secret))
    with pytest.raises(NotifyError, match=reason) as caught:
        EmailHandler(receiver)(alert())
    assert str(secret) in str(caught.value)


def test_without_a_from_address_the_user_name_or_the_host_is_the_sender(mailbox: SmtpSink, alert: MakeAlert) -> None:
    EmailHandler(email(mailbox.address, **{"from": None}))(alert())
    assert mailbox.wait_for(lambda m: True)["From"].startswith("modelwatch@")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(model=st.text(max_size=80), message=st.text(max_size=80), fingerprint=st.text(max_size=20))
def test_nothing_in_an_alert_adds_a_header(alert: MakeAlert, model: str, message: str, fingerprint: str) -> None:
    usual = {"Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "References", "MIME-Version",
             "Content-Type"}  # fmt: skip
    made = compose(
        alert(model_id=model, message=f"{message}\r\nBcc: evil@example.com", fingerprint=fingerprint),
        sender="a@example.com",
        to=("b@example.com",),
    )
    assert set(message_from_bytes(made.as_bytes()).keys()) == set(made.keys()) <= usual
    assert [part.get_content_type() for part in made.iter_parts()] == ["text/plain", "text/html"]


# ── Slack ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def webhook(chat: SlackSink, tmp_path: Path) -> SlackReceiver:
    (tmp_path / "slack_url").write_text(f"{chat.url}\n")
    return SlackReceiver.model_validate({"url_file": str(tmp_path / "slack_url")})


def test_slack_gets_blocks_and_a_text(chat: SlackSink, webhook: SlackReceiver, alert: MakeAlert) -> None:
    SlackHandler(webhook)(alert(plain_text("error", "a <b> & c", "ad_score")))
    body = chat.wait_for(lambda m: True)
    assert body["text"] == "[ERROR] ad_score: a &lt;b&gt; &amp; c"
    assert body["blocks"][0]["text"]["text"] == "*ERROR* · ad_score: a &lt;b&gt; &amp; c"


def test_a_new_url_in_the_file_counts_at_once(
    chat: SlackSink, webhook: SlackReceiver, alert: MakeAlert, tmp_path: Path, closed_port: int
) -> None:
    send = SlackHandler(webhook)
    (tmp_path / "slack_url").write_text(f"http://127.0.0.1:{closed_port}/services/T0/B0/old")
    with pytest.raises(NotifyError, match="Slack webhook cannot be reached: ConnectionRefusedError"):
        send(alert())
    (tmp_path / "slack_url").write_text(chat.url)
    send(alert())
    assert len(chat.messages) == 1


def test_a_bot_posts_to_its_channel(chat: SlackSink, alert: MakeAlert, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxb-sink")
    receiver = SlackReceiver.model_validate({"token_file": str(tmp_path / "token"), "channel": "#ads"})
    send = SlackHandler(receiver, api_url=chat.api_url)
    send(alert())
    assert chat.wait_for(lambda m: True)["channel"] == "#ads"
    (tmp_path / "token").write_text("xoxb-revoked")
    with pytest.raises(NotifyError, match="refused the message: invalid_auth") as caught:
        send(alert())
    assert "xoxb" not in str(caught.value)


def test_retry_after_is_passed_on(chat: SlackSink, webhook: SlackReceiver, alert: MakeAlert) -> None:
    chat.fail(429, retry_after=7)
    with pytest.raises(NotifyError, match="answered 429: rate_limited") as caught:
        SlackHandler(webhook)(alert())
    assert (caught.value.retry_after, caught.value.permanent) == (7.0, False)


@pytest.mark.parametrize(("status", "permanent"), [(500, False), (404, False), (400, True), (302, False)])
def test_refusals_that_cannot_change_are_permanent(
    chat: SlackSink, webhook: SlackReceiver, alert: MakeAlert, status: int, permanent: bool
) -> None:
    chat.fail(status)
    with pytest.raises(NotifyError) as caught:
        SlackHandler(webhook)(alert())
    assert caught.value.permanent == permanent


def test_a_hang_up_is_an_error_without_the_url(chat: SlackSink, webhook: SlackReceiver, alert: MakeAlert) -> None:
    chat.fail(0)
    with pytest.raises(NotifyError, match="Slack webhook failed: RemoteDisconnected") as caught:
        SlackHandler(webhook)(alert())
    assert "services" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    ["file:///etc/passwd", "ftp://h/services/T0SECRET", "hooks.example.com/services/T0SECRET", "http://",
     "https://h/ services/T0SECRET", "https://h/a\nHost: b", "http://h:port/T0SECRET", "http://[T0SECRET/"],
)  # fmt: skip
def test_only_http_addresses_are_opened_and_none_is_shown(alert: MakeAlert, tmp_path: Path, content: str) -> None:
    (tmp_path / "slack_url").write_text(content)
    receiver = SlackReceiver.model_validate({"url_file": str(tmp_path / "slack_url")})
    with pytest.raises(NotifyError, match="an http\\(s\\) URL is needed") as caught:
        SlackHandler(receiver)(alert())
    assert "T0SECRET" not in str(caught.value)


def test_a_token_of_two_lines_adds_no_header(chat: SlackSink, alert: MakeAlert, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("xoxb-a\r\nX-Evil: b")
    receiver = SlackReceiver.model_validate({"token_file": str(tmp_path / "token"), "channel": "#ads"})
    with pytest.raises(NotifyError, match="no usable token") as caught:
        SlackHandler(receiver, api_url=chat.api_url)(alert())
    assert "xoxb" not in str(caught.value)
    assert chat.requests == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(model=st.text(max_size=200), message=st.text(max_size=9000))
def test_slack_takes_every_message(
    chat: SlackSink, webhook: SlackReceiver, alert: MakeAlert, model: str, message: str
) -> None:
    SlackHandler(webhook)(alert(model_id=model, message=message))


@given(st.text(alphabet="&<> ab\n", max_size=400), st.integers(10, 60))
def test_blocks_are_short_and_cut_no_escape(text: str, limit: int) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for part in split_blocks(escaped, limit):
        assert 0 < len(part) <= limit
        rest = part.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert not set(rest) & set("&<>")


def test_a_long_text_becomes_at_most_fifty_blocks(alert: MakeAlert) -> None:
    body = compose_slack(alert(message="\n".join("x" * 2900 for _ in range(90))))
    assert len(body["blocks"]) <= 50
    assert all(len(block["text"]["text"]) <= 3000 for block in body["blocks"])


# ── log ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("level", "status", "expected"),
    [("info", "firing", logging.INFO), ("warning", "firing", logging.WARNING), ("error", "firing", logging.ERROR),
     ("critical", "firing", logging.CRITICAL), ("critical", "resolved", logging.INFO)],
)  # fmt: skip
def test_the_log_has_the_alerts_level(
    alert: MakeAlert, caplog: pytest.LogCaptureFixture, level: str, status: str, expected: int
) -> None:
    caplog.set_level(logging.INFO, "modelwatch.alerts")
    LogHandler()(alert(level=level, status=status))
    (record,) = caplog.records
    assert (record.levelno, record.name) == (expected, "modelwatch.alerts")
    assert record.__dict__["alert"]["level"] == level


def test_a_formatter_can_write_the_whole_alert_as_json(alert: MakeAlert) -> None:
    class AsJson(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return json.dumps({"level": record.levelname, **record.__dict__["alert"]})

    written = io.StringIO()
    stream = logging.StreamHandler(written)
    stream.setFormatter(AsJson())
    logger = logging.Logger("alerts of a test")
    logger.addHandler(stream)
    given = alert(plain_text("error", "it is off", "ad_score"))
    LogHandler(logger)(given)
    assert json.loads(written.getvalue()) == given


def test_a_log_line_has_its_facts_as_fields(alert: MakeAlert, caplog: pytest.LogCaptureFixture) -> None:
    LogHandler()(alert(model_id='a "quoted" one', message="first\nsecond"))
    line = caplog.records[0].getMessage()
    assert line.startswith('status=firing level=error model_id="a \\"quoted\\" one" type="data_drift" alert_id="a1"')
    assert line.endswith('message="a \\"quoted\\" one: first | second"')


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(model=st.text(max_size=50), message=st.text(max_size=50), kind=st.text(max_size=50))
def test_an_alert_is_one_line_of_log_whatever_it_is_called(
    alert: MakeAlert, caplog: pytest.LogCaptureFixture, model: str, message: str, kind: str
) -> None:
    caplog.clear()
    LogHandler()(alert(model_id=model, message=message, type=kind))
    line = caplog.records[0].getMessage()
    assert line.isprintable()
    json.loads(line[line.rindex("message=") + 8 :] if "message=" not in message + model + kind else '""')


# ── all ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_receiver_has_a_handler_and_the_log_is_always_there(webhook: SlackReceiver) -> None:
    made = build_handlers({"email": email("h:25"), "slack-ads": webhook, "audit": LogReceiver()})
    assert {name: type(handler).__name__ for name, handler in made.items()} == {
        "log": "LogHandler", "email": "EmailHandler", "slack-ads": "SlackHandler", "audit": "LogHandler",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words",
    ["HTTPSConnectionPool(host='hooks.slack.com'): Max retries exceeded with url: /services/T0/SECRET",
     "cannot open https://hooks.slack.com/services/T0/SECRET now", "POST /services/T0/SECRET failed"],
)  # fmt: skip
def test_errors_of_other_peoples_handlers_lose_their_urls(words: str) -> None:
    assert "SECRET" not in reason_of(RuntimeError(words))
