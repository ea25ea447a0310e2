"""How a warning about features together ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelwatch.drift.multivariate import Judged
from modelwatch.drift.remembered import Remembered, cleared_at, remember
from modelwatch.policy import Severity
from modelwatch.records import TestResult

HOUR = 3600.0


def window(label: str, severity: Severity = Severity.NONE, *, clear: bool = True, can_tell: bool = True) -> Judged:
    test = TestResult("", "correlation", label, 1e3, 1e4, 0.1, 0.05, 0.2, 0.05, 1e-9, 1e-9, severity)
    return Judged(test, can_tell, clear)


BAD = window("24h", Severity.WARNING, clear=False)
GOOD = window("24h")


class Memory:
    """One check an hour."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.now = 1e6

    def check(self, *found: Judged, after: float = HOUR) -> Remembered:
        self.now += after
        verdict, state = remember(self.state, found, self.now)
        self.state = json.loads(json.dumps(state))
        return verdict


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_a_warning_is_told_at_once_and_ends_after_three_clear_checks(memory: Memory) -> None:
    assert memory.check(GOOD).severity == Severity.NONE
    assert memory.state == {}
    assert memory.check(BAD).severity == Severity.WARNING
    assert [memory.check(GOOD).severity for _ in range(3)] == [Severity.WARNING, Severity.WARNING, Severity.NONE]
    assert memory.state == {"cleared_at": memory.now}


def test_a_check_that_is_not_clear_begins_the_count_anew(memory: Memory) -> None:
    checks = [BAD, GOOD, GOOD, window("24h", clear=False), GOOD, GOOD, GOOD]
    assert [memory.check(one).severity for one in checks] == [Severity.WARNING] * 6 + [Severity.NONE]


def test_longer_windows_have_no_say_once_a_shorter_one_can_tell(memory: Memory) -> None:
    week = window("168h", Severity.WARNING, clear=False)
    memory.check(BAD, week)
    assert [memory.check(GOOD, week).severity for _ in range(3)][-1] == Severity.NONE


def test_where_no_window_can_tell_the_longest_decides(memory: Memory) -> None:
    hour = window("1h", can_tell=False)
    memory.check(BAD)
    assert {memory.check(hour, window("24h", clear=False, can_tell=False)).severity for _ in range(4)} == {
        Severity.WARNING
    }
    assert [memory.check(hour, window("24h", can_tell=False)).severity for _ in range(3)][-1] == Severity.NONE


def test_a_shorter_window_that_still_raises_contradicts(memory: Memory) -> None:
    hour = window("1h", Severity.WARNING, clear=False, can_tell=False)
    memory.check(hour, GOOD)
    assert {memory.check(hour, GOOD).severity for _ in range(5)} == {Severity.WARNING}


def test_info_is_told_and_not_remembered(memory: Memory) -> None:
    assert memory.check(window("24h", Severity.INFO)).severity == Severity.INFO
    assert memory.state == {}


def test_without_rows_a_warning_is_held_for_a_day(memory: Memory) -> None:
    memory.check(BAD)
    told = memory.now
    assert memory.check() == Remembered(Severity.WARNING, True, told)
    assert memory.check(after=22.5 * HOUR).held
    assert memory.check() == Remembered(Severity.NONE, False, None)
    assert memory.state == {}


def test_the_count_goes_on_after_a_quiet_night(memory: Memory) -> None:
    memory.check(BAD)
    verdicts = [memory.check(GOOD), memory.check(GOOD), memory.check(), memory.check(GOOD)]
    assert [verdict.severity for verdict in verdicts] == [Severity.WARNING] * 3 + [Severity.NONE]


def test_it_is_forgotten_when_it_ended_once_no_window_reaches_back_so_far(memory: Memory) -> None:
    for one in (BAD, GOOD, GOOD, GOOD):
        memory.check(one)
    memory.check(GOOD, after=6 * 24 * HOUR)
    assert "cleared_at" in memory.state
    memory.check(GOOD, after=24 * HOUR)
    assert memory.state == {}


def test_a_clock_that_went_back_does_not_hide_the_rows() -> None:
    assert cleared_at({"cleared_at": 500.0}, 400.0) == 400.0
    assert cleared_at({}, 400.0) is cleared_at(None, 400.0) is None
