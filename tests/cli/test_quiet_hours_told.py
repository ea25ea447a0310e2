"""`check-config` and `doctor` say who is quiet when, and which settings are probably not meant so or do nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MAIL = {"to": "ml@example.com", "from": "mw@example.com", "smtp": "127.0.0.1:9", "tls": "none"}
RECEIVERS: dict[str, Any] = {"email": MAIL, "other": {"type": "email", **MAIL, "min_severity": "error"}}
MODEL: dict[str, Any] = {"model_id": "ads", "alert_channels": ["email", "other"]}
NIGHT = {"times": ["22:00-07:00"]}


def told(command: Any) -> list[str]:
    """Return what a check of ``models.yaml`` says of quiet hours, and of what does nothing."""
    ran = command("check-config")
    assert ran.code == 0
    words = ("quiet hours: ", "warning: alerting.", "warning: ads: objective")
    return [line for line in ran.lines if line.startswith(words)]


@pytest.mark.parametrize(
    ("hours", "line"),
    [
        (NIGHT, "email, other below critical 22:00-07:00 every day"),
        ({**NIGHT, "receivers": ["other"], "below": "error"}, "other below error 22:00-07:00 every day"),
        ({"days": ["saturday", "sunday"]}, "email, other below critical all day on saturday, sunday"),
        ({**NIGHT, "days": ["monday:friday"]}, "email, other below critical 22:00-07:00 on monday to friday"),
    ],
)
def test_each_entry_is_told_with_who_when_and_the_zone(
    write: Callable[..., Path], command: Any, hours: dict[str, Any], line: str
) -> None:
    write(timezone="Europe/Berlin", alerting={"receivers": RECEIVERS, "quiet_hours": [hours]}, models=[MODEL])
    assert told(command) == [f"quiet hours: {line} (Europe/Berlin)"]


@pytest.mark.parametrize("mode", ["direct", "prometheus"])
def test_quiet_hours_that_are_probably_not_meant_so_are_warned_of(
    write: Callable[..., Path], command: Any, mode: str
) -> None:
    hours = [{"days": ["monday:sunday"]}, {"times": ["00:00-12:00", "11:00-00:00"]}, {**NIGHT, "receivers": ["slack"]}]
    write(alerting={"mode": mode, "receivers": RECEIVERS, "quiet_hours": hours}, models=[MODEL])
    lines = [line for line in told(command) if line.startswith("warning: ")]
    always = "it covers the whole week: what is below critical is never told; a 'min_severity' of the receiver says"
    assert lines == [
        "warning: alerting.quiet_hours: there is no 'timezone', so their times are UTC",
        f"warning: alerting.quiet_hours[0]: {always} that better",
        f"warning: alerting.quiet_hours[1]: {always} that better",
        "warning: alerting.quiet_hours[2]: no receiver of this configuration is, or is of the type, 'slack': nobody is"
        " quiet",
    ]


def test_settings_for_servers_that_do_not_alert_here_are_warned_of(write: Callable[..., Path], command: Any) -> None:
    model = {**MODEL, "objective": {"error_rate": 0.01}}
    more = {"receivers": RECEIVERS, "severity_map": {"critical": "page"}, "grouping": {"wait": "1m"}}
    write(alerting=more, models=[model])
    nothing = "does nothing in alerting.mode direct"
    assert [line.partition(": it is for ")[0] for line in told(command)] == [
        f"warning: alerting.severity_map {nothing}",
        f"warning: alerting.grouping {nothing}",
        f"warning: ads: objective {nothing}",
    ]
    write(alerting={**more, "mode": "prometheus"}, models=[model])
    assert told(command) == []


def test_the_doctor_says_whether_quiet_hours_hold_now(write: Callable[..., Path], doctor: Any, tmp_path: Path) -> None:
    hours = [{"days": ["monday:sunday"]}, {**NIGHT, "receivers": ["slack"]}]
    write(alerting={"receivers": RECEIVERS, "quiet_hours": hours}, models=[MODEL])
    found = doctor("--storage", tmp_path / "s").of("quiet hours")
    assert found[0] == ("OK", "email, other below critical all day on monday to sunday (UTC); they hold now")
    assert found[1][1].startswith("nobody below critical 22:00-07:00 every day (UTC); ")
    assert [status for status, _ in found[2:]] == ["PROBLEM"] * 3
