"""Who has quiet hours, of what, and what a site calls severities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

import pytest

from modelwatch.config import QuietHours, SeverityName
from modelwatch.policy import Severity, has_quiet_hours, is_quiet, severity_labels

NIGHT, NOON = (datetime(2026, 11, 26, hour, tzinfo=timezone.utc) for hour in (3, 12))
HOURS = QuietHours(times=("22:00-07:00",))


@dataclass(frozen=True)
class Receiver:
    type: str
    min_severity: SeverityName | None = None


@pytest.mark.parametrize(
    ("channel", "kind", "quiet"),
    [
        ("slack", None, True),
        ("email", "email", True),
        ("teams", None, True),
        ("log", None, False),
        ("pagerduty", None, False),
        ("nights", "pagerduty", False),
        ("hook", "webhook", False),
        ("am", "alertmanager", False),
    ],
)
def test_unasked_only_people_have_quiet_hours(channel: str, kind: str | None, quiet: bool) -> None:
    assert has_quiet_hours(HOURS, channel, Receiver(kind) if kind else None) is quiet


def test_named_ones_have_them_by_their_name_or_type() -> None:
    named = QuietHours(days=("sunday",), receivers=("pagerduty", "chat"))
    for channel, receiver, quiet in (
        ("pagerduty", None, True),
        ("nights", Receiver("pagerduty"), True),
        ("chat", Receiver("slack"), True),
        ("slack", Receiver("slack"), False),
    ):
        assert has_quiet_hours(named, channel, receiver) is quiet


def test_what_is_as_bad_as_they_say_gets_through_at_night() -> None:
    errors = QuietHours(times=("22:00-07:00",), below="error")
    told = [[not is_quiet(level, "slack", None, [hours], NIGHT) for level in Severity] for hours in (HOURS, errors)]
    assert told == [[False, False, False, False, True], [False, False, False, True, True]]
    assert not any(is_quiet(level, "slack", None, [HOURS, errors], NOON) for level in Severity)


def test_severities_keep_their_names_unless_the_site_has_its_own() -> None:
    assert list(severity_labels({}).values()) == ["none", "info", "warning", "error", "critical"]
    mapped = severity_labels({"critical": "page", "error": "page", "warning": "ticket"})
    assert list(mapped.values()) == ["none", "info", "ticket", "page", "page"]
