"""The sinks behave as the services they stand for, so that a test that passes means something."""

from __future__ import annotations

import smtplib
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from modelwatch.demo.sinks import SlackSink, SmtpSink


def post(url: str, body: bytes, kind: str = "application/json") -> tuple[int, str]:
    try:
        with urlopen(Request(url, data=body, headers={"Content-Type": kind}), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("body", "kind", "answer"),
    [
        (b'{"text": "x"}', "text/plain", "invalid_payload"),
        (b"{", "application/json", "invalid_payload"),
        (b"[]", "application/json", "invalid_payload"),
        (b"{}", "application/json", "no_text"),
        (b'{"blocks": [{"type": "section"}]}', "application/json", "invalid_blocks"),
        (b'{"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "%s"}}]}' % (b"x" * 3001),
         "application/json", "invalid_blocks"),
    ],
)  # fmt: skip
def test_slack_refuses_what_slack_refuses(chat: SlackSink, body: bytes, kind: str, answer: str) -> None:
    assert post(chat.url, body, kind) == (400, answer)
    assert chat.messages == []


def test_slack_takes_posts_to_its_paths_only(chat: SlackSink) -> None:
    assert post(f"http://127.0.0.1:{chat.port}/elsewhere", b'{"text": "x"}') == (404, "no_service")
    with pytest.raises(HTTPError) as caught:
        urlopen(chat.url, timeout=5)
    caught.value.close()
    assert caught.value.code == 405


def test_waiting_ends_with_a_clear_error(chat: SlackSink, mailbox: SmtpSink) -> None:
    with pytest.raises(TimeoutError, match=r"no such Slack message within 0.01 s; 0 others arrived"):
        chat.wait_for(lambda _: True, 0.01)
    with pytest.raises(TimeoutError, match="no such e-mail"):
        mailbox.wait_for(lambda _: True, 0.01)


def test_a_closed_mailbox_takes_no_connection() -> None:
    sink = SmtpSink()
    sink.close()
    sink.close()
    with pytest.raises(OSError):
        smtplib.SMTP(sink.host, sink.port, timeout=5)
