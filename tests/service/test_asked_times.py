"""The times that people ask by: whatever a calendar holds is a moment, and bare numbers may be milliseconds."""

# ruff: noqa: DTZ001, DTZ901 - people ask by naive times

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwatch import ProductionMonitoringService
from modelwatch.exceptions import InputError
from modelwatch.recorder.outcomes import epoch_seconds
from modelwatch.service.times import LAST_SECOND, iso, moment, time_range

FAR = [
    datetime.max,
    datetime(5138, 11, 17),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
    "9999-12-31T23:59:59.999999Z",
    "5200-01-01",
    np.datetime64("5200-01-01"),
    np.datetime64("12000-01-01"),
]
EARLY = [datetime.min, datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), np.datetime64("0001-01-01")]


@pytest.mark.parametrize("end", FAR, ids=str)
def test_a_range_that_ends_in_a_far_future_holds_all_there_is(
    make_service: Callable[..., ProductionMonitoringService], end: Any
) -> None:
    service = make_service()
    service.register_model({"model_id": "m"})
    service.update_model_metric("m", "accuracy", 0.9)
    service.send_alert("info", "hello", {"model_id": "m"})
    assert service.get_model_metrics("m", "accuracy", end_time=end)["metrics"]["accuracy"][0]["value"] == 0.9
    assert len(service.get_alerts("m", start_time=datetime.min, end_time=end)["alerts"]) == 1
    assert service.get_drift_history("m", start_time=0, end_time=end)["status"] == "success"
    assert service.get_model_metrics("m", "accuracy", start_time=end)["metrics"]["accuracy"] == []


@pytest.mark.parametrize("start", EARLY, ids=str)
def test_a_time_before_1970_stands_for_its_beginning(start: Any) -> None:
    assert moment(start, "start_time") == 0.0


@given(st.datetimes(timezones=st.none() | st.timezones()))
def test_every_datetime_is_a_moment_that_can_be_shown(at: datetime) -> None:
    seconds = moment(at, "end_time")
    assert seconds is not None
    assert 0.0 <= seconds <= LAST_SECOND
    assert iso(seconds)
    assert moment(at.isoformat(), "end_time") == seconds


@given(st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1)))
def test_only_bare_numbers_are_read_as_milliseconds(at: datetime) -> None:
    aware = at.replace(tzinfo=timezone.utc)
    assert moment(aware, "end_time") == pytest.approx(aware.timestamp())
    assert epoch_seconds(aware, aware.timestamp()) == pytest.approx(aware.timestamp())


def test_a_bare_number_may_be_milliseconds() -> None:
    assert time_range(1_790_000_000_000, 1_790_000_000) == (1_790_000_000, 1_790_000_000)


@pytest.mark.parametrize("odd", [pd.NaT, np.datetime64("NaT"), True, -1, float("nan"), 10**400, "yesterday"], ids=str)
def test_what_is_no_time_is_refused(odd: Any) -> None:
    with pytest.raises(InputError, match="end_time must be a datetime"):
        moment(odd, "end_time")
