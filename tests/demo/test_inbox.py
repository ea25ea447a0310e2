"""Messages of three channels, told apart and put in one order."""

import logging
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from modelwatch.demo.inbox import Inbox


class Server:
    def __init__(self) -> None:
        self.messages: list[Any] = []


@pytest.fixture
def servers() -> tuple[Server, Server]:
    return Server(), Server()


@pytest.fixture
def inbox(servers: tuple[Server, Server]) -> Iterator[Inbox]:
    with Inbox(*servers) as opened:
        yield opened


def email(subject: str, body: str = "flight_delay: 2 of 5 inputs drifted") -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message.set_content(body)
    message.add_alternative("<p>html</p>", subtype="html")
    return message


def log_alert(status: str, level: str, message: str) -> None:
    logging.getLogger("modelwatch.alerts").warning(
        "status=%s", status, extra={"alert": {"status": status, "level": level, "message": message}}
    )


def test_each_message_is_seen_once_with_its_channel_and_text(inbox: Inbox, servers: tuple[Server, Server]) -> None:
    smtp, slack = servers
    assert inbox.collect(1.0) == []
    log_alert("firing", "warning", "flight_delay: 2 of 5 inputs drifted (distance, carrier)")
    smtp.messages.append(email("[WARNING] flight_delay: 2 of 5 inputs drifted (distance, carrier)"))
    slack.messages.append(
        {
            "text": "[WARNING] flight_delay: 2 of 5 inputs drifted",
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*WARNING* a &lt; b"}}],
        }
    )
    found = inbox.collect(2.0)
    assert [(a.channel, a.at, a.firing) for a in found] == [
        ("log", 2.0, True),
        ("email", 2.0, True),
        ("slack", 2.0, True),
    ]
    assert found[0].text == "WARNING modelwatch.alerts status=firing"
    subject = "[WARNING] flight_delay: 2 of 5 inputs drifted (distance, carrier)"
    assert found[1].headline == subject
    assert found[1].text == f"Subject: {subject}\n\nflight_delay: 2 of 5 inputs drifted"
    assert found[2].text == "*WARNING* a < b"
    assert inbox.collect(3.0) == []
    assert inbox.arrivals == found


def test_firing_and_resolved_of_one_alert_have_the_same_subject_on_every_channel(
    inbox: Inbox, servers: tuple[Server, Server]
) -> None:
    smtp, slack = servers
    log_alert("firing", "warning", "flight_delay: 1 of 5 inputs drifted (distance)")
    log_alert("resolved", "error", "flight_delay: 2 of 5 inputs drifted (distance, carrier); lasted 20 s")
    smtp.messages += [email("[ERROR] m: predictions drifted since 1"), email("[RESOLVED] m: predictions drifted; 2 s")]
    slack.messages += [{"text": "[ERROR] m: 2 of 5 inputs drifted"}, {"text": "[RESOLVED] m: 2 of 5 inputs drifted"}]
    found = inbox.collect(1.0)
    assert [a.firing for a in found] == [True, False] * 3
    assert [a.subject for a in found] == ["input"] * 2 + ["prediction"] * 2 + ["input"] * 2


def test_warnings_of_the_package_are_notes_and_news_of_level_info_is_no_alert(inbox: Inbox) -> None:
    logging.getLogger("modelwatch").info("records flight_delay")
    logging.getLogger("modelwatch").warning("disk is nearly full")
    log_alert("firing", "info", "flight_delay: 1 of 5 inputs changed within tolerance")
    assert inbox.collect(1.0) == []
    assert inbox.notes() == [
        "In the log: WARNING modelwatch disk is nearly full",
        "In the log: [WARNING] flight_delay: 1 of 5 inputs changed within tolerance",
    ]
    assert inbox.notes() == []


def test_the_logger_is_left_as_it_was(servers: tuple[Server, Server]) -> None:
    logger = logging.getLogger("modelwatch")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with Inbox(*servers):
        assert not logger.propagate
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
