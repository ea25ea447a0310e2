"""Nothing drifts before the fault, and the fault is found: scored window by window, without clock or servers."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from modelwatch.checks import asked_check
from modelwatch.config import ModelMonitoringConfig
from modelwatch.demo.delay_model import DelayModel
from modelwatch.demo.flights import Split
from modelwatch.demo.script import Timetable
from modelwatch.demo.settings import MODEL_ID
from modelwatch.demo.stream import Fault, FlightStream
from modelwatch.policy import Severity
from modelwatch.profile import ReferenceProfile
from modelwatch.records import CheckResult

TIMES = Timetable()
SHORT, LONG = (round(seconds * TIMES.rate) for seconds in TIMES.windows)
CONFIG = ModelMonitoringConfig(model_id=MODEL_ID, task="binary")

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def profile(split: Split, delay_model: DelayModel) -> ReferenceProfile:
    scores = delay_model.predict_many(split.reference.columns)
    return ReferenceProfile.build(split.reference.columns, predictions=scores, task="binary")


def windows(split: Split, size: int) -> Iterator[Rows]:
    stream = FlightStream(split.stream)
    while True:
        yield [flight.features for flight in itertools.islice(stream, size)]


def score(rows: Rows, profile: ReferenceProfile, model: DelayModel) -> CheckResult:
    """Score like a scheduled check, but with a budget for chance that is a thousand times as large."""
    return asked_check(CONFIG, profile, rows, [model.predict(row) for row in rows], now=0.0)


def severities(result: CheckResult) -> dict[str, Severity]:
    return {name: severity for f in result.families.values() for name, severity in f.feature_severity.items()}


@pytest.mark.parametrize(("size", "count"), [(SHORT, 60), (LONG, 20)])
def test_nothing_reaches_a_warning_in_any_window_before_the_fault(
    split: Split, profile: ReferenceProfile, delay_model: DelayModel, size: int, count: int
) -> None:
    largest = 0.0
    for rows in itertools.islice(windows(split, size), count):
        result = score(rows, profile, delay_model)
        assert {f.state for f in result.families.values()} == {"ok"}
        assert all(f.severity < Severity.WARNING for f in result.families.values())
        largest = max(largest, *(t.score for f in result.families.values() for t in f.tests))
    assert largest < 0.05


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_fault_is_found_in_what_it_changed_and_nowhere_else(
    split: Split, profile: ReferenceProfile, delay_model: DelayModel, share: float
) -> None:
    rows = next(windows(split, SHORT))
    clean = round(len(rows) * (1 - share))
    damage = Fault().choose()
    result = score(rows[:clean] + [damage(row) for row in rows[clean:]], profile, delay_model)
    found = {name for name, severity in severities(result).items() if severity >= Severity.WARNING}
    assert found == {"distance", "carrier"}
