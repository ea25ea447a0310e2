"""Checks on a timetable: the whole rule over a stream with faults and cures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from modelwatch import checks
from modelwatch.config import ModelMonitoringConfig
from modelwatch.policy import Severity
from modelwatch.records import CheckResult


def data_severities(results: list[CheckResult]) -> list[Severity]:
    return [result.families["data"].severity for result in results]


def test_a_healthy_stream_warms_up_and_then_stays_quiet(stream: Any) -> None:
    results = stream.run(120.0, 300)
    states = [result.families["data"].state for result in results]
    assert states[0] == "warming_up"
    assert results[0].families["data"].reason == "10s window: 4 s of 10 s so far; 30s window: 4 s of 30 s so far"
    assert states[2:] == ["ok"] * (len(states) - 2)
    assert max(max(f.severity for f in r.families.values()) for r in results) < Severity.WARNING
    assert results[-1].windows == {"10s": pytest.approx(2250, abs=800), "30s": pytest.approx(8250, abs=800)}


def test_a_fault_is_told_within_a_window_and_resolved_once_the_window_is_clean(stream: Any) -> None:
    stream.run(40.0, 300)
    during = stream.run(32.0, 300, km=1.6, unseen=0.18)
    after = stream.run(60.0, 300)
    assert max(data_severities(during[:3])) >= Severity.WARNING
    worst = during[-1].families["data"]
    assert worst.severity == Severity.ERROR
    assert {name for name, s in worst.feature_severity.items() if s >= Severity.WARNING} == {"distance", "carrier"}
    quiet = [severity < Severity.WARNING for severity in data_severities(after)]
    resolved = quiet.index(True)
    assert resolved <= 7  # 10 s until the window is clean, three checks, 4 s each
    assert all(quiet[resolved:])
    assert set(stream.state["families"]["data"]["cleared_at"]) <= {"distance", "carrier"}


def test_a_clear_is_followed_by_silence_although_long_windows_hold_the_bad_rows(
    make_stream: Callable[..., Any],
) -> None:
    stream = make_stream({"model_id": "m", "drift_detection_interval": "4s", "drift": {"windows": ["10s", "10m"]}})
    stream.run(604.0, 300)
    assert max(data_severities(stream.run(60.0, 300, unseen=0.5))) >= Severity.WARNING
    after = stream.run(240.0, 300)
    quiet = [severity < Severity.INFO for severity in data_severities(after)]
    first = quiet.index(True)
    assert first <= 7
    assert all(quiet[first:])
    again = stream.run(20.0, 300, unseen=0.5)
    assert max(data_severities(again)) >= Severity.WARNING


def test_an_uncalibrated_reference_warns_at_most_but_for_a_gross_change(stream: Any) -> None:
    stream.run(40.0, 300)
    mild = stream.run(40.0, 300, km=1.25)
    assert set(data_severities(mild[3:])) == {Severity.WARNING}
    assert mild[-1].calibrated is False


def test_a_gross_change_needs_two_checks(stream: Any) -> None:
    stream.run(40.0, 300)
    seen = data_severities(stream.run(40.0, 300, unseen=0.9))
    first = seen.index(Severity.ERROR)
    assert seen[first - 1] == Severity.WARNING
    assert set(seen[first:]) == {Severity.ERROR}


def test_prediction_drift_is_a_family_of_its_own(stream: Any) -> None:
    stream.run(40.0, 300)
    result = stream.run(40.0, 300, shift=0.2)[-1]
    assert result.families["prediction"].severity >= Severity.WARNING
    assert result.families["data"].severity < Severity.WARNING
    before, now = result.prediction_mean or (0.0, 0.0)
    assert now - before == pytest.approx(0.2, abs=0.03)


def test_default_windows_without_timestamps_score_the_day_alone_once_it_is_full(
    make_stream: Callable[..., Any],
) -> None:
    stream = make_stream({"model_id": "m", "drift_detection_interval": "60m"})
    first = stream.run(23 * 3600.0, 0.1)
    assert {r.families["data"].state for r in first} == {"warming_up"}
    assert first[2].families["data"].reason == "24h window: 3 h of 24 h so far"
    result = stream.run(3 * 3600.0, 0.1)[-1]
    assert result.families["data"].state == "ok"
    assert {test.window for test in result.families["data"].tests} == {"24h"}


def test_kilometres_for_miles_in_the_second_hour_reach_a_person_before_the_day_is_full(
    make_stream: Callable[..., Any],
) -> None:
    stream = make_stream({"model_id": "m", "drift_detection_interval": "30m"})
    stream.run(2 * 3600.0, 0.5)
    result = stream.run(2 * 3600.0, 0.5, km=1.609, unseen=0.2)[-1]
    assert result.families["data"].severity == Severity.ERROR
    assert result.families["data"].state == "drift"
    assert {(test.feature, test.window) for test in result.families["data"].tests} >= {("carrier", "1h")}


def test_a_quiet_night_holds_the_severity(stream: Any) -> None:
    stream.run(40.0, 300)
    stream.run(40.0, 300, unseen=0.5)
    night = stream.run(80.0, 0)
    last = night[-1].families["data"]
    assert (last.state, last.severity) == ("held", Severity.ERROR)
    assert last.reason.startswith("needs 50 rows, has 0; last scored ")
    assert last.tests == ()
    morning = stream.run(60.0, 300)[-1].families["data"]
    assert morning.state == "ok"
    assert morning.severity < Severity.WARNING


def test_too_little_traffic_is_a_state_with_its_reason(stream: Any) -> None:
    result = stream.run(60.0, 0.4)[-1]
    reasons = {name: (family.state, family.reason) for name, family in result.families.items()}
    assert reasons == {
        "data": ("insufficient_data", "needs 50 rows, has 12"),
        "prediction": ("insufficient_data", "needs 50 rows, has 12"),
        "multivariate": ("insufficient_data", "needs 100 rows, has 12"),
    }
    assert {family.tests for family in result.families.values()} == {()}


def test_windows_shorter_than_the_interval_drop_out(make_stream: Callable[..., Any]) -> None:
    stream = make_stream({"model_id": "m", "drift_detection_interval": "20s", "drift": {"windows": ["10s", "30s"]}})
    assert set(stream.run(60.0, 100)[-1].windows) == {"30s"}


def test_without_a_reference_nothing_is_scored(stream: Any, config: ModelMonitoringConfig) -> None:
    result, state = checks.scheduled_check(stream, config, "v1", None, {}, 100.0, started_at=0.0)
    assert {family.state for family in result.families.values()} == {"no_reference"}
    assert (result.profile_id, state) == ("", {})
    assert "ReferenceProfile.build" in checks.drift_report(result)["summary"]


def test_another_reference_starts_over(stream: Any) -> None:
    stream.run(40.0, 300)
    stream.run(40.0, 300, unseen=0.5)
    assert stream.state["families"]["data"]["tests"]
    stream.state = {**stream.state, "profile": "another"}
    assert stream.check(stream.now + 60.0).families["data"].state == "insufficient_data"


def test_excluded_features_are_not_scored(make_stream: Callable[..., Any]) -> None:
    stream = make_stream({
        "model_id": "m", "drift_detection_interval": "4s", "drift": {"windows": ["10s"]},
        "features": {"exclude": ["carrier"]},
    })  # fmt: skip
    result = stream.run(20.0, 300, unseen=0.9)[-1]
    assert set(result.families["data"].feature_severity) == {"distance", "hour", "delay"}
    assert result.families["data"].severity < Severity.WARNING


def test_a_fault_in_the_store_is_not_swallowed(stream: Any, config: ModelMonitoringConfig) -> None:
    class Broken:
        def subjects(self, model_id: str, since: float) -> list[Any]:
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        checks.scheduled_check(cast(Any, Broken()), config, "v1", stream.profile, {}, 100.0, started_at=0.0)


def test_data_drift_alone_is_an_error_and_critical_beside_prediction_drift(stream: Any) -> None:
    calibrated = replace(stream.profile, calibrated=True)
    stream.profile = calibrated
    stream.run(40.0, 300)
    alone = stream.run(40.0, 300, unseen=0.9)[-1].families["data"]
    assert (alone.severity, alone.feature_severity["carrier"]) == (Severity.ERROR, Severity.CRITICAL)
    both = stream.run(40.0, 300, unseen=0.9, shift=0.3)[-1].families["data"]
    assert both.severity == Severity.CRITICAL
