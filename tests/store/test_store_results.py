"""Checks, alerts and notification counts are remembered."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from modelwatch.exceptions import InputError
from modelwatch.policy import Severity
from modelwatch.records import Alert
from modelwatch.store import ActiveAlert, StoreWriter
from modelwatch.store.queries import StoreQueries

RESULT = {"families": {"data": {"state": "drift", "severity": 2, "tests": [], "feature_severity": {"x": 2}}}}
ACTIVE = ActiveAlert("f1", "MLModelDataDrift", "m", "1", "drift", Severity.WARNING, 5.0, None, 6.0, "a1", "moved", {})
ALERT = Alert(
    "a1", "2024-01-01T00:00:00Z", "error", "drift", "moved", {"x": 1}, "m", "firing", "f1", "2024-01-01T00:00:00Z"
)


def test_a_failed_check_keeps_the_last_result_and_counts_as_failed(writer: StoreWriter) -> None:
    writer.save_result("m", "1", 10.0, True, 0.5, RESULT, {"held": 1}, interval=1800.0)
    writer.save_result("m", "1", 20.0, False, 0.1, None, {"held": 1}, interval=1800.0)
    (stored,) = writer.latest_results()
    assert (stored.checks, stored.failures, stored.ok) == (2, 1, False)
    assert (stored.checked_at, stored.last_success_at, stored.duration, stored.interval) == (20.0, 10.0, 0.1, 1800.0)
    assert (stored.result, stored.state) == (RESULT, {"held": 1})


def test_a_first_check_that_fails_has_no_result(writer: StoreWriter) -> None:
    writer.save_result("m", "1", 10.0, False, 0.5, None, {})
    (stored,) = writer.latest_results()
    assert (stored.result, stored.last_success_at, stored.checks, stored.failures) == (None, None, 1, 1)


def test_every_check_is_in_the_history(writer: StoreWriter, queries: StoreQueries) -> None:
    writer.save_result("m", "1", 10.0, True, 0.5, RESULT, {})
    writer.save_result("m", "2", 20.0, False, 0.5, None, {})
    writer.save_result("n", "1", 15.0, True, 0.5, RESULT, {"p": math.nan})
    first, second = queries.drift_history("m")
    assert (first.severity, first.ok, first.summary["families"]["data"]["state"]) == (Severity.WARNING, True, "drift")
    assert first.summary["families"]["data"]["features"] == {"x": {"severity": 2}}
    assert (second.model_version, second.ok, second.severity, second.summary) == ("2", False, Severity.NONE, {})
    assert [r.checked_at for r in queries.drift_history("m", 11, 99)] == [20.0]
    assert [r.checked_at for r in queries.drift_history("m", model_version="1")] == [10.0]


def test_active_alerts_are_set_replaced_and_cleared(writer: StoreWriter) -> None:
    other = replace(ACTIVE, fingerprint="f2", model_id="n", starts_at=4.0)
    writer.set_active(ACTIVE)
    writer.set_active(other)
    raised = replace(ACTIVE, severity=Severity.ERROR, last_notified_at=7.0, data={"seen": [1, None]})
    writer.set_active(raised)
    assert writer.active_alerts() == [other, raised]
    assert writer.active_alerts("m") == [raised]
    assert type(writer.active_alerts("m")[0].severity) is Severity
    assert writer.clear_active("f1")
    assert not writer.clear_active("f1")
    assert writer.active_alerts() == [other]


def test_the_alert_history_can_be_searched(writer: StoreWriter, queries: StoreQueries) -> None:
    later = replace(ALERT, status="resolved", timestamp="2024-01-01T01:00:00+01:00", level="info")
    newest = replace(ALERT, alert_id="a2", model_id="n", timestamp="2024-01-02T00:00:00")
    writer.save_alert(ALERT, {"email": "queued"})
    for alert in (later, newest):
        writer.save_alert(alert, {})
    writer.save_alert(ALERT, {"email": "sent", "slack": "failed: 500"})
    assert [a.alert for a in queries.alerts()] == [newest, later, ALERT]
    assert queries.alerts(level="error", model_id="m")[0].channels == {"email": "sent", "slack": "failed: 500"}
    assert [a.alert for a in queries.alerts(limit=1)] == [newest]
    assert [a.alert for a in queries.alerts(start=1704067200.0, end=1704100000.0)] == [later, ALERT]


def test_an_alert_with_strange_text_is_kept(writer: StoreWriter, queries: StoreQueries) -> None:
    writer.save_alert(replace(ALERT, message="lone \ud800 'quote", data={"\ud800": object, "nan": math.nan}), {})
    (stored,) = queries.alerts()
    assert stored.alert.message == "lone \\ud800 'quote"
    assert stored.alert.data == {"\ud800": "<class 'object'>", "nan": None}


def test_an_alert_without_a_time_is_refused(writer: StoreWriter) -> None:
    with pytest.raises(InputError, match="'yesterday' is no ISO-8601 time"):
        writer.save_alert(replace(ALERT, timestamp="yesterday"), {})


def test_notifications_are_counted_by_channel(writer: StoreWriter) -> None:
    for channel, ok in (("email", True), ("email", True), ("slack", False), ("slack", True)):
        writer.count_notification(channel, ok)
    assert writer.notification_counts() == {"email": (2, 0), "slack": (1, 1)}
