"""Quiet hours as people write them: by the clock on the wall, over midnight, over the weekend, over a clock change."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.config import WEEKDAYS, AlertingConfig, MonitoringConfig, QuietHours
from modelwatch.exceptions import ConfigError

MONDAY = 23
"""Of November 2026."""


def hours(**values: Any) -> QuietHours:
    return QuietHours.model_validate(values)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=timezone.utc)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    night = hours(times=["22:00-07:00"], days=["friday"])
    friday, saturday = MONDAY + 4, MONDAY + 5
    quiet = {at(friday, 22), at(friday, 23, 59), at(saturday, 0), at(saturday, 6, 59)}
    loud = {at(friday, 6), at(friday, 21, 59), at(saturday, 7), at(saturday, 22)}
    assert {moment for moment in quiet | loud if night.hold_at(moment)} == quiet


def test_without_days_every_night_is_quiet_and_without_times_all_day() -> None:
    night, weekend = hours(times=["22:00-07:00"]), hours(days=["saturday", "sunday"])
    for day in range(MONDAY, MONDAY + 7):
        assert night.hold_at(at(day, 3))
        assert not night.hold_at(at(day, 12))
        assert weekend.hold_at(at(day, 12)) is (day >= MONDAY + 5)


def test_several_ranges_and_an_end_at_midnight() -> None:
    both = hours(times=["12:00-13:00", "22:30-00:00", "00:00-06:15"])
    assert [both.hold_at(at(MONDAY, *clock)) for clock in ((12, 59), (13, 0), (22, 30), (23, 59), (0, 0), (6, 15))] == [
        True, False, True, True, True, False,
    ]  # fmt: skip
    assert hours(times=["22:30-24:00"]).spans == hours(times=["22:30-00:00"]).spans


@pytest.mark.parametrize(
    ("days", "meant"),
    [
        (["monday:friday"], {0, 1, 2, 3, 4}),
        (["Saturday:monday"], {5, 6, 0}),
        (["sunday", "sunday:sunday"], {6}),
        (["monday:wednesday", "friday"], {0, 1, 2, 4}),
    ],
)
def test_ranges_of_days_may_go_over_sunday(days: list[str], meant: set[int]) -> None:
    assert {day for span in hours(days=days).spans for day in span.days} == meant


def test_when_the_clocks_change_the_clock_on_the_wall_counts() -> None:
    berlin, night = ZoneInfo("Europe/Berlin"), hours(times=["22:00-07:00"])

    def quiet(month: int, day: int, hour: int) -> bool:
        """At a full hour of UTC."""
        return night.hold_at(datetime(2026, month, day, hour, tzinfo=timezone.utc).astimezone(berlin))

    # Winter begins on 25 October: 07:00 is 05:00 UTC the day before, 06:00 UTC on it; summer on 29 March.
    assert [quiet(10, 24, 4), quiet(10, 24, 5), quiet(10, 25, 5), quiet(10, 25, 6)] == [True, False, True, False]
    assert [quiet(3, 28, 5), quiet(3, 28, 6), quiet(3, 29, 4), quiet(3, 29, 5)] == [True, False, True, False]


@given(
    start=st.integers(0, 1439),
    length=st.integers(1, 1439),
    days=st.sets(st.sampled_from(WEEKDAYS), min_size=1),
    minute=st.integers(0, 7 * 1440 - 1),
)
def test_a_minute_is_quiet_if_a_range_that_began_on_one_of_the_days_has_not_ended(
    start: int, length: int, days: set[str], minute: int
) -> None:
    end = (start + length) % 1440
    text = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    made = hours(times=[text], days=sorted(days))
    begun = [WEEKDAYS.index(day) * 1440 + start for day in days]
    expected = any((minute - beginning) % (7 * 1440) < length for beginning in begun)
    assert made.hold_at(at(MONDAY + minute // 1440, minute % 1440 // 60, minute % 60)) is expected
    assert all(0 <= span.start < span.end <= 1440 for span in made.spans)


def test_a_receiver_of_the_configuration_a_type_and_a_handler_that_a_model_names_can_have_them() -> None:
    receivers = {"chat": {"type": "slack", "url_file": "/f"}}
    for name in ("chat", "slack", "teams", "pagerduty"):
        quiet = [{"days": ["sunday"], "receivers": [name]}]
        config = {"models": [{"model_id": "m", "alert_channels": ["teams"]}], "alerting": {"receivers": receivers}}
        config["alerting"] |= {"quiet_hours": quiet}  # type: ignore[operator]
        assert MonitoringConfig.model_validate(config).alerting.quiet_hours[0].receivers == (name,)
    with pytest.raises(ConfigError, match="which has quiet hours of its own"):
        MonitoringConfig.model_validate(
            {"alerting": {"receivers": {"am": {"type": "alertmanager", "url": "http://am:9093"}},
                          "quiet_hours": [{"days": ["sunday"], "receivers": ["am"]}]}}
        )  # fmt: skip


# ── the site's own severities, and grouping ──────────────────────────────────────────────────────────────────────────

NAMES = ("info", "warning", "error", "critical")


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from((*NAMES, "page", "ticket"))))
def test_labels_that_are_accepted_never_say_that_something_worse_is_milder(labels: dict[str, str]) -> None:
    try:
        accepted = AlertingConfig.model_validate({"severity_map": labels}).severity_map
    except ConfigError:
        return
    written = {str(name): label for name, label in accepted.items()}
    mapped = [written.get(name, name) for name in NAMES]
    assert mapped == sorted(mapped, key=mapped.index), "who shares a label are neighbours"
    known = [NAMES.index(label) for label in mapped if label in NAMES]
    assert known == sorted(known)


def test_maps_that_sites_have_are_accepted() -> None:
    for labels in (
        {"error": "critical"},
        {"critical": "page", "error": "page", "warning": "ticket"},
        {"critical": "P1", "error": "P2", "warning": "P3", "info": "P4"},
        {"info": "warning", "warning": "warning", "error": "critical"},
        {"warning": "info", "error": "warning"},
    ):
        assert AlertingConfig.model_validate({"severity_map": labels}).severity_map == labels


def test_grouping_has_nothing_to_say_unless_it_is_written() -> None:
    assert AlertingConfig().grouping.model_fields_set == set()
    written = AlertingConfig.model_validate(
        {"grouping": {"by": ["team", "alertname", "team"], "wait": "1m30s"}}
    ).grouping
    assert (written.by, written.wait_seconds, written.interval_seconds) == (("team", "alertname"), 90.0, None)
