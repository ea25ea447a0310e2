"""Files of secrets that are of no use are found before there is an alert, and never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwatch.config import AlertmanagerReceiver, EmailReceiver, PagerDutyReceiver, SlackReceiver, WebhookReceiver
from modelwatch.notify.secret_files import secret_problem, usable_address


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def _receivers(path: Path) -> list[Any]:
    name = str(path)
    return [
        SlackReceiver(url_file=name),
        SlackReceiver(token_file=name, channel="#ml"),
        PagerDutyReceiver(routing_key_file=name),
        WebhookReceiver(url_file=name),
        AlertmanagerReceiver(url_file=name),
        EmailReceiver(to=("a@example.com",), smtp="mail.example.com:587", username="u", password_file=name),
    ]


def test_a_file_that_is_missing_or_empty_is_a_problem_of_every_receiver_that_reads_it(file: Path) -> None:
    for receiver in _receivers(file):
        assert secret_problem(receiver).endswith(f"{str(file)!r} cannot be read: No such file or directory")
    file.write_text(" \n", encoding="utf-8")
    for receiver in _receivers(file):
        assert secret_problem(receiver).endswith("is empty")


def test_an_address_must_be_one_and_is_not_shown(file: Path) -> None:
    file.write_text("hunter2 is not a url\n", encoding="utf-8")
    for receiver in (SlackReceiver(url_file=str(file)), WebhookReceiver(url_file=str(file))):
        assert secret_problem(receiver) == f"url_file {str(file)!r} holds no http(s) address"


def test_what_delivers_is_no_problem(file: Path) -> None:
    file.write_text("https://hooks.example.com/services/T0/B0/x\n", encoding="utf-8")
    assert [secret_problem(receiver) for receiver in _receivers(file)] == [""] * 6
    assert secret_problem(WebhookReceiver(url="https://example.com/hook")) == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(min_size=8, max_size=60))
def test_whatever_a_file_holds_no_message_repeats_it(file: Path, content: bytes) -> None:
    file.write_bytes(b"S3CRET" + content + b"S3CRET")
    for receiver in _receivers(file):
        assert "S3CRET" not in secret_problem(receiver)


@given(text=st.text(max_size=40))
def test_a_text_is_no_address_without_a_scheme(text: str) -> None:
    assert not usable_address(text.replace(":", ""))
