"""Cron schedules: what they mean, how far apart their times are, and what is refused."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch.config import Cron, ModelMonitoringConfig, load_config, parse_cron
from modelwatch.exceptions import ConfigError

DAY = 86400.0


@pytest.mark.parametrize(
    ("text", "mean", "longest"),
    [
        ("* * * * *", 60, 60),
        ("*/15 * * * *", 900, 900),
        ("0 2 * * *", DAY, DAY),
        ("0,30 * * * *", 1800, 1800),
        ("0 9-17 * * mon-fri", 7 * DAY / 45, 64 * 3600),
        ("0 0 * * 0", 7 * DAY, 7 * DAY),
        ("0 0 29 2 *", 1461 * DAY, 1461 * DAY),
    ],
)
def test_the_times_of_a_schedule_are_so_far_apart(text: str, mean: float, longest: float) -> None:
    assert parse_cron(text).gaps() == pytest.approx((mean, longest), rel=2e-3)


def test_sunday_is_0_and_7_and_monday_1_as_in_cron() -> None:
    assert parse_cron("0 0 * * 0") == parse_cron("0 0 * * 7") == parse_cron("0 0 * * SUN")
    assert parse_cron("0 0 * * 1").weekdays == (0,)
    assert parse_cron("0 0 * * 5-7").weekdays == parse_cron("0 0 * * fri-sun").weekdays == (4, 5, 6)
    assert parse_cron("0 0 * * *").weekdays == tuple(range(7))


def test_a_day_of_month_and_a_day_of_week_mean_either() -> None:
    assert parse_cron("0 0 1 * mon").gaps()[1] == 7 * DAY


@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=4),
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.sets(st.integers(1, 12), min_size=1, max_size=12),
)
def test_the_longest_gap_is_that_of_the_calendar(minutes: set[int], hours: set[int], months: set[int]) -> None:
    fields = [",".join(map(str, sorted(values))) for values in (minutes, hours, months)]
    cron = parse_cron(f"{fields[0]} {fields[1]} * {fields[2]} *")
    start = datetime(2026, 1, 1)  # noqa: DTZ001 - a calendar without zones
    days = [start + timedelta(days=n) for n in range(3 * 366)]
    times = [d.replace(hour=h, minute=m) for d in days if d.month in months for h in cron.hours for m in cron.minutes]
    # From leap year to leap year a February may be a day longer.
    expected = max((b - a).total_seconds() for a, b in itertools.pairwise(times))
    assert 0 <= cron.gaps()[1] - expected <= DAY


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *",
     "*/0 * * * *", "a * * * *", "1,,2 * * * *", "1- * * * *", "-1 * * * *", "0 0 31 2 *", "@daily", "* * * jan-foo *",
     "\u0661 * * * *", "1/2/3 * * * *", "0001 * * * *"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="schedule"):
        parse_cron(text)


@given(st.text(max_size=20) | st.lists(st.sampled_from(list("*/,-0123456789 ")), max_size=20).map("".join))
def test_anything_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_cron(text), Cron)
    except ConfigError:
        return


def test_a_schedule_goes_over_an_interval_and_says_so() -> None:
    config = ModelMonitoringConfig(model_id="m", schedule="0  2 * * 1-5")
    assert (config.schedule, config.warnings) == ("0 2 * * 1-5", ())
    assert config.longest_interval_seconds == 3 * DAY
    assert config.interval_seconds == pytest.approx(1.4 * DAY, rel=1e-3)
    both = ModelMonitoringConfig(model_id="m", schedule="0 2 * * *", drift_detection_interval="30m")
    assert both.interval_seconds == DAY
    assert "the schedule is used" in both.warnings[0]
    assert ModelMonitoringConfig.model_validate(config.model_dump(mode="json", exclude_unset=True)) == config


def test_prometheus_mode_and_schedules_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("alerting: {mode: prometheus}\nmodels: [{model_id: m, schedule: '*/5 * * * *'}]\n", "utf-8")
    config = load_config(path)
    assert (config.alerting.mode, config.models[0].interval_seconds) == ("prometheus", 300.0)
